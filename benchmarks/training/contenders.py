"""Who is compared: each is a command that trains on the same pictures and leaves a report, and samples."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.contenders import cores
from benchmarks.measure import ROOT
from benchmarks.training import architecture, pace

FACELOOM = "faceloom"
_LAST_LINES = 20
ALTERNATING, SIMULTANEOUS = UPDATES = "alternating", "simultaneous"
_PRECISIONS = {"float32": "float32", "bf16": "mixed_bfloat16"}


@dataclass(frozen=True)
class Contender:
    """A way of training.

    Attributes:
        family: whose it is; of each family the best counts.
        about: for the tables.
        command: a driver and what it is told, but for pictures, folder, seed and length.
        precision: a compute type of gan_core.
        settings: faceloom's `section.key=value`.
        updates: whether its step updates the networks one after the other, or both at the same weights.
    """

    family: str
    about: str
    command: tuple[str, ...]
    precision: str = "float32"
    settings: tuple[str, ...] = ()
    updates: str = ALTERNATING


@dataclass(frozen=True)
class Sources:
    """Where the peers' files are, as far as they are there; which Python has torch, and its threads."""

    pytorch: Path | None
    keras: Path | None
    tutorial: Path | None
    torch_python: str
    torch_threads: int


def machine() -> dict[str, Any]:
    """Return what `measure.machine` does, with `bfloat16`: which instructions for it the processor has."""
    flags = {flag for line in Path("/proc/cpuinfo").read_text().splitlines() for flag in line.split() if "bf16" in flag}
    return {**measure.machine(), "bfloat16": sorted(flags)}


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Add the options that `sources` reads."""
    parser.add_argument("--out", type=Path, required=True, help="the folder that benchmarks.training.faces prepared")
    parser.add_argument("--pytorch-examples", type=Path, help="dcgan/main.py of pytorch/examples, or its checkout")
    parser.add_argument("--keras-example", type=Path, help="examples/generative/dcgan_overriding_train_step.py")
    parser.add_argument("--tensorflow-tutorial", type=Path, help="site/en/tutorials/generative/dcgan.ipynb")
    parser.add_argument("--torch-python", default="/usr/bin/python3", help="a Python with torch and torchvision")
    parser.add_argument("--torch-threads", type=int, default=cores(), help="all cores, or PyTorch's own: physical ones")


def sources(given: argparse.Namespace) -> Sources:
    """Return what was given, as absolute paths. Raises SystemExit for a file that is not there."""
    pytorch = given.pytorch_examples
    if pytorch is not None and pytorch.is_dir():
        pytorch = pytorch / "dcgan" / "main.py"
    return Sources(
        pytorch=_file(pytorch),
        keras=_file(given.keras_example),
        tutorial=_file(given.tensorflow_tutorial),
        torch_python=given.torch_python,
        torch_threads=given.torch_threads,
    )


def _file(path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise SystemExit(f"{path} is not there; benchmarks/training/README.md says where the peers' files are from")
    return None if path is None else path.resolve()


def for_throughput(where: Sources, dataset: Path) -> dict[str, Contender]:
    """Return all of them on one architecture (architecture.py), in each precision and layout."""
    found: dict[str, Contender] = {}
    for short, precision in _PRECISIONS.items():
        told = ("--precision", precision)
        if where.pytorch is not None:
            plain = (*_torch(where, where.pytorch), *told)
            about = "pytorch/examples dcgan"
            found[f"pytorch-{short}"] = Contender("pytorch", f"{about}, contiguous", plain, precision)
            last = (*plain, "--channels-last")
            found[f"pytorch-last-{short}"] = Contender("pytorch", f"{about}, channels last", last, precision)
        if where.keras is not None:
            command = (*_tensorflow("keras-same", where.keras), *told)
            about = "Keras example's train_step, the same networks"
            found[f"keras-{short}"] = Contender("keras", about, command, precision)
        if where.tutorial is not None:
            command = (*_tensorflow("tutorial", where.tutorial), *told)
            about = "TensorFlow tutorial's train_step, the same networks"
            found[f"tutorial-{short}"] = Contender("tutorial", about, command, precision, updates=SIMULTANEOUS)
        for updates in UPDATES:
            settings = (*architecture.NETWORKS, *architecture.STEP, f"train.updates={updates}")
            command = (*_faceloom(dataset), *told, *_set(settings))
            name = f"{FACELOOM}-{short}" if updates == SIMULTANEOUS else f"{FACELOOM}-{updates}-{short}"
            found[name] = Contender(FACELOOM, f"faceloom, {updates}", command, precision, updates=updates)
    return found


def for_quality(where: Sources, dataset: Path, recipes: Path | None) -> dict[str, Contender]:
    """Return the peers as they are published, the fastest forms of them, celeba64, and each recipe."""
    found: dict[str, Contender] = {}
    if where.pytorch is not None:
        plain = _torch(where, where.pytorch)
        about = "pytorch/examples dcgan"
        found["pytorch"] = Contender("pytorch", f"{about} as published, batch 64", (*plain, "--batch", "64"))
        fast = (*plain, "--channels-last")
        found["pytorch-fast"] = Contender("pytorch", f"{about}, channels last, batch 128", fast)
        half = (*fast, "--precision", "mixed_bfloat16")
        found["pytorch-fast-bf16"] = Contender("pytorch", f"{about}, channels last, bf16, batch 128", half)
    if where.keras is not None:
        published = (*_tensorflow("keras", where.keras), "--batch", "32")
        found["keras"] = Contender("keras", "Keras example as published, batch 32", published)
        same = _tensorflow("keras-same", where.keras)
        found["keras-same"] = Contender("keras", "Keras example's step, DCGAN's networks, batch 128", same)
    if where.tutorial is not None:
        about = "TensorFlow tutorial's step, DCGAN's networks, batch 128"
        found["tutorial"] = Contender("tutorial", about, _tensorflow("tutorial", where.tutorial))
    found["celeba64"] = Contender(FACELOOM, "faceloom celeba64", _faceloom(dataset))
    for name, about, settings in read_recipes(recipes) if recipes is not None else ():
        command = (*_faceloom(dataset), *_set(settings))
        found[name] = Contender(FACELOOM, about, command, settings=tuple(settings))
    return found


def chosen(entered: Mapping[str, Contender], only: Sequence[str] | None) -> list[str]:
    """Return the names of all, or of those alone that are asked for. Raises SystemExit for an unknown one."""
    unknown = set(only or ()) - entered.keys()
    if unknown:
        raise SystemExit(f"--only: unknown {', '.join(sorted(unknown))}; there are {', '.join(entered)}")
    return list(only or entered)


def read_recipes(path: Path) -> list[tuple[str, str, list[str]]]:
    """Return name, remark and settings of each table of a TOML file.

    A table `[name]` has `about`, a text, and `set`, a list of `section.key=value`; with `like`, the name of an earlier
    table, it has that one's settings but for those that it sets itself. Raises SystemExit for another file.
    """
    recipes: dict[str, tuple[str, dict[str, str]]] = {}
    try:
        for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
            settings = dict(recipes[table["like"]][1]) if "like" in table else {}
            settings.update((one.partition("=")[0], one) for one in table["set"])
            recipes[name] = str(table.get("about", "")), settings
    except (OSError, tomllib.TOMLDecodeError, KeyError, AttributeError) as error:
        raise SystemExit(f"{path} must have a table [name] with set = [...] for each recipe: {error}") from None
    return [(name, about, list(settings.values())) for name, (about, settings) in recipes.items()]


def run(contender: Contender, faces: Path, out: Path, told: Sequence[str]) -> dict[str, Any]:
    """Run a driver on an empty folder `out` and return its report; its output goes to `out/log.txt`.

    Raises:
        SystemExit: it failed; the message has its last lines.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    log = out / "log.txt"
    command = [*contender.command, "--faces", str(faces), "--out", str(out), *told]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    with log.open("wb") as stream:
        code = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, cwd=ROOT, env=environment).returncode
    if code:
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        raise SystemExit(f"{contender.about} ended with {code}:\n" + "\n".join(lines))
    report: dict[str, Any] = json.loads((out / pace.REPORT).read_text(encoding="utf-8"))
    return report


def _torch(where: Sources, peer: Path) -> tuple[str, ...]:
    threads = str(where.torch_threads)
    driver = "benchmarks.training.torch_driver"
    return where.torch_python, "-m", driver, "--peer", str(peer), "--threads", threads


def _tensorflow(kind: str, peer: Path) -> tuple[str, ...]:
    return sys.executable, "-m", "benchmarks.training.tensorflow_driver", "--kind", kind, "--peer", str(peer)


def _set(settings: Iterable[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def _faceloom(dataset: Path) -> tuple[str, ...]:
    return sys.executable, "-m", "benchmarks.training.faceloom_driver", "--dataset", str(dataset)
