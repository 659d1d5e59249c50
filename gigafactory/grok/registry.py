"""Sources by the names users give them: bluesky, x, mastodon:HOST, file:PATH, run:FOLDER."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gigafactory.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gigafactory.grok.doors import Source
    from gigafactory.grok.log import Log
    from gigafactory.grok.sources.stored import Kept

Reading = Callable[[], "Log"]
NAMES: Final = ("bluesky", "x", "mastodon:HOST", "file:PATH", "run:FOLDER")
X_TOKEN: Final = "X_BEARER_TOKEN"  # noqa: S105 - the name of a variable
MASTODON_TOKEN: Final = "MASTODON_TOKEN"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What sources may be asked for.

    Attributes:
        x_rules: Queries whose posts X is to deliver.
        bluesky_endpoints: Jetstream servers in place of the public ones.
        authors: DIDs: only their posts from Bluesky; all if empty.
        environ: Where tokens are.
    """

    x_rules: tuple[str, ...] = ()
    bluesky_endpoints: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


def sources_of(names: Sequence[str], options: Options, log: Reading) -> Sequence[Source]:
    """Return the sources that are named.

    Args:
        names: As in `NAMES`; none twice.
        options: What is asked of them.
        log: Gives the log once it is open: it tells which posts are kept, so that deletions find
            them.

    Raises:
        SpecError: A name is unknown or given twice, or what its source needs is missing.
    """
    made: dict[str, Source] = {}
    for name in names:
        source = _source(name, options, log)
        if source.name in made:
            raise SpecError(f"{name}: is given twice", field="sources")
        made[source.name] = source
    return tuple(made.values())


def _source(name: str, options: Options, log: Reading) -> Source:
    kind, _, rest = name.partition(":")
    make = _MAKERS.get(kind)
    if make is None or bool(rest) != (kind in {"mastodon", "file", "run"}):
        raise SpecError(
            f"{name!r} is no source: it must be one of {', '.join(NAMES)}", field="sources"
        )
    return make(rest, options, log)


def _bluesky(_rest: str, options: Options, log: Reading) -> Source:
    from gigafactory.grok.sources.bluesky import ENDPOINTS, BlueskySource

    return BlueskySource(
        endpoints=options.bluesky_endpoints or ENDPOINTS, dids=options.authors, kept=_kept(log)
    )


def _x(_rest: str, options: Options, log: Reading) -> Source:
    from gigafactory.grok.sources.x import XSource
    from gigafactory.grok.sources.x_rules import Rule

    token = options.environ.get(X_TOKEN, "").strip()
    if not token:
        raise SpecError(f"x: {X_TOKEN} must hold a bearer token", field=X_TOKEN)
    return XSource(token=token, rules=tuple(map(Rule, options.x_rules)), kept=_kept(log))


def _mastodon(host: str, options: Options, log: Reading) -> Source:
    from gigafactory.grok.sources.mastodon import MastodonSource

    token = options.environ.get(MASTODON_TOKEN, "").strip()
    return MastodonSource(host=host, token=token, kept=_kept(log))


def _file(path: str, _options: Options, log: Reading) -> Source:
    from gigafactory.grok.sources.lines import LinesSource

    return LinesSource(Path(path), find=lambda key: log().post(key))


def _run(folder: str, _options: Options, _log: Reading) -> Source:
    from gigafactory.grok.sources.runs import RunSource

    return RunSource(Path(folder))


_MAKERS: Final[dict[str, Callable[[str, Options, Reading], Source]]] = {
    "bluesky": _bluesky,
    "x": _x,
    "mastodon": _mastodon,
    "file": _file,
    "run": _run,
}


def _kept(log: Reading) -> Callable[[str, str], Iterable[Kept]]:
    from gigafactory.grok.sources.stored import Kept

    return lambda source, prefix: [Kept(*one) for one in log().kept(source, prefix)]
