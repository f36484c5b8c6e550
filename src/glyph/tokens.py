"""What pages cost a model, and what the same text would have cost.

The chapter in one line: name -> `VisionModel` -> `ImageCost` of a page -> `Cost` of a document.
The rules themselves live in `glyph.vision` and `glyph.vision_tiles`, the table of models in
`glyph.vision_models`. No model is loaded and no network is touched.

A model is named as people name it: by its short name (`glm-4.5v`), by a provider's id
(`openrouter/z-ai/glm-4.5v`, `us.anthropic.claude-opus-4-7-20260416-v1:0`) or by a checkpoint
(`Qwen/Qwen3-VL-8B-Instruct`). Some models have variants, written behind an `@`: the budgets of
Gemma 4 (`gemma-4@1120`), the levels of Gemini 3 (`gemini-3.6-flash@medium`), the modes of
DeepSeek-OCR (`deepseek-ocr@base`), the details of OpenAI (`gpt-5.4@original`). Without one, the
default of the service or checkpoint holds. An unknown name is an error, never a guess.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from glyph.errors import ConfigError, UnknownModelError, nearest
from glyph.vision import ImageCost, VisionModel, ceil_div
from glyph.vision_models import FAMILIES, Family

__all__ = [
    "Cost",
    "ImageCost",
    "VisionModel",
    "document_cost",
    "image_cost",
    "is_proxy",
    "largest_page_px",
    "model_names",
    "resolve_model",
]

_FAMILY_OF: dict[str, Family] = {name: row for row in FAMILIES for name in row.contexts}

_VENDORS = (
    "anthropic|openai|google|qwen|mistral|meta|deepseek|moonshotai|moonshot|zai|z-ai|xai|x-ai"
)
_ENDINGS = re.compile(
    r"-(?:20\d{6}|20\d\d-\d\d-\d\d|\d{3}|latest|preview(?:-\d\d-(?:\d\d|\d{4}))?|exp(?:-\d\d-\d\d)?)$"
)
_WEIGHT_WORDS = re.compile(
    r"(?:-(?:[ae]?\d+(?:\.\d+)?b|\d+e|\d{4}|instruct|thinking|base|chat|it|pt|hf|hd|qat|bnb|awq|gptq"
    r"|fp8|int[48]|[48]bit|bf16|nvfp4|mxfp4|gguf|mlx|pretrained))*"
)


def _short_id(model: str) -> tuple[str, str | None]:
    """Return the bare lower-case model name and the variant, without provider and date."""
    name = model.strip().lower().replace("_", "-").rsplit("/", 1)[-1]
    name, _, variant = name.partition("@")
    name = name.partition(":")[0]
    name = re.sub(rf"^(?:(?:[a-z]{{2,6}}|us-gov)\.)?(?:{_VENDORS})\.", "", name)
    name = re.sub(r"^(claude-.+)-v\d+$", r"\1", name)
    while _ENDINGS.search(name):
        name = _ENDINGS.sub("", name)
    # Some hosts write 4-7 for 4.7.
    name = re.sub(r"(?<=\d)-(?=\d(?:-|$))", ".", name)
    if re.fullmatch(r"\d{8}|default|latest", variant):
        variant = ""
    return name, variant or None


def _canonical_name(short: str) -> str | None:
    """Return the longest name of the table that `short` is, or extends by words of a checkpoint."""
    fitting = (
        name
        for name, family in _FAMILY_OF.items()
        if short == name
        or (
            family.open_weights
            and short.startswith(f"{name}-")
            and _WEIGHT_WORDS.fullmatch(short[len(name) :])
        )
    )
    return max(fitting, key=len, default=None)


def resolve_model(name: str) -> VisionModel:
    """Return the vision model of a name, a provider's id or a checkpoint.

    Args:
        name: See the module's text for the accepted forms; letter case does not matter.

    Returns:
        The model with its rule, limits and text tokenizer.

    Raises:
        UnknownModelError: No rule is known under that name, or the model has no such variant.

    Example:
        >>> resolve_model("openrouter/z-ai/glm-4.5v").name
        'glm-4.5v'
        >>> resolve_model("Qwen/Qwen3-VL-8B-Instruct").grid_px
        32
    """
    short, variant = _short_id(name)
    canonical = _canonical_name(short)
    if canonical is None:
        near = nearest(short, _FAMILY_OF)
        meant = f"; did you mean {near}?" if near else "."
        raise UnknownModelError(
            f"no visual-token rule is known for model '{name}'{meant} "
            "'glyph models', or glyph.tokens.model_names(), lists the known ones; the rule of "
            "another family is never used instead."
        )
    family = _FAMILY_OF[canonical]
    if variant is not None and variant not in family.variants:
        accepted = ", ".join(f"'{canonical}@{known}'" for known in family.variants)
        raise UnknownModelError(
            f"model '{canonical}' has no variant '{variant}'; "
            + (f"it accepts {accepted}." if accepted else f"write '{canonical}' alone.")
        )
    return family.model(canonical, variant)


def model_names() -> tuple[str, ...]:
    """Return the canonical names of all known models, sorted, without variants."""
    return tuple(sorted(_FAMILY_OF))


def _as_model(model: str | VisionModel) -> VisionModel:
    return resolve_model(model) if isinstance(model, str) else model


def image_cost(width_px: int, height_px: int, model: str | VisionModel) -> ImageCost:
    """Return what one page costs a model and the size the model sees.

    The answer is that of the model's own image processor, or of its vendor's published rule.
    `resampled` is the flag to watch: scaled text is blurred text. Padding is not resampling, and
    neither is cutting a page into tiles.

    Args:
        width_px: Page width in pixels, at least 1.
        height_px: Page height in pixels, at least 1.
        model: A name that `resolve_model` knows, or its result.

    Returns:
        Visual tokens, seen size, whether the page is resampled, and marker tokens.

    Raises:
        ConfigError: The size is below 1, or the model refuses such a page.
        UnknownModelError: No rule is known for the model.

    Example:
        >>> image_cost(588, 840, "glm-4.1v").visual_tokens
        630
        >>> image_cost(595, 842, "glm-4.1v").resampled
        True
    """
    if width_px < 1 or height_px < 1:
        raise ConfigError(
            f"page of {width_px}x{height_px} px; width and height are at least 1 px. "
            "Give the size of the rendered page."
        )
    return _as_model(model).rule.cost(width_px, height_px)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a document costs one model as pages, beside its price as text.

    Attributes:
        model: Canonical name of the model.
        tokenizer: Name of the tokenizer that counted `text_tokens`.
        text_tokens: Tokens of the same text as text.
        pages: Number of pages.
        visual_tokens: Sum over the pages, without begin and end markers.
        resampled: True if the model resamples any page.
        warnings: What to know before sending, in plain sentences; empty when all is well.
        overhead_tokens: Begin and end markers of all pages; billed as well.
    """

    model: str
    tokenizer: str
    text_tokens: int
    pages: int
    visual_tokens: int
    resampled: bool
    warnings: tuple[str, ...] = ()
    overhead_tokens: int = 0

    @property
    def ratio(self) -> float:
        """Text tokens per visual token: above 1, pages are cheaper than text."""
        return self.text_tokens / self.visual_tokens


