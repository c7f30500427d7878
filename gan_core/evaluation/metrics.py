"""METRICS: each measure beside its floor, the same measure between real pictures.

A measure is a function of `Sets` and one line in METRICS. It returns JSON types: `value`, `error` (one standard error
over the generated pictures), `floor`, `floor_error`, `parameters` (what the numbers depend on besides the sets), and
perhaps `parts`, `note` and `warnings`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gan_core.evaluation import feature_metrics, picture_metrics
from gan_core.evaluation.sets import Sets
from gan_core.extractors.base import Facts

KID_FIRST_BELOW = (
    10_000  # generated pictures: with fewer, the bias of the Frechet distance is larger than what it shows
)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One measure.

    Attributes:
        title: for readers.
        unit: of value and floor.
        better: "lower", "higher" or "near floor".
        needs: what of a set it reads: "images", "features" or "logits".
        plain: key and title where the extractor is that of published numbers, such as ("fid", "FID"); empty where a
            measure has no name that belongs to one network.
        measure: the function.
    """

    title: str
    unit: str
    better: str
    needs: str
    measure: Callable[[Sets], dict[str, Any]]
    plain: tuple[str, str] = ("", "")

    def named(self, key: str, facts: Facts) -> tuple[str, str]:
        """Return key and title of its numbers by this extractor."""
        if self.needs == "images":
            return key, self.title
        if facts.is_published and self.plain[0]:
            return self.plain
        return key, f"{self.title} ({facts.name})"


METRICS: dict[str, Metric] = {
    "kernel_distance": Metric(
        title="kernel distance",
        unit="x1000",
        better="lower",
        needs="features",
        measure=feature_metrics.kernel,
        plain=("kid", "KID"),
    ),
    "frechet_distance": Metric(
        title="Fréchet distance",
        unit="",
        better="lower",
        needs="features",
        measure=feature_metrics.frechet,
        plain=("fid", "FID"),
    ),
    "frechet_distance_infinity": Metric(
        title="Fréchet distance, extrapolated to endless sets",
        unit="",
        better="lower",
        needs="features",
        measure=feature_metrics.frechet_at_infinity,
        plain=("fid_infinity", "FID∞"),
    ),
    "swd": Metric(
        title="sliced Wasserstein distance",
        unit="SWD x1000",
        better="lower",
        needs="images",
        measure=picture_metrics.swd,
    ),
    "ms_ssim": Metric(
        title="likeness among generated pictures",
        unit="MS-SSIM",
        better="near floor",
        needs="images",
        measure=picture_metrics.ms_ssim,
    ),
    "precision": Metric(
        title="precision",
        unit="",
        better="higher",
        needs="features",
        measure=feature_metrics.precision,
    ),
    "recall": Metric(title="recall", unit="", better="higher", needs="features", measure=feature_metrics.recall),
    "density": Metric(title="density", unit="", better="higher", needs="features", measure=feature_metrics.density),
    "coverage": Metric(title="coverage", unit="", better="higher", needs="features", measure=feature_metrics.coverage),
    "authenticity": Metric(
        title="authenticity",
        unit="",
        better="near floor",
        needs="features",
        measure=feature_metrics.authenticity,
    ),
    "class_score": Metric(
        title="class score",
        unit="",
        better="higher",
        needs="logits",
        measure=feature_metrics.class_score,
        plain=("inception_score", "Inception Score"),
    ),
}


def applicable(facts: Facts, generated: int) -> dict[str, Metric]:
    """Return the measures that an extractor allows, the most telling first for so many generated pictures."""
    found = {key: metric for key, metric in METRICS.items() if metric.needs != "logits" or facts.classes}
    if generated >= KID_FIRST_BELOW:
        first = ("frechet_distance", "frechet_distance_infinity")
        found = {key: found[key] for key in sorted(found, key=lambda key: key not in first)}
    return found
