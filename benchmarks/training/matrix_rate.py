"""The rate at which this machine multiplies large square matrices: what no training step can exceed by much."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_SIDES = (1024, 2048, 4096)
_REPEATS = 3


def main() -> None:
    """Print the best rate of float32 (TensorFlow, NumPy) and bfloat16 (TensorFlow), FLOP/s, as JSON."""
    rates = {"float32": 0.0, "mixed_bfloat16": 0.0}
    for side in _SIDES:
        random = np.random.default_rng(0).standard_normal((side, side), np.float32)
        single, half, flops = tf.constant(random), tf.cast(random, tf.bfloat16), 2 * side**3
        of_single = max(_rate(np.matmul, random, flops), _rate(_multiplied, single, flops))
        rates["float32"] = max(rates["float32"], of_single)
        rates["mixed_bfloat16"] = max(rates["mixed_bfloat16"], _rate(_multiplied, half, flops))
    sys.stdout.write(json.dumps(rates))


def _multiplied(one: Any, other: Any) -> Any:
    return tf.matmul(one, other).numpy()


def _rate(multiply: Callable[[Any, Any], Any], matrix: Any, flops: int) -> float:
    multiply(matrix, matrix)
    best = 0.0
    for _ in range(_REPEATS):
        start = time.perf_counter()
        multiply(matrix, matrix)
        best = max(best, flops / (time.perf_counter() - start))
    return best


if __name__ == "__main__":
    main()
