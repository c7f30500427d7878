from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from beam_jobs.sources import registry
from flows import commands, console, terminal
from flows.cli import cli
from flows.stages import STAGES, Order, StageResult
from gan_core import errors
from gan_core.config import preset_names
from gan_core.progress import Progress, ReportProgress
from tests.flows.fake_stages import behave, calls
from tests.flows.test_children import pid_in, until

ROOT = Path(__file__).parents[2]
HEAVY = ("tensorflow", "keras", "apache_beam", "prefect", "matplotlib", "rich")
MANY = "must be a whole number in [2, 65536]"


def faceloom(*args: str | Path) -> int:
    """Run a command line in this process and return its exit code."""
    return terminal.run(cli, [str(arg) for arg in args])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FACELOOM_DATA_ROOT", raising=False)
    (tmp_path / "a.txt").write_text("no picture")
    (tmp_path / "empty").mkdir()


MISTAKES = [
    (["trian"], "unknown command 'trian' (did you mean 'train'?); known: run, retrain, prepare, train, sample, "
     "evaluate, report, data, presets, runs, models, serve, deploy, doctor"),
    (["run", "smok"], "unknown preset 'smok' (did you mean 'smoke'?); known: {presets}"),
    (["run", "my.toml"], "preset file 'my.toml' does not exist; name one of {presets} or a file"),
    (["run", "--dryrun"], "no such option '--dryrun' (did you mean '--dry-run'?); see faceloom run --help"),
    (["run", "smoke", "quickstart"], "got unexpected extra argument (quickstart); see faceloom run --help"),
    (["run", "--set"], "option '--set' requires an argument; see faceloom --help"),
    (["run", "--set", "speed"], "--set takes section.key=value, for example train.total_kimg=20; got 'speed'"),
    (["run", "--set", "trian.seed=1"], "unknown section 'trian' (did you mean 'train'?); known: data, model, "
     "train, eval, retrain"),
    (["run", "--set", "model.nam=dcgan"], "unknown key 'model.nam' (did you mean 'name'?); known in model: name, "
     "base_channels, max_channels, latent_size, dropout, spectral_norm, condition"),
    (["run", "--set", "train.batch_size=many"], f"train.batch_size {MANY}, got 'many'"),
    (["run", "--set", "train.batch_size=1"], "train.batch_size must be in [2, 65536], got 1"),
    (["run", "--set", "train.xla=maybe"], "train.xla must be true or false, got 'maybe'"),
    (["run", "--set", "model.name=stylegan"], "model.name must be one of dcgan, mlp, r3, got 'stylegan'"),
    (["sample", "--count", "none"], "eval.sample_count must be a whole number in [1, 10000000], got 'none'"),
    (["sample", "--format", "jpg"], "eval.sample_format must be one of png, npz, got 'jpg' (did you mean 'png'?)"),
    (["run", "celeba64"], "data.path is empty and CelebA must be fetched by hand: agree to its terms (non-commercial "
     "research) on mmlab.ie.cuhk.edu.hk/projects/CelebA.html, put img_align_celeba.zip, list_attr_celeba.txt, "
     "list_eval_partition.txt, list_landmarks_align_celeba.txt and identity_CelebA.txt into one folder, and give "
     "--source FOLDER; 'faceloom data verify --source FOLDER' checks the files"),
    (["run", "--source", "no/faces"], "data.path '{here}/no/faces' does not exist; '{here}' has a.txt, empty"),
    (["run", "--source", "a.txt"], "data.path '{here}/a.txt' is neither a folder nor a zip or tar archive (.tar, "
     ".tar.gz, .tgz); unpack it and name the folder"),
    (["run", "smoke", "--data-root", "a.txt/data"], "cannot create the folder a.txt/data: Not a directory; choose "
     "another --data-root"),
    (["evaluate", "smoke", "--extractor", "vgg"], "eval.extractor must be one of embedded, inception-2015, "
     "inception-keras, keras:NAME of keras.applications, or a file that ends with .onnx or .keras, got 'vgg'"),
    (["evaluate", "smoke", "--extractor", "inception-2015", "--weights", "w.pth"], "eval.weights names no file: w.pth"),
    (["run", "smoke", "--set", "eval.extractor=a.onnx"], "eval.extractor names no file: a.onnx"),
    (["train", "smoke"], "there is no dataset at data/datasets/synthetic-32-{dataset}: manifest.json is missing; "
     "make it with: faceloom prepare smoke"),
    (["sample", "smoke", "--set", "train.seed=3"], "there is no finished training at data/runs/smoke-{run}; make it "
     "with: faceloom train smoke --set train.seed=3"),
    (["train", "smoke", "--", "--runner=X"], "faceloom train takes nothing after --, got '--runner=X'; only "
     "run, retrain, prepare hand it to Beam"),
    (["run", "--"], "nothing follows --; it takes Beam's options, for example -- --direct_num_workers=4"),
    (["presets", "nothing"], "unknown preset 'nothing'; known: {presets}"),
]  # fmt: skip


