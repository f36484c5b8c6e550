"""What the playground is made of, without a browser."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the extra [ui] is not installed")

import gradio as gr
from hypothesis import given
from hypothesis import strategies as st
from servers import Upstream, running
from starlette.applications import Starlette
from starlette.testclient import TestClient

from glyph import api
from glyph.config import RenderConfig
from glyph.documents import document_from_text
from glyph.encode import encode_png
from glyph.errors import ConfigError, DocumentError
from glyph.presets import load_preset, preset_names
from glyph.render import render_pages
from glyph.serve.playground import exports, looks, needles, runs
from glyph.serve.playground.asking import Asking, Lane, cards
from glyph.serve.playground.desk import MAX_CHARS, Desk, Shelf, View, units_before
from glyph.serve.playground.lectern import Lectern, Who, truncated
from glyph.serve.playground.meter import Meter, warnings
from glyph.serve.playground.routes import routes
from glyph.serve.playground.studio import AUTO, Studio
from glyph.serve.upstream import parse_routes
from glyph.text_tokens import count_text_tokens

TEXT = "".join(
    f"Entry {i} tells of a quiet 😀 teacher, 中文字 and letter {i}.\n" for i in range(400)
)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def view(desk: Desk) -> View:
    return desk.lay_out(document_from_text(TEXT, unwrap=False), api.make_config())


@pytest.fixture(scope="module")
def client(desk: Desk) -> TestClient:
    return TestClient(Starlette(routes=routes(desk)))


# -- the desk --------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30)), max_size=60))
def test_a_shelf_never_weighs_more_than_its_limit_or_its_newest(
    puts: list[tuple[int, int]],
) -> None:
    shelf: Shelf[int] = Shelf(limit=50, count=6)
    for key, weight in puts:
        shelf.put(key, weight, weight)
        assert shelf.weight <= max(50, weight)
        assert shelf.get(key) == weight
    assert sum(shelf.get(key) is not None for key in range(21)) <= 6


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_offsets_count_utf_16_units_as_browsers_do(text: str) -> None:
    units = units_before(text).tolist()
    assert units == [len(text[:i].encode("utf-16-le")) // 2 for i in range(len(text) + 1)]


def test_words_of_a_page_lead_to_its_text_and_to_boxes_where_the_layout_has_them(
    view: View,
) -> None:
    layout, text = view.layouts[1], view.text_of(1)
    wide = text.encode("utf-16-le")
    flat = view.words_of(1)
    words = [flat[i : i + 6] for i in range(0, len(flat), 6)]
    said = [wide[2 * start : 2 * end].decode("utf-16-le") for start, end, *_ in words]
    assert "".join(said) == "".join(text.split())
    assert said.count("中") == text.count("中")
    for (_, _, left, top, right, bottom), word in zip(words, said, strict=True):
        at = layout.char_at((left + right) / 2, (top + bottom) / 2)
        assert at is not None
        assert view.document.text[at] in word


def test_places_lead_over_a_page_break_and_find_sees_no_case_and_no_blanks(view: View) -> None:
    edge = view.layouts[0].end
    first, second = view.places_of(edge - 5, edge + 5)
    assert (first.page, second.page, second.start, second.end) == (0, 1, 0, 5)
    found = view.find("entry   311 TELLS")
    assert len(found) == 1
    start = TEXT.index("Entry 311 tells")
    assert found == view.places_of(start, start + len("Entry 311 tells"))
    assert view.find("  ") == []


def test_a_text_beyond_the_limit_is_refused_with_what_takes_it(desk: Desk) -> None:
    with pytest.raises(DocumentError, match="the playground takes 5,000,000"):
        desk.take(document_from_text("a b " * (MAX_CHARS // 4 + 1), unwrap=False))


# -- routes ----------------------------------------------------------------------------------


def test_pages_come_as_the_png_that_the_renderer_makes(client: TestClient, view: View) -> None:
    pages = list(render_pages(view.document, view.config))
    outline = client.get(f"/playground/views/{view.name}").json()
    assert [page[:2] for page in outline["pages"]] == [[p.width_px, p.height_px] for p in pages]
    reply = client.get(f"/playground/views/{view.name}/pages/2.png")
    assert reply.content == encode_png(pages[1])
    assert "immutable" in reply.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "views/guess", "views/guess/pages/1.png", "views/VIEW/pages/0.png",
        "views/VIEW/pages/999.png",
        "static/__init__.py", "static/..%2Fdesk.py", "static/viewer.js%00",
    ],
)  # fmt: skip
def test_nothing_else_is_there(client: TestClient, view: View, path: str) -> None:
    assert client.get("/playground/" + path.replace("VIEW", view.name)).status_code == 404


def test_names_of_views_are_long_and_never_come_twice(desk: Desk) -> None:
    document = document_from_text("a few words")
    names = {desk.lay_out(document, RenderConfig()).name for _ in range(20)}
    assert len(names) == 20
    assert min(map(len, names)) >= 24


@pytest.mark.parametrize("wire", exports.WIRES)
def test_the_request_holds_every_page_and_the_question(
    client: TestClient, view: View, wire: str
) -> None:
    query = {"wire": wire, "model": "m", "q": "Who teaches?"}
    reply = client.get(f"/playground/views/{view.name}/request.json", params=query)
    asked = json.loads(reply.content)
    content = (asked.get("messages") or asked["input"])[0]["content"]
    assert len(content) == len(view.layouts) + 2
    assert "Who teaches?" in content[-1]["text"]
    assert asked["model"] == "m"


def test_a_name_of_a_file_cannot_break_out_of_its_header(desk: Desk, client: TestClient) -> None:
    document = document_from_text("a few words", name='x"\r\nset-cookie: a=b/ü.txt')
    name = desk.lay_out(document, RenderConfig()).name
    reply = client.get(f"/playground/views/{name}/pages.pdf")
    assert reply.content.startswith(b"%PDF-")
    assert "set-cookie" not in reply.headers


# -- theta -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", preset_names())
def test_controls_that_nobody_moved_change_no_preset(name: str) -> None:
    config = load_preset(name)
    assert looks.config_of(config, looks.values_of(config)) == config


def test_a_moved_control_changes_its_field_and_no_other() -> None:
    config = api.make_config()
    values = looks.values_of(config)
    values[looks.FIELDS.index("font_size_pt")] = 11.0
    values[looks.FIELDS.index("font_color")] = "rgba(10, 20, 30, 1)"
    assert looks.config_of(config, values) == config.replace(
        font_size_pt=11.0, line_height_pt=11.0, font_color="#0A141E"
    )


def test_what_cannot_be_read_is_warned_of(desk: Desk) -> None:
    document = document_from_text("plain words and \U000f0000 a sign of nobody", unwrap=False)
    view = desk.lay_out(document, api.make_config(font_size_pt=4, line_height_pt=5))
    (cost,) = Meter().costs(view, ["qwen3-vl"])
    told = warnings(view, cost)
    assert "U+F0000" in told
    assert "below 7 px" in told
    assert "resample" in told.lower()


# -- asking ----------------------------------------------------------------------------------


@given(st.integers(1, 60))
def test_a_truncated_text_keeps_to_its_tokens_and_wastes_few(limit: int) -> None:
    part = truncated(TEXT, limit, "cl100k_base")
    assert TEXT.startswith(part)
    assert count_text_tokens(part, "cl100k_base") <= limit
    assert count_text_tokens(TEXT[: len(part) + 14], "cl100k_base") >= limit - 12


@given(st.integers(1, 12), st.integers(0, 9))
def test_needles_stand_in_the_text_where_they_say_and_leave_the_rest(count: int, seed: int) -> None:
    document = document_from_text(TEXT, unwrap=False)
    test = needles.plant(document, count, seed)
    rest = test.document.text
    for needle in test.needles:
        end = needle.offset + len(needle.sentence)
        assert test.document.text[needle.offset : end] == needle.sentence
        rest = rest.replace(needle.sentence, "")
    assert "".join(rest.split()) == "".join(TEXT.split())


def test_pages_and_text_answer_and_a_text_cut_short_does_not() -> None:
    text = "".join(f"Order {i} went to the keeper of light {7 * i}.\n" for i in range(1, 90))
    text += "The value of brass-owl is 4417032.\n"
    view = Desk().lay_out(document_from_text(text, unwrap=False), load_preset("nano"))
    (cost,) = Meter().costs(view, ["glm-4.1v"])
    lectern = Lectern(parse_routes(["http://127.0.0.1:9"]))
    asked = Asking(view, cost, "What is the value of brass-owl?", Who("nano"), 8)
    lanes = [Lane("pages"), Lane("text"), Lane("truncated text")]
    assert len(list(asked.run(lectern, lanes))) >= 6
    assert [lane.error for lane in lanes] == ["", "", ""]
    assert (lanes[0].text, "4417032" in lanes[1].text) == ("4417032", True)
    assert "4417032" not in lanes[2].text
    start = text.index("4417032")
    (place,) = view.places_of(start, start + 7)
    assert any(p.page == place.page and p.start <= place.start < p.end for p in lanes[0].places)
    assert lanes[0].tokens[0]


def test_an_upstream_is_asked_once_and_what_went_wrong_is_told_without_the_key() -> None:
    upstream = Upstream()
    view = Desk().lay_out(document_from_text(TEXT, unwrap=False), api.make_config())
    (cost,) = Meter().costs(view, ["glm-4.1v"])
    with running(upstream.app) as url:
        lectern = Lectern(parse_routes([url]))
        assert lectern.names == ["nano", "ocr", "upstream"]
        lanes = {
            model: Lane("pages") for model in ("", "glm-4.1v@@echo", "glm-4.1v@@status-401")
        }  # fmt: skip
        for model, lane in lanes.items():
            who = Who("upstream", model, "k-secret")
            list(Asking(view, cost, "Why?", who, 2).run(lectern, [lane]))
    unnamed, answered, refused = lanes.values()
    assert "name the model" in unnamed.error
    assert "cut off after" in answered.error
    assert answered.text == "one two thrée"
    assert "one two thrée" in cards([answered], view)
    assert answered.first_s is not None
    assert upstream.headers[0]["authorization"] == "Bearer k-secret"
    assert json.dumps(json.loads(upstream.bodies[0])).count("image/png") == 2
    assert "401" in refused.error
    assert "k-secret" not in refused.error


# -- runs ------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = tmp_path / "book"
    run.mkdir()
    front = [
        {"accuracy": a, "accuracy_low": a - 0.1, "accuracy_high": a, "ratio": r, "reason": "<b>",
         "config": load_preset("aligned-28").to_dict() | {"font_size_pt": s}}
        for a, r, s in ((0.9, 3.5, 8.0), (1.0, 2.5, 9.0))
    ]  # fmt: skip
    (run / "front.json").write_text(json.dumps({"front": front, "provenance": {"reader": "ocr"}}))
    return tmp_path


def test_a_front_becomes_a_chart_of_points_that_carry_their_theta(folder: Path) -> None:
    assert runs.run_names(folder) == ["book"]
    run = runs.load_run(folder, "book")
    assert [each.config.font_size_pt for each in run.front] == [9.0, 8.0]
    svg = runs.chart(run)
    assert svg.count("data-point=") == 2
    assert "<b>" not in svg


@pytest.mark.parametrize("name", ["..", "../book", "/etc", "book/../book", ""])
def test_a_browser_names_no_path(folder: Path, name: str) -> None:
    (folder / "front.json").unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="there is no run"):
        runs.load_run(folder / "book", name)


def test_a_front_that_is_none_is_said(folder: Path) -> None:
    (folder / "book" / "front.json").write_text('{"front": [{"accuracy": 1}]}')
    with pytest.raises(ConfigError, match="is no front"):
        runs.load_run(folder, "book")


# -- uploads ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["plain words", ""])
def test_an_upload_is_gone_when_it_was_read_and_other_files_stay(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    upload, other = tmp_path / "uploads" / "0a1b" / "note.txt", tmp_path / "note.txt"
    upload.parent.mkdir(parents=True)
    for path in (upload, other):
        path.write_text(text)
        with suppress(gr.Error):  # an empty text is refused, and goes away all the same
            Studio().open_file(str(path), AUTO, "glm-4.1v")
    assert not upload.parent.exists()
    assert other.read_text() == text
