"""The verb `serve`: a gateway in front of models, or a reader of this machine behind an API."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyph.cli.console import tell
from glyph.cli.options import PresetOption
from glyph.errors import ConfigError

if TYPE_CHECKING:
    from glyph.serve.gateway import Gateway
    from glyph.serve.guard import Guard
    from glyph.serve.rules import Rules
    from glyph.serve.upstream import Router

DRAIN_S = 30
INSTALL = 'pip install "glyph-context[serve]"'


UpstreamOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[PATTERN=]URL",
        help="Where requests go on to; repeat with a pattern of model names, such as "
        "'claude-*=https://HOST'.",
    ),
]
ReaderOption = Annotated[
    str | None,
    typer.Option("--reader", "-r", metavar="NAME", help="Answer with a reader of this machine."),
]
HostOption = Annotated[str, typer.Option(metavar="H", help="Address to listen on.")]
PortOption = Annotated[
    int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 takes a free one.")
]
CacheOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Keep pages here. Default: in memory only.")
]
CacheSizeOption = Annotated[
    int, typer.Option(min=1, metavar="MIB", help="Most MiB of pages on disk.")
]
VisionModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Token rule for every model, where an upstream uses names of its own.",
    ),
]
MinCharsOption = Annotated[int, typer.Option(metavar="N", help="Shorter texts are not looked at.")]
MinSavingOption = Annotated[
    float, typer.Option(metavar="SHARE", help="Tokens that pages must save.")
]
SystemOption = Annotated[
    bool, typer.Option("--system", help="Long system prompts may become pages too.")
]
HistoryOption = Annotated[
    bool, typer.Option("--history/--no-history", help="Old turns may become pages.")
]
ToolsOption = Annotated[
    bool, typer.Option("--tools/--no-tools", help="Long results of tools may become pages.")
]
ExpandOption = Annotated[
    bool,
    typer.Option(
        "--expand",
        help="Let the model read and search the pages as text, with tools the gateway answers.",
    ),
]
ExpandRoundsOption = Annotated[
    int, typer.Option(metavar="N", min=1, max=100, help="Times it may ask before it has to answer.")
]
PricesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="TOML with dollars for a million tokens by model, to tell costs in money.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Decide and report, but change no request.")
]
ProbesOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Results of 'glyph probe --json'; poor readers get text."),
]
IdleOption = Annotated[
    float, typer.Option(metavar="S", min=0.1, help="Longest silence of an upstream.")
]
WorkersOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Processes that make pages.")
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        envvar="GLYPH_TOKEN", metavar="TOKEN", help="Needed by clients of other machines."
    ),
]
PlaygroundOption = Annotated[
    bool, typer.Option("--playground/--no-playground", help="Show the playground at /.")
]
RunsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Folders of 'glyph search' that the playground shows.",
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Log no passages.")]


def serve(
    upstream: UpstreamOption = None,
    reader: ReaderOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8790,
    cache: CacheOption = None,
    cache_mib: CacheSizeOption = 2048,
    preset: PresetOption = None,
    vision_model: VisionModelOption = None,
    min_chars: MinCharsOption = 4_000,
    min_saving: MinSavingOption = 0.15,
    system: SystemOption = False,
    history: HistoryOption = True,
    tools: ToolsOption = True,
    expand: ExpandOption = False,
    expand_rounds: ExpandRoundsOption = 8,
    prices: PricesOption = None,
    dry_run: DryRunOption = False,
    probes: ProbesOption = None,
    idle_s: IdleOption = 300.0,
    workers: WorkersOption = None,
    token: TokenOption = None,
    playground: PlaygroundOption = True,
    runs: RunsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Serve an OpenAI- and Anthropic-compatible endpoint whose long texts travel as pages.

    Point any client at it. Texts become pages where that is cheaper; everything else passes
    untouched, and headers x-glyph-* say what was done. Keys pass through and are never kept.
    """
    _demand_packages()
    from glyph.serve.guard import Guard
    from glyph.serve.rules import Rules

    rules = Rules(
        system=system, history=history, tools=tools, min_chars=min_chars, min_saving=min_saving,
        keep_saving=min(0.05, min_saving), preset=preset, vision_model=vision_model,
    )  # fmt: skip
    router, rules = _router(upstream, reader, rules, idle_s)
    guard = Guard(host, token)
    gateway = _gateway(router, rules, guard, _Pages(cache, cache_mib, workers), is_quiet=quiet)
    gateway.dry_run = dry_run
    _add_files(gateway, probes, prices)
    if expand:
        _add_expander(gateway, expand_rounds)
    _run(gateway, host, port, playground=playground, runs=runs)


