"""DataConfig: what samples are made of; the table [data] of a training configuration."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from glyph.errors import ConfigError, nearest
from glyph.presets import load_preset
from glyph.readers.nano.spec import CELL_PX, load_spec
from glyph.text_tokens import count_text_tokens
from glyph.themes import THEMES
from glyph.tokens import resolve_model

STAGES = ("cpt", "sft", "grpo")

FAMILIES: dict[str, str] = {
    "ocr": "transcribe a page or several",
    "interleaved": "some spans of a text are pages, the rest is text: go on with it",
    "continue": "write how the text goes on after its pages",
    "fill": "write what is missing between two runs of pages",
    "needle": "sentences hidden in prose give keys their numbers",
    "key-value": "`key: value` lines among prose",
    "multi-hop": "the value of a variable through a chain of assignments",
    "trace": "all variables that end up with a value",
    "aggregate": "count a word, or name the most frequent code",
    "cross-page": "add up or compare numbers that stand on different pages",
    "squad": "questions of SQuAD-like JSON",
    "instruct": "instruction triples of JSONL, thoughts in <think>...</think>",
}
"""Task families; the last two need sources of their own."""

OF_SEVERAL_PAGES = ("fill", "cross-page")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which samples are made, in which shares, and how their pages look.

    Pages look like the named nano `styles`, or else like a draw of `themes` or one of `presets`.

    Attributes:
        families: Shares of the task families; see `FAMILIES`.
        model: Whose visual tokens are counted and whose patch grid pages are sized on; unused
            with `styles`, whose visual tokens are cells of 28 px.
        tokenizer: Whose text tokens are counted; "" is the model's own or its nearest.
        themes: Themes that theta is drawn from.
        presets: Names or files of presets that are used as they are.
        preset_share: Share of samples in one of `presets` when there are `themes` too.
        styles: Page styles of the nano reader; they exclude `themes` and `presets`.
        page_sizes_px: Page sizes of nano styles, drawn with equal shares.
        min_visual_tokens: Least visual tokens that a sample aims at.
        max_visual_tokens: Most visual tokens of a sample; contexts are packed from documents
            until the aim, drawn between the two on a logarithmic scale, is reached.
        max_pages: Most pages of a sample.
        max_response_chars: Longest response that is asked for.
        max_keys: Most keys, or distracting assignments, on the pages of a question.
        max_hops: Longest chain of assignments.
        random_share: Share of transcriptions and haystacks of random strings, in which no
            language helps to guess.
        think_share: Share of questions whose response begins with <think>...</think>.
        eval_share: Share of samples and of documents that are held out.

    Raises:
        ConfigError: A value is not accepted.
    """

    families: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {"ocr": 0.3, "interleaved": 0.3, "continue": 0.25, "fill": 0.15}
    )
    model: str = "glm-4.1v"
    tokenizer: str = ""
    themes: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()
    preset_share: float = 0.5
    styles: tuple[str, ...] = ()
    page_sizes_px: tuple[tuple[int, int], ...] = ((336, 448),)
    min_visual_tokens: int = 512
    max_visual_tokens: int = 131_072
    max_pages: int = 512
    max_response_chars: int = 8_000
    max_keys: int = 64
    max_hops: int = 4
    random_share: float = 0.1
    think_share: float = 0.0
    eval_share: float = 0.02

    def __post_init__(self) -> None:
        self._check_families()
        self._check_looks()
        self._check_numbers()
        if not self.styles:
            resolve_model(self.model)
        if self.tokenizer:
            count_text_tokens("", self.tokenizer)

    @property
    def digest(self) -> str:
        """Sixteen hex digits that name this config."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "[data]") -> Self:
        """Build a config from the values of a TOML table.

        Args:
            values: Field names and values; what is absent takes the default.
            where: Place named in error messages.

        Raises:
            ConfigError: An unknown key (the nearest is named) or a value that is not accepted.

        Example:
            >>> DataConfig.from_dict({"styles": ["A"], "families": {"ocr": 1}}).styles
            ('A',)
        """
        known = {entry.name for entry in dataclasses.fields(cls)}
        for key in values:
            if key not in known:
                hint = nearest(key, known)
                raise ConfigError(
                    f"unknown key '{key}' in {where}; "
                    + (f"did you mean {hint}?" if hint else f"known: {', '.join(sorted(known))}.")
                )
        return cls(**{key: _frozen(value) for key, value in values.items()})

    @classmethod
    def of_stage(cls, values: Mapping[str, Any], stage: str, *, where: str = "[data]") -> Self:
        """Build the config of one stage: the table's own keys, and over them those of its subtable.

        Args:
            values: The table [data]; [data.cpt], [data.sft] and [data.grpo] in it say where a
                stage differs.
            stage: One of `STAGES`.
            where: Place named in error messages.

        Raises:
            ConfigError: As `from_dict`; all stages are checked.

        Example:
            >>> table = {"families": {"ocr": 1}, "sft": {"think_share": 1.0}}
            >>> DataConfig.of_stage(table, "sft").think_share
            1.0
        """
        if stage not in STAGES:
            raise ConfigError(f"unknown stage '{stage}'; stages: {', '.join(STAGES)}.")
        common = {key: value for key, value in values.items() if key not in STAGES}
        made = {
            name: cls.from_dict({**common, **values.get(name, {})}, where=where) for name in STAGES
        }
        return made[stage]

    def _check_families(self) -> None:
        for name, share in self.families.items():
            if name not in FAMILIES:
                hint = nearest(name, FAMILIES)
                raise ConfigError(
                    f"unknown family '{name}' in families; "
                    + (f"did you mean {hint}?" if hint else f"known: {', '.join(FAMILIES)}.")
                )
            if not 0 <= share < float("inf"):
                raise ConfigError(f"the share of family '{name}' is {share}; give 0 or more.")
            if self.max_pages < 2 and share and name in OF_SEVERAL_PAGES:
                raise ConfigError(
                    f"family '{name}' needs pages to choose from, and max_pages is "
                    f"{self.max_pages}; raise it, or leave the family out."
                )
        if not any(self.families.values()):
            raise ConfigError("families gives no family a share; give one a number above 0.")

    def _check_looks(self) -> None:
        spec = load_spec()
        if self.styles and (self.themes or self.presets):
            raise ConfigError(
                "styles are pages of the nano reader and exclude themes and presets; give either."
            )
        for preset in self.presets:
            load_preset(preset)
        known = (("themes", THEMES), ("styles", tuple(spec.styles)))
        for field, names in known:
            for name in getattr(self, field):
                if name not in names:
                    hint = nearest(name, names)
                    raise ConfigError(
                        f"unknown name '{name}' in {field}; "
                        + (f"did you mean {hint}?" if hint else f"known: {', '.join(names)}.")
                    )
        for size in self.page_sizes_px if self.styles else ():
            if len(size) != 2 or min(size) < CELL_PX or any(side % CELL_PX for side in size):
                raise ConfigError(
                    f"page_sizes_px holds {list(size)}; give width and height as multiples of "
                    f"{CELL_PX}."
                )

    def _check_numbers(self) -> None:
        for name in ("preset_share", "random_share", "think_share", "eval_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give a share from 0 to 1.")
        for name in ("max_visual_tokens", "max_pages", "max_response_chars", "max_keys"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give 1 or more.")
        if not 1 <= self.max_hops <= 12:
            raise ConfigError(f"max_hops is {self.max_hops}; give 1 to 12.")
        if not 1 <= self.min_visual_tokens <= self.max_visual_tokens:
            raise ConfigError(
                f"min_visual_tokens is {self.min_visual_tokens}; give 1 to max_visual_tokens, "
                f"which is {self.max_visual_tokens}."
            )


def _frozen(value: Any) -> Any:
    """Return lists as tuples, inside lists too."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
