"""The example in data/README.md, executed as it is printed there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_core.dataset import open_pictures
from gan_core.normalization import NORMALIZATIONS, Normalization
from gan_core.storage import STORAGES
from tests.datasets import LANDMARKS, LICENCE, make_dataset

PAGE = Path(__file__).parents[1] / "data" / "README.md"
PLACE = "data/datasets/synthetic-64-0123456789ab"


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@pytest.mark.parametrize("storage", STORAGES)
def test_the_example_reads_every_storage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], storage: str, normalize: str
) -> None:
    """With TensorFlow alone, it gives the pixels that faceloom's readers give, and the other features."""
    channels = 1 if normalize == "[0,1]" else 3
    forms: dict[str, Any] = {"stored_as": storage, "normalize": normalize, "channels": channels}
    dataset = make_dataset(tmp_path / "set", count=5, images_per_shard=2, mirrored=True, **forms)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code.count(PLACE) == 1
    names: dict[str, Any] = {}
    exec(code.replace(PLACE, str(dataset.path)), names)
    found = [{key: value.numpy() for key, value in example.items()} for example in names["dataset"]]
    images = np.stack([example["image"] for example in found])
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, open_pictures(dataset, "train", "memory").read(np.arange(10)))
    seen = Normalization.from_json(dataset.normalization).apply(images)
    np.testing.assert_array_equal(names["normalized"](images).numpy(), seen)

    assert [example["key"] for example in found] == [b"train/%06d.png" % (index // 2) for index in range(10)]
    assert [example["mirrored"] for example in found] == [0, 1] * 5
    assert [example["label"] for example in found] == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1]
    last = found[-1]
    assert last["landmarks"].tolist() == [share * 32 for share in LANDMARKS]
    assert (last["attributes"].tolist(), last["identity"]) == ([0, 1], -1)
    assert (last["licence"].decode(), last["author"].decode()) == (LICENCE, "Author 4")
    shape = f"(32, 32, {channels})"
    lines = [f"train/00000{index}.png {shape}" for index in (0, 0, 1)]
    assert capsys.readouterr().out.splitlines() == lines
