from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows import terminal
from flows.cli import cli
from tests.written_datasets import pictures, write_dataset

ROOT = Path(__file__).parents[2]
DAMAGED = "damaged record length at byte 0 (2 of 2 records not checked)"


def faceloom(*args: str | Path) -> int:
    """Run a command line in this process and return its exit code."""
    return terminal.run(cli, [str(arg) for arg in args])


@pytest.fixture(autouse=True)
def _two_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two data sets that differ in one picture, in the working directory's data/datasets."""
    monkeypatch.chdir(tmp_path)
    rejects = [{"key": "x.jpg", "reason": "truncated", "detail": "it ends"}]
    write_dataset(tmp_path / "data/datasets/one", [*pictures(5), *pictures(2, "test")], rejects=rejects)
    write_dataset(tmp_path / "data/datasets/other", pictures(4))
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("no data set")


ONE, OTHER = "data/datasets/one", "data/datasets/other"

MISTAKES = [
    (["data", "insp"], "unknown command 'insp' (did you mean 'inspect'?); known: inspect, verify, compare, export, "
     "fetch"),
    (["data", "inspect"], "missing argument 'PATH'; see faceloom data inspect --help"),
    (["data", "inspect", "no"], "there is no data set at 'no': the path does not exist; data/datasets has one, other"),
    (["data", "inspect", "a.txt"], "there is no data set at 'a.txt': it is a file; name the data set's folder"),
    (["data", "inspect", "empty"], "there is no data set at 'empty': it has no manifest.json; data/datasets has one, "
     "other"),
    (["data", "inspect", "data"], "there is no data set at 'data': it has no manifest.json; data/datasets has one, "
     "other"),
    (["data", "inspect", ONE, "--images", "x.jpg"], "--images x.jpg must end in .png"),
    (["data", "inspect", ONE, "--images", "no/x.png"], "--images no/x.png cannot be written: No such file or "
     "directory"),
    (["data", "inspect", ONE, "--split", "tset"], "--split tset: data/datasets/one has train, test; or take all"),
    (["data", "inspect", ONE, "--records", "0"], "invalid value for '--records': 0 is not in the range x>=1; see "
     "faceloom data inspect --help"),
    (["data", "verify"], "name the folder of a data set, or files that you have downloaded with --source PATH"),
    (["data", "verify", ONE, "no"], "there is no data set at 'no': the path does not exist; data/datasets has one, "
     "other"),
    (["data", "verify", ONE, "--source", "x"], "give data sets or --source, not both: got data/datasets/one and "
     "--source x"),
    (["data", "verify", ONE, "--kind", "celeba"], "--kind celeba says what --source is, and there is no --source"),
    (["data", "verify", "--source", "x", "--kind", "celebb"], "--kind must be auto or one of {kinds}, got 'celebb' "
     "(did you mean 'celeba'?)"),
    (["data", "compare", ONE], "missing argument 'B'; see faceloom data compare --help"),
    (["data", "compare", ONE, "a.txt"], "there is no data set at 'a.txt': it is a file; name the data set's folder"),
    (["data", "export", ONE], "missing option '--to'; see faceloom data export --help"),
    (["data", "export", ONE, "--to", "x", "--format", "tar"], "--format must be one of folder, zip, npz, got 'tar'"),
    (["data", "export", ONE, "--to", "empty"], "--to empty exists already; name another place, or delete it first"),
    (["data", "export", ONE, "--to", "x.zip", "--split", "validation"], "--split validation: data/datasets/one has "
     "train, test; or take all"),
    (["data", "export", ONE, "--to", "x", "--", "--runner=X"], "faceloom data takes nothing after --, got "
     "'--runner=X'; only run, retrain, prepare hand it to Beam"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "message"), MISTAKES, ids=[" ".join(args) for args, _ in MISTAKES])
