"""Oracle codes, packing and the guided language model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed; the [train] extra brings it")

from transformers import Glm4vForConditionalGeneration  # noqa: E402

from glyph.errors import ConfigError, GlyphError  # noqa: E402
from glyph.readers.nano.geometry import page_positions  # noqa: E402
from glyph.readers.nano.spec import load_spec  # noqa: E402
from glyph.train.nano.circuit import GuidedReader, load_reader, recording  # noqa: E402
from glyph.train.nano.corpus import random_mixture  # noqa: E402
from glyph.train.nano.language import LanguageTrainer  # noqa: E402
from glyph.train.nano.oracle import CodeLayout, CodeNoise, MonoGrid, OracleCode  # noqa: E402
from glyph.train.nano.packing import IGNORE, group_mask, pack  # noqa: E402
from glyph.train.nano.pages import render_labelled  # noqa: E402
from glyph.train.nano.reading import edit_distance  # noqa: E402
from glyph.train.nano.scoring import (  # noqa: E402
    TRAIN_STREAM,
    decode_lines,
    exact_score,
    generator,
    lookup_pages,
)
from glyph.train.nano.settings import LanguageSettings, read_settings  # noqa: E402
from glyph.train.nano.structure import structured_init  # noqa: E402
from glyph.train.nano.tasks import TaskMaker, TaskMix, TaskPage  # noqa: E402

MONO = ("A", "D", "E")


def grid_of(style: str = "A", size: tuple[int, int] = (168, 112)) -> MonoGrid:
    return MonoGrid(load_spec().style(style), *size)


def pages_of(grid: MonoGrid, count: int, seed: int = 0) -> list[TaskPage]:
    maker = TaskMaker(grid, random_mixture(), TaskMix(), generator(seed, TRAIN_STREAM))
    return [maker.key_page(3) for _ in range(count)]


def reader(style: str = "A", seed: int = 0) -> GuidedReader:
    torch.manual_seed(seed)
    spec = load_spec()
    net = GuidedReader(spec, spec.style(style))
    structured_init(net, grid_of(style), spec)
    return net.eval()


# --- where characters stand ------------------------------------------------------------------


@pytest.mark.parametrize("style", MONO)
def test_analytic_slots_agree_with_the_labels_of_rendered_pages(style: str):
    grid = grid_of(style, (224, 168))
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    rng = np.random.default_rng(3)
    lines = [
        "".join(letters[k] for k in rng.integers(0, 36, int(rng.integers(1, grid.num_columns))))
        for _ in range(grid.num_lines)
    ]
    rendered = render_labelled("\n".join(lines), grid.style, 224, 168, num_pages=1)
    assert np.array_equal(grid.slots(lines), rendered.slot_PRCK[0])


@given(style=st.sampled_from(MONO), line=st.integers(0, 3), column=st.integers(0, 32))
def test_token_and_slot_of_a_character_are_where_the_table_shows_it(
    style: str, line: int, column: int
):
    grid = grid_of(style)
    lines = [""] * line + ["~" * column + "X"]
    table_NK = grid.slots(lines).reshape(grid.num_tokens, -1)
    assert table_NK[grid.token(line, column), grid.slot(line, column)] == ord("X")
    assert (table_NK > 0).sum() == column + 1


def test_a_proportional_style_has_no_fixed_places():
    with pytest.raises(ConfigError, match=r"style 'P' is proportional .* give a monospaced style"):
        grid_of("P")


def test_a_key_behind_a_sentence_is_found_in_the_token_that_holds_most_of_it():
    grid = grid_of("A", (336, 224))
    assert [grid.token(0, 37 + k) for k in range(9)] == [6, 6, 7, 7, 7, 7, 7, 7, 8]
    assert grid.key_token(0, 37, 9) == 7


# --- codes -----------------------------------------------------------------------------------


def test_the_code_of_a_token_is_the_sum_of_its_slots_and_its_place():
    torch.manual_seed(0)
    codes = OracleCode(CodeLayout(256, 12))
    slots = torch.zeros(1, 2, 3, 12, dtype=torch.long)
    place = codes.row_codes[1] + codes.col_codes[2]
    slots[0, 1, 2, [0, 7]] = torch.tensor([ord("a"), ord("b")])
    table = codes.slot_codes.view(12, 128, 256)
    wanted = place + table[0, ord("a")] + table[7, ord("b")]
    torch.testing.assert_close(codes(slots)[0, 5], wanted)
    torch.testing.assert_close(codes(slots * 0)[0, 5], place)


@pytest.mark.parametrize("num_slots", [12, 18, 21])
def test_slots_rows_columns_and_flags_own_disjoint_dimensions(num_slots: int):
    layout = CodeLayout(256, num_slots)
    assert layout.char_dims == layout.slot_dims * num_slots <= layout.rows.start
    assert layout.rows.stop == layout.cols.start
    assert layout.cols.stop == layout.flags <= 256 - 10
    codes = OracleCode(layout)
    assert not codes.row_codes[:, : layout.char_dims].any()
    assert not codes.slot_codes[:, layout.char_dims :].any()


def test_rows_are_told_apart_by_their_codes():
    torch.manual_seed(1)
    layout = CodeLayout(256, 12)
    rows = torch.nn.functional.normalize(OracleCode(layout).row_codes[:, layout.rows], dim=1)
    cosine = rows @ rows.T - 2 * torch.eye(len(rows))
    assert cosine.max() < 0.7


def test_noise_of_level_zero_changes_nothing_and_noise_keeps_empty_slots_empty():
    torch.manual_seed(0)
    codes = OracleCode(CodeLayout(256, 12))
    slots = torch.randint(32, 126, (4, 2, 3, 12))
    silent = CodeNoise(0, 0, 0, 0, 0)
    torch.testing.assert_close(codes.noisy(slots, silent), codes(slots))
    wrong = CodeNoise(max_gaussian=0, max_confused=1, max_dropped=0, max_blend=0.5, clean_share=0)
    torch.testing.assert_close(codes.noisy(slots * 0, wrong), codes(slots * 0))
    assert not torch.allclose(codes.noisy(slots, wrong), codes(slots))


# --- packing ---------------------------------------------------------------------------------


def test_the_mask_lets_a_query_see_the_page_and_itself_only():
    segment = torch.tensor([[0, 0, 1, 1, 2, -1]])
    seen = (group_mask(segment)[0, 0] == 0).int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]


def test_positions_are_those_of_the_stock_model():
    spec = load_spec()
    net = reader()
    grid = grid_of()
    image, tail = spec.special("IMAGE"), 5
    ids = torch.tensor([[spec.special("BOI"), *[image] * 24, spec.special("EOI"), *[65] * tail]])
    stock, _ = net.model.model.get_rope_index(
        ids,
        mm_token_type_ids=(ids == image).int(),
        image_grid_thw=torch.tensor([[1, 8, 12]]),
    )
    mine = torch.from_numpy(page_positions(grid.num_rows, grid.num_cols))
    assert torch.equal(stock[:, 0, :26], mine)
    assert stock[0, 0, 26:].tolist() == list(range(int(mine.max()) + 1, int(mine.max()) + 6))


def test_a_packed_query_computes_what_it_computes_alone():
    net, grid = reader(), grid_of()
    page = pages_of(grid, 1)[0]
    together = pack([page], grid)
    with torch.no_grad():
        states = net(together, net.codes(together.slot_BRCK))
        for target in together.targets:
            alone = pack([TaskPage(page.lines, (target.query,))], grid)
            single = net(alone, net.codes(alone.slot_BRCK))
            size = len(target.query.answer)
            first = target.answer_at
            lone = alone.targets[0].answer_at
            torch.testing.assert_close(
                states[0, first : first + size],
                single[0, lone : lone + size],
                rtol=1e-4,
                atol=1e-4,
            )


def test_labels_follow_their_prompt_and_spell_the_answer():
    grid = grid_of()
    batch = pack(pages_of(grid, 3), grid)
    for target in batch.targets:
        size = len(target.query.answer)
        labels = batch.labels_BL[target.row, target.answer_at : target.answer_at + size]
        assert tuple(labels.tolist()) == target.query.answer
        assert batch.ids_BL[target.row, target.answer_at] == load_spec().special("VAL")
    count = sum(len(target.query.answer) for target in batch.targets)
    assert (batch.labels_BL != IGNORE).sum() == count


def test_guides_name_the_token_and_slot_that_hold_the_next_letter():
    grid = grid_of()
    batch = pack(pages_of(grid, 2), grid)
    slot_BTK = batch.slot_BRCK.flatten(1, 2)
    end = load_spec().special("EOS")
    for row, at, token, slot in batch.read_N4.tolist():
        label = batch.labels_BL[row, at]
        held = slot_BTK[row, token - 1, slot]
        assert held == label or (label == end and held == 0)


# --- network ---------------------------------------------------------------------------------


def test_the_guided_model_is_the_stock_model(tmp_path: Path):
    net, grid = reader(), grid_of()
    batch = pack(pages_of(grid, 2), grid)
    with torch.no_grad():
        codes = net.codes(batch.slot_BRCK)
        with recording() as scores:
            recorded = net(batch, codes)
        plain = net(batch, codes)
        net.model.save_pretrained(tmp_path)
        stock = Glm4vForConditionalGeneration.from_pretrained(tmp_path)
        embeds = stock.model.language_model.embed_tokens(batch.ids_BL)
        embeds[:, 1:25] = codes
        loaded = stock.model.language_model(
            inputs_embeds=embeds,
            position_ids=batch.position_3BL,
            attention_mask=batch.mask_B1LL,
        ).last_hidden_state
    assert sorted(scores) == [2, 3, 4]
    seen = batch.ids_BL != load_spec().special("PAD")
    torch.testing.assert_close(recorded[seen], plain[seen], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loaded[seen], plain[seen], rtol=1e-4, atol=1e-4)


def test_every_trained_weight_gets_a_gradient():
    net, grid = reader(), grid_of()
    net.train()
    pages = pages_of(grid, 2)
    batch = pack(pages, grid)
    parts, _ = net.losses(batch, net.codes.noisy(batch.slot_BRCK, CodeNoise()))
    sum(parts.values()).backward()
    silent = [name for name, p in net.trained() if p.grad is None or not p.grad.any()]
    assert silent == []
    assert all(p.grad is None for n, p in net.named_parameters() if ".visual." in n)


@pytest.mark.parametrize("style", MONO)
def test_keys_are_compared_slot_by_slot_before_any_training(style: str):
    net = reader(style)
    grid = grid_of(style)
    maker = TaskMaker(grid, random_mixture(), TaskMix(), generator(0, TRAIN_STREAM))
    batch = pack([maker.key_page(6, num_queries=6) for _ in range(4)], grid)
    with torch.no_grad():
        net(batch, net.codes(batch.slot_BRCK))
    size = net.layout.slot_dims
    row, at = batch.key_N[:, :2].unbind(1)
    held = net.entering[2][row, at]
    chars = net.codes.char_VD
    keys = batch.key_N[:, 2:].clamp(min=0)
    slots = [grid.slot(0, k) for k in range(5)]
    held = torch.cat([held[:, s * size : (s + 1) * size] for s in slots], 1)
    wanted = chars[keys[:, :5]].flatten(1)
    likeness = (held - held.mean(0)) @ (wanted - wanted.mean(0)).T
    found = (likeness.argmax(1) == torch.arange(len(keys))).float().mean()
    assert found > 3 / len(keys)


def test_cached_decoding_equals_recomputing_from_the_start():
    net, grid = reader(), grid_of("A", (84, 56))
    maker = TaskMaker(grid, random_mixture(), TaskMix(), generator(0, TRAIN_STREAM))
    lines = maker.prose_page().lines
    codes = net.codes(torch.from_numpy(grid.slots(lines)).long()[None])
    decoded = decode_lines(net, codes[0], grid)
    assert len(decoded) == grid.num_lines
    for number, ids in enumerate(decoded):
        query = replace(
            maker.line_query(lines, number), answer=tuple(ids), places=(None,) * len(ids)
        )
        batch = pack([TaskPage(lines, (query,))], grid)
        with torch.no_grad():
            states = net(batch, codes)[0, batch.targets[0].answer_at :]
            assert net.model.lm_head(states).argmax(-1)[: len(ids)].tolist() == ids


def test_an_untrained_reader_scores_near_zero_and_counts_its_queries():
    net, grid = reader(), grid_of()
    pages = lookup_pages(grid, random_mixture(), num_keys=2, seed=1, num_queries=10)
    score = exact_score(net, pages, grid)
    assert score.num_queries == 10
    assert score.exact < 0.2
    assert score.wrong_page < 0.2


@given(first=st.text("abc", max_size=8), second=st.text("abc", max_size=8))
def test_edit_distance_is_a_metric(first: str, second: str):
    distance = edit_distance(first, second)
    assert distance == edit_distance(second, first)
    assert (distance == 0) == (first == second)
    assert abs(len(first) - len(second)) <= distance <= max(len(first), len(second))


# --- training --------------------------------------------------------------------------------

SHORT = LanguageSettings(steps=6, tokens_per_step=100, page_sizes=((84, 56, 1.0), (112, 84, 1.0)))


def curve(folder: Path) -> list[dict[str, float]]:
    rows = [json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: v for name, v in row.items() if name != "cpu_s"} for row in rows]


def test_a_resumed_run_gives_the_curve_of_an_unbroken_one(tmp_path: Path):
    whole = LanguageTrainer(SHORT, random_mixture(), tmp_path / "whole")
    whole.run(hours=1, log_every=1)
    broken = LanguageTrainer(SHORT, random_mixture(), tmp_path / "broken")
    for _ in range(3):
        broken.train_step()
        broken._log()
    broken.save()
    broken.train_step()
    broken._log()
    again = LanguageTrainer(SHORT, random_mixture(), tmp_path / "broken")
    assert again.step == 3
    again.run(hours=1, log_every=1)
    assert curve(tmp_path / "broken") == curve(tmp_path / "whole")


def test_a_folder_of_another_run_is_refused(tmp_path: Path):
    LanguageTrainer(SHORT, random_mixture(), tmp_path)
    with pytest.raises(ConfigError, match="holds a run with other settings; give another folder"):
        LanguageTrainer(LanguageSettings(steps=7), random_mixture(), tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_batch(tmp_path: Path):
    trainer = LanguageTrainer(SHORT, random_mixture(), tmp_path)
    with torch.no_grad():
        trainer.net.model.lm_head.weight[70] = float("nan")
    with pytest.raises(GlyphError, match="the loss is not finite at step 0"):
        trainer.train_step()
    saved = torch.load(tmp_path / "bad-batch.pt", weights_only=False)
    assert saved["pages"]
    assert saved["step"] == 0


def test_a_saved_reader_answers_like_the_trained_one(tmp_path: Path):
    trainer = LanguageTrainer(SHORT, random_mixture(), tmp_path)
    trainer.train_step()
    trainer.save()
    loaded = load_reader(tmp_path / "last.pt")
    grid = grid_of("A", (84, 56))
    batch = pack(pages_of(grid, 2), grid)
    with torch.no_grad():
        mine = trainer.net.eval()(batch, trainer.net.codes(batch.slot_BRCK))
        torch.testing.assert_close(loaded(batch, loaded.codes(batch.slot_BRCK)), mine)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_pages_of_a_step_have_one_geometry_and_about_the_wanted_size(seed: int):
    grid = grid_of()
    batch = pack(pages_of(grid, 2, seed), grid)
    assert batch.slot_BRCK.shape == (2, 4, 6, 12)
    assert batch.num_visual == 24


def test_a_stage_starts_from_the_weights_of_the_one_before(tmp_path: Path):
    first = LanguageTrainer(SHORT, random_mixture(), tmp_path / "first")
    first.train_step()
    first.save()
    stage = replace(SHORT, start=str(tmp_path / "first" / "last.pt"))
    second = LanguageTrainer(stage, random_mixture(), tmp_path / "second")
    assert second.step == 0
    for (name, mine), (_, other) in zip(second.net.trained(), first.net.trained(), strict=True):
        assert torch.equal(mine, other), name


def test_settings_come_from_a_file_and_odd_keys_are_refused(tmp_path: Path):
    path = tmp_path / "stage.toml"
    path.write_text(
        "steps = 5\npage_sizes = [[84, 56, 1.0]]\n[mix]\nmax_queries = 3\n"
        'page_weights = [["keys", 1.0]]\n'
    )
    read = read_settings(path, LanguageSettings)
    assert read.page_sizes == ((84, 56, 1.0),)
    assert read.mix.page_weights == (("keys", 1.0),)
    assert (read.steps, read.mix.max_queries, read.style) == (5, 3, "A")
    path.write_text("[mix]\nmax_querys = 3\n")
    with pytest.raises(ConfigError, match=r"unknown key 'max_querys' in .*'max_queries'"):
        read_settings(path, LanguageSettings)
