"""What can be said against an order before anything is done: machines, inputs, extractors."""

from __future__ import annotations

from flows.stages import Order, checkpoint_of, dataset_of, locate
from gan_core import checkpoints, conditions
from gan_core.errors import ConfigError
from gan_core.paths import is_remote
from gan_core.workers import this_worker


def check_root(name: str, order: Order) -> None:
    """Raise ConfigError, naming the way out, when `name` needs its files on this machine, and they are elsewhere.

    Nothing is looked up. `run` is asked for as a stage of its own. Of several workers, each may only train.
    """
    if name != "train" and this_worker().count > 1:
        raise ConfigError(
            f"faceloom {name} is for one process, and TF_CONFIG names {this_worker().count}; of several workers, each "
            "runs faceloom train, and without TF_CONFIG one of them runs the rest"
        )
    if name in ("ingest", "prepare") or not is_remote(order.data_root):
        return
    raise ConfigError(
        f"faceloom {name} works on files of this machine, and --data-root is {order.data_root}; bring the data set "
        f"here with: faceloom data fetch {order.data_root}/datasets/NAME, and name a folder of this machine"
    )


def check_inputs(name: str, order: Order) -> None:
    """Raise ConfigError, naming the command that makes it, when the stage `name` lacks an input on disk.

    A large source takes seconds to list: for `prepare` it is only seen to be there.
    """
    if name == "prepare":
        from beam_jobs.sources.registry import check_path

        check_path(order.config.data)
        return
    if name == "evaluate":
        check_extractor(order)
    place = locate(order)
    if name in ("train", "evaluate", "report"):
        dataset_of(order, place)
    if name in ("sample", "evaluate"):
        conditions.chosen(checkpoints.load_condition(checkpoint_of(order, place)), order.config.eval)


def check_extractor(order: Order) -> None:
    """Raise ConfigError where `evaluate` could not measure by what the config names, long before its turn."""
    from gan_core.extractors import registry

    registry.check(registry.asked(order.config.eval, order.data_root))
