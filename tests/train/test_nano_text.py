"""The text baseline: the same tasks with characters as tokens."""

# ruff: noqa: E402 (imports after the skips)

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("transformers", reason="training needs the [train] extra")

from glyph.readers.nano.spec import chars_of, load_spec
from glyph.train.nano.corpus import random_mixture
from glyph.train.nano.oracle import MonoGrid
from glyph.train.nano.settings import LanguageSettings
from glyph.train.nano.tasks import TaskMaker, TaskMix, TaskPage
from glyph.train.nano.text import TextTrainer, pack_text, text_places

GRID = MonoGrid(load_spec().style("A"), 112, 84)


def task_pages(num_pages: int) -> list[TaskPage]:
    maker = TaskMaker(GRID, random_mixture(), TaskMix(), np.random.default_rng(4))
    return [maker.page() for _ in range(num_pages)]


def test_a_row_is_the_text_of_its_page_and_then_the_questions():
    pages = task_pages(4)
    batch = pack_text(pages)
    special = load_spec().special
    for row, page in enumerate(pages):
        ids = batch.ids_BL[row, 1 : 1 + batch.num_visual]
        text = "".join(line + "\n" for line in page.lines)
        assert chars_of(ids[ids != special("PAD")].numpy().astype(np.uint8)) == text
    assert (batch.ids_BL[:, 1 + batch.num_visual] == special("EOI")).all()


def test_every_answer_character_is_read_from_the_same_character_of_the_page():
    pages = task_pages(6)
    batch = pack_text(pages)
    special = load_spec().special
    compared = 0
    for row, at, token, _slot in batch.read_N4.tolist():
        wanted = int(batch.labels_BL[row, at])
        seen = int(batch.ids_BL[row, token])
        if wanted == special("EOS"):
            assert seen == special("NL")
        else:
            assert seen == wanted
            compared += 1
    assert compared > 100


def test_padding_of_shorter_pages_is_seen_by_nobody():
    batch = pack_text(task_pages(5))
    pad = load_spec().special("PAD")
    page = slice(1, 1 + batch.num_visual)
    unseen_BT = batch.ids_BL[:, page] == pad
    assert unseen_BT.any()
    for target in batch.targets:
        row = batch.mask_B1LL[target.row, 0, target.answer_at, page]
        assert ((row < 0) == unseen_BT[target.row]).all()


def test_a_key_is_found_by_its_last_character():
    assert text_places(["abc: 12", "de: 3"]).key_token(1, 0, 2) == 9


def test_the_text_reader_trains_on_the_tasks_of_the_pages(tmp_path: Path):
    settings = LanguageSettings(
        steps=30, tokens_per_step=300, page_sizes=((84, 56, 1.0),), learning_rate=1e-3
    )
    trainer = TextTrainer(settings, random_mixture(), tmp_path)
    losses = [trainer.train_step() for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
