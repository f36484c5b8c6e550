"""TrainConfig: everything that decides a training, read from one TOML file.

[model]    which network, in which precision, LoRA or all weights
[data]     samples, see `glyph.train.samples.config.DataConfig`; [data.cpt] etc. differ by stage
[cpt] [sft] [grpo]    steps, batch, rates of a stage
[rewards]  what an answer is worth, and who judges it
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, cast, get_args

from glyph.errors import ConfigError, nearest

Stage = Literal["cpt", "sft", "grpo"]
Context = Literal["pages", "text"]
STAGES: tuple[Stage, ...] = get_args(Stage)
CONFIGS = "glyph.train.configs"


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network is trained, and how much of it.

    Attributes:
        name: `nano`, a folder, or a name that transformers knows.
        context: What the network reads: `pages`, or the same `text` as the baseline.
        dtype: Precision of the weights in training.
        lora_rank: Rank of LoRA adapters; 0 trains all weights.
        lora_alpha: Scale of the adapters.
        lora_dropout: Of the adapters.
        train_vision: Whether the vision tower learns too.
        activation_checkpointing: Computes activations again in the backward pass instead of
            keeping them.
    """

    name: str = "nano"
    context: Context = "pages"
    dtype: Literal["float32", "bfloat16"] = "float32"
    lora_rank: int = 0
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    train_vision: bool = True
    activation_checkpointing: bool = False

    def __post_init__(self) -> None:
        _one_of(self, "context", get_args(Context))
        _one_of(self, "dtype", ("float32", "bfloat16"))
        _at_least(self, lora_rank=0, lora_alpha=1, lora_dropout=0)


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """What the three stages have in common.

    Attributes:
        steps: Updates of the weights.
        batch: Samples of an update; in GRPO, prompts of an update.
        device_batch: Samples that a device computes at once; the rest is accumulated. In GRPO
            responses, not prompts.
        learning_rate: Peak.
        min_learning_rate: Where the cosine ends.
        warmup_steps: Linear rise.
        betas: Of Adam.
        weight_decay: Of AdamW.
        max_grad_norm: Larger gradients are scaled down to it.
        save_every: Steps between checkpoints.
        keep: Checkpoints that are kept.
        log_every: Steps between lines of metrics.
        panels: Held-out samples shown, with what the model says, at each checkpoint.
    """

    steps: int = 1000
    batch: int = 32
    device_batch: int = 1
    learning_rate: float = 1e-5
    min_learning_rate: float = 0.0
    warmup_steps: int = 0
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    save_every: int = 200
    keep: int = 2
    log_every: int = 1
    panels: int = 4

    def __post_init__(self) -> None:
        _at_least(self, steps=1, batch=1, device_batch=1, warmup_steps=0, save_every=1, keep=1)
        _at_least(self, log_every=1, panels=0, weight_decay=0, min_learning_rate=0)
        if not self.learning_rate > 0 or self.min_learning_rate > self.learning_rate:
            raise ConfigError(
                f"learning_rate is {self.learning_rate} and min_learning_rate "
                f"{self.min_learning_rate}; give a peak above 0 and a minimum not above it."
            )


@dataclass(frozen=True, kw_only=True)
class CptConfig(StageConfig):
    """Continual pre-training; defaults are the paper's.

    Source: Glyph, section 3.3 and appendix B.
    """

    steps: int = 4000
    batch: int = 170
    learning_rate: float = 2e-6


@dataclass(frozen=True, kw_only=True)
class SftConfig(StageConfig):
    """Supervised fine-tuning; defaults are the paper's.

    Attributes:
        teacher: Who answers from the text of the pages, so that the student learns to answer so
            from the pages: "" for nobody, `self`, or `openai:MODEL`.
        teacher_url: Where a teacher is served.

    Source: Glyph, section 3.5 and appendix B.
    """

    steps: int = 1500
    warmup_steps: int = 160
    learning_rate: float = 5e-6
    min_learning_rate: float = 2e-6
    teacher: str = ""
    teacher_url: str = ""


@dataclass(frozen=True, kw_only=True)
class GrpoConfig(StageConfig):
    """Reinforcement learning in groups; defaults are the paper's.

    Attributes:
        generations: Responses to a prompt.
        epsilon_low: Clip below 1 - epsilon_low.
        epsilon_high: Clip above 1 + epsilon_high.
        beta: Weight of the KL divergence to the policy that the stage began with. The paper
            gives none.
        iterations: Updates from one set of responses.
        temperature: Of sampling.
        max_response_tokens: Longest response.
        drop_degenerate: Leave out groups whose responses are all worth the same.

    Source: Glyph, section 3.5 and appendix B; clipping and token loss are DAPO's.
    """

    steps: int = 500
    learning_rate: float = 1e-6
    min_learning_rate: float = 1e-6
    generations: int = 16
    epsilon_low: float = 0.2
    epsilon_high: float = 0.28
    beta: float = 0.001
    iterations: int = 1
    temperature: float = 1.0
    max_response_tokens: int = 2048
    drop_degenerate: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _at_least(self, generations=2, epsilon_low=0, epsilon_high=0, beta=0, iterations=1)
        _at_least(self, max_response_tokens=1)
        if not self.temperature > 0:
            raise ConfigError(f"temperature is {self.temperature}; give a number above 0.")
        if self.batch * self.generations % self.device_batch:
            raise ConfigError(
                f"device_batch is {self.device_batch}; give a divisor of batch * generations, "
                f"which is {self.batch * self.generations}."
            )


