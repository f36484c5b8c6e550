"""OCR fidelity: pages of words, random strings, digits, UUIDs, code and Chinese, read aloud.

Words can be guessed from their neighbours and random strings cannot, so the two together say how
much of a reader's accuracy is reading. Run it at several resolutions (`--dpi`) to see accuracy
against compression.
"""

import inspect
import json
import random
import string
import textwrap
import uuid
from collections.abc import Callable

from glyph.evaluate.task import Example, LoadedTask, TaskOptions, chosen
from glyph.evaluate.words import reference_prose

DEFAULT_CHARS = 600
"""Characters of an example when no length is given."""

DEFAULT_EXAMPLES = 2
CHARS_OF_TOKEN = 3
_CHINESE = (
    "天地人日月山水火木土金石风云雨雪江河湖海东西南北上下左右前后大小多少高低长短新旧早晚春夏秋冬"
    "红黄蓝白黑绿父母兄弟姐妹老师学生朋友城市村庄道路桥梁门窗书笔纸墨花草树林鸟鱼马牛羊犬飞走"
    "来去见闻说读写听想知问答开关买卖出入起立坐行食饮衣住工作农商医药文化历史科技数字"
)


def load(options: TaskOptions) -> LoadedTask:
    """Return texts to transcribe, of each kind.

    Args:
        options: `lengths` are text tokens of a text.
    """
    kinds = chosen(options.subsets, tuple(_MAKERS), "kind of text")
    examples: list[Example] = []
    for kind in kinds:
        for length in options.lengths or (0,):
            for i in range(options.num_examples or DEFAULT_EXAMPLES):
                generator = random.Random(f"{options.seed}:ocr:{kind}:{length}:{i}")
                text = _text(kind, length, options.count, generator)
                examples.append(
                    Example(
                        id=f"ocr-{kind}-{length}-{i}",
                        subset=kind,
                        category="guessable" if kind in ("words", "code") else "not guessable",
                        context=text,
                        question="Transcribe the pages.",
                        answers=(text,),
                        metric="character_accuracy",
                        action="transcribe",
                    )
                )
    return LoadedTask("ocr", tuple(examples), "drawn texts, Python's reference and library")


def _text(kind: str, length: int, count: Callable[[str], int], generator: random.Random) -> str:
    num_chars = CHARS_OF_TOKEN * length or DEFAULT_CHARS
    text = _MAKERS[kind](num_chars, generator)
    while length and count(text) > length:
        text = text[: int(len(text) * length / count(text))].rstrip()
    return text


def _words(num_chars: int, generator: random.Random) -> str:
    prose = reference_prose().replace("\n", " ")
    start = prose.index(" ", generator.randrange(len(prose) - 2 * num_chars)) + 1
    return prose[start : prose.rindex(" ", 0, start + num_chars)]


def _joined(make: Callable[[random.Random], str], num_chars: int, generator: random.Random) -> str:
    pieces: list[str] = []
    while sum(map(len, pieces)) + len(pieces) < num_chars:
        pieces.append(make(generator))
    return " ".join(pieces)


def _strings(num_chars: int, generator: random.Random) -> str:
    letters = string.ascii_letters + string.digits
    return _joined(lambda g: "".join(g.choices(letters, k=g.randint(6, 14))), num_chars, generator)


def _digits(num_chars: int, generator: random.Random) -> str:
    return _joined(
        lambda g: "".join(g.choices(string.digits, k=g.randint(4, 12))), num_chars, generator
    )


def _uuids(num_chars: int, generator: random.Random) -> str:
    return _joined(
        lambda g: str(uuid.UUID(int=g.getrandbits(128), version=4)), num_chars, generator
    )


def _code(num_chars: int, generator: random.Random) -> str:
    source = inspect.getsource(generator.choice((textwrap, json, random)))
    lines = [line for line in source.split("\n") if line.strip() and len(line) < 80]
    start = generator.randrange(len(lines) // 2)
    picked: list[str] = []
    while sum(map(len, picked)) < num_chars:
        picked.append(lines[start + len(picked)])
    return "\n".join(picked)


def _chinese(num_chars: int, generator: random.Random) -> str:
    marks = "，，，。"
    parts = [
        "".join(generator.choices(_CHINESE, k=generator.randint(5, 12))) + generator.choice(marks)
        for _ in range(num_chars // 10)
    ]
    return "".join(parts)


_MAKERS: dict[str, Callable[[int, random.Random], str]] = {
    "words": _words,
    "strings": _strings,
    "digits": _digits,
    "uuids": _uuids,
    "code": _code,
    "chinese": _chinese,
}
