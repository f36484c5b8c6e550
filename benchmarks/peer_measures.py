"""What `peers.py` measures of pages: price, reading, coverage and what appending changes."""

import io
import random
import statistics
import string
import uuid
from pathlib import Path

import numpy as np
from PIL import Image
from rapidfuzz.distance import Levenshtein

import texts
from glyph import image_cost
from glyph.text_tokens import count_text_tokens
from glyph.tokens import resolve_model
from legibility import page_of_image
from peer_renderers import Rendered

LEAST_CHARS = 4_000
"""Characters that are read of each renderer, in whole pages."""

UNREADABLE_PERCENT = 5.0
"""Error rate from which pages are read a second time, enlarged."""

LOOKALIKES = "0O1lI5S2Z8B6Gnmrvuwce"
SCRIPTS = {
    "Chinese": "的一是不了人我在有他这中大来上国",
    "Arabic": "ابتثجحخدذرزسشصضط",
    "Cyrillic": "абвгдежзийклмноп",
    "Devanagari": "अआइईउऊएऐकखगघचछजझ",
    "emoji": "😀🎉🚀🔥💡🐍✅❌📦🧪🌍🔒🎯🦊🍎🧩",
    "combining": "".join(map(chr, (*range(0x300, 0x305), *range(0x306, 0x30D), 0x323, 0x327))),
    "mathematics": "∀∃∇∈∑√∞≈≠≤⊂⊕ℝ𝔸𝒳⟨",
}  # fmt: skip
SPACING = {
    "line break": ("a b", "a\nb"),
    "blank line": ("a\nb", "a\n\nb"),
    "indentation": ("x\na", "x\n    a"),
    "tab or blank": ("x\na b", "x\na\tb"),
    "run of blanks": ("a b", "a   b"),
    "trailing blanks": ("a\nb", "a   \nb"),
}


def source_code(num_chars: int) -> tuple[str, str]:
    """Return modules of Python's standard library, one after another."""
    folder = Path(statistics.__file__).parent
    names = ("argparse", "dataclasses", "heapq", "json/decoder", "shutil", "tarfile", "typing")
    text = "\n\n".join((folder / f"{name}.py").read_text("utf-8") for name in names)
    return text[:num_chars], "Python's standard library"


def log(num_chars: int) -> tuple[str, str]:
    """Return what a build and a server might print, with ids, paths and numbers."""
    rng = random.Random(5)
    words = ("request served", "cache miss", "retrying upload", "row locked", "token refreshed",
             "slow query", "test passed", "connection reset by peer")  # fmt: skip
    lines, length, second = [], 0, 0.0
    while length < num_chars:
        second += rng.expovariate(3)
        clock = f"{int(second) // 3600 % 24:02}:{int(second) // 60 % 60:02}:{second % 60:06.3f}"
        level = rng.choices(("INFO", "DEBUG", "WARN", "ERROR"), (70, 20, 8, 2))[0]
        part = rng.choice(("api", "auth", "db.pool", "worker-3", "ingest"))
        line = f"2026-11-25T{clock}Z {level:<5} [{part}] {rng.choice(words)}"
        line += f" id={uuid.UUID(int=rng.getrandbits(128))} took={rng.expovariate(0.02):.1f}ms"
        if level != "INFO":
            line += f" at src/{part.replace('.', '/')}/handler.py:{rng.randrange(1, 900)}"
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines)[:num_chars], "a log with UUIDs, made by the script"


