"""What a feature extractor is: a fixed network that turns pictures into vectors, in which distances mean something.

Distances by one extractor do not compare with those by another, nor with those by the same network after another
resizing: `Facts` goes into the protocol of every score.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gan_core.artifacts import digest_of

Images = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the numbers of an extractor depend on, and what may be said of them.

    Attributes:
        name: as in EXTRACTORS, or of the file.
        title: for readers, such as "Inception-v3 (2015)".
        weights: SHA-256 of the weights, 64 hex digits; of what determines them where they are drawn from a seed.
        resizing: how a picture gets the network's size, such as "legacy" or "clean"; "none" where it stays as it is.
        side: pixels of the square picture that the network sees; 0 where it takes any.
        dimensions: length of a feature vector.
        classes: length of a vector of logits; 0 where there is none.
        is_published: whether these are the weights and the network of published FIDs: only then do measures have
            their plain names (FID, KID, Inception Score).
        note: what the numbers can and cannot be compared with, a sentence.
        version: bump when the same weights would give other features.
    """

    name: str
    title: str
    weights: str
    resizing: str
    side: int
    dimensions: int
    classes: int = 0
    is_published: bool = False
    note: str = ""
    version: int = 1

    @property
    def digest(self) -> str:
        """What determines the features of a picture, 64 hex digits."""
        facts = asdict(self)
        return digest_of({key: facts[key] for key in ("name", "weights", "resizing", "side", "version")})


@dataclass(frozen=True)
class Extracted:
    """What an extractor makes of pictures: float32 [N, dimensions], and logits float32 [N, classes] or None."""

    features: Features
    logits: Features | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which extractor a user asks for.

    Attributes:
        name: a key of EXTRACTORS, "keras:NAME" of keras.applications, or the path of an .onnx or .keras file.
        weights: a file or an address of weights; empty is the extractor's own.
        resizing: empty is the extractor's own.
        downloads: the folder of files that were downloaded, `<data root>/weights`.
    """

    name: str
    weights: str = ""
    resizing: str = ""
    downloads: Path = Path("data/weights")


class Extractor(Protocol):
    """A network and its weights. `facts` is known before the first picture."""

    @property
    def facts(self) -> Facts:
        """What the numbers depend on."""
        ...

    def extract(self, images: Images) -> Extracted:
        """Return what the network makes of uint8 [N, S, S, C] in [0, 255], C = 1 or 3 (grey is repeated thrice).

        Picture i's features do not depend on the others, up to rounding. N may be anything; memory is bounded by
        batches inside.
        """
        ...


def describe(facts: Facts) -> dict[str, Any]:
    """Return the facts as JSON types, with the digest."""
    return {**asdict(facts), "digest": facts.digest}
