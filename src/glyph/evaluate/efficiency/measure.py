"""What text tokens and pages of the same text cost a backbone: time, cache, memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log

from glyph.evaluate.efficiency.children import measure_side
from glyph.evaluate.efficiency.sides import Job, Kind, Side


@dataclass(frozen=True, slots=True)
class Row:
    """The same text, both ways. Seconds and bytes; None where it was not measured.

    Attributes:
        backbone: Name of the network.
        asked_tokens: Text tokens that were asked for.
        text_tokens: Tokens of the context as text.
        visual_tokens: Tokens of its pages.
        num_pages: Its pages.
        ratio: Text tokens over visual tokens.
        render_s: Text to page pixels.
        preprocess_s: Page pixels to patches.
        vision_s: Patches to visual tokens.
        prefill_text_s: Language model over the text tokens and the question.
        prefill_pages_s: Language model over the visual tokens and the question.
        total_pages_s: Rendering, preprocessing, vision tower and prefill.
        prefill_ratio: `prefill_text_s` over `prefill_pages_s`.
        speedup: `prefill_text_s` over `total_pages_s`: rendering included.
        decode_text_tokens_per_s: After a text context.
        decode_pages_tokens_per_s: After pages.
        decode_ratio: The second over the first.
        kv_text_bytes: Size of the cache tensors after the text.
        kv_pages_bytes: After the pages.
        kv_ratio: The first over the second.
        peak_text_bytes: Highest memory above that of the loaded network, with text.
        peak_pages_bytes: With pages, rendering included.
        num_repeats: Of the longest part; the others have as many or more. Medians count.
        train_text_s: A forward and backward pass over the text.
        train_pages_s: Over the pages, vision tower included.
        train_ratio: The first over the second.
        train_text_peak_bytes: Highest memory of the pass over the text.
        train_pages_peak_bytes: Over the pages.
    """

    backbone: str
    asked_tokens: int
    text_tokens: int
    visual_tokens: int
    num_pages: int
    ratio: float
    render_s: float
    preprocess_s: float
    vision_s: float
    prefill_text_s: float
    prefill_pages_s: float
    total_pages_s: float
    prefill_ratio: float
    speedup: float
    decode_text_tokens_per_s: float
    decode_pages_tokens_per_s: float
    decode_ratio: float
    kv_text_bytes: int
    kv_pages_bytes: int
    kv_ratio: float
    peak_text_bytes: int | None
    peak_pages_bytes: int | None
    num_repeats: int
    train_text_s: float | None = None
    train_pages_s: float | None = None
    train_ratio: float | None = None
    train_text_peak_bytes: int | None = None
    train_pages_peak_bytes: int | None = None


def measure(job: Job, max_s: float) -> Row | str:
    """Return what a context costs as text and as pages, or why it was not measured.

    Args:
        job: Backbone, length and pages; its kind is not looked at.
        max_s: Seconds that each side may take.
    """
    # Pages first: they are done sooner, so that what takes too long is known to be the text.
    pages = measure_side(replace(job, kind="pages"), max_s)
    if isinstance(pages, str):
        return f"as pages, {pages}"
    text = measure_side(replace(job, kind="text"), max_s)
    if isinstance(text, str):
        return f"as text, {text}"
    return _row(job, text, pages)


def with_training(row: Row, job: Job, max_s: float) -> Row | str:
    """Return a row with a training step over both sides, or why it was not measured."""
    kinds: tuple[Kind, Kind] = ("train-pages", "train-text")
    sides = [measure_side(replace(job, kind=kind), max_s) for kind in kinds]
    for kind, side in zip(kinds, sides, strict=True):
        if isinstance(side, str):
            return f"{kind}, {side}"
    pages, text = (side for side in sides if isinstance(side, Side))
    return replace(
        row,
        train_text_s=text.train_s,
        train_pages_s=pages.train_s,
        train_ratio=text.train_s / pages.train_s,
        train_text_peak_bytes=text.peak_bytes,
        train_pages_peak_bytes=pages.peak_bytes,
    )


def _row(job: Job, text: Side, pages: Side) -> Row:
    total_s = pages.render_s + pages.preprocess_s + pages.vision_s + pages.prefill_s
    return Row(
        backbone=job.backbone,
        asked_tokens=job.num_tokens,
        text_tokens=text.num_tokens,
        visual_tokens=pages.num_tokens,
        num_pages=pages.num_pages,
        ratio=text.num_tokens / pages.num_tokens,
        render_s=pages.render_s,
        preprocess_s=pages.preprocess_s,
        vision_s=pages.vision_s,
        prefill_text_s=text.prefill_s,
        prefill_pages_s=pages.prefill_s,
        total_pages_s=total_s,
        prefill_ratio=text.prefill_s / pages.prefill_s,
        speedup=text.prefill_s / total_s,
        decode_text_tokens_per_s=text.decode_tokens_per_s,
        decode_pages_tokens_per_s=pages.decode_tokens_per_s,
        decode_ratio=pages.decode_tokens_per_s / text.decode_tokens_per_s,
        kv_text_bytes=text.kv_bytes,
        kv_pages_bytes=pages.kv_bytes,
        kv_ratio=text.kv_bytes / pages.kv_bytes,
        peak_text_bytes=text.peak_bytes,
        peak_pages_bytes=pages.peak_bytes,
        num_repeats=min(text.num_repeats, pages.num_repeats),
    )


def crossover(rows: Sequence[Row]) -> int | None:
    """Return the text tokens from which pages are faster, rendering included, or None.

    Between two measured lengths the speed-up is taken as linear in the logarithm of the length.

    Args:
        rows: Of one backbone, shortest first.
    """
    before: Row | None = None
    for row in rows:
        if row.speedup >= 1 and all(later.speedup >= 1 for later in rows[rows.index(row) :]):
            if before is None:
                return row.text_tokens
            share = (1 - before.speedup) / (row.speedup - before.speedup)
            span = log(row.text_tokens) - log(before.text_tokens)
            return round(exp(log(before.text_tokens) + share * span))
        before = row
    return None
