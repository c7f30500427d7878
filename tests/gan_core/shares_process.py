"""What two replicas get of numbers, in a process of its own. Run by test_distribution.py; prints JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import tensorflow as tf

from gan_core import distribution
from gan_core.config import TrainConfig


def counted(shape: Any) -> Any:
    """Return 0, 1, ... in a shape, in place of random numbers."""
    return tf.reshape(tf.range(tf.reduce_prod(shape)), shape)


def results() -> dict[str, Any]:
    """Return what a replica gets."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    with distribution.grouped(2):
        columns = distribution.drawn(counted, [2, 4], axis=1)
    one = tf.cast(replica, tf.float32) + 1.0
    return {
        "rows": distribution.share(tf.range(8), groups=2),
        "columns": columns,
        "mean": distribution.mean([one])[0],
        "total": distribution.total([one])[0],
        "share": distribution.of_share(lambda loss: loss * 2.0)(tf.constant(4.0)),
    }


def main() -> None:
    """Ask both."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = distribution.strategy_for(TrainConfig(devices="all"))
    assert strategy is not None
    found = tf.function(lambda: strategy.run(results))()
    both = {
        name: [part.numpy().tolist() for part in strategy.experimental_local_results(value)]
        for name, value in found.items()
    }
    sys.stdout.write(json.dumps(both))


if __name__ == "__main__":
    main()
