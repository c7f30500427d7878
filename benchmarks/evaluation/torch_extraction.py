"""Extracts features with torch-fidelity's network; for the Python that has torch and torch-fidelity."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

from benchmarks.evaluation import turns
from tests.random_inception import arrays


def main() -> None:
    """Take turns, with the same random weights as ours."""
    given = turns.arguments(main.__doc__).parse_args()
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(given.threads)
    peer: Any = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    state = {name: torch.from_numpy(array) for name, array in arrays().items()}
    for name in [name for name in state if name.endswith("running_var")]:
        state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    peer.load_state_dict_from_url = lambda *_, **__: state
    network = peer.FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"])
    if given.channels_last:
        network = network.to(memory_format=torch.channels_last)

    def extract(images: turns.Images) -> None:
        with torch.no_grad():
            for start in range(0, len(images), given.batch):
                batch = torch.from_numpy(images[start : start + given.batch].transpose(0, 3, 1, 2))
                layout = torch.channels_last if given.channels_last else torch.contiguous_format
                features, logits = network(batch.contiguous(memory_format=layout))
                np.asarray(features), np.asarray(logits)

    turns.take(given, extract, f"torch {torch.__version__}")


if __name__ == "__main__":
    sys.exit(main())
