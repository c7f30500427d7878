from __future__ import annotations

from typing import Any

import pytest

from gan_core.errors import ConfigError
from gan_core.placement import MIB, Choice, Room, choose, mib, refuse_training_without_room


def room(
    pictures: float = 100, training: float = 300, host: float | None = 4000, gpu: float | None = None, **more: Any
) -> Room:
    """Return what is needed and free, given in MiB."""
    host_free = None if host is None else round(host * MIB)
    gpu_free = None if gpu is None else round(gpu * MIB)
    return Room(round(pictures * MIB), round(training * MIB), host_free, gpu_free, **more)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (room(gpu=500, has_gpu=True), "device"),
        (room(gpu=499, has_gpu=True), "memory"),
        (room(gpu=499, host=250, has_gpu=True), "stream"),
        (room(gpu=500, host=99, has_gpu=True), "stream"),
        (room(gpu=500, host=None, has_gpu=True), "device"),
        (room(gpu=None, has_gpu=True), "memory"),
        (room(gpu=500, has_gpu=True, devices=2), "memory"),
        (room(host=251), "memory"),
        (room(host=250), "stream"),
        (room(host=None), "stream"),
    ],
)
def test_auto_takes_the_fastest_place_with_room(given: Room, expected: str) -> None:
    """A GPU up to 80% full with the training, then memory below 40%, then the disk; without a GPU, never the device.

    What goes to a GPU comes through the machine's memory. What is unknown is no room.
    """
    assert choose("auto", given).where == expected


def test_the_reason_has_the_figures() -> None:
    """One line says why, with MiB needed and free."""
    assert choose("auto", room(host=250)).reason == "auto: 100 MiB needed, not below 40% of 250 MiB free"
    assert choose("auto", room(gpu=500, has_gpu=True)).reason == (
        "auto: 100 MiB beside 300 MiB for training, within 80% of 500 MiB free"
    )
    assert choose("auto", room(gpu=499, has_gpu=True)).reason == (
        "auto: 100 MiB beside 300 MiB for training is more than 80% of the GPU's 499 MiB free; 100 MiB needed, below "
        "40% of 4,000 MiB free"
    )
    assert choose("auto", room(has_gpu=True)).reason.startswith("auto: free memory of the GPU unknown; 100 MiB")


@pytest.mark.parametrize(
    ("asked", "fits", "too_small"),
    [
        ("device", room(gpu=400, has_gpu=True), room(gpu=399, has_gpu=True)),
        ("device", room(gpu=400, host=100, has_gpu=True), room(gpu=400, host=99, has_gpu=True)),
        ("device", room(host=400), room(host=399)),
        ("memory", room(host=400), room(host=399)),
        ("memory", room(host=100, gpu=1, has_gpu=True), room(host=99, gpu=9999, has_gpu=True)),
    ],
)
def test_a_forced_place_is_taken_if_it_has_room(asked: str, fits: Room, too_small: Room) -> None:
    """To the last byte; one MiB less is refused. Without a GPU the training is in the same memory."""
    assert choose(asked, fits).where == asked
    with pytest.raises(ConfigError, match=rf"^train.placement={asked}: the training pictures need 100 MiB"):
        choose(asked, too_small)


def test_a_refusal_names_the_figures_and_the_way_out() -> None:
    """What is needed, what is free and where, and which options help."""
    with pytest.raises(ConfigError) as caught:
        choose("device", room(gpu=399, has_gpu=True))
    assert str(caught.value) == (
        "train.placement=device: the training pictures need 100 MiB and 300 MiB for training, and 399 MiB are free on "
        "the GPU; use train.placement=auto or stream, data.limit or a smaller data.resolution"
    )


def test_what_is_unknown_refuses_nothing() -> None:
    """A forced place is taken where nothing says how much is free, and the training begins."""
    unknown = room(host=None, has_gpu=True)
    assert choose("device", unknown) == Choice(
        "device", "forced: 100 MiB beside 300 MiB for training needed, free memory unknown"
    )
    refuse_training_without_room(unknown, 128, 128, 64)


def test_streaming_always_has_room() -> None:
    """Pictures that stay on disk need no memory to speak of."""
    assert choose("stream", room(host=1)) == Choice("stream", "forced: 100 MiB stay on disk, 1.0 MiB free")


def test_a_training_that_cannot_fit_is_refused() -> None:
    """It fits to the last byte of the device; beyond, the message names the three options that make it smaller."""
    refuse_training_without_room(room(host=300), 128, 32, 64)
    refuse_training_without_room(room(host=1, gpu=300, has_gpu=True), 128, 32, 64)
    with pytest.raises(ConfigError) as caught:
        refuse_training_without_room(room(gpu=299, has_gpu=True), 128, 32, 64)
    assert str(caught.value) == (
        "the training is estimated to need 300 MiB of memory, and 299 MiB are free on the GPU; choose a smaller "
        "train.micro_batch (now 32 pictures at once), train.batch_size (now 128) or model.base_channels (now 64), or "
        "free the memory that other programs hold"
    )


def test_pictures_on_one_of_several_devices_are_refused() -> None:
    """Each of them would need all pictures."""
    with pytest.raises(ConfigError, match=r"placement=device is for one device, and 2 share each batch"):
        choose("device", room(gpu=4000, has_gpu=True, devices=2))


def test_mib() -> None:
    """Below ten there is a digit after the point; thousands have commas."""
    assert [mib(round(value * MIB)) for value in (0.04, 9.94, 10.4, 12345)] == [
        "0.0 MiB",
        "9.9 MiB",
        "10 MiB",
        "12,345 MiB",
    ]
