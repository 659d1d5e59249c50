"""HTML of Mastodon as the text a reader sees: paragraphs and breaks as line feeds, no markup."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

_BREAKS: Final = {"br": "\n", "p": "\n\n", "li": "\n", "blockquote": "\n\n", "pre": "\n\n"}
_SILENT: Final = ("script", "style", "template")


def text_of(html: str) -> str:
    r"""Return the text of HTML.

    What a server hides for looks is kept (links are shortened with hidden ends); what it shows
    in place of it, an ellipsis, is a matter of style and is not in the text.

    >>> text_of('<p>Hi <a href="https://a.example/b">a.example<span class="invisible">/b</span></a>'
    ...         '</p><p>1 &lt; 2<br>yes</p>')
    'Hi a.example/b\n\n1 < 2\nyes'
    """
    parser = _Text()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts).strip()


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line where a browser would."""
        del attrs
        self._silent += tag in _SILENT
        if self.parts and tag in _BREAKS:
            self.parts.append(_BREAKS[tag])

    def handle_endtag(self, tag: str) -> None:
        """Leave an element that shows nothing."""
        self._silent -= tag in _SILENT and self._silent > 0

    def handle_data(self, data: str) -> None:
        """Take text; line ends of the source are spaces, as in a browser."""
        if not self._silent:
            self.parts.append(" ".join(data.splitlines()) if "\n" in data else data)
