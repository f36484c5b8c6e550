"""The verb that renders many texts: batch."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from glyph.cli.console import make_console, print_json, progress_bar, tell
from glyph.cli.options import JsonOption, PresetOption, SettingsOption, TokenizerOption

if TYPE_CHECKING:
    from glyph.batch.run import Batch

MB = 1_000_000


def batch(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...", help="Files or folders of texts; .jsonl or .parquet with a column."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the shards.")],
    preset: PresetOption = None,
    settings: SettingsOption = None,
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="NAME", help="Who will read the pages.")
    ] = "glm-4.1v",
    tokenizer: TokenizerOption = None,
    text_field: Annotated[
        str, typer.Option(metavar="NAME", help="Column of the texts in JSONL and Parquet.")
    ] = "text",
    keeps_text: Annotated[
        bool, typer.Option("--text/--no-text", help="Keep each page's text beside its image.")
    ] = True,
    shard_mb: Annotated[float, typer.Option(help="Megabytes of text in one shard.")] = 4.0,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Processes of this machine, or Ray.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="A running Ray cluster, such as auto. Default: Ray on this machine."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Shards at a time. Default: one a core.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Render many texts into Parquet shards of pages, on all cores or on a Ray cluster.

    A row is a page: its PNG, its text, where it stands in the document, its size, tokens and
    digest. `datasets.load_dataset("parquet", data_dir=DIR)` loads the folder with images decoded.
    The same command continues a stopped run; a finished shard is never rendered again.
    """
    from glyph.batch.run import run_batch

    with progress_bar(1, "rendering", quiet=as_json) as show:
        result = run_batch(
            sources,
            out,
            preset=preset,
            settings=settings or (),
            model=model,
            tokenizer=tokenizer,
            text_field=text_field,
            keeps_text=keeps_text,
            shard_bytes=round(shard_mb * MB),
            engine=engine,
            address=address,
            workers=workers,
            on_bytes=lambda done, total: show(done / total),
        )
    for reason in result.skipped:
        tell(f"skipped: {reason}")
    if as_json:
        print_json(asdict(result) | {"ratio": result.ratio})
    else:
        _print(result)


def _print(result: "Batch") -> None:
    kept = f", {result.shards_kept:,} from before" if result.shards_kept else ""
    skipped = f", {result.num_skipped:,} skipped" if result.num_skipped else ""
    rate = result.characters / result.seconds / MB
    speed = "" if kept else f", {rate:.1f} M characters/s"
    make_console().print(
        f"{result.documents:,} documents{skipped}  ->  {result.pages:,} pages in "
        f"{result.shards:,} shards in {result.folder}{kept} ({result.seconds:.1f} s{speed})\n"
        f"  as text   {result.text_tokens:>13,} tokens ({result.tokenizer})\n"
        f"  as pages  {result.visual_tokens:>13,} visual tokens of {result.model}, "
        f"{result.ratio:.2f} text tokens each"
    )