def test_a_mistake_is_one_line(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake of the user's is exactly one line on stderr, which names value and fix, and exit code 2."""
    from beam_jobs.sources.registry import SOURCES

    assert faceloom(*args, "--quiet") == 2 if "--" not in args else faceloom("--quiet", *args) == 2
    line = f"faceloom: error: {message.replace('{kinds}', ', '.join(SOURCES))}\n"
    assert tuple(capsys.readouterr()) == ("", line)


def test_without_any_data_set_it_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no data set is near, the message names the command that makes one."""
    monkeypatch.chdir(tmp_path / "empty")
    assert faceloom("data", "inspect", "x") == 2
    message = "there is no data set at 'x': the path does not exist; make one with: faceloom prepare"
    assert capsys.readouterr().err == f"faceloom: error: {message}\n"


def test_no_command_imports_tensorflow(tmp_path: Path) -> None:
    """All of `faceloom data` works where TensorFlow, Keras, Beam and Prefect are not installed."""
    lines = [["data"], ["data", "inspect", ONE, "--images", "x.png", "--records", "2"], ["data", "verify", ONE]]
    lines += [["data", "compare", ONE, OTHER], ["data", "export", ONE, "--to", "x.zip"]]
    lines += [["data", "export", ONE, "--to", "x"], ["data", "export", ONE, "--to", "x.npz"]]
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'apache_beam', 'prefect'): sys.modules[name] = None\n"
        "from flows import terminal\nfrom flows.cli import cli\n"
        f"print('codes:', [terminal.run(cli, args) for args in {lines!r}])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == "codes: [0, 0, 0, 1, 0, 0, 0]"


@pytest.mark.parametrize("command", ["inspect", "verify", "compare", "export"])
def test_help_has_examples_and_fits(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help shows examples that begin with the command, in lines of 110 characters at most."""
    assert faceloom("data", command, "--help") == 0
    text = capsys.readouterr().out
    assert text.partition("Examples:\n")[2].lstrip().startswith(f"faceloom data {command} ")
    assert max(map(len, text.splitlines())) <= 110
    assert faceloom("data") == 0
    assert f"  {command}  " in capsys.readouterr().out


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    """Return the JSON document of a command."""
    faceloom(*args, "--json")
    return json.loads(capsys.readouterr().out)


def test_inspect_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """The text has a block for each subject."""
    assert faceloom("data", "inspect", ONE) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ONE
    size_bytes = sum(path.stat().st_size for path in Path(ONE).glob("test-*"))
    for line in (
        "  name         Written Faces, digest " + "d" * 64,
        f"  test         2 records in 1 shard, {size_bytes} bytes",
        "  normalized   [-1,1]: pixel * (0.00784314 0.00784314 0.00784314) + (-1 -1 -1)",
        "  protocol     crop none, flip train, normalize [-1,1]",
        "  rejects      1",
        "               truncated 1: x.jpg: it ends",
        "  classes      cat 4, dog 3",
        "  attributes   Smiling 0.0%, Eyeglasses 100.0%",
        "  licences     none named",
        "  versions     faceloom tests",
    ):
        assert line in lines


def test_inspect_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The document has the manifest's facts, and contents, records and sheet where they were asked for."""
    full = shown(capsys, "data", "inspect", ONE, "--records", "1", "--images", "sheet.png")
    assert full["contents"]["labels"] == {"cat": {"train": 3, "test": 1}, "dog": {"train": 2, "test": 1}}
    assert [record["key"] for record in full["records"]] == ["train/00.jpg"]
    assert (tmp_path / full["images"]).read_bytes().startswith(b"\x89PNG")
    quick = shown(capsys, "data", "inspect", ONE, "--quick")
    assert full.keys() - quick.keys() == {"contents", "records", "images"}
    assert quick["splits"]["train"]["records"] == 5


def test_verify_is_good_or_names_the_byte(capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 and one line for each good data set; 5 and the first bad byte of every file otherwise."""
    assert faceloom("data", "verify", ONE, OTHER) == 0
    out, err = capfd.readouterr()
    assert [line.partition(": ")[0] for line in out.splitlines()] == ["good", "good"]
    assert out.splitlines()[0].endswith(" 7 records are what the manifest says")
    assert err == f"verify   {ONE}\nverify   {OTHER}\n"
    shard = Path(ONE) / "test-00000-of-00001.tfrecord"
    shard.write_bytes(b"\xff" + shard.read_bytes()[1:])
    assert faceloom("data", "verify", ONE, OTHER, "--quiet") == 5
    out, err = capfd.readouterr()
    assert out.splitlines()[:3] == [
        f"damaged: {ONE}: 1 problem",
        f"  test-00000-of-00001.tfrecord at byte 0: {DAMAGED}",
        "  5 of 7 records are good; prepare the data set again",
    ]
    assert out.splitlines()[3].startswith(f"good: {OTHER}: ")
    assert err == ""
    first, second = shown(capfd, "data", "verify", ONE, OTHER)
    assert (first["good"], second["good"]) == (False, True)
    assert first["problems"] == [{"file": "test-00000-of-00001.tfrecord", "byte": 0, "what": DAMAGED}]


def test_verify_goes_on_after_a_damaged_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    """A data set whose manifest cannot be read is damaged; the next one is checked all the same."""
    (Path(ONE) / "manifest.json").write_text("{")
    assert faceloom("data", "verify", ONE, OTHER, "-q") == 5
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"damaged: {ONE}: 1 problem"
    assert lines[1].startswith("  manifest.json: cannot be read (Expecting property name")
    assert lines[-1].startswith(f"good: {OTHER}: ")


def test_verify_source_tells_owners_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that is not what its owner offers is named, and exit code is 3, also where nothing can be checked."""
    (tmp_path / "celeba").mkdir()
    (tmp_path / "celeba" / "img_align_celeba").mkdir()
    (tmp_path / "celeba" / "img_align_celeba" / "000001.jpg").write_bytes(b"x")
    (tmp_path / "celeba" / "list_attr_celeba.txt").write_text("mine")
    assert faceloom("data", "verify", "--source", "celeba", "--json") == 3
    files = {file["name"]: file["state"] for file in json.loads(capsys.readouterr().out)}
    assert files["list_attr_celeba.txt"] == "differs"
    assert faceloom("data", "verify", "--source", "empty", "--kind", "folder", "--json") == 3
    assert [file["state"] for file in json.loads(capsys.readouterr().out)] == ["unknown"]


def test_compare_says_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 for identical data sets, with the digest of their contents; 1 where they differ, and in what."""
    assert faceloom("data", "compare", ONE, ONE, "-q") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "identical"
    assert lines[-2].startswith("the same 7 records, contents ")
    assert faceloom("data", "compare", ONE, OTHER, "-q") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "different"
    assert "  records      7 | 4" in lines
    assert "  only in A    3: test/00.jpg, test/01.jpg, train/04.jpg" in lines
    document = shown(capsys, "data", "compare", ONE, OTHER)
    assert (document["identical"], document["only_a"]["count"], document["records"]) == (False, 3, [7, 4])


def test_compare_measures_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two storages of the same pictures: the largest and the mean difference are printed."""
    write_dataset(tmp_path / "lossy", pictures(4), stored_as="jpeg")
    assert faceloom("data", "compare", OTHER, "lossy", "-q") == 1
    lines = capsys.readouterr().out.splitlines()
    place = next(index for index, line in enumerate(lines) if line.startswith("  other pixels 4: train/00.jpg, "))
    assert lines[place + 1].startswith("               at most ")
    assert lines[place + 1].endswith(" on average in these")


@pytest.mark.parametrize(("target", "form"), [("out", "folder"), ("out.zip", "zip"), ("out.NPZ", "npz")])
def test_export_goes_by_the_extension(
    target: str, form: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Without --format the extension says it; the result names what was written."""
    assert faceloom("data", "export", ONE, "--to", target, "--json", "--split", "test") == 0
    document = json.loads(capsys.readouterr().out)
    size_bytes = sum(path.stat().st_size for path in (tmp_path / target, *(tmp_path / target).rglob("*.*")))
    size_bytes -= (tmp_path / target).stat().st_size if form == "folder" else 0
    assert document == {"path": target, "format": form, "pictures": 2, "labelled": True, "size_bytes": size_bytes}


def test_export_says_what_it_wrote(capfd: pytest.CaptureFixture[str]) -> None:
    """One line: where, how many pictures, with labels or without, how large."""
    assert faceloom("data", "export", ONE, "--to", "x.npz", "--count", "1") == 0
    out, err = capfd.readouterr()
    with np.load("x.npz") as arrays:
        assert len(arrays["images"]) == 1
    assert out.startswith("x.npz: 1 picture with labels, ")
    assert err == f"export   {ONE}\n"
