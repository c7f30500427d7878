"""Extracts features with faceloom's inception-2015, as a score does."""

from __future__ import annotations

import sys

from benchmarks.evaluation import turns


def main() -> None:
    """Take turns, with the random weights of the parity tests."""
    given = turns.arguments(main.__doc__).parse_args()
    import tensorflow as tf

    from gan_core.extractors import inception_2015 as inception
    from gan_core.extractors.inception_network import compiled, network
    from gan_core.extractors.inception_weights import InceptionWeights
    from tests.random_inception import arrays

    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    inception.BATCH = given.batch
    weights = InceptionWeights(arrays(), is_published=False)
    facts = inception.facts_of(weights, inception.DEFAULT_RESIZING)
    extractor = inception.Inception2015(compiled(network(weights.arrays)), facts)

    def extract(images: turns.Images) -> None:
        extractor.extract(images)

    turns.take(given, extract, f"tensorflow {tf.__version__}")


if __name__ == "__main__":
    sys.exit(main())
