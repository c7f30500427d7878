from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows import doctor, terminal
from flows.cli import cli
from gan_core.object_store import objects as stores
from tests.memory_store import bucket, upload
from tests.prepared import write_scenes

__all__ = ["bucket"]

OPTIONS = ("--set", "data.crop=center", "--set", "data.resolution=32", "--set", "data.kind=folder")


def faceloom(*args: str | Path) -> int:
    """Run a command line in this process and return its exit code."""
    return terminal.run(cli, [str(arg) for arg in args])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FACELOOM_DATA_ROOT", raising=False)


def test_prepare_verify_and_fetch(bucket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Source and data root may both be addresses; what was fetched is what the same command without one looks for."""
    source = upload(write_scenes(tmp_path / "faces", 8), bucket / "faces")
    words = ("prepare", "smoke", "--source", source, *OPTIONS)
    assert faceloom(*words, "--data-root", bucket / "gans", "--json") == 0
    (prepare,) = json.loads(capsys.readouterr().out)["stages"]
    assert prepare["path"].startswith("memory://bucket/gans/datasets/faces-32-")
    assert (prepare["outcome"], prepare["run_dir"], prepare["summary"]["images"]) == ("done", "", {"train": 8})
    assert faceloom(*words, "--data-root", bucket / "gans") == 0
    assert f"prepare   already done: {prepare['path']}\n" in capsys.readouterr().out
    assert not any("runs" in name or ".faceloom" in name for name in stores.listing(bucket / "gans"))

    assert faceloom("data", "verify", prepare["path"]) == 0
    assert prepare["path"] in capsys.readouterr().out
    assert faceloom("data", "fetch", prepare["path"]) == 0
    place = f"data/datasets/{Path(prepare['path']).name}"
    assert capsys.readouterr().out == f"fetched: {place}\n"
    assert faceloom(*words) == 0
    assert f"prepare   already done: {place}\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "train", "sample", "evaluate", "report"])
def test_what_needs_files_here_says_how_to_get_them(
    bucket: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """A remote data root is for data sets alone: nothing is asked of the store, and the way out is named."""
    assert faceloom(command, "smoke", "--data-root", "memory://bucket/gans") == 2
    assert capsys.readouterr().err == (
        f"faceloom: error: faceloom {command} works on files of this machine, and --data-root is memory://bucket/gans; "
        "bring the data set here with: faceloom data fetch memory://bucket/gans/datasets/NAME, and name a folder of "
        "this machine\n"
    )


def test_mistakes_are_one_line(bucket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No bucket, no such place, credentials in the address, another scheme, nothing to fetch: one line, exit code 2."""
    folder = write_scenes(tmp_path / "faces", 2)
    secret = "wJalrXUtnFEMI"
    for words, text in (
        (("prepare", "smoke", "--source", "memory://bucket/none"), "'memory://bucket/none' does not exist"),
        (
            ("prepare", "smoke", "--source", folder, *OPTIONS, "--data-root", "memory://none"),
            "no bucket 'memory://none'",
        ),
        (("prepare", "smoke", "--source", f"s3://AKID:{secret}@bucket/x"), "an address must not hold credentials"),
        (
            ("prepare", "smoke", "--set", f"data.path=gs://u:{secret}@b", "--set", "data.kind=folder"),
            "not hold credentials",
        ),
        (("runs", "--data-root", f"ftp://u:{secret}@host"), "ftp:// cannot be read"),
        (("data", "fetch", folder), "is on this machine already"),
    ):
        assert faceloom(*words) == 2
        output = capsys.readouterr()
        assert (output.out, len(output.err.splitlines()), text in output.err) == ("", 1, True), output.err
        assert secret not in output.err
    assert [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()] == []


def test_runs_are_on_this_machine(bucket: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is trained on a store, so there is no run."""
    assert faceloom("runs", "--data-root", bucket) == 0
    assert capsys.readouterr().out.startswith("no runs below memory://bucket;")


def test_doctor_says_which_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the libraries everything else works: a warning, and the command that installs them."""
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name == "gcsfs" else object())
    check = doctor.object_stores()
    assert (check.state, check.detail, check.fix) == (
        "warning",
        "gcsfs not installed; only addresses such as s3:// need it",
        "pip install 'faceloom[gcs]'",
    )
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: object())
    assert (doctor.object_stores().state, doctor.object_stores().fix) == ("ok", "")
