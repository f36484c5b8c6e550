"""Joining tower and language model: the code is spoken, runs resume, pixels train both."""

# ruff: noqa: E402 (imports after the skips)

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("transformers", reason="training needs the [train] extra")

from glyph.errors import ConfigError
from glyph.readers.nano.spec import load_spec
from glyph.train.nano.corpus import random_mixture
from glyph.train.nano.distil import (
    DistilRecipe,
    DistilRun,
    code_errors,
    code_logits,
    code_loss,
    fit_code,
)
from glyph.train.nano.joint import JointTrainer, task_planes
from glyph.train.nano.language import LanguageTrainer
from glyph.train.nano.oracle import CodeLayout, MonoGrid, OracleCode
from glyph.train.nano.pages import LabelledPages, render_labelled
from glyph.train.nano.reading import sample_pages, with_line_ends
from glyph.train.nano.settings import JointSettings, LanguageSettings
from glyph.train.nano.tasks import TaskMaker, TaskMix
from glyph.train.nano.vision import build_tower, class_of, encode_pages, initialise
from glyph.train.nano.vision_training import VisionRecipe, VisionRun

SIZES = ((84, 56), (112, 84))
RECIPE = DistilRecipe(
    styles=("A", "N"), steps=4, tokens_per_step=12, page_sizes_px=SIZES, fit_tokens=600
)


def pages_of(name: str, num_pages: int, size_px: tuple[int, int] = (84, 56)) -> LabelledPages:
    rng = np.random.default_rng(3)
    return sample_pages(random_mixture(), rng, load_spec().style(name), size_px, num_pages)


