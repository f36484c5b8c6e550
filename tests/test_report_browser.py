"""The report under a real pointer: page to text, text to page, thumbnails, zoom."""

from collections.abc import Iterator

import pytest

from browser import Tab, browser
from glyph.api import save
from glyph.documents import document_from_text
from glyph.pages import Page
from glyph.report import ReportPages, report_of

TEXT = "".join(f"Line {i} tells of a quiet teacher and a letter.\n" for i in range(400))


@pytest.fixture(scope="module")
def pages() -> list[Page]:
    return []


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory, pages: list[Page]) -> Iterator[Tab]:
    folder, kept = tmp_path_factory.mktemp("report"), ReportPages()

    def on_page(page: Page) -> None:
        kept.add(page)
        pages.append(page)

    document = document_from_text(TEXT, unwrap=False)
    run = save(document, folder / "run", models=("glm-4.1v", "gpt-5.4"), on_page=on_page)
    path = folder / "report.html"
    path.write_text(report_of(run, kept), "utf-8")
    with browser(folder / "profile") as found:
        found.open(path)
        yield found


def marked_text(tab: Tab) -> list[str]:
    return tab.value("[...document.querySelectorAll('.lines .on')].map(e => e.textContent)")


def marked_box(tab: Tab) -> list[float]:
    """Return the marked box of the page, in pixels of the page."""
    return tab.value(
        "(() => { const box = document.querySelector('.sheet .box.on');"
        "const image = box.parentNode.querySelector('img');"
        "const a = box.getBoundingClientRect(), b = image.getBoundingClientRect();"
        "const k = Number(image.getAttribute('width')) / b.width;"
        "return [(a.left - b.left) * k, (a.top - b.top) * k]; })()"
    )


def test_pointing_at_a_page_marks_the_text(tab: Tab, pages: list[Page]) -> None:
    lines = pages[0].layout.lines
    tab.middle_of("document.querySelector('#page-1 .sheet')")
    left, top, scale = tab.value(
        "(() => { const i = document.querySelector('#page-1 .sheet img');"
        "const r = i.getBoundingClientRect();"
        "return [r.left, r.top, r.width / Number(i.getAttribute('width'))]; })()"
    )
    for line in (7, 40):
        middle = (int(lines.top_L[line]) + int(lines.bottom_L[line])) / 2
        tab.move(left + 40 * scale, top + middle * scale)
        assert marked_text(tab) == [f"Line {line} tells of a quiet teacher and a letter.\n"]
    tab.move(2, 2)
    assert marked_text(tab) == []


def test_pointing_at_the_text_marks_the_page(tab: Tab, pages: list[Page]) -> None:
    lines = pages[0].layout.lines
    x, y = tab.middle_of("document.querySelectorAll('#page-1 .lines > span')[9]")
    tab.move(x, y - 4)
    assert marked_text(tab) == ["Line 9 tells of a quiet teacher and a letter.\n"]
    assert marked_box(tab) == pytest.approx(
        [int(lines.left64_L[9]) / 64, int(lines.top_L[9])], abs=1.5
    )


def test_every_page_has_a_thumbnail_that_leads_to_it(tab: Tab, pages: list[Page]) -> None:
    assert tab.value("document.querySelectorAll('#strip a img').length") == len(pages) > 2
    tab.click(*tab.middle_of("document.querySelectorAll('#strip a')[2]"))
    assert tab.value("location.hash") == "#page-3"
    top = tab.value("document.querySelector('#page-3').getBoundingClientRect().top")
    assert 0 <= top < 200


def test_a_click_enlarges_a_page_and_there_too_lines_lead_to_text(
    tab: Tab, pages: list[Page]
) -> None:
    tab.click(*tab.middle_of("document.querySelector('#page-1 .sheet')"))
    assert tab.value("document.getElementById('zoom').open")
    before = tab.value("document.getElementById('zoom-image').getBoundingClientRect().width")
    tab.click(*tab.middle_of("document.getElementById('zoom-in')"))
    after = tab.value("document.getElementById('zoom-image').getBoundingClientRect().width")
    assert after > before > pages[0].width_px
    left, top, scale = tab.value(
        "(() => { document.querySelector('.stage').scrollTo(0, 0);"
        "const i = document.getElementById('zoom-image'), r = i.getBoundingClientRect();"
        "return [r.left, r.top, r.width / Number(i.getAttribute('width'))]; })()"
    )
    tab.move(left + 40 * scale, top + 19 * scale)
    assert tab.value("document.getElementById('zoom-text').textContent").startswith("Line 0 tells")
    tab.click(*tab.middle_of("document.getElementById('zoom-next')"))
    assert tab.value("document.getElementById('zoom-title').textContent") == "Page 2"
    tab.click(*tab.middle_of("document.getElementById('zoom-close')"))
    assert not tab.value("document.getElementById('zoom').open")
