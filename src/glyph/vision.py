"""What a vision encoder makes of a page: the size it sees and the tokens it spends.

Every family of models resizes, pads or cuts an image before its encoder reads it. One small
frozen class stands for one such rule; `cost` is its only verb. This module holds the rules that
lay one grid of square cells over the whole page; `glyph.vision_tiles` holds those that cut it
into tiles. Which model follows which rule, with which numbers, is said in `glyph.vision_models`.

All arithmetic follows the released code to the last rounding: Python's `round` goes to the even
neighbour, `math.floor` acts on the same floating-point expression as the original.
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from glyph.errors import ConfigError

MAX_ASPECT_RATIO = 200


@dataclass(frozen=True, slots=True)
class ImageCost:
    """What one page costs one model, and what is left of its pixels.

    Attributes:
        visual_tokens: Positions of the sequence that the picture takes, row breaks and tile
            separators included; for a hosted model, the tokens its price list names. At least 1.
        seen_width_px: Width of the page's content as the encoder sees it at full detail.
        seen_height_px: Height of the same.
        resampled: True if the encoder sees other pixels than were sent. Padding is not
            resampling, nor is cutting into tiles; a smaller overview beside the tiles is not
            counted either, as the page itself is also seen whole.
        overhead_tokens: Begin and end markers around the picture, and text the chat template
            writes beside it. Billed too, but the same for a small and for a large page.
    """

    visual_tokens: int
    seen_width_px: int
    seen_height_px: int
    resampled: bool
    overhead_tokens: int = 0


def cost_when_seen(
    visual_tokens: int, seen_px: tuple[int, int], page_px: tuple[int, int], overhead_tokens: int = 0
) -> ImageCost:
    """Return the cost of a page that is resampled if it is seen at another size than its own.

    Args:
        visual_tokens: What it takes.
        seen_px: Width and height at which the encoder sees it.
        page_px: Width and height of the page.
        overhead_tokens: Markers around it.
    """
    return ImageCost(visual_tokens, *seen_px, seen_px != page_px, overhead_tokens)


class VisionRule(Protocol):
    """How one family of encoders sees a page."""

    @property
    def grid_px(self) -> int:
        """Side of the square on whose multiples a page keeps its pixels, within the limits."""
        ...

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return what a page of `width_px` by `height_px` costs; both are at least 1."""
        ...


