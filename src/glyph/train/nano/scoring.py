"""Measures of a reader on codes: exact answers, the wrong-page control, read-back error.

With the right answer fed in, every predicted id is right exactly if greedy decoding gives that
answer, so exact match needs one pass. Character error needs free running and gets it.

Shape key: B rows, T visual tokens, D hidden width, L positions.
"""

# torch declares its types in part only.
# pyright: reportUnknownMemberType=false

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import DynamicCache

from glyph.readers.nano.geometry import page_positions
from glyph.readers.nano.prompts import line_prompt
from glyph.readers.nano.spec import chars_of, load_spec
from glyph.train.nano.circuit import GuidedReader, load_reader
from glyph.train.nano.corpus import TextMixture, book_mixture
from glyph.train.nano.oracle import CodeNoise, MonoGrid
from glyph.train.nano.packing import IGNORE, Batch, Target, pack
from glyph.train.nano.reading import edit_distance
from glyph.train.nano.tasks import TaskMaker, TaskMix, TaskPage, needles_fit

TRAIN_STREAM, EVAL_STREAM = 1, 2
PAGES_PER_BATCH = 6
QUERIES_PER_PAGE = 4


def generator(seed: int, stream: int) -> np.random.Generator:
    """Return a source of chance; training and evaluation streams never meet, whatever the seed."""
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(stream,)))


@dataclass(frozen=True, slots=True)
class ExactScore:
    """Exact matches among queries, with the same queries on the wrong page beside them.

    Attributes:
        num_queries: Queries asked.
        exact: Share answered exactly, end included.
        value: Share whose part behind the key is exact.
        wrong_page: Share whose part behind the key is exact though the page is another one.
    """

    num_queries: int
    exact: float
    value: float
    wrong_page: float


@torch.no_grad()
def exact_score(
    net: GuidedReader,
    pages: Sequence[TaskPage],
    grid: MonoGrid,
    noise: CodeNoise | None = None,
) -> ExactScore:
    """Return exact match on pages, and on the same queries with the pages exchanged.

    Args:
        net: Reader.
        pages: Pages with queries; at least 2 in every six, so that pages can be exchanged.
        grid: Their geometry.
        noise: What to do to the codes; None leaves them clean.
    """
    own: list[tuple[bool, bool]] = []
    wrong: list[tuple[bool, bool]] = []
    for start in range(0, len(pages), PAGES_PER_BATCH):
        batch = pack(pages[start : start + PAGES_PER_BATCH], grid)
        codes = net.codes.noisy(batch.slot_BRCK, noise)
        own += _answered(batch, _right(net, batch, codes))
        wrong += _answered(batch, _right(net, batch, codes.roll(1, 0)))
    own_N2, wrong_N2 = np.array(own), np.array(wrong)
    return ExactScore(
        len(own),
        float(own_N2[:, 0].mean()),
        float(own_N2[:, 1].mean()),
        float(wrong_N2[:, 1].mean()),
    )


def _right(
    net: GuidedReader, batch: Batch, codes_BTD: Float[Tensor, "B T D"]
) -> Bool[Tensor, "B L"]:
    logits = net.model.lm_head(net(batch, codes_BTD))
    return (logits.argmax(-1) == batch.labels_BL) & (batch.labels_BL != IGNORE)


def _answered(batch: Batch, right_BL: Bool[Tensor, "B L"]) -> list[tuple[bool, bool]]:
    return [answered(target, right_BL) for target in batch.targets]


def answered(target: Target, right_BL: Bool[Tensor, "B L"]) -> tuple[bool, bool]:
    """Return whether the whole answer, and its part behind the key, were predicted."""
    query = target.query
    right = right_BL[target.row, target.answer_at : target.answer_at + len(query.answer)]
    behind = min(query.key_size + 2, len(query.answer) - 1) if query.key_size else 0
    return bool(right.all()), bool(right[behind:].all())


