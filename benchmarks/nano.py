"""What the nano reader can do, and how fast: `python benchmarks/nano.py [--quick] [--json FILE]`.

Everything goes through the shipped reader and the real renderer: text is rendered with the
reader's presets, and answers are compared with what was put into the text. Books come from
GLYPH_DATA and were never trained on; without them Python's documentation stands in, which was.

    reading    character error rate of pages read aloud, on prose and on random strings
    keys       value of one of 8 keys of a page, "What is the value of KEY?"
    needles    the same in RULER's sentences, on one page and in documents of 8 pages
    model      the language model alone on the same keys, without the page read aloud
    wrong page the same questions on another page; answering the true value is an error
    speed      visual tokens a second, time to the first answer on 8 pages, memory
"""

import argparse
import json
import os
import resource
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import texts
from glyph import Page, render_pages
from glyph.documents import document_from_text
from glyph.presets import load_preset
from glyph.probe import alignment, bootstrap_interval
from glyph.readers.nano.decoding import ask_pages
from glyph.readers.nano.prompts import key_prompt
from glyph.readers.nano.reader import NanoReader
from glyph.readers.nano.spec import chars_of
from glyph.readers.protocol import Request
from glyph.text_tokens import count_text_tokens

PRESETS = ("nano", "nano-dense")
SEEDS = (11, 22, 33)
NUM_KEYS, LONG_PAGES = 8, 8
COLUMNS = {"nano": 67, "nano-dense": 96}
NUM_LINES = 32
BOOKS = ("jane_eyre", "pride_and_prejudice", "adventures_of_sherlock_holmes")
RANDOM_ALPHABET = "".join(chr(code) for code in range(33, 127))
NEEDLE = "One of the special magic numbers for {} is: {}."
QUESTIONS = {
    "keys": "What is the value of {}?",
    "needles": "What is the special magic number for {} mentioned in the provided text?",
}


@dataclass(frozen=True)
class Case:
    """Pages of a text, a question, and its true answer."""

    pages: tuple[Page, ...]
    question: str
    key: str
    value: str


# -- texts -----------------------------------------------------------------------------------


class Prose:
    """Printable ASCII prose of the held-out books, from anywhere."""

    def __init__(self):
        folder = texts.DATA / "books"
        paths = [folder / f"{name}.txt" for name in BOOKS]
        self.is_held_out = all(path.exists() for path in paths)
        found = [p.read_text("utf-8") for p in paths if p.exists()] or [texts.english(400_000)[0]]
        ascii_only = "\n".join(found).encode("ascii", "ignore").decode()
        self.text = " ".join(ascii_only.split())

    def sample(self, rng: np.random.Generator, num_chars: int) -> str:
        start = int(rng.integers(0, len(self.text) - num_chars - 100))
        start = self.text.index(" ", start) + 1
        return self.text[start : start + num_chars]


def random_strings(rng: np.random.Generator, num_chars: int) -> str:
    """Return words of 1 to 12 random printable characters, which no language helps to guess."""
    words: list[str] = []
    while sum(map(len, words)) + len(words) < num_chars:
        size = int(rng.integers(1, 13))
        words.append("".join(RANDOM_ALPHABET[k] for k in rng.integers(0, 94, size)))
    return " ".join(words)


def new_key(rng: np.random.Generator, taken: list[str]) -> str:
    while True:
        letters = "".join(rng.choice(list(string.ascii_lowercase), int(rng.integers(4, 9))))
        if rng.random() < 0.5:
            letters = f"{letters[:3]}-{letters[3:]}" if len(letters) > 5 else letters
        if not any(letters in other or other in letters for other in taken):
            return letters


