"""Who drafts answers, and from which feed: what `giga chat` and `giga serve` have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from gigafactory.errors import MissingExtra, SpecError

if TYPE_CHECKING:
    from gigafactory.grok.lasting_feed import LastingFeed
    from gigafactory.grok.modelled import ChatModel

EXTRACTIVE: Final = "extractive"
EMBEDDED: Final = "embedded"
MODELS: Final = (EXTRACTIVE, EMBEDDED)


def chat_model(
    model: str | None, endpoint: str, endpoint_model: str, token: str
) -> ChatModel | None:
    """Return the model that is asked for; None to quote posts.

    Args:
        model: "extractive" or "embedded"; None for the endpoint, or else extractive.
        endpoint: URL of an OpenAI-compatible API; empty for none.
        endpoint_model: The model to ask it for; empty for the first it lists.
        token: What to show there; empty for none.

    Raises:
        SpecError: No such model, or options that contradict each other.
        MissingExtra: Its packages are not installed.
    """
    if model is not None and model not in MODELS:
        raise SpecError(f"--model must be one of {', '.join(MODELS)}, got {model!r}", field="model")
    if endpoint and model is not None:
        raise SpecError("--model and --endpoint exclude each other", field="model")
    if (endpoint_model or token) and not endpoint:
        raise SpecError("without --endpoint there is no model or token to name", field="endpoint")
    with installed("grok"):
        if endpoint:
            from gigafactory.grok.endpoint import Endpoint

            return Endpoint(endpoint, model=endpoint_model, token=token)
        if model == EMBEDDED:
            from gigafactory.grok.embedded import Embedded, weights

            weights()
            return Embedded()
    return None


def feed_here() -> LastingFeed:
    """Return the feed under GIGA_HOME.

    Raises:
        CatalogError: It cannot be read.
        MissingExtra: The packages of `[grok]` are not installed.
    """
    with installed("grok"):
        from gigafactory.grok.home import feed_home
        from gigafactory.grok.lasting_feed import LastingFeed

        return LastingFeed(feed_home())


@contextlib.contextmanager
def installed(extra: str) -> Iterator[None]:
    """Name the extra to install where a package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{error.name} is not installed: pip install 'gigafactory[{extra}]'"
        ) from None
