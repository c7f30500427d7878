"""Ours against pytorch-fid, torch-fidelity and clean-fid: the same weights, the same pictures, the largest difference.

    python -m tests.parity.inception --peers-python PYTHON [--write]

PYTHON has torch, torchvision, pytorch-fid, torch-fidelity and clean-fid. `--write` records what the peers found in
inception_golden.json, to which `make test` holds ours without them. Ends with 1 where a difference is above 1e-4.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np

from gan_core.extractors.base import Choice
from gan_core.extractors.inception_2015 import load, pixels
from gan_core.extractors.inception_weights import load_weights
from gan_core.extractors.resizing import RESIZINGS
from tests.random_inception import SIDES, arrays, pictures

GOLDEN = Path(__file__).with_name("inception_golden.json")
TOLERANCE = 1e-4
FEATURES = {"features-32": (32, 3, 2), "features-grey-28": (28, 1, 2), "features-400": (400, 3, 2)}


def sampled(array: Any) -> list[float]:
    """Return 16 numbers of an array, evenly spread, and its mean: what the golden file keeps of it."""
    flat = np.asarray(array, np.float64).ravel()
    places = np.linspace(0, flat.size - 1, 16).astype(int)
    return [float(f"{value:.9g}") for value in (*flat[places], flat.mean())]


def asked() -> dict[str, Any]:
    """Return the pictures: name -> uint8 [N, S, S, C]."""
    made = {f"{side}-{channels}": pictures(side, channels) for side in SIDES for channels in (1, 3)}
    return made | {name: pictures(*facts) for name, facts in FEATURES.items()}


def differences(folder: Path) -> dict[str, float]:
    """Return what is compared -> the largest difference, relative to the largest number for features and logits."""
    with np.load(folder / "peers.npz") as peers:
        found = dict(peers)
    worst = {}
    for resizing in RESIZINGS:
        cases = [(name, array) for name, array in asked().items()]
        apart = [np.abs(pixels(array, resizing) - found[f"pixels/{resizing}/{name}"]).max() for name, array in cases]
        worst[f"pixels, {resizing}"] = float(max(apart))
    for file in ("zip.pth", "stream.pth"):
        for resizing, peer in (("legacy", "pytorch-fid"), ("tensorflow", "torch-fidelity"), ("clean", "")):
            extractor = load(Choice(name="inception-2015", weights=str(folder / file), resizing=resizing))
            for name, facts in FEATURES.items():
                made = extractor.extract(pictures(*facts))
                theirs = found[f"{peer}/{name}"] if peer else found[f"features/{resizing}/{name}"]
                worst[f"features, {resizing}, {name}, {file}"] = apart_by(made.features, theirs)
                if resizing == "tensorflow":
                    worst[f"logits, {name}, {file}"] = apart_by(made.logits, found[f"logits/{name}"])
    return worst


def apart_by(ours: Any, theirs: Any) -> float:
    """Return the largest difference relative to the largest number."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def golden(folder: Path) -> dict[str, Any]:
    """Return what the golden file holds: the peers' numbers, the digest of the weights, small files of torch.save."""
    with np.load(folder / "peers.npz") as peers:
        numbers = {name: sampled(array) for name, array in sorted(peers.items())}
    weights = load_weights(Choice(name="inception-2015", weights=str(folder / "zip.pth")))
    saved = {form: b64encode((folder / f"small.{form}.pth").read_bytes()).decode() for form in ("zip", "stream")}
    return {"weights": weights.digest, "numbers": numbers, "saved": saved}


def main() -> int:
    """Compare, print a line for each comparison, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peers-python", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.savez(folder / "weights.npz", **arrays())  # type: ignore[arg-type]
        np.savez(folder / "pictures.npz", **asked())  # type: ignore[arg-type]
        script = Path(__file__).with_name("inception_peers.py")
        subprocess.run([options.peers_python, script, folder], check=True)
        worst = differences(folder)
        for what, apart in worst.items():
            sys.stdout.write(f"{apart:.1e}  {what}\n")
        if options.write:
            GOLDEN.write_text(json.dumps(golden(folder), indent=0, sort_keys=True) + "\n", encoding="utf-8")
    return int(max(worst.values()) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
