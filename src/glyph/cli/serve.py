"""The verb `serve`: a gateway in front of models, or a reader of this machine behind an API."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glyph.cli.console import tell
from glyph.errors import ConfigError

if TYPE_CHECKING:
    from glyph.serve.gateway import Gateway
    from glyph.serve.rules import Rules

DRAIN_S = 30
INSTALL = 'pip install "glyph-context[serve]"'


def serve(
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[PATTERN=]URL",
            help="Where requests go on to; repeat with a pattern of model names, such as "
            "'claude-*=https://HOST'.",
        ),
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option(
            "--reader", "-r", metavar="NAME", help="Answer with a reader of this machine."
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="H", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8790,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep pages here. Default: in memory only."),
    ] = None,
    cache_mib: Annotated[
        int, typer.Option(min=1, metavar="MIB", help="Most MiB of pages on disk.")
    ] = 2048,
    preset: Annotated[
        str | None, typer.Option("--preset", "-p", metavar="NAME|FILE", help="How pages look.")
    ] = None,
    vision_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Token rule for every model, where an upstream uses names of its own.",
        ),
    ] = None,
    min_chars: Annotated[
        int, typer.Option(metavar="N", help="Shorter texts are not looked at.")
    ] = 4_000,
    min_saving: Annotated[
        float, typer.Option(metavar="SHARE", help="Tokens that pages must save.")
    ] = 0.15,
    system: Annotated[
        bool, typer.Option("--system", help="Long system prompts may become pages too.")
    ] = False,
    history: Annotated[
        bool, typer.Option("--history/--no-history", help="Old turns may become pages.")
    ] = True,
    tools: Annotated[
        bool, typer.Option("--tools/--no-tools", help="Long results of tools may become pages.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide and report, but change no request.")
    ] = False,
    probes: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Results of 'glyph probe --json'; poor readers get text."),
    ] = None,
    idle_s: Annotated[
        float, typer.Option(metavar="S", min=0.1, help="Longest silence of an upstream.")
    ] = 300.0,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processes that make pages.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="GLYPH_TOKEN", metavar="TOKEN", help="Needed by clients of other machines."
        ),
    ] = None,
    playground: Annotated[
        bool, typer.Option("--playground/--no-playground", help="Show the playground at /.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log no passages.")] = False,
) -> None:
    """Serve an OpenAI- and Anthropic-compatible endpoint whose long texts travel as pages.

    Point any client at it. Texts become pages where that is cheaper; everything else passes
    untouched, and headers x-glyph-* say what was done. Keys pass through and are never kept.
    """
    try:
        from glyph.serve.gateway import Gateway, Legibility
    except ImportError as error:
        raise ConfigError(f"serving needs package '{error.name}'; run: {INSTALL}") from None
    from glyph.serve.cache import MIB, PageCache
    from glyph.serve.guard import Guard
    from glyph.serve.metrics import Metrics
    from glyph.serve.rules import Rules

    rules = Rules(
        system=system, history=history, tools=tools, min_chars=min_chars, min_saving=min_saving,
        keep_saving=min(0.05, min_saving), preset=preset, vision_model=vision_model,
    )  # fmt: skip
    router, rules = _router(upstream, reader, rules, idle_s)
    metrics = Metrics(log=not quiet)
    gateway = Gateway(
        router=router,
        cache=PageCache(
            cache, disk_bytes=cache_mib * MIB, workers=workers, on_event=metrics.cache_event
        ),
        guard=Guard(host, token),
        rules=rules,
        metrics=metrics,
        legibility=Legibility.from_folder(probes) if probes is not None else Legibility(),
        dry_run=dry_run,
    )
    _run(gateway, host, port, playground=playground)


def _router(
    upstream: list[str] | None, reader: str | None, rules: "Rules", idle_s: float
) -> tuple[Any, "Rules"]:
    """Return where requests go, and rules that fit; names and presets are checked here."""
    from dataclasses import replace

    from glyph.api import own_preset
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


def _run(gateway: "Gateway", host: str, port: int, *, playground: bool) -> None:
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
    mount = _playground(gateway) if playground else None
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


def _playground(gateway: "Gateway") -> Any:
    """Return what mounts the playground, None when its packages are not installed."""
    try:
        from glyph.serve.playground import mount
    except ImportError as error:
        tell(f'no playground: package {error.name} is missing; pip install "glyph-context[ui]"')
        return None

    def mounted(app: Any) -> Any:
        return mount(app, gateway)

    return mounted
