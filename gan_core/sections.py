"""The five sections of a run's config: frozen, checked at construction.

The defaults are the classic DCGAN on 64x64 faces (Radford et al. 2016, arXiv:1511.06434).
"""

from __future__ import annotations

from dataclasses import dataclass

from gan_core import options
from gan_core.errors import ConfigError
from gan_core.options import option

RESOLUTIONS = (28, 32, 64, 128, 256)
CROPS = (
    "celeba-108",
    "celeba-128",
    "celeba-140",
    "celeba-148",
    "celeba-160",
    "celeba-178",
    "landmarks",
    "center",
    "none",
)
NORMALIZE = ("[-1,1]", "[0,1]", "mean-deviation")
DUPLICATES = ("keep", "exact", "near")
LOSS_NAMES = ("bce", "minimax", "lsgan", "hinge", "wgan-gp", "relativistic")
PENALTY_NAMES = ("none", "r1", "r2", "r1+r2", "gp")
AUGMENT_NAMES = ("color", "translation", "cutout")
LABEL = "label"  # in model.condition: the class of each picture
_MAX_CONDITIONS = 10
CHECKPOINTS = ("last", "best")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which pictures, and how they become square tensors."""

    kind: str = option(
        "auto",
        "layout of the source; auto looks at it",
        choices=("auto", "synthetic", "celeba", "ffhq", "cifar10", "mnist", "fashion-mnist", "folder"),
        content=False,
    )
    path: str = option(
        "", "folder or archive of the pictures; empty for synthetic, and to download MNIST or CIFAR-10", content=False
    )
    mirrors: tuple[str, ...] = option(
        (), "addresses to download from instead of the usual ones, the first that answers", content=False
    )
    limit: int = option(0, "use only this many pictures, chosen by the hash of their names; 0 is all", low=0)
    test_share: float = option(
        0.0,
        "share of the pictures held out as split test, by the hash of their names, where the source has none; 0 is off",
        low=0.0,
        high=0.9,
        later=True,
    )
    folder_labels: bool = option(False, "take the first-level folders of a folder source as class labels")
    licences: tuple[str, ...] = option((), "use only pictures under these licences (FFHQ); empty is all")
    resolution: int = option(64, "side of the square result, pixels", choices=RESOLUTIONS)
    channels: int = option(3, "3 for RGB, 1 for luminance", choices=(1, 3))
    background: str = option("white", "what shows through transparent pixels", choices=("white", "black", "gray"))
    min_side: int = option(16, "pictures with a shorter side are rejected, pixels", low=1, high=100_000)
    max_megapixels: float = option(
        120.0, "larger pictures are rejected undecoded, million pixels", low=0.001, high=1000
    )
    min_aspect: float = option(0.0, "pictures with a smaller width / height are rejected; 0 is off", low=0.0, high=1e4)
    max_aspect: float = option(0.0, "pictures with a larger width / height are rejected; 0 is off", low=0.0, high=1e4)
    crop: str = option("celeba-148", "named crop, see docs/data.md", choices=CROPS)
    filter: str = option("lanczos", "resize filter, antialiased", choices=("lanczos", "bicubic", "area", "bilinear"))
    gray_world: bool = option(False, "scale the channels of each picture to one mean (colour constancy)")
    min_sharpness: float = option(
        0.0,
        "less sharp results are rejected: variance of the Laplacian, grey levels squared; 0 is off",
        low=0,
        high=1e6,
    )
    duplicates: str = option(
        "keep", "whether pictures with equal pixels, or that nearly look alike, are rejected", choices=DUPLICATES
    )
    near_bits: int = option(2, "pictures whose 64-bit hashes differ in at most so many bits are near", low=0, high=16)
    flip: str = option(
        "train", "mirrored copies: at load, stored in the shards, or never", choices=("train", "store", "none")
    )
    normalize: str = option("[-1,1]", "range that training sees; recorded, applied at load", choices=NORMALIZE)
    storage: str = option("uint8", "how a record holds its pixels", choices=("uint8", "float32", "png", "jpeg"))
    jpeg_quality: int = option(95, "of data.storage=jpeg", low=1, high=100)
    shard_mib: float = option(64.0, "size of a shard, at most, MiB", low=0.001, high=65_536)
    max_reject_fraction: float = option(
        0.1, "larger shares of rejects refuse the data set", low=0.0, high=1.0, content=False
    )
    synthetic_count: int = option(
        3000, "portraits that the synthetic source draws", low=16, high=1_000_000, content=False
    )
    synthetic_seed: int = option(1, "seed of the synthetic source", low=0, high=2**31 - 1, content=False)

    def __post_init__(self) -> None:
        options.check("data", self)
        if self.kind == "synthetic" and self.path:
            raise ConfigError(
                f"data.path must be empty for data.kind=synthetic, got '{self.path}'; "
                "leave --source out, or set data.kind"
            )
        if self.max_aspect and self.max_aspect < self.min_aspect:
            raise ConfigError(
                f"data.max_aspect must be >= data.min_aspect ({self.min_aspect:g}) or 0, got {self.max_aspect:g}"
            )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The two networks."""

    name: str = option("dcgan", "architecture", choices=("dcgan", "mlp", "r3"))
    base_channels: int = option(
        64,
        "channels of the widest-resolution layer; each halving doubles them; mlp: a sixteenth of a hidden layer",
        low=4,
        high=512,
    )
    max_channels: int = option(512, "no layer is wider than this", low=4, high=4096)
    latent_size: int = option(100, "length of the latent vector, N(0, 1)", low=1, high=4096)
    dropout: float = option(
        0.2, "share of the discriminator's activations dropped in each layer (dcgan, mlp)", low=0.0, high=0.9
    )
    spectral_norm: bool = option(
        False, "divide the discriminator's kernels by their largest singular value (dcgan, mlp)"
    )
    condition: tuple[str, ...] = option(
        (),
        "label, or names of the data set's attributes, which both networks are told of each picture; empty is "
        "unconditional",
        later=True,
    )

    def __post_init__(self) -> None:
        options.check("model", self)
        if len(set(self.condition)) < len(self.condition):
            raise ConfigError(f"model.condition names each once, got {', '.join(self.condition)}")
        if LABEL in self.condition and len(self.condition) > 1:
            raise ConfigError(
                f"model.condition is either label or names of attributes, got {', '.join(self.condition)}"
            )
        if len(self.condition) > _MAX_CONDITIONS:
            raise ConfigError(f"model.condition names {_MAX_CONDITIONS} attributes at most, got {len(self.condition)}")
        if self.spectral_norm and self.name == "r3":
            raise ConfigError(
                "model.spectral_norm is for dcgan and mlp, got model.name=r3, which is made for train.penalty=r1+r2; "
                "leave it false"
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How the networks are trained. Progress is counted in thousands of real images shown (kimg)."""

    total_kimg: float = option(2500.0, "length of the training, thousand images shown", low=0.001, high=1e6)
    batch_size: int = option(128, "images a step", low=2, high=65_536)
    micro_batch: int = option(
        0, "images in memory at once; their gradients are added up to those of a batch; 0 is all", low=0, high=65_536
    )
    loss: str = option("bce", "adversarial loss", choices=LOSS_NAMES)
    updates: str = option(
        "alternating",
        "whether the generator learns from the discriminator's new weights, or both from the old ones, which saves up "
        "to a quarter of the work",
        choices=("alternating", "simultaneous"),
        later=True,
    )
    label_smoothing: float = option(0.1, "real labels are 1 minus this (one-sided; bce and minimax)", low=0.0, high=0.5)
    penalty: str = option("none", "penalty on the discriminator's gradients", choices=PENALTY_NAMES)
    penalty_weight: float = option(10.0, "weight of the penalty (gamma, lambda)", low=0.0, high=1e6)
    penalty_every: int = option(
        1, "steps from one penalty to the next, which weighs so many times more (lazy)", low=1, high=1000
    )
    augment: tuple[str, ...] = option(
        (), "DiffAugment on real and generated pictures, in this order; empty is off", choices=AUGMENT_NAMES
    )
    augment_strength: float = option(1.0, "share of pictures that each of them changes, at first", low=0.0, high=1.0)
    augment_target: float = option(
        0.0, "adapt the strength until mean sign(D(real)) is this (ADA: 0.6); 0 is off", low=0.0, high=0.99
    )
    augment_kimg: float = option(
        500.0, "the strength moves from 0 to 1 in so many thousand images at most", low=0.001, high=1e5
    )
    transfer: str = option(
        "",
        "folder of a run, or of one of its checkpoints, whose weights are taken to begin with where layers have the "
        "same name and shape; empty is off",
        content=False,
    )
    freeze_d: int = option(
        0, "lowest layers of the discriminator, nearest the picture, that keep their weights", low=0, later=True
    )
    learning_rate_g: float = option(2e-4, "Adam's step size, generator", low=0.0, high=1.0)
    learning_rate_d: float = option(2e-4, "Adam's step size, discriminator", low=0.0, high=1.0)
    beta1: float = option(0.5, "Adam's first-moment decay", low=0.0, high=0.9999)
    beta2: float = option(0.999, "Adam's second-moment decay", low=0.0, high=0.999999)
    ema_halflife_kimg: float = option(
        1.0, "half-life of the averaged generator, thousand images; 0 is off", low=0.0, high=1e5
    )
    ema_rampup: float = option(
        0.05,
        "half-life at most this share of the images shown, so that the first weights are forgotten; 0 is off",
        low=0.0,
        high=1e3,
    )
    schedule_kimg: float = option(
        0.0, "thousand images in which the following go to their ends, by half a cosine; 0 is off", low=0.0, high=1e6
    )
    learning_rate_end: float = option(1.0, "both learning rates at the end, as a share", low=0.0, high=1e3)
    beta2_end: float = option(0.0, "beta2 at the end; 0 leaves it as it is", low=0.0, high=0.999999)
    ema_halflife_end: float = option(1.0, "half-life of the average at the end, as a share", low=0.0, high=1e6)
    penalty_weight_end: float = option(1.0, "weight of the penalty at the end, as a share", low=0.0, high=1e3)
    seed: int = option(0, "seed of weights, order, flips, latents and dropout", low=0, high=2**31 - 1)
    precision: str = option(
        "float32", "compute type of the layers", choices=("float32", "mixed_bfloat16", "mixed_float16")
    )
    xla: bool = option(False, "compile the step with XLA")
    deterministic: bool = option(True, "choose only reproducible kernels (slower on a GPU)")
    devices: str = option(
        "one",
        "the first device, or all GPUs of the machine, which share each batch",
        choices=("one", "all"),
        content=False,
    )
    steps_per_execution: int = option(1, "steps in one device call", low=1, high=10_000, content=False)
    placement: str = option(
        "auto",
        "where the pictures live: on the device, in memory, or read from the shards; auto looks at what is free",
        choices=("auto", "device", "memory", "stream"),
        content=False,
    )
    log_every_kimg: float = option(1.0, "a line in metrics.jsonl, thousand images", low=0.001, high=1e5)
    snapshot_every_kimg: float = option(50.0, "a fixed-latent grid and a score, thousand images", low=0.001, high=1e5)
    checkpoint_every_kimg: float = option(50.0, "a checkpoint, thousand images", low=0.001, high=1e5, content=False)
    keep_checkpoints: int = option(
        2, "newest checkpoints kept, beside the best by score", low=1, high=1000, content=False
    )
    patience_kimg: float = option(
        0.0,
        "stop when the score on the way was not lower than before for so many thousand images; 0 is off",
        low=0.0,
        high=1e6,
        later=True,
    )

    def __post_init__(self) -> None:
        options.check("train", self)
        if self.total_kimg * 1000 < self.batch_size:
            raise ConfigError(
                f"train.total_kimg must be at least one batch ({self.batch_size / 1000:g} kimg), "
                f"got {self.total_kimg:g}"
            )
        if self.micro_batch and self.batch_size % self.micro_batch:
            raise ConfigError(
                f"train.micro_batch must divide train.batch_size ({self.batch_size}), got {self.micro_batch}"
            )
        if len(set(self.augment)) < len(self.augment):
            raise ConfigError(f"train.augment names each once, got {', '.join(self.augment)}")
        if self.loss == "wgan-gp" and self.penalty != "gp":
            raise ConfigError(f"train.loss=wgan-gp is defined with train.penalty=gp, got {self.penalty}; set both")

    @property
    def total_steps(self) -> int:
        """Steps until `total_kimg` images were shown, rounded up."""
        return -(-round(self.total_kimg * 1000) // self.batch_size)


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """What is sampled from the trained generator, and how it is measured."""

    checkpoint: str = option(
        "last", "which one is sampled and scored: the last, or the best by the score on the way", choices=CHECKPOINTS
    )
    sample_count: int = option(64, "pictures that `sample` writes", low=1, high=10_000_000)
    sample_format: str = option("png", "PNG files or one .npz", choices=("png", "npz"))
    seed: int = option(0, "first seed of the samples; picture i has seed + i", low=0, high=2**31 - 1)
    sample_class: str = option("", "class that `sample` asks for, by name or number; empty is all, as in training")
    sample_attributes: tuple[str, ...] = option(
        (), "attributes that `sample` asks for, such as Smiling=1,Male=0; the others are as in training"
    )
    score_count: int = option(2048, "generated pictures that a score looks at", low=16, high=1_000_000)
    real_count: int = option(
        0,
        "real pictures that they are compared with; 0 is as many, where there are twice so many",
        low=0,
        high=1_000_000,
    )
    neighbour_count: int = option(
        10_000, "training pictures among which the nearest to a sample is looked for", low=0, high=10_000_000
    )
    extractor: str = option(
        "embedded",
        "network in whose features pictures are compared: embedded, inception-2015, inception-keras, keras:NAME, or an "
        ".onnx or .keras file",
    )
    weights: str = option("", "file or address of the extractor's weights; empty is its own")
    resizing: str = option(
        "",
        "how pictures get the extractor's size; empty is its own way",
        choices=("", "legacy", "tensorflow", "clean"),
    )
    snapshot_score_count: int = option(512, "the same for the scores on the way; 0 is off", low=0, high=1_000_000)

    def __post_init__(self) -> None:
        options.check("eval", self)

    @property
    def sample_condition(self) -> str:
        """The condition that samples are asked to have, as text, such as "class dog"; empty is as in training."""
        return f"class {self.sample_class}" if self.sample_class else ",".join(self.sample_attributes)


@dataclass(frozen=True, kw_only=True)
class RetrainConfig:
    """When `faceloom retrain` trains again, from what, and what its gate asks. No part of what a run is."""

    start: str = option(
        "blessed",
        "what a retraining begins with: the weights of the blessed model, or random ones",
        choices=("blessed", "scratch"),
        content=False,
    )
    min_new_pictures: int = option(
        1, "pictures, new or changed, that make a retraining due; 0 is off", low=0, high=10**9, content=False
    )
    min_drift: float = option(
        0.0,
        "drift of the channels' mean or deviation that makes one due with fewer, in standard deviations of the pixels; "
        "0 is off",
        low=0.0,
        high=100.0,
        content=False,
    )
    max_age_days: float = option(
        0.0,
        "days since the last one after which another is due anyway; 0 is off",
        low=0.0,
        high=36_500,
        content=False,
    )
    measure: str = option("", "measure that the gate compares by; empty is the first of the report", content=False)
    min_gain_errors: float = option(
        2.0, "standard errors by which a candidate must be better", low=0.0, high=100.0, content=False
    )
    max_memorised: float = option(
        0.1,
        "share of samples that look memorised, at most, beyond real ones",
        low=0.0,
        high=1.0,
        content=False,
    )
    max_collapse: float = option(
        0.6,
        "how far samples may be on the way from real pictures' variety to one picture, by MS-SSIM",
        low=0.0,
        high=1.0,
        content=False,
    )

    def __post_init__(self) -> None:
        options.check("retrain", self)
