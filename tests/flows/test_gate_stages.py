"""The stages that decide on a model, where a first try got half-way."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from flows import gate_stages
from flows.stages import Order
from gan_core.checkpoints import save_checkpoint
from gan_core.config import load_config
from gan_core.progress import silent
from gan_core.registry import Registry
from tests.gan_core.registry.test_registry import dataset


def test_a_decision_that_is_made_again_is_the_one_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered, killed, and another model blessed meanwhile: what counts and is told is the answer about that one."""
    order = Order(config=load_config("smoke"), data_root=tmp_path)
    run_dir = tmp_path / "runs" / "one"
    run_dir.mkdir(parents=True)
    checkpoint, of = save_checkpoint(run_dir, order.config, 64, {"averaged/a": np.ones(3)}, {}), dataset(tmp_path)
    before = {"promote": True, "summary": "promoted: better than v0", "reasons": []}
    now = {"promote": False, "summary": "not promoted: worse than v0", "reasons": []}
    registry = Registry(tmp_path, "smoke")
    registry.register(run_dir, checkpoint, of, before, None)
    for name, value in (
        ("locate", SimpleNamespace(run_dir=run_dir)),
        ("dataset_of", of),
        ("checkpoint_of", checkpoint),
    ):
        monkeypatch.setattr(gate_stages, name, lambda *_, value=value: value)
    monkeypatch.setattr(gate_stages, "_digest", lambda _: registry.versions()[0].checkpoint_digest)
    monkeypatch.setattr(gate_stages, "_pictures", lambda _: None)
    monkeypatch.setattr(gate_stages, "_decision", lambda *_: SimpleNamespace(fields=now))
    result = gate_stages.promote(order, silent)
    assert (result.outcome, result.summary["decision"]) == ("done", now)
    assert [line["event"] for line in registry.history()] == ["registered", "rejected"]
    assert registry.blessed() is None
    again = gate_stages.promote(order, silent)
    assert (again.outcome, again.summary["decision"]) == ("already done", now)
    assert len(registry.history()) == 2
