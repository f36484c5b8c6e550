import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glyph.errors import ConfigError
from glyph.tokens import image_cost, largest_page_px, resolve_model
from glyph.vision import (
    BudgetFit,
    NavitPad,
    PadToCells,
    PatchBudget,
    PerMegapixel,
    RowBreaks,
    SmartResize,
    VisionRule,
)
from glyph.vision_models import FAMILIES
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

# One model or variant for each distinct rule: names that share a rule need no second test.
ONE_OF_EACH_RULE = sorted(
    {
        resolve_model(name).rule: name
        for row in FAMILIES
        for base in row.contexts
        for name in (base, *(f"{base}@{variant}" for variant in row.variants))
    }.values()
)
SIDES = st.integers(1, 5000)

# Page, model, tokens: worked examples made from the rules by hand, markers of InternVL included.
WORKED = {
    (595, 842): (630, 630, 494, 682, 765, 1548, 1092, 2067, 1794, 682),
    (793, 1123): (1120, 1120, 875, 1189, 1105, 1548, 1092, 3008, 1794, 1189),
    (588, 840): (630, 630, 468, 630, 765, 1548, 1120, 2014, 1794, 630),
    (1568, 728): (1456, 1248, 1127, 1456, 1445, 2064, 1078, 1950, 2306, 1456),
    (896, 896): (1024, 1024, 784, 1024, 765, 1032, 1089, 3192, 1282, 1024),
}
WORKED_MODELS = (
    "glm-4.1v",
    "qwen2.5-vl@1280",
    "qwen3-vl",
    "claude-sonnet-4.5",
    "gpt-4o",
    "gemini-2.5-flash",
    "gemma-4@1120",
    "pixtral-12b",
    "internvl3.5",
    "kimi-k2.5",
)


@pytest.mark.parametrize("page", WORKED)
def test_worked_examples_of_ten_families_are_reproduced(page):
    found = []
    for model in WORKED_MODELS:
        cost = image_cost(*page, model)
        markers = cost.overhead_tokens if model.startswith("internvl") else 0
        found.append(cost.visual_tokens + markers)
    assert tuple(found) == WORKED[page]


# Live bills published by users: pxpipe's dimension sweep (gemini-3.6-flash), a third party's
# single value, and Rokabot's sweep (gemini-3.5-flash-lite).
GEMINI_3_BILLS = [
    ("gemini-3.6-flash", 100, 100, 1089),
    ("gemini-3.6-flash", 256, 256, 1089),
    ("gemini-3.6-flash", 512, 512, 1089),
    ("gemini-3.6-flash", 1024, 1024, 1089),
    ("gemini-3.6-flash", 2048, 2048, 1089),
    ("gemini-3.6-flash", 1568, 728, 1078),
    ("gemini-3.6-flash", 768, 1932, 1113),
    ("gemini-3.6-flash", 768, 512, 1080),
    ("gemini-3.6-flash", 1920, 1080, 1100),
    ("gemini-3.6-flash", 2048, 512, 1056),
    ("gemini-3.6-flash", 512, 2048, 1056),
    ("gemini-3.6-flash", 4096, 512, 1034),
    ("gemini-3.5-flash", 820, 640, 1073),
    ("gemini-3.5-flash-lite", 64, 64, 1089),
    ("gemini-3.5-flash-lite", 256, 256, 1089),
    ("gemini-3.5-flash-lite", 384, 384, 1089),
    ("gemini-3.5-flash-lite", 385, 385, 1089),
    ("gemini-3.5-flash-lite", 512, 512, 1089),
    ("gemini-3.5-flash-lite", 1024, 1024, 1089),
    ("gemini-3.5-flash-lite", 1024, 512, 1081),
    ("gemini-3.5-flash-lite", 2048, 512, 1056),
]


@pytest.mark.parametrize(("model", "width", "height", "billed"), GEMINI_3_BILLS)
def test_the_gemini_3_rule_reproduces_every_published_bill(model, width, height, billed):
    assert image_cost(width, height, model).visual_tokens == billed


# Vendor's table of sizes: page, seen and tokens on the standard and the high-resolution tier. For
# 2000x1500 the table prints 1269x952; the vendor's reference implementation gives 1270x952.
CLAUDE_TABLE = [
    ((200, 200), (200, 200), 64, (200, 200), 64),
    ((1000, 1000), (1000, 1000), 1296, (1000, 1000), 1296),
    ((1092, 1092), (1092, 1092), 1521, (1092, 1092), 1521),
    ((1920, 1080), (1456, 819), 1560, (1920, 1080), 2691),
    ((2000, 1500), (1270, 952), 1564, (2000, 1500), 3888),
    ((3840, 2160), (1456, 819), 1560, (2576, 1449), 4784),
    ((1075, 1520), (924, 1307), 1551, (1075, 1520), 2145),
]


