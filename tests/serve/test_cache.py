"""Pages made before: found again, bounded, and no trouble when the disk is."""

import asyncio
import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from glyph.errors import ConfigError
from glyph.serve.cache import DiskStore, Ledger, PageCache
from glyph.serve.paging import PagedText, PageSpec, config_for, page_text

SPEC = PageSpec(config_for("glm-4.1v"), "glm-4.1v", 0.05)
POOL = ThreadPoolExecutor(1)
TEXT = "The order number is 4711-0815-99.\n" * 300


def get(folder: Path | None, *texts: str, **options) -> tuple[list[PagedText], Counter]:
    events: Counter = Counter()

    async def run() -> list[PagedText]:
        cache = PageCache(
            folder, executor=POOL, on_event=lambda event: events.update([event]), **options
        )
        try:
            return await asyncio.gather(*(cache.get(text, SPEC) for text in texts))
        finally:
            await cache.close()

    return asyncio.run(run()), events


def test_a_text_many_ask_for_is_paged_once_and_like_without_a_cache(tmp_path):
    found, events = get(tmp_path, TEXT, TEXT, TEXT)
    assert events == {"made": 1, "shared": 2}
    assert found == [page_text(TEXT, SPEC)] * 3
    again, events = get(tmp_path, TEXT)
    assert events == {"disk": 1}
    assert again == found[:1]


def test_a_damaged_file_is_replaced(tmp_path):
    (first,), _ = get(tmp_path, TEXT)
    (file,) = tmp_path.glob("??/*.pages")
    for damage in (b"", b"{}\n", file.read_bytes()[:-10], file.read_bytes()[:-1] + b"?"):
        file.write_bytes(damage)
        (again,), events = get(tmp_path, TEXT)
        assert again == first
        assert events == {"disk-corrupt": 1, "made": 1}


def test_a_disk_that_cannot_be_written_costs_no_answer(tmp_path):
    key = SPEC.key(TEXT)
    (tmp_path / key[:2]).write_text("a file where a folder should be")
    (found,), events = get(tmp_path, TEXT)
    assert found.key == key
    assert events["disk-error"] >= 1
    with pytest.raises(ConfigError, match="name another one with --cache"):
        DiskStore(tmp_path / key[:2] / "below", 10)


def test_both_stores_are_bounded_in_bytes(tmp_path):
    texts = [f"{TEXT}{i}" for i in range(4)]
    size = len(page_text(TEXT, SPEC).to_bytes())
    get(tmp_path, *texts, disk_bytes=int(2.5 * size))
    assert len(list(tmp_path.glob("??/*.pages"))) == 2
    _, events = get(None, *texts, memory_bytes=1)
    assert events == {"made": 4}


def test_files_are_for_their_owner_and_tell_no_text(tmp_path):
    get(tmp_path / "new", TEXT)
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    (file,) = (tmp_path / "new").glob("??/*.pages")
    assert "order" not in file.name


def test_keys_lead_nowhere_else(tmp_path):
    store = DiskStore(tmp_path, 1000)
    with pytest.raises(AssertionError):
        store.read("../../etc/passwd")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_killed_worker_is_replaced():
    async def run() -> PagedText:
        events: list[str] = []
        cache = PageCache(workers=1, on_event=events.append)
        try:
            await cache.get("warm up", SPEC)
            assert cache._pool is not None
            for pid in list(cache._pool._processes):
                os.kill(pid, signal.SIGKILL)
            return await cache.get(TEXT, SPEC)
        finally:
            await cache.close()

    assert asyncio.run(run()).key == SPEC.key(TEXT)


def test_a_growing_text_is_known_by_its_first_closed_page():
    ledger = Ledger()
    short, longer = page_text(TEXT * 6, SPEC), page_text(TEXT * 6 + "more", SPEC)
    ledger.note(short, as_pages=True)
    assert ledger.was_pages(longer)
    assert not ledger.was_text(longer)
    assert not ledger.was_pages(page_text("another", SPEC))
