"""The report: complete, bounded, safe to open, and true to the layout."""

import base64
import hashlib
import html
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glyph.api import save
from glyph.documents import document_from_text
from glyph.output import Saved
from glyph.pages import Box, Page
from glyph.report import MAX_PAGES, ReportAnswer, ReportPages, report_of

SENTENCE = "The quiet teacher carried a heavy letter to the village. "
EVIL = (
    "</script><script>document.title = 'broken out'</script>\n"
    "<img src=x onerror=\"document.title = 'broken out'\">\n"
    "--> ]]> <!-- <dialog open> & &lt; {{policy}} {{title}} \\1 \\g<0> ${x}\n"
)
MODELS = ("glm-4.1v", "gpt-5.4", "gemini-3-flash")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


def make_run(
    folder: Path, text: str, *, name: str = "letters.txt", limit: int = MAX_PAGES, **fields: object
) -> tuple[Saved, ReportPages, list[Page]]:
    kept, pages = ReportPages(limit), list[Page]()

    def on_page(page: Page) -> None:
        kept.add(page)
        pages.append(page)

    document = document_from_text(text, name=name, unwrap=False)
    run = save(document, folder / "run", models=MODELS, on_page=on_page, **fields)
    return run, kept, pages


def places_of(report: str) -> list[dict[str, list[int]]]:
    found = re.search(r'<script type="application/json" id="places">(.*?)</script>', report)
    assert found
    return json.loads(found[1])


def test_the_text_of_every_line_stands_in_the_report(tmp_path: Path) -> None:
    text = SENTENCE * 40 + EVIL + "\tindented\n\n  spaced   out  \n" + SENTENCE * 40
    run, kept, pages = make_run(tmp_path, text)
    report = report_of(run, kept)
    panes = re.findall(r'line to line">(.*?)</div></div></article>', report, re.DOTALL)
    assert len(panes) == len(pages)
    for pane, page in zip(panes, pages, strict=True):
        lines = [html.unescape(line) for line in re.findall(r"<span>(.*?)</span>", pane, re.DOTALL)]
        starts = page.layout.lines.start_L.tolist()
        ends = page.layout.lines.end_L.tolist()
        assert lines == [text[a:b] for a, b in zip(starts, ends, strict=True)]


def test_boxes_are_those_of_the_layout(tmp_path: Path) -> None:
    run, kept, pages = make_run(tmp_path, SENTENCE * 30 + "\n\nשלום עולם\nend", columns=2)
    for place, page in zip(places_of(report_of(run, kept)), pages, strict=True):
        boxes = [Box(*place["lines"][i : i + 4]) for i in range(0, len(place["lines"]), 4)]
        lines = page.layout.lines
        assert len(boxes) == len(lines.start_L)
        for box, start, end in zip(boxes, lines.start_L, lines.end_L, strict=True):
            assert [box] == page.layout.boxes(int(start), int(end))
            assert 0 <= box.left_px <= box.right_px <= page.width_px
            assert 0 <= box.top_px < box.bottom_px <= page.height_px


