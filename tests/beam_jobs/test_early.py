from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from beam_jobs import early, pool
from gan_core.config import DataConfig


def folder_of(path: Path, files: int) -> Path:
    """Make a folder with so many empty files, spread over two levels."""
    for index in range(files):
        inside = path / ("a" if index % 2 else "b/c")
        inside.mkdir(parents=True, exist_ok=True)
        (inside / f"{index}.jpg").touch()
    return path


@pytest.mark.parametrize(("files", "large"), [(0, False), (63, False), (64, True), (70, True)])
def test_a_folder_is_large_from_64_files_on(files: int, large: bool, tmp_path: Path) -> None:
    """Files are counted at any depth; what they are is not asked."""
    (tmp_path / "in").mkdir()
    assert early.seems_large(DataConfig(path=str(folder_of(tmp_path / "in", files)))) is large


def test_other_sources_are_judged_by_what_is_known(tmp_path: Path) -> None:
    """Archives by their size, drawn portraits by their number; nothing is started for what must be fetched or fails."""
    archive = tmp_path / "faces.zip"
    archive.write_bytes(bytes((256 << 10) - 1))
    assert not early.seems_large(DataConfig(path=str(archive)))
    archive.write_bytes(bytes(256 << 10))
    assert early.seems_large(DataConfig(path=str(archive)))
    assert not early.seems_large(DataConfig(path=str(archive), limit=63))
    assert early.seems_large(DataConfig(path=str(archive), limit=64))
    assert early.seems_large(DataConfig(kind="synthetic", synthetic_count=64))
    assert not early.seems_large(DataConfig(kind="synthetic", synthetic_count=63))
    for path in ("", "s3://bucket/faces", str(tmp_path / "missing")):
        assert not early.seems_large(DataConfig(path=path))


def test_a_link_to_its_own_folder_is_not_followed(tmp_path: Path) -> None:
    """The glance ends, whatever the links."""
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert not early.seems_large(DataConfig(path=str(tmp_path)))


def test_the_first_pool_takes_the_processes_that_were_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pool is made for a block and what is opened inside; the next one makes its own. Afterwards none is left."""
    monkeypatch.setattr(early, "cores", lambda: 2)
    started: list[int] = []
    original = pool._started
    monkeypatch.setattr(pool, "_started", lambda processes: started.append(processes) or original(processes))
    config = DataConfig(path=str(folder_of(tmp_path / "in", 64)))
    with early.processes(config, ()):
        assert started == [2]
        with pool.open_pool(2) as name:
            pool.start(name, print, ["", ""])
            assert started == [2]
        with pool.open_pool(2):
            assert started == [2, 2]
    assert multiprocessing.active_children() == []


def test_processes_that_nobody_wants_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set may be there already; and Beam's own options, or a single core, are reasons not to start any."""
    monkeypatch.setattr(early, "cores", lambda: 2)
    config = DataConfig(path=str(folder_of(tmp_path / "in", 64)))
    with early.processes(config, ()):
        assert len(multiprocessing.active_children()) == 2
    assert multiprocessing.active_children() == []
    with early.processes(config, ("--runner=FlinkRunner",)):
        assert multiprocessing.active_children() == []
    monkeypatch.setattr(early, "cores", lambda: 1)
    with early.processes(config, ()):
        assert multiprocessing.active_children() == []


def test_processes_keep_to_one_core_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their BLAS has one thread, unless the user wants otherwise; the launcher's own environment is left alone."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with pool._started(1) as executor:
        assert executor.submit(os.getenv, "OPENBLAS_NUM_THREADS").result() == "1"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    with pool._started(1) as executor:
        assert executor.submit(os.getenv, "OPENBLAS_NUM_THREADS").result() == "3"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
