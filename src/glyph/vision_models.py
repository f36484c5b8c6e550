"""Which model sees pages by which rule, and the limits of one request to it.

A row of the table is a family: one rule, its names, its limits, where the numbers come from.
Names of open weights accept the usual size and format words behind them (`qwen3-vl-8b-instruct`);
names of hosted models must match, apart from a date. A model that is not listed has no rule: the
prices of another family would be wrong by up to a factor of ten.

Numbers are those of the released checkpoints and of the vendors' pages in the autumn of 2026. A
server may be started with other limits; then the numbers of that server count.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from glyph.vision import (
    BudgetFit,
    Evidence,
    Limits,
    NavitPad,
    PadToCells,
    PatchBudget,
    PerMegapixel,
    RowBreaks,
    SmartResize,
    VisionModel,
    VisionRule,
)
from glyph.vision_tiles import (
    CanvasTiles,
    CropTiles,
    LowDetail,
    OverviewAndTiles,
    PaddedSquare,
    ShortSideTiles,
    Slices,
    Square,
    TilesAndThumbnail,
)

MIB = 2**20
NO_VARIANTS: Mapping[str, VisionRule] = {}

SERVER = Limits()
OPENAI = Limits(max_images=1_500, max_request_bytes=512_000_000 * 3 // 4)
GEMINI = Limits(max_images=3_600, max_request_bytes=20_000_000 * 3 // 4)
# 32 MB of base64 are documented. Requests with more than 20 MiB of images have been seen to fail,
# the more often the larger; 18 MiB leave room for the rest of the request.
CLAUDE = Limits(
    max_images=600,
    max_image_bytes=10_000_000 * 3 // 4,
    max_request_bytes=18 * MIB,
    max_side_px=8_000,
    many_images=20,
    many_images_max_side_px=2_000,
)
CLAUDE_200K = replace(CLAUDE, max_images=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One row of the table; `contexts` maps a name to its context length in tokens."""

    name: str
    contexts: Mapping[str, int | None]
    rule: VisionRule
    tokenizer: str = "o200k_base"
    tokenizer_is_exact: bool = False
    evidence: Evidence = "code"
    limits: Limits = SERVER
    open_weights: bool = True
    variants: Mapping[str, VisionRule] = field(default_factory=lambda: NO_VARIANTS)
    variant_evidence: Evidence | None = None

    def model(self, name: str, variant: str | None = None) -> VisionModel:
        """Return one model of the family; `variant` must be a key of `variants`."""
        is_variant = variant is not None
        return VisionModel(
            name=f"{name}@{variant}" if is_variant else name,
            family=self.name,
            rule=self.variants[variant] if variant is not None else self.rule,
            tokenizer=self.tokenizer,
            tokenizer_is_exact=self.tokenizer_is_exact,
            evidence=(is_variant and self.variant_evidence) or self.evidence,
            limits=self.limits,
            context_tokens=self.contexts[name],
        )


def _same(context: int | None, *names: str) -> Mapping[str, int | None]:
    return dict.fromkeys(names, context)


def _glm() -> Iterator[Family]:
    # The text tokenizer of GLM-4 may not be bundled. Against it, Qwen's counts 0.1 % more on
    # English prose, 0.5 % more on documentation and code and 0.6-2.3 % more on Chinese novels;
    # o200k counts 13 % more on the latter.
    # The pixel limit is that of the checkpoints: two frames of 6,144 tokens. Some servers are
    # started with 47,040,000, which only matters for pages beyond 4.8 megapixels.
    yield Family(
        name="GLM-V",
        contexts={
            "glyph": 131_072,
            "glm-4.1v": 65_536,
            "glm-4.5v": 65_536,
            "glm-4.6v": 131_072,
            "glm-4.6v-flash": 131_072,
        },
        rule=SmartResize(grid_px=28, min_pixels=12_544, max_pixels=9_633_792, frames=2),
        tokenizer="qwen3",
    )


def _qwen() -> Iterator[Family]:
    yield Family(
        name="Qwen2-VL",
        contexts={"qwen2-vl": 32_768, "qwen2.5-vl": 128_000},
        rule=SmartResize(grid_px=28, min_pixels=3_136, max_pixels=12_845_056),
        # The default of the processor class, and of the hosted service.
        variants={"1280": SmartResize(grid_px=28, min_pixels=3_136, max_pixels=1280 * 784)},
        tokenizer="qwen3",
        tokenizer_is_exact=True,
    )
    rule = SmartResize(grid_px=32, min_pixels=65_536, max_pixels=16_777_216)
    yield Family(
        name="Qwen3-VL",
        contexts={"qwen3-vl": 262_144},
        rule=rule,
        tokenizer="qwen3",
        tokenizer_is_exact=True,
    )
    yield Family(
        name="Qwen3.5",
        contexts=_same(262_144, "qwen3.5", "qwen3.6"),
        rule=rule,
        tokenizer="qwen3.5",
        tokenizer_is_exact=True,
    )


