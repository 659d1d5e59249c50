"""What is counted, as Prometheus reads it; in a registry of this server's own."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from gigafactory.grok.told import age_s
from gigafactory.spec.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from gigafactory.spec.answer import Sentence
    from gigafactory.spec.post import Freshness

SECONDS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
STATES: Final = ("live", "catching_up", "down", "stopped")


class Meters:
    """All counters."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self.requests = Counter("giga_requests", "Requests.", ["path", "status"], registry=own)
        self._first = Histogram(
            "giga_first_sentence_seconds", "From a question to its first sentence.",
            buckets=SECONDS, registry=own,
        )  # fmt: skip
        self._whole = Histogram(
            "giga_answer_seconds", "From a question to the end of its answer.",
            buckets=SECONDS, registry=own,
        )  # fmt: skip
        self._answers = Counter("giga_answers", "Answers, by who drafted.", ["model"], registry=own)
        self._abstained = Counter("giga_abstained", "Answers: nothing found.", registry=own)
        self._dropped = Counter(
            "giga_dropped_sentences", "Drafted sentences that no post supports.", registry=own
        )
        self._unfinished = Counter(
            "giga_unfinished_answers", "Answers whose client left, or that failed.", registry=own
        )
        self._present = Gauge(
            "giga_answers_in_progress", "Answers that are made or wait.", registry=own
        )

    @contextmanager
    def answer(self) -> Iterator[Stopwatch]:
        """Count one answer: give the stopwatch that is shown what is said."""
        self._present.inc()
        watch = Stopwatch(self._first, time.perf_counter())
        try:
            yield watch
        finally:
            self._present.dec()
            self._count(watch)

    def _count(self, watch: Stopwatch) -> None:
        if watch.answer is None:
            self._unfinished.inc()
            return
        self._whole.observe(time.perf_counter() - watch.begun)
        self._answers.labels(watch.answer.model).inc()
        self._abstained.inc(watch.answer.abstained)
        self._dropped.inc(watch.answer.dropped)

    def text(self, freshness: Freshness) -> bytes:
        """Return all of it, and how the feed stands, in Prometheus' format of text."""
        feed = CollectorRegistry()
        feed.register(_Feed(freshness))
        return generate_latest(self._registry) + generate_latest(feed)


class Stopwatch:
    """Times one answer."""

    def __init__(self, first: Histogram, begun: float) -> None:
        self._first, self.begun = first, begun
        self._spoken = False
        self.answer: Answer | None = None

    def see(self, part: Sentence | Answer) -> None:
        """Take note of what is said."""
        if not self._spoken:
            self._first.observe(time.perf_counter() - self.begun)
            self._spoken = True
        if isinstance(part, Answer):
            self.answer = part


class _Feed:
    """How the feed stands at one moment."""

    def __init__(self, freshness: Freshness) -> None:
        self._freshness = freshness

    def collect(self) -> Iterator[Metric]:
        """Yield its measures."""
        fresh = self._freshness
        newest = GaugeMetricFamily("giga_feed_newest_post_age_seconds", "Age of the newest post.")
        if fresh.newest_at is not None:
            newest.add_metric([], age_s(fresh.newest_at, fresh.as_of))
        lag = GaugeMetricFamily(
            "giga_feed_lag_seconds", "From a platform's event to its arrival.", labels=["source"]
        )
        posts = GaugeMetricFamily("giga_feed_posts", "Posts held.", labels=["source"])
        state = GaugeMetricFamily(
            "giga_feed_source_state", "1 for the state it is in.", labels=["source", "state"]
        )
        met = CounterMetricFamily("giga_feed_incidents", "Met.", labels=["source", "kind"])
        for one in fresh.sources:
            posts.add_metric([one.source], one.posts)
            if one.lag_s is not None:
                lag.add_metric([one.source], one.lag_s)
            for name in STATES:
                state.add_metric([one.source, name], one.state == name)
            for kind, count in one.incidents.items():
                met.add_metric([one.source, kind], count)
        yield from (newest, lag, posts, state, met)
