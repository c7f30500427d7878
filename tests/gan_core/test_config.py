from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from gan_core.config import (
    SECTIONS,
    DataConfig,
    EvalConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    content,
    load_config,
    preset_header,
    preset_names,
)
from gan_core.errors import ConfigError

KNOWN_PRESETS = ", ".join(preset_names())


def write_preset(folder: Path, text: str) -> str:
    """Write a preset file and return its path as the command line would name it."""
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(preset: str, *overrides: str, source: Path | None = None) -> str:
    """Return the message with which the config is refused."""
    with pytest.raises(ConfigError) as caught:
        load_config(preset, overrides, source=source)
    return str(caught.value)


def test_defaults_are_the_classic_dcgan() -> None:
    """Without preset values, the config is Radford et al. 2016 on 64x64 faces."""
    config = RunConfig(preset="custom")
    assert (config.data.resolution, config.data.channels, config.data.crop) == (64, 3, "celeba-148")
    assert (config.model.name, config.model.latent_size, config.model.base_channels) == ("dcgan", 100, 64)
    train = config.train
    assert (train.batch_size, train.learning_rate_g, train.learning_rate_d, train.beta1) == (
        128,
        2e-4,
        2e-4,
        0.5,
    )


@pytest.mark.parametrize(
    ("total_kimg", "batch_size", "steps"), [(1.0, 100, 10), (1.001, 100, 11), (0.128, 128, 1), (2.5, 32, 79)]
)
def test_total_steps_rounds_up(total_kimg: float, batch_size: int, steps: int) -> None:
    """The last step is a whole batch, even where that shows a few images more than asked for."""
    assert TrainConfig(total_kimg=total_kimg, batch_size=batch_size).total_steps == steps


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DataConfig(resolution=48), "data.resolution must be one of 28, 32, 64, 128, 256, got 48"),
        (lambda: DataConfig(channels=4), "data.channels must be one of 1, 3, got 4"),
        (lambda: DataConfig(limit=-1), "data.limit must be >= 0, got -1"),
        (
            lambda: DataConfig(kind="synthetic", path="faces"),
            "data.path must be empty for data.kind=synthetic, got 'faces'; leave --source out, or set data.kind",
        ),
        (lambda: TrainConfig(seed=-1), "train.seed must be in [0, 2147483647], got -1"),
        (
            lambda: TrainConfig(total_kimg=0.1, batch_size=128),
            "train.total_kimg must be at least one batch (0.128 kimg), got 0.1",
        ),
        (lambda: EvalConfig(sample_format="tiff"), "eval.sample_format must be one of png, npz, got 'tiff'"),
        (
            lambda: RunConfig(preset="custom", model=ModelConfig(base_channels=64, max_channels=32)),
            "model.max_channels must be >= model.base_channels (64), got 32",
        ),
    ],
)
def test_values_that_do_not_fit_are_refused_at_construction(build: Any, message: str) -> None:
    """No config object with a bad value can exist."""
    with pytest.raises(ConfigError) as caught:
        build()
    assert str(caught.value) == message


