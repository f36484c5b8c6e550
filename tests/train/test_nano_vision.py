"""The vision tower: same numbers as transformers, labels for patches, resumable training."""

# ruff: noqa: E402 (imports after the skips)

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("transformers", reason="training needs the [train] extra")

from PIL import Image
from transformers import Glm4vConfig, Glm4vForConditionalGeneration
from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil

from glyph.errors import ConfigError
from glyph.readers.nano.spec import load_spec
from glyph.train.nano.corpus import TextMixture, random_mixture
from glyph.train.nano.model import glm4v_config
from glyph.train.nano.pages import LabelledPages, read_slots
from glyph.train.nano.reading import character_errors, edit_distance, sample_pages
from glyph.train.nano.vision import (
    CharHeads,
    build_tower,
    class_of,
    encode_pages,
    initialise,
    patch_slots,
    pixel_values,
    slot_of,
)
from glyph.train.nano.vision_training import (
    PageBatches,
    TrainingError,
    VisionRecipe,
    VisionRun,
)

SMALL = VisionRecipe(styles=("A", "D"), steps=6, tokens_per_step=24, max_page_tokens=12)


def pages_of(name: str, num_pages: int = 3, size_px: tuple[int, int] = (112, 84)) -> LabelledPages:
    rng = np.random.default_rng(1)
    return sample_pages(random_mixture(), rng, load_spec().style(name), size_px, num_pages)


def test_the_configuration_loads_in_transformers_and_has_5_to_15_million_parameters(
    tmp_path: Path,
):
    config = glm4v_config(load_spec())
    config.save_pretrained(tmp_path)
    again = Glm4vConfig.from_pretrained(tmp_path)
    assert again.to_dict() == config.to_dict()
    model = Glm4vForConditionalGeneration(again)
    assert 5e6 <= sum(p.numel() for p in model.parameters()) <= 15e6
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight


def test_the_rotary_sections_fill_the_rotated_half_of_a_head():
    text = load_spec().text
    head_dim = text["hidden_size"] // text["num_attention_heads"]
    rope = text["rope_parameters"]
    assert sum(rope["mrope_section"]) * 2 == head_dim * rope["partial_rotary_factor"]


def test_patches_by_hand_are_those_of_the_image_processor():
    plane_BHW = pages_of("A").plane_PHW
    images = [Image.fromarray(plane_HW).convert("RGB") for plane_HW in plane_BHW]
    made = Glm4vImageProcessorPil()(images=images, return_tensors="pt")
    assert made["image_grid_thw"].tolist() == [[1, 6, 8]] * 3
    assert torch.allclose(pixel_values(plane_BHW), made["pixel_values"], atol=1e-6)


