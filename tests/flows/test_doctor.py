from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows import doctor
from flows.doctor import Check

WORKS = {"version": "1.0", "gpus": [], "cuda": True}


def examine(
    monkeypatch: pytest.MonkeyPatch, root: Path, tensorflow: dict[str, Any], gpus: list[str]
) -> dict[str, Check]:
    """Examine a machine whose TensorFlow and driver say this."""
    monkeypatch.setattr(doctor, "probe", lambda code: tensorflow if "tensorflow" in code else WORKS)
    monkeypatch.setattr(doctor, "nvidia_gpus", lambda: gpus)
    return {check.name: check for check in doctor.examine(root)}


def test_a_machine_without_a_gpu_can_do_the_main_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing GPU is a warning; the exit code stays 0."""
    checks = examine(monkeypatch, tmp_path, WORKS, [])
    assert checks["GPU"].state == "warning"
    assert doctor.exit_code(list(checks.values())) == 0


def test_a_gpu_that_tensorflow_does_not_see_has_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU without CUDA libraries is named with its memory and the command that installs them."""
    check = examine(monkeypatch, tmp_path, WORKS, ["H200, 143771 MiB"])["GPU"]
    assert (check.state, check.fix) == ("warning", "pip install 'faceloom[gpu]'")
    assert check.detail.startswith("H200, 143771 MiB, but TensorFlow does not see it")


def test_a_broken_tensorflow_ends_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where TensorFlow cannot be imported, the reason is shown and the verdict is no."""
    checks = examine(monkeypatch, tmp_path, {"error": "ImportError: no such file"}, [])
    assert checks["TensorFlow"].detail == "needed for training: ImportError: no such file"
    assert doctor.text_of(list(checks.values())).endswith("faceloom run can not work here")
    assert doctor.exit_code(list(checks.values())) == 1


def test_an_unwritable_data_root_ends_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data root that cannot be a folder is found, with the way out."""
    (tmp_path / "file").write_text("")
    checks = examine(monkeypatch, tmp_path / "file", WORKS, [])
    assert checks["data root"].state == "missing"
    assert checks["data root"].fix == "choose another with --data-root or FACELOOM_DATA_ROOT"


def test_a_processor_with_bfloat16_has_a_hint() -> None:
    """What it has is named beside the option that uses it; without, nothing is advised. Both are fine."""
    checks = [doctor.processor(frozenset(flags)) for flags in ({"sse2", "avx512_bf16"}, {"sse2"})]
    assert [check.state for check in checks] == ["ok", "ok"]
    assert checks[0].detail.endswith(" cores, bfloat16 (avx512_bf16): train.precision=mixed_bfloat16 may be faster")
    assert checks[1].detail.endswith(" cores, no bfloat16 instructions")


def test_ffmpeg_is_looked_for_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an ffmpeg there is a warning that names what will be missing; with one, its place."""
    monkeypatch.setenv("PATH", str(tmp_path))
    check = examine(monkeypatch, tmp_path, WORKS, [])["ffmpeg"]
    assert (check.state, check.detail) == ("warning", "not found; a training leaves training.gif, no training.mp4")
    (tmp_path / "ffmpeg").touch(mode=0o755)
    check = examine(monkeypatch, tmp_path, WORKS, [])["ffmpeg"]
    assert (check.state, check.detail) == ("ok", f"{tmp_path}/ffmpeg; a training also leaves training.mp4")


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("print('noise'); print('{\"version\": \"2\"}')", {"version": "2"}),
        ("import no_such_module", {"error": "ModuleNotFoundError: No module named 'no_such_module'"}),
        ("import os; os._exit(3)", {"error": "exit code 3"}),
    ],
)
def test_a_probe_tells_what_it_found(code: str, found: dict[str, Any]) -> None:
    """A probe's last line is its answer; its last error line the reason."""
    assert doctor.probe(code) == found
