"""Folders of pages: a run is there whole, or what was there before is."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from glyph.errors import RenderError
from glyph.output import PageRecord, save_pages, sha256_of, size_text, write_atomically
from glyph.pages import Page
from glyph.presets import load_preset
from glyph.render import render_pages

CONFIG = load_preset("aligned-28")
SENTENCE = "The quiet teacher carried a heavy letter to the village. "


def pages_of(num_sentences: int, **fields: Any) -> list[Page]:
    return list(render_pages(SENTENCE * num_sentences, CONFIG.replace(**fields)))


def summary(records: list[PageRecord]) -> dict[str, Any]:
    return {"pages": [record.file for record in records]}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def broken_after(pages: list[Page], error: BaseException) -> Iterator[Page]:
    yield from pages
    raise error


def test_pages_become_files_that_hold_the_same_pixels(tmp_path: Path) -> None:
    pages = pages_of(200)
    assert len(pages) > 1
    records = save_pages(pages, tmp_path / "run", manifest=summary)
    assert [record.file for record in records] == [
        f"page-{i + 1:05d}.png" for i in range(len(pages))
    ]
    for page, record in zip(pages, records, strict=True):
        with Image.open(tmp_path / "run" / record.file) as image:
            assert (np.asarray(image) == page.gray()).all()
        assert (record.start, record.end, record.digest) == (page.start, page.end, page.digest)
        assert record.num_bytes == (tmp_path / "run" / record.file).stat().st_size
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))
    assert manifest == {"manifest_version": 1, "pages": [record.file for record in records]}
    assert set(contents(tmp_path / "run")) == {*manifest["pages"], "manifest.json"}


def test_two_runs_of_one_text_leave_the_same_bytes(tmp_path: Path) -> None:
    save_pages(pages_of(200), tmp_path / "one", manifest=summary)
    save_pages(pages_of(200), tmp_path / "two", manifest=summary)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_four_bit_pages_are_smaller_and_hold_sixteen_greys(tmp_path: Path) -> None:
    pages = pages_of(80)
    (whole, *_) = save_pages(pages, tmp_path / "8", manifest=summary)
    (small, *_) = save_pages(pages, tmp_path / "4", bits=4, manifest=summary)
    assert small.num_bytes < whole.num_bytes
    with Image.open(tmp_path / "4" / small.file) as image:
        greys = np.asarray(image.convert("L"))
    assert set(np.unique(greys)) <= {17 * level for level in range(16)}
    assert np.abs(greys.astype(int) - pages[0].gray()).max() <= 9


def test_a_shorter_run_in_another_format_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    save_pages(pages_of(400), folder, manifest=summary)
    write_atomically(folder / "report.html", b"old")
    save_pages(pages_of(10), folder, format="webp", manifest=summary)
    assert set(contents(folder)) == {"page-00001.webp", "manifest.json"}
    save_pages(pages_of(10), folder, format="pdf", manifest=summary)
    assert set(contents(folder)) == {"document.pdf", "manifest.json"}
    assert (folder / "document.pdf").read_bytes().startswith(b"%PDF-1.5")


def test_every_page_is_shown_once_and_in_order(tmp_path: Path) -> None:
    seen: list[int] = []
    pages = pages_of(400)
    save_pages(
        pages, tmp_path / "run", manifest=summary, on_page=lambda page: seen.append(page.index)
    )
    assert seen == list(range(len(pages)))


@pytest.mark.parametrize("format", ["png", "webp", "pdf"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError()]
)
def test_a_run_that_fails_leaves_the_earlier_one_as_it_was(
    tmp_path: Path, format: Any, error: BaseException
) -> None:
    folder = tmp_path / "run"
    save_pages(pages_of(200), folder, manifest=summary)
    before = contents(folder)
    with pytest.raises((RenderError, KeyboardInterrupt, ValueError)):
        save_pages(broken_after(pages_of(300), error), folder, format=format, manifest=summary)
    assert contents(folder) == before
    assert not list(folder.glob(".*"))


def test_a_run_that_fails_leaves_no_new_folders(tmp_path: Path) -> None:
    full = broken_after(pages_of(10), OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(RenderError) as caught:
        save_pages(full, tmp_path / "a" / "b" / "c", manifest=summary)
    assert str(caught.value) == (
        f"cannot write to {tmp_path / 'a' / 'b' / 'c'}: No space left on device. Nothing was "
        "changed there; free space, or choose another folder."
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("failing", ["manifest.json", "page-00001.png", "page-00002.png"])
def test_a_move_that_fails_halfway_puts_the_earlier_run_back(
    tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    save_pages(pages_of(200), folder, manifest=summary)
    before = contents(folder)
    replace = Path.replace

    def refuse_new(self: Path, target: Path) -> Path:
        # As when the old file is open in a viewer on Windows.
        if target == folder / failing and self.parent.name != "earlier":
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse_new)
    with pytest.raises(RenderError, match=r"cannot write to .*: Permission denied"):
        save_pages(pages_of(600), folder, manifest=summary)
    assert contents(folder) == before


def test_a_folder_with_other_files_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "page-00001.png").write_text("mine too")
    with pytest.raises(RenderError) as caught:
        save_pages(pages_of(1), tmp_path, manifest=summary)
    assert str(caught.value) == (
        f"{tmp_path} holds files that are not pages of an earlier run, such as notes.txt; "
        "name an empty or a new folder."
    )
    assert contents(tmp_path) == {"notes.txt": b"mine", "page-00001.png": b"mine too"}


def test_what_a_killed_run_or_a_desktop_left_does_not_hinder(tmp_path: Path) -> None:
    (tmp_path / ".partial-abc").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"")
    save_pages(pages_of(1), tmp_path, manifest=summary)
    assert (tmp_path / "manifest.json").exists()
    assert (tmp_path / ".DS_Store").exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(RenderError) as caught:
        save_pages(pages_of(1), path, manifest=summary)
    assert str(caught.value) == f"{path} is a file; name a folder for the pages."
    with pytest.raises(RenderError, match=r"Not a directory|cannot find the path"):
        save_pages(pages_of(1), path / "sub", manifest=summary)
    assert path.read_text() == "mine"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RenderError, match=r"cannot write to .*: Permission denied"):
        save_pages(pages_of(1), tmp_path / "run", manifest=summary)
    tmp_path.chmod(0o700)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, which Linux has")
def test_a_place_where_nobody_can_write_is_refused() -> None:
    with pytest.raises(RenderError, match="cannot write to /proc/glyph"):
        save_pages(pages_of(1), Path("/proc/glyph"), manifest=summary)


def on_small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


small_disk = pytest.fixture(on_small_disk)


def test_a_full_disk_is_told_and_loses_nothing(small_disk: Path) -> None:
    folder = small_disk / "run"
    save_pages(pages_of(80), folder, manifest=summary)
    before = contents(folder)
    with pytest.raises(RenderError) as caught:
        save_pages(pages_of(2_000), folder, manifest=summary)
    assert "No space left on device. Nothing was changed there" in str(caught.value)
    assert contents(folder) == before


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "report.html"
    write_atomically(path, b"first")
    write: Callable[..., int] = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        write(self, data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RenderError, match="No space left on device"):
        write_atomically(path, b"second")
    assert contents(tmp_path) == {str(Path("deep") / "report.html"): b"first"}


def test_a_name_that_is_no_unicode_does_not_break_the_manifest(tmp_path: Path) -> None:
    save_pages(pages_of(1), tmp_path / "run", manifest=lambda _: {"name": "caf\udce9"})
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_bytes())
    assert manifest["name"] == "caf\udce9"


def test_the_digest_of_a_text_takes_lone_surrogates() -> None:
    assert sha256_of("abc") == hashlib.sha256(b"abc").hexdigest()
    assert sha256_of("a\ud800") != sha256_of("a\ud801")


def test_sizes_are_said_as_people_say_them() -> None:
    assert [size_text(n) for n in (0, 1_499, 999_999, 1_000_000, 13_650_000_000)] == [
        "1 kB", "1 kB", "1,000 kB", "1.0 MB", "13,650.0 MB"
    ]  # fmt: skip


def test_memory_does_not_grow_with_the_number_of_pages(tmp_path: Path) -> None:
    script = (
        "import sys, resource\n"
        "from pathlib import Path\n"
        "from glyph.presets import load_preset\n"
        "from glyph.output import save_pages\n"
        "from glyph.render import render_pages\n"
        f"text = {SENTENCE!r} * int(sys.argv[1])\n"
        "save_pages(render_pages(text, load_preset('aligned-28')), Path(sys.argv[2]), "
        "manifest=lambda records: {'pages': len(records)})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    pytest.importorskip("resource", reason="Windows does not say how much memory was used")

    def peak(num_sentences: int) -> int:
        command = [sys.executable, "-c", script, str(num_sentences), str(tmp_path / "run")]
        return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    # 40,000 sentences are 2.3 MB and 460 pages of half a megabyte each.
    num_bytes_a_page = 588 * 840
    unit = 1 if sys.platform == "darwin" else 1024
    assert (peak(40_000) - peak(2_000)) * unit < 60 * num_bytes_a_page
