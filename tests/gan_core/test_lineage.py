"""The command that makes a run again."""

from __future__ import annotations

import shlex

from gan_core.config import load_config
from gan_core.lineage import command


def test_the_command_asks_for_the_same_run() -> None:
    """Read back, the settings of a command give the config that it was made from, lists and texts included."""
    settings = [
        'model.condition=["5_o_Clock_Shadow", "Smiling"]',
        "train.augment=color,cutout",
        "train.transfer=runs/my faces",
        "train.freeze_d=2",
        "eval.sample_attributes=Smiling=1",
        "train.xla=true",
    ]
    config = load_config("smoke", settings)
    words = shlex.split(command("train", config))
    assert words[:3] == ["faceloom", "train", "smoke"]
    assert words[3::2] == ["--set"] * len(settings)
    assert load_config("smoke", words[4::2]) == config
