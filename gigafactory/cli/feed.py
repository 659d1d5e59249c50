"""`giga feed`: read platforms and files into the feed, and say how it stands."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gigafactory.errors import MissingExtra, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gigafactory.grok.doors import Source
    from gigafactory.grok.ingest import Totals
    from gigafactory.grok.registry import Reading
    from gigafactory.grok.upkeep import Retention

BULK_COMMIT_S = 5.0  # nobody waits for the first post of a file

feed = typer.Typer(
    name="feed", help="Read posts of platforms and files; say how the feed stands.",
    no_args_is_help=True, rich_markup_mode=None,
)  # fmt: skip


@feed.command("start")
def start(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="bluesky (default), x, mastodon:HOST, file:PATH, run:FOLDER."),
    ] = None,
    x_rule: Annotated[
        list[str] | None, typer.Option(help="What to listen for on X; may be repeated.")
    ] = None,
    bluesky_endpoint: Annotated[
        list[str] | None, typer.Option(help="Jetstream server in place of the public ones.")
    ] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="Only posts of this DID on Bluesky; may be repeated.")
    ] = None,
    keep: Annotated[str | None, typer.Option(help="Drop posts older than this: 12h, 30d.")] = None,
    keep_bytes: Annotated[
        str | None, typer.Option(help="Drop the oldest beyond so much in the log: 20GB.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON at the end.")] = False,
) -> None:
    """Read sources into the feed until Ctrl-C or SIGTERM, which end it without loss."""
    with needing_grok():
        from gigafactory.grok.registry import Options, sources_of
    options = Options(
        x_rules=tuple(x_rule or ()), bluesky_endpoints=tuple(bluesky_endpoint or ()),
        authors=tuple(author or ()),
    )  # fmt: skip
    names = sources or ["bluesky"]
    retention = _retention(keep, keep_bytes)
    totals = _ingested(lambda log: sources_of(names, options, log), retention, None)
    _tell(totals, as_json=as_json)
    if totals.refused and len(totals.refused) == len(names):
        raise totals.refused[0]


@feed.command("add")
def add(
    paths: Annotated[
        list[Path], typer.Argument(help="JSON Lines, one post a line; or folders of runs.")
    ],
    source: Annotated[str, typer.Option(help="Name that posts of files stand under.")] = "file",
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Add posts of files and runs: new ones, edits, deletions; a faulty line is told, no more."""
    with needing_grok():
        from gigafactory.grok.ingest import Totals
    if missing := [str(path) for path in paths if not path.exists()]:
        raise SpecError(f"{', '.join(missing)}: no such file or folder", field="paths")
    if not source.strip() or any(mark.isspace() for mark in source):
        raise SpecError(f"--source must be a name without spaces, got {source!r}", field="source")
    every = Totals()
    for path in paths:
        every.add(_ingested(partial(_finite, path, source), None, BULK_COMMIT_S))
    if every.refused:
        raise every.refused[0]
    _tell(every, as_json=as_json)


def _finite(path: Path, name: str, log: Reading) -> Sequence[Source]:
    """Return the source that reads what a file or a run's folder holds now, to its end."""
    from gigafactory.grok.sources.lines import LinesSource
    from gigafactory.grok.sources.runs import RunSource

    if path.is_dir():
        return [RunSource(path, follow=False)]
    return [LinesSource(path, name, find=lambda key: log().post(key))]


@feed.command("status")
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Say how fresh the feed is: each source's state, lag and what it met."""
    with needing_grok():
        from gigafactory.grok.feed import Feed
    from gigafactory.grok.home import feed_home, writer_pid
    from gigafactory.grok.ingest import utc_now
    from gigafactory.report import as_json as machine
    from gigafactory.report.feed import status_json, status_table

    home, now = feed_home(), utc_now()
    found = status_json(Feed(home), now, writer_pid(home))
    if as_json:
        typer.echo(machine.one_line(found))
        return
    from rich.console import Console

    Console().print(status_table(found, now))


@contextmanager
def needing_grok() -> Iterator[None]:
    """Say which extra to install where an import inside the block fails.

    Raises:
        MissingExtra: A package of it is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtra(
            f"{error.name} is not installed: pip install 'gigafactory[grok]'"
        ) from None


def _retention(keep: str | None, keep_bytes: str | None) -> Retention:
    from gigafactory.grok.query import duration
    from gigafactory.grok.upkeep import Retention
    from gigafactory.units import parse

    return Retention(
        keep=None if keep is None else duration(keep, "--keep"),
        keep_bytes=None if keep_bytes is None else parse(keep_bytes),
    )


def _ingested(
    sources: Callable[[Reading], Sequence[Source]],
    retention: Retention | None,
    commit_s: float | None,
) -> Totals:
    """Read sources into the feed to their end, or until a signal asks for the end."""
    import asyncio
    import logging

    from gigafactory.grok.home import feed_home, writing
    from gigafactory.grok.ingest import COMMIT_S, Ingest, utc_now
    from gigafactory.grok.keeper import Keeper

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    home = feed_home()
    kept: list[Keeper] = []
    read = sources(lambda: kept[0].log)  # a mistake in them is told before anything is opened

    async def go() -> Totals:
        keeper = Keeper(home, utc_now, retention)
        kept.append(keeper)
        ingest = Ingest(keeper, read, commit_s=commit_s or COMMIT_S)
        _end_on_signals(asyncio.get_running_loop(), ingest.stop)
        return await ingest.run()

    with writing(home):
        return asyncio.run(go())


def _end_on_signals(loop: object, stop: Callable[[], None]) -> None:
    import asyncio
    import signal

    assert isinstance(loop, asyncio.AbstractEventLoop)
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop)


def _tell(totals: Totals, *, as_json: bool) -> None:
    from gigafactory.report import as_json as machine
    from gigafactory.report.feed import totals_json, totals_line

    if as_json:
        typer.echo(machine.one_line(totals_json(totals)))
    else:
        typer.echo(totals_line(totals), err=True)
