"""Pictures beside the scores: the nearest training pictures of samples, and the samples that look best and worst."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gan_core.evaluation.collection import Collection
from gan_core.grids import grid
from gan_core.measures.nearest import nearest

_ROWS, _NEAREST = 8, 5
_COLUMNS, _EXTREMES = 8, 16


def write(draft: Path, collection: Collection) -> dict[str, Any]:
    """Write neighbours.png, best.png and worst.png; return what the manifest says of them.

    A row of neighbours.png is a sample and its five nearest training pictures; of the samples that are in memory, those
    come first that lie nearest to a training picture. Best and worst go by realism (Kynkäänniemi et al. 2019, equation
    3): 1 or more lies within the real pictures.
    """
    sets = collection.sets
    images = sets.fake.images
    features = np.asarray(sets.fake.features[: len(images)])
    near, distances = nearest(features, collection.training, min(_NEAREST, len(collection.training)))
    rows = np.argsort(distances[:, 0], kind="stable")[:_ROWS]
    tiles = [tile for row in rows for tile in (images[row], *collection.real_images(near[row]))]
    grid(np.stack(tiles), 1 + near.shape[1]).save(draft / "neighbours.png")
    realism = sets.compared[0].realism[: len(images)]
    order = np.argsort(-realism, kind="stable")
    for name, places in (("best", order[:_EXTREMES]), ("worst", order[::-1][:_EXTREMES])):
        grid(images[places], _COLUMNS).save(draft / f"{name}.png")
    return {
        "neighbours": {
            "file": "neighbours.png",
            "rows": len(rows),
            "columns": 1 + near.shape[1],
            "distances": [[round(float(far), 4) for far in distances[row]] for row in rows],
            "seeds": [collection.seeds[int(row)] for row in rows],
            "among": len(collection.training),
            "available": collection.counts.available,
        },
        "extremes": {
            "by": "realism",
            **{
                name: {"file": f"{name}.png", "seeds": [collection.seeds[int(place)] for place in places]}
                for name, places in (("best", order[:_EXTREMES]), ("worst", order[::-1][:_EXTREMES]))
            },
        },
    }
