"""One side of the comparison: a text as text tokens, or as pages, through one backbone.

With one thread of the CPU, seconds are those the process computes: what other programs take from
it does not count. With more threads, or a GPU, they are those of the clock on the wall.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeVar

from glyph.config import RenderConfig
from glyph.documents import document_from_text
from glyph.evaluate.books import window
from glyph.evaluate.efficiency.backbone import Backbone, build, limit_threads, patches_of
from glyph.evaluate.words import reference_prose
from glyph.pages import Page
from glyph.render import render_pages
from glyph.text_tokens import count_text_tokens

QUESTION_TOKENS = 32
DECODE_TOKENS = 16
CONTEXT_TOKENIZER = "o200k_base"

LONG_S = 20.0
"""What takes longer is taken once: by then disturbances have evened out."""

Result = TypeVar("Result")
Clock = Callable[[], float]
Kind = Literal["text", "pages", "train-text", "train-pages"]


@dataclass(frozen=True, slots=True)
class Job:
    """What to measure.

    Attributes:
        kind: The side, and whether reading it or a training step over it is measured.
        backbone: Name of the network.
        device: `cpu` or `cuda`.
        threads: Of the CPU.
        num_tokens: Text tokens of the context.
        config: How pages look.
        repeats: Times everything is done; medians count.
    """

    kind: Kind
    backbone: str
    device: str
    threads: int
    num_tokens: int
    config: RenderConfig
    repeats: int


@dataclass(frozen=True, slots=True)
class Side:
    """What was measured; what does not belong to the side is 0.

    Attributes:
        num_tokens: Of the context, as text or visual tokens.
        num_pages: Its pages.
        render_s: Text to page pixels.
        preprocess_s: Page pixels to patches.
        vision_s: Patches to visual tokens.
        prefill_s: Language model over the context and the question.
        decode_tokens_per_s: One token after the other, after the context.
        kv_bytes: Size of the cache tensors.
        train_s: A forward and backward pass.
        peak_bytes: Highest memory above what was held with the network loaded; None if unknown.
        num_repeats: Times the longest of these was done.
    """

    num_tokens: int
    num_pages: int = 0
    render_s: float = 0.0
    preprocess_s: float = 0.0
    vision_s: float = 0.0
    prefill_s: float = 0.0
    decode_tokens_per_s: float = 0.0
    kv_bytes: int = 0
    train_s: float = 0.0
    peak_bytes: int | None = None
    num_repeats: int = 1


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


def run_job(job: Job) -> Side:
    """Measure one side in this process."""
    limit_threads(job.threads)
    network = Network(build(job.backbone, job.device))
    text = sample_text(job.num_tokens)
    memory = _Memory(job.device)
    if job.kind == "text":
        with import_module("torch").inference_mode():
            return _read_text(network, text, job.repeats, memory)
    if job.kind == "pages":
        with import_module("torch").inference_mode():
            return _read_pages(network, text, job, memory)
    return _train(network, text, job, memory)


def _read_text(network: "Network", text: str, repeats: int, memory: "_Memory") -> Side:
    tokens = count_text_tokens(text, CONTEXT_TOKENIZER)
    text_BLD = network.text(tokens + QUESTION_TOKENS)
    cache, prefill_s, num_repeats = timed(lambda: network.prefill(text_BLD), repeats, network.clock)
    return Side(
        num_tokens=tokens,
        prefill_s=prefill_s,
        kv_bytes=cache_bytes(cache),
        peak_bytes=memory.above(),
        decode_tokens_per_s=network.decode_rate(cache),
        num_repeats=num_repeats,
    )


def _read_pages(network: "Network", text: str, job: Job, memory: "_Memory") -> Side:
    torch: Any = import_module("torch")
    pages, render_s = _rendered(text, job, network.clock)
    looks = [network.look(pages) for _ in range(1 if _is_long(pages) else job.repeats)]
    seen_LD = looks[-1][0]
    both_BLD = torch.cat([seen_LD[None], network.text(QUESTION_TOKENS)], 1)
    cache, prefill_s, num_repeats = timed(
        lambda: network.prefill(both_BLD), job.repeats, network.clock
    )
    return Side(
        num_tokens=len(seen_LD),
        num_pages=len(pages),
        render_s=render_s,
        preprocess_s=median(look[1] for look in looks),
        vision_s=median(look[2] for look in looks),
        prefill_s=prefill_s,
        kv_bytes=cache_bytes(cache),
        peak_bytes=memory.above(),
        decode_tokens_per_s=network.decode_rate(cache),
        num_repeats=min(num_repeats, len(looks)),
    )


def _rendered(text: str, job: Job, clock: Clock) -> tuple[tuple[Page, ...], float]:
    tuple(render_pages(document_from_text(text[:2000]), job.config))  # fonts are loaded once
    document = document_from_text(text, kind="prose", unwrap=False)
    pages, render_s, _ = timed(
        lambda: tuple(render_pages(document, job.config)), job.repeats, clock
    )
    return pages, render_s


def _is_long(pages: Sequence[Page]) -> bool:
    """Whether looking at pages takes about `LONG_S` on a core: 1,000 visual tokens a second."""
    return sum(page.width_px * page.height_px for page in pages) / 784 > 1_000 * LONG_S


def _train(network: "Network", text: str, job: Job, memory: "_Memory") -> Side:
    if job.kind == "train-text":
        tokens = count_text_tokens(text, CONTEXT_TOKENIZER)
        pages: tuple[Page, ...] = ()
        num_text = tokens + QUESTION_TOKENS
    else:
        pages, _ = _rendered(text, job, network.clock)
        tokens, num_text = 0, QUESTION_TOKENS
    _, train_s, num_repeats = timed(
        lambda: network.train_step(num_text, pages), job.repeats, network.clock
    )
    return Side(tokens, len(pages), train_s=train_s, peak_bytes=memory.above(),
                num_repeats=num_repeats)  # fmt: skip


def timed(work: Callable[[], Result], repeats: int, clock: Clock) -> tuple[Result, float, int]:
    """Return the last result, the median of the seconds, and the number of runs.

    What takes longer than `LONG_S` is run once.
    """
    taken: list[float] = []
    while True:
        began = clock()
        result = work()
        taken.append(clock() - began)
        if len(taken) >= repeats or taken[-1] > LONG_S:
            return result, median(taken), len(taken)
        del result  # it is not held while the next is made


class Network:
    """The parts of a backbone, each waited for until it is done."""

    def __init__(self, backbone: Backbone):
        self._torch: Any = import_module("torch")
        self._model = backbone.model
        self._device = backbone.device
        self._vocabulary = backbone.vocabulary
        is_alone = backbone.device == "cpu" and self._torch.get_num_threads() == 1
        self.clock: Clock = time.process_time if is_alone else time.perf_counter

    def text(self, number: int) -> Any:
        """Return the embeddings of random tokens."""
        ids_BL = self._torch.randint(32, self._vocabulary, (1, number), device=self._device)
        return self._model.get_input_embeddings()(ids_BL)

    def look(self, pages: Sequence[Page]) -> tuple[Any, float, float]:
        """Return the visual tokens of pages, and the seconds of making patches and of the tower.

        Pages are seen one at a time, so that memory stays flat.
        """
        parts: list[Any] = []
        preprocess_s = vision_s = 0.0
        for page in pages:
            began = self.clock()
            patches_PD, grid = patches_of(page)
            between = self.clock()
            parts.append(self._see(patches_PD, grid))
            self._wait()
            preprocess_s += between - began
            vision_s += self.clock() - between
        return self._torch.cat(parts), preprocess_s, vision_s

    def _see(self, patches_PD: Any, grid: tuple[int, int]) -> Any:
        tower = self._model.model.visual
        grid_thw = self._torch.tensor([[1, *grid]], device=self._device)
        patches = self._torch.from_numpy(patches_PD).to(self._device, tower.dtype)
        seen = tower(patches, grid_thw=grid_thw)
        return seen if self._torch.is_tensor(seen) else seen.pooler_output

    def prefill(self, embeddings_BLD: Any) -> Any:
        """Run the language model and return its cache; only the last position is decoded.

        Without a mask and a cache, attention is told to be causal and no mask is built.
        """
        output = self._model.model.language_model(inputs_embeds=embeddings_BLD, use_cache=True)
        self._model.lm_head(output.last_hidden_state[:, -1:])
        self._wait()
        return output.past_key_values

    def decode_rate(self, cache: Any) -> float:
        """Return tokens a second, one after the other, on top of a cache."""
        taken: list[float] = []
        for _ in range(DECODE_TOKENS):
            began = self.clock()
            output = self._model.model.language_model(
                inputs_embeds=self.text(1), past_key_values=cache, use_cache=True
            )
            self._model.lm_head(output.last_hidden_state)
            self._wait()
            taken.append(self.clock() - began)
        return 1 / median(taken)

    def train_step(self, num_text: int, pages: Sequence[Page]) -> float:
        """Take a forward and backward pass; the loss is over the question's tokens."""
        model, torch = self._model, self._torch
        parts = [self._see(*patches_of(page))[None] for page in pages]
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


class _Memory:
    """The memory of this process, or of the GPU, counted from now on."""

    def __init__(self, device: str):
        self._device = device
        control = Path("/proc/self/clear_refs")
        if device != "cpu":
            import_module("torch").cuda.reset_peak_memory_stats()
        elif control.exists():
            control.write_text("5")  # the highest becomes what is held now
        self._held = self._read("VmRSS")

    def above(self) -> int | None:
        """Return how much more was held at most; None where it is not known."""
        highest = self._read("VmHWM")
        return None if highest is None or self._held is None else highest - self._held

    def _read(self, name: str) -> int | None:
        if self._device != "cpu":
            cuda = import_module("torch").cuda
            return int(cuda.max_memory_allocated() if name == "VmHWM" else cuda.memory_allocated())
        status = Path("/proc/self/status")
        if not status.exists():
            return None
        line = next(each for each in status.read_text().splitlines() if each.startswith(name))
        return 1024 * int(line.split()[1])
