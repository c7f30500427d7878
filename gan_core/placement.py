"""Where a training keeps its pictures: on the device, in memory, or on disk. Arithmetic alone, on bytes.

The order of examples, and with it every result, is the same wherever they lie.
"""

from __future__ import annotations

from dataclasses import dataclass

from gan_core.errors import ConfigError

MIB = 1024**2
DEVICE_SHARE = 0.8
"""Of a GPU's free memory: pictures and what training is estimated to need; kernels' workspace needs the rest."""
MEMORY_SHARE = 0.4
"""Of the free memory of the machine: the networks, the optimizers and TensorFlow need the rest."""


@dataclass(frozen=True)
class Room:
    """What a training needs, and what is free, in bytes.

    Attributes:
        pictures: the training pictures as uint8.
        training: networks, optimizers, average, gradients and activations, as estimated.
        host_free: memory of the machine; None where it is unknown.
        gpu_free: memory of the GPU; None without one, or where it is unknown.
        has_gpu: whether training runs on a GPU. Without one, the device is the machine and its memory.
        devices: how many share each batch; pictures on one of them are no use to the others.
    """

    pictures: int
    training: int
    host_free: int | None
    gpu_free: int | None = None
    has_gpu: bool = False
    devices: int = 1

    @property
    def device_free(self) -> int | None:
        """What is free where training runs."""
        return self.gpu_free if self.has_gpu else self.host_free


@dataclass(frozen=True)
class Choice:
    """Where the pictures live: device, memory or stream; and why, with the figures."""

    where: str
    reason: str


def choose(asked: str, room: Room) -> Choice:
    """Return where the pictures live: as `asked` for, or for "auto" the fastest place that has room.

    "auto" takes a GPU's memory where pictures and training fill at most DEVICE_SHARE of what is free there; else the
    machine's where the pictures fill less than MEMORY_SHARE of what is free; else they stay on disk. What is free but
    unknown is no room for "auto", and no reason to refuse what is forced.

    Raises:
        ConfigError: the place that is asked for has no room, or is one device of several.
    """
    if asked == "device" and room.devices > 1:
        raise ConfigError(
            f"train.placement=device is for one device, and {room.devices} share each batch; use train.placement=auto, "
            "or train.devices=one"
        )
    if asked != "auto":
        return _forced(asked, room)
    pictures = mib(room.pictures)
    if room.has_gpu and room.devices == 1 and room.gpu_free is not None and _fits_host(room):
        both = f"{pictures} beside {mib(room.training)} for training"
        if room.pictures + room.training <= DEVICE_SHARE * room.gpu_free:
            return Choice("device", f"auto: {both}, within {DEVICE_SHARE:.0%} of {mib(room.gpu_free)} free")
        gpu = f"{both} is more than {DEVICE_SHARE:.0%} of the GPU's {mib(room.gpu_free)} free; "
    else:
        gpu = "free memory of the GPU unknown; " if room.has_gpu and room.gpu_free is None else ""
    if room.host_free is None:
        return Choice("stream", f"auto: {gpu}{pictures} needed, free memory unknown")
    limit = f"{MEMORY_SHARE:.0%} of {mib(room.host_free)} free"
    if room.pictures < MEMORY_SHARE * room.host_free:
        return Choice("memory", f"auto: {gpu}{pictures} needed, below {limit}")
    return Choice("stream", f"auto: {gpu}{pictures} needed, not below {limit}")


def refuse_training_without_room(room: Room, batch: int, in_memory: int, base_channels: int) -> None:
    """Raise ConfigError where the training alone, whatever holds the pictures, needs more than is free.

    Args:
        room: what is needed and free.
        batch: `train.batch_size`.
        in_memory: pictures in memory at once: `train.micro_batch`, or the batch.
        base_channels: `model.base_channels`.
    """
    if room.device_free is None or room.training <= room.device_free:
        return
    raise ConfigError(
        f"the training is estimated to need {mib(room.training)} of memory, and {mib(room.device_free)} are free on "
        f"the {_device(room)}; choose a smaller train.micro_batch (now {in_memory} pictures at once), "
        f"train.batch_size (now {batch}) or model.base_channels (now {base_channels}), or free the memory that other "
        "programs hold"
    )


def mib(count: int) -> str:
    """Return bytes as text, in MiB: one digit after the point below 10."""
    value = count / MIB
    return f"{value:.1f} MiB" if value < 10 else f"{value:,.0f} MiB"


def _forced(asked: str, room: Room) -> Choice:
    if asked == "stream":
        told = "an unknown amount" if room.host_free is None else mib(room.host_free)
        return Choice(asked, f"forced: {mib(room.pictures)} stay on disk, {told} free")
    where, there = (_device(room), room.device_free) if asked == "device" else ("machine", room.host_free)
    places = [(where, _beside(asked, room), there)]
    if asked == "device" and room.has_gpu:
        places.append(("machine, through whose memory they come", 0, room.host_free))
    for place, beside, free in places:
        if free is not None and room.pictures + beside > free:
            and_training = f" and {mib(beside)} for training" if beside else ""
            raise ConfigError(
                f"train.placement={asked}: the training pictures need {mib(room.pictures)}{and_training}, and "
                f"{mib(free)} are free on the {place}; use train.placement=auto or stream, data.limit or a smaller "
                "data.resolution"
            )
    _, beside, there = places[0]
    and_training = f" beside {mib(beside)} for training" if beside else ""
    told = "free memory unknown" if there is None else f"{mib(there)} free"
    return Choice(asked, f"forced: {mib(room.pictures)}{and_training} needed, {told}")


def _beside(asked: str, room: Room) -> int:
    """Return what training needs in the same memory."""
    return room.training if asked == "device" or not room.has_gpu else 0


def _fits_host(room: Room) -> bool:
    return room.host_free is None or room.pictures <= room.host_free


def _device(room: Room) -> str:
    return "GPU" if room.has_gpu else "machine"
