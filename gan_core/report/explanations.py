"""What each measure is, for readers who never met it: what it sees, what it is blind to, what may be compared."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Explanation:
    """The words beside a score.

    Attributes:
        name: for headings; `short` for tables and tiles.
        sees: what the number tells.
        blind: what it does not see.
        floor: what its floor is.
        compare: with which other numbers it may be compared.
        better: what a better number is, where "lower" or "higher" would mislead.
    """

    name: str
    short: str
    sees: str
    blind: str = ""
    floor: str = "The same measure between two disjoint sets of real pictures, as many as there are generated ones."
    compare: str = "Only with numbers of the same fingerprint."
    better: str = ""


_FEATURES_BLIND = "What its features do not see: they come from a network that was trained for something else."
_SMALL = "It needs many pictures: below some thousand it is too large, and by how much depends on the model."

_FRECHET = Explanation(
    name="Fréchet distance of features",
    short="Fréchet distance",
    sees="How far the clouds of real and generated pictures lie apart in the feature space of a network, by their "
    "means and covariances. Sharpness, plausible content and variety all move it.",
    blind=f"All beyond mean and covariance; memorised training pictures score perfectly. {_FEATURES_BLIND} {_SMALL}",
    compare="Only with the same fingerprint. By any network but the published Inception it is no FID.",
)
_KERNEL = Explanation(
    name="Kernel distance of features",
    short="Kernel distance",
    sees="How far the clouds of features lie apart by a polynomial kernel. Unbiased: its mean does not depend on the "
    "number of pictures, so it is the first number to read where there are few.",
    blind=f"Memorised training pictures. {_FEATURES_BLIND} It may be slightly negative: zero within its error.",
    compare="Only with the same fingerprint. By any network but the published Inception it is no KID.",
)
_CLASS_SCORE = Explanation(
    name="Class score",
    short="Class score",
    sees="Whether a classifier is sure of each picture, and whether all pictures together spread over many classes.",
    blind="The real pictures: it never looks at them. One perfect picture a class is enough for a top score, and the "
    "classes of everyday objects say little about faces.",
    floor="What real pictures get. A good generator comes near it; beyond it nothing is won.",
    better="higher is better, up to what real pictures get",
)

EXPLANATIONS: dict[str, Explanation] = {
    "swd": Explanation(
        name="SWD, sliced Wasserstein distance",
        short="SWD",
        sees="How far the small structures of generated pictures are from those of real ones, scale by scale: little "
        "windows of a Laplacian pyramid, compared along random directions, mean over the scales, times 1000. Fine "
        "scales see noise and sharpness, coarse ones composition.",
        blind="The brightness and contrast of a set as a whole: each set is first brought to mean 0 and deviation 1 in "
        "every channel, so pictures that are all too dark cost nothing. Nor does it see how details far apart belong "
        "together, such as two eyes.",
        floor="The same real pictures against as many other real ones. It shrinks with more pictures.",
        compare="Only with the same fingerprint. Not with FID, and not with an SWD that was counted otherwise.",
    ),
    "ms_ssim": Explanation(
        name="MS-SSIM, likeness among generated pictures",
        short="MS-SSIM",
        sees="Random pairs of generated pictures are compared with each other at several scales; the number is the "
        "mean. 1 would be one picture again and again. Well above the floor, the generator repeats itself.",
        blind="Everything but gross collapse: a set may lack whole kinds of faces and still stay at the floor. It says "
        "nothing about how real a picture looks, and low contrast alone raises it.",
        floor="The mean of the same number within two sets of real pictures. Numbers below it are no better.",
        better="best near the floor",
        compare="Only with the floor beside it, and the same fingerprint; small pictures have fewer scales.",
    ),
    "fid": replace(
        _FRECHET,
        name="FID, Fréchet Inception distance",
        short="FID",
        sees="How far the clouds of real and generated pictures lie apart in the features of the published Inception "
        "network, by their means and covariances. Sharpness, plausible content and variety all move it.",
        compare="With published FIDs only where data set, crop, resizing and both numbers of pictures are theirs too.",
    ),
    "fid_infinity": replace(
        _FRECHET,
        name="FID∞, extrapolated to endless pictures",
        short="FID∞",
        sees="FID at several numbers of pictures, carried on along a line to infinitely many: FID without its bias at "
        "small numbers.",
        blind=f"What FID is blind to. {_FEATURES_BLIND} A line through few points has a large error.",
    ),
    "frechet_distance": _FRECHET,
    "frechet_distance_infinity": replace(
        _FRECHET,
        name="Fréchet distance, extrapolated to endless pictures",
        short="Fréchet distance ∞",
        sees="The Fréchet distance at several numbers of pictures, carried on along a line to infinitely many: without "
        "its bias at small numbers.",
        blind=f"What the Fréchet distance is blind to. {_FEATURES_BLIND} A line through few points has a large error.",
    ),
    "kid": replace(
        _KERNEL, name="KID, kernel Inception distance", short="KID", compare="Only with the same fingerprint."
    ),
    "kernel_distance": _KERNEL,
    "inception_score": replace(_CLASS_SCORE, name="Inception Score", short="Inception Score"),
    "class_score": _CLASS_SCORE,
    "precision": Explanation(
        name="Precision",
        short="Precision",
        sees="The share of generated pictures that lie within the neighbourhood of some real one: how many look real.",
        blind="Variety: one good picture again and again gets 1. An odd real picture opens a large neighbourhood.",
        floor="What one half of the real pictures gets against the other: a perfect generator gets no more.",
    ),
    "recall": Explanation(
        name="Recall",
        short="Recall",
        sees="The share of real pictures that lie within the neighbourhood of some generated one: how much of the "
        "variety is there.",
        blind="Quality: odd generated pictures far out open large neighbourhoods and raise it.",
        floor="What one half of the real pictures gets against the other: a perfect generator gets no more.",
    ),
    "density": Explanation(
        name="Density",
        short="Density",
        sees="How many real neighbourhoods hold a generated picture, on average. Precision that does not fall for one "
        "odd real picture.",
        blind="Variety. It may exceed 1 where pictures crowd where real ones are dense.",
        floor="What one half of the real pictures gets against the other, about 1.",
        better="higher is better, up to the floor",
    ),
    "coverage": Explanation(
        name="Coverage",
        short="Coverage",
        sees="The share of real pictures with a generated one in their neighbourhood. Recall that odd generated "
        "pictures cannot raise.",
        blind="How the rest of the generated pictures look.",
        floor="What one half of the real pictures gets against the other: a perfect generator gets no more.",
    ),
    "authenticity": Explanation(
        name="Authenticity",
        short="Authenticity",
        sees="The share of generated pictures that are no closer to their nearest training picture than that one is to "
        "its own nearest neighbour. Low: the generator repeats what it was shown.",
        blind="Quality: noise is authentic. And copies that its features do not recognise, such as shifted ones.",
        floor="What real pictures get that were not trained on; about one half is normal.",
        better="best near the floor",
    ),
    "class_accuracy": Explanation(
        name="Class accuracy",
        short="Class accuracy",
        sees="How often a classifier that was trained on the labelled real pictures finds the class that was asked.",
        blind="Variety within a class, and quality beyond what the classifier needs.",
        floor="How often the classifier is right about real pictures that it was not trained on.",
        better="higher is better, up to what real pictures get",
    ),
}


def explanation(key: str, title: str = "") -> Explanation:
    """Return the words for a measure; of an unknown one, that there are none."""
    found = EXPLANATIONS.get(key)
    if found is not None:
        return found
    name = title or key
    sees = "This page has no description of this measure; see the documentation of the part that computed it."
    return Explanation(name, name, sees, floor="", compare="Only with numbers of the same fingerprint.")