@pytest.mark.parametrize(("page", "seen", "tokens", "seen_high", "tokens_high"), CLAUDE_TABLE)
def test_the_claude_rule_reproduces_the_vendors_table(page, seen, tokens, seen_high, tokens_high):
    for model, size, expected in (
        ("claude-haiku-4.5", seen, tokens),
        ("claude-opus-5", seen_high, tokens_high),
    ):
        cost = image_cost(*page, model)
        assert (cost.seen_width_px, cost.seen_height_px) == size
        assert cost.visual_tokens == expected
        assert cost.resampled == (size != page)


def test_a_measured_claude_bill_is_patches_plus_markers():
    cost = image_cost(1928, 1928, "claude-fable-5")
    assert cost.visual_tokens + cost.overhead_tokens == 4764


# The vendor's own calculations; sizes are those that the model sees.
OPENAI_EXAMPLES = [
    ("gpt-5.4", (1024, 1024), (1024, 1024), 1229),
    ("gpt-5.4", (2048, 2048), (1600, 1600), 3000),
    ("gpt-6-astra@high", (1024, 1024), (1024, 1024), 1229),
    ("gpt-6-astra@high", (2048, 2048), (1600, 1600), 3000),
    ("gpt-6-astra@high", (4096, 512), (4096, 512), 2458),
    ("gpt-6-astra", (2048, 2048), (2048, 2048), 4916),
    ("gpt-5-mini", (1800, 2400), (1056, 1408), math.ceil(1452 * 1.2)),
    ("o4-mini", (1800, 2400), (1056, 1408), math.ceil(1452 * 1.72)),
    ("gpt-4o", (1024, 1024), (768, 768), 765),
    ("gpt-4o", (2048, 4096), (768, 1536), 1105),
    ("gpt-4o", (512, 2048), (512, 2048), 765),
    ("gpt-5", (512, 2048), (512, 2048), 630),
    ("gpt-4o@low", (4096, 8192), (256, 512), 85),
    ("gpt-4o-mini", (512, 512), (512, 512), 8500),
]


@pytest.mark.parametrize(("model", "page", "seen", "tokens"), OPENAI_EXAMPLES)
def test_the_openai_rules_reproduce_the_vendors_examples(model, page, seen, tokens):
    cost = image_cost(*page, model)
    assert (cost.visual_tokens, cost.seen_width_px, cost.seen_height_px) == (tokens, *seen)


OTHER_PUBLISHED = [
    ("qwen3-vl", (224, 224), 64),
    ("qwen3-vl", (224, 150), 70),
    ("qwen3-vl", (150, 224), 70),
    ("qwen3-vl", (400, 300), 108),
    ("qwen3.5", (400, 300), 108),
    ("glyph", (566, 589), 420),  # a page shipped with the paper's code
    ("deepseek-ocr@tiny", (512, 512), 73),
    ("deepseek-ocr@small", (640, 640), 111),
    ("deepseek-ocr@base", (1024, 1024), 273),
    ("deepseek-ocr@large", (1280, 1280), 421),
    ("deepseek-ocr", (640, 640), 273),
    ("deepseek-ocr", (1280, 1280), 273 + 20 * 21),
    ("deepseek-ocr-2", (768, 768), 257),
    ("deepseek-ocr-2", (1536, 2304), 257 + 6 * 144),
    ("gemma-3", (595, 842), 256),
    ("gemma-4", (672, 960), 280),
    ("gemma-4@560", (960, 1344), 560),
    ("gemini-3.6-flash@ultra", (1920, 2688), 2240),
    ("llama-4", (336, 336), 144),
    ("llama-4", (672, 672), 5 * 144 + 4),
    ("minicpm-v-2.6", (448, 448), 64),
    ("minicpm-v-2.6", (896, 896), 5 * 64),
    ("mistral-small-3.1", (588, 840), 30 * 22),
    ("kimi-k3", (3500, 3500), 125 * 125),
    ("kimi-vl", (896, 896), 1024),
    ("grok-4.5", (764, 512), 392),
    ("internvl3", (448, 448), 256),
    ("internvl3", (896, 896), 5 * 256),
]


@pytest.mark.parametrize(("model", "page", "tokens"), OTHER_PUBLISHED)
def test_published_counts_of_the_other_families_are_reproduced(model, page, tokens):
    assert image_cost(*page, model).visual_tokens == tokens


def test_markers_are_counted_apart_from_the_picture():
    assert image_cost(588, 840, "glm-4.1v").overhead_tokens == 2
    assert image_cost(588, 840, "gpt-5.5").overhead_tokens == 0
    # <image_id>0</image_id>, <image></image>, four slices in two rows.
    assert image_cost(896, 896, "minicpm-v-2.6").overhead_tokens == 3 + 2 + 8 + 1


@pytest.mark.parametrize("model", ONE_OF_EACH_RULE)
@settings(max_examples=40, deadline=None)
@given(width=SIDES, height=SIDES)
def test_every_page_costs_at_least_one_token_and_is_seen_at_some_size(model, width, height):
    try:
        cost = image_cost(width, height, model)
    except ConfigError as error:
        assert f"page of {width}x{height} px" in str(error)
        return
    assert cost.visual_tokens >= 1
    assert cost.seen_width_px >= 1
    assert cost.seen_height_px >= 1
    if not cost.resampled:
        assert (cost.seen_width_px, cost.seen_height_px) == (width, height)