Evidence = Literal["code", "documented", "measured", "approximate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one request to a service; None where unknown or set by the server.

    Attributes:
        max_images: Pages one request may hold.
        max_image_bytes: Largest image file in bytes, before base64.
        max_request_bytes: Largest sum of image files in bytes, before base64.
        max_side_px: Longest side the service accepts; None when it resizes instead.
        many_images: Above this number of images, `many_images_max_side_px` holds.
        many_images_max_side_px: Longest side in a request with many images.
    """

    max_images: int | None = None
    max_image_bytes: int | None = None
    max_request_bytes: int | None = None
    max_side_px: int | None = None
    many_images: int | None = None
    many_images_max_side_px: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionModel:
    """One model: how it sees a page, and what a request to it may hold.

    Attributes:
        name: Canonical name, with `@variant` if one was asked for.
        family: Name of the family, for people.
        rule: How its encoder sees a page.
        tokenizer: Name of the bundled text tokenizer for the text side of a comparison.
        tokenizer_is_exact: True if that is the model's own tokenizer, False if it is the
            nearest one that may be bundled.
        evidence: "code" follows a released image processor, "documented" the vendor's published
            rule, "measured" reproduces published bills, "approximate" does none of these.
        limits: Limits of one request.
        context_tokens: Length of the context window; None when unknown or set by the server.
    """

    name: str
    family: str
    rule: VisionRule
    tokenizer: str
    tokenizer_is_exact: bool
    evidence: Evidence
    limits: Limits
    context_tokens: int | None

    @property
    def grid_px(self) -> int:
        """Side of the square on whose multiples a page keeps its pixels.

        Within the limits of the rule only. For rules with a fixed budget (Gemini 3, Gemma 4) or
        a fixed square the page must also fill it: see `glyph.tokens.largest_page_px`.
        """
        return self.rule.grid_px

    @property
    def max_images(self) -> int | None:
        """Pages one request may hold, None when unknown."""
        return self.limits.max_images

    @property
    def max_image_bytes(self) -> int | None:
        """Largest image file in bytes, None when unknown."""
        return self.limits.max_image_bytes

    @property
    def max_request_bytes(self) -> int | None:
        """Largest sum of image files in bytes, None when unknown."""
        return self.limits.max_request_bytes

    @property
    def max_side_px(self) -> int | None:
        """Longest side the service accepts, None when unknown."""
        return self.limits.max_side_px


def ceil_div(length: int, step: int) -> int:
    """Return how many steps cover a length."""
    return -(-length // step)


def cells(width_px: int, height_px: int, grid_px: int) -> int:
    """Return how many square cells cover an image."""
    return ceil_div(width_px, grid_px) * ceil_div(height_px, grid_px)


def refuse(width_px: int, height_px: int, problem: str, remedy: str) -> ConfigError:
    """Return the error for a page that a model does not accept at all."""
    return ConfigError(f"page of {width_px}x{height_px} px {problem}. {remedy}")


@dataclass(frozen=True, slots=True)
class SmartResize:
    """Both sides go to the nearest multiple of a cell, the area into a range of pixels.

    Source:
        Qwen2-VL (arXiv:2409.12191), naive dynamic resolution; `smart_resize` of the image
        processors qwen2_vl and glm4v in transformers. Deviations: none. GLM multiplies the area
        by the two frames its temporal patch holds before it compares, and first enlarges a page
        with a side below one cell.
    """

    grid_px: int
    min_pixels: int
    max_pixels: int
    frames: int = 1
    overhead_tokens: int = 2

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page; an aspect ratio above 200:1 is refused."""
        width, height, cell = width_px, height_px, self.grid_px
        if self.frames > 1 and min(width, height) < cell:
            scale = max(cell / height, cell / width)
            width, height = int(width * scale), int(height * scale)
        if max(width, height) / min(width, height) > MAX_ASPECT_RATIO:
            ratio = max(width_px, height_px) / min(width_px, height_px)
            raise refuse(
                width_px,
                height_px,
                f"has aspect ratio {ratio:.0f}:1; the encoder accepts at most {MAX_ASPECT_RATIO}:1",
                "Make the page wider, or split it." if height > width else "Split the page.",
            )
        seen_height, seen_width = round(height / cell) * cell, round(width / cell) * cell
        area, seen_area = self.frames * height * width, self.frames * seen_height * seen_width
        if seen_area > self.max_pixels:
            beta = math.sqrt(area / self.max_pixels)
            seen_height = max(cell, math.floor(height / beta / cell) * cell)
            seen_width = max(cell, math.floor(width / beta / cell) * cell)
        elif seen_area < self.min_pixels:
            beta = math.sqrt(self.min_pixels / area)
            seen_height = math.ceil(height * beta / cell) * cell
            seen_width = math.ceil(width * beta / cell) * cell
        return cost_when_seen(
            cells(seen_width, seen_height, cell),
            (seen_width, seen_height),
            (width_px, height_px),
            self.overhead_tokens,
        )


@dataclass(frozen=True, slots=True)
class BudgetFit:
    """The page is scaled, up or down, until its cells fill a fixed budget of tokens.

    The price hardly depends on the page, so only a page that already fills the budget keeps its
    pixels: 1344x1920 px for 1120 cells of 48 px.

    Source:
        `get_aspect_ratio_preserving_size` of the gemma4 image processor in transformers (patch
        16 px, pooled 3x3). Deviations: none. Gemini 3 bills by the same rule: it reproduces 21
        published bills to the token (see the tests).
    """

    grid_px: int
    budget_tokens: int
    overhead_tokens: int = 0

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        cell = self.grid_px
        scale = math.sqrt(self.budget_tokens * cell**2 / (height_px * width_px))
        height = math.floor(scale * height_px / cell) * cell
        width = math.floor(scale * width_px / cell) * cell
        longest = self.budget_tokens * cell
        if height == 0:
            height, width = cell, min(width_px // height_px * cell, longest)
        elif width == 0:
            width, height = cell, min(height_px // width_px * cell, longest)
        return cost_when_seen(
            cells(width, height, cell), (width, height), (width_px, height_px), self.overhead_tokens
        )


@dataclass(frozen=True, slots=True)
class RowBreaks:
    """The long side is capped, sides are stretched up to whole cells, each row ends in a token.

    Source:
        Pixtral (arXiv:2410.07073); image processor and processor `pixtral` in transformers. The
        last row break is the end-of-image token. Deviations: none.
    """

    grid_px: int
    longest_px: int

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        width, height = width_px, height_px
        ratio = max(height / self.longest_px, width / self.longest_px)
        if ratio > 1:
            width, height = math.floor(width / ratio), math.floor(height / ratio)
        # A page thinner than the shrink factor would vanish; it keeps one column or row.
        columns = max(1, ceil_div(width, self.grid_px))
        rows = max(1, ceil_div(height, self.grid_px))
        seen = (columns * self.grid_px, rows * self.grid_px)
        return cost_when_seen(rows * (columns + 1), seen, (width_px, height_px))


@dataclass(frozen=True, slots=True)
class PadToCells:
    """The page shrinks until sides and cells fit, then is padded to whole cells.

    Source:
        Claude documentation, "Coordinates and bounding boxes", reference implementation of the
        resized size, and "Vision", table of sizes. Deviations: none. `overhead_tokens` is
        measured, not documented: 4 on the standard tier, 3 on the high-resolution tier.
    """

    grid_px: int
    max_side_px: int
    max_tokens: int
    overhead_tokens: int

    def _fits(self, width: int, height: int) -> bool:
        padded = max(ceil_div(width, self.grid_px), ceil_div(height, self.grid_px)) * self.grid_px
        return padded <= self.max_side_px and cells(width, height, self.grid_px) <= self.max_tokens

    def _shrunk(self, long_px: int, short_px: int) -> tuple[int, int]:
        """Return the largest long and short side that fit and keep the aspect ratio."""
        aspect = long_px / short_px
        fits, fails = 1, long_px
        while fits + 1 < fails:
            middle = (fits + fails) // 2
            if self._fits(middle, max(round(middle / aspect), 1)):
                fits = middle
            else:
                fails = middle
        return fits, max(round(fits / aspect), 1)

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        width, height = width_px, height_px
        if not self._fits(width, height):
            if height > width:
                height, width = self._shrunk(height, width)
            else:
                width, height = self._shrunk(width, height)
        return cost_when_seen(
            cells(width, height, self.grid_px),
            (width, height),
            (width_px, height_px),
            self.overhead_tokens,
        )


@dataclass(frozen=True, slots=True)
class NavitPad:
    """The page shrinks until its patches fit a budget, then is padded to whole cells.

    Source:
        Kimi-VL (arXiv:2504.07491), MoonViT; `navit_resize` of the kimi_k25 image processor in
        transformers. Deviations: none.
    """

    max_patches: int
    grid_px: int = 28
    patch_px: int = 14
    max_side_patches: int = 512
    overhead_tokens: int = 4

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        patches = max(1.0, height_px // self.patch_px) * max(1.0, width_px // self.patch_px)
        longest_px = self.max_side_patches * self.patch_px
        scale = min(
            1.0,
            math.sqrt(self.max_patches / patches),
            longest_px / height_px,
            longest_px / width_px,
        )
        width = min(max(1, int(width_px * scale)), longest_px)
        height = min(max(1, int(height_px * scale)), longest_px)
        return cost_when_seen(
            cells(width, height, self.grid_px),
            (width, height),
            (width_px, height_px),
            self.overhead_tokens,
        )


@dataclass(frozen=True, slots=True)
class PatchBudget:
    """The page shrinks into a square and under a budget of patches; each patch costs a factor.

    The factor is kept in hundredths so that the ceiling is exact.

    Source:
        OpenAI documentation, "Images and vision", patch-based image tokenization (copy of
        2026-09): the price, the table of sizes, the factors, the 30,000 patches above which a
        request is refused. It says that a bill may differ from the rule by one token.
        Deviations: none.
    """

    factor_percent: int
    max_side_px: int
    max_patches: int | None
    grid_px: int = 32
    refused_above_patches: int = 30_000

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page; one with too many patches to be accepted is refused."""
        width, height = width_px, height_px
        if (longest := max(width, height)) > self.max_side_px:
            width = max(1, round(width * self.max_side_px / longest))
            height = max(1, round(height * self.max_side_px / longest))
        if self.max_patches and cells(width, height, self.grid_px) > self.max_patches:
            width, height = self._shrunk(width, height, self.max_patches)
        patches = cells(width, height, self.grid_px)
        if patches > self.refused_above_patches:
            raise refuse(
                width_px,
                height_px,
                f"has {patches:,} patches of {self.grid_px} px; the model refuses more than "
                f"{self.refused_above_patches:,}",
                "Make the page smaller.",
            )
        return cost_when_seen(
            ceil_div(patches * self.factor_percent, 100), (width, height), (width_px, height_px)
        )

    def _shrunk(self, width: int, height: int, max_patches: int) -> tuple[int, int]:
        patch = self.grid_px
        shrink = math.sqrt(patch**2 * max_patches / (width * height))
        columns, rows = width * shrink / patch, height * shrink / patch
        shrink *= min(math.floor(columns) / columns, math.floor(rows) / rows)
        # The published size is a whole number of patches on one side; the product may fall just
        # below it in floating point.
        return math.floor(width * shrink + 1e-6), math.floor(height * shrink + 1e-6)


@dataclass(frozen=True, slots=True)
class PerMegapixel:
    """The price is proportional to the area; nothing is known about the encoder's grid.

    A page larger than those that were measured counts as resampled, to be on the safe side.

    Source:
        Bills measured by users of Grok 4.5 on pages up to 768x512 px: about 1000 tokens a
        megapixel. No rule is published, so this one is an approximation.
    """

    tokens: int
    longest_px: int
    shortest_px: int
    grid_px: int = 1

    def cost(self, width_px: int, height_px: int) -> ImageCost:
        """Return the cost of one page."""
        known = max(width_px, height_px) <= self.longest_px
        known = known and min(width_px, height_px) <= self.shortest_px
        return ImageCost(
            visual_tokens=ceil_div(width_px * height_px * self.tokens, 1_000_000),
            seen_width_px=width_px,
            seen_height_px=height_px,
            resampled=not known,
        )