def codes_of(name: str) -> OracleCode:
    torch.manual_seed(0)
    return OracleCode(CodeLayout(256, load_spec().style(name).num_slots))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return checkpoints of a tower and of a language model, hardly trained."""
    folder = tmp_path_factory.mktemp("checkpoints")
    recipe = VisionRecipe(styles=("A",), steps=1, tokens_per_step=6, page_sizes_px=SIZES)
    vision = VisionRun(recipe, random_mixture(), folder / "vision")
    vision.train(held_out=[])
    settings = LanguageSettings(steps=1, tokens_per_step=60, page_sizes=((84, 56, 1.0),))
    language = LanguageTrainer(settings, random_mixture(), folder / "language")
    language.run(hours=1)
    return folder / "vision" / "vision.pt", folder / "language" / "last.pt"


@pytest.mark.parametrize("name", ["A", "N"])
def test_the_code_of_a_page_names_every_slot_of_it(name: str):
    pages, codes = pages_of(name, 4), codes_of(name)
    slots = torch.from_numpy(pages.slot_PRCK.astype(np.int64))
    classes = class_of(pages.slot_PRCK).flatten(1, 2)
    spoken = codes(slots).detach()
    assert torch.equal(code_logits(codes, spoken).argmax(-1), classes)
    distance, naming = code_loss(codes, spoken, slots, classes)
    assert distance == 0
    assert naming < 0.1


def test_the_fitted_start_is_nearer_to_the_code_than_silence():
    pages, codes = pages_of("A", 40), codes_of("A")
    tower = build_tower(load_spec())
    initialise(tower, pages.plane_PHW, 0)
    slots = torch.from_numpy(pages.slot_PRCK.astype(np.int64))
    left = fit_code(tower, lambda _style: codes, [pages])
    with torch.no_grad():
        said = encode_pages(tower, pages.plane_PHW).token_BTE
        silence = codes(slots).square().mean()
        assert (said - codes(slots)).square().mean() == pytest.approx(left, rel=1e-3)
    assert left < 0.7 * silence


def test_a_resumed_distillation_ends_with_the_weights_of_an_unbroken_one(
    tmp_path: Path, checkpoints: tuple[Path, Path]
):
    def run(name: str) -> DistilRun:
        return DistilRun(RECIPE, random_mixture(), tmp_path / name, *checkpoints)

    run("whole").train(held_out=[])
    broken = run("broken")
    broken._update()
    broken._update()
    broken.save()
    broken._update()
    again = run("broken")
    assert again.step == 2
    again.train(held_out=[])
    first, second = run("whole"), run("broken")
    assert first.step == second.step == 4
    for (name, mine), other in zip(
        first.tower.named_parameters(), second.tower.parameters(), strict=True
    ):
        assert torch.equal(mine, other), name
    for style in ("A", "N"):
        mine, other = (
            first.codes_of(load_spec().style(style)),
            second.codes_of(load_spec().style(style)),
        )
        assert torch.equal(mine.slot_codes, other.slot_codes)


def test_reading_by_the_nearest_code_counts_edits(checkpoints: tuple[Path, Path]):
    pages = pages_of("A", 2)
    tower = build_tower(load_spec())
    initialise(tower, pages.plane_PHW, 0)
    found = code_errors(tower, codes_of("A"), pages)
    assert found.pages == 2
    assert 0 < found.edits <= 2 * found.chars


def test_task_pages_are_drawn_where_the_oracle_says(tmp_path: Path):
    rng = np.random.default_rng(5)
    for name, size_px in (("A", (168, 112)), ("D", (168, 112)), ("A", (336, 224))):
        grid = MonoGrid(load_spec().style(name), *size_px)
        maker = TaskMaker(grid, random_mixture(), TaskMix(), rng)
        pages = [maker.page() for _ in range(6)]
        assert task_planes(pages, grid).shape == (6, size_px[1], size_px[0])
        for page in pages:
            text = "\n".join(page.lines)
            drawn = render_labelled(text, grid.style, *size_px, num_pages=1)
            np.testing.assert_array_equal(drawn.slot_PRCK[0], grid.slots(page.lines))


def joint(folder: Path, checkpoints: tuple[Path, Path]) -> JointTrainer:
    vision, language = checkpoints
    settings = JointSettings(
        steps=4, tokens_per_step=60, page_sizes=((84, 56, 1.0),), keep_styles=("A",), keep_tokens=6,
        start=str(language), vision=str(vision),
    )  # fmt: skip
    return JointTrainer(settings, random_mixture(), folder)


def test_a_resumed_joint_run_gives_the_curve_of_an_unbroken_one(
    tmp_path: Path, checkpoints: tuple[Path, Path]
):
    joint(tmp_path / "whole", checkpoints).run(hours=1, log_every=1)
    broken = joint(tmp_path / "broken", checkpoints)
    for _ in range(2):
        broken.train_step()
        broken._log()
    broken.save()
    joint(tmp_path / "broken", checkpoints).run(hours=1, log_every=1)

    def curve(name: str) -> list[dict[str, float]]:
        rows = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(row).items() if k != "cpu_s"} for row in rows]

    assert curve("broken") == curve("whole")


def test_the_answer_loss_reaches_the_tower(tmp_path: Path, checkpoints: tuple[Path, Path]):
    trainer = joint(tmp_path, checkpoints)
    pages, grid = trainer.next_pages()
    from glyph.train.nano.packing import pack

    parts, _ = trainer.losses(pages, grid, pack(pages, grid))
    parts["answer"].backward()
    gradient = trainer.net.model.model.visual.patch_embed.proj.weight.grad
    assert gradient is not None and gradient.abs().sum() > 0


def test_joint_training_without_checkpoints_says_what_to_name(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"name `start` \(language model\) and `vision`"):
        JointTrainer(JointSettings(), random_mixture(), tmp_path)


def test_some_pages_end_early_and_their_labels_with_them():
    pages = pages_of("A", 60, (112, 84))
    ink_PR = (pages.plane_PHW.reshape(60, 3, 28, 112) < 255).any((2, 3))
    filled_PR = ((pages.slot_PRCK > 0) & (pages.slot_PRCK != ord(" "))).any((2, 3))
    np.testing.assert_array_equal(ink_PR, filled_PR)
    assert 5 < (~ink_PR[:, -1]).sum() < 30


def test_line_ends_are_made_frequent_and_words_stay():
    text = "word " * 2000
    ended = with_line_ends(np.random.default_rng(0), text)
    assert ended.split() == text.split()
    assert 150 < ended.count("\n") < 400
    assert "\n\n" in ended