def test_configs_are_frozen() -> None:
    """A config cannot change after its digest was taken."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().seed = 1  # type: ignore[misc]


def test_unknown_preset_is_refused_with_a_suggestion() -> None:
    """A near miss names the preset that was meant; every refusal lists the known ones."""
    assert refusal("quikstart") == f"unknown preset 'quikstart' (did you mean 'quickstart'?); known: {KNOWN_PRESETS}"
    assert refusal("resnet") == f"unknown preset 'resnet'; known: {KNOWN_PRESETS}"


def test_missing_preset_file_is_refused(tmp_path: Path) -> None:
    """A preset that ends with .toml is a file, and says so when it is not there."""
    path = tmp_path / "gone.toml"
    assert refusal(str(path)) == f"preset file '{path}' does not exist; name one of {KNOWN_PRESETS} or a file"


def test_preset_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A binary file in place of a preset is one line, not a traceback."""
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    assert refusal(str(path)) == (
        f"preset file '{path}' cannot be read: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trian.seed=1", "unknown section 'trian' (did you mean 'train'?); known: data, model, train, eval, retrain"),
        (
            "model.dropuot=0.1",
            "unknown key 'model.dropuot' (did you mean 'dropout'?); "
            "known in model: name, base_channels, max_channels, latent_size, dropout, spectral_norm, condition",
        ),
        ("train.seed", "--set takes section.key=value, for example train.total_kimg=20; got 'train.seed'"),
        ("seed=1", "--set takes section.key=value, for example train.total_kimg=20; got 'seed=1'"),
        ("train.=1", "--set takes section.key=value, for example train.total_kimg=20; got 'train.=1'"),
        ("train.batch_size=many", "train.batch_size must be a whole number in [2, 65536], got 'many'"),
        ("train.batch_size=1", "train.batch_size must be in [2, 65536], got 1"),
        ("train.micro_batch=48", "train.micro_batch must divide train.batch_size (32), got 48"),
        (
            "train.augment=color,cutuot",
            "train.augment must be some of color, translation, cutout, got 'cutuot' (did you mean 'cutout'?)",
        ),
        ("train.augment=color,color", "train.augment names each once, got color, color"),
        (
            "train.loss=wgan-gp",
            "train.loss=wgan-gp is defined with train.penalty=gp, got none; set both",
        ),
        ("train.total_kimg=long", "train.total_kimg must be a number in [0.001, 1e+06], got 'long'"),
        ("train.total_kimg=nan", "train.total_kimg must be a finite number, got nan"),
        ("train.xla=perhaps", "train.xla must be true or false, got 'perhaps'"),
        ("data.filter=lanczo", "data.filter must be one of lanczos, bicubic, area, bilinear, got 'lanczo' "
         "(did you mean 'lanczos'?)"),
    ],
)  # fmt: skip
def test_bad_overrides_are_refused(override: str, message: str) -> None:
    """Every mistake in a `--set` is one line that names the value and what would be right."""
    assert refusal("smoke", override) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trian]\nseed = 1\n",
         "unknown section 'trian' (did you mean 'train'?); known: data, model, train, eval, retrain"),
        ("seed = 1\n", "unknown section 'seed'; known: data, model, train, eval, retrain"),
        ("train = 1\n", "preset 'mine': 'train' must be a table like [train], got 1"),
        ("[train]\nbatch_size = '32'\n", "train.batch_size must be a whole number in [2, 65536], got '32'"),
        ("[train]\nbatch_size = 32.0\n", "train.batch_size must be a whole number in [2, 65536], got 32.0"),
        ("[train]\nxla = 1\n", "train.xla must be true or false, got 1"),
        ("[train]\ntotal_kimg = true\n", "train.total_kimg must be a number in [0.001, 1e+06], got True"),
        ("[train]\ntotal_kimg = nan\n", "train.total_kimg must be a finite number, got nan"),
        ("[data]\npath = 3\n", "data.path must be a text, got 3"),
        ("[data]\ncrop = []\n",
         "data.crop must be a text, one of celeba-108, celeba-128, celeba-140, celeba-148, "
         "celeba-160, celeba-178, landmarks, center, none, got []"),
    ],
)  # fmt: skip
def test_bad_preset_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """A preset's values are checked like those of the command line."""
    assert refusal(write_preset(tmp_path, text)) == message


def test_section_that_is_no_table_is_refused_before_anything_is_set_in_it(tmp_path: Path) -> None:
    """With a source and an override on top, `data = 3` is still one line."""
    preset = write_preset(tmp_path, "data = 3\n")
    message = "preset 'mine': 'data' must be a table like [data], got 3"
    assert refusal(preset, "data.limit=1", source=tmp_path) == message


def test_broken_toml_is_refused(tmp_path: Path) -> None:
    """A syntax error names the file and the place."""
    preset = write_preset(tmp_path, "[train\n")
    assert refusal(preset) == (
        f"preset '{preset}' is not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 7)"
    )


def test_preset_file_gives_its_stem_as_the_name(tmp_path: Path) -> None:
    """A preset of one's own names its runs after its file."""
    config = load_config(write_preset(tmp_path, "[train]\nseed = 7\n"))
    assert config == RunConfig(preset="mine", train=TrainConfig(seed=7))


