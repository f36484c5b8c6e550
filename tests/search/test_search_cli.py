"""The verb: its contract, its folder, and what it refuses."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruler import TEXT, Ruler, settings

from command_line import refusal, values
from glyph import RenderConfig
from glyph.presets import load_preset
from glyph.readers.ocr import OcrReader
from glyph.search.job import search
from glyph.search.loop import front_of
from glyph.search.plots import importances
from glyph.search.report import lineage_of
from glyph.search.space import Space

FEW = ("--passages", 1, "--passage-chars", 160, "--seed", 3)


def test_the_contract_of_json_preset_and_continuing(
    book: Path, tmp_path: Path, ocr: OcrReader
) -> None:
    out = tmp_path / "run"
    first = values("search", book, "--reader", "ocr", "--evaluations", 2, "--out", out, *FEW)
    assert first["evaluations"] == 2
    more = values("search", book, "--reader", "ocr", "--evaluations", 4, "--out", out, *FEW)
    assert more["evaluations"] == 4
    assert more["proposer"] == "classical operators alone"
    for entry in [*more["front"], more["best"]]:
        assert 0 <= entry["accuracy"] <= 1
        assert entry["ratio"] > 0
        assert entry["reason"]
        assert isinstance(entry["config"], dict)
    assert more["best"] in more["front"]
    assert load_preset(out / "best.toml").to_dict() == more["best"]["config"]
    pages = values("render", book, "--out", tmp_path / "pages", "--preset", out / "best.toml")
    assert pages["config_digest"] == more["best"]["digest"]
    # The same command again only reports.
    again = values("search", book, "--reader", "ocr", "--evaluations", 4, "--out", out, *FEW)
    assert again["questions_asked"] == 0
    assert again["front"] == more["front"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--evaluations", 0), "budget of evaluations is 0"),
        (("--seconds", 0), "budget of seconds is 0"),
        (("--patience", -1), "budget of patience is -1"),
        (("--at-ratio", 0), "at_ratio is 0"),
        (("--min-accuracy", 2), "min_accuracy is 2"),
        (("--passages", 0), "num_passages is 0"),
        (("--passage-chars", 20), "passage_chars is 20"),
        (("--set", "line_height_pt=6", "--set", "font_size_pt=9"), "leave no page"),
        (("--set", "dpii=6"), "did you mean 'dpi'"),
        (("--questions", "llm"), "need a language model"),
        (("--questions", "nowhere.jsonl"), "cannot read questions nowhere.jsonl"),
        (("--proposer", "gpt"), "is no language model"),
        (("--model", "no-such-model"), "no-such-model"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    book: Path, tmp_path: Path, ocr: OcrReader, options: tuple[Any, ...], message: str
) -> None:
    out = tmp_path / "run"
    assert message in refusal("search", book, "--out", out, *options)
    assert not (out / "study.journal").exists()


def test_texts_too_short_are_refused(tmp_path: Path, ocr: OcrReader) -> None:
    path = tmp_path / "short.txt"
    path.write_text("A few words only.")
    message = refusal("search", path, "--out", tmp_path / "run")
    assert "a search needs at least 400" in message


def test_the_report_tells_the_story_and_loads_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = search([TEXT], Ruler(), settings(out, 14))
    html = result.report.read_text()
    assert "classical operators ran alone" in html
    for record in result.front:
        assert f"<td>{record.number}</td>" in html
    for record in lineage_of(result.records, result.best):
        assert f"Candidate {record.number}</b>" in html
    links = re.findall(r'(?:src|href)="([^"]{0,30})', html)
    assert links
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert "default-src 'none'" in html
    for name in ("front", "hypervolume", "importance", "operators"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_importance_finds_the_gene_that_decides(space: Space, record: Any) -> None:
    records = [
        record(i, 0.9 if i % 2 else 0.3, 2.0, config=RenderConfig(bold=bool(i % 2), dpi=60 + i))
        for i in range(40)
    ]
    found = importances(records, space, 0)
    assert found["bold"] > 0.99
    assert found["dpi"] < 0.2
    assert front_of(records)[0].config.bold


def test_labelled_questions_are_used(tmp_path: Path) -> None:
    result = search([TEXT], Ruler(), settings(tmp_path / "run", 2))
    assert {kind for kind, _ in result.best.measured.by_kind} == {"labelled"}