def lookup_pages(
    grid: MonoGrid,
    text: TextMixture,
    *,
    num_keys: int,
    seed: int,
    num_queries: int,
    kind: str = "lookup",
) -> list[TaskPage]:
    """Return evaluation pages with exactly `num_keys` keys and prose on the other lines.

    Args:
        grid: Geometry.
        text: Held-out prose.
        num_keys: Keys on each page.
        seed: Of the evaluation stream.
        num_queries: At least this many queries over all pages.
        kind: `lookup` (bare key), `question` (in words), or `needle` (sentences, in words).
    """
    mix = TaskMix(
        question_share=float(kind != "lookup"), letter_values=0.2, max_value=6, hard_share=0.3
    )
    maker = TaskMaker(grid, text, mix, generator(seed, EVAL_STREAM))
    per_page = min(num_keys, QUERIES_PER_PAGE)
    return [
        maker.key_page(num_keys, needles=kind == "needle", num_queries=per_page)
        for _ in range(max(2, -(-num_queries // per_page)))
    ]


@torch.no_grad()
def decode_lines(
    net: GuidedReader, codes_TD: Float[Tensor, "T D"], grid: MonoGrid
) -> list[list[int]]:
    """Return the ids the reader says for every line of a page, decoding greedily.

    The page is read once; then all lines are asked for and decoded side by side, each up to and
    with EOS, or one id more than fits on a line.

    Args:
        net: Reader.
        codes_TD: Embeddings of the visual tokens, row-major.
        grid: Geometry.
    """
    special = load_spec().special
    tokens = torch.tensor([line_prompt(number).ids for number in range(grid.num_lines)])
    positions = torch.from_numpy(page_positions(grid.num_rows, grid.num_cols))
    embed = net.language.embed_tokens
    ends = embed(torch.tensor([special("BOI"), special("EOI")]))
    prefix_PD = torch.cat([ends[:1], codes_TD, ends[1:]])
    cache = DynamicCache()
    _advance(net, prefix_PD[None], positions[:, None], cache)
    cache.batch_repeat_interleave(grid.num_lines)
    at = int(positions.max()) + 1
    chosen_LX: list[Tensor] = []
    for _ in range(grid.num_columns + 1):
        steps = torch.arange(at, at + tokens.shape[1]).expand(3, grid.num_lines, -1)
        hidden = _advance(net, embed(tokens), steps, cache)
        at += tokens.shape[1]
        tokens = net.model.lm_head(hidden[:, -1:]).argmax(-1)
        chosen_LX.append(tokens[:, 0])
        if (torch.stack(chosen_LX) == special("EOS")).any(0).all():
            break
    said: list[list[int]] = torch.stack(chosen_LX, 1).numpy().tolist()
    return [_through(ids, special("EOS")) for ids in said]


def read_lines(net: GuidedReader, codes_TD: Float[Tensor, "T D"], grid: MonoGrid) -> list[str]:
    """Return every line of a page as the reader reads it; see `decode_lines`."""
    return [chars_of(ids) for ids in decode_lines(net, codes_TD, grid)]


def _through(ids: list[int], last: int) -> list[int]:
    return ids[: ids.index(last) + 1] if last in ids else ids


def _advance(
    net: GuidedReader, embeds_BSD: Tensor, position_3BS: Tensor, cache: DynamicCache
) -> Tensor:
    batch, size = embeds_BSD.shape[:2]
    past = cache.get_seq_length()
    mask = torch.full((size, past + size), -1e9).triu(past + 1)
    return net.language(
        inputs_embeds=embeds_BSD,
        position_ids=position_3BS,
        attention_mask=mask.expand(batch, 1, -1, -1),
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state


@torch.no_grad()
def read_back_error(
    net: GuidedReader,
    grid: MonoGrid,
    text: TextMixture,
    *,
    seed: int,
    num_pages: int,
    noise: CodeNoise | None = None,
) -> tuple[float, int]:
    """Return the character error rate of reading pages line by line, and the characters read.

    Args:
        net: Reader.
        grid: Geometry.
        text: What stands on the pages.
        seed: Of the evaluation stream.
        num_pages: Pages to read.
        noise: What to do to the codes; None leaves them clean.
    """
    maker = TaskMaker(grid, text, TaskMix(), generator(seed, EVAL_STREAM))
    errors = total = 0
    for _ in range(num_pages):
        lines = maker.prose_page().lines
        slots = torch.from_numpy(grid.slots(lines)).long()[None]
        codes = net.codes.noisy(slots, noise)
        for line, said in zip(lines, read_lines(net, codes[0], grid), strict=True):
            errors += edit_distance(said, line)
            total += len(line)
    return errors / max(total, 1), total


NUM_QUERIES = 200
SIZES_PX = ((168, 112), (224, 168), (336, 224), (336, 448))
KEY_COUNTS = (1, 2, 4, 8, 16)
SEEDS = (101, 202, 303)


def score_rows(
    net: GuidedReader, text: TextMixture, sizes_px: Sequence[tuple[int, int]] = SIZES_PX
) -> Iterator[dict[str, float | int | str]]:
    """Yield one row per page size, task, number of keys, seed and noise.

    Args:
        net: Reader.
        text: Held-out prose.
        sizes_px: Widths and heights of pages.
    """
    for width, height in sizes_px:
        grid = MonoGrid(net.style, width, height)
        base = {"style": net.style.name, "visual_tokens": grid.num_tokens}
        for seed, noise in itertools.product(SEEDS, (None, CodeNoise(clean_share=0.0))):
            torch.manual_seed(seed)
            about = {**base, "seed": seed, "noise": "clean" if noise is None else "noisy"}
            for kind, num_keys in itertools.product(("lookup", "question", "needle"), KEY_COUNTS):
                if (kind != "lookup" and num_keys != 8) or num_keys > grid.num_lines:
                    continue
                if kind == "needle" and not needles_fit(grid):
                    continue
                pages = lookup_pages(
                    grid, text, num_keys=num_keys, seed=seed, num_queries=NUM_QUERIES, kind=kind
                )
                score = exact_score(net, pages, grid, noise)
                yield {**about, "task": kind, "keys": num_keys, **asdict(score)}
            error, chars = read_back_error(
                net, grid, text, seed=seed, num_pages=1 + 48 // grid.num_tokens, noise=noise
            )
            yield {**about, "task": "line", "error_rate": error, "chars": chars}


def main() -> None:
    """Score a checkpoint; one JSON row a line goes to standard output."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--books", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for row in score_rows(load_reader(given.checkpoint), book_mixture(given.books)):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
