"""Pictures from seeds: the same seed gives the same picture, whatever else is drawn beside it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

from gan_core import artifacts, models
from gan_core.artifacts import digest_of
from gan_core.checkpoints import load_condition, load_manifest, load_normalization, load_state
from gan_core.conditions import Array, Condition, chosen
from gan_core.config import RunConfig
from gan_core.dataset import Images
from gan_core.grids import grid
from gan_core.handoff import Checkpoint, SampleSet
from gan_core.models.description import NETWORKS_FILE, write_networks
from gan_core.normalization import Normalization
from gan_core.progress import Progress, ReportProgress, silent
from gan_core.sample_sheets import CLASS_COLUMNS, PAIRS, classes, interpolations
from gan_core.transfer import freeze_lowest

GRID_COLUMNS = 8
GRID_COUNT = 64
# Kernels may round differently for different batch sizes, so pictures are always made this many at a time.
_BATCH_SIZE = 32
_FORMAT = 2  # bump when the same checkpoint and config would give other files


def sample(config: RunConfig, checkpoint: Checkpoint, report_progress: ReportProgress = silent) -> SampleSet:
    """Publish `run_dir/samples/`: `eval.sample_count` pictures from the averaged generator, a grid, and two sheets.

    Picture i has seed `eval.seed` + i. As PNG files `pictures/seed00000000.png` or one `pictures.npz` with `images`
    (uint8 [N, H, W, C]) and `seeds` (int64 [N]). Of a conditional run, `eval.sample_class` or `eval.sample_attributes`
    chooses the condition, and the archive has `conditions` (float32 [N, size]). `interpolations.png` and, of a
    conditional run, `classes.png` are those of sample_sheets.py, from `eval.seed` on; the manifest says what they show.
    Where the run has no networks.json yet, it gets one.

    Raises:
        ConfigError: the run has no such condition.
    """
    evaluation, manifest = config.eval, load_manifest(checkpoint)
    asked = {"count": evaluation.sample_count, "seed": evaluation.seed, "format": evaluation.sample_format}
    if evaluation.sample_condition:
        asked["condition"] = evaluation.sample_condition
    of_run = load_condition(checkpoint)
    condition = chosen(of_run, evaluation)
    digest = digest_of({"format": _FORMAT, "checkpoint": manifest.digest, **asked})
    final = checkpoint.run_dir / "samples"
    if artifacts.find(final, "samples", digest) is None:
        with artifacts.publishing(final) as draft:
            if artifacts.find(final, "samples", digest) is None:  # else from a process that this one had to wait for
                artist = _Artist(checkpoint)
                _write_pictures(draft, config, artist, condition, report_progress)
                sheets = _write_sheets(draft, evaluation.seed, artist, of_run, condition)
                fields = {**asked, "images_seen": checkpoint.images_seen, **sheets}
                artifacts.write_manifest(draft, "samples", digest, fields)
    if not (checkpoint.run_dir / NETWORKS_FILE).is_file():  # the run was trained before there was such a file
        write_networks(checkpoint.run_dir, _networks(checkpoint))
    return SampleSet(final, evaluation.sample_count, evaluation.seed, checkpoint)


def generate(checkpoint: Checkpoint, seeds: range, *, batch_size: int = 256) -> Images:
    """Return uint8 [len(seeds), H, W, C] in [0, 255]: one picture a seed from the checkpoint's averaged generator.

    Of a conditional one, each picture has the condition that belongs to its seed: see `Condition.drawn`.
    """
    return np.concatenate(list(batches(checkpoint, seeds, load_condition(checkpoint), batch_size=batch_size)))


def batches(
    checkpoint: Checkpoint, seeds: range, condition: Condition | None, *, batch_size: int = 256
) -> Iterator[Images]:
    """Yield what `generate` returns, uint8 [up to batch_size, H, W, C], of the given condition."""
    return _Artist(checkpoint).batches(seeds, condition, batch_size)


def latents(seeds: range, latent_size: int) -> npt.NDArray[np.float32]:
    """Return float32 [len(seeds), latent_size], N(0, 1); row i depends on seeds[i] alone."""
    rows = [np.random.default_rng(seed).standard_normal(latent_size, np.float32) for seed in seeds]
    return np.stack(rows)


def render(
    generator: keras.Model,
    latent: npt.NDArray[np.float32],
    normalization: Normalization | None = None,
    conditions: Array | None = None,
) -> Images:
    """Return what the generator makes of float32 [N, latent_size], as uint8 [N, H, W, C] in [0, 255].

    A conditional generator takes `conditions`, float32 [N, size], besides.

    `normalization` is the one that the generator was built and trained with; None is [-1, 1]. Its inverse is taken in
    float32, rounded and clipped as `Normalization.invert` does: exact for what any pixel is normalized to.
    """
    given = [latent] if conditions is None else [latent, conditions]
    padded = [np.concatenate([x, np.zeros((-len(x) % _BATCH_SIZE, x.shape[1]), np.float32)]) for x in given]
    forward = _forward(generator, normalization or models.tanh_normalization(generator.output_shape[-1]))
    starts = range(0, len(padded[0]), _BATCH_SIZE)
    parts = [forward(*(x[start : start + _BATCH_SIZE] for x in padded)).numpy() for start in starts]
    return np.concatenate(parts)[: len(latent)]


def load_generator(checkpoint: Checkpoint) -> keras.Model:
    """Rebuild the averaged generator of a checkpoint from config, normalization and condition inside it."""
    generator, _ = _networks(checkpoint)
    state = load_state(checkpoint, "averaged")
    for variable, name in zip(generator.variables, sorted(state), strict=True):
        variable.assign(state[name])
    return generator


def _networks(checkpoint: Checkpoint) -> models.Pair:
    """Build the networks of a checkpoint, with initial weights."""
    config = RunConfig.from_json(load_manifest(checkpoint).fields["config"])
    normalization, condition = load_normalization(checkpoint), load_condition(checkpoint)
    pair = models.build(
        config.data,
        config.model,
        config.train.precision,
        normalization=normalization,
        condition_size=condition.size if condition else 0,
    )
    freeze_lowest(pair[1], config.train.freeze_d)
    return pair


@functools.lru_cache(maxsize=4)
def _forward(generator: keras.Model, normalization: Normalization) -> Any:
    signature = [tf.TensorSpec([_BATCH_SIZE, *each.shape[1:]], tf.float32) for each in generator.inputs]
    levels = [1.0 / scale for scale in normalization.scale]

    def forward(latent: Any, condition: Any = None) -> Any:
        pixels = (generator(models.inputs(latent, condition), training=False) - normalization.offset) * levels
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)

    return tf.function(forward, input_signature=signature)


class _Artist:
    """The averaged generator of a checkpoint, loaded once."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._generator, self._normalization = load_generator(checkpoint), load_normalization(checkpoint)

    def draw(self, latent: Array, conditions: Array | None) -> Images:
        """Return the pictures of latents, float32 [N, latent_size], and their conditions, float32 [N, size]."""
        return render(self._generator, latent, self._normalization, conditions)

    def latents(self, seeds: range) -> Array:
        """Return the latents of seeds, float32 [len(seeds), latent_size]."""
        return latents(seeds, self._generator.inputs[0].shape[1])

    def batches(self, seeds: range, condition: Condition | None, batch_size: int = 256) -> Iterator[Images]:
        """Yield the pictures of seeds, uint8 [up to batch_size, H, W, C]."""
        for start in range(0, len(seeds), batch_size):
            some = seeds[start : start + batch_size]
            yield self.draw(self.latents(some), condition.drawn(some) if condition else None)


