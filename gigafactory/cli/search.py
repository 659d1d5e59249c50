"""`giga search`: posts of the feed, by words and filters; one query, or a file of them."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gigafactory.cli.feed import needing_grok
from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from gigafactory.grok.doors import Searchable


def search(
    query: Annotated[
        str | None,
        typer.Argument(help='Words, "phrases", from:@h -from:@h source:S since:2h until:D lang:L.'),
    ] = None,
    limit: Annotated[int, typer.Option(help="Hits at most.")] = 10,
    as_of: Annotated[str | None, typer.Option(help="As the feed stood then.")] = None,
    rerank: Annotated[
        bool, typer.Option("--rerank", help="Order the best 50 by meaning too; needs [rerank].")
    ] = False,
    batch: Annotated[Path | None, typer.Option(help="JSON Lines of queries.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the hits of --batch go.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Find posts; no hits are an answer too."""
    if (batch is None) == (query is None) or (batch is None) != (out is None):
        raise SpecError(
            "search: give a query, or --batch FILE with --out FILE, and not both", field="query"
        )
    if batch is not None and out is not None:
        _many(batch, out, limit=limit, rerank=rerank, as_json=as_json)
    else:
        _one(query or "", limit=limit, as_of=as_of, rerank=rerank, as_json=as_json)


def _one(text: str, *, limit: int, as_of: str | None, rerank: bool, as_json: bool) -> None:
    with needing_grok():
        from gigafactory.grok.query import moment, parse
    from gigafactory.report import as_json as machine
    from gigafactory.report.feed import hits_json, hits_lines

    now = _now()
    then = None if as_of is None else moment(as_of, now, "--as-of")
    query = parse(text, now, limit=limit, as_of=then)
    feed = _opened(rerank)
    begun = time.perf_counter()
    hits = feed.search(query)
    wall_s = time.perf_counter() - begun
    if as_json:
        typer.echo(machine.one_line(hits_json(hits, wall_s)))
        return
    for line in hits_lines(hits, query.as_of or now):
        typer.echo(line)
    if not hits:
        typer.echo("giga: nothing found", err=True)


def _many(batch: Path, out: Path, *, limit: int, rerank: bool, as_json: bool) -> None:
    """Answer every query of a file, in its order; the file of hits appears whole or not at all."""
    with needing_grok():
        from gigafactory.grok.queries import read_queries
    from gigafactory.catalog.files import require_folder, writing_whole
    from gigafactory.report import as_json as machine
    from gigafactory.report.feed import hit_json

    queries = read_queries(batch, _now(), limit=limit)
    require_folder(out)
    feed = _opened(rerank)
    begun = time.perf_counter()
    with writing_whole(out) as file:
        for one, query in queries:
            hits = [hit_json(hit) for hit in feed.search(query)]
            file.write(machine.one_line({"id": one, "hits": hits}) + "\n")
    wall_s = time.perf_counter() - begun
    if as_json:
        found = {"schema": machine.SCHEMA, "queries": len(queries), "wall_s": wall_s}
        typer.echo(machine.one_line(found))
    else:
        typer.echo(f"{len(queries)} queries answered in {wall_s:.2f} s: {out}", err=True)


def _opened(rerank: bool) -> Searchable:
    """Return the feed under GIGA_HOME, re-ranked if that is asked for."""
    with needing_grok():
        from gigafactory.grok.feed import Feed
    from gigafactory.grok.home import feed_home

    home = feed_home()
    feed = Feed(home)
    if feed.log is None:
        typer.echo(
            f"giga: no feed at {home.folder}: `giga feed start` or `add` makes one", err=True
        )
    if not rerank:
        return feed
    from gigafactory.grok.embedding import Embedder
    from gigafactory.grok.rerank import Reranked

    return Reranked(feed, Embedder())


def _now() -> datetime:
    from gigafactory.grok.ingest import utc_now

    return utc_now()
