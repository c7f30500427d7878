from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gan_core.config import CROPS, SECTIONS, DataConfig, load_config, preset_header, preset_names

ROOT = Path(__file__).parents[1]

# What each package may import of the three.
MAY_IMPORT = {
    "gan_core": {"gan_core"},
    "beam_jobs": {"beam_jobs", "gan_core"},
    "flows": {"flows", "beam_jobs", "gan_core"},
}

# All else in gan_core, and all of beam_jobs, must start fast and run where TensorFlow is not installed.
NEEDS_TENSORFLOW = {
    "gan_core.augment",
    "gan_core.average",
    "gan_core.classifier",
    "gan_core.classifier_network",
    "gan_core.classifier_training",
    "gan_core.device_pictures",
    "gan_core.distribution",
    "gan_core.events",
    "gan_core.extractors.inception_network",
    "gan_core.extractors.keras_applications",
    "gan_core.extractors.keras_file",
    "gan_core.features",
    "gan_core.feed",
    "gan_core.gan",
    "gan_core.losses",
    "gan_core.models",
    "gan_core.optimizers",
    "gan_core.penalties",
    "gan_core.registry.export",
    "gan_core.runlog",
    "gan_core.sampling",
    "gan_core.schedules",
    "gan_core.snapshots",
    "gan_core.start_up",
    "gan_core.step_means",
    "gan_core.team",
    "gan_core.training",
    "gan_core.transfer",
    "gan_core.updates",
    "gan_core.vitals",
}


def sources(package: str) -> list[Path]:
    """Return the Python files of a package, sorted."""
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the dotted name of a file below the root."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports at any depth, in functions and for type checkers too."""
    package = module_name(path).split(".") if path.name == "__init__.py" else module_name(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*base, *([node.module] if node.module else [])])


