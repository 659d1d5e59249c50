"""Text of strangers made plain: what cannot be seen, or makes what is seen lie, is taken out.

Control characters, bidirectional overrides and isolates (they show text in another order than it
is read: "Trojan Source", CVE-2021-42574), invisible characters that split words or hide messages
(tag characters outside of a flag) and halves of surrogate pairs. Joiners stay: emoji and many
scripts need them.
"""

from __future__ import annotations

import re
from typing import Final

from gigafactory.spec.post import MAX_TEXT_CHARS

_LINE_ENDS: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_UNSEEN_SET: Final = (
    "\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"
    "\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f"
)
_UNSEEN: Final = re.compile(
    "(\U0001f3f4[\U000e0030-\U000e007a]{1,8}\U000e007f)"  # the flag of a region, such as Wales
    f"|[{_UNSEEN_SET}]"
)
_SUSPECT: Final = re.compile(f"[\r\x0b\x0c\u2028\u2029\ud800-\udfff{_UNSEEN_SET}]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
REPLACEMENT: Final = "\ufffd"


def plain(text: str) -> str:
    r"""Return text as it may be kept: line feeds and tabs are its only control characters.

    >>> plain("pay \u202e001\u202c\x00 now\r\n")
    'pay 001 now'
    """
    if text.isprintable() or _SUSPECT.search(text) is None:  # nothing taken out is printable
        return text.strip()
    text = _LINE_ENDS.sub("\n", text)
    text = _UNSEEN.sub(lambda found: found[1] or "", text)
    return _SURROGATE.sub(REPLACEMENT, text).strip()


def one_line(text: str, most_chars: int) -> str:
    r"""Return text on one line, cut to `most_chars` characters.

    >>> one_line("a\n  b", 80), one_line("abcdef", 4)
    ('a b', 'abc…')
    """
    if len(text) <= most_chars and text.isprintable() and " " not in text:
        return text  # such as a handle
    line = " ".join(plain(text[: 4 * most_chars]).split())
    return line if len(line) <= most_chars else line[: most_chars - 1] + "…"


def capped(text: str) -> tuple[str, bool]:
    """Return plain text of at most `MAX_TEXT_CHARS` characters, and whether it was cut."""
    text = plain(text)
    return text[:MAX_TEXT_CHARS], len(text) > MAX_TEXT_CHARS
