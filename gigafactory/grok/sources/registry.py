"""Sources by their names, as the command line and the API call them.

bluesky    x    mastodon:HOST    run:FOLDER    file:PATH
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError
from gigafactory.grok.sources.stored import KeptPosts, nothing_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gigafactory.grok.doors import Source
    from gigafactory.spec.post import Post, PostKey

X_TOKEN: Final = "X_BEARER_TOKEN"  # noqa: S105  (the variable's name)
MASTODON_TOKEN: Final = "MASTODON_TOKEN"  # noqa: S105  (likewise)
FORMS: Final = "bluesky, x, mastodon:HOST, run:FOLDER or file:PATH"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What sources are asked for, and what they may ask of the log.

    Attributes:
        rules: Of X's filtered stream.
        dids: Authors on Bluesky; all if empty.
        hashtag: On Mastodon; all posts if empty.
        local: Of Mastodon, only posts written on that server.
        lookback_s: How far back a first reading begins; None for the source's own.
        kept: Which posts the log holds.
        find: A post that the log holds.
        environment: Holds the tokens.
    """

    rules: tuple[str, ...] = ()
    dids: tuple[str, ...] = ()
    hashtag: str = ""
    local: bool = False
    lookback_s: float | None = None
    kept: KeptPosts = nothing_kept
    find: Callable[[PostKey], Post | None] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


def sources_of(names: Iterable[str], options: Options) -> list[Source]:
    """Return the sources of that name, each once.

    Raises:
        SpecError: A name is none, or what a source needs is missing; all faults in one line.
    """
    found: dict[str, Source] = {}
    faults = []
    for name in names:
        try:
            source = source_of(name, options)
            found.setdefault(source.name, source)
        except SpecError as fault:
            faults.append(str(fault))
    if faults:
        raise SpecError("; ".join(faults), field="source")
    return list(found.values())


def source_of(name: str, options: Options) -> Source:
    """Return the source of a name.

    Raises:
        SpecError: There is none of that name, or what it needs is missing.
    """
    kind, _, place = name.partition(":")
    make = _MADE.get(kind)
    if make is None or bool(place) != (kind in PLACED):
        raise SpecError(f"source must be {FORMS}, got {name!r}", field="source")
    return make(place, options)


def _x(_place: str, options: Options) -> Source:
    from gigafactory.grok.sources.x import XSource
    from gigafactory.grok.sources.x_rules import Rule

    token = options.environment.get(X_TOKEN, "").strip()
    if not token:
        raise SpecError(f"x: {X_TOKEN} must hold the bearer token of an app, is not set")
    rules = tuple(Rule(value) for value in options.rules)
    return XSource(token=token, rules=rules, kept=options.kept)


def _bluesky(_place: str, options: Options) -> Source:
    from gigafactory.grok.sources.bluesky import LOOKBACK_S, BlueskySource

    back_s = LOOKBACK_S if options.lookback_s is None else options.lookback_s
    return BlueskySource(dids=options.dids, lookback_s=back_s, kept=options.kept)


def _mastodon(host: str, options: Options) -> Source:
    from gigafactory.grok.sources.mastodon import LOOKBACK_S, MastodonSource

    return MastodonSource(
        host=host,
        token=options.environment.get(MASTODON_TOKEN, "").strip(),
        local=options.local,
        hashtag=options.hashtag,
        lookback_s=LOOKBACK_S if options.lookback_s is None else options.lookback_s,
        kept=options.kept,
    )


def _run(folder: str, _options: Options) -> Source:
    from gigafactory.grok.sources.runs import RunSource

    return RunSource(Path(folder))


def _file(path: str, options: Options) -> Source:
    from gigafactory.grok.sources.lines import LinesSource

    return LinesSource(Path(path), find=options.find)


_MADE: Final[dict[str, Callable[[str, Options], Source]]] = {
    "x": _x,
    "bluesky": _bluesky,
    "mastodon": _mastodon,
    "run": _run,
    "file": _file,
}
PLACED: Final = ("mastodon", "run", "file")