def project_files() -> dict[str, str]:
    """Return path -> text of everything that git keeps or would keep. Skips where this is no git checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    texts = {}
    for name in filter(None, names):
        path = ROOT / name
        data = path.read_bytes() if path.is_file() else b""
        if b"\0" not in data:
            texts[name] = data.decode()
    return texts


def places(pattern: str, *, suffix: str = "") -> list[str]:
    """Return "path:line: text" wherever `pattern` occurs in the project's files that end with `suffix`."""
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in project_files().items()
        if name.endswith(suffix)
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_workers_and_light_modules_import_no_tensorflow() -> None:
    """All of beam_jobs, and gan_core up to the networks, load without TensorFlow and Keras."""
    modules = [module_name(path) for package in ("gan_core", "beam_jobs") for path in sources(package)]
    light = [
        module for module in modules if not f"{module}.".startswith(tuple(f"{heavy}." for heavy in NEEDS_TENSORFLOW))
    ]
    code = (
        "import importlib, sys\n"
        "for module in sys.argv[1:]:\n"
        "    importlib.import_module(module)\n"
        "    if {'tensorflow', 'keras'} & sys.modules.keys():\n"
        "        sys.exit(f'{module} imports TensorFlow')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *light], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr[-2000:] if done.returncode else "") == (0, "")


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    """A package imports only what comes after it in flows -> beam_jobs -> gan_core, also inside functions."""
    forbidden = {*MAY_IMPORT, "tests"} - MAY_IMPORT[package]
    found = [
        f"{module_name(path)} imports {name}"
        for path in sources(package)
        for name in imported(path)
        if name.split(".")[0] in forbidden
    ]
    assert found == []


INIT_FILES = [path for package in (*MAY_IMPORT, "tests") for path in sources(package) if path.name == "__init__.py"]


@pytest.mark.parametrize("path", INIT_FILES, ids=module_name)
def test_init_files_only_reexport(path: Path) -> None:
    """An `__init__.py` has a docstring, imports and `__all__` at most: importing a package does nothing."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    code = [
        ast.unparse(node)
        for index, node in enumerate(body)
        if not isinstance(node, ast.Import | ast.ImportFrom)
        and not (index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")
    ]
    assert code == []


def test_no_module_is_a_drawer() -> None:
    """No file or folder is called utils, helpers or common: names say what is inside."""
    drawers = {"util", "utils", "helper", "helpers", "common", "misc"}
    paths = [path.relative_to(ROOT) for package in (*MAY_IMPORT, "tests") for path in sources(package)]
    assert [str(path) for path in paths if drawers & {*path.with_suffix("").parts}] == []


def choices(section: str, key: str) -> set[Any]:
    """Return the allowed values of one option."""
    spec = next(spec for spec in dataclasses.fields(SECTIONS[section]) if spec.name == key)
    return set(spec.metadata["choices"])


def test_kinds_are_the_sources() -> None:
    """`data.kind` offers exactly the sources that there are, and auto, which asks the folder last."""
    from beam_jobs.sources.registry import SOURCES

    assert choices("data", "kind") == {"auto", *SOURCES}
    assert list(SOURCES)[-1] == "folder"
    assert [(kind, source.kind) for kind, source in SOURCES.items()] == [(kind, kind) for kind in SOURCES]


def test_crops_filters_and_normalizations_are_those_of_images() -> None:
    """Every `data.crop`, `data.filter` and `data.normalize` is known, and no crop lacks its option."""
    import numpy as np

    from beam_jobs.pixels.colours import BACKGROUNDS
    from beam_jobs.pixels.images import CELEBA_BOXES, FILTERS, resize
    from gan_core.normalization import NORMALIZATIONS

    assert set(CROPS) == choices("data", "crop") == {*CELEBA_BOXES, "landmarks", "center", "none"}
    assert choices("data", "normalize") == set(NORMALIZATIONS)
    assert choices("data", "background") == set(BACKGROUNDS)
    assert choices("data", "filter") == set(FILTERS)
    for name in choices("data", "filter"):
        assert resize(np.full((4, 4, 3), 7, np.uint8), 2, name).tolist() == [[[7] * 3] * 2] * 2
    assert DataConfig().crop in CROPS


def test_model_names_are_the_models() -> None:
    """`model.name` offers exactly the networks that there are."""
    from gan_core.models import MODELS

    assert choices("model", "name") == set(MODELS)


def test_loss_names_are_the_losses() -> None:
    """`train.loss` offers exactly the losses that there are."""
    from gan_core.losses import LOSSES

    assert choices("train", "loss") == set(LOSSES)


def test_every_penalty_has_an_estimate_of_its_memory() -> None:
    """The estimate of a training's memory knows every `train.penalty`."""
    from gan_core.needed_memory import PENALIZED_SETS

    assert choices("train", "penalty") == set(PENALIZED_SETS)


def test_penalty_and_augmentation_names_are_what_there_is() -> None:
    """`train.penalty` offers the penalties and none; `train.augment` takes exactly the augmentations."""
    from gan_core.augment import AUGMENTATIONS
    from gan_core.penalties import PENALTIES
    from gan_core.sections import AUGMENT_NAMES

    assert choices("train", "penalty") == {"none", *PENALTIES}
    assert tuple(AUGMENTATIONS) == AUGMENT_NAMES


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_loads_and_its_header_says_how_to_run_it(preset: str) -> None:
    """A preset is valid, and its header gives the command that runs it."""
    assert load_config(preset).preset == preset
    commands = [line for line in preset_header(preset) if line.startswith("command: ")]
    assert [line.split()[1:4] for line in commands] == [["faceloom", "run", preset]]


def test_no_package_registry_is_named() -> None:
    """Where packages come from is up to the machine: no file names a host, not even the lock files."""
    assert places(r"(py[p]i|python[h]osted|npm[j]s|ana[c]onda)\.(org|com)|index-url[ =]http") == []


def test_no_developer_machine_is_named() -> None:
    """No file has an absolute path of the machine that it was written on."""
    assert places(r"(?<![\w.$}/-])/(home|Users|root|work|tmp/try)/\w") == []


def test_no_pickle_is_loaded() -> None:
    """Pickles execute what they hold; neither code nor tests load any, and NumPy is never allowed to."""
    assert (
        places(
            r"pickle\.(load|Unpickler)|allow_pickle\s*=\s*True|import (c|d|)pickle\b|joblib\.load",
            suffix=".py",
        )
        == []
    )