def _write_pictures(
    draft: Path,
    config: RunConfig,
    artist: _Artist,
    condition: Condition | None,
    report_progress: ReportProgress,
) -> None:
    evaluation = config.eval
    seeds = range(evaluation.seed, evaluation.seed + evaluation.sample_count)
    kept: list[Images] = []
    done, first = 0, []
    as_files = evaluation.sample_format == "png"
    if as_files:
        (draft / "pictures").mkdir()
    for images in artist.batches(seeds, condition):
        if done < GRID_COUNT:
            first.append(images)
        if as_files:
            for seed, image in zip(seeds[done : done + len(images)], images, strict=True):
                pixels = image[:, :, 0] if image.shape[2] == 1 else image
                Image.fromarray(pixels).save(draft / "pictures" / f"seed{seed:08d}.png")
        else:
            kept.append(images)
        done += len(images)
        report_progress(Progress("sample", done, len(seeds)))
    if not as_files:
        arrays: dict[str, npt.NDArray[Any]] = {"images": np.concatenate(kept), "seeds": np.array(seeds, np.int64)}
        if condition:
            arrays["conditions"] = condition.drawn(seeds)
        np.savez_compressed(draft / "pictures.npz", allow_pickle=False, **arrays)
    grid(np.concatenate(first)[:GRID_COUNT], GRID_COLUMNS).save(draft / "grid.png")


def _write_sheets(
    draft: Path, seed: int, artist: _Artist, of_run: Condition | None, condition: Condition | None
) -> dict[str, Any]:
    """Write the sheets and return what the manifest says of them."""
    ends = artist.latents(range(seed, seed + 2 * PAIRS))
    made = {"interpolations": interpolations(artist.draw, ends, seed, condition)}
    if of_run is not None:
        made["classes"] = classes(artist.draw, ends[:CLASS_COLUMNS], of_run)
    for sheet, facts in made.values():
        sheet.save(draft / facts["file"])
    return {name: facts for name, (_, facts) in made.items()}
