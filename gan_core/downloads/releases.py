"""Files to download, and data sets whose owners allow that: addresses, sizes and SHA-256 of the official files.

Sizes and checksums are those of tensorflow_datasets (url_checksums/); for CIFAR-10 and Fashion-MNIST the MD5 sums that
the owners publish belong to the same files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gan_core.artifacts import digest_of


@dataclass(frozen=True)
class RemoteFile:
    """One file, as every address must have it.

    Attributes:
        name: what it is called here.
        size_bytes: None where only the server knows.
        sha256: 64 hex digits, or the first of them, as many as are known; empty takes any bytes.
    """

    name: str
    size_bytes: int | None
    sha256: str


@dataclass(frozen=True)
class Release:
    """A data set as its owner published it.

    Attributes:
        mirrors: base addresses, each followed by a slash and the name of a file; tried in this order.
        files: what there is.
        counts: split -> number of pictures.
    """

    mirrors: tuple[str, ...]
    files: tuple[RemoteFile, ...]
    counts: Mapping[str, int]

    @property
    def fingerprint(self) -> str:
        """The SHA-256 over the checksums of all files: known before any is here."""
        return digest_of({"keys": _KEYS_VERSION, "files": {file.name: file.sha256 for file in self.files}})


_KEYS_VERSION = 1  # bump when the same files would be listed otherwise
_MNIST_COUNTS = {"train": 60_000, "test": 10_000}

RELEASES: dict[str, Release] = {
    "cifar10": Release(
        mirrors=("https://www.cs.toronto.edu/~kriz", "https://cave.cs.toronto.edu/kriz"),
        # The binary version: the same pictures as in the pickles, and nothing to be careful about.
        files=(
            RemoteFile(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        counts={"train": 50_000, "test": 10_000},
    ),
    "mnist": Release(
        # yann.lecun.com, the first home, answers only now and then.
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist",
        ),
        files=(
            RemoteFile(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            RemoteFile(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            RemoteFile(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            RemoteFile(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
        counts=_MNIST_COUNTS,
    ),
    "fashion-mnist": Release(
        mirrors=(
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        ),
        files=(
            RemoteFile(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            RemoteFile(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            RemoteFile(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            RemoteFile(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
        counts=_MNIST_COUNTS,
    ),
}
