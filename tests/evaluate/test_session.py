"""The command line of the evaluation, its baselines, its report, and the numbers behind them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chat_server import serving

from command_line import refusal, run, values
from glyph.api import make_config
from glyph.evaluate import (
    RunSettings,
    TaskOptions,
    evaluate,
    load_task,
    paired_difference,
    scores_of,
)
from glyph.evaluate.answering import OracleAnswerer, apply_condition, blanked, extract_from_text
from glyph.evaluate.retrieval import retrieve, truncate
from glyph.evaluate.showing import Showing
from glyph.evaluate.summary import wilson_interval

SHOWING = Showing(make_config(), "glm-4.1v", "o200k_base")
CONTRACT = {"task", "reader", "scores", "mean", "examples", "failed", "ratio"}
SHORT = ("--subset", "niah_single_1,vt", "--lengths", 512, "-n", 2)


def test_the_object_printed_has_the_agreed_keys(tmp_path: Path) -> None:
    printed = values("eval", "ruler", *SHORT, "--reader", "oracle", "--out", tmp_path, "--seed", 3)
    assert printed.keys() >= CONTRACT
    assert printed["scores"] == {"niah_single_1": 100.0, "vt": 100.0}
    assert (printed["mean"], printed["examples"], printed["failed"]) == (100.0, 4, 0)
    assert (printed["task"], printed["reader"]) == ("ruler", "oracle")
    assert printed["ratio"] > 2


def test_a_baseline_takes_the_place_of_the_pages(tmp_path: Path) -> None:
    arguments = ("eval", "ruler", *SHORT, "--reader", "oracle", "--out", tmp_path)
    full = values(*arguments, "--baseline", "full-text")
    cut = values(*arguments, "--baseline", "truncate")
    assert (full["condition"], full["mean"]) == ("full-text", 100.0)
    assert full["ratio"] == pytest.approx(1)
    assert cut["mean"] < 100
    assert cut["ratio"] > 1.5


def test_baselines_stand_beside_the_pages_with_paired_differences(tmp_path: Path) -> None:
    arguments = ("eval", "needle", "--lengths", 512, "--reader", "oracle", "--out", tmp_path)
    printed = values(*arguments, "--with-baselines", "--dpi", "72,96")
    rows = printed["rows"]
    assert [row["condition"] for row in rows] == 2 * [
        "pages", "blank", "shuffled", "full-text", "truncate", "bm25"
    ]  # fmt: skip
    assert rows[1]["mean"] == 0.0
    assert rows[1]["against_pages"]["points"] == -100.0
    assert rows[0]["ratio"] > rows[6]["ratio"]
    # At equal tokens: what is shown costs no more than the pages.
    assert all(row["input_tokens"] <= rows[0]["input_tokens"] for row in rows[4:6])
    report = (tmp_path / "report.md").read_text()
    assert "| oracle | bm25 | aligned-28-72dpi |" in report
    # Runs from pages over the same examples are compared in pairs.
    assert "| oracle, pages, aligned-28-72dpi | oracle, pages, aligned-28-96dpi | 5 | " in report
    assert (tmp_path / "report.html").read_text().count("<table>") == 3
    assert report.index("| oracle | pages |") < report.index("| oracle | blank |")
    assert (tmp_path / "needle.depths.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_for_people_says_what_was_not_run(tmp_path: Path) -> None:
    result = run("eval", "ruler", *SHORT, "--reader", "blank", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "niah_single_1" in result.stdout
    assert "Baselines not run; add --with-baselines" in result.stdout


def test_mistakes_are_named(tmp_path: Path) -> None:
    arguments = ("eval", "ruler", "--out", tmp_path)
    assert "Built into the evaluation: oracle, blank." in refusal(*arguments, "-r", "orcle")
    assert "unknown baseline 'bm52'" in refusal(*arguments, "-r", "blank", "--baseline", "bm52")
    assert "not numbers separated by commas" in refusal(*arguments, "-r", "blank", "--dpi", "x")
    assert "give --price-output too" in refusal(*arguments, "-r", "blank", "--price-input", 1)


def test_text_at_equal_tokens_keeps_both_ends_or_what_matches() -> None:
    text = "\n".join(f"Line {i} is about item {i} and nothing else at all." for i in range(400))
    cut = truncate(text, 500, SHOWING.count)
    assert cut.startswith("Line 0 is")
    assert cut.endswith("else at all.")
    assert 480 <= SHOWING.count(cut) <= 500
    found = retrieve(text, "What is item 217 about?", 500, SHOWING.count)
    assert "item 217 and" in found
    assert SHOWING.count(found) <= 500
    numbers = [int(word) for word in found.replace("\n", " ").split() if word.isdigit()]
    assert numbers == sorted(numbers)


def test_text_without_blanks_is_cut_to_what_there_is_room_for() -> None:
    lines = [f"第{i}位客人来自城市{i}，他带来了礼物。" for i in range(300)]
    found = retrieve("".join(lines), "第217位客人来自哪里？", 200, SHOWING.count)
    assert 100 < SHOWING.count(found) <= 200
    # One sentence that is longer than all there is room for is cut and not left out.
    found = retrieve("天地人日月山水火" * 200, "天地人？", 50, SHOWING.count)
    assert 40 <= SHOWING.count(found) <= 50


def test_text_is_not_there_to_be_transcribed(tmp_path: Path) -> None:
    arguments = ("eval", "ocr", "-n", 1, "--subset", "digits", "-r", "oracle", "--out", tmp_path)
    printed = values(*arguments, "--with-baselines")
    assert [row["condition"] for row in printed["rows"]] == ["pages", "blank", "shuffled"]
    assert printed["mean"] == 100.0
    assert "transcribes pages; bm25 shows text" in refusal(*arguments, "--baseline", "bm25")
    assert "Not run: full-text, truncate, bm25." in (tmp_path / "report.md").read_text()


def test_tokens_and_money_are_those_the_endpoint_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with serving() as server:
        printed = values(
            *("eval", "ruler", *SHORT, "-r", "openai:m", "--base-url", server.url),
            *("--model", "glm-4.1v", "--out", tmp_path, "--baseline", "pages"),
            *("--baseline", "full-text", "--price-input", 2, "--price-output", 10),
        )
    assert [row["condition"] for row in printed["rows"]] == ["pages", "full-text"]
    assert (printed["input_tokens"], printed["output_tokens"]) == (400, 20)
    assert printed["usd"] == pytest.approx((400 * 2 + 20 * 10) / 1e6)
    assert "0.0010" in (tmp_path / "report.md").read_text()


def test_the_report_says_what_failed_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with serving(failing_share=0.5, status=400) as server:
        printed = values(
            *("eval", "ruler", "--subset", "niah_single_1", "--lengths", 256, "-n", 8),
            *("-r", "openai:m", "--base-url", server.url, "--model", "glm-4.1v"),
            *("--out", tmp_path),
        )
    assert 0 < printed["failed"] < 8
    sentence = f"Failed: {printed['failed']} of 8 for openai:m, pages, aligned-28-72dpi, the first"
    assert sentence in (tmp_path / "report.md").read_text()
    assert "refused the request (400)" in printed["failure"]


def test_blank_pages_have_the_size_and_nothing_else() -> None:
    (example, *_) = load_task("needle", TaskOptions(lengths=(512,))).examples
    page = SHOWING.pages_of(example).pages[0]
    blank = blanked(page)
    assert blank.plane_HW.shape == page.plane_HW.shape
    assert len(np.unique(blank.plane_HW)) == 1


def test_shuffled_pages_are_the_same_pages() -> None:
    (example, *_) = load_task("needle", TaskOptions(lengths=(16_384,))).examples
    shown = SHOWING.pages_of(example)
    assert len(shown.pages) > 2
    other = apply_condition("shuffled", example, shown, 1, SHOWING.count)
    assert {page.digest for page in other.pages} == {page.digest for page in shown.pages}
    assert [page.index for page in other.pages] != [page.index for page in shown.pages]


def test_the_stand_in_for_readers_of_pages_answers_from_text() -> None:
    (example, *_) = load_task("needle", TaskOptions(lengths=(512,))).examples
    assert extract_from_text(example.context, example.question).text == example.answers[0]


def test_an_interval_holds_the_mean_and_shrinks_with_more_examples() -> None:
    assert wilson_interval(0, 5)[0] == 0.0
    few, many = wilson_interval(5, 10), wilson_interval(500, 1000)
    assert few[0] < many[0] < 50 < many[1] < few[1]


def test_a_paired_difference_is_that_of_the_scores(tmp_path: Path) -> None:
    task = load_task("ruler", TaskOptions(("niah_single_1",), (256,), 6))
    one = evaluate(task.examples, OracleAnswerer(), SHOWING, tmp_path / "j", RunSettings())
    worse = tuple(replace(r, score=0.5) if i % 2 else r for i, r in enumerate(one.records))
    scores = scores_of(one)
    gap = paired_difference(scores, scores_of(replace(one, records=worse)))
    assert gap is not None
    assert gap.points == 25.0
    assert 0 <= gap.low < 25 < gap.high <= 50
    assert paired_difference(scores, {}) is None


def test_runs_of_one_folder_stand_in_one_report(tmp_path: Path) -> None:
    for reader in ("oracle", "blank"):
        values("eval", "ruler", *SHORT, "--reader", reader, "--out", tmp_path)
    report = (tmp_path / "report.md").read_text()
    assert "| oracle | pages |" in report
    assert "| blank | pages |" in report
    (tmp_path / "ruler.x.summary.json").write_text(json.dumps({"task": "ruler"}))
    arguments = ("eval", "ruler", *SHORT, "--reader", "blank", "--out", tmp_path)
    assert "is no summary of a run; delete it" in refusal(*arguments)
