"""The playground in a real browser, behind a token: drop, point, slide, ask, and go by keyboard.

Screenshots go to the folder of env GLYPH_ARTEFACTS.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("gradio", reason="the extra [ui] is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import sync_playwright
from servers import running

from glyph import api
from glyph.documents import document_from_text
from glyph.intake import open_document
from glyph.pages import PageLayout
from glyph.readers import open_reader
from glyph.render import render_pages
from glyph.serve.cache import PageCache
from glyph.serve.gateway import Gateway, make_app
from glyph.serve.guard import Guard
from glyph.serve.local import ReaderUpstream
from glyph.serve.metrics import Metrics
from glyph.serve.playground import mount
from glyph.serve.upstream import Route, Router

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
TOKEN = "0123456789abcdef0123"
WAIT_MS = 240_000
TEXT = "".join(
    f"Shelf {i} holds {3 * i + 1} jars of quince and the letter of a quiet teacher.\n\n"
    for i in range(260)
)
TEXT += "The value of brass-owl is 4417032.\n"


@dataclass
class Shown:
    """The page in the browser, and what it should show."""

    tab: Any
    layouts: list[PageLayout]
    text: str
    artefacts: Path
    urls: list[str] = field(default_factory=lambda: list[str]())
    faults: list[str] = field(default_factory=lambda: list[str]())

    def shoot(self, name: str) -> None:
        self.tab.screenshot(path=str(self.artefacts / f"playground-{name}.png"))

    def wait(self, script: str, arg: Any = None) -> None:
        self.tab.wait_for_function(script, arg=arg, timeout=WAIT_MS)

    def word(self, words: str) -> tuple[int, int]:
        start = self.text.index(words)
        return start, start + len(words)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    folder = tmp_path_factory.mktemp("playground")
    artefacts = Path(os.environ.get("GLYPH_ARTEFACTS", folder))
    artefacts.mkdir(parents=True, exist_ok=True)
    (folder / "shelves.txt").write_text(TEXT)
    document = open_document(folder / "shelves.txt")
    layouts = list(render_pages(document, api.make_config()).layouts())
    router = Router((Route("*", ReaderUpstream(open_reader("nano"))),))
    with ThreadPoolExecutor(1) as pool, sync_playwright() as driver:
        gateway = Gateway(
            router=router,
            cache=PageCache(None, executor=pool),
            guard=Guard("127.0.0.1", TOKEN),
            metrics=Metrics(log=False),
        )
        app = make_app(gateway, playground=lambda inner: mount(inner, gateway))
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with running(app) as url:
            tab = browser.new_page(viewport={"width": 1400, "height": 1000})
            tab.set_default_timeout(WAIT_MS)
            found = Shown(tab, layouts, document.text, artefacts)
            tab.on("request", lambda request: found.urls.append(request.url))
            tab.on("pageerror", lambda error: found.faults.append(str(error)))
            tab.goto(f"{url}/?token={TOKEN}", wait_until="domcontentloaded")
            tab.wait_for_selector(".gv-sheet img")
            tab.set_input_files("#file input[type=file]", str(folder / "shelves.txt"))
            found.wait("() => document.querySelector('.gv-title').textContent === 'shelves.txt'")
            found.wait("() => { const i = document.querySelector('.gv-sheet img');"
                       "return i && i.complete && i.naturalWidth > 0; }")  # fmt: skip
            found.wait("() => glyphViewer.held(0) && glyphViewer.held(0).node")
            yield found
            browser.close()


def sheet_at(shown: Shown, number: int) -> tuple[float, float, float]:
    """Return left, top and scale of a page on the screen."""
    box = shown.tab.locator(f".gv-sheet[data-page='{number + 1}']").bounding_box()
    return box["x"], box["y"], box["width"] / shown.layouts[number].width_px


def marks(shown: Shown, pane: str) -> list[str]:
    return [
        mark.get_attribute("data-text") for mark in shown.tab.locator(f".gv-{pane} .gv-on").all()
    ]


def test_a_dropped_file_is_pages_as_the_renderer_makes_them(shown: Shown) -> None:
    sizes = shown.tab.evaluate(
        "() => [...document.querySelectorAll('.gv-sheet')].length + ' ' +"
        "document.querySelector('.gv-sheet img').naturalWidth + 'x' +"
        "document.querySelector('.gv-sheet img').naturalHeight"
    )
    first = shown.layouts[0]
    assert sizes == f"{len(shown.layouts)} {first.width_px}x{first.height_px}"
    assert len(shown.layouts) > 2
    shown.wait("() => document.querySelector('#glyph-ratio')")
    shown.shoot("pages")


def test_pointing_at_a_page_marks_the_word_in_the_text(shown: Shown) -> None:
    start, end = shown.word("Shelf 12 holds")
    (box,) = shown.layouts[0].boxes(start + 9, end)
    left, top, scale = sheet_at(shown, 0)
    x = left + scale * (box.left_px + box.right_px) / 2
    shown.tab.mouse.move(x, top + scale * (box.top_px + box.bottom_px) / 2)
    assert marks(shown, "text") == ["holds"] == marks(shown, "pages")
    under = shown.tab.evaluate(
        "() => { const r = document.querySelector('.gv-text .gv-on').getBoundingClientRect();"
        "const at = document.caretPositionFromPoint(r.left + r.width / 2, r.top + r.height / 2);"
        "return at.offsetNode.data.slice(at.offset - 12, at.offset + 3); }"
    )
    assert "Shelf 12 hol" in under
    shown.tab.mouse.move(2, 2)
    assert marks(shown, "text") == []


def test_pointing_at_the_text_marks_the_word_on_the_page(shown: Shown) -> None:
    start, _ = shown.word("Shelf 7 holds 22 jars")
    (box,) = shown.layouts[0].boxes(start + 17, start + 21)
    x, y = shown.tab.evaluate(
        "([start, end]) => { const range = document.createRange();"
        "const node = glyphViewer.held(0).node; document.querySelector('.gv-text').scrollTop = 0;"
        "range.setStart(node, start); range.setEnd(node, end);"
        "const r = range.getBoundingClientRect();"
        "return [r.left + r.width / 2, r.top + r.height / 2]; }",
        [start + 17, start + 21],
    )
    shown.tab.mouse.move(x, y)
    assert marks(shown, "pages") == ["jars"]
    left, top, scale = sheet_at(shown, 0)
    at = shown.tab.locator(".gv-pages .gv-on").bounding_box()
    assert [(at["x"] - left) / scale, (at["y"] - top) / scale] == pytest.approx(
        [box.left_px, box.top_px], abs=1.5
    )
    shown.shoot("hover")
    shown.tab.mouse.move(2, 2)


def test_a_far_page_is_fetched_when_words_of_it_are_looked_for(shown: Shown) -> None:
    shown.tab.fill(".gv-find", "brass-owl")
    shown.wait("() => document.querySelector('.gv-pages .gv-pin')")
    last = len(shown.layouts)
    assert shown.tab.locator(f".gv-sheet[data-page='{last}'] .gv-pin").count() == 1
    assert shown.tab.inner_text(".gv-found") == "1 of 1"
    shown.wait(
        "() => ['text', 'pages'].every((name) => {"
        "const pane = document.querySelector('.gv-' + name), pin = pane.querySelector('.gv-pin');"
        "if (!pin) { return false; }"
        "const a = pane.getBoundingClientRect(), b = pin.getBoundingClientRect();"
        "return a.top <= b.top && b.bottom <= a.bottom; })"
    )
    shown.tab.fill(".gv-find", "")
    shown.wait("() => !document.querySelector('.gv-pin')")


def test_arrow_keys_go_from_word_to_word_and_plus_enlarges(shown: Shown) -> None:
    shown.tab.evaluate("() => glyphViewer.scrollToPage(0)")
    shown.tab.focus(".gv-pages")
    shown.tab.keyboard.press("Home")
    for said in ("Shelf", "0", "holds"):
        shown.wait("said => document.querySelector('.gv-status').textContent === said",
                   f"Page 1: {said}")  # fmt: skip
        shown.tab.keyboard.press("ArrowRight")
    shown.wait("() => document.querySelector('.gv-status').textContent === 'Page 1: 1'")
    shown.tab.keyboard.press("PageDown")
    shown.wait("() => document.querySelector('.gv-status').textContent.startsWith('Page 2: ')")
    before = shown.tab.evaluate("() => document.querySelector('.gv-sheet').clientWidth")
    shown.tab.keyboard.press("+")
    shown.wait("was => document.querySelector('.gv-sheet').clientWidth > was", before)
    shown.tab.keyboard.press("0")
    shown.tab.keyboard.press("Escape")
    assert marks(shown, "pages") == []


def test_a_price_typed_in_becomes_money(shown: Shown) -> None:
    row = shown.tab.locator("tr[data-model='glm-4.1v']")
    row.locator(".gl-price").fill("2")
    tokens = int(row.get_attribute("data-text"))
    assert row.locator("[data-of=text]").inner_text() == f"${tokens * 2 / 1e6:.4f}"


def test_a_slider_moves_the_ratio_to_what_measure_says(shown: Shown) -> None:
    before = shown.tab.inner_text("#glyph-ratio")
    slider = shown.tab.locator("#font_size_pt input[type=range]")
    slider.focus()
    for _ in range(6):
        slider.press("ArrowRight")
    shown.wait("was => document.querySelector('#glyph-ratio').textContent !== was", before)
    document = document_from_text(shown.text, unwrap=False)
    measured = api.measure(document, models=["glm-4.1v"], font_size_pt=12.0, line_height_pt=12.0)
    wanted = f"{measured.costs[0].ratio:.2f}x"
    shown.wait("said => document.querySelector('#glyph-ratio').textContent === said", wanted)
    assert float(wanted[:-1]) < float(before[:-1])


def test_no_pane_is_blank_while_the_pages_of_a_moved_slider_come(shown: Shown) -> None:
    held_back = re.compile(r"/playground/views/[^/]+/pages/")
    shown.tab.route(held_back, lambda route: (time.sleep(0.3), route.continue_()))
    shown.tab.evaluate(
        "() => { window.panes = [];"
        "new MutationObserver(() => window.panes.push(["
        "  document.querySelector('.gv-text').textContent.length,"
        "  [...document.querySelectorAll('.gv-sheet img')].filter((i) => i.naturalWidth).length]))"
        ".observe(document.querySelector('.gv-panes'), { childList: true, subtree: true }); }"
    )
    before = shown.tab.get_attribute("#glyph-viewer", "data-view")
    shown.tab.locator("#font_size_pt input[type=range]").focus()
    shown.tab.keyboard.press("ArrowLeft")
    shown.wait("(b) => document.querySelector('#glyph-viewer').dataset.view !== b", before)
    shown.wait("() => glyphViewer.held(0) && glyphViewer.held(0).node")
    shown.tab.unroute(held_back)
    panes = shown.tab.evaluate("() => window.panes")
    assert panes, "the slider drew no new pages"
    assert all(num_chars > 0 and num_images > 0 for num_chars, num_images in panes)


def test_the_bundled_reader_answers_from_pages_and_from_text(shown: Shown) -> None:
    shown.tab.get_by_role("tab", name="Ask").click()
    shown.tab.fill("#question input, #question textarea", "What is the value of brass-owl?")
    shown.tab.press("#question input, #question textarea", "Enter")
    shown.wait("() => document.querySelectorAll('.gl-card dl').length === 3")
    pages = shown.tab.locator("[data-lane=pages]")
    assert pages.locator(".gl-answer").inner_text() == "4417032"
    assert re.search(r"first token\s*\d+\.\d\d s", pages.inner_text())
    pages.locator(".gl-place").click()
    shown.wait("() => document.querySelector('.gv-pages .gv-pin')")
    shown.shoot("answers")


def test_needles_are_asked_for_and_hits_are_counted(shown: Shown) -> None:
    shown.tab.get_by_role("tab", name="Self-test").click()
    shown.tab.get_by_role("button", name="Test", exact=True).click()
    shown.wait("() => /of 5$/.test(document.querySelector('#glyph-hits')?.textContent || '')")
    told = shown.tab.locator("#needles tbody td:nth-child(5)").all_inner_texts()
    assert len(told) == 5 and set(told) <= {"hit", "miss"}
    assert shown.tab.inner_text("#glyph-hits") == f"{told.count('hit')} of 5"
    assert told.count("hit") >= 4


@pytest.mark.parametrize(
    ("name", "magic"), [("pages.zip", b"PK"), ("pages.pdf", b"%PDF"), ("preset.toml", b"desc")]
)
def test_pages_and_theta_can_be_taken_along(shown: Shown, name: str, magic: bytes) -> None:
    shown.tab.get_by_role("tab", name="Export").click()
    with shown.tab.expect_download(timeout=WAIT_MS) as waited:
        shown.tab.click(f"#exports a[href$='/{name}']")
    assert Path(waited.value.path()).read_bytes().startswith(magic)


def test_what_passes_the_gateway_shows_in_the_traffic(shown: Shown) -> None:
    parts = [{"type": "text", "text": each} for each in (TEXT, "What is the value of brass-owl?")]
    asked = {"model": "glm-4.1v", "messages": [{"role": "user", "content": parts}]}
    url, _, _ = shown.tab.url.partition("?")
    reply = shown.tab.request.post(
        f"{url}v1/chat/completions", data=asked, headers={"x-glyph-token": TOKEN}, timeout=WAIT_MS
    )
    assert reply.headers["x-glyph-action"] == "compressed"
    shown.tab.get_by_role("tab", name="Traffic").click()
    shown.wait("() => document.querySelector('#traffic td')")
    row = shown.tab.locator("#traffic tbody tr").first.inner_text()
    assert "compressed" in row and reply.headers["x-glyph-page-tokens"] in row.replace(",", "")


def test_it_is_whole_in_the_dark_and_on_a_narrow_screen(shown: Shown) -> None:
    shown.tab.emulate_media(color_scheme="dark")
    shown.tab.set_viewport_size({"width": 420, "height": 900})
    shown.tab.evaluate("() => document.body.classList.add('dark')")
    shown.tab.evaluate("() => document.getElementById('glyph-viewer').scrollIntoView()")
    wide = shown.tab.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 420
    colors = shown.tab.evaluate(
        "() => { const style = getComputedStyle(document.getElementById('glyph-viewer'));"
        "return [style.color, style.backgroundColor].map(c => c.match(/\\d+/g).slice(0, 3)"
        ".reduce((sum, each) => sum + Number(each), 0)); }"
    )
    assert colors[0] > 500 > 200 > colors[1]
    shown.shoot("dark-narrow")


def test_no_request_left_this_machine_and_nothing_broke(shown: Shown) -> None:
    hosts = {urlsplit(url).hostname for url in shown.urls if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    assert shown.faults == []
    assert len(shown.urls) > 20