@pytest.mark.parametrize(
    "model",
    [
        "glm-4.5v",
        "qwen3-vl",
        "claude-opus-4.7",
        "kimi-k2.5",
        "gpt-5.6",
        "pixtral-large",
        "grok-4.5",
    ],
)
@given(width=SIDES, height=SIDES, more_width=SIDES, more_height=SIDES)
def test_within_the_limits_a_larger_page_never_costs_less(
    model, width, height, more_width, more_height
):
    limit_width, limit_height = largest_page_px(model, 1.0)
    small = (min(width, limit_width), min(height, limit_height))
    large = (
        min(small[0] + more_width, limit_width),
        min(small[1] + more_height, limit_height),
    )
    for size in (small, large):
        if max(size) / min(size) > 200 or size[0] * size[1] < 65_536:
            return
    assert image_cost(*small, model).visual_tokens <= image_cost(*large, model).visual_tokens


@pytest.mark.parametrize(
    "model", ["glm-4.5v", "qwen3-vl", "claude-opus-5", "gpt-5.5", "gpt-4o", "gemma-4", "kimi-vl"]
)
@given(width=st.integers(30, 5000), height=st.integers(30, 5000))
def test_a_page_on_its_side_costs_the_same(model, width, height):
    upright, lying = image_cost(width, height, model), image_cost(height, width, model)
    assert upright.visual_tokens == lying.visual_tokens
    assert (upright.seen_width_px, upright.seen_height_px) == (
        lying.seen_height_px,
        lying.seen_width_px,
    )


def is_within_limits(rule: VisionRule, width: int, height: int) -> bool:
    """Say, from the published limits and not from the rule's code, if a page is within them."""
    grid, area = rule.grid_px, width * height
    long, short, cells = max(width, height), min(width, height), width * height // rule.grid_px**2
    match rule:
        case SmartResize():
            pixels = area * rule.frames
            return rule.min_pixels <= pixels <= rule.max_pixels and long <= 200 * short
        case BudgetFit():
            return cells == rule.budget_tokens
        case RowBreaks():
            return long <= rule.longest_px
        case PadToCells():
            return long <= rule.max_side_px and cells <= rule.max_tokens
        case NavitPad():
            return area <= rule.max_patches * 14**2 and long <= 512 * 14
        case PatchBudget():
            limit = rule.max_patches or rule.refused_above_patches
            return long <= rule.max_side_px and cells <= limit
        case Square() | LowDetail():
            return width == height == grid
        case PaddedSquare():
            return long == rule.side_px
        case TilesAndThumbnail() | CanvasTiles():
            return cells <= rule.max_tiles
        case OverviewAndTiles():
            return 2 <= cells <= rule.max_tiles
        case Slices():
            return cells <= rule.max_slices
        case ShortSideTiles():
            return short <= 768 and long <= 2048
        case CropTiles():
            return short >= 1152 and long <= 3072
        case PerMegapixel():
            return long <= rule.longest_px and short <= rule.shortest_px
        case _:
            raise AssertionError(f"no limits written down for {rule}")


@pytest.mark.parametrize("model", ONE_OF_EACH_RULE)
def test_a_page_of_whole_grid_cells_within_the_limits_is_never_resampled(model):
    rule = resolve_model(model).rule
    step = max(rule.grid_px, 8)
    most = min(8192 // step, 180)
    tried = 0
    for columns in range(1, most + 1):
        for rows in range(1, most + 1):
            width, height = columns * step, rows * step
            if is_within_limits(rule, width, height):
                cost = rule.cost(width, height)
                assert not cost.resampled, (model, width, height, cost)
                tried += 1
    assert tried >= 1


@pytest.mark.parametrize("model", ONE_OF_EACH_RULE)
def test_the_largest_page_keeps_its_pixels_and_no_taller_one_of_its_width_does(model):
    found = resolve_model(model)
    width, height = largest_page_px(model)
    assert not image_cost(width, height, found).resampled
    assert width % found.grid_px == height % found.grid_px == 0
    step = max(found.grid_px, 16)
    try:
        larger = found.rule.cost(width + step, height + step)
    except ConfigError:
        return
    assert larger.resampled


def test_the_largest_page_follows_the_aspect_ratio_that_is_asked_for():
    assert largest_page_px("gemini-3.6-flash") == (1344, 1920)
    assert largest_page_px("gemini-3.6-flash", 1 / 2**0.5) == (1920, 1344)
    assert largest_page_px("glm-4.1v", 1.0) == (2184, 2184)
    assert largest_page_px("gemma-3") == (896, 896)
    assert largest_page_px("deepseek-ocr@tiny") == (512, 512)
    with pytest.raises(ConfigError, match="aspect ratio 0; height over width is above 0"):
        largest_page_px("glm-4.1v", 0)
