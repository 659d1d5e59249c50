"""Ends a text before any of some texts, though it comes in parts of any size."""

from __future__ import annotations


class Stops:
    """Passes text on until one of `texts` stands in it; holds back what may begin one."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self._texts = tuple(text for text in texts if text)
        self._held = ""
        self.stopped = False

    def passed(self, part: str) -> str:
        """Return the text that is known to stand before any stop, after one more part came."""
        if self.stopped:
            return ""
        text = self._held + part
        # The one that ends first: the answer may not depend on how the text was parted.
        found = [(at + len(stop), at) for stop in self._texts if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)[1]]
        keep = max((_begun(text, stop) for stop in self._texts), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """Return what was held back when no more text comes."""
        held, self._held = self._held, ""
        return held


def _begun(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that begins `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
