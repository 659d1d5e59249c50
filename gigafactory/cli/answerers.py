"""Who drafts answers, and from which feed: what `giga chat` and `giga serve` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gigafactory.cli.feed import needing_grok
from gigafactory.errors import MissingExtra, SpecError

if TYPE_CHECKING:
    from gigafactory.grok.doors import Searchable
    from gigafactory.grok.modelled import ChatModel
    from gigafactory.grok.reader import Reader

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
    with needing_grok():
        if endpoint:
            from gigafactory.grok.endpoint import Endpoint

            return Endpoint(endpoint, model=endpoint_model, token=token)
        if model == EMBEDDED:
            from gigafactory.grok.embedded import Embedded, weights

            weights()
            return Embedded()
    return None


def feed_here(*, rerank: bool) -> Searchable:
    """Return the feed under GIGA_HOME, re-ranked by meaning if that is asked for.

    Raises:
        CatalogError: It cannot be read.
        MissingExtra: The packages of `[grok]`, or of `[rerank]`, are not installed.
    """
    with needing_grok():
        from gigafactory.grok.feed import Feed
    from gigafactory.grok.home import feed_home

    feed = Feed(feed_home())
    if not rerank:
        return feed
    from gigafactory.grok.embedding import Embedder
    from gigafactory.grok.rerank import Reranked

    return Reranked(feed, Embedder())


def reader_here(wanted: bool | None) -> Reader | None:
    """Return who reads question and posts together; None if nobody.

    Args:
        wanted: None for whether its packages are installed.

    Raises:
        CatalogError: Its weights cannot be read.
        MissingExtra: It is wanted, and the packages of `[reader]` are not installed.
    """
    if wanted is False:
        return None
    with needing_grok():
        from gigafactory.grok.reader import Reader
    try:
        return Reader()
    except MissingExtra:
        if wanted:
            raise
        return None
