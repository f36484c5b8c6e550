"""Rendering many texts to Parquet shards: processes of this machine against Ray on it.

    python benchmarks/batch.py [TEXT] [--documents 24] [--characters 500000]

TEXT is repeated from other places in it; by default Python's own language reference. Wall time with
everything: starting workers, warming fonts, PNG, token counts, files. Prints a Markdown table.
"""

import argparse
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

from glyph.batch.engines import EngineName
from glyph.batch.run import run_batch

RUNS: tuple[tuple[EngineName, int], ...] = (("local", 1), ("local", 2), ("ray", 2))


def write_corpus(folder: Path, text: str, documents: int, characters: int) -> None:
    folder.mkdir()
    for number in range(documents):
        start = number * 7919 % len(text)
        rotated = text[start:] + text[:start]
        document = (rotated * (characters // len(text) + 1))[:characters]
        (folder / f"{number:04d}.txt").write_text(document)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", type=Path)
    parser.add_argument("--documents", type=int, default=24)
    parser.add_argument("--characters", type=int, default=500_000)
    args = parser.parse_args()
    text = args.text.read_text() if args.text else "\n".join(topics.values())
    print("| engine | workers | documents | pages | seconds | million chars/s | MB of shards |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        corpus = Path(name) / "corpus"
        write_corpus(corpus, text, args.documents, args.characters)
        for engine, workers in RUNS:
            out = Path(name) / f"{engine}-{workers}"
            run = run_batch(
                [corpus], out, engine=engine, workers=workers, shard_bytes=2 * args.characters
            )
            size = sum(path.stat().st_size for path in out.glob("*.parquet"))
            print(
                f"| {engine} | {workers} | {run.documents} | {run.pages:,} | {run.seconds:.1f} | "
                f"{run.characters / run.seconds / 1e6:.2f} | {size / 1e6:.0f} |"
            )


if __name__ == "__main__":
    main()
