from __future__ import annotations

from pathlib import Path

import pytest

from gan_core.advice import advice, bf16_of, cpu_flags, widths_that_cost
from gan_core.config import ModelConfig, TrainConfig

AMX = frozenset({"sse2", "avx512_bf16", "amx_bf16"})
OLD = frozenset({"sse2"})


def test_flags_are_those_of_the_processor(tmp_path: Path) -> None:
    """Read from /proc/cpuinfo; none where there is no such file."""
    assert cpu_flags(tmp_path) == frozenset()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor\t: 0\nflags\t\t: sse2 avx512_bf16\nvmx flags\t: x\n")
    assert cpu_flags(tmp_path) == {"sse2", "avx512_bf16"}
    assert [bf16_of(flags) for flags in (AMX, cpu_flags(tmp_path), OLD)] == ["amx_bf16", "avx512_bf16", ""]


@pytest.mark.parametrize(
    ("precision", "xla", "has_gpu", "flags", "told"),
    [
        ("float32", False, False, AMX, ["train.precision=mixed_bfloat16"]),
        ("float32", False, False, OLD, []),
        ("mixed_bfloat16", False, False, AMX, []),
        ("mixed_bfloat16", False, False, OLD, ["train.precision=float32"]),
        ("mixed_bfloat16", False, False, frozenset(), []),
        ("float32", True, False, OLD, ["train.xla=false"]),
        ("float32", False, True, AMX, ["train.xla=true"]),
        ("mixed_float16", False, True, OLD, ["train.xla=true"]),
        ("float32", True, True, AMX, []),
    ],
)
def test_what_promises_speed_is_said(
    precision: str, xla: bool, has_gpu: bool, flags: frozenset[str], told: list[str]
) -> None:
    """bfloat16 where a processor has it, XLA on GPUs alone, and nothing where all is well or unknown."""
    lines = advice(TrainConfig(precision=precision, xla=xla), has_gpu, flags)
    assert len(lines) == len(told)
    assert all(option in line for option, line in zip(told, lines, strict=True))


def test_widths_that_are_no_multiples_of_eight_are_named() -> None:
    """Each option with its value, and the next multiple; only for float16 on a GPU."""
    half = TrainConfig(precision="mixed_float16")
    (line,) = widths_that_cost(ModelConfig(base_channels=60, latent_size=100), half, has_gpu=True)
    assert line.startswith("model.base_channels=60, model.latent_size=100: ")
    assert "; 64 and 104 would not" in line
    assert widths_that_cost(ModelConfig(latent_size=104), half, has_gpu=True) == []
    assert widths_that_cost(ModelConfig(), half, has_gpu=False) == []
    assert widths_that_cost(ModelConfig(), TrainConfig(), has_gpu=True) == []