@dataclass(frozen=True, kw_only=True)
class RewardsConfig:
    """What a response is worth: the weighted sum of the parts that apply to its sample.

    Attributes:
        match: Weight of the right answer, where it can be checked.
        judge: Weight of the verdict of a judge, where it cannot.
        ocr: Weight of similarity to the text of the pages.
        format: Weight of thoughts in <think>...</think>, then an answer.
        judge_model: Name of the judge at its endpoint; "" for none.
        judge_url: Endpoint of the judge; any that speaks the Chat Completions API.
        judge_timeout_s: How long one verdict may take.
        judge_retries: Further attempts when the endpoint fails.
    """

    match: float = 1.0
    judge: float = 1.0
    ocr: float = 1.0
    format: float = 0.2
    judge_model: str = ""
    judge_url: str = ""
    judge_timeout_s: float = 60.0
    judge_retries: int = 2

    def __post_init__(self) -> None:
        _at_least(self, match=0, judge=0, ocr=0, format=0, judge_retries=0)
        if not self.judge_timeout_s > 0:
            raise ConfigError(f"judge_timeout_s is {self.judge_timeout_s}; give seconds above 0.")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides a training.

    Attributes:
        model: The network.
        data: The table [data] as it stands; `DataConfig.of_stage` reads it.
        cpt: First stage.
        sft: Second stage.
        grpo: Third stage.
        rewards: Of the third stage, and of scoring.

    Example:
        >>> load_config("glm-4.1v-9b").cpt.batch
        170
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cpt: CptConfig = field(default_factory=CptConfig)
    sft: SftConfig = field(default_factory=SftConfig)
    grpo: GrpoConfig = field(default_factory=GrpoConfig)
    rewards: RewardsConfig = field(default_factory=RewardsConfig)

    def stage(self, name: Stage) -> StageConfig:
        """Return the settings of a stage."""
        return {"cpt": self.cpt, "sft": self.sft, "grpo": self.grpo}[name]

    def to_dict(self) -> dict[str, Any]:
        """Return all values as plain tables."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, tables: Mapping[str, Any], where: str) -> Self:
        """Return the config of TOML tables; what they leave out keeps its default.

        Args:
            tables: Section names and their tables.
            where: Place named in error messages.

        Raises:
            ConfigError: A section or key is unknown, or a value is not accepted.
        """
        kinds: dict[str, Any] = {
            "model": ModelConfig,
            "cpt": CptConfig,
            "sft": SftConfig,
            "grpo": GrpoConfig,
            "rewards": RewardsConfig,
        }
        _known(tables, (*kinds, "data"), f"section in {where}")
        read = {name: _read(tables.get(name, {}), kind, name) for name, kind in kinds.items()}
        return cls(data=dict(tables.get("data", {})), **read)


def config_names() -> tuple[str, ...]:
    """Return the names of the configs that come with the package.

    Example:
        >>> config_names()
        ('glm-4.1v-9b', 'nano', 'nano-smoke')
    """
    files = resources.files(CONFIGS).iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load_config(name: str | Path) -> TrainConfig:
    """Return the config of a name or a TOML file.

    Args:
        name: One of `config_names`, or a path.

    Raises:
        ConfigError: There is none, it is no TOML, or a key or value is not accepted.
    """
    if str(name) in config_names():
        text = (resources.files(CONFIGS) / f"{name}.toml").read_text("utf-8")
    elif Path(name).is_file():
        text = Path(name).read_text("utf-8")
    else:
        known = ", ".join(config_names())
        hint = nearest(str(name), config_names())
        raise ConfigError(
            f"unknown config '{name}'"
            + (f"; did you mean {hint}?" if hint else "")
            + f" Give a TOML file or one of: {known}."
        )
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name} is no TOML file: {error}.") from None
    return TrainConfig.from_dict(tables, str(name))


Section = TypeVar("Section")


def _read(table: Mapping[str, Any], kind: type[Section], name: str) -> Section:
    entries = {entry.name: entry for entry in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    _known(table, tuple(entries), f"key in [{name}]")
    values: dict[str, Any] = {}
    for key, value in table.items():
        default = entries[key].default
        values[key] = _typed(value, default, f"{key} in [{name}]")
    return kind(**values)


def _typed(value: Any, default: Any, what: str) -> Any:
    """Return a value as the type of its default; a number may be written without a point."""
    if isinstance(default, tuple):
        numbers = cast("list[Any]", value) if isinstance(value, list) else []
        if len(numbers) != 2:
            raise ConfigError(f"{what} is {value!r}; give 2 numbers.")
        return tuple(float(one) for one in numbers)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ConfigError(
            f"{what} is {value!r}; give a value of type {type(default).__name__}, as {default!r}."
        )
    return value


def _known(table: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in table:
        if key not in known:
            hint = nearest(key, known)
            raise ConfigError(
                f"unknown {what}: '{key}'; "
                + (f"did you mean {hint}?" if hint else f"known: {', '.join(known)}.")
            )


def _one_of(section: Any, name: str, accepted: tuple[str, ...]) -> None:
    value = getattr(section, name)
    if value not in accepted:
        raise ConfigError(f"{name} is '{value}'; give one of {', '.join(accepted)}.")


def _at_least(section: Any, **least: float) -> None:
    for name, bound in least.items():
        value = getattr(section, name)
        if not value >= bound:
            raise ConfigError(f"{name} is {value}; give {bound} or more.")
