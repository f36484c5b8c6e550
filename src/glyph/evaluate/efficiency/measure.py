"""What text tokens and pages of the same text cost a backbone: time, cache, memory.

With one thread of the CPU, seconds are those the process computes: what other programs take from
it does not count. With more threads, or a GPU, they are those of the clock on the wall.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import exp, log
from pathlib import Path
from typing import Any, TypeVar

from glyph.config import RenderConfig
from glyph.documents import document_from_text
from glyph.evaluate.books import window
from glyph.evaluate.efficiency.backbone import Backbone, patches_of
from glyph.evaluate.words import reference_prose
from glyph.render import render_pages
from glyph.text_tokens import count_text_tokens

QUESTION_TOKENS = 32
DECODE_TOKENS = 16
CONTEXT_TOKENIZER = "o200k_base"

Result = TypeVar("Result")
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Row:
    """The same text, both ways. Seconds and bytes; None where it was not measured.

    Attributes:
        backbone: Name of the network.
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
        peak_text_bytes: Highest memory of the process, or of the GPU, with text.
        peak_pages_bytes: With pages.
        train_text_s: A forward and backward pass over the text.
        train_pages_s: Over the pages, vision tower included.
        train_ratio: The first over the second.
    """

    backbone: str
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
    train_text_s: float | None = None
    train_pages_s: float | None = None
    train_ratio: float | None = None


def clock_of(device: str) -> Clock:
    """Return the clock that is used: of the process, or on the wall."""
    threads: int = import_module("torch").get_num_threads()
    return time.process_time if device == "cpu" and threads == 1 else time.perf_counter


def sample_text(num_tokens: int, seed: int = 0) -> str:
    """Return prose of so many text tokens, less at most a chunk, from Python's reference."""
    prose = reference_prose()
    repeats = -(-num_tokens * 5 // len(prose)) + 1
    text = "\n".join([prose] * repeats)
    start, end = window(
        text, (0, 1), num_tokens, lambda part: count_text_tokens(part, CONTEXT_TOKENIZER),
        random.Random(seed),
    )  # fmt: skip
    return text[start:end]


def measure(
    backbone: Backbone,
    num_tokens: int,
    config: RenderConfig,
    *,
    repeats: int = 3,
    with_training: bool = False,
) -> Row:
    """Return what a context costs as text and as pages.

    Args:
        backbone: The network.
        num_tokens: Text tokens of the context.
        config: How pages look.
        repeats: Times a forward pass is taken; the fastest counts, since the rest is disturbance.
        with_training: Whether a training step is taken too.
    """
    torch: Any = import_module("torch")
    clock = clock_of(backbone.device)
    text = sample_text(num_tokens)
    tokens = count_text_tokens(text, CONTEXT_TOKENIZER)
    document = document_from_text(text, kind="prose", unwrap=False)
    tuple(render_pages(document_from_text(text[:2000]), config))  # fonts are loaded once
    pages, render_s = _timed(lambda: tuple(render_pages(document, config)), repeats, clock)
    patches, preprocess_s = _timed(lambda: [patches_of(page) for page in pages], repeats, clock)
    network = _Network(torch, backbone)
    pixels = [(torch.from_numpy(values), grid) for values, grid in patches]
    del patches
    with torch.inference_mode():
        reset_peak(backbone.device)
        text_BLD = network.text(tokens + QUESTION_TOKENS)
        text_cache, prefill_text_s = _timed(lambda: network.prefill(text_BLD), repeats, clock)
        kv_text, peak_text = cache_bytes(text_cache), peak_bytes(backbone.device)
        text_rate = network.decode_rate(text_cache)
        del text_cache, text_BLD
        reset_peak(backbone.device)
        seen_LD, vision_s = _timed(lambda: network.see(pixels), repeats, clock)
        both_BLD = torch.cat([seen_LD[None], network.text(QUESTION_TOKENS)], 1)
        pages_cache, prefill_pages_s = _timed(lambda: network.prefill(both_BLD), repeats, clock)
        kv_pages, peak_pages = cache_bytes(pages_cache), peak_bytes(backbone.device)
        pages_rate = network.decode_rate(pages_cache)
        del pages_cache, both_BLD
    train_text_s = train_pages_s = None
    if with_training:
        length = tokens + QUESTION_TOKENS
        _, train_text_s = _timed(lambda: network.train_step(length, []), 1, clock)
        _, train_pages_s = _timed(lambda: network.train_step(QUESTION_TOKENS, pixels), 1, clock)
    visual = len(seen_LD)
    total = render_s + preprocess_s + vision_s + prefill_pages_s
    return Row(
        backbone=backbone.name,
        text_tokens=tokens,
        visual_tokens=visual,
        num_pages=len(pages),
        ratio=tokens / visual,
        render_s=render_s,
        preprocess_s=preprocess_s,
        vision_s=vision_s,
        prefill_text_s=prefill_text_s,
        prefill_pages_s=prefill_pages_s,
        total_pages_s=total,
        prefill_ratio=prefill_text_s / prefill_pages_s,
        speedup=prefill_text_s / total,
        decode_text_tokens_per_s=text_rate,
        decode_pages_tokens_per_s=pages_rate,
        decode_ratio=pages_rate / text_rate,
        kv_text_bytes=kv_text,
        kv_pages_bytes=kv_pages,
        kv_ratio=kv_text / kv_pages,
        peak_text_bytes=peak_text,
        peak_pages_bytes=peak_pages,
        train_text_s=train_text_s,
        train_pages_s=train_pages_s,
        train_ratio=train_text_s / train_pages_s if train_text_s and train_pages_s else None,
    )


def _timed(work: Callable[[], Result], repeats: int, clock: Clock) -> tuple[Result, float]:
    """Return the result of the last run, and the seconds of the fastest."""
    best = float("inf")
    result: Result | None = None
    for _ in range(repeats):
        result = None  # the result before is not held while the next is made
        began = clock()
        result = work()
        best = min(best, clock() - began)
    assert result is not None
    return result, best


class _Network:
    """The parts of a backbone, each waited for until it is done."""

    def __init__(self, torch: Any, backbone: Backbone):
        self._torch = torch
        self._model = backbone.model
        self._device = backbone.device
        self._vocabulary = backbone.vocabulary
        self._clock = clock_of(backbone.device)

    def text(self, number: int) -> Any:
        """Return the embeddings of random tokens."""
        ids_BL = self._torch.randint(32, self._vocabulary, (1, number), device=self._device)
        return self._model.get_input_embeddings()(ids_BL)

    def see(self, pixels: Sequence[tuple[Any, tuple[int, int]]]) -> Any:
        """Return the visual tokens of pages, one page at a time, so that memory stays flat."""
        parts = [self._see_one(values, grid) for values, grid in pixels]
        seen = self._torch.cat(parts)
        self._wait()
        return seen

    def _see_one(self, values: Any, grid: tuple[int, int]) -> Any:
        tower = self._model.model.visual
        grid_thw = self._torch.tensor([[1, *grid]], device=self._device)
        seen = tower(values.to(self._device, tower.dtype), grid_thw=grid_thw)
        return seen if self._torch.is_tensor(seen) else seen.pooler_output

    def prefill(self, embeddings_BLD: Any) -> Any:
        """Run the language model and return its cache; only the last position is decoded."""
        output = self._model.model.language_model(inputs_embeds=embeddings_BLD, use_cache=True)
        self._model.lm_head(output.last_hidden_state[:, -1:])
        self._wait()
        return output.past_key_values

    def decode_rate(self, cache: Any) -> float:
        """Return tokens a second, one after the other, on top of a cache."""
        began = self._clock()
        for _ in range(DECODE_TOKENS):
            output = self._model.model.language_model(
                inputs_embeds=self.text(1), past_key_values=cache, use_cache=True
            )
            self._model.lm_head(output.last_hidden_state)
        self._wait()
        return DECODE_TOKENS / (self._clock() - began)

    def train_step(self, num_text: int, pixels: Sequence[tuple[Any, tuple[int, int]]]) -> float:
        """Take a forward and backward pass; the loss is over the question's tokens."""
        model, torch = self._model, self._torch
        parts = [self._see_one(values, grid)[None] for values, grid in pixels]
        inputs_BLD = torch.cat([*parts, self.text(num_text)], 1)
        hidden_BLD = model.model.language_model(inputs_embeds=inputs_BLD).last_hidden_state
        logits_BLV = model.lm_head(hidden_BLD[:, -QUESTION_TOKENS:])
        wanted_BL = torch.randint(32, self._vocabulary, logits_BLV.shape[:2], device=self._device)
        loss = torch.nn.functional.cross_entropy(logits_BLV.flatten(0, 1), wanted_BL.flatten())
        loss.backward()
        model.zero_grad(set_to_none=True)
        self._wait()
        return float(loss.detach())

    def _wait(self) -> None:
        if self._device != "cpu":
            self._torch.cuda.synchronize()


def cache_bytes(cache: Any) -> int:
    """Return the bytes of the key and value tensors of a cache."""
    return sum(
        tensor.numel() * tensor.element_size()
        for layer in cache.layers
        for tensor in (layer.keys, layer.values)
    )


def reset_peak(device: str) -> None:
    """Begin a new measurement of the highest memory, where the system lets us."""
    if device != "cpu":
        import_module("torch").cuda.reset_peak_memory_stats()
        return
    control = Path("/proc/self/clear_refs")
    if control.exists():
        control.write_text("5")


def peak_bytes(device: str) -> int | None:
    """Return the highest memory since the last reset, or None where it is not known."""
    if device != "cpu":
        return int(import_module("torch").cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


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
