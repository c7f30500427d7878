"""The figures of a training in few words: bars and `faceloom runs watch` have a line of 80 columns for them."""

from __future__ import annotations

from collections.abc import Mapping

_PAIRS = {
    "loss": ("loss_g", "loss_d"),
    "grad": ("gradient_norm_g", "gradient_norm_d"),
    "lr": ("learning_rate_g", "learning_rate_d"),
    "scale": ("loss_scale_g", "loss_scale_d"),
}
# Shown elsewhere, or counted by the stage itself beside the rate of the bar.
_OWN_PLACE = ("kimg", "images", "seconds", "images_per_second", "memory_peak_mib")


def figures_text(figures: Mapping[str, float]) -> str:
    """Return `loss G 0.912 D 0.64  real 81% fake 77%  grad G 1.2 D 0.8  lr 0.0002  1.3 GiB`.

    What has a place of its own elsewhere is left out; what is unknown here comes last, with its name.
    """
    words = [_pair("loss", figures), _accuracies(figures), _pair("grad", figures), _pair("lr", figures)]
    if "memory_mib" in figures:
        words.append(f"{figures['memory_mib'] / 1024:.1f} GiB")
    if "augment_strength" in figures:
        words.append(f"augment {figures['augment_strength']:.2g}")
    words.append(_pair("scale", figures))
    named = {name for pair in _PAIRS.values() for name in pair}
    named |= {"accuracy_real", "accuracy_fake", "memory_mib", "augment_strength", *_OWN_PLACE}
    words += [f"{name} {value:.4g}" for name, value in figures.items() if name not in named]
    return "  ".join(word for word in words if word)


def _pair(name: str, figures: Mapping[str, float]) -> str:
    found = {key[-1].upper(): f"{figures[key]:.3g}" for key in _PAIRS[name] if key in figures}
    if len(found) == 2 and len(set(found.values())) == 1 and name != "loss":
        return f"{name} {found['G']}"
    return " ".join([name, *(f"{owner} {value}" for owner, value in found.items())]) if found else ""


def _accuracies(figures: Mapping[str, float]) -> str:
    keys = {"real": "accuracy_real", "fake": "accuracy_fake"}
    return " ".join(f"{word} {figures[key]:.0%}" for word, key in keys.items() if key in figures)
