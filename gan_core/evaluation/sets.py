"""Sets of pictures as measures see them: some of the pictures, and what an extractor made of all of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gan_core import artifacts
from gan_core.artifacts import digest_of
from gan_core.dataset import Indices, Pictures
from gan_core.extractors.base import Extracted, Extractor, Features, Images
from gan_core.handoff import DatasetManifest, slug
from gan_core.measures.features import Tick, no_tick
from gan_core.measures.frechet import FrechetReference
from gan_core.measures.moments import moments_of
from gan_core.measures.neighbours import Comparison, Manifold, compare

PICTURES = 4096  # of a set, at most, for measures that look at pixels: 50,000 at 64x64 would take 12 GB
_AT_ONCE = 256  # pictures read, generated and extracted between two signs of progress
_FORMAT = 1  # bump when the same pictures and extractor would give another folder

Rows = npt.NDArray[np.int64]
Step = Callable[[], None]


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures of one kind. What several measures need of a real set is worked out once.

    Attributes:
        images: uint8 [n, S, S, C] in [0, 255]: the first of the set, at most PICTURES.
        features: float32 [N, D], N >= n.
        logits: float32 [N, K], None where the extractor has none.
        rows: int64 [N, k], the condition of each picture (a class, or values of attributes); None where there is none.
    """

    images: Images
    features: Features
    logits: Features | None = None
    rows: Rows | None = None

    def __len__(self) -> int:
        return len(self.features)

    @functools.cached_property
    def frechet(self) -> FrechetReference:
        """The set as the reference of Fréchet distances."""
        return FrechetReference(moments_of(self.features))

    @functools.cached_property
    def manifold(self) -> Manifold:
        """The set as balls that reach to neighbours."""
        return Manifold(self.features)

    def at(self, chosen: Rows) -> PictureSet:
        """Return the part of the set at these positions, which ascend."""
        return replace(
            self,
            images=self.images[chosen[chosen < len(self.images)]],
            features=self.features[chosen],
            logits=None if self.logits is None else self.logits[chosen],
            rows=None if self.rows is None else self.rows[chosen],
        )


@dataclass(frozen=True, eq=False)
class Sets:
    """What a measure compares.

    Attributes:
        reference: real pictures.
        fake: generated ones.
        half_a: real pictures for the floor; `reference` itself where there are enough others beside it.
        half_b: others, none of half_a, as many as there are generated ones, or as there are in half_a.
        known: training pictures, none of half_b, among which copies are looked for.
        tick: called with done and total by measures that take long, from 0 to their end each time.
    """

    reference: PictureSet
    fake: PictureSet
    half_a: PictureSet
    half_b: PictureSet
    known: PictureSet
    tick: Tick = no_tick

    @functools.cached_property
    def compared(self) -> tuple[Comparison, Comparison]:
        """What balls say of the generated pictures, and of half_b beside half_a."""
        value = compare(self.reference.manifold, self.fake.features, tick=self.tick)
        return value, compare(self.half_a.manifold, self.half_b.features, tick=self.tick)

    @functools.cached_property
    def copied(self) -> tuple[Comparison, Comparison]:
        """What the known pictures' balls say of the generated pictures, and of half_b. Only neighbours count here."""
        if self.known is self.half_a and self.half_a is self.reference:
            return self.compared
        manifold = self.known.manifold
        value = compare(manifold, self.fake.features, repeats=0, tick=self.tick)
        return value, compare(manifold, self.half_b.features, repeats=0, tick=self.tick)


def extract(extractor: Extractor, batches: Iterable[Images], step: Step) -> PictureSet:
    """Return the set of all pictures of `batches`, uint8 [N, S, S, C]; only the first PICTURES stay in memory."""
    images: list[Images] = []
    features: list[Features] = []
    logits: list[Features] = []
    kept = 0
    for batch in batches:
        found = extractor.extract(batch)
        features.append(found.features)
        if found.logits is not None:
            logits.append(found.logits)
        if kept < PICTURES:
            images.append(batch[: PICTURES - kept])
            kept += len(images[-1])
        step()
    return PictureSet(np.concatenate(images), np.concatenate(features), np.concatenate(logits) if logits else None)


def real_features(
    dataset: DatasetManifest,
    split: str,
    pictures: Pictures,
    order: Indices,
    extractor: Extractor,
    step: Step,
) -> Extracted:
    """Return what the extractor makes of the real pictures at `order`, from the cache where they are there.

    The cache is `<data root>/references/`, a folder for each data set and extractor, by both digests; it has the first
    pictures of `dataset.reference_order`, as many as were asked for so far, and is made anew when more are.

    Returns:
        arrays of len(order), mapped from the cache's files.

    Raises:
        ArtifactError, ConfigError: a shard is damaged; the cache cannot be written.
    """
    facts = extractor.facts
    digest = digest_of({"format": _FORMAT, "dataset": dataset.digest, "split": split, "extractor": facts.digest})
    name = f"{slug(dataset.name)}-{dataset.resolution}-{slug(Path(facts.name).stem)}-{digest[:12]}"
    folder = dataset.path.parent.parent / "references" / name
    if not _has(folder, digest, len(order)):
        with artifacts.publishing(folder) as draft:
            if not _has(folder, digest, len(order)):  # else from a process that this one had to wait for
                found = extract(extractor, _read(pictures, order), step)
                np.save(draft / "features.npy", found.features, allow_pickle=False)
                if found.logits is not None:
                    np.save(draft / "logits.npy", found.logits, allow_pickle=False)
                fields = {"count": len(order), "split": split, "dataset": dataset.digest, "extractor": facts.digest}
                artifacts.write_manifest(draft, "reference", digest, fields)
    names = [name for name in ("features.npy", "logits.npy") if (folder / name).is_file()]
    arrays = [np.load(folder / name, mmap_mode="r", allow_pickle=False)[: len(order)] for name in names]
    return Extracted(arrays[0], arrays[1] if len(arrays) > 1 else None)


def _has(folder: Path, digest: str, count: int) -> bool:
    found = artifacts.find(folder, "reference", digest)
    return found is not None and int(found.fields["count"]) >= count


def _read(pictures: Pictures, order: Indices) -> Iterable[Images]:
    return (pictures.read(order[start : start + _AT_ONCE]) for start in range(0, len(order), _AT_ONCE))


def steps(count: int) -> int:
    """Return how often `extract` reports for so many pictures."""
    return -(-count // _AT_ONCE)