def _open_tiles() -> Iterator[Family]:
    yield Family(
        name="InternVL",
        contexts=_same(None, "internvl3", "internvl3.5"),
        rule=TilesAndThumbnail(tile_px=448, tokens_per_tile=256, max_tiles=12),
        tokenizer="qwen3",  # exact for the sizes built on Qwen, which are most
    )
    yield Family(
        name="DeepSeek-OCR",
        contexts={"deepseek-ocr": 8_192},
        rule=OverviewAndTiles(overview_px=1024, tile_px=640, max_tiles=6, row_breaks=True),
        variants={
            "tiny": Square(side_px=512, tokens=8 * 9 + 1),
            "small": Square(side_px=640, tokens=10 * 11 + 1),
            "base": PaddedSquare(side_px=1024, tokens=16 * 17 + 1),
            "large": PaddedSquare(side_px=1280, tokens=20 * 21 + 1),
            "gundam": OverviewAndTiles(overview_px=1024, tile_px=640, max_tiles=6, row_breaks=True),
        },
    )
    yield Family(
        name="DeepSeek-OCR 2",
        contexts={"deepseek-ocr-2": 8_192},
        rule=OverviewAndTiles(overview_px=1024, tile_px=768, max_tiles=6, row_breaks=False),
    )
    yield Family(
        name="Llama 4",
        contexts={"llama-4": None, "llama-4-scout": 10_485_760, "llama-4-maverick": 1_048_576},
        rule=CanvasTiles(tile_px=336, tokens_per_tile=144, max_tiles=16),
    )
    slices = Slices(tile_px=448, patch_px=14, tokens_per_slice=64, max_slices=9)
    yield Family(
        name="MiniCPM-V",
        contexts={"minicpm-v-2.6": 32_768, "minicpm-v-4.5": 40_960},
        rule=slices,
        tokenizer="qwen3",
        tokenizer_is_exact=True,
    )
    yield Family(
        name="MiniCPM-V 4",
        contexts={"minicpm-v-4": 32_768},
        rule=slices,
        tokenizer="qwen3",
    )


def _open_grids() -> Iterator[Family]:
    yield Family(
        name="Gemma 3",
        contexts={"gemma-3": 131_072},
        rule=Square(side_px=896, tokens=256, overhead_tokens=4),
    )
    budgets = (70, 140, 280, 560, 1120)
    yield Family(
        name="Gemma 4",
        contexts=_same(None, "gemma-4"),
        rule=BudgetFit(grid_px=48, budget_tokens=280, overhead_tokens=2),
        variants={str(n): BudgetFit(48, n, overhead_tokens=2) for n in budgets},
    )
    yield Family(
        name="Pixtral",
        contexts={"pixtral-12b": 131_072},
        rule=RowBreaks(grid_px=16, longest_px=1024),
    )
    yield Family(
        name="Mistral",
        contexts=_same(131_072, "mistral-small-3.1", "mistral-small-3.2", "pixtral-large"),
        rule=RowBreaks(grid_px=28, longest_px=1540),
    )
    yield Family(
        name="Kimi-VL",
        contexts={"kimi-vl": 131_072},
        rule=NavitPad(max_patches=4_096),
    )
    yield Family(
        name="Kimi K2.5",
        contexts=_same(262_144, "kimi-k2.5", "kimi-k2.6"),
        rule=NavitPad(max_patches=16_384),
    )
    # K3 also writes the size of the page beside it: at most six tokens more.
    yield Family(
        name="Kimi K3",
        contexts={"kimi-k3": None},
        rule=NavitPad(max_patches=65_536, overhead_tokens=10),
    )


def _claude() -> Iterator[Family]:
    standard = PadToCells(grid_px=28, max_side_px=1568, max_tokens=1568, overhead_tokens=4)
    yield Family(
        name="Claude",
        contexts=_same(
            200_000,
            "claude-3-haiku",
            "claude-3-sonnet",
            "claude-3-opus",
            "claude-3.5-haiku",
            "claude-3.5-sonnet",
            "claude-3.7-sonnet",
            "claude-sonnet-4",
            "claude-opus-4",
            "claude-opus-4.1",
            "claude-opus-4.5",
            "claude-sonnet-4.5",
            "claude-haiku-4.5",
        ),
        rule=standard,
        evidence="documented",
        limits=CLAUDE_200K,
        open_weights=False,
    )
    yield Family(
        name="Claude 4.6",
        contexts=_same(None, "claude-opus-4.6", "claude-sonnet-4.6"),
        rule=standard,
        evidence="documented",
        limits=CLAUDE,
        open_weights=False,
    )
    yield Family(
        name="Claude, high resolution",
        contexts=_same(
            None,
            "claude-opus-4.7",
            "claude-opus-4.8",
            "claude-opus-5",
            "claude-opus-5.5",
            "claude-sonnet-5",
            "claude-sonnet-5.5",
            "claude-fable-5",
            "claude-fable-5.1",
            "claude-mythos-5",
        ),
        rule=PadToCells(grid_px=28, max_side_px=2576, max_tokens=4784, overhead_tokens=3),
        evidence="documented",
        limits=CLAUDE,
        open_weights=False,
    )