def page_text(rng: np.random.Generator, prose: Prose, kind: str, columns: int) -> tuple[str, dict]:
    """Return the text of a page of 32 lines with 8 keys among prose, and the keys."""
    entries: dict[str, str] = {}
    while len(entries) < NUM_KEYS:
        value = str(rng.integers(10**6, 10**7 - 1))
        entries[new_key(rng, list(entries))] = value
    form = NEEDLE if kind == "needles" else "{}: {}"
    places = set(rng.permutation(NUM_LINES)[:NUM_KEYS].tolist())
    keyed = iter(entries.items())
    # Prose of a line is cut at a word's end, so that it never runs over.
    lines = [
        form.format(*next(keyed))
        if number in places
        else prose.sample(rng, columns - 1).rsplit(" ", 1)[0]
        for number in range(NUM_LINES)
    ]
    return "\n".join(lines), entries


def cases(prose: Prose, preset: str, kind: str, num_pages: int, number: int) -> Iterator[Case]:
    """Yield questions, dealt evenly to the seeds; four to a text."""
    per_seed = -(-number // len(SEEDS))
    for seed in SEEDS:
        rng = np.random.default_rng([seed, num_pages, len(kind)])
        made = 0
        while made < per_seed:
            bodies, entries = [], {}
            for _ in range(num_pages):
                text, found = page_text(rng, prose, kind, COLUMNS[preset])
                bodies.append(text)
                entries = entries or found
            # Keys asked for stand on one page, anywhere among the others.
            bodies.insert(int(rng.integers(num_pages)), bodies.pop(0))
            # Lines stay as they are: full lines of prose look hard-wrapped, and would be joined.
            document = document_from_text("\n".join(bodies), unwrap=False)
            pages = tuple(render_pages(document, load_preset(preset)))
            for key in list(entries)[:4]:
                if made < per_seed:
                    yield Case(pages, QUESTIONS[kind].format(key), key, entries[key])
                    made += 1


# -- abilities -------------------------------------------------------------------------------


def interval(right: int, total: int) -> list[float]:
    """Return Wilson's 95 % interval of a share."""
    z, share = 1.96, right / total
    middle = share + z * z / (2 * total)
    spread = z * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    scale = 1 + z * z / total
    return [round((middle - spread) / scale, 4), round((middle + spread) / scale, 4)]


def reading(reader: NanoReader, prose: Prose, preset: str, num_pages: int) -> Iterator[dict]:
    """Yield the character error rate on prose and on random strings."""
    makers: dict[str, Callable[[np.random.Generator, int], str]] = {
        "prose": prose.sample,
        "random strings": random_strings,
    }
    for name, make in makers.items():
        errors, chars = [], []
        for seed in SEEDS:
            rng = np.random.default_rng([seed, 7])
            size = COLUMNS[preset] * NUM_LINES * num_pages
            text = make(rng, size)
            for page in list(render_pages(text, load_preset(preset)))[:num_pages]:
                lines = zip(page.layout.lines.start_L, page.layout.lines.end_L, strict=True)
                truth = "\n".join(text[start:end].rstrip() for start, end in lines)
                errors.append(len(alignment(truth, reader.transcribe(page).text)))
                chars.append(len(truth))
        low, high = bootstrap_interval(np.array(errors), np.array(chars))
        yield {
            "preset": preset,
            "ability": f"reading {name}",
            "pages": len(chars),
            "chars": sum(chars),
            "cer": sum(errors) / sum(chars),
            "interval": [round(low, 5), round(high, 5)],
        }


def answers(
    reader: NanoReader, prose: Prose, preset: str, kind: str, num_pages: int, number: int
) -> dict:
    """Return exact match of answers, and of the same questions on other pages."""
    right = wrong = by_model = confident = total = 0
    before: Case | None = None
    for case in cases(prose, preset, kind, num_pages, number):
        answer = reader.answer(Request(case.question, case.pages))
        total += 1
        right += answer.text == case.value
        by_model += answer.method == "lookup"
        other = before if before and before.pages is not case.pages else None
        if other is not None:
            missed = reader.answer(Request(case.question, other.pages))
            wrong += missed.text == case.value
            confident += (missed.confidence or 0) > 0.5
        before = case if before is None or before.pages is not case.pages else before
    return {
        "preset": preset,
        "ability": f"{kind}, {NUM_KEYS} a page",
        "pages": num_pages,
        "n": total,
        "exact": right / total,
        "interval": interval(right, total),
        "by_model": by_model / total,
        "wrong_page": wrong / total,
        "wrong_page_confident": confident / total,
    }


def model_alone(reader: NanoReader, prose: Prose, number: int) -> dict:
    """Return exact match of the language model's own words, right page and wrong page."""
    right = wrong = total = 0
    tokens_before: np.ndarray | None = None
    last: tuple[Page, ...] = ()
    token_BTD = np.zeros(0)
    for case in cases(prose, "nano", "keys", 1, number):
        if case.pages is not last:
            tokens_before = token_BTD if len(token_BTD) else None
            token_BTD, last = reader.network.encode(case.pages[0].gray()[None]), case.pages
        grid = (case.pages[0].height_px // 28, case.pages[0].width_px // 28)
        wanted = f"{case.key}: {case.value}"
        for shown, is_right in ((token_BTD, True), (tokens_before, False)):
            if shown is None:
                continue
            ((said,),) = ask_pages(reader.network, shown, grid, [[key_prompt(case.key)]], 40)
            hit = chars_of(said.ids) == wanted
            right, wrong = right + (hit and is_right), wrong + (hit and not is_right)
        total += 1
    return {
        "preset": "nano",
        "ability": f"keys, {NUM_KEYS} a page, language model alone",
        "pages": 1,
        "n": total,
        "exact": right / total,
        "interval": interval(right, total),
        "wrong_page": wrong / total,
    }


def published(reader: NanoReader, preset: str) -> Iterator[dict]:
    """Yield exact match on published samples of RULER's UUID needles, where they are there."""
    path = texts.DATA / "ruler" / "niah_multikey_3.4096.head50.jsonl"
    if not path.exists():
        return
    right = wrong = total = 0
    before: tuple[Page, ...] = ()
    for row in map(json.loads, path.read_text("utf-8").splitlines()):
        context, _, question = row["input"].rpartition("\nWhat is")
        request = f"What is{question}"
        pages = tuple(render_pages(document_from_text(context), load_preset(preset)))
        total += 1
        right += reader.answer(Request(request, pages)).text == row["outputs"][0]
        if before:
            wrong += reader.answer(Request(request, before)).text == row["outputs"][0]
        before = pages
    yield {
        "preset": preset,
        "ability": "RULER niah_multikey_3, UUIDs, published samples of 4,096 tokens",
        "pages": len(before),
        "n": total,
        "exact": right / total,
        "interval": interval(right, total),
        "wrong_page": wrong / total,
    }


def ratio(prose: Prose, preset: str) -> dict:
    """Return how many text tokens of GLM-4 a visual token stands for, on full pages of prose."""
    tokenizer = texts.DATA / "tokenizers" / "glm-4" / "tokenizer.model"
    name = f"glm-4:{tokenizer}" if tokenizer.exists() else "o200k_base"
    text = prose.sample(np.random.default_rng(SEEDS[0]), 60_000)
    pages = [p for p in render_pages(text, load_preset(preset)).layouts() if p.is_closed]
    visual = sum(page.width_px * page.height_px // 28**2 for page in pages)
    shown = text[: pages[-1].end]
    return {
        "preset": preset,
        "tokenizer": "glm-4" if tokenizer.exists() else name,
        "ratio": round(count_text_tokens(shown, name) / visual, 3),
        "chars_per_visual_token": round(len(shown) / visual, 2),
        "pages": len(pages),
    }


# -- speed -----------------------------------------------------------------------------------


def speed(model: str | None, threads: int, prose: Prose, repeats: int) -> dict:
    """Return visual tokens a second and the time of an answer, the best of some repeats.

    Readers remember pages, so each repeat opens a new one, whose loading is not timed.
    """
    text = "brass-owl: 44170\n" + prose.sample(np.random.default_rng(0), 30_000)
    pages = tuple(render_pages(text, load_preset("nano")))[:LONG_PAGES]
    visual = sum(page.width_px * page.height_px // 28**2 for page in pages)
    times: dict[str, list[float]] = {"read aloud": [], "answer": []}
    for _ in range(repeats):
        reader = NanoReader(model, threads=threads)
        began = time.perf_counter()
        for _scans in reader.scanner.scan(pages):
            pass
        times["read aloud"].append(time.perf_counter() - began)
        reader = NanoReader(model, threads=threads)
        began = time.perf_counter()
        reader.answer(Request("What is the value of brass-owl?", pages))
        times["answer"].append(time.perf_counter() - began)
    return {
        "pages": len(pages),
        "visual_tokens": visual,
        "read_aloud_tokens_per_s": round(visual / min(times["read aloud"])),
        "answer_s": round(min(times["answer"]), 3),
        "load_average": round(os.getloadavg()[0], 1),
    }


FIRST = """
import resource, time
began = time.perf_counter()
from glyph.readers import Request, open_reader
from glyph import render_pages
from glyph.presets import load_preset
import sys
text = sys.stdin.read()
reader = open_reader(sys.argv[1], threads=int(sys.argv[2]))
pages = tuple(render_pages(text, load_preset("nano")))[:8]
ready = time.perf_counter()
reader.answer(Request("What is the value of brass-owl?", pages))
done = time.perf_counter()
# On Linux a child begins with its parent's maximum, so the kernel is asked for its own.
status = "/proc/self/status"
try:
    lines = open(status).read().splitlines()
    peak_mb = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3
except OSError:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(ready - began, done - ready, peak_mb)
"""


def first_answer(spec: str, prose: Prose, threads: int) -> dict:
    """Return what a fresh process needs for an answer on 8 pages, start included."""
    text = "brass-owl: 44170\n" + prose.sample(np.random.default_rng(0), 30_000)
    done = subprocess.run(
        [sys.executable, "-c", FIRST, spec, str(threads)],
        input=text, capture_output=True, text=True, check=True,
    )  # fmt: skip
    start_s, answer_s, peak_mb = map(float, done.stdout.split())
    return {
        "start_and_render_s": round(start_s, 2),
        "first_answer_s": round(answer_s, 2),
        "peak_rss_mb": round(peak_mb),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="model folder; default: that of the package")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="24 questions a row, 2 pages a seed")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    given = parser.parse_args()
    number, num_pages, repeats = (24, 2, 2) if given.quick else (201, 8, 5)
    spec = f"nano:{given.model}" if given.model else "nano"
    reader, prose = NanoReader(given.model, threads=given.threads), Prose()
    rows: list[dict] = []

    def keep(row: dict) -> None:
        rows.append(row)
        print(json.dumps(row), flush=True)

    figures: dict = {"held_out": prose.is_held_out, "threads": given.threads, "quick": given.quick}
    figures["speed"] = {
        **speed(given.model, given.threads, prose, repeats),
        **first_answer(spec, prose, given.threads),
    }
    print(json.dumps(figures["speed"]), flush=True)
    figures["ratio"] = [ratio(prose, preset) for preset in PRESETS]
    print(json.dumps(figures["ratio"]), flush=True)
    for preset in PRESETS:
        for row in reading(reader, prose, preset, num_pages):
            keep(row)
        for kind, length in (("keys", 1), ("needles", 1), ("needles", LONG_PAGES)):
            keep(answers(reader, prose, preset, kind, length, number))
        for row in published(reader, preset):
            keep(row)
    keep(answers(reader, prose, "nano", "keys", LONG_PAGES, number))
    keep(model_alone(reader, prose, number))
    figures["rows"] = rows
    unit = 1e6 if sys.platform == "darwin" else 1e3
    figures["own_peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
