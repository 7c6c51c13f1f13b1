"""The settings of params.yaml: a class for each block, with ranges and choices in the types.

A component's options are not here: they live in the component's own file.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from segpipe.components import did_you_mean

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Size = tuple[PositiveInt, PositiveInt]
Share = Annotated[float, Field(gt=0, lt=1)]


class Settings(BaseModel):
    """Frozen, typed, and without room for a misspelt key. Several values are a tuple; YAML and JSON bring lists."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for key in values:
            if key not in cls.model_fields:
                hint = did_you_mean(str(key), cls.model_fields)
                raise PydanticCustomError("unknown_key", "no such setting{hint}", {"key": str(key), "hint": hint})
        return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


class Component(BaseModel):
    """A component's name, and the options that its own file defines."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


# Datasets


class KaggleSource(Settings):
    """`dataset` is `owner/name`, where the dataset's own file does not say it."""

    kind: Literal["kaggle"]
    dataset: Annotated[str, Field(pattern=r"^[\w-]+/[\w.-]+$")] | None = None


class CityscapesSource(Settings):
    """The official download, with the user's own account."""

    kind: Literal["cityscapes"]


class FolderSource(Settings):
    """A directory or an archive that the user has."""

    kind: Literal["folder"]
    path: str


class FabricatedSource(Settings):
    kind: Literal["fabricated"]
    images: PositiveInt
    size: Size


class OfficialSplit(Settings):
    """As published. With `held_out`, so much of the official train becomes val, and the official val becomes test."""

    kind: Literal["official"]
    held_out: Share | None = None


class SharesSplit(Settings):
    """A whole number counts images, a fraction is a share; val is taken of what test leaves."""

    kind: Literal["shares"]
    test: PositiveInt | Share
    val: PositiveInt | Share


Source = Annotated[KaggleSource | CityscapesSource | FolderSource | FabricatedSource, Field(discriminator="kind")]
Split = Annotated[OfficialSplit | SharesSplit, Field(discriminator="kind")]


class Dataset(Settings):
    name: str
    source: Source
    views: Annotated[tuple[str, ...], Field(min_length=1)]
    layout: dict[str, Any] = {}
    """Where images and masks lie and what masks mean, for a dataset that its file cannot know: `folder`."""
    split: Split
    seed: NonNegativeInt = 0
    parts: dict[str, str] = {}
    """For `resolve` to fill: the hash of each file that the dataset's own file leans on."""


class Prepared(Settings):
    dataset: Name
    view: str
    size: Size
    interpolation: Literal["area", "bilinear"] = "area"


class ResolvedPrepared(Prepared):
    """What `resolve` makes of it: the label table of the view is part of the block."""

    labels: dict[str, Any]


class Augmented(Settings):
    """Offline copies of the training images; `copies: 0` makes none."""

    prepared: Name
    copies: NonNegativeInt
    seed: NonNegativeInt = 0


# Weights


class PretrainedWeights(Settings):
    kind: Literal["pretrained"]


class AllowedKeys(Settings):
    """Patterns of keys by which a file may differ from its encoder, such as `decoder.*`; what is missing is random."""

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()


class FileWeights(Settings):
    kind: Literal["file"]
    path: str
    allow: AllowedKeys = AllowedKeys()


class RandomWeights(Settings):
    kind: Literal["random"]


WeightsSource = Annotated[PretrainedWeights | FileWeights | RandomWeights, Field(discriminator="kind")]


class Weights(Settings):
    library: Literal["smp", "timm"]
    encoder: str
    source: WeightsSource
    mean: tuple[float, float, float] | None = None
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    """Of the images that the weights were trained on, where their publisher's are not the right ones."""
    seed: NonNegativeInt = 0


# Experiments


class Optimizer(Settings):
    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: PositiveFloat
    weight_decay: NonNegativeFloat = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of sgd; the others have their own."""


class ConstantSchedule(Settings):
    kind: Literal["constant"] = "constant"


class PlateauSchedule(Settings):
    """The learning rate times `factor` after `patience` epochs in which the validation loss did not fall."""

    kind: Literal["plateau"]
    factor: Share = 0.1
    patience: PositiveInt = 3


class CosineSchedule(Settings):
    """From the learning rate down to `floor` times it, over all epochs."""

    kind: Literal["cosine"]
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0


class PolySchedule(Settings):
    """The learning rate times (1 − the share of the epochs that is over) to this power."""

    kind: Literal["poly"]
    power: PositiveFloat = 0.9


Schedule = Annotated[ConstantSchedule | PlateauSchedule | CosineSchedule | PolySchedule, Field(discriminator="kind")]


ClassWeights = Annotated[
    Annotated[Literal["none", "inverse", "median_frequency", "effective_number"], Tag("rule")]
    | Annotated[dict[str, PositiveFloat], Tag("names")],
    Discriminator(lambda value: "names" if isinstance(value, dict) else "rule"),
]


class Evaluation(Settings):
    """How a trained model is scored: kept apart, for to change it must not train anything again."""

    split: Literal["val", "test"] = "test"
    native: bool = False
    """Score each image at the size that it came in, too."""
    window: Size | None = None
    """Slide a window of this size over images that are larger; without one, an image is resized as for training."""
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """The share of a window that its neighbour sees too."""
    flips: bool = False
    scales: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (1.0,)
    """Predictions at these scales, and of the mirrored image, are averaged."""
    boundary: Share = 0.02
    """How far a boundary reaches, as a share of the image's diagonal."""
    kept_features: bool = False
    """Score what was kept, rounded, of a frozen backbone: soon done where experiments share one; never promoted."""


