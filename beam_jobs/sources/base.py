"""What every source of pictures offers, and what follows from a listing: the sample and its summary."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar, Protocol

from beam_jobs.names import Names, key_hash
from beam_jobs.pixels.decoding import Pixels
from gan_core.config import DataConfig
from gan_core.errors import ConfigError, DataError
from gan_core.handoff import ImageRef, SourceSummary
from gan_core.paths import is_address, path_of
from gan_core.progress import ReportProgress

# Both are offered on shared drives with quotas and under terms that a plain download cannot ask for.
_HOW_TO_GET = {
    "celeba": "data.path is empty and CelebA must be fetched by hand: agree to its terms (non-commercial research) on "
    "mmlab.ie.cuhk.edu.hk/projects/CelebA.html, put img_align_celeba.zip, list_attr_celeba.txt, "
    "list_eval_partition.txt, list_landmarks_align_celeba.txt and identity_CelebA.txt into one folder, and give "
    "--source FOLDER; 'faceloom data verify --source FOLDER' checks the files",
    "ffhq": "data.path is empty and FFHQ must be fetched by hand: follow github.com/NVlabs/ffhq-dataset (terms: "
    "CC BY-NC-SA 4.0 and the licence of each picture), put thumbnails128x128 (2 GB) or images1024x1024 (89 GB) and "
    "ffhq-dataset-v2.json into one folder, and give --source FOLDER; 'faceloom data verify --source FOLDER' checks "
    "the files",
}


_OWN_TEST_SPLIT = ("synthetic", "cifar10", "mnist", "fashion-mnist")


class Reader(Protocol):
    """Fetches the bytes of one picture. Small and picklable; opens its handles in the process that reads."""

    def read(self, ref: ImageRef) -> bytes | Pixels:
        """Return the bytes of the picture's file; or its pixels, where the source holds those: uint8 [H, W, 1 or 3].

        Raises:
            Reject: `missing`, `unreadable` or `changed`: this picture only.
            DataError: the whole source cannot be read any more.
        """
        ...


class Source(Protocol):
    """One place with pictures, in one layout.

    Attributes:
        kind: the key in SOURCES.
        name: what data set folders are called after.
        location: the folder or archive that is read.
        attribute_names: names of the 0/1 attributes of every ImageRef, may be empty.
        label_names: names of the classes that `ImageRef.label` counts, may be empty; complete after `list`.
        notes: remarks on the listing for the user, one line each; complete after `list`.
    """

    kind: ClassVar[str]
    name: str
    location: Path
    attribute_names: tuple[str, ...]
    label_names: tuple[str, ...]
    notes: list[str]

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Whether `path`, which exists, has this layout: what `data.kind=auto` asks."""
        ...

    @classmethod
    def open(cls, config: DataConfig, data_root: Path) -> Source:
        """Check the layout, quickly. Raises ConfigError or DataError when it does not fit."""
        ...

    def planned(self) -> SourceSummary | None:
        """Return the summary where it is known without any picture (synthetic), else None."""
        ...

    def fetch(self, report_progress: ReportProgress) -> None:
        """Bring the pictures to `location`, where they are not there yet."""
        ...

    def list(self) -> Iterable[ImageRef]:
        """Return every picture, in any order, without opening any."""
        ...

    def reader(self) -> Reader:
        """Return what fetches the bytes."""
        ...


def source_path(config: DataConfig) -> Path:
    """Return `data.path`, absolute: workers may run elsewhere. Raises ConfigError when it is empty."""
    if not config.path:
        raise ConfigError(
            _HOW_TO_GET.get(config.kind)
            or f"data.path is empty and data.kind={config.kind} reads pictures of yours; "
            "give --source PATH, or data.kind=synthetic to let faceloom draw them"
        )
    if is_address(config.path):
        return path_of(config.path)
    # Not resolve(): a link's own name is the name of the data.
    return Path(os.path.normpath(Path(config.path).expanduser().absolute()))


def check_options(kind: str, config: DataConfig) -> None:
    """Refuse options that only another kind of source has: one that is passed over would look as if it had worked.

    Raises:
        ConfigError: `data.licences` or `data.folder_labels` is set, and does not belong to `kind`.
    """
    if config.licences and kind != "ffhq":
        raise ConfigError(
            f"data.licences filters FFHQ only, and data.kind={kind} names no licences, got {list(config.licences)}; "
            "leave it empty"
        )
    if config.test_share and kind in _OWN_TEST_SPLIT:
        raise ConfigError(
            f"data.test_share is for sources without a split test, and data.kind={kind} has one; leave it 0"
        )
    if config.folder_labels and kind != "folder":
        raise ConfigError(f"data.folder_labels=true needs data.kind=folder, got {kind}; set one or the other")


def survey(source: Source, config: DataConfig) -> tuple[SourceSummary, Names]:
    """List the source, take the sample that `data.limit` asks for, and sum it up.

    Raises:
        DataError: there is no picture.
    """
    names = Names.of(held_out(sample(source.list(), config.limit), config.test_share))
    if not names:
        raise DataError(f"there is no picture in {source.location}")
    planned = source.planned()
    digest = planned.fingerprint if planned else names.fingerprint()
    location = str(source.location)
    summary = SourceSummary(source.kind, source.name, location, digest, names.counts(), tuple(source.notes))
    return summary, names


def held_out(refs: Iterable[ImageRef], share: float) -> Iterator[ImageRef]:
    """Yield the pictures, about `share` of the training ones in split test.

    A name's hash decides, so a picture stays in its split when others are added, and a retraining is tested on what its
    predecessors have not seen either. Another hash than `sample`'s: that one takes the smallest.

    Raises:
        ConfigError: the source has a split test of its own.
    """
    limit = int(share * 2**64)
    for ref in refs:
        if share and ref.split == "test":
            raise ConfigError(f"data.test_share={share:g}, and the source has a split test of its own; leave it 0")
        is_test = ref.split == "train" and key_hash(f"test\n{ref.key}") < limit
        yield ref._replace(split="test") if is_test else ref


def sample(refs: Iterable[ImageRef], limit: int) -> Iterable[ImageRef]:
    """Return the `limit` pictures with the smallest hashes of their keys; 0: all."""
    return heapq.nsmallest(limit, refs, key=lambda ref: key_hash(ref.key)) if limit else refs
