"""What would make a training faster on the machine at hand. Said, not done: precision and XLA change the result.

Both belong to the digest that names a run, so they must not depend on the machine that it happens to start on.
"""

from __future__ import annotations

from pathlib import Path

from gan_core.config import ModelConfig, TrainConfig

BF16_FLAGS = ("amx_bf16", "avx512_bf16")
_TENSOR_CORE_CHANNELS = 8


def cpu_flags(root: Path = Path("/")) -> frozenset[str]:
    """Return the features of the processor by Linux' names; none where /proc/cpuinfo below `root` does not say."""
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), ()))


def bf16_of(flags: frozenset[str]) -> str:
    """Return the instructions that compute with bfloat16, such as "amx_bf16"; empty without."""
    return next((flag for flag in BF16_FLAGS if flag in flags), "")


def advice(train: TrainConfig, has_gpu: bool, flags: frozenset[str]) -> list[str]:
    """Return lines that name other values of `train.precision` and `train.xla`, where they promise speed.

    Measured on two cores with bfloat16 in hardware, a dcgan of 64x64, base 64, batch 128: 60 pictures/s in float32, 83
    in mixed_bfloat16; on another day 44 without XLA, 35 with it. Nothing was measured on a GPU.
    """
    lines, bf16 = [], bf16_of(flags)
    if not has_gpu and train.precision == "float32" and bf16:
        lines.append(
            f"this processor has {bf16}: train.precision=mixed_bfloat16 was 1.4 times as fast on one with it; that is "
            "another run, with other weights"
        )
    if not has_gpu and train.precision == "mixed_bfloat16" and flags and not bf16:
        lines.append("this processor has no bfloat16 instructions: train.precision=float32 may be faster")
    if not has_gpu and train.xla:
        lines.append("train.xla=false was faster on a CPU (44 against 35 pictures/s)")
    if has_gpu and not train.xla and train.precision != "mixed_bfloat16":
        lines.append("on a GPU, train.xla=true may be faster; that was not measured, and is another run")
    return lines


def widths_that_cost(model: ModelConfig, train: TrainConfig, has_gpu: bool) -> list[str]:
    """Return a warning where tensor cores, which multiply in eights, get other widths in mixed_float16 on a GPU."""
    if not has_gpu or train.precision != "mixed_float16":
        return []
    widths = {name: getattr(model, name) for name in ("base_channels", "max_channels", "latent_size")}
    odd = {name: width for name, width in widths.items() if width % _TENSOR_CORE_CHANNELS}
    if not odd:
        return []
    named = ", ".join(f"model.{name}={width}" for name, width in odd.items())
    nearest = " and ".join(str(-(-width // _TENSOR_CORE_CHANNELS) * _TENSOR_CORE_CHANNELS) for width in odd.values())
    return [
        f"{named}: tensor cores multiply float16 in multiples of 8, and the layers of this width are padded by a copy "
        f"in each call, or compute without them; {nearest} would not (another run)"
    ]
