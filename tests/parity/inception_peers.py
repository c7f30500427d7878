"""What pytorch-fid, torch-fidelity and clean-fid make of weights and pictures; runs in their Python.

    python inception_peers.py FOLDER

FOLDER has weights.npz and pictures.npz (name -> uint8 [N, S, S, C]). It gets both forms of torch.save, and peers.npz.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_fid.inception
import torch
import torch.nn.functional as F
from cleanfid.resize import build_resizer
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

SIDE = 299


def legacy(images: torch.Tensor) -> torch.Tensor:
    """Return what InceptionV3.forward of pytorch-fid makes of pictures before its first block."""
    resized = F.interpolate(images / 255, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return 2 * resized - 1


def tensorflow(images: torch.Tensor) -> torch.Tensor:
    """Return what torch-fidelity makes of pictures before the first layer."""
    return (interpolate_bilinear_2d_like_tensorflow1x(images, size=(SIDE, SIDE), align_corners=False) - 128) / 128


def clean(images: torch.Tensor) -> torch.Tensor:
    """Return what clean-fid makes of pictures before the first layer."""
    resize = build_resizer("clean")
    resized = np.stack([resize(image) for image in images.numpy().astype(np.uint8).transpose(0, 2, 3, 1)])
    return (torch.from_numpy(resized.transpose(0, 3, 1, 2)) - 128) / 128


def main(folder: Path) -> None:
    """Write the files."""
    with np.load(folder / "weights.npz") as weights:
        state = {name: torch.from_numpy(array) for name, array in weights.items()}
    for name in [name for name in state if name.endswith("running_var")]:
        state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    torch.save(state, folder / "zip.pth")
    torch.save(state, folder / "stream.pth", _use_new_zipfile_serialization=False)

    pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: state
    # No second resizing where the picture has the side already, and both need its exact input.
    blocks = pytorch_fid.inception.InceptionV3(resize_input=False, normalize_input=False).eval()
    whole = pytorch_fid.inception.InceptionV3().eval()
    fidelity = FeatureExtractorInceptionV3(
        "inception", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(folder / "zip.pth")
    )
    found: dict[str, Any] = {}
    with torch.no_grad(), np.load(folder / "pictures.npz") as pictures:
        for name, array in pictures.items():
            images = torch.from_numpy(array.repeat(3 // array.shape[-1], axis=-1).transpose(0, 3, 1, 2).copy())
            for resize in (legacy, tensorflow, clean):
                pixels = resize(images.float())
                found[f"pixels/{resize.__name__}/{name}"] = pixels.numpy().transpose(0, 2, 3, 1)
                if name.startswith("features"):
                    found[f"features/{resize.__name__}/{name}"] = blocks(pixels)[0][:, :, 0, 0].numpy()
            if name.startswith("features"):
                found[f"pytorch-fid/{name}"] = whole(images / 255)[0][:, :, 0, 0].numpy()
                features, logits = fidelity(images)
                found[f"torch-fidelity/{name}"], found[f"logits/{name}"] = features.numpy(), logits.numpy()
    np.savez(folder / "peers.npz", **found)
    small = small_state()
    torch.save(small, folder / "small.zip.pth")
    torch.save(small, folder / "small.stream.pth", _use_new_zipfile_serialization=False)


def small_state() -> Any:
    """Return a state dict of a module, with two views of one storage, one of them not in C's order."""
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    whole = torch.arange(12, dtype=torch.float32).reshape(3, 4) / 8
    with torch.no_grad():
        for number, tensor in enumerate(module.state_dict().values()):
            tensor.fill_(number)
    state = module.state_dict()
    state["turned"], state["part"], state["none"] = whole.T, whole[1:, 1:3], torch.zeros(0, 3)
    state["parameter"] = torch.nn.Parameter(torch.tensor([1.5, -2.5]))
    return state


if __name__ == "__main__":
    main(Path(sys.argv[1]))