def test_overrides_win_over_the_preset_and_later_ones_over_earlier(tmp_path: Path) -> None:
    """What is said last counts; what is not said keeps the preset's value."""
    preset = write_preset(tmp_path, "[train]\nseed = 7\nbatch_size = 16\n")
    config = load_config(preset, ["train.seed=8", " train.seed = 9 ", "train.total_kimg=20", "train.xla=on"])
    assert config.train == TrainConfig(seed=9, batch_size=16, total_kimg=20.0, xla=True)


def test_override_value_may_contain_equals_signs_and_dots() -> None:
    """Only the first `=` separates, so paths pass unchanged."""
    config = load_config("celeba64", ["data.path=/faces/a=b.zip"])
    assert config.data.path == "/faces/a=b.zip"


def test_source_sets_the_path_and_ends_synthetic(tmp_path: Path) -> None:
    """`--source` sets data.path; a synthetic preset then looks at the path, another kind stays what it is."""
    synthetic = load_config("smoke", source=tmp_path)
    assert (synthetic.data.kind, synthetic.data.path) == ("auto", str(tmp_path))
    celeba = load_config("celeba64", source=tmp_path)
    assert (celeba.data.kind, celeba.data.path) == ("celeba", str(tmp_path))


def test_overrides_win_over_the_source(tmp_path: Path) -> None:
    """An explicit `--set data.kind` is stronger than what `--source` implies."""
    assert load_config("smoke", ["data.kind=folder"], source=tmp_path).data.kind == "folder"


def test_content_leaves_out_what_does_not_change_the_result() -> None:
    """The fields outside the digest are exactly these; a new field enters it unless it is listed here.

    Later ones are outside only while they have their default, so that runs from before keep their digests.
    """
    outside = {
        name: sorted({spec.name for spec in dataclasses.fields(section)} - content(section()).keys())
        for name, section in SECTIONS.items()
    }
    assert outside == {
        "data": ["kind", "max_reject_fraction", "mirrors", "path", "synthetic_count", "synthetic_seed", "test_share"],
        "model": ["condition"],
        "train": [
            "checkpoint_every_kimg",
            "devices",
            "freeze_d",
            "keep_checkpoints",
            "patience_kimg",
            "placement",
            "steps_per_execution",
            "transfer",
            "updates",
        ],
        "eval": [],
        "retrain": sorted(spec.name for spec in dataclasses.fields(SECTIONS["retrain"])),
    }
    assert content(TrainConfig(patience_kimg=5.0))["patience_kimg"] == 5.0


def test_content_has_the_values() -> None:
    """The content of a section is field -> value."""
    assert content(ModelConfig(dropout=0.25)) == {
        "name": "dcgan",
        "base_channels": 64,
        "max_channels": 512,
        "latent_size": 100,
        "dropout": 0.25,
        "spectral_norm": False,
    }


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_survives_json(preset: str) -> None:
    """What a run writes down is what it was told."""
    config = load_config(preset)
    assert config.preset == preset
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_from_json_takes_defaults_for_what_is_absent() -> None:
    """A saved config from before an option existed gets that option's default."""
    assert RunConfig.from_json({"train": {"seed": 3}}) == RunConfig(preset="custom", train=TrainConfig(seed=3))


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"train": {"sead": 3}}, "unknown key 'train.sead' (did you mean 'seed'?); known in train: "
         + ", ".join(spec.name for spec in dataclasses.fields(TrainConfig))),
        ({"trian": {}}, "unknown section 'trian' (did you mean 'train'?); known: data, model, train, eval, retrain"),
        ({"preset": "smoke", "model": [1]}, "preset 'smoke': 'model' must be a table like [model], got [1]"),
        ({"eval": {"seed": "0"}}, "eval.seed must be a whole number in [0, 2147483647], got '0'"),
    ],
)  # fmt: skip
def test_from_json_refuses_what_it_does_not_know(saved: dict[str, Any], message: str) -> None:
    """A config written by another version is refused in one line rather than half understood."""
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_json(saved)
    assert str(caught.value) == message


def test_preset_header_is_the_leading_comment(tmp_path: Path) -> None:
    """The header ends with the first line that is no comment."""
    assert preset_header("celeba64")[1] == "command: faceloom run celeba64 --source PATH"
    assert not any(line.startswith(("#", "[")) for name in preset_names() for line in preset_header(name))
