"""A reader that measures pixels and nothing else: quick, and its accuracy depends on the page.

As a script it is one worker: `python ruler.py FOLDER EVALUATIONS [SECONDS_A_QUESTION]`.
"""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
from search_texts import prose

from glyph import Answer, Page, Request
from glyph.readers import Transcript, Usage
from glyph.readers.textlines import find_lines, ink_of
from glyph.search.fitness import Fitness
from glyph.search.job import Settings, search
from glyph.search.loop import Budget, Tactics
from glyph.search.readings import Readings
from glyph.search.validation import SetSize, questions_from_jsonl

HEIGHTS_PX = (5, 6, 7, 8, 9, 10, 11, 12)
TEXT = prose(120)


class Ruler:
    """Says whether the lines of a page are at least so many pixels high."""

    name = "ruler"

    def __init__(self, wait_s: float = 0.0):
        self._wait_s = wait_s

    def answer(self, request: Request) -> Answer:
        time.sleep(self._wait_s)
        asked = re.search(r"\d+", request.question)
        assert asked is not None
        heights = [
            line.bottom_px - line.top_px
            for page in request.pages
            for line in find_lines(ink_of(page.gray()))
        ]
        is_high = bool(heights) and float(np.median(heights)) >= int(asked.group())
        usage = Usage(100, 1, None)
        return Answer("yes" if is_high else "no", self.name, (0,), None, "", None, usage, 0.0)

    def transcribe(self, page: Page) -> Transcript:
        return Transcript(())


def questions() -> str:
    lines = [
        {
            "question": f"Are lines at least {height} pixels high?",
            "answers": ["yes"],
            "context": TEXT[100 * i : 100 * i + 80],
        }
        for i, height in enumerate(HEIGHTS_PX)
    ]
    return "\n".join(map(json.dumps, lines))


def ruler_fitness(folder: Path, wait_s: float = 0.0) -> Fitness:
    validation = questions_from_jsonl(questions(), [TEXT], size=SetSize(num_passages=2))
    readings = Readings(Ruler(wait_s), folder / "readings.sqlite")
    return Fitness(validation, readings, "glm-4.1v", sees_itself=False)


def settings(folder: Path, evaluations: int) -> Settings:
    path = folder.parent / f"{folder.name}.jsonl"
    path.write_text(questions())
    return Settings(
        out=folder,
        budget=Budget(evaluations, patience=None),
        questions=str(path),
        size=SetSize(num_passages=2),
        tactics=Tactics(population=6, pool=2),
    )


if __name__ == "__main__":
    out, count = Path(sys.argv[1]), int(sys.argv[2])
    reader = Ruler(float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
    result = search([TEXT], reader, settings(out, count))
    print(len(result.records), result.num_asked)
