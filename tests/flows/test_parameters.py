"""What flow parameters may ask for, and what they may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.least_rights import check_texts, permitted
from flows.parameters import ASKED, order_of
from flows.pipeline import pipeline
from flows.retrain import retrain
from flows.stages import Order
from gan_core.config import load_config, preset_names
from gan_core.errors import ConfigError


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a worker whose data root is `data`."""
    monkeypatch.chdir(tmp_path)
    for name in ("FACELOOM_DATA_ROOT", "FACELOOM_ALLOWED_PATHS", "FACELOOM_BEAM_ARGS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "data" / "faces").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def test_texts_become_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Preset, settings and pictures are those of the command line; Beam's options are the worker's own."""
    monkeypatch.setenv("FACELOOM_BEAM_ARGS", "--direct_num_workers=2 '--name=a b'")
    assert order_of("smoke", "data/faces", ("train.seed=3",), "") == Order(
        config=load_config("smoke", ["train.seed=3"], source=Path("data/faces")),
        data_root=Path("data"),
        beam_args=("--direct_num_workers=2", "--name=a b"),
    )


@pytest.mark.parametrize(
    ("source", "settings", "data_root", "message"),
    [
        ("elsewhere", (), "", r"source: elsewhere lies neither in the data root data nor .* FACELOOM_ALLOWED_PATHS"),
        ("data/../elsewhere", (), "", "source: data/../elsewhere lies neither"),
        ("data/link", (), "", "source: data/link lies neither"),
        ("s3://bucket/faces", (), "", "source: s3://bucket/faces lies neither"),
        ("", ("train.transfer=elsewhere",), "", "train.transfer: elsewhere lies neither"),
        ("", ("eval.weights=/etc/passwd",), "", "eval.weights: /etc/passwd lies neither"),
        ("", ("eval.extractor=/etc/net.onnx",), "", "eval.extractor: /etc/net.onnx lies neither"),
        ("", ("data.mirrors=http://169.254.169.254/",), "", "data.mirrors: http://169.254.169.254/ lies neither"),
        ("", (), "elsewhere", "data_root: elsewhere lies neither"),
        ("", ("train.sed=1",), "", r"unknown key 'train\.sed' \(did you mean 'train\.seed'|unknown key"),
    ],
)
def test_paths_cannot_leave_the_data_root(
    root: Path, source: str, settings: tuple[str, ...], data_root: str, message: str
) -> None:
    """Links are followed, dots resolved, and every setting that names a place is looked at."""
    (root / "data" / "link").symlink_to(root / "elsewhere")
    with pytest.raises(ConfigError, match=message):
        order_of("smoke", source, settings, data_root)


def test_preset_files_are_paths_too(root: Path) -> None:
    """A TOML file elsewhere is not read."""
    (root / "elsewhere" / "mine.toml").write_text("")
    with pytest.raises(ConfigError, match=r"preset: elsewhere/mine\.toml lies neither"):
        order_of("elsewhere/mine.toml", "", (), "")


def test_the_machines_owner_allows_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders and addresses, between colons."""
    monkeypatch.setenv("FACELOOM_ALLOWED_PATHS", f"{root / 'elsewhere'}:s3://bucket/faces")
    assert order_of("smoke", "elsewhere", (), "").config.data.path == "elsewhere"
    assert str(permitted("source", "s3://bucket/faces/2024", Path("data"))) == "s3://bucket/faces/2024"
    for outside in ("s3://bucket/facesque", "s3://bucket/faces/../keys"):
        with pytest.raises(ConfigError, match="lies neither"):
            permitted("source", outside, Path("data"))


@pytest.mark.parametrize(
    "text",
    ["https://me:hunter2@host/faces", "s3://key:hunter2@bucket", "https://host/?token=hunter2", "password=hunter2"],
)
def test_secrets_are_refused_and_not_repeated(text: str) -> None:
    """Prefect would keep them in its database and show them."""
    with pytest.raises(ConfigError, match="looks like a password or key") as caught:
        check_texts("smoke", text)
    assert "hunter2" not in str(caught.value)


def test_the_command_line_has_rights_of_its_own() -> None:
    """What it asks for in its own process is taken as it is."""
    asked = Order(config=load_config("smoke", source=Path("elsewhere")), data_root=Path("elsewhere"))
    token = ASKED.set(asked)
    try:
        assert order_of("smoke", "", (), "") is asked
    finally:
        ASKED.reset(token)


@pytest.mark.parametrize("flow", [pipeline, retrain])
def test_the_form_has_descriptions_and_bounds(flow: object) -> None:
    """Each field of the form in the UI says what it is; presets are suggested, and settings must look like some."""
    schema = flow.parameters  # type: ignore[attr-defined]
    fields = schema.properties
    assert list(fields)[:4] == ["preset", "source", "settings", "data_root"]
    assert all(field["description"] for field in fields.values())
    assert fields["preset"]["examples"] == preset_names()
    assert fields["settings"]["items"]["pattern"] == r"^[a-z]+\.[a-z0-9_]+ *="
    assert schema.required in (None, [])