@pytest.mark.parametrize("size_px", [(112, 84), (84, 168)])
def test_the_fast_forward_gives_the_numbers_of_the_stock_one(size_px: tuple[int, int]):
    plane_BHW = pages_of("D", size_px=size_px).plane_PHW
    tower = build_tower(load_spec()).eval()
    initialise(tower, plane_BHW, seed=0)
    grid = torch.tensor([[1, size_px[1] // 14, size_px[0] // 14]] * len(plane_BHW))
    with torch.no_grad():
        stock = tower(pixel_values(plane_BHW), grid_thw=grid).pooler_output
        fast = encode_pages(tower, plane_BHW).token_BTE.flatten(0, 1)
    assert float((stock - fast).abs().max()) < 2e-3 * float(stock.std())


def test_the_first_weights_see_ink_and_not_paper():
    plane_BHW = pages_of("A", num_pages=24).plane_PHW
    tower = build_tower(load_spec())
    initialise(tower, plane_BHW, seed=0)
    with torch.no_grad():
        embedded = tower.patch_embed(pixel_values(plane_BHW))
        token_BTE = encode_pages(tower, plane_BHW).token_BTE.flatten(0, 1)
    assert float(embedded.mean(0).abs().max()) < 1e-3
    assert float(embedded.std(0).min()) > 0.5 * float(embedded.std(0).max())
    values = torch.linalg.svdvals(token_BTE - token_BTE.mean(0))
    assert int((values > 0.02 * values[0]).sum()) > 200


@pytest.mark.parametrize(("name", "lines", "bins"), [("A", 1, 3), ("D", 2, 3), ("E", 2, 4)])
def test_the_four_patches_see_every_slot(name: str, lines: int, bins: int):
    style = load_spec().style(name)
    table = patch_slots(style)
    assert table.shape == (4, lines * bins)
    assert set(table.ravel().tolist()) == set(range(style.num_slots))
    for patch, slots in enumerate(table):
        top_px = 14 * (patch // 2)
        for slot in slots:
            line = slot // style.bins_per_token
            line_top = line * style.line_height_pt
            assert line_top < top_px + 14
            assert line_top + style.line_height_pt > top_px


def test_classes_and_vocabulary_ids_are_inverse():
    ids = np.array([0, *range(32, 128)], np.uint8)
    classes = class_of(ids)
    assert classes.tolist() == list(range(97))
    assert (slot_of(classes) == ids).all()


def test_a_head_that_says_the_labels_has_no_errors_and_a_blank_one_has_all():
    pages = pages_of("A")
    tower = build_tower(load_spec())
    heads = CharHeads(load_spec(), pages.style)
    with torch.no_grad():
        heads.token.weight.zero_()
        heads.token.bias.zero_()
    errors = character_errors(tower, heads, pages)
    chars = sum(len(line) for page in pages.slot_PRCK for line in read_slots(page, pages.style))
    assert (errors.rate, errors.chars, errors.pages) == (1.0, chars, 3)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("", "", 0),
        ("abc", "", 3),
        ("", "ab", 2),
        ("flaw", "lawn", 2),
        ("intention", "execution", 5),
    ],
)
def test_edit_distance_of_known_pairs(one: str, other: str, expected: int):
    assert edit_distance(one, other) == expected


def test_batches_depend_on_seed_and_step_only():
    one = PageBatches(SMALL, random_mixture(), load_spec())
    other = PageBatches(SMALL, random_mixture(), load_spec())
    later = other.batch(40)
    early = [one.batch(step) for step in range(3)]
    assert (one.batch(40).plane_PHW == later.plane_PHW).all()
    assert (other.batch(2).plane_PHW == early[2].plane_PHW).all()
    assert {page.style.name for page in map(one.batch, range(20))} == {"A", "D"}


def test_a_resumed_run_reaches_the_same_weights(tmp_path: Path):
    mixture = TextMixture((), (), 1.0)
    whole = VisionRun(SMALL, mixture, tmp_path / "whole")
    whole.train(held_out=[], eval_every=3)
    VisionRun(SMALL, mixture, tmp_path / "parts").train(held_out=[], stop_step=3, eval_every=3)
    resumed = VisionRun(SMALL, mixture, tmp_path / "parts")
    assert resumed.step == 3
    resumed.train(held_out=[], eval_every=3)
    for one, other in zip(whole.tower.parameters(), resumed.tower.parameters(), strict=True):
        assert torch.equal(one, other)
    curves = [
        [
            json.loads(line)["token_loss"]
            for line in (tmp_path / part / "metrics.jsonl").read_text().splitlines()
        ]
        for part in ("whole", "parts")
    ]
    assert len(curves[0]) == 2
    assert curves[0] == curves[1]


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path):
    run = VisionRun(SMALL, random_mixture(), tmp_path)
    run.save(tmp_path / "vision.pt")
    other = VisionRecipe(styles=("A", "D"), steps=7, tokens_per_step=24, max_page_tokens=12)
    with pytest.raises(ConfigError, match="use the same recipe or another folder"):
        VisionRun(other, random_mixture(), tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_pages(tmp_path: Path):
    run = VisionRun(SMALL, random_mixture(), tmp_path)
    with torch.no_grad():
        run.tower.merger.proj.weight[0, 0] = float("nan")
    with pytest.raises(TrainingError, match="the loss of step 0 is not finite; its pages are in"):
        run.train(held_out=[])
    bad = torch.load(tmp_path / "bad-batch.pt", weights_only=False)
    assert bad["plane"].ndim == 3


def test_learning_lowers_the_loss_of_a_batch_seen_again(tmp_path: Path):
    recipe = VisionRecipe(steps=25, tokens_per_step=12, max_page_tokens=6, warmup_steps=5)
    run = VisionRun(recipe, random_mixture(), tmp_path)
    pages = pages_of("A", num_pages=2, size_px=(84, 56))
    classes = class_of(pages.slot_PRCK).flatten(1, 2)

    def loss() -> float:
        with torch.no_grad():
            encoded = encode_pages(run.tower, pages.plane_PHW)
            return float(run.head("A").losses(encoded, classes)[0])

    before = loss()
    run.train(held_out=[])
    assert loss() < before - 0.5
