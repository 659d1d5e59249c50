"""Names of months and weekdays in other languages of Europe, read as the English ones.

Only in posts that say that they are in that language: "mars" and "dom" are English words, too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_ENGLISH: Final = (
    "mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun",
    "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
# In the order of the English ones; forms of one name are joined by a bar.
_NAMES: Final = {
    "fr": """lundi mardi mercredi jeudi vendredi samedi dimanche janvier février mars avril mai juin
        juillet août septembre octobre novembre décembre""",
    "de": """montag dienstag mittwoch donnerstag freitag samstag|sonnabend sonntag januar|jänner
        februar märz april mai juni juli august september oktober november dezember""",
    "es": """lunes martes miércoles jueves viernes sábado domingo enero febrero marzo abril mayo
        junio julio agosto septiembre|setiembre octubre noviembre diciembre""",
    "it": """lunedì martedì mercoledì giovedì venerdì sabato domenica gennaio febbraio marzo aprile
        maggio giugno luglio agosto settembre ottobre novembre dicembre""",
    "pt": """segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo janeiro
        fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro""",
    "nl": """maandag dinsdag woensdag donderdag vrijdag zaterdag zondag januari februari maart april
        mei juni juli augustus september oktober november december""",
    "sv": """måndag tisdag onsdag torsdag fredag lördag söndag januari februari mars april maj juni
        juli augusti september oktober november december""",
    "no": """mandag tirsdag onsdag torsdag fredag lørdag søndag januar februar mars april mai juni
        juli august september oktober november desember""",
    "da": """mandag tirsdag onsdag torsdag fredag lørdag søndag januar februar marts april maj juni
        juli august september oktober november december""",
}
_OF: Final = re.compile(r"(?<=\d )de(?= [A-Z][a-z]{2})")  # "3 de mayo"
_POINT: Final = re.compile(r"(?<=\d)\.(?= ?[A-Z][a-z]{2})")  # "3. Juni"


def englished(text: str, lang: str) -> str:
    """Return a text with names of times in English; every other character stays in its place.

    >>> englished("Le 3 juin", "fr")
    'Le 3 Jun '
    """
    tongue = {"nb": "no", "nn": "no"}.get(lang[:2].lower(), lang[:2].lower())
    if tongue not in _NAMES:
        return text
    english = _english(tongue)
    plain = _pattern(tongue).sub(lambda one: _padded(english, one.group()), text)
    return _OF.sub("of", _POINT.sub(" ", plain))


def _padded(english: dict[str, str], name: str) -> str:
    """Return the English name, as long as the one it stands for."""
    known = english.get(name.lower()) or english[name.lower().removesuffix("s")]
    return known.title().ljust(len(name))[: max(len(name), len(known))]


@lru_cache
def _english(tongue: str) -> dict[str, str]:
    names = zip(_NAMES[tongue].split(), _ENGLISH, strict=True)
    return {form: english for forms, english in names for form in forms.split("|")}


@lru_cache
def _pattern(tongue: str) -> re.Pattern[str]:
    longest = sorted(_english(tongue), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest)})s?\b", re.IGNORECASE)
