"""A folder is looked at, and a run starts once a retraining is due: exactly one for each state of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from flows import new_data
from flows.new_data import watch
from flows.stages import Order
from flows.triggers import Trigger
from gan_core.config import load_config
from tests.flows.test_children import until
from tests.prepared import write_scenes

DEPLOYMENT = uuid4()


class Watched:
    """A watch in a thread, and the runs that it asked for. No server is needed."""

    def __init__(self, folder: Path, data_root: Path) -> None:
        self.order = Order(config=load_config("smoke", source=folder), data_root=data_root)
        self.started: list[UUID] = []
        self.looks: list[int] = []
        self.due = True
        self.ended = threading.Event()
        self._thread = threading.Thread(target=watch, args=(self.order, DEPLOYMENT, 0.02, self.ended))

    def create_flow_run_from_deployment(self, deployment: UUID) -> None:
        """Stand in for the client's."""
        self.started.append(deployment)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._thread.join()

    def look_for(self, order: Order) -> Trigger:
        """Stand in for the triggers, and count."""
        self.looks.append(len(list(Path(order.config.data.path).iterdir())))
        return Trigger(self.due, "because", order)

    def seen(self, count: int) -> None:
        """Wait until the folder was looked at with so many pictures, and once more."""
        until(lambda: count in self.looks)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    """A folder of three pictures that is watched."""
    found = Watched(write_scenes(tmp_path / "faces", 3), tmp_path / "data")

    class Client:
        def __enter__(self) -> Watched:
            return found

        def __exit__(self, *_: object) -> None:
            """There is nothing to close."""

    monkeypatch.setattr(new_data, "get_client", lambda sync_client: Client())
    monkeypatch.setattr(new_data, "look_for", found.look_for)
    with found:
        yield found


def test_each_state_of_the_folder_starts_one_run(watched: Watched) -> None:
    """Many looks at the same pictures start one run; new ones start another."""
    until(lambda: watched.started)
    write_scenes(Path(watched.order.config.data.path), 5)
    watched.seen(5)
    until(lambda: len(watched.started) == 2)
    assert (watched.looks, watched.started) == ([3, 5], [DEPLOYMENT] * 2)


def test_what_is_not_due_starts_nothing_until_it_is(watched: Watched) -> None:
    """The triggers are asked again where they said no, as a model grows old without any new picture."""
    until(lambda: watched.started)
    watched.due = False
    write_scenes(Path(watched.order.config.data.path), 4)
    watched.seen(4)
    assert len(watched.started) == 1
    watched.due = True
    until(lambda: len(watched.started) == 2)


def test_after_a_decision_the_same_pictures_are_looked_at_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model that a run made may grow old; a run that failed decided nothing, and is not repeated."""
    until(lambda: watched.started)
    history: list[dict[str, str]] = [{"event": "registered"}]
    monkeypatch.setattr(new_data.Registry, "history", lambda _: history)
    threading.Event().wait(0.3)
    assert len(watched.started) == 1
    history.append({"event": "promoted"})
    until(lambda: len(watched.started) == 2)


def test_each_new_state_is_looked_at(watched: Watched) -> None:
    """Pictures that come later count."""
    until(lambda: watched.started)
    write_scenes(Path(watched.order.config.data.path), 6)
    watched.seen(6)
    until(lambda: len(watched.started) == 2)
    assert watched.looks == [3, 6]


def test_a_folder_that_is_gone_is_looked_at_again(watched: Watched) -> None:
    """A share that is not mounted for a while ends nothing."""
    until(lambda: watched.started)
    folder = Path(watched.order.config.data.path)
    folder.rename(folder.with_name("away"))
    threading.Event().wait(0.2)
    folder.with_name("away").rename(folder)
    write_scenes(folder, 4)
    watched.seen(4)
    until(lambda: len(watched.started) == 2)


def test_pictures_that_are_still_copied_start_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source must be the same after a wait."""
    folder = write_scenes(tmp_path / "faces", 3)
    order = Order(config=load_config("smoke", source=folder), data_root=tmp_path / "data")
    counts = iter((4, 5))

    class Ended(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if (count := next(counts, 0)) == 0:
                self.set()
            else:
                write_scenes(folder, count)
            return self.is_set()

    monkeypatch.setattr(new_data, "look_for", lambda order: pytest.fail("it was not settled"))
    watch(order, DEPLOYMENT, 0.02, Ended())
