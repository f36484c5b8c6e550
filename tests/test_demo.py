"""The demo, run for real: it takes some twenty seconds, nearly all of them reading."""

import json
import sys
from pathlib import Path

import pytest

from command_line import run, values


def test_the_demo_reads_its_answers_from_page_files(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr", reason="the reader needs the extra [ocr]")
    told = values("demo", "--out", tmp_path / "demo")
    assert told["characters"] > 400_000
    assert told["pages"] == len(list((tmp_path / "demo" / "pages").glob("page-*.png"))) > 90
    assert len(told["costs"]) >= 5
    read = told["read"]
    assert 1 < len(read["pages"]) < 6
    assert read["letter_errors"] / read["letters"] < 0.01
    answers = [each["answer"] for each in read["answers"]]
    assert "execution frame" in answers[0]
    assert "NameError" in answers[1]
    assert "interpreter" in answers[2]
    assert all(each["page"] in read["pages"] and each["box"] for each in read["answers"])
    report = (tmp_path / "demo" / "report.html").read_text("utf-8")
    assert "NameError" in report
    assert f'id="page-{read["pages"][0]}"' in report


def test_without_the_ocr_extra_the_demo_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = run("demo", "--out", tmp_path / "demo", "--json")
    assert result.exit_code == 0
    assert result.stderr == (
        "not read back: reader 'ocr' needs onnxruntime; install it with: pip install "
        "'glyph-context[ocr]'\n"
    )
    told = json.loads(result.stdout)
    assert told["read"] is None
    assert told["pages"] > 90
    assert (tmp_path / "demo" / "report.html").exists()
