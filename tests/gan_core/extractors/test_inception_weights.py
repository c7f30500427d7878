from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gan_core.downloads.download import Patience
from gan_core.errors import ArtifactError, ConfigError, DataError
from gan_core.extractors import inception_layers, inception_weights
from gan_core.extractors.base import Choice
from gan_core.extractors.inception_weights import PUBLISHED, InceptionWeights, load_weights
from tests.http_server import Answer, Site, serving
from tests.random_inception import arrays
from tests.torch_files import streamed, zipped

HURRIED = Patience(rounds=2, timeout_s=0.3, sleep=lambda _: None)


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two convolutions, a block with towers and few classes: what the real one has, in kilobytes. And no proxy."""
    monkeypatch.setattr(inception_layers, "LAYERS", (*inception_layers.LAYERS[:2], inception_layers._b("Mixed_6a")))
    monkeypatch.setattr(inception_layers, "CLASSES", 3)
    monkeypatch.setattr(inception_layers, "FEATURES", 4)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def choice(folder: Path, weights: str | Path = "") -> Choice:
    """Return the choice of weights, with a folder for downloads."""
    return Choice(name="inception-2015", weights=str(weights), downloads=folder / "downloads")


def graph(folder: Path, leave_out: str = "") -> Path:
    """Return a frozen graph with the random weights."""
    from tensorflow.core.framework import graph_pb2
    from tensorflow.python.framework import tensor_util

    made, constants = arrays(), {}
    parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    for name, inside in GRAPH_NAMES.items():
        constants[f"{inside}/conv2d_params"] = made[f"{name}.conv.weight"].transpose(2, 3, 1, 0)
        constants |= {f"{inside}/batchnorm/{to}": made[f"{name}.bn.{part}"] for part, to in parts.items()}
    constants |= {"softmax/weights": made["fc.weight"].T, "softmax/biases": made["fc.bias"]}
    definition = graph_pb2.GraphDef()
    for name, array in constants.items():
        if name != leave_out:
            node = definition.node.add(name=name, op="Const")
            node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(np.ascontiguousarray(array)))
    definition.node.add(name="softmax", op="Softmax")
    path = folder / "classify_image_graph_def.pb"
    path.write_bytes(definition.SerializeToString())
    return path


GRAPH_NAMES = {
    "Conv2d_1a_3x3": "conv",
    "Conv2d_2a_3x3": "conv_1",
    "Mixed_6a.branch3x3": "mixed/conv",
    "Mixed_6a.branch3x3dbl_1": "mixed/tower/conv",
    "Mixed_6a.branch3x3dbl_2": "mixed/tower/conv_1",
    "Mixed_6a.branch3x3dbl_3": "mixed/tower/conv_2",
}


def test_the_same_weights_have_one_digest_in_every_file(tmp_path: Path) -> None:
    """Both formats of PyTorch and TensorFlow's graph give equal arrays and one digest; one other number, another."""
    made = arrays()
    (tmp_path / "zip.pth").write_bytes(zipped(made))
    counted = {"Conv2d_1a_3x3.bn.num_batches_tracked": np.array(0, np.int64), **dict(reversed(made.items()))}
    (tmp_path / "stream.pth").write_bytes(streamed(counted))
    files = [tmp_path / "zip.pth", tmp_path / "stream.pth", graph(tmp_path)]
    found = [load_weights(choice(tmp_path, file)) for file in files]
    for weights in found:
        assert list(weights.arrays) == list(made)
        assert all(np.array_equal(weights.arrays[name], made[name]) for name in made)
        assert not weights.is_published
    assert len({weights.digest for weights in found}) == 1
    made["fc.bias"][0] += 1
    assert InceptionWeights(made, False).digest != found[0].digest


def test_graph_without_a_constant(tmp_path: Path) -> None:
    """Another graph, or what is none, is refused by name."""
    path = graph(tmp_path, leave_out="mixed/tower/conv_2/batchnorm/beta")
    with pytest.raises(ArtifactError, match="has no weights 'mixed/tower/conv_2/batchnorm/beta' of 1 dimensions"):
        load_weights(choice(tmp_path, path))
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(ArtifactError, match=r"graph_def\.pb is no graph of TensorFlow"):
        load_weights(choice(tmp_path, path))


