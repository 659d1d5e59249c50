"""`giga serve`: cited answers from the feed, or a trained checkpoint, behind OpenAI's API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gigafactory.cli import feed_options

if TYPE_CHECKING:
    from gigafactory.grok.modelled import ChatModel


class At(NamedTuple):
    """Where and for whom to serve."""

    host: str
    port: int
    token: str
    max_waiting: int
    as_json: bool


Run = Annotated[
    Path | None, typer.Argument(help="Run folder of `giga run --out`; without it, the feed.")
]
TokenEnv = Annotated[
    str | None, typer.Option(help="Environment variable with the token clients must show.")
]
MaxRate = Annotated[
    float | None, typer.Option(help="Feed: requests a second of one address; 0 for any.")
]


def serve(
    run: Run = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    token_env: TokenEnv = None,
    max_waiting: Annotated[int, typer.Option(help="Requests that may wait.")] = 16,
    max_tokens: Annotated[int | None, typer.Option(help="RUN: most tokens of an answer.")] = None,
    max_rate: MaxRate = None,
    model: feed_options.Model = None,
    endpoint: feed_options.Endpoint = "",
    endpoint_model: feed_options.EndpointModel = "",
    endpoint_token_env: feed_options.EndpointTokenEnv = None,
    rerank: feed_options.Rerank = False,
    reader: feed_options.Reader = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Serve cited answers from the feed under GIGA_HOME, or the newest checkpoint of a run."""
    from gigafactory.cli.listening import token_in

    of_feed = {
        "--max-rate": max_rate, "--model": model, "--endpoint": endpoint or None,
        "--endpoint-model": endpoint_model or None, "--endpoint-token-env": endpoint_token_env,
        "--rerank": rerank or None, "--reader": reader,
    }  # fmt: skip
    _require_own(run, of_feed, {"--max-tokens": max_tokens})
    _require_least(("--max-waiting", max_waiting, 0), ("--max-tokens", max_tokens, 1),
                   ("--max-rate", max_rate, 0))  # fmt: skip
    at = At(host, port, token_in(token_env, "serve"), max_waiting, as_json)
    if run is not None:
        _serve_run(run, at, max_tokens)
        return
    from gigafactory.cli.answerers import chat_model

    shown = token_in(endpoint_token_env, "serve", "--endpoint-token-env")
    drafting = chat_model(model, endpoint, endpoint_model, shown)
    _serve_feed(at, drafting, max_rate, rerank=rerank, reader=reader)


def _require_own(run: Path | None, of_feed: dict[str, Any], of_run: dict[str, Any]) -> None:
    """Refuse options of the feed with a run, and the other way round."""
    from gigafactory.errors import SpecError

    strangers = of_run if run is None else of_feed
    given = [name for name, value in strangers.items() if value is not None]
    if given:
        what = "the feed (no RUN is named)" if run is None else "a run"
        raise SpecError(f"serve: {', '.join(given)} cannot be used with {what}", field=given[0])


def _require_least(*options: tuple[str, float | None, int]) -> None:
    """Refuse a number below its least."""
    from gigafactory.errors import SpecError

    for name, value, least in options:
        if value is not None and not value >= least:
            raise SpecError(f"serve: {name} must be at least {least}, got {value}", field=name)


def _serve_run(run: Path, at: At, max_tokens: int | None) -> None:
    """Serve a run's newest checkpoint as /v1/chat/completions and /v1/completions."""
    from gigafactory.cli.listening import listening, url_of
    from gigafactory.errors import MissingExtra

    try:
        from gigafactory.run import serve as server
    except ImportError as error:
        raise MissingExtra(
            f"{error.name} is not installed: pip install 'gigafactory[train]'"
        ) from None
    with listening(at.host, at.port, has_token=bool(at.token)) as bound:
        served = server.load(run, max_tokens=max_tokens)
        _tell(url_of(bound), served.name, served.name, as_json=at.as_json)
        server.serve(served, bound, token=at.token, max_waiting=at.max_waiting)


def _serve_feed(
    at: At, model: ChatModel | None, max_rate: float | None, *, rerank: bool, reader: bool | None
) -> None:
    """Serve answers from the feed; posts are quoted for those who ask for "extractive"."""
    import logging

    from gigafactory.cli.answerers import EXTRACTIVE, feed_here, reader_here
    from gigafactory.cli.feed import needing_grok
    from gigafactory.cli.listening import listening, url_of

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with needing_grok():
        from gigafactory.grok import api as server
    with listening(at.host, at.port, has_token=bool(at.token)) as bound:
        feed, reads = feed_here(rerank=rerank), reader_here(reader)
        models = {model.name: model, EXTRACTIVE: None} if model else {EXTRACTIVE: None}
        name = next(iter(models))
        _tell(url_of(bound), name, f"the feed ({name})", as_json=at.as_json)
        per_s = server.PER_S if max_rate is None else max_rate
        server.serve(
            feed, models, bound, reader=reads,
            token=at.token, max_waiting=at.max_waiting, per_s=per_s,
        )  # fmt: skip


def _tell(url: str, model: str, what: str, *, as_json: bool) -> None:
    """Say where it answers: to people, or to a program."""
    if as_json:
        import json
        import os

        typer.echo(json.dumps({"schema": 1, "url": url, "model": model, "pid": os.getpid()}))
    else:
        typer.echo(f"{what} answers at {url}; Ctrl-C ends it", err=True)
