"""`giga chat`: questions to the feed, answered sentence by sentence, each with its source."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from gigafactory.cli import feed_options

if TYPE_CHECKING:
    from gigafactory.cli.talk import Talk


def chat(
    once: Annotated[str | None, typer.Option("--once", help="Answer this and end.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON an answer.")] = False,
    model: feed_options.Model = None,
    endpoint: feed_options.Endpoint = "",
    endpoint_model: feed_options.EndpointModel = "",
    token_env: feed_options.EndpointTokenEnv = None,
    rerank: feed_options.Rerank = False,
    reader: feed_options.Reader = None,
    as_of: Annotated[
        str, typer.Option(help="See the feed as of a date, a moment, or 2h or 3d ago.")
    ] = "",
) -> None:
    """Answer questions from the feed under GIGA_HOME, with numbered sources; /quit ends.

    Without --once questions come from the terminal, or one a line from standard input. Ctrl-C
    stops an answer.
    """
    import logging

    from gigafactory.cli.answerers import chat_model, feed_here, reader_here
    from gigafactory.cli.listening import token_in
    from gigafactory.cli.talk import Talk

    logging.basicConfig(format="giga: %(message)s")
    logging.getLogger("gigafactory.grok.answering").setLevel(logging.ERROR)  # answers tell it
    token = token_in(token_env, "chat")
    drafting = chat_model(model, endpoint, endpoint_model, token)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    feed, reads = feed_here(rerank=rerank), reader_here(reader)
    talk = Talk(feed, drafting, reader=reads, as_json=as_json, as_of=as_of)
    if once is not None:
        talk.ask(once)
        return
    _converse(talk)


def _converse(talk: Talk) -> None:
    """Ask what is typed, one question after the other, until the input ends."""
    from gigafactory.errors import CatalogError, SpecError

    alone = not sys.stdin.isatty()
    for line in _lines():
        try:
            if not talk.take(line):
                return
        except CatalogError:
            raise
        except SpecError as error:
            if alone and talk.as_json:
                raise
            typer.echo(f"giga: {error}", err=True)
        except KeyboardInterrupt:
            if alone:
                raise
            typer.echo("\n(stopped)")


def _lines() -> Iterator[str]:
    """Yield what is typed: on a terminal with editing and history, elsewhere line by line."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  input() uses it once it is imported
    typer.echo("Ask the feed. /new forgets what was said, /quit or Ctrl-D ends.", err=True)
    while True:
        try:
            yield input("> ")
        except EOFError:
            typer.echo()
            return
        except KeyboardInterrupt:
            typer.echo("\n(Ctrl-D ends)", err=True)