@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("fc.bias", None, r"fc.bias must be float32 \(3,\), and is nothing"),
        ("fc.bias", np.zeros(4, np.float32), r"must be float32 \(3,\), and is float32 \(4,\)"),
        ("fc.bias", np.zeros(3, np.int64), r"must be float32 \(3,\), and is int64 \(3,\)"),
        ("fc.bias", np.array([0, np.nan, 0], np.float32), "numbers in fc.bias that are not finite"),
        ("AuxLogits.fc.bias", np.zeros(3, np.float32), "has 'AuxLogits.fc.bias' too: it is of another network"),
    ],
)
def test_other_networks_are_refused(
    tmp_path: Path, name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None, problem: str
) -> None:
    """A state dict with a missing, other or further tensor says which."""
    made = arrays()
    made.pop(name, None)
    path = tmp_path / "other.pth"
    path.write_bytes(zipped(made if array is None else made | {name: array}))
    with pytest.raises(ArtifactError, match=problem):
        load_weights(choice(tmp_path, path))


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """The option and the file are named."""
    with pytest.raises(ConfigError, match=r"eval\.weights names .*none\.pth, which is no file; name a \.pth or \.pb"):
        load_weights(choice(tmp_path, tmp_path / "none.pth"))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server that has the random weights, as if they were the published ones, under the second address."""
    data = zipped(arrays())
    with serving({"second.pth": data}) as site:
        file = replace(PUBLISHED, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        monkeypatch.setattr(inception_weights, "PUBLISHED", file)
        monkeypatch.setattr(inception_weights, "ADDRESSES", (f"{site.url}/first.pth", f"{site.url}/second.pth"))
        yield site


def test_published_weights_are_downloaded_once(tmp_path: Path, published: Site) -> None:
    """A broken transfer goes on at the second address; the next call asks nobody; a local copy is published too."""
    published.script = [Answer(body=published.files["second.pth"], cut_after=500)]
    assert load_weights(choice(tmp_path), HURRIED).is_published
    assert [(path, part) for path, part, _ in published.requests] == [("/first.pth", ""), ("/second.pth", "bytes=500-")]
    assert load_weights(choice(tmp_path), HURRIED).is_published
    assert len(published.requests) == 2
    copy = tmp_path / "copy.pth"
    copy.write_bytes(published.files["second.pth"])
    assert load_weights(choice(tmp_path, copy)).is_published


def test_wrong_bytes_are_not_taken(tmp_path: Path, published: Site) -> None:
    """Other bytes than the published ones never get the file's name, and the message says how to go on."""
    published.files["second.pth"] = published.files["second.pth"][::-1]
    with pytest.raises(DataError, match=r"gives other bytes: .*get it elsewhere and name it with --set eval\.weights="):
        load_weights(choice(tmp_path), HURRIED)
    assert not (tmp_path / "downloads" / PUBLISHED.name).exists()


def test_without_a_network_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both addresses, what was wrong with them, and where a file may be put."""
    with serving({}) as gone:
        pass
    monkeypatch.setattr(inception_weights, "ADDRESSES", (f"{gone.url}/a.pth", f"{gone.url}/b.pth"))
    with pytest.raises(ArtifactError) as caught:
        load_weights(choice(tmp_path), HURRIED)
    assert str(caught.value) == (
        f"{PUBLISHED.name} cannot be downloaded: {gone.url}/a.pth: cannot be reached (Connection refused); "
        f"{gone.url}/b.pth: cannot be reached (Connection refused); get it elsewhere and name it with --set "
        f"eval.weights=FILE, or put it into {tmp_path / 'downloads'} under this name"
    )


def test_address_of_weights(tmp_path: Path) -> None:
    """An address is downloaded once; digits in its name are its checksum, as torch.hub writes them."""
    data = zipped(arrays())
    digits = hashlib.sha256(data).hexdigest()[:8]
    with serving({f"net-{digits}.pth": data, "net-00000000.pth": data, "a/net.pth": data, "b/net.pth": b"x"}) as site:
        for name in (f"net-{digits}.pth", "a/net.pth"):
            for _ in range(2):
                assert not load_weights(choice(tmp_path, f"{site.url}/{name}"), HURRIED).is_published
        assert len(site.requests) == 2
        with pytest.raises(DataError, match="gives other bytes"):
            load_weights(choice(tmp_path, f"{site.url}/net-00000000.pth"), HURRIED)
        with pytest.raises(ArtifactError, match="begins like none of PyTorch's files"):
            load_weights(choice(tmp_path, f"{site.url}/b/net.pth"), HURRIED)


def test_address_with_a_secret_is_refused(tmp_path: Path) -> None:
    """What the protocol of a score would keep for ever must hold no password."""
    with pytest.raises(ConfigError, match=r"eval\.weights must have addresses without user, password") as caught:
        load_weights(choice(tmp_path, "https://me:secret@example.org/net.pth"), HURRIED)
    assert "secret" not in str(caught.value)


def test_names_in_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """94 convolutions; names in TensorFlow's graph as torch-fidelity's conversion has them, one of each kind."""
    monkeypatch.undo()
    found = {weights.name: weights.graph_name for weights in inception_layers.convolutions()}
    assert len(found) == len(set(found.values())) == 94
    known = {
        "Conv2d_4a_3x3": "conv_4",
        "Mixed_5b.branch1x1": "mixed/conv",
        "Mixed_5b.branch_pool": "mixed/tower_2/conv",
        "Mixed_6a.branch3x3": "mixed_3/conv",
        "Mixed_6e.branch7x7dbl_5": "mixed_7/tower_1/conv_4",
        "Mixed_7a.branch3x3_2": "mixed_8/tower/conv_1",
        "Mixed_7a.branch7x7x3_4": "mixed_8/tower_1/conv_3",
        "Mixed_7b.branch3x3_2b": "mixed_9/tower/mixed/conv_1",
        "Mixed_7c.branch3x3dbl_3a": "mixed_10/tower_1/mixed/conv",
    }
    assert {name: found[name] for name in known} == known
    assert sum(int(np.prod(shape)) for _, shape in inception_layers.tensors()) == 23_885_392