def test_pictures_in_the_report_are_the_pages(tmp_path: Path) -> None:
    run, kept, pages = make_run(tmp_path, SENTENCE * 200)
    found = re.findall(
        r'<img width="(\d+)" height="(\d+)"[^>]*src="data:image/png;base64,([^"]+)"',
        report_of(run, kept),
    )
    assert len(found) == len(pages) > 1
    for (width, height, data), page in zip(found, pages, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.size == (int(width), int(height)) == (page.width_px, page.height_px)
            gray_HW = np.asarray(image.convert("L")).astype(int)
        assert np.abs(gray_HW - page.gray()).max() <= 9


def test_a_report_is_bounded_and_says_what_is_left_out(tmp_path: Path) -> None:
    run, kept, pages = make_run(tmp_path, SENTENCE * 1_000, limit=3)
    report = report_of(run, kept)
    assert len(pages) > 3
    assert report.count("<article ") == 3
    assert f"3 of {len(pages)} pages are in this report (pages 1 to 3)." in report
    assert "pages are in this report" not in report_of(*make_run(tmp_path, SENTENCE)[:2])


def test_prices_of_all_models_stand_in_the_table(tmp_path: Path) -> None:
    run, kept, _ = make_run(tmp_path, SENTENCE * 400)
    report = report_of(run, kept)
    for cost in run.costs:
        row = re.search(rf'<th scope="row">{re.escape(cost.model)}</th>(.*?)</tr>', report)
        assert row
        assert f">{cost.text_tokens:,}<" in row[1]
        assert f">{cost.visual_tokens:,}<" in row[1]
        assert f"<td>{cost.ratio:.2f}<" in row[1]
        assert ("resampled" in row[1]) == cost.resampled


def test_config_notes_warnings_and_missing_characters_are_told(tmp_path: Path) -> None:
    run, kept, _ = make_run(tmp_path, f"{SENTENCE}\r\n\ue000\ue000 end", dpi=96)
    report = report_of(run, kept)
    field = '<div class="changed" title="pixels per inch"><dt>dpi</dt><dd>96 dpi</dd></div>'
    assert field in report
    assert "<li>1 CRLF or CR line end read as a line feed</li>" in report
    assert "U+E000 (2)." in report
    assert run.costs[2].warnings
    for warning in run.costs[2].warnings:
        assert f"<li>{html.escape(warning)}</li>" in report
    assert run.config.digest in report


def test_answers_are_shown_with_their_places(tmp_path: Path) -> None:
    run, kept, pages = make_run(tmp_path, SENTENCE * 300, limit=2)
    boxes = tuple(pages[1].layout.boxes(pages[1].start, pages[1].start + 10))
    answers = [
        ReportAnswer("Who <b>?", "The teacher & co", "ocr", 2, boxes),
        ReportAnswer("Where?", "Elsewhere", "ocr", 3),
        ReportAnswer("Why?", "Unknown", "openai:x"),
    ]
    report = report_of(run, kept, answers)
    assert "Who &lt;b&gt;?" in report
    assert "The teacher &amp; co" in report
    assert 'ocr, <a href="#page-2">page 2</a>' in report
    assert "ocr, page 3<" in report
    first, second = places_of(report)
    (box,) = boxes
    assert first["answers"] == []
    assert second["answers"] == [box.left_px, box.top_px, box.right_px, box.bottom_px]


def test_nothing_in_a_text_or_a_name_gets_out_of_its_place(tmp_path: Path) -> None:
    run, kept, _ = make_run(tmp_path, EVIL * 3, name=f"{EVIL} caf\udce9.txt")
    answers = [ReportAnswer(EVIL, EVIL, EVIL, 1, ())]
    report = report_of(run, kept, answers)
    plain = report_of(*make_run(tmp_path, SENTENCE)[:2], [ReportAnswer("a", "b", "c", 1, ())])
    report.encode()
    for mark in ("<script", "</script", "<style", "<dialog", "<!--", "<img"):
        assert report.count(mark) == plain.count(mark), mark
    assert "{{policy}} {{title}}" in html.unescape(report)


def test_only_the_script_and_the_style_of_the_report_may_run(tmp_path: Path) -> None:
    report = report_of(*make_run(tmp_path, SENTENCE)[:2])
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', report)
    assert policy
    for kind in ("style", "script"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", report, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy[1]
    assert policy[1].startswith("default-src 'none'; img-src data:;")


def test_a_report_names_no_place_outside_itself(tmp_path: Path) -> None:
    report = report_of(*make_run(tmp_path, SENTENCE)[:2])
    targets = re.findall(r'(?:src|href)="([^"]*)"', report)
    assert all(target.startswith(("data:", "#")) for target in targets)
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest", report)


# -- in a browser ----------------------------------------------------------------------------


def dom_of(path: Path, profile: Path, fragment: str = "") -> str:
    """Return the page as a browser without a window has it after its script has run."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={profile}", "--dump-dom",
        path.as_uri() + fragment,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    if not done.stdout:
        pytest.skip("chromium does not start here")
    return done.stdout.decode()


def test_a_link_to_a_line_marks_it_on_the_page_and_in_the_text(tmp_path: Path) -> None:
    run, kept, pages = make_run(tmp_path, SENTENCE * 300)
    path = tmp_path / "report.html"
    path.write_text(report_of(run, kept), "utf-8")
    dom = dom_of(path, tmp_path / "profile", "#page-2-line-5")
    (marked,) = re.findall(r'<span class="on">(.*?)</span>', dom, re.DOTALL)
    lines = pages[1].layout.lines
    start, end = int(lines.start_L[4]), int(lines.end_L[4])
    assert marked == run.document.text[start:end]
    (style,) = re.findall(r'<span class="box on" style="([^"]*)"', dom)
    (box,) = pages[1].layout.boxes(start, end)
    sides = {key: float(value) for key, value in re.findall(r"(\w+): ([\d.]+)%", style)}
    assert sides["left"] == pytest.approx(100 * box.left_px / pages[1].width_px, abs=0.01)
    assert sides["top"] == pytest.approx(100 * box.top_px / pages[1].height_px, abs=0.01)
    width_px, height_px = box.right_px - box.left_px, box.bottom_px - box.top_px
    assert sides["width"] == pytest.approx(100 * width_px / pages[1].width_px, abs=0.01)
    assert sides["height"] == pytest.approx(100 * height_px / pages[1].height_px, abs=0.01)
    assert dom.count('aria-label="Page ') == len(pages)


def test_a_hostile_text_does_not_run_in_a_browser(tmp_path: Path) -> None:
    run, kept, _ = make_run(tmp_path, EVIL * 3, name=EVIL)
    path = tmp_path / "report.html"
    path.write_text(report_of(run, kept, [ReportAnswer(EVIL, EVIL, EVIL)]), "utf-8")
    dom = dom_of(path, tmp_path / "profile", "#page-1-line-1")
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert title
    assert title[1].endswith(" - Glyph report")
    assert '<span class="on">&lt;/script&gt;' in dom