def random_strings(num_chars: int) -> str:
    """Return UUIDs, hashes and look-alikes between blanks: what no language model can guess."""
    rng = random.Random(11)
    base62 = string.ascii_letters + string.digits
    makers = (
        lambda: str(uuid.UUID(int=rng.getrandbits(128))),
        lambda: f"{rng.getrandbits(160):040x}"[: rng.choice((12, 16, 40))],
        lambda: "".join(rng.choices(LOOKALIKES, k=10)),
        lambda: "".join(rng.choices(base62, k=12)),
    )
    strings = [rng.choice(makers)() for _ in range(num_chars // 12)]
    return " ".join(strings)[:num_chars].rpartition(" ")[0]


def prose(num_chars: int) -> tuple[str, str]:
    return texts.english(num_chars)


def price(rendered: Rendered, text: str, model: str) -> dict:
    """Return what the pages cost a model by its exact rule, and what their maker says."""
    found = resolve_model(model)
    costs = [image_cost(*size, found) for size in rendered.sizes]
    exact = sum(cost.visual_tokens + cost.overhead_tokens for cost in costs)
    text_tokens = count_text_tokens(text, found.tokenizer)
    return {
        "pages": len(costs),
        "size_px": list(rendered.sizes[0]),
        "seen_px": [costs[0].seen_width_px, costs[0].seen_height_px],
        "resampled": any(cost.resampled for cost in costs),
        "text_tokens": text_tokens,
        "visual_tokens": exact,
        "ratio": round(text_tokens / exact, 2),
        "claimed_visual_tokens": rendered.claims.get("visual_tokens"),
        "claimed_text_tokens": rendered.claims.get("text_tokens"),
    }


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def as_seen(png: bytes, model: str) -> Image.Image:
    """Return a page after the provider's own resizing (bicubic; which filter is not published)."""
    with Image.open(io.BytesIO(png)) as image:
        page = image.convert("L")
    cost = image_cost(*page.size, model)
    seen = (cost.seen_width_px, cost.seen_height_px)
    return page if seen == page.size else page.resize(seen, Image.Resampling.BICUBIC)


def whole_pages(renderer, text: str, model: str) -> tuple[str, list[bytes]]:
    """Return the longest beginning of the text that fills whole pages, and these pages.

    Of pages with few characters there are several, so that `LEAST_CHARS` are read.
    """
    num_pages = len(renderer.render(text[:LEAST_CHARS], model).pages)
    fits, fails = LEAST_CHARS // 2, len(text) + 1
    while fits + 8 < fails:
        middle = (fits + fails) // 2
        if len(renderer.render(text[:middle], model).pages) <= num_pages:
            fits = middle
        else:
            fails = middle
    return text[:fits], renderer.render(text[:fits], model).pages


def reading(reader, renderer, text: str, model: str) -> dict:
    """Return how pages are read as the model sees them; if hardly, also enlarged twice.

    White space is left out on both sides: where lines break is layout, not reading.
    """
    shown, pages = whole_pages(renderer, text, model)
    expected = "".join(shown.split())
    wanted = [word for word in shown.split()[:-1] if any(map(str.isdigit, word))]
    result: dict = {"chars": len(shown), "pages": len(pages), "strings": len(wanted)}
    result["as_seen"] = errors(reader, [as_seen(page, model) for page in pages], expected, wanted)
    if result["as_seen"]["cer_percent"] > UNREADABLE_PERCENT:
        twice = [as_seen(page, model) for page in pages]
        twice = [i.resize((2 * i.width, 2 * i.height), Image.Resampling.NEAREST) for i in twice]
        result["enlarged_2x"] = errors(reader, twice, expected, wanted)
    return result


def errors(reader, images: list[Image.Image], expected: str, wanted: list[str]) -> dict:
    """Return the character error rate and the share of strings that were read letter for letter."""
    read = "".join(reader.transcribe(page_of_image(image)).text for image in images)
    got = "".join(read.split())
    distance = Levenshtein.distance(expected, got)
    result = {"cer_percent": round(100 * distance / len(expected), 2)}
    if wanted:
        exact = sum(word in got for word in wanted)
        result["exact_percent"] = round(100 * exact / len(wanted), 1)
    return result


def coverage(renderer) -> dict:
    """Return, by script, how many characters leave no trace or look like one another."""
    drawn: dict[str, bytes] = {}

    def look(text: str) -> bytes:
        if text not in drawn:
            pages = [pixels(page) for page in renderer.render(text).pages]
            drawn[text] = b"".join(repr(page.shape).encode() + page.tobytes() for page in pages)
        return drawn[text]

    scripts = {}
    for name, chars in SCRIPTS.items():
        nothing = {look("start ad end"), look("start a d end")}
        looks = [look(f"start a{char}d end") for char in chars]
        lost = sum(one in nothing for one in looks)
        alike = sum(looks.count(one) > 1 and one not in nothing for one in looks)
        scripts[name] = {"of": len(chars), "no_trace": lost, "same_as_another": alike}
    spacing = {name: look(one) != look(other) for name, (one, other) in SPACING.items()}
    return {"scripts": scripts, "spacing_is_visible": spacing}


def traces(renderer, text: str, samples: int) -> dict:
    """Return how many letters of a long text can be exchanged without any page changing."""
    rng = random.Random(3)
    before = renderer.render(text).pages
    places = [i for i, char in enumerate(text) if char.isascii() and char.isalpha()]
    lost = 0
    for place in rng.sample(places, samples):
        other = "x" if text[place] != "x" else "o"
        changed = text[:place] + other + text[place + 1 :]
        lost += renderer.render(changed).pages == before
    return {"letters": samples, "no_trace": lost}


def appending(renderer, text: str, added: str) -> dict:
    """Return what becomes of pages already sent when text is appended."""
    before = renderer.render(text).pages
    after = renderer.render(text + added).pages
    after += [b""] * (len(before) - len(after))
    changed = [old != new for old, new in zip(before, after, strict=False)]
    lost = sum(len(old) for old, is_new in zip(before, changed, strict=True) if is_new)
    return {
        "pages": len(before),
        "changed": sum(changed),
        "changed_before_last": sum(changed[:-1]),
        "bytes_percent": round(100 * lost / sum(map(len, before)), 1),
    }
