"""The weights of the Inception-v3 of 2015: which files have them, where they come from, which are the published ones.

Three files have the same numbers: the state dicts of pytorch-fid and torch-fidelity, which are one file under two
names, and TensorFlow's frozen graph of 2015, from which it was made (torch-fidelity's
util_convert_inception_weights.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_core.artifacts import locked, make_folder, sha256_file
from gan_core.downloads.download import Patience, download
from gan_core.downloads.releases import RemoteFile
from gan_core.downloads.web import check_address
from gan_core.errors import ArtifactError, ConfigError
from gan_core.extractors import inception_layers as inception
from gan_core.extractors.base import Choice
from gan_core.extractors.torch_weights import MAX_FILE_BYTES, read_state

Arrays = dict[str, npt.NDArray[np.float32]]

# The name has the first digits of the SHA-256; the others and the size are pinned by public projects that use the file,
# among them genforce.
PUBLISHED = RemoteFile(
    "pt_inception-2015-12-05-6726825d.pth",
    95_628_359,
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)
ADDRESSES = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)
PATIENCE = Patience(rounds=4)
_OPTION = "eval.weights"
_NAMED_DIGITS = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # torch.hub's convention
_COUNT = ".num_batches_tracked"


@dataclass(frozen=True)
class InceptionWeights:
    """The weights in the order of `inception_layers.tensors`.

    Attributes:
        arrays: name -> float32, as PyTorch's ports have them.
        is_published: whether the file is the published one, by its SHA-256.
    """

    arrays: Arrays
    is_published: bool

    @property
    def digest(self) -> str:
        """SHA-256 over names, shapes and little-endian float32, 64 hex digits; the same for any file that has them."""
        digest = hashlib.sha256()
        for name, array in self.arrays.items():
            digest.update(f"{name} {array.shape}\n".encode())
            digest.update(array.astype("<f4").tobytes())
        return digest.hexdigest()


def load_weights(choice: Choice, patience: Patience = PATIENCE) -> InceptionWeights:
    """Return the weights that a choice asks for, downloaded first where they are not here yet.

    Raises:
        ConfigError: the file is not there, or the address is none.
        DataError: no server has the file.
        ArtifactError: the file has other weights or is damaged, or no server can be reached.
    """
    path = weights_file(choice, patience)
    is_published = sha256_file(path) == PUBLISHED.sha256
    arrays = _from_graph(path) if path.suffix == ".pb" else dict(read_state(path))
    return InceptionWeights(_checked(arrays, path), is_published)


def weights_file(choice: Choice, patience: Patience = PATIENCE) -> Path:
    """Return the file of the weights that a choice asks for, see `load_weights`."""
    if not choice.weights:
        return _downloaded(PUBLISHED, ADDRESSES, choice.downloads, patience)
    if "://" in choice.weights:
        address = check_address(choice.weights, _OPTION, f"the file with {_OPTION}=FILE")
        name = address.rpartition("/")[2]
        digits = _NAMED_DIGITS.search(name)
        # Two addresses may end alike, and what the one gave is not what the other gives.
        folder = choice.downloads / hashlib.sha256(address.encode()).hexdigest()[:12]
        return _downloaded(RemoteFile(name, None, digits[1] if digits else ""), [address], folder, patience)
    path = Path(choice.weights).expanduser()
    if not path.is_file():
        raise ConfigError(f"{_OPTION} names {path}, which is no file; name a .pth or .pb file, or an http address")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ArtifactError(f"{path} has more than {MAX_FILE_BYTES} bytes; name a file of network weights")
    return path


def _downloaded(file: RemoteFile, addresses: tuple[str, ...] | list[str], folder: Path, patience: Patience) -> Path:
    make_folder(folder)
    advice = f"get it elsewhere and name it with --set {_OPTION}=FILE, or put it into {folder} under this name"
    with locked(folder / f".{file.name}.lock"):
        return download(file, addresses, folder, lambda _: None, patience, advice=advice)


def _checked(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> Arrays:
    """Return the arrays in order. Raises ArtifactError where one is missing, or has another shape or type."""
    checked = {}
    for name, shape in inception.tensors():
        array = arrays.get(name)
        if array is None or array.shape != shape or array.dtype != np.float32:
            found = "nothing" if array is None else f"{array.dtype} {array.shape}"
            raise ArtifactError(
                f"{path} has no weights of the Inception-v3 of 2015: {name} must be float32 {shape}, and is {found}; "
                f"name another file with {_OPTION}"
            )
        if not np.isfinite(array).all():
            raise ArtifactError(f"{path} has numbers in {name} that are not finite; get the file again")
        checked[name] = array
    others = [name for name in arrays if name not in checked and not name.endswith(_COUNT)]
    if others:
        raise ArtifactError(f"{path} has '{others[0][:80]}' too: it is of another network; name another file")
    return checked


def _from_graph(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the weights in TensorFlow's frozen graph, named and ordered as in PyTorch's ports."""
    constants = _constants(path)

    def constant(name: str, dimensions: int) -> npt.NDArray[Any]:
        array = constants.get(name)
        if array is None or array.ndim != dimensions:
            raise ArtifactError(f"{path} has no weights '{name}' of {dimensions} dimensions; name the graph of 2015")
        return array

    arrays = {}
    parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    for weights in inception.convolutions():
        kernel = constant(f"{weights.graph_name}/conv2d_params", 4)
        arrays[f"{weights.name}.conv.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        for part, name in parts.items():
            arrays[f"{weights.name}.bn.{part}"] = constant(f"{weights.graph_name}/batchnorm/{name}", 1)
    arrays["fc.weight"] = np.ascontiguousarray(constant("softmax/weights", 2).T)
    arrays["fc.bias"] = constant("softmax/biases", 1)
    return arrays


def _constants(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return name -> value of the constants of a graph; nothing of it is run."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.framework import graph_pb2
    from tensorflow.python.framework import tensor_util

    graph = graph_pb2.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
        nodes = [node for node in graph.node if node.op == "Const"]
        return {node.name: tensor_util.MakeNdarray(node.attr["value"].tensor) for node in nodes}
    except (DecodeError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is no graph of TensorFlow ({type(error).__name__}); get the file again") from None
