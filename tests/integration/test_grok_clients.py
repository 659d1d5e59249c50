"""The platforms' own client libraries read the servers that our sources are tested against."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from requests.adapters import HTTPAdapter

from tests.grok_platforms.jetstream import Jetstream
from tests.grok_platforms.loopback import Act, served
from tests.grok_platforms.mastodon_platform import TOKEN as MASTODON_TOKEN
from tests.grok_platforms.mastodon_platform import MastodonPlatform
from tests.grok_platforms.x_platform import TOKEN as X_TOKEN
from tests.grok_platforms.x_platform import XPlatform, tweet

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

LIMIT_S = 30.0


class ToLoopback(HTTPAdapter):
    """Sends what is meant for a host on the internet to one on loopback."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **named: Any) -> Any:
        assert request.url is not None
        request.url = self.url + request.url.removeprefix("https://api.twitter.com")
        named["proxies"] = {}
        return super().send(request, *args, **named)


def within_limit(work: Callable[[], None]) -> None:
    """Run blocking work in a thread; fail if it does not end."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    assert not thread.is_alive(), "the client waits for something that the server does not say"
    if failed:
        raise failed[0]


def test_tweepy_sets_rules_and_reads_posts_over_a_reconnect() -> None:
    tweepy = pytest.importorskip("tweepy")
    platform = XPlatform(posts=[tweet(n, f"post {n}", (5, n)) for n in (6, 7, 8)])
    platform.acts = [Act(after=1, end="cut")]
    found: list[Any] = []
    beats: list[int] = []

    class Client(tweepy.StreamingClient):  # type: ignore[misc, name-defined]
        def on_response(self, response: Any) -> None:
            found.append(response)

        def on_keep_alive(self) -> None:
            beats.append(1)
            if len(found) >= 3:
                self.disconnect()

    with served(platform.app()) as url:
        client = Client(X_TOKEN)
        client.session.mount("https://api.twitter.com", ToLoopback(url))
        added = client.add_rules([tweepy.StreamRule("artemis", "space")])
        assert added.data[0].value == "artemis"
        again = client.add_rules([tweepy.StreamRule("artemis", "space")])
        assert again.errors[0]["title"] == "DuplicateRule"
        assert [rule.tag for rule in client.get_rules().data] == ["space"]
        # tweepy closes its session with each connection, so the adapter stays mounted
        within_limit(
            lambda: client.filter(expansions="author_id", tweet_fields="edit_history_tweet_ids")
        )
    assert [one.data.text for one in found] == ["post 6", "post 7", "post 8"]
    assert [one.data.edit_history_tweet_ids for one in found] == [[5, 6], [5, 7], [5, 8]]
    assert found[0].includes["users"][0].username == "ann"
    assert beats


def test_tweepy_looks_posts_up_and_is_told_of_those_that_are_gone() -> None:
    tweepy = pytest.importorskip("tweepy")
    platform = XPlatform(posts=[tweet(1, "here"), tweet(2, "gone")], deleted={"2"})
    with served(platform.app()) as url:
        client = tweepy.Client(X_TOKEN)
        client.session.mount("https://api.twitter.com", ToLoopback(url))
        told = client.get_tweets([1, 2])
        recent = client.search_recent_tweets("artemis", start_time="2026-01-01T00:00:00Z")
    assert [one.text for one in told.data] == ["here"]
    assert told.errors[0]["resource_id"] == "2"
    assert [one.id for one in recent.data] == [1]


def test_atproto_reads_v2_resumes_by_its_cursor_and_drops_what_is_told_again() -> None:
    atproto = pytest.importorskip("atproto_jetstream")
    jetstream = Jetstream()
    for n in range(1, 7):
        jetstream.commit("did:plc:ann", f"3mptbyoeyc22{n}", "create", f"post {n}")
    jetstream.identity("did:plc:ann", "ann.example")
    jetstream.acts = [Act(after=3, end="cut")]
    found: list[Any] = []
    with jetstream.served() as place:
        client = atproto.JetstreamClient(
            {"collections": ["app.bsky.feed.post"], "cursor": 1},
            base_uri=f"ws://{place}/xrpc",
            compress=False,
        )

        def on_message(message: Any) -> None:
            found.append(message)
            if len(found) >= 7:
                client.stop()

        within_limit(lambda: client.start(on_message))
    assert [one.seq for one in found] == [1, 2, 3, 4, 5, 6, 7]
    assert [one.record["text"] for one in found[:6]] == [f"post {n}" for n in range(1, 7)]
    assert found[6].identity.handle == "ann.example"
    cursors = [one.params["cursor"] for one in jetstream.asked]
    assert cursors == ["1", "3"]


def test_mastodon_py_hears_updates_edits_deletions_and_heartbeats() -> None:
    mastodon = pytest.importorskip("mastodon")
    platform = MastodonPlatform()
    platform.write(11, "<p>post 11</p>")
    platform.edit(11, "<p>edited</p>", "2026-01-02T03:05:00Z")
    platform.write(12, "<p>post 12</p>")
    platform.delete(12)
    platform.acts = [Act(after=4, end="close")]
    told: list[tuple[str, Any]] = []

    class Listener(mastodon.StreamListener):  # type: ignore[misc, name-defined]
        def on_update(self, status: Any) -> None:
            told.append(("update", status.content))

        def on_status_update(self, status: Any) -> None:
            told.append(("edit", status.content))

        def on_delete(self, status_id: Any) -> None:
            told.append(("delete", str(status_id)))

        def handle_heartbeat(self) -> None:
            told.append(("heartbeat", None))

    with served(platform.app()) as url:
        client = mastodon.Mastodon(access_token=MASTODON_TOKEN, api_base_url=url)
        within_limit(lambda: client.stream_public(Listener()))
        platform.write(13, "<p>post 13</p>")
        timeline = client.timeline_public(min_id=11)
    assert [one for one in told if one[0] != "heartbeat"] == [
        ("update", "<p>post 11</p>"),
        ("edit", "<p>edited</p>"),
        ("update", "<p>post 12</p>"),
        ("delete", "12"),
    ]
    assert ("heartbeat", None) in told
    assert [one.content for one in timeline] == ["<p>post 13</p>"]
