"""The needle heat-map: one needle at every depth of every length."""

import random
import re
from dataclasses import replace

from glyph.evaluate.fitting import sentences_of
from glyph.evaluate.ruler.niah import NEEDLE_TASKS, hide_needles
from glyph.evaluate.task import Example, LoadedTask, TaskOptions, chosen
from glyph.evaluate.words import haystack_text

DEFAULT_LENGTHS = (1024, 2048, 4096)
DEPTHS = (0, 25, 50, 75, 100)
DEFAULT_EXAMPLES = 1


def load(options: TaskOptions) -> LoadedTask:
    """Return one needle (a word that has a number) for each depth and length.

    Args:
        options: `data` may hold the haystack; `subsets` are names as `parse_subset` reads.
    """
    lengths = options.lengths or DEFAULT_LENGTHS
    names = [f"length {length}, depth {depth}" for length in lengths for depth in DEPTHS]
    text, source = haystack_text(options.data)
    sentences = sentences_of(text)
    examples: list[Example] = []
    for name in chosen(options.subsets, names, "needle cell"):
        length, depth = parse_subset(name)
        for i in range(options.num_examples or DEFAULT_EXAMPLES):
            generator = random.Random(f"{options.seed}:{name}:{i}")
            # Every depth begins the haystack elsewhere, so that luck with one text evens out.
            start = generator.randrange(len(sentences))
            hay = sentences[start:] + sentences[:start]
            made = hide_needles(
                NEEDLE_TASKS["niah_single_2"],
                hay,
                length,
                options.count,
                generator,
                {"id": f"needle-{length}-{depth}-{i}", "subset": name, "category": ""},
                depth / 100,
            )
            examples.append(replace(made, category=f"length {length}"))
    return LoadedTask("needle", tuple(examples), source)


def parse_subset(name: str) -> tuple[int, int]:
    """Return length and depth in percent of a cell's name.

    Example:
        >>> parse_subset("length 4096, depth 25")
        (4096, 25)
    """
    length, depth = re.findall(r"\d+", name)
    return int(length), int(depth)
