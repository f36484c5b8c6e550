"""The verb that makes training samples."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from glyph.cli.console import make_console, print_json, progress_bar, tell
from glyph.cli.options import JsonOption

EPILOG = (
    "Example: glyph train data books squad.json --out samples --samples 10000 --seed 0 "
    "--config nano --stage sft"
)


def data(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Folders and files: text, Parquet with a column of texts, SQuAD-like JSON, JSONL "
            "of texts or instruction triples.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of samples; a run there is continued.")],
    samples: Annotated[int, typer.Option(min=1, help="How many, held-out ones included.")],
    seed: Annotated[int, typer.Option(min=0, help="Of all chance.")] = 0,
    config: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Training configuration; its [data] counts.")
    ] = "nano",
    stage: Annotated[
        Literal["cpt", "sft", "grpo"], typer.Option(help="Which stage the samples are for.")
    ] = "cpt",
    format: Annotated[
        Literal["parquet", "ms-swift", "webdataset", "verl"],
        typer.Option(help="Of the files; glyph's own stages read parquet."),
    ] = "parquet",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes. Default: one a core.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make training samples: pages, prompts and responses, from texts and questions.

    The command can be stopped at any moment; the same command again continues. The same seed,
    sources and settings give the same samples, however many processes make them.
    """
    from glyph.train.config import load_config
    from glyph.train.samples.config import DataConfig
    from glyph.train.samples.sources import find_sources
    from glyph.train.samples.store import Run, write

    settings = DataConfig.of_stage(load_config(config).data, stage, where=f"[data] of {config}")
    found = find_sources(sources)
    for sentence in found.refused:
        tell(f"left out: {sentence}")
    run = Run(found, settings, seed, samples, format)
    with progress_bar(samples, "samples", quiet=as_json) as show:
        manifest = write(run, out, workers=workers or os.cpu_count() or 1, on_samples=show)
    if as_json:
        print_json(_report(out, manifest))
    else:
        _print(out, manifest)


def _report(out: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    sources = manifest["sources"]
    documents = sources["texts"] + sources["passages"] + sources["triples"]
    names = ("samples", "train", "eval", "families", "left_out", "pages", "format", "seed")
    return {
        "out": str(out),
        **{name: manifest[name] for name in names},
        "visual_tokens": manifest["visual_tokens"],
        "text_tokens": manifest["text_tokens"],
        "ratio": round(manifest["text_tokens"] / max(manifest["visual_tokens"], 1), 3),
        "documents": documents,
        "refused": sources["refused"],
    }


def _print(out: Path, manifest: dict[str, Any]) -> None:
    report = _report(out, manifest)
    console = make_console()
    console.print(
        f"{report['samples']:,} samples in {out}: {report['train']:,} to train on, "
        f"{report['eval']:,} held out; {report['pages']:,} pages, "
        f"{report['visual_tokens']:,} visual tokens for {report['text_tokens']:,} text tokens"
    )
    families = ", ".join(f"{name} {count:,}" for name, count in report["families"].items())
    console.print(f"families: {families}")
    if report["left_out"]:
        console.print(f"without a source, left out: {', '.join(report['left_out'])}")
    if not report["eval"]:
        console.print("nothing is held out: give two documents or more, and more samples")
