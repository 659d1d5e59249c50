"""Text that is safe to show anywhere: no markup, no control or direction characters, no marks.

Posts and models are not trusted. What stands in an answer must not break out of HTML, Markdown
or a terminal, and must not look like a citation of ours.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_TAG: Final = re.compile(r"<[A-Za-z/!?][^>]*(?:>|$)")
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\((?:[^()]|\([^()]*\))*\)|!?\[([^\]]*)\]\[[^\]]*\]")
_MARK: Final = re.compile(r"\s*[\[\u3010\uff3b]\^?[\d\s,;\u2013-]+[\]\u3011\uff3d]")
_FENCES: Final = re.compile(r"`+|\*{2,}|_{2,}|~{2,}|^\s{0,3}(?:#{1,6}|>|[-*+]|\|)\s+", re.MULTILINE)
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_KEPT: Final = frozenset("\u200d\ufe0f")  # they join emoji
_BREAKERS: Final = str.maketrans(dict.fromkeys("\u2028\u2029\x85\x0b\x0c", "\n"))


def visible(text: str) -> str:
    r"""Return a text without characters that hide, reorder or control: bidi, zero width, escapes.

    >>> visible("a\u202eb\x1b[31mc\nd")
    'ab[31mc\nd'
    """
    return "".join(
        sign for sign in text.translate(_BREAKERS)
        if sign in "\n\t" or sign in _KEPT or unicodedata.category(sign) not in _HIDDEN
    )  # fmt: skip


def plain(text: str) -> str:
    """Return a text as one line without markup; what a link says stays, where it leads does not.

    >>> plain("<b>Big</b> [news](javascript:alert(1)) [3] **now** <img src=x onerror=alert(1)")
    'Big news now'
    """
    shown = visible(text)
    previous = None
    while shown != previous:  # tags within tags
        previous, shown = shown, _TAG.sub("", shown)
    shown = _LINK.sub(lambda found: found[1] or found[2] or "", shown)
    shown = _MARK.sub("", _FENCES.sub("", shown))
    return " ".join(shown.replace("[", "(").replace("]", ")").split())
