"""Pages that were made before: in memory, on disk, or being made right now.

Pages are named by what they are made from, so an entry is never stale and two gateways may share a
folder. A text that several requests bring at once is paged once. Pages are made in worker
processes, so the loop that carries streams never waits for one.
"""

import asyncio
import hashlib
import multiprocessing
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from glyph.errors import ConfigError, RenderError
from glyph.output import write_atomically
from glyph.serve.paging import PagedText, PageSpec, page_text

MIB = 2**20
_FILE = re.compile(r"[0-9a-f]{64}\.pages")
_OVERHEAD_BYTES = 512

CacheEvent = Callable[[str], None]
"""Told `memory`, `disk`, `shared`, `made`, `disk-corrupt`, `disk-error` or `worker-lost`."""


class DiskStore:
    """Files of pages in a folder, the least recently used ones deleted beyond a size."""

    def __init__(self, folder: Path, max_bytes: int):
        """Take over a folder; it is made when absent, for its owner's eyes only.

        Raises:
            ConfigError: It cannot be made or read.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = [path for path in folder.glob("??/*.pages") if _FILE.fullmatch(path.name)]
            stats = [(path.stat(), path.stem) for path in found]
        except OSError as error:
            raise ConfigError(
                f"the cache folder {folder} cannot be used ({error.strerror}); name another one "
                "with --cache."
            ) from None
        for stat, key in sorted(stats, key=lambda pair: pair[0].st_mtime):
            self._sizes[key] = stat.st_size
        self._evict()

    @property
    def num_bytes(self) -> int:
        """Size of all files."""
        with self._lock:
            return sum(self._sizes.values())

    def read(self, key: str) -> PagedText | None:
        """Return the pages of a key, None when there are none.

        Raises:
            ValueError: The file is damaged; it is deleted.
            OSError: It cannot be read.
        """
        path = self._path(key)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            paged = PagedText.from_bytes(data)
            if paged.key != key:
                raise ValueError("the file holds other pages")
        except ValueError:
            path.unlink(missing_ok=True)
            with self._lock:
                self._sizes.pop(key, None)
            raise
        os.utime(path)
        with self._lock:
            self._sizes[key] = len(data)
            self._sizes.move_to_end(key)
        return paged

    def write(self, paged: PagedText) -> None:
        """Keep pages.

        Raises:
            RenderError: They cannot be written.
        """
        data = paged.to_bytes()
        if len(data) > self._max_bytes:
            return
        write_atomically(self._path(paged.key), data)
        with self._lock:
            self._sizes[paged.key] = len(data)
        self._evict()

    def _evict(self) -> None:
        with self._lock:
            left = sum(self._sizes.values())
            while left > self._max_bytes:
                key, size = self._sizes.popitem(last=False)
                left -= size
                self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        assert _FILE.fullmatch(f"{key}.pages"), "keys are hex digits and lead nowhere else"
        return self._folder / key[:2] / f"{key}.pages"


class PageCache:
    """Gives the pages of texts, from the nearest place that has them."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        memory_bytes: int = 256 * MIB,
        disk_bytes: int = 2048 * MIB,
        workers: int | None = None,
        executor: Executor | None = None,
        on_event: CacheEvent = lambda event: None,
    ):
        """Open the folder; worker processes start with the first text.

        Args:
            folder: Where pages outlive the process; None keeps them in memory only.
            memory_bytes: Most bytes of pages in memory.
            disk_bytes: Most bytes of files in the folder.
            workers: Processes that make pages; None takes one for each core.
            executor: Makes pages instead of processes of this cache, which leaves it open.
            on_event: Told where pages came from, and what went wrong.
        """
        self._disk = DiskStore(folder, disk_bytes) if folder is not None else None
        self._memory: OrderedDict[str, PagedText] = OrderedDict()
        self._memory_bytes = memory_bytes
        self._used_bytes = 0
        self._workers = workers or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None
        self._given = executor
        self._running: dict[str, asyncio.Task[PagedText]] = {}
        self._on_event = on_event

    @property
    def num_bytes(self) -> int:
        """Bytes of pages in memory."""
        return self._used_bytes

    async def get(self, text: str, spec: PageSpec, digest: bytes = b"") -> PagedText:
        """Return the pages of a text.

        A caller that is cancelled leaves the work to the others who wait for it.

        Args:
            text: The text.
            spec: How it becomes pages.
            digest: Of the text, where it is known already.

        Raises:
            DocumentError: The text holds nothing to show.
            RenderError: Worker processes die over it.
        """
        key = spec.key(text, digest)
        if (found := self._memory.get(key)) is not None:
            self._memory.move_to_end(key)
            self._on_event("memory")
            return found
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._find_or_make(key, text, spec))
            self._running[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        else:
            self._on_event("shared")
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Stop the workers."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    def _finished(self, key: str, done: asyncio.Task[PagedText]) -> None:
        self._running.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever waits gets it; nobody may be waiting any more

    async def _find_or_make(self, key: str, text: str, spec: PageSpec) -> PagedText:
        paged = await self._from_disk(key)
        if paged is None:
            paged = await self._make(text, spec)
            self._on_event("made")
            await self._to_disk(paged)
        else:
            self._on_event("disk")
        self._remember(paged)
        return paged

    async def _from_disk(self, key: str) -> PagedText | None:
        if self._disk is None:
            return None
        try:
            return await asyncio.to_thread(self._disk.read, key)
        except ValueError:
            self._on_event("disk-corrupt")
        except OSError:
            self._on_event("disk-error")
        return None

    async def _to_disk(self, paged: PagedText) -> None:
        if self._disk is None:
            return
        try:
            await asyncio.to_thread(self._disk.write, paged)
        except (RenderError, OSError):
            # A full disk costs speed, not answers.
            self._on_event("disk-error")

    async def _make(self, text: str, spec: PageSpec) -> PagedText:
        loop = asyncio.get_running_loop()
        for _ in range(2):
            pool = self._executor()
            try:
                return await loop.run_in_executor(pool, page_text, text, spec)
            except BrokenProcessPool:
                self._on_event("worker-lost")
                if self._pool is pool:
                    self._pool = None
        raise RenderError("worker processes died twice while making pages; the text stays text.")

    def _executor(self) -> Executor:
        if self._given is not None:
            return self._given
        if self._pool is None:
            # Forked copies of a process with threads may deadlock.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=context, initializer=_follow_parent
            )
        return self._pool

    def _remember(self, paged: PagedText) -> None:
        size = _size_of(paged)
        if size > self._memory_bytes or paged.key in self._memory:
            return
        self._memory[paged.key] = paged
        self._used_bytes += size
        while self._used_bytes > self._memory_bytes:
            _, old = self._memory.popitem(last=False)
            self._used_bytes -= _size_of(old)


