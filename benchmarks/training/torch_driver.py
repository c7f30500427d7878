"""Runs the networks and the step of pytorch/examples' dcgan/main.py; for the Python that has torch and torchvision."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training import pace, peers


def main() -> None:
    """Train as told, and leave report and samples.

    Its data loader, which decodes files in two further processes, is replaced by pictures in memory: that is faster.
    """
    parser = pace.arguments(main.__doc__)
    parser.add_argument("--peer", type=Path, required=True, help="dcgan/main.py")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(given.threads)
    setup, step_code = peers.torch_example(given.peer)
    asked = ["--dataset", "fake", "--batchSize", str(given.batch), "--workers", "0", "--manualSeed", str(given.seed)]
    sys.argv = [str(given.peer), *asked, "--outf", str(given.out)]
    names: dict[str, Any] = {"__name__": "__main__", "epoch": 0, "i": 0}
    exec(setup, names)  # the peer's own lines
    layout = torch.channels_last if given.channels_last else torch.contiguous_format
    for network in (names["netG"], names["netD"]):
        network.to(memory_format=layout)
    following = pace.batches(np.load(given.faces), given.batch, given.seed)
    is_half = given.precision == "mixed_bfloat16"

    def autocast() -> Any:
        return torch.autocast("cpu", torch.bfloat16) if is_half else contextlib.nullcontext()

    def step() -> None:
        real = torch.from_numpy(following().astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2)
        names["data"] = [real.contiguous(memory_format=layout)]
        with autocast():
            exec(step_code, names)

    figures = {**pace.pace(step, given), "version": f"torch {torch.__version__}"}
    pace.leave(given, figures, None if given.steps else _samples(torch, names, given.samples, given.batch))


def _samples(torch: Any, names: dict[str, Any], count: int, batch: int) -> pace.Images:
    """Return pictures as the peer makes its own: batch normalisation by the statistics of the batch."""
    made = []
    with torch.no_grad():
        for _ in range(-(-count // batch)):
            pictures = names["netG"](torch.randn(batch, names["nz"], 1, 1))
            made.append(pace.to_pixels(pictures.float().permute(0, 2, 3, 1).numpy(), low=-1.0))
    return np.concatenate(made)[:count]


if __name__ == "__main__":
    main()
