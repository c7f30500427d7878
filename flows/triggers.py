"""Whether a retraining is due, and why: found out without reading a picture or importing TensorFlow."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from beam_jobs.sources.registry import Listed, look
from flows.gate_stages import is_decided
from flows.stages import Order
from gan_core.config import RunConfig
from gan_core.errors import ArtifactError
from gan_core.handoff import DatasetManifest
from gan_core.paths import local_root
from gan_core.registry import Registry, Version

NOTHING = "nothing to do, because "


@dataclass(frozen=True)
class Trigger:
    """What a look at registry and source says.

    Attributes:
        due: whether to train; while `unsure`, the prepared data set's drift decides.
        reason: in words, for run names, logs and the terminal.
        order: what to make, with the seed and the weights that the retraining begins with.
        unsure: the pictures changed too little to count, and `retrain.min_drift` asks for their statistics.
    """

    due: bool
    reason: str
    order: Order
    unsure: bool = False


def look_for(order: Order, *, force: bool = False) -> Trigger:
    """Say whether a retraining is due.

    Args:
        order: the preset's config, and where.
        force: on demand: it is due in any case.

    Raises:
        ConfigError, DataError: the source cannot be listed. ArtifactError: the blessed version is damaged.
    """
    config, registry = order.config.retrain, Registry(order.data_root, order.config.preset)
    listed = look(order.config.data, local_root(order.data_root))
    order = _begun(dataclasses.replace(order, source=None, listed=None), registry)
    last = registry.last_candidate()
    if last is None:
        return Trigger(True, "no model yet", order)
    if not is_decided(registry, last.number):
        again = dataclasses.replace(order, config=_config_of(order, last))
        return Trigger(True, f"{last.name} was registered and not decided on", again)
    if force:
        return Trigger(True, "on demand", order)
    count = changed(listed, last)
    if config.min_new_pictures and count >= config.min_new_pictures:
        return Trigger(True, f"{count:,} new picture{'s' * (count != 1)}", order)
    if (days := _age_days(last)) >= config.max_age_days > 0:
        return Trigger(True, f"{last.name} is {days:.1f} days old, {config.max_age_days:g} is the limit", order)
    if count and config.min_drift:
        return Trigger(False, f"{count:,} new pictures, fewer than {config.min_new_pictures:,}: drift?", order, True)
    return Trigger(False, NOTHING + _why_not(order, last, count, days), order)


def changed(listed: Listed, last: Version) -> int:
    """Return how many pictures are new or changed since a version, by names, sizes, times or checksums.

    0 while the source's fingerprint is the same. Where the version does not know its pictures, by the counts; 1 at
    least.
    """
    if listed.summary.fingerprint == last.source.get("fingerprint"):
        return 0
    known = last.pictures()
    if listed.names is not None and known is not None:
        is_new = np.isin(listed.names.line_hashes(), known, invert=True)
        return int(np.sum(is_new))
    return max(1, sum(listed.summary.counts.values()) - sum(map(int, last.source.get("counts", {}).values())))


def drift(before: Version, now: DatasetManifest) -> float:
    """Return how far the training pixels moved: the largest over the channels of two differences.

    That of the means, in standard deviations of the pixels before; and that of the logarithms of the deviations, which
    is 0.1 where contrast grew by a tenth.
    """
    old, new = before.statistics, now.statistics
    steps = [0.0]
    for mean, deviation, its_mean, its_deviation in zip(
        old["mean"], old["deviation"], new["mean"], new["deviation"], strict=False
    ):
        steps.append(abs(its_mean - mean) / max(1e-9, deviation))
        steps.append(abs(math.log(max(1e-9, its_deviation) / max(1e-9, deviation))))
    return max(steps)


def after_preparing(trigger: Trigger, dataset: DatasetManifest) -> Trigger:
    """Decide what was unsure by the drift of the prepared data set."""
    config = trigger.order.config.retrain
    last = Registry(trigger.order.data_root, trigger.order.config.preset).last_candidate()
    assert last is not None, "only a known model makes a trigger unsure"
    found = drift(last, dataset)
    said = f"the pixels drifted by {found:.3g} standard deviations, {config.min_drift:g} is the limit"
    due = found >= config.min_drift
    return dataclasses.replace(trigger, due=due, unsure=False, reason=said if due else NOTHING + said)


def _begun(order: Order, registry: Registry) -> Order:
    """Return the order with the blessed model's weights, and a seed that no decided version of these weights had."""
    config = order.config
    train = config.train
    if config.retrain.start == "blessed" and (blessed := registry.blessed()) is not None:
        train = dataclasses.replace(train, transfer=str(blessed.checkpoint.path))
    # The same data, weights and seed would give the same model again. A retraining that was cut short keeps its seed.
    train = dataclasses.replace(train, seed=(train.seed + len(registry.numbers_ever())) % 2**31)
    return dataclasses.replace(order, config=dataclasses.replace(config, train=train))


def _config_of(order: Order, version: Version) -> RunConfig:
    """Return the config that made a version: its run is found again by it."""
    made = RunConfig.from_json(version.config)
    return dataclasses.replace(order.config, data=made.data, model=made.model, train=made.train)


def _age_days(last: Version) -> float:
    """Return how many days ago a version was made; negative where a clock was set back."""
    try:
        made = datetime.fromisoformat(last.created)
    except ValueError:
        raise ArtifactError(f"{last.path} says it was made '{last.created}', which is no time") from None
    return (datetime.now(UTC) - made).total_seconds() / 86_400


def _why_not(order: Order, last: Version, count: int, days: float) -> str:
    config = order.config.retrain
    parts = [
        f"{last.name} has seen all pictures"
        if not count
        else f"there are {count:,} new pictures, and retrain.min_new_pictures={config.min_new_pictures:,}"
    ]
    if config.max_age_days:
        parts.append(f"it is {max(0.0, days):.1f} of {config.max_age_days:g} days old")
    return ", and ".join(parts)
