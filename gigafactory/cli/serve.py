"""`giga serve`: a trained checkpoint behind an OpenAI-compatible API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    run: Annotated[Path | None, typer.Argument(help="Run folder of `giga run --out`.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8000,
    token_env: Annotated[
        str | None, typer.Option(help="Environment variable with the token clients must show.")
    ] = None,
    max_waiting: Annotated[int, typer.Option(help="Requests that may wait.")] = 16,
    max_tokens: Annotated[int | None, typer.Option(help="Most tokens of an answer.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Serve a run's newest checkpoint as /v1/chat/completions and /v1/completions."""
    from gigafactory.errors import MissingExtra, SpecError

    if run is None:
        raise SpecError("serve: name the folder of a run: giga serve RUN", field="run")
    for name, value, least in (("--max-waiting", max_waiting, 0), ("--max-tokens", max_tokens, 1)):
        if value is not None and value < least:
            raise SpecError(f"serve: {name} must be at least {least}, got {value}", field=name)
    token = _token(token_env)
    try:
        from gigafactory.run import serve as server
    except ImportError as error:
        raise MissingExtra(
            f"{error.name} is not installed: pip install 'gigafactory[train]'"
        ) from None
    with server.listening(host, port, has_token=bool(token)) as bound:
        served = server.load(run, max_tokens=max_tokens)
        url = f"http://{_named(bound.getsockname())}/v1"
        if as_json:
            typer.echo(_line(url, served.name))
        else:
            typer.echo(f"{served.name} answers at {url}; Ctrl-C ends it", err=True)
        server.serve(served, bound, token=token, max_waiting=max_waiting)


def _token(variable: str | None) -> str:
    """Return the token that an environment variable holds, "" where none is named."""
    import os

    from gigafactory.errors import SpecError

    if variable is None:
        return ""
    token = os.environ.get(variable, "").strip()
    if not token:
        raise SpecError(
            f"serve: --token-env names {variable}, which is not set or empty", field="token_env"
        )
    return token


def _named(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _line(url: str, model: str) -> str:
    import json
    import os

    return json.dumps({"schema": 1, "url": url, "model": model, "pid": os.getpid()})