class Trained(Settings):
    """What every training is told."""

    description: str = ""
    prepared: Name
    augmented: Name
    model: Component
    loss: Component
    class_weights: ClassWeights = "none"
    """By a rule, from the train split's statistics, or by class name, 1 for those not named."""
    recipe: Literal["none", "flips", "s1", "street", "heavy"] = "none"
    sampler: Literal["every_image", "rare_classes"] = "every_image"
    optimizer: Optimizer
    schedule: Schedule = ConstantSchedule()
    warmup: NonNegativeFloat = 0.0
    """Epochs, or a part of one, in which the learning rate rises to what the schedule says."""
    epochs: NonNegativeInt
    batch: PositiveInt
    """Images behind one step, over all devices; `accumulate` cuts it in so many parts, where it does not fit whole."""
    accumulate: PositiveInt = 1
    clip: PositiveFloat | None = None
    """The largest norm that the gradient of a step may have."""
    ema: Share | None = None
    """Keep an exponential moving average of the weights, which is validated and exported instead of them."""
    checkpoint: Literal["best", "last"] = "best"
    best_by: Literal["miou", "mpa", "pixel_accuracy", "loss"] = "miou"
    """What `best`, and `stop_after`, look at on the validation images."""
    stop_after: PositiveInt | None = None
    """End after so many epochs without a better one."""
    seed: NonNegativeInt = 0
    repeats: PositiveInt = 1
    """Train so many times, from so many seeds, and report how far the scores lie apart."""
    evaluation: Evaluation | None = None
    """For `resolve` to take out: data/resolved/evaluations/<experiment>.json."""
    parts: dict[str, str] = {}
    """For `resolve` to fill: the hash of each file that its model and its loss are made of, beside their own."""


class Experiment(Trained):
    """A model over an encoder's weights."""

    weights: Name
    epochs: PositiveInt


class Members(Settings):
    first: Name
    second: Name


class Combined(Trained):
    """A model over two trained experiments of the same prepared set; without epochs, only their weights are fitted."""

    members: Members
    optimizer: Optimizer = Optimizer(lr=1e-4)
    epochs: NonNegativeInt = 0


# Promotion and the machine


class Gate(Settings):
    """What a candidate must reach to become the champion of the registered model that carries this block's name."""

    experiment: Name
    floors: Annotated[dict[str, Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]
    delta: NonNegativeFloat = 0.01
    against: Annotated[str, Field(pattern=r"^[^-\s][^\s:]*$")] = "champion"
    """Than what it may not be worse by more than delta: the champion, or the same experiment at a git revision."""


class Hardware(Settings):
    """What only describes this machine: no stage depends on it, and every run logs it."""

    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    workers: NonNegativeInt = 0
    """Processes and threads that prepare data; 0 takes every core."""
    compile: bool = False
    deterministic: bool = False
    """The same bits in every run on accelerators too, where that costs time."""
    devices: NonNegativeInt = 1
    """Of this machine, for one training; 0 takes every one."""
    nodes: PositiveInt = 1
    node: NonNegativeInt = 0
    """Which of the nodes this one is."""
    rendezvous: str = ""
    """`host:port` of node 0, where several nodes meet."""
    feature_cache_gb: NonNegativeFloat = 20.0
    """The most that kept features of frozen backbones may take on disk; 0 keeps none."""


class Params(Settings):
    profile: Literal["demo", "full"]
    seed: NonNegativeInt
    hardware: Hardware = Hardware()
    datasets: dict[Name, Dataset]
    prepared: dict[Name, Prepared]
    augmented: dict[Name, Augmented]
    weights: dict[Name, Weights]
    experiments: dict[Name, Experiment]
    combined: dict[Name, Combined] = {}
    gates: dict[Name, Gate] = {}

    @property
    def trained(self) -> dict[str, Experiment | Combined]:
        """Everything that is trained, evaluated and compared, by name."""
        return {**self.experiments, **self.combined}
