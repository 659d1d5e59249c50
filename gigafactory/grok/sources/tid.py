"""Timestamp identifiers of the AT Protocol: 64 bits in 13 characters that sort as their time.

Source: https://atproto.com/specs/tid (53 bits of microseconds, 10 bits of a clock's number).
"""

from __future__ import annotations

from typing import Final

ALPHABET: Final = "234567abcdefghijklmnopqrstuvwxyz"
LENGTH: Final = 13
CLOCK_BITS: Final = 10
_DIGITS: Final = {character: value for value, character in enumerate(ALPHABET)}


def number(text: object) -> int | None:
    """Return a TID as the whole number that orders it; None if it is none.

    >>> number("3l3qo2vutsw2b") >> CLOCK_BITS, number("zzzzzzzzzzzzz"), number("3l3")
    (1725911162251036, None, None)
    """
    if not isinstance(text, str) or len(text) != LENGTH:
        return None
    found = 0
    for character in text:
        digit = _DIGITS.get(character)
        if digit is None:
            return None
        found = found << 5 | digit
    return found if found < 1 << 63 else None