def _follow_parent() -> None:
    """End this worker when the gateway is gone, however it went; it would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _size_of(paged: PagedText) -> int:
    pages = sum(len(page.base64_png) + _OVERHEAD_BYTES for page in paged.pages)
    return pages + len(paged.sidecar) + _OVERHEAD_BYTES


class Ledger:
    """What travelled how, as digests, so that decisions do not flicker; bounded.

    A text is known by its first closed page, which stays the same while the text grows.
    """

    def __init__(self, max_entries: int = 50_000):
        self._entries: OrderedDict[str, bool] = OrderedDict()
        self._names: OrderedDict[str, str] = OrderedDict()
        self._max_entries = max_entries

    def was_pages(self, paged: PagedText) -> bool:
        """Whether the text, or its beginning, travelled as pages."""
        return self._entries.get(self._beginning(paged)) is True

    def was_text(self, paged: PagedText) -> bool:
        """Whether the text, or its beginning, travelled as text."""
        return self._entries.get(self._beginning(paged)) is False

    def note(self, paged: PagedText, *, as_pages: bool) -> None:
        """Write down how a text travels."""
        name = self._beginning(paged)
        self._entries[name] = as_pages
        self._entries.move_to_end(name)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def _beginning(self, paged: PagedText) -> str:
        name = self._names.get(paged.key)
        if name is None:
            first = paged.pages[0]
            name = hashlib.sha256(first.base64_png).hexdigest() if first.is_closed else paged.key
            self._names[paged.key] = name
            while len(self._names) > self._max_entries:
                self._names.popitem(last=False)
        return name
