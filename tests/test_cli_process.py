"""The command as a process: what it loads, what stops it, and where it may be shown."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import SENTENCE, contents, values

HEAVY = ("torch", "transformers", "onnxruntime", "rapidocr", "cv2", "starlette", "fastapi")
HEAVY += ("openai", "matplotlib", "PIL", "pypdfium2", "gradio", "ray")
IS_WINDOWS = sys.platform == "win32"


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    path = tmp_path / "letters.txt"
    path.write_text(SENTENCE * 300, "utf-8")
    return path


def hear_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "glyph", *map(str, arguments)]


def test_the_module_is_the_command(letters: Path) -> None:
    done = subprocess.run(
        command("measure", letters, "-m", "glm-4.5v", "--json"), capture_output=True, check=True
    )
    assert json.loads(done.stdout)["costs"][0]["model"] == "glm-4.5v"
    assert done.stderr == b""


def test_a_terminal_of_few_characters_shows_what_it_can(letters: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        command("measure", letters, "-m", "glm-4.5v"), capture_output=True, env=environment
    )
    assert done.returncode == 0
    assert b"glm-4.5v" in done.stdout


def test_json_is_ascii_so_that_every_pipe_carries_it(tmp_path: Path) -> None:
    path = tmp_path / "山.txt"
    path.write_text("山水 " * 20, "utf-8")
    done = subprocess.run(command("measure", path, "--json"), capture_output=True, check=True)
    assert done.stdout.isascii()
    assert json.loads(done.stdout)["document"] == "山.txt"


def loaded_by(script: str) -> set[str]:
    """Return which heavy packages a script loads."""
    tell = f"\nimport sys; print(*(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script + tell], capture_output=True, check=True, text=True
    )
    return set(done.stderr.split())


def test_import_and_measure_load_nothing_heavy(letters: Path) -> None:
    assert loaded_by("import glyph") == set()
    verb = f"from glyph.cli import app; app(['measure', {str(letters)!r}], standalone_mode=False)"
    assert loaded_by(verb) == set()
    # The same look finds a package that is loaded.
    assert loaded_by("import glyph; import PIL.Image") == {"PIL"}


@pytest.mark.skipif(IS_WINDOWS, reason="Windows has no limits on the size of files")
def test_a_file_system_that_takes_no_more_is_told_and_loses_nothing(
    letters: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    values("render", letters, "-o", out)
    before = contents(out)
    script = (
        "import resource, sys\n"
        "from glyph.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "render", str(letters), "-o", str(out), "--preset", "dark"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"error: cannot write to {out}: File too large. Nothing was changed there; free space, or "
        "choose another folder.\n"
    )
    assert contents(out) == before


@pytest.mark.skipif(IS_WINDOWS, reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_run_that_is_stopped_leaves_what_was_there(
    letters: Path, tmp_path: Path, number: signal.Signals, code: int, is_new: bool
) -> None:
    out = tmp_path / "run"
    if not is_new:
        values("render", letters, "-o", out)
    before = {} if is_new else contents(out)
    long = tmp_path / "long.txt"
    long.write_text(SENTENCE * 250_000, "utf-8")
    process = subprocess.Popen(
        command("render", long, "-o", out),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell's background jobs ignore Ctrl-C, and their children inherit that.
        preexec_fn=hear_interrupts if os.name == "posix" else None,
    )
    deadline = time.monotonic() + 120
    while not list(out.glob(".partial-*/page-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert b"Traceback" not in told
    if is_new:
        assert not out.exists()
    else:
        assert contents(out) == before


@pytest.mark.skipif(IS_WINDOWS, reason="needs a pseudo-terminal")
def test_a_bar_is_shown_on_a_terminal_and_only_there(letters: Path, tmp_path: Path) -> None:
    import pty

    for option, is_shown in (([], True), (["--json"], False)):
        master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color"}
        arguments = command("render", letters, "-o", tmp_path / "run", *option)
        done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=slave, env=environment)
        os.close(slave)
        shown = os.read(master, 65_536) if is_shown else b""
        os.close(master)
        assert done.returncode == 0
        assert (b"rendering" in shown) == is_shown
