"""Kills a writer of the feed at random moments and says what must hold afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from gigafactory.grok.feed import Feed
from gigafactory.grok.home import FeedHome
from gigafactory.grok.log import Log
from gigafactory.spec.post import Post, Query
from tests.feed_child import SOURCE, standing

if TYPE_CHECKING:
    import random
    from pathlib import Path


def killed(folder: Path, seed: int, chance: random.Random) -> int:
    """Let a writer go on in a folder, kill it at a random moment; return what it acknowledged."""
    command = (sys.executable, "-m", "tests.feed_child", str(folder), str(seed))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        first = child.stdout.readline()
        time.sleep(chance.uniform(0.0, 1.5))
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split("\n")
    assert first, "it never wrote"
    assert child.returncode == -signal.SIGKILL
    # The last line may be torn: only one that ends was told whole.
    return int([first.strip(), *rest[:-1]][-1])


def check(folder: Path, seed: int, acknowledged: int) -> int:
    """Assert that nothing acknowledged is lost, doubled or undeleted; return the cursor."""
    home = FeedHome(folder)
    log = Log(home.posts)
    cursor = int(log.cursor(SOURCE) or 0)
    assert cursor >= acknowledged, "an acknowledged batch was lost"
    want = standing(seed, cursor)
    changes = [change for _, change in log.changes_after(0, 10**7)]
    have = {change.id: change for change in changes if isinstance(change, Post)}
    assert have == want, "the log is not what its cursor says"
    assert len({change.key for change in changes}) == len(changes)
    assert [status.posts for status in log.statuses()] == [len(want)]
    log.close()
    _check_index(home, want)
    return cursor


def _check_index(home: FeedHome, want: dict[str, Post]) -> None:
    feed = Feed(home)
    index = feed._reader()
    assert index
    assert feed.log
    assert index.sequence() == feed.log.sequence()
    found = [key.id for key, _ in index.search(Query(limit=len(want) + 1000))]
    assert len(found) == len(set(found)), "a post is in the index twice"
    assert set(found) == set(want), "the index is not the log"
    first = [hit.post for hit in feed.search(Query(words="first", limit=len(want) + 1000))]
    assert {one.id for one in first} == {one.id for one in want.values() if "first" in one.text}
    feed.close()