def _demand_packages() -> None:
    try:
        import_module("glyph.serve.gateway")
    except ImportError as error:
        raise ConfigError(f"serving needs package '{error.name}'; run: {INSTALL}") from None


@dataclass(frozen=True, slots=True)
class _Pages:
    """Where pages are kept and who makes them."""

    folder: Path | None
    size_mib: int
    workers: int | None


def _gateway(
    router: "Router", rules: "Rules", guard: "Guard", pages: _Pages, *, is_quiet: bool
) -> "Gateway":
    from glyph.serve.cache import MIB, PageCache
    from glyph.serve.gateway import Gateway
    from glyph.serve.metrics import Metrics

    metrics = Metrics(log=not is_quiet)
    cache = PageCache(
        pages.folder,
        disk_bytes=pages.size_mib * MIB,
        workers=pages.workers,
        on_event=metrics.cache_event,
    )
    return Gateway(router=router, cache=cache, guard=guard, rules=rules, metrics=metrics)


def _add_files(gateway: "Gateway", probes: Path | None, prices: Path | None) -> None:
    from glyph.serve.gateway import Legibility
    from glyph.serve.prices import PriceList

    if probes is not None:
        gateway.legibility = Legibility.from_folder(probes)
    if prices is not None:
        gateway.prices = PriceList.from_file(prices)


def _add_expander(gateway: "Gateway", max_rounds: int) -> None:
    from glyph.serve.expand.offer import Expander

    gateway.expander = Expander(max_rounds)


def _router(
    upstream: list[str] | None, reader: str | None, rules: "Rules", idle_s: float
) -> tuple["Router", "Rules"]:
    """Return where requests go, and rules that fit; names and presets are checked here."""
    from dataclasses import replace

    from glyph.asking import own_preset
    from glyph.readers import open_reader
    from glyph.serve.local import ReaderUpstream, default_vision_model
    from glyph.serve.paging import config_for
    from glyph.serve.upstream import Route, Router, Timeouts, parse_routes
    from glyph.tokens import resolve_model

    if bool(upstream) == (reader is not None):
        raise ConfigError(
            "give either --upstream URL, where requests go on to, or --reader NAME, such as "
            "'glyph serve --reader ocr'."
        )
    if reader is not None:
        opened = open_reader(reader)
        priced = rules.vision_model or default_vision_model(opened)
        rules = replace(rules, vision_model=priced, preset=rules.preset or own_preset(opened))
        router = Router((Route("*", ReaderUpstream(opened)),))
    else:
        router = parse_routes(upstream or [], Timeouts(idle_s=idle_s))
    if rules.vision_model is not None:
        config_for(resolve_model(rules.vision_model).name, rules.preset)
    elif rules.preset is not None:
        config_for("glm-4.1v", rules.preset)
    return router, rules


def _run(gateway: "Gateway", host: str, port: int, *, playground: bool, runs: Path | None) -> None:
    import socket

    import uvicorn

    from glyph.serve.gateway import make_app

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another --port."
        ) from None
    listener.listen(2048)
    mount = _playground(gateway, runs) if playground else None
    config = uvicorn.Config(
        make_app(gateway, playground=mount),
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=DRAIN_S,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=64 * 1024,
    )
    names = ", ".join(route.upstream.name for route in gateway.router.routes)
    shown = f"[{host}]" if ":" in host else host
    tell(f"glyph serves {names} at http://{shown}:{listener.getsockname()[1]}")
    uvicorn.Server(config).run(sockets=[listener])


def _playground(gateway: "Gateway", runs: Path | None) -> Any:
    """Return what mounts the playground, None when its packages are not installed."""
    try:
        from glyph.serve.playground import mount
    except ImportError as error:
        tell(f'no playground: package {error.name} is missing; pip install "glyph-context[ui]"')
        return None

    def mounted(app: Any) -> Any:
        return mount(app, gateway, runs)

    return mounted
