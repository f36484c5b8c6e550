"""Pages that were read are remembered, and nothing else is."""

import random
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glyph.errors import ConfigError
from glyph.pages import Box
from glyph.presets import load_preset
from glyph.readers import memory, open_reader
from glyph.readers.memory import FILE, Memory, Remembered
from glyph.readers.protocol import ReadLine, Request, Transcript
from glyph.render import render_pages

PAGE = Remembered(Transcript((ReadLine("a line", Box(1, 2, 30, 9), 0.5, (1.25, 1 / 3)),)), "N", 7)

numbers = st.integers(0, 5000)
lines = st.builds(
    ReadLine,
    st.text(max_size=20),
    st.none() | st.builds(Box, numbers, numbers, numbers, numbers),
    st.none() | st.floats(0, 1),
    st.lists(st.floats(0, 5000), max_size=5).map(tuple),
)
pages = st.builds(
    Remembered, st.lists(lines, max_size=4).map(tuple).map(Transcript), st.text(), numbers
)


@given(page=pages)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_page_comes_back_from_the_file_as_it_was(tmp_path: Path, page: Remembered) -> None:
    Memory("reader", tmp_path).put("digest", page)
    assert Memory("reader", tmp_path).get("digest") == page


def test_other_pages_and_other_readers_are_not_known(tmp_path: Path) -> None:
    Memory("reader", tmp_path).put("digest", PAGE)
    assert Memory("reader", tmp_path).get("other") is None
    assert Memory("other weights", tmp_path).get("digest") is None
    assert Memory("reader").get("digest") is None


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    Memory("reader", tmp_path / "new").put("digest", PAGE)
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "new" / FILE).stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_in_memory_the_page_used_longest_ago_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PAGES_IN_MEMORY", 2)
    held = Memory("reader")
    held.put("a", PAGE)
    held.put("b", PAGE)
    held.get("a")
    held.put("c", PAGE)
    assert (held.get("a"), held.get("b"), held.get("c")) == (PAGE, None, PAGE)


def test_a_file_that_grew_too_large_drops_its_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MAX_BYTES", 100_000)
    held = Memory("reader", tmp_path)
    for number in range(60):
        noise = random.Random(number).randbytes(4_000).hex()
        held.put(str(number), Remembered(Transcript(()), noise))
    fresh = Memory("reader", tmp_path)
    kept = [number for number in range(60) if fresh.get(str(number)) is not None]
    assert kept == list(range(60 - len(kept), 60)) and 10 < len(kept) < 30


def test_a_file_that_is_no_memory_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"something else, longer than a header of a database" * 30)
    with pytest.raises(ConfigError, match="cannot keep pages"):
        Memory("reader", tmp_path)
    assert (tmp_path / FILE).read_bytes().startswith(b"something else")


def test_damage_later_on_is_told_once_and_reading_goes_on(tmp_path: Path) -> None:
    Memory("reader", tmp_path).put("digest", PAGE)
    file = sqlite3.connect(tmp_path / FILE)
    file.execute("UPDATE pages SET value = 'no zlib'")
    file.commit()
    held = Memory("reader", tmp_path)
    with pytest.warns(UserWarning, match="not remembered any more"):
        assert held.get("digest") is None
    held.put("digest", PAGE)
    assert held.get("digest") == PAGE


def test_a_second_question_reads_no_page_again(tmp_path: Path) -> None:
    shown = tuple(render_pages("The owl sits on the gate. " * 40, load_preset("nano-dense")))
    first = open_reader("nano", threads=1, cache=tmp_path)
    said = first.answer(Request("Where does the owl sit?", shown))
    second = open_reader("nano", threads=1, cache=tmp_path)
    second.scanner.scan = None  # type: ignore[attr-defined]
    again = second.answer(Request("Where does the owl sit?", shown))
    assert (again.text, again.box, again.usage) == (said.text, said.box, said.usage)


def test_what_the_language_model_must_see_itself_is_seen_again(tmp_path: Path) -> None:
    shown = tuple(render_pages("Lamps were lit.\nbrass-owl: 44170\n", load_preset("nano")))
    question = Request("What is the value of brass-owl?", shown)
    answers = [open_reader("nano", threads=1, cache=tmp_path).answer(question) for _ in range(2)]
    assert [answer.text for answer in answers] == ["44170", "44170"]
    assert answers[0].method == answers[1].method


def test_two_processes_may_share_a_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from glyph.readers.memory import *;"
        "from glyph.readers.protocol import Transcript;"
        "m = Memory('reader', Path(sys.argv[1]));"
        "[m.put(sys.argv[2] + str(n), Remembered(Transcript(()))) for n in range(200)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    held = Memory("reader", tmp_path)
    assert all(held.get(f"{name}{n}") is not None for name in "ab" for n in range(200))
