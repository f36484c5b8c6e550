"""The contracts of the command line: what each verb writes, prints and exits with."""

import json
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import glyph
from command_line import SENTENCE, refusal, run, values
from glyph.presets import preset_names
from glyph.tokens import model_names


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    path = tmp_path / "letters.txt"
    path.write_text(SENTENCE * 300, "utf-8")
    return path


# -- render ----------------------------------------------------------------------------------


def test_render_writes_pages_and_a_manifest_and_tells_their_price(
    letters: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    told = values("render", letters, "-o", out)
    assert {"pages", "text_tokens", "visual_tokens", "ratio", "missing_glyphs", "seconds"} <= set(
        told
    )
    files = {path.name for path in out.iterdir()}
    assert files == {"manifest.json", *(f"page-{n + 1:05d}.png" for n in range(told["pages"]))}
    rendering = glyph.render(letters)
    assert told["pages"] == len(rendering.pages) > 1
    assert told["text_tokens"] == rendering.cost.text_tokens
    assert told["visual_tokens"] == rendering.cost.visual_tokens
    assert told["ratio"] == pytest.approx(told["text_tokens"] / told["visual_tokens"])
    assert told["missing_glyphs"] == 0
    assert told["seconds"] > 0
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert [page["file"] for page in manifest["pages"]] == sorted(files - {"manifest.json"})
    assert manifest["costs"][0]["visual_tokens"] == told["visual_tokens"]


def test_standard_input_is_read_as_a_file(letters: Path, tmp_path: Path) -> None:
    from_file = values("render", letters, "-o", tmp_path / "a")
    from_stdin = values("render", "-", "-o", tmp_path / "b", stdin=letters.read_bytes())
    assert from_file["pages"] == from_stdin["pages"]
    pages = [(tmp_path / name / "page-00001.png").read_bytes() for name in "ab"]
    assert pages[0] == pages[1]


def test_preset_settings_and_model_decide_the_pages(letters: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    told = values("render", letters, "-o", out, "--model", "Qwen/Qwen3-VL-8B-Instruct")
    assert (told["model"], told["preset"], told["resampled"]) == ("qwen3-vl", "aligned-32", False)
    options = ("--preset", "glyph-en-72", "--set", "dpi=96", "--set", "font_family=DejaVu Serif")
    told = values("render", letters, "-o", out, *options)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    config = manifest["config"]
    assert (manifest["preset"], config["dpi"], config["font_family"]) == (
        *("glyph-en-72", 96.0, "DejaVu Serif"),
    )
    assert told["config_digest"] == manifest["config_digest"]


@pytest.mark.parametrize("format", ["png", "webp", "pdf"])
def test_every_format_is_written(letters: Path, tmp_path: Path, format: str) -> None:
    out = tmp_path / "run"
    told = values("render", letters, "-o", out, "--format", format)
    assert told["format"] == format
    images = [path for path in out.iterdir() if path.name != "manifest.json"]
    assert told["num_bytes"] == sum(path.stat().st_size for path in images)
    if format == "pdf":
        assert [path.name for path in images] == ["document.pdf"]
    else:
        assert len(images) == told["pages"]
        with Image.open(out / f"page-00001.{format}") as image:
            assert image.format == format.upper()


def test_four_bit_pages_are_smaller(letters: Path, tmp_path: Path) -> None:
    whole = values("render", letters, "-o", tmp_path / "8")
    small = values("render", letters, "-o", tmp_path / "4", "--bits", "4")
    assert small["num_bytes"] < whole["num_bytes"]
    assert small["visual_tokens"] == whole["visual_tokens"]


def test_a_report_is_written_when_asked_for_and_leaves_with_the_next_run(
    letters: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    told = values("render", letters, "-o", out, "--html")
    report = Path(told["report"])
    assert report == out / "report.html"
    assert "letters.txt" in report.read_text("utf-8")
    assert values("render", letters, "-o", out)["report"] is None
    assert not report.exists()


def test_missing_glyphs_are_counted_and_named(tmp_path: Path) -> None:
    path = tmp_path / "rare.txt"
    path.write_text("plain \U0010fffd and \ue000\ue000", "utf-8")
    told = values("render", path, "-o", tmp_path / "run")
    assert told["missing_glyphs"] == 3
    assert told["missing"] == {"\U0010fffd": 1, "\ue000": 2}
    shown = run("render", path, "-o", tmp_path / "run").stdout
    assert "no font has U+E000 x2, U+10FFFD x1; shown as boxes." in " ".join(shown.split())


def test_wrapped_text_is_joined_or_left_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "wrapped.txt"
    path.write_text("\n\n".join([textwrap.fill(SENTENCE * 9, 72)] * 5), "utf-8")
    joined = values("measure", path, "--unwrap")
    left = values("measure", path, "--no-unwrap")
    assert joined["notes"] == ["unwrapped 35 lines"]
    assert left["notes"] == []
    assert joined["characters"] == left["characters"]


def test_code_is_rendered_as_code(tmp_path: Path) -> None:
    told = values(
        "render", "-", "-o", tmp_path / "run", "--kind", "code", stdin=b"def f():\n\tpass\n"
    )
    assert told["preset"] == "code"


def test_people_are_told_the_same_in_words(letters: Path, tmp_path: Path) -> None:
    told = values("render", letters, "-o", tmp_path / "run")
    shown = run("render", letters, "-o", tmp_path / "run")
    assert shown.stderr == ""
    for each in ("text_tokens", "visual_tokens", "characters"):
        assert f"{told[each]:,}" in shown.stdout
    assert f"{told['ratio']:.2f} text tokens each" in shown.stdout


def test_names_with_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "[bold]x[red].txt"
    path.write_text(SENTENCE, "utf-8")
    shown = run("render", path, "-o", tmp_path / "run[x]").stdout
    assert "[bold]x[red].txt" in shown
    assert "run[x]" in "".join(shown.split())


# -- measure ---------------------------------------------------------------------------------


def test_measure_compares_models_on_the_same_pages(letters: Path) -> None:
    told = values("measure", letters, "-m", "glm-4.5v", "-m", "gpt-5.4", "-m", "gemma-3")
    assert told["characters"] == len(SENTENCE) * 300
    keys = {"model", "text_tokens", "tokenizer", "pages", "visual_tokens", "ratio", "resampled"}
    assert all(keys <= set(cost) for cost in told["costs"])
    assert [cost["model"] for cost in told["costs"]] == ["glm-4.5v", "gpt-5.4", "gemma-3"]
    assert len({cost["pages"] for cost in told["costs"]}) == 1
    assert [cost["resampled"] for cost in told["costs"]] == [False, False, True]


def test_measure_can_fit_the_pages_to_each_model(letters: Path) -> None:
    models = ("-m", "gemma-3", "-m", "glm-4.5v", "-m", "qwen3-vl", "-m", "gemma-3")
    told = values("measure", letters, *models, "--fit")
    assert [cost["model"] for cost in told["costs"]] == [
        "gemma-3",
        "gemma-3",
        "glm-4.5v",
        "qwen3-vl",
    ]
    assert not any(cost["resampled"] for cost in told["costs"])
    assert {cost["preset"] for cost in told["costs"]} == {"aligned-28", "aligned-32", "aligned-896"}


def test_measuring_for_one_model_is_the_price_of_rendering_for_it(
    letters: Path, tmp_path: Path
) -> None:
    measured = values("measure", letters, "-m", "qwen3-vl")["costs"][0]
    rendered = values("render", letters, "-o", tmp_path / "run", "-m", "qwen3-vl")
    for key in ("pages", "text_tokens", "visual_tokens", "ratio", "preset"):
        assert measured[key] == rendered[key]


def test_the_table_marks_borrowed_tokenizers_and_resampled_pages(letters: Path) -> None:
    shown = run("measure", letters, "-m", "claude-sonnet-4.6", "-m", "qwen3-vl").stdout
    rows = {
        line.split()[0]: line for line in shown.splitlines() if "o200k" in line or "qwen3 " in line
    }
    assert "≈ o200k_base" in rows["claude-sonnet-4.6"]
    assert rows["claude-sonnet-4.6"].rstrip().endswith("kept")
    assert "≈" not in rows["qwen3-vl"]
    assert rows["qwen3-vl"].rstrip().endswith("resampled")


def test_fit_and_preset_contradict_each_other(letters: Path) -> None:
    result = run("measure", letters, "--fit", "--preset", "dark")
    assert result.exit_code == 2
    assert "leave out --preset" in " ".join(result.stderr.split())


# -- names -----------------------------------------------------------------------------------


def test_presets_and_models_are_listed() -> None:
    presets = values("presets", "-m", "glm-4.5v")["presets"]
    assert [preset["name"] for preset in presets] == preset_names()
    (aligned,) = (preset for preset in presets if preset["name"] == "aligned-28")
    assert aligned["visual_tokens"] == {"glm-4.5v": 630}
    assert all(preset["description"] for preset in presets)
    models = values("models")["models"]
    assert tuple(model["name"] for model in models) == model_names()
    assert {model["name"] for model in values("models", "QWEN3")["models"]} >= {"qwen3-vl"}
    assert "aligned-28" in run("presets").stdout
    assert "claude-opus-4.7" in run("models", "claude").stdout


def test_a_name_no_model_has_is_answered_with_its_neighbours() -> None:
    assert refusal("models", "glm-4.7v") == (
        "no model name holds 'glm-4.7v'; did you mean 'glm-4.6v', 'glm-4.5v', 'glm-4.1v'?"
    )


@pytest.mark.parametrize(
    "verb", ["render", "measure", "ask", "probe", "presets", "models", "doctor", "demo"]
)
def test_every_verb_explains_itself_with_an_example(verb: str) -> None:
    for option in ("--help", "-h"):
        result = run(verb, option)
        assert result.exit_code == 0
        assert f"Example: glyph {verb}" in result.stdout
        assert "--json" in result.stdout


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"glyph {glyph.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["render"], ["render", "x.txt"], ["measure", "x", "--frobnicate"],
     ["render", "x", "-o", "y", "--format", "gif"], ["render", "x", "-o", "y", "--bits", "5"],
     ["probe", "--lines", "many"]],
)  # fmt: skip
def test_wrong_usage_exits_with_two_and_prints_nothing_on_stdout(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


# -- reading ---------------------------------------------------------------------------------


def test_ask_reads_the_answer_from_the_pages_and_leads_to_its_place(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr", reason="the reader needs the extra [ocr]")
    text = SENTENCE * 3 + "The harbour master of Quimper is called Ludovic Arnaud. " + SENTENCE * 3
    path = tmp_path / "note.txt"
    path.write_text(text, "utf-8")
    told = values("ask", path, "Who is the harbour master of Quimper?")
    assert {"answer", "pages", "usage", "quote", "box", "page", "ratio", "visual_tokens"} <= set(
        told
    )
    assert {"seconds", "confidence", "spans"} <= set(told)
    assert "Ludovic Arnaud" in told["answer"]
    assert (told["page"], told["pages"], told["num_pages"]) == (1, [1], 1)
    assert set(told["box"]) == {"left_px", "top_px", "right_px", "bottom_px"}
    assert "Ludovic Arnaud" in told["source_text"]
    assert "".join(text[a:b] for a, b in told["source_spans"]) == told["source_text"]
    assert set(told["usage"]) == {"input_tokens", "output_tokens", "visual_tokens"}
    shown = run("ask", path, "Who is the harbour master of Quimper?").stdout
    assert "Ludovic Arnaud" in shown
    assert "page 1 of 1, pixels" in shown
    assert not told["is_unsure"] and "unsure:" not in shown


def test_ask_says_when_the_reader_doubts_its_answer(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr", reason="the reader needs the extra [ocr]")
    path = tmp_path / "note.txt"
    path.write_text(SENTENCE * 3 + "The harbour of Quimper was dredged in May.", "utf-8")
    question = "When did the storm break the harbour of Quimper?"
    told = values("ask", path, question)
    assert told["confidence"] < 0.5 and told["is_unsure"]
    assert "unsure: this is the nearest the reader found" in run("ask", path, question).stdout


class ChatEndpoint(BaseHTTPRequestHandler):
    """Streams one answer, in the form of a chat completion, and keeps what it was asked."""

    asked: dict[str, Any]

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        type(self).asked = json.loads(self.rfile.read(length))
        base = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        delta = {"index": 0, "delta": {"role": "assistant", "content": "In the [village]."}}
        usage = {"prompt_tokens": 700, "completion_tokens": 5, "total_tokens": 705}
        chunks = [
            {**base, "choices": [{**delta, "finish_reason": None}]},
            {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**base, "choices": [], "usage": usage},
        ]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def chat() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), ChatEndpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_ask_sends_pages_to_an_endpoint_and_tells_its_usage(letters: Path, chat: str) -> None:
    reader = ("--reader", "openai:qwen3-vl-8b-instruct", "--base-url", chat)
    told = values("ask", letters, "Where to?", *reader)
    assert told["answer"] == "In the [village]."
    assert told["usage"]["input_tokens"] == 700
    assert told["usage"]["output_tokens"] == 5
    assert (told["model"], told["box"], told["page"]) == ("qwen3-vl", None, None)
    sent = json.dumps(ChatEndpoint.asked)
    assert sent.count("data:image/png;base64,") == told["num_pages"]
    assert "quiet teacher" not in sent
    assert "In the [village]." in run("ask", letters, "Where to?", *reader).stdout


def test_a_reader_that_cannot_answer_says_why(letters: Path) -> None:
    gone = ("--reader", "openai:x", "--base-url", "http://127.0.0.1:9/v1")
    assert "http://127.0.0.1:9/v1" in refusal("ask", letters, "why?", *gone)
    told = refusal("ask", letters, "why?", "--reader", "orc")
    assert told.startswith("unknown reader 'orc'; did you mean 'ocr'?")
    assert refusal("ask", letters, " ") == "the question is empty; ask something."
    told = refusal("probe", "--base-url", "http://127.0.0.1:9/v1")
    assert told.startswith("reader 'ocr' has no option 'base_url'")


def test_probe_tells_error_rates_of_words_and_strings() -> None:
    pytest.importorskip("rapidocr", reason="the reader needs the extra [ocr]")
    told = values("probe", "--preset", "aligned-28", "--reader", "ocr", "--lines", "3")
    for kind in ("words", "strings"):
        assert 0 <= told[kind]["cer_low"] <= told[kind]["cer"] <= told[kind]["cer_high"] < 0.2
        assert told[kind]["num_chars"] > 100
    assert told["verdict"]
    assert refusal("probe", "--lines", "1") == "lines is 1; 2 to 100 are accepted."


def test_doctor_exits_with_one_when_something_essential_is_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = values("doctor")
    assert told["ok"] is True
    assert {"name", "status", "detail", "remedy"} == set(told["checks"][0])
    monkeypatch.setattr("glyph.doctor.installed_families", list)
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["ok"] is False
    shown = run("doctor")
    assert shown.exit_code == 1
    assert "BROKEN" in shown.stdout
    assert "extra [train]" in shown.stdout


def test_tokens_that_a_reader_of_this_machine_counts_are_not_an_endpoints(tmp_path: Path) -> None:
    path = tmp_path / "code.txt"
    path.write_text("The code is 5512.\n", "utf-8")
    shown = run("ask", path, "What is the code?", "--reader", "nano").stdout
    assert "5512" in shown
    assert "as counted by the reader" in shown