def document_cost(
    page_sizes: Sequence[tuple[int, int]],
    text_tokens: int,
    model: str | VisionModel,
    tokenizer: str,
    page_bytes: Sequence[int] | None = None,
) -> Cost:
    """Return what a document costs a model as pages, and whether one request may carry it.

    Args:
        page_sizes: Width and height in pixels of every page, in order; at least one page.
        text_tokens: Tokens of the text under `tokenizer`; see `glyph.text_tokens`.
        model: A name that `resolve_model` knows, or its result.
        tokenizer: Name of the tokenizer that counted the text.
        page_bytes: Size in bytes of every image file, before base64; None if not encoded yet.

    Returns:
        Sums over all pages, with warnings about resampling, image count, bytes, sides, context
        and the quality of the rule.

    Raises:
        ConfigError: No page, a size below 1, as many byte sizes as pages not given, or a page
            the model refuses.
        UnknownModelError: No rule is known for the model.

    Example:
        >>> cost = document_cost([(588, 840)] * 3, 6_000, "glm-4.1v", "qwen3")
        >>> cost.visual_tokens, round(cost.ratio, 2)
        (1890, 3.17)
    """
    found = _as_model(model)
    if not page_sizes:
        raise ConfigError("no pages to price; give the size of at least one page.")
    if page_bytes is not None and len(page_bytes) != len(page_sizes):
        raise ConfigError(
            f"{len(page_bytes)} file sizes for {len(page_sizes)} pages; give one for each page, "
            "or None."
        )
    of_size = {size: image_cost(*size, found) for size in set(page_sizes)}
    costs = [of_size[size] for size in page_sizes]
    visual_tokens = sum(cost.visual_tokens for cost in costs)
    overhead_tokens = sum(cost.overhead_tokens for cost in costs)
    warnings = (
        *_size_warnings(page_sizes, costs, found),
        *_request_warnings(len(page_sizes), visual_tokens + overhead_tokens, found),
        *_byte_warnings(page_bytes or (), found),
    )
    return Cost(
        model=found.name,
        tokenizer=tokenizer,
        text_tokens=text_tokens,
        pages=len(page_sizes),
        visual_tokens=visual_tokens,
        resampled=any(cost.resampled for cost in costs),
        warnings=warnings,
        overhead_tokens=overhead_tokens,
    )


