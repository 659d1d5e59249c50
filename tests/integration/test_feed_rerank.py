"""Re-ranking by the packaged model: meaning counts, files are checked, nothing is written."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gigafactory.errors import CatalogError, MissingExtra
from gigafactory.grok.embedding import TOKENIZER, WEIGHTS, Embedder
from gigafactory.grok.feed import Feed
from gigafactory.grok.home import FeedHome
from gigafactory.grok.keeper import Keeper
from gigafactory.grok.rerank import Reranked
from gigafactory.spec.post import Query
from tests.made_posts import NOON, batch, post

if TYPE_CHECKING:
    from pathlib import Path

MISSING = [
    one for one in ("onnxruntime", "tokenizers", WEIGHTS.package, TOKENIZER.package)
    if importlib.util.find_spec(one) is None
]  # fmt: skip
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder()


def test_texts_of_like_meaning_are_nearer(embedder: Embedder) -> None:
    rocket, launch, soup = embedder.vectors(
        ["The rocket lifted off at dawn.", "A spacecraft was launched this morning.", "Hot soup."]
    )
    assert rocket @ launch > 0.5 > 0.3 > rocket @ soup
    assert np.linalg.norm(rocket) == pytest.approx(1, abs=1e-5)


def test_a_vector_does_not_depend_on_what_it_is_made_with_beyond_rounding(
    embedder: Embedder,
) -> None:
    long = "a long text about many things " * 20
    (alone,) = Embedder().vectors(["The rocket lifted off."])
    together = embedder.vectors([long, "The rocket lifted off.", long])
    assert alone @ together[1] > 0.98, "8-bit activations are scaled by batch"


def test_what_was_embedded_is_remembered(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = embedder.vectors(["once", "twice"])

    def never(_texts: list[str]) -> list[object]:
        assert not _texts
        return []

    monkeypatch.setattr(embedder, "_made", never)
    assert np.array_equal(embedder.vectors(["twice", "once", "once"]), before[[1, 0, 0]])


def test_odd_texts_are_embedded(embedder: Embedder) -> None:
    assert embedder.vectors(["", "\0", "half \ud800", "花火", "x" * 100_000]).shape == (5, 384)


def test_meaning_lifts_a_post_that_words_rank_low(tmp_path: Path, embedder: Embedder) -> None:
    home = FeedHome(tmp_path)
    keeper = Keeper(home, lambda: NOON)
    decoys = [post(f"d{n}", f"launch party, launch sale, launch lunch {n}") for n in range(3)]
    wanted = post(
        "w", "After long preparation came the launch of a rocket that carried astronauts to orbit."
    )
    keeper.write([batch(*decoys, wanted)])
    keeper.close()
    feed = Feed(home)
    query = Query(words="spacecraft launch")
    by_words = [hit.post.id for hit in feed.search(query)]
    assert by_words[-1] == "w"
    reranked = Reranked(feed, embedder).search(query)
    assert [hit.post.id for hit in reranked].index("w") < 3
    assert [hit.score for hit in reranked] == sorted((h.score for h in reranked), reverse=True)
    assert len(Reranked(feed, embedder).search(Query(words="launch", limit=2))) == 2
    newest = Query(words="launch", newest_first=True)
    assert Reranked(feed, embedder).search(newest) == feed.search(newest)


def test_files_other_than_those_that_were_tried_are_refused() -> None:
    for wrong in (WEIGHTS, TOKENIZER):
        with pytest.raises(CatalogError, match=r"SHA-256 must be 000, got [0-9a-f]{64}"):
            wrong._replace(sha256="000").checked()
    with pytest.raises(CatalogError, match="SHA-256 must be 000"):
        Embedder(weights=WEIGHTS._replace(sha256="000"))


def test_a_package_that_is_missing_is_named_with_its_extra() -> None:
    with pytest.raises(MissingExtra, match=r"no_such_weights .*gigafactory\[rerank\]"):
        WEIGHTS._replace(package="no_such_weights").path()