def expected(message: str, here: Path, args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Fill in what depends on the machine: the working directory, and the digests as --dry-run says them."""
    if "{dataset}" in message or "{run}" in message:
        faceloom("run", *args[1:], "--dry-run", "--json")
        plan = json.loads(capsys.readouterr().out)
        return message.format(dataset=plan["dataset"]["digest"][:12], run=plan["run"]["digest"][:12])
    return message.replace("{here}", str(here)).replace("{presets}", ", ".join(preset_names()))


@pytest.mark.parametrize(("args", "message"), MISTAKES, ids=[" ".join(args) for args, _ in MISTAKES])
def test_a_mistake_is_one_line(
    args: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake of the user's costs exactly one line on stderr, which names value and fix, and exit code 2."""
    message = expected(message, tmp_path, args, capsys)
    assert faceloom(*args) == 2
    assert tuple(capsys.readouterr()) == ("", f"faceloom: error: {message}\n")


def test_mistakes_and_help_import_nothing_heavy(tmp_path: Path) -> None:
    """Neither a mistake, nor help, presets, runs or a dry run imports TensorFlow, Beam, Prefect or plotting."""
    lines = [args for args, _ in MISTAKES]
    lines += [["--help"], ["run", "-h"], ["--version"], ["presets"], ["presets", "smoke"], ["runs"]]
    lines += [["run", "smoke", "--dry-run"]]
    code = (
        "import sys\nfrom flows import terminal\nfrom flows.cli import cli\n"
        f"for args in {lines!r}: terminal.run(cli, args)\n"
        f"print('imported:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == "imported: []"
    assert len(done.stderr.splitlines()) == len(MISTAKES)


@pytest.mark.parametrize("args", [["--json", "run", "smok"], ["run", "smok", "--json"]])
def test_with_json_an_error_is_json_too(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, wherever it stands, stdout has one document with type, message and exit code."""
    assert faceloom(*args) == 2
    message = f"unknown preset 'smok' (did you mean 'smoke'?); known: {', '.join(preset_names())}"
    assert json.loads(capsys.readouterr().out) == {"error": {"type": "ConfigError", "message": message, "exit_code": 2}}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("ConfigError", 2),
        ("DataError", 3),
        ("Diverged", 4),
        ("ArtifactError", 5),
        ("StageFailed", 6),
        ("Interrupted", 130),
    ],
)
def test_each_error_has_its_exit_code(
    kind: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of a stage becomes one line and its exit code, and is in `faceloom --help`."""

    def fail(_order: Order, _report: ReportProgress) -> StageResult:
        raise getattr(errors, kind)("two\nlines")

    monkeypatch.setitem(STAGES, "prepare", fail)
    assert faceloom("prepare", "smoke", "-q") == code
    assert tuple(capsys.readouterr()) == ("", "faceloom: error: two lines\n")
    faceloom("--help")
    assert f"\n    {code} " in capsys.readouterr().out


def test_a_bug_is_one_line_and_a_saved_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody expected ends with 1, and the line says where the traceback is."""

    def fail(_order: Order, _report: ReportProgress) -> StageResult:
        raise ZeroDivisionError("of all things")

    monkeypatch.setitem(STAGES, "prepare", fail)
    assert faceloom("prepare", "smoke", "-q") == 1
    (path,) = Path("data/.faceloom").glob("crash-*.txt")
    message = f"a bug: ZeroDivisionError: of all things; the traceback is in {path}"
    assert capsys.readouterr().err == f"faceloom: error: {message}\n"
    assert path.read_text().rstrip().endswith("ZeroDivisionError: of all things")


def test_a_stage_alone_keeps_the_libraries_noise_off_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a stage's libraries write to descriptors 1 and 2 is in the log; stderr has the progress, stdout JSON."""

    def noisy(name: str, order: Order, report: ReportProgress) -> StageResult:
        os.write(1, b"noise\n")
        os.write(2, b"more noise\n")
        report(Progress(name, 1, 1))
        return StageResult(stage=name, outcome="done", path=f"data/{name}", run_dir="data/runs/r")

    monkeypatch.setitem(STAGES, "prepare", partial(noisy, "prepare"))
    assert faceloom("prepare", "smoke", "--json") == 0
    out, err = capfd.readouterr()
    assert [stage["path"] for stage in json.loads(out)["stages"]] == ["data/prepare"]
    assert "noise" not in err
    assert err.splitlines()[-1].startswith("prepare  done in ")
    logs = sorted(Path("data/.faceloom/logs").glob("*.log"))
    assert [log.read_text() for log in logs] == ["noise\nmore noise\n"]


def test_a_long_listing_says_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A line names the source while its names are still being read; a short listing says nothing."""
    noted, note, look = threading.Event(), console.Lines.note, registry.look

    def heard(lines: console.Lines, text: str) -> None:
        note(lines, text)
        if "listing" in text:
            noted.set()

    def slow(*arguments: Any) -> registry.Listed:
        assert noted.wait(60)
        return look(*arguments)

    def done(_order: Order, _report: ReportProgress) -> StageResult:
        return StageResult(stage="prepare", outcome="done", path="p", run_dir="r")

    Image.new("RGB", (64, 64)).save(tmp_path / "empty/a.png")
    monkeypatch.setitem(STAGES, "prepare", done)
    monkeypatch.setattr(console.Lines, "note", heard)
    command = ("prepare", "smoke", "--source", "empty", "--set", "data.crop=center")
    assert faceloom(*command) == 0
    assert not noted.is_set()
    capfd.readouterr()
    monkeypatch.setattr(commands, "_SILENT_SECONDS", 0.0)
    monkeypatch.setattr(registry, "look", slow)
    assert faceloom(*command) == 0
    assert capfd.readouterr().err.startswith("prepare  listing empty: as long as it takes to read every name")


def test_beam_gets_what_follows_the_dashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """`faceloom prepare -- --runner=X` hands --runner=X on, and does not take it for a preset."""
    seen: list[tuple[str, tuple[str, ...]]] = []

    def note(order: Order, _report: ReportProgress) -> StageResult:
        seen.append((order.config.preset, order.beam_args))
        return StageResult(stage="prepare", outcome="done", path="p", run_dir="r")

    monkeypatch.setitem(STAGES, "prepare", note)
    assert faceloom("prepare", "-q", "--", "--runner=X", "--y") == 0
    assert seen == [("quickstart", ("--runner=X", "--y"))]


def test_a_dry_run_says_all_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run names config, folders and the state of each stage, and leaves no file behind."""
    assert faceloom("run", "smoke", "--set", "train.seed=5", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["config"]["train"]["seed"] == 5
    assert plan["source"]["counts"]["train"] > 0
    assert [(stage["stage"], stage["state"]) for stage in plan["stages"]] == [(name, "would run") for name in STAGES]
    assert plan["run"]["path"] == f"data/runs/smoke-{plan['run']['digest'][:12]}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "empty"]


def test_a_dry_run_prints_a_preset(capsys: pytest.CaptureFixture[str]) -> None:
    """The sections that --dry-run prints are valid TOML, and are the configuration that would run."""
    arguments = ("run", "smoke", "--set", "train.xla=true", "--dry-run")
    assert faceloom(*arguments) == 0
    sections = capsys.readouterr().out.split("\n\n[data]\n", 1)[1]
    printed = tomllib.loads("[data]\n" + sections)
    assert faceloom(*arguments, "--json") == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert printed == {name: config[name] for name in ("data", "model", "train", "eval", "retrain")}
    assert printed["train"]["xla"] is True


def test_presets_show_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    """`presets NAME --json` has value, default, allowed values and help of each option."""
    assert faceloom("presets", "smoke", "--json") == 0
    options = {row["key"]: row for rows in json.loads(capsys.readouterr().out)["options"].values() for row in rows}
    assert options["train.batch_size"] == {
        "key": "train.batch_size",
        "value": 32,
        "default": 128,
        "allowed": "in [2, 65536]",
        "help": "images a step",
    }
    assert faceloom("presets", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [preset["name"] for preset in listed] == preset_names()
    assert all(preset["about"] and preset["command"].startswith("faceloom run") for preset in listed)


SCRIPT = """
import sys
from flows import stages, terminal
from flows.cli import cli
from tests.flows.fake_stages import FAKES
if __name__ == "__main__":
    stages.STAGES.update(FAKES)
    sys.exit(terminal.run(cli, sys.argv[1:]))
"""


@pytest.fixture
def start(tmp_path: Path, prefect_url: str) -> Any:
    """Return a function that starts `faceloom` with fake stages and, unless told otherwise, the tests' server."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def start(*args: str, **variables: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_API_URL": prefect_url, **variables}
        command = [sys.executable, str(script), *args]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True)

    return start


def test_run_through_prefect(start: Any, tmp_path: Path) -> None:
    """A failure is one line with its exit code; the next `run` does what is missing and tells stage by stage."""
    behave(tmp_path / "data", "report", "DataError")
    failed = start("run", "smoke", "-q")
    out, err = failed.communicate()
    assert (failed.returncode, out, err) == (3, "", "faceloom: error: report says DataError\n")
    worked = start("run", "smoke", "--json")
    out, err = worked.communicate()
    document = json.loads(out)
    assert (worked.returncode, document["nothing_to_do"]) == (0, False)
    assert [stage["outcome"] for stage in document["stages"]] == ["already done"] * 5 + ["done"]
    assert document["scores"]["swd"]["value"] == 2.5
    assert [line.split()[0] for line in err.splitlines()] == ["prefect", *(name for name in STAGES for _ in range(2))]


def test_sigterm_to_run_saves_and_ends(start: Any, tmp_path: Path) -> None:
    """SIGTERM to `faceloom run` with a server of its own: the stage saves, the exit code is 130, nothing is left."""
    root = tmp_path / "data"
    behave(root, "train", "save at SIGTERM")
    process = start("run", "smoke", "-q", PREFECT_API_URL="")
    until((root / "train.ready").exists)
    process.terminate()
    out, err = process.communicate()
    message = "interrupted; what is finished is kept, and the same command continues"
    assert (process.returncode, out, err) == (130, "", f"faceloom: error: {message}\n")
    assert calls(root)[-1] == "train saved after 1 SIGTERM"
    assert not Path(f"/proc/{pid_in(root / 'train.pid')}").exists()
    until(lambda: in_session(process.pid) == [])  # the spawn machinery of Python ends a moment after us


def in_session(leader: int) -> list[str]:
    """Return the names of all living processes of a session; nobody in it starts another session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = path.read_text().rpartition(") ")
            state, _parent, _group, session, *_ = rest.split()
            if int(session) == leader and state != "Z":
                found.append(name)
    return found


@pytest.mark.parametrize(
    ("variables", "code", "message"),
    [
        ({"PREFECT_API_URL": "prefect"}, 2, "PREFECT_API_URL must be like http://127.0.0.1:4200/api, got 'prefect'"),
        (
            {"PREFECT_API_URL": "", "PREFECT_SERVER_DATABASE_CONNECTION_URL": "nonsense"},
            6,
            "Prefect's server ended at its start; why is in data/.faceloom/logs/{log}; see faceloom doctor",
        ),
    ],
)
def test_a_prefect_that_cannot_work_is_explained(
    variables: dict[str, str], code: int, message: str, start: Any
) -> None:
    """An address that is none, and a server that dies at its start, end with one line, without waiting."""
    process = start("run", "smoke", "-q", **variables)
    out, err = process.communicate()
    log = next((path.name for path in Path("data/.faceloom/logs").glob("*-prefect.log")), "")
    assert (process.returncode, out, err) == (code, "", f"faceloom: error: {message.format(log=log)}\n")
