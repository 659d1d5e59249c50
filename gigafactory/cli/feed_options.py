"""The options that `giga chat` and `giga serve` share: who drafts, and how posts are judged."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[
    str | None,
    typer.Option(help="Who answers: extractive (quotes posts of the feed) or embedded."),
]
Endpoint = Annotated[str, typer.Option(help="OpenAI-compatible API that drafts from the feed.")]
EndpointModel = Annotated[str, typer.Option(help="Model to ask it for.")]
EndpointTokenEnv = Annotated[
    str | None, typer.Option(help="Environment variable with the token to show it.")
]
Rerank = Annotated[
    bool, typer.Option("--rerank", help="Order posts of the feed by meaning too; needs [rerank].")
]
Reader = Annotated[
    bool | None,
    typer.Option(
        "--reader/--no-reader",
        help="Read posts of the feed with the question; default: where [reader] is installed.",
    ),
]
