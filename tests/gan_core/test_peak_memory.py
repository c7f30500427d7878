"""What a process has taken at most: its own, its children's, and a GPU's."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from gan_core.peak_memory import peak_memory

_TAKING = (
    "import json, subprocess, sys\n"
    "from gan_core.peak_memory import peak_memory\n"
    "before = peak_memory()\n"
    "taking = 'x = bytearray(200 * 2**20); x[::4096] = b\"1\" * len(x[::4096])'\n"
    "if sys.argv[1] == 'child':\n"
    "    subprocess.run([sys.executable, '-c', taking], check=True)\n"
    "else:\n"
    "    exec(taking); del x\n"
    "print(json.dumps([before, peak_memory()]))"
)


@pytest.mark.parametrize("who", ["itself", "child"])
def test_what_was_taken_and_given_back_counts(who: str) -> None:
    """200 MiB of the process, or of a child that has ended, stay in the figure."""
    done = subprocess.run([sys.executable, "-c", _TAKING, who], capture_output=True, text=True, check=True)
    before, after = (figures["peak_memory_mib"] for figures in json.loads(done.stdout))
    assert 5 < before < 100
    assert 200 < after < 300


def test_without_tensorflow_there_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are of the process alone, and nothing is imported for them."""
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    assert list(peak_memory()) == ["peak_memory_mib"]
    assert "tensorflow" not in sys.modules


@pytest.mark.parametrize(("peaks", "expected"), [({}, None), ({"GPU:0": 3 << 20, "GPU:1": 5 << 19}, 3.0)])
def test_the_fullest_gpu_is_told(
    monkeypatch: pytest.MonkeyPatch, peaks: dict[str, int], expected: float | None
) -> None:
    """As TensorFlow names and counts them; without any there is no such figure."""
    config = SimpleNamespace(
        list_logical_devices=lambda kind: [SimpleNamespace(name=f"/device:{name}") for name in peaks],
        experimental=SimpleNamespace(get_memory_info=lambda name: {"current": 1, "peak": peaks[name]}),
    )
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
    assert peak_memory().get("device_peak_memory_mib") == expected