def _gemini() -> Iterator[Family]:
    rule = BudgetFit(grid_px=48, budget_tokens=1120)
    levels = {
        "low": BudgetFit(grid_px=48, budget_tokens=280),
        "medium": BudgetFit(grid_px=48, budget_tokens=560),
        "high": rule,
        "ultra": BudgetFit(grid_px=48, budget_tokens=2240),
    }
    measured = ("gemini-3.1-flash-lite", "gemini-3.5-flash", "gemini-3.5-flash-lite")
    inferred = ("gemini-3-pro", "gemini-3-flash", "gemini-3.1-pro")
    rows: tuple[tuple[Evidence, tuple[str, ...]], ...] = (
        ("measured", (*measured, "gemini-3.6-flash")),
        ("approximate", (*inferred, "gemini-3.7-flash", "gemini-3.8-flash")),
    )
    for evidence, names in rows:
        yield Family(
            name="Gemini 3",
            contexts=_same(1_048_576, *names),
            rule=rule,
            variants=levels,
            variant_evidence="approximate",
            evidence=evidence,
            limits=GEMINI,
            open_weights=False,
        )
    names = ("gemini-2.0-flash", "gemini-2.0-flash-lite", "gemini-2.5-pro", "gemini-2.5-flash")
    yield Family(
        name="Gemini 2",
        contexts=_same(1_048_576, *names, "gemini-2.5-flash-lite"),
        rule=CropTiles(),
        evidence="approximate",
        limits=GEMINI,
        open_weights=False,
    )


def _openai_tiles() -> Iterator[Family]:
    rows: tuple[tuple[int, int, Mapping[str, int | None]], ...] = (
        (85, 170, {"gpt-4o": 128_000, "gpt-4.1": 1_047_576, "gpt-4.5": 128_000}),
        (70, 140, {"gpt-5": 400_000, "gpt-5.1": 400_000, "gpt-5-chat": 128_000}),
        (75, 150, _same(200_000, "o1", "o1-pro", "o3")),
        (2833, 5667, {"gpt-4o-mini": 128_000}),
        (65, 129, {"computer-use": 8_192}),
    )
    for base, tile, contexts in rows:
        yield Family(
            name="OpenAI tiles",
            contexts=contexts,
            rule=ShortSideTiles(base_tokens=base, tokens_per_tile=tile),
            variants={"low": LowDetail(tokens=base)},
            tokenizer_is_exact=True,
            evidence="documented",
            limits=OPENAI,
            open_weights=False,
        )


def _openai_patches() -> Iterator[Family]:
    def rule(percent: int, side_px: int, patches: int | None) -> PatchBudget:
        return PatchBudget(factor_percent=percent, max_side_px=side_px, max_patches=patches)

    high, original = rule(120, 2_048, 2_500), rule(120, 6_000, 10_000)
    whole = rule(120, 65_535, None)
    gpt_56 = ("gpt-5.6", "gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna")
    gpt_54 = ("gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano")
    # The details low, which cost no less a patch, are left out.
    rows: tuple[tuple[Mapping[str, int | None], VisionRule, Mapping[str, VisionRule]], ...] = (
        (_same(1_050_000, "gpt-6-astra"), whole, {"high": rule(120, 65_535, 2_500)}),
        (_same(1_050_000, *gpt_56), whole, {"high": high}),
        (_same(None, "gpt-5.5"), original, {"high": high}),
        (_same(None, *gpt_54), high, {"original": original}),
        (_same(400_000, "gpt-5.2"), rule(120, 2_048, 6_144), NO_VARIANTS),
        (_same(1_047_576, "gpt-4.1-mini"), rule(162, 2_048, 6_144), NO_VARIANTS),
        (_same(400_000, "gpt-5-mini"), rule(120, 2_048, 1_536), NO_VARIANTS),
        (_same(400_000, "gpt-5-nano"), rule(150, 2_048, 1_536), NO_VARIANTS),
        (_same(1_047_576, "gpt-4.1-nano"), rule(246, 2_048, 1_536), NO_VARIANTS),
        (_same(200_000, "o4-mini"), rule(172, 2_048, 1_536), NO_VARIANTS),
    )
    for contexts, default, variants in rows:
        yield Family(
            name="OpenAI patches",
            contexts=contexts,
            rule=default,
            variants=variants,
            tokenizer_is_exact="gpt-6-astra" not in contexts,
            evidence="documented",
            limits=OPENAI,
            open_weights=False,
        )


def _grok() -> Iterator[Family]:
    yield Family(
        name="Grok",
        contexts=_same(None, "grok-4.5"),
        rule=PerMegapixel(tokens=1000, longest_px=768, shortest_px=512),
        evidence="approximate",
        limits=Limits(max_image_bytes=20 * MIB),
        open_weights=False,
    )


FAMILIES: tuple[Family, ...] = (
    *_glm(),
    *_qwen(),
    *_open_tiles(),
    *_open_grids(),
    *_claude(),
    *_gemini(),
    *_openai_tiles(),
    *_openai_patches(),
    *_grok(),
)
