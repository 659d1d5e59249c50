"""How long to wait before the next attempt, by what went wrong; each platform states its own."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ladder:
    """Waits that grow from `first_s` to `most_s`: by `plus_s`, then times `times`."""

    first_s: float
    most_s: float
    plus_s: float = 0.0
    times: float = 1.0

    def wait_s(self, attempt: int) -> float:
        """Return the wait before attempt number `attempt`, counted from 0.

        >>> [Ladder(0.0, 0.6, plus_s=0.25).wait_s(n) for n in range(4)]
        [0.0, 0.25, 0.5, 0.6]
        >>> [Ladder(5.0, 320.0, times=2.0).wait_s(n) for n in (0, 1, 6, 5000)]
        [5.0, 10.0, 320.0, 320.0]
        """
        steps = min(attempt, 1000)
        return min(self.most_s, (self.first_s + self.plus_s * steps) * self.times**steps)


@dataclass(frozen=True, slots=True)
class Manners:
    """What a platform asks of those who come back.

    Attributes:
        network: After a connection that failed or ended.
        server: After an HTTP error.
        rate: After 429.
    """

    network: Ladder
    server: Ladder
    rate: Ladder


# Source: X, "Handling disconnections": linear by 250 ms to 16 s; from 5 s doubling to 320 s; from
# 1 minute doubling, without a bound stated (here the window of 15 minutes that limits count in).
X: Manners = Manners(
    network=Ladder(0.0, 16.0, plus_s=0.25),
    server=Ladder(5.0, 320.0, times=2.0),
    rate=Ladder(60.0, 900.0, times=2.0),
)
# Jetstream and Mastodon state none: at once after a drop, then doubling; a Mastodon server counts
# its limits in windows of 5 minutes, and tells when they end.
OPEN: Manners = Manners(
    network=Ladder(0.0, 30.0, plus_s=0.5),
    server=Ladder(2.0, 120.0, times=2.0),
    rate=Ladder(30.0, 300.0, times=2.0),
)


@dataclass(slots=True)
class Backoff:
    """Counts failures in a row, one ladder each; what arrives sets all of them back."""

    manners: Manners
    _failures: dict[str, int] = field(default_factory=dict)

    def reset(self) -> None:
        """Begin anew: the connection works."""
        self._failures.clear()

    def network_s(self) -> float:
        """Return the wait after one more connection that failed or ended."""
        return self.manners.network.wait_s(self._count("network"))

    def server_s(self) -> float:
        """Return the wait after one more HTTP error."""
        return self.manners.server.wait_s(self._count("server"))

    def rate_s(self) -> float:
        """Return the wait after one more 429."""
        return self.manners.rate.wait_s(self._count("rate"))

    def _count(self, kind: str) -> int:
        before = self._failures.get(kind, 0)
        self._failures[kind] = before + 1
        return before