def is_proxy(cost: Cost) -> bool:
    """Whether text tokens were counted with another tokenizer than the model's own."""
    model = resolve_model(cost.model)
    return not (model.tokenizer_is_exact and model.tokenizer == cost.tokenizer)


def _size_warnings(
    page_sizes: Sequence[tuple[int, int]], costs: Sequence[ImageCost], model: VisionModel
) -> list[str]:
    """Return warnings about resampled pages and about sides the service refuses."""
    warnings: list[str] = []
    resampled = [index for index, cost in enumerate(costs) if cost.resampled]
    if resampled:
        first = resampled[0]
        (width, height), cost = page_sizes[first], costs[first]
        warnings.append(
            f"{model.name} resamples {len(resampled)} of {len(costs)} pages: page {first + 1} of "
            f"{width}x{height} px is read at {cost.seen_width_px}x{cost.seen_height_px} px; "
            f"sides that are multiples of {model.grid_px} px, within its limits, avoid that."
        )
    limits, longest = model.limits, max(max(size) for size in page_sizes)
    limit_px, reason = limits.max_side_px, "an image"
    if limits.many_images is not None and len(page_sizes) > limits.many_images:
        limit_px = limits.many_images_max_side_px
        reason = f"an image in a request with more than {limits.many_images} images"
    if limit_px is not None and longest > limit_px:
        warnings.append(
            f"a side of {longest} px is refused by {model.name}: {reason} may have {limit_px} px; "
            "make the pages smaller."
        )
    return warnings


def _request_warnings(pages: int, tokens: int, model: VisionModel) -> list[str]:
    """Return warnings about the number of images, the context and the quality of the rule."""
    warnings: list[str] = []
    if model.max_images is not None and pages > model.max_images:
        requests = ceil_div(pages, model.max_images)
        warnings.append(
            f"{pages} pages are too many for one request to {model.name}, which takes "
            f"{model.max_images} images; send them in {requests} requests."
        )
    if model.context_tokens is not None and tokens > model.context_tokens:
        warnings.append(
            f"{tokens} visual and marker tokens do not fit the context of {model.name}, "
            f"{model.context_tokens} tokens; send fewer pages."
        )
    if model.evidence == "approximate":
        warnings.append(
            f"the visual-token rule of {model.name} is an approximation; compare it with the "
            "usage of a first request."
        )
    return warnings


def _byte_warnings(page_bytes: Sequence[int], model: VisionModel) -> list[str]:
    """Return warnings about image files that are too large, alone or together."""
    warnings: list[str] = []
    largest, total = max(page_bytes, default=0), sum(page_bytes)
    if model.max_image_bytes is not None and largest > model.max_image_bytes:
        warnings.append(
            f"an image file of {largest} bytes is too large for {model.name}, which takes "
            f"{model.max_image_bytes} bytes; use fewer colours or a smaller page."
        )
    if model.max_request_bytes is not None and total > model.max_request_bytes:
        requests = ceil_div(total, model.max_request_bytes)
        warnings.append(
            f"{total} bytes of images are too many for one request to {model.name}, which takes "
            f"{model.max_request_bytes} bytes; send them in at least {requests} requests."
        )
    return warnings


@lru_cache(maxsize=256)
def largest_page_px(model: str | VisionModel, aspect_ratio: float = 2**0.5) -> tuple[int, int]:
    """Return the largest page of about an aspect ratio that a model reads without resampling.

    Sides are multiples of the model's grid. Where no page of that shape keeps its pixels (an
    encoder that sees squares only), the largest page of any shape is returned.

    Args:
        model: A name that `resolve_model` knows, or its result.
        aspect_ratio: Height over width, above 0; the default is that of the A formats.

    Returns:
        Width and height in pixels.

    Raises:
        ConfigError: The aspect ratio is not above 0.
        UnknownModelError: No rule is known for the model.

    Example:
        >>> largest_page_px("gemini-3.6-flash")
        (1344, 1920)
    """
    if not aspect_ratio > 0:
        raise ConfigError(
            f"aspect ratio {aspect_ratio}; height over width is above 0, such as 1.414."
        )
    found = _as_model(model)
    grid = found.grid_px
    # No service in the table takes longer sides; a page without a grid needs no finer steps.
    step, longest = max(grid, 16), 65_535

    def keeps_pixels(width: int, height: int) -> bool:
        try:
            return not found.rule.cost(width, height).resampled
        except ConfigError:
            return False

    sizes = (
        (max(step, round(height / aspect_ratio / step) * step), height)
        for height in range(step, longest, step)
    )
    fitting = [size for size in sizes if max(size) <= longest and keeps_pixels(*size)]
    if not fitting:
        side = found.rule.cost(grid, grid).seen_width_px
        fitting = [(side, side)]
    return max(fitting, key=lambda size: size[0] * size[1])
