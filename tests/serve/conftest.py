"""A gateway in front of a real upstream, both on loopback, for a whole module."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra [serve] is not installed")
pytest.importorskip("uvicorn", reason="the extra [serve] is not installed")

from servers import Upstream, running

from glyph.serve.cache import PageCache
from glyph.serve.gateway import Gateway, make_app
from glyph.serve.guard import Guard
from glyph.serve.metrics import Metrics
from glyph.serve.rules import Rules
from glyph.serve.upstream import Timeouts, parse_routes

LONG = "\n".join(f"Entry {i}: the garden needs water in week {i} of the year." for i in range(300))
QUESTION = "Which week needs no water?"


@dataclass
class Chain:
    gateway: Gateway
    upstream: Upstream
    url: str


@pytest.fixture(scope="session")
def long_text() -> str:
    return LONG


@pytest.fixture(scope="session")
def make_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Chain]]:
    import contextlib

    with contextlib.ExitStack() as stack, ThreadPoolExecutor(1) as pool:

        def make(*, url: str | None = None, token: str | None = None, cache: Path | None = None,
                 idle_s: float = 20.0, rules: Rules | None = None, log: bool = False,
                 **more: Any) -> Chain:  # fmt: skip
            upstream = Upstream()
            address = url or stack.enter_context(running(upstream.app))
            metrics = Metrics(log=log)
            gateway = Gateway(
                router=parse_routes([address], Timeouts(connect_s=30, idle_s=idle_s)),
                cache=PageCache(cache, executor=pool, on_event=metrics.cache_event),
                guard=Guard("127.0.0.1", token),
                rules=rules or Rules(vision_model="glm-4.1v"),
                metrics=metrics,
                **more,
            )
            return Chain(gateway, upstream, stack.enter_context(running(make_app(gateway))))

        yield make


@pytest.fixture(scope="session")
def chain(make_chain: Callable[..., Chain]) -> Chain:
    return make_chain()
