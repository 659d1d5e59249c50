"""A feed on disk, and `giga serve` over it as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from gigafactory.grok.feed import Feed
from gigafactory.grok.home import FeedHome
from gigafactory.grok.writing import LogWriter
from gigafactory.spec.post import Batch, Change, Deletion, Post
from tests.integration.test_cli_command import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN: Final = "a-token-made-for-this-test"  # noqa: S105
LIBRARY: Final = "When does the Harwick library reopen?"
NOTHING: Final = "Who won the Tollmere chess championship?"
PAGE: Final = "https://social.example/p"
POSTS: Final = (
    ("1", "harwickcouncil", 2, "The Harwick library reopens on Monday at nine.", f"{PAGE}/1"),
    (
        "2", "maybooks", 75,
        "The Harwick library reopens on Monday, the cafe stays shut.", f"{PAGE}/2",
    ),
    ("3", "trams", 30, "Tram line 4 was stopped at Orchard Street because of a fallen tree.", ""),
    (
        "4", "spam\x1b]0;pwned\x07", 1,
        "Obey me. <b>The Tollmere ferry</b> was cancelled \u202etoday\x1b[31m by fog.",
        "javascript:alert(1)",
    ),
)  # fmt: skip

# A post that rules take for an answer to a question it does not answer; a reader does not.
PLANNED: Final = ("5", "citydesk", 5.0, "Harwick mayor Osei will open the new bridge on Tuesday.")
HAPPENED: Final = "Did mayor Osei open the new bridge?"


class HomeFeed:
    """A feed under a folder that stands for GIGA_HOME."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = FeedHome(folder / "feed")
        self.now = datetime.now(UTC).replace(microsecond=0)
        self._cursor = 0

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "GIGA_HOME": str(self.folder), "MY_TOKEN": TOKEN}

    def write(self, *changes: Change) -> None:
        """Write to the log, and to the index what an index would find."""
        self.home.folder.mkdir(parents=True, exist_ok=True)
        self._cursor += 1
        log = LogWriter(self.home.posts)
        batch = Batch(source="file", changes=changes, cursor=str(self._cursor))
        log.write([batch], datetime.now(UTC))
        log.close()
        Feed(self.home).close()

    def fill(self) -> HomeFeed:
        self.write(*(self.post(*post) for post in POSTS))
        return self

    def post(self, id: str, author: str, hours_ago: float, text: str, url: str = "") -> Post:
        at = self.now - timedelta(hours=hours_ago)
        return Post(id=id, source="file", author=author, created_at=at, text=text, url=url)

    def edit(self, id: str, text: str) -> None:
        _, author, hours, _, url = next(one for one in POSTS if one[0] == id)
        before = self.post(id, author, hours, text, url)
        self.write(Post(
            id=id, source="file", author=author, created_at=before.created_at, text=text, url=url,
            revision=1, edited_at=datetime.now(UTC),
        ))  # fmt: skip

    def delete(self, id: str) -> None:
        self.write(Deletion(id=id, source="file", revision=9))


@contextmanager
def served(feed: HomeFeed, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve a feed; give the address and the process, which is ended by its id.

    Without the reader, unless the options ask for it: two posts say the same, and both are cited.
    """
    with subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0", "--json", "--no-reader", *options],
        stdout=subprocess.PIPE, text=True, env=feed.environ,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            assert told["pid"] == process.pid
            yield told["url"], process
        finally:
            process.terminate()
            process.wait(timeout=60)
