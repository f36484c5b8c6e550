"""What a response is worth: pure functions, one for each way to tell.

A reward that does not apply, or that could not be found out, is None and never 0: a judge that is
down must not teach that the answer was wrong.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import Levenshtein

from glyph.train.config import RewardsConfig

_THINKING = re.compile(r"\s*<think>(?P<trace>.*?)</think>(?P<answer>.*)", re.DOTALL)
_MARK = re.compile(r"</?think>")
_VERDICT = re.compile(r"\W*(correct|incorrect|yes|no|true|false|1|0)\W*", re.IGNORECASE)
_YES = ("correct", "yes", "true", "1")

VERDICT_WORDS = ("CORRECT", "INCORRECT")


@dataclass(frozen=True, slots=True)
class Response:
    """A response taken apart.

    Attributes:
        trace: Thoughts; "" without any.
        answer: What is said in the end.
        is_formed: Whether it is one run of thoughts, then an answer, and nothing else.
    """

    trace: str
    answer: str
    is_formed: bool


def take_apart(text: str) -> Response:
    """Return thoughts and answer of a response.

    A response without well-formed thoughts is an answer as a whole.

    Example:
        >>> take_apart("<think>look</think>7")
        Response(trace='look', answer='7', is_formed=True)
        >>> take_apart("7").is_formed
        False
    """
    found = _THINKING.fullmatch(text)
    if found is None:
        return Response("", _MARK.sub("", text).strip(), False)
    trace, answer = found["trace"], found["answer"].strip()
    is_formed = bool(answer) and not _MARK.search(trace + answer)
    return Response(trace.strip(), _MARK.sub("", answer).strip(), is_formed)


def format_reward(text: str) -> float:
    """Return 1 for `<think>...</think>` followed by an answer, else 0.

    Source: Glyph, section 3.5: a format reward keeps responses in the thinking style.

    Example:
        >>> format_reward("<think>line 3</think>4821"), format_reward("4821")
        (1.0, 0.0)
    """
    return float(take_apart(text).is_formed)


def match_reward(text: str, answers: Sequence[str]) -> float | None:
    """Return 1 when the answer holds every expected string as whole words, else 0.

    Case, blanks and the form of Unicode do not count. An answer that goes on for more than four
    times what is expected, and 40 characters, names candidates instead of answering: it is 0.

    Args:
        text: The response; thoughts in it do not count.
        answers: What a right answer holds; None is returned when it is empty.

    Example:
        >>> match_reward("<think>owl: 7</think>It is 4821.", ["4821"])
        1.0
        >>> match_reward("14821", ["4821"])
        0.0
    """
    wanted = [_folded(answer) for answer in answers if answer.strip()]
    if not wanted:
        return None
    given = _folded(take_apart(text).answer)
    if len(given) > 4 * sum(map(len, wanted)) + 40:
        return 0.0
    return float(all(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", given) for one in wanted))


def ocr_reward(text: str, truth: str) -> float | None:
    """Return the similarity of a transcription, 1 minus the normalised Levenshtein distance.

    Args:
        text: The response; thoughts in it do not count.
        truth: What the pages say; None is returned when it is empty.

    Source: Glyph, section 3.5; it leaves the normaliser open, this is the longer of the two texts.

    Example:
        >>> ocr_reward("the owl", "the owl"), ocr_reward("the cat", "the owl")
        (1.0, 0.5714285714285714)
    """
    if not truth:
        return None
    return Levenshtein.normalized_similarity(take_apart(text).answer, truth.strip())


def judge_reward(verdict: str | None) -> float | None:
    """Return what a judge's words are worth; None unless they are one verdict and nothing else.

    Example:
        >>> judge_reward("CORRECT"), judge_reward("Incorrect."), judge_reward("It may be correct")
        (1.0, 0.0, None)
    """
    found = _VERDICT.fullmatch(verdict.strip()) if verdict else None
    return None if found is None else float(found[1].lower() in _YES)


def judge_prompt(question: str, answers: Sequence[str], answer: str) -> str:
    """Return what a judge is asked."""
    expected = "\n".join(f"- {one}" for one in answers)
    return (
        "Judge whether an answer says the same as the reference. Wording does not matter, facts "
        f"and numbers do.\n\nQuestion:\n{question}\n\nReference:\n{expected}\n\n"
        f"Answer:\n{answer}\n\nSay {VERDICT_WORDS[0]} or {VERDICT_WORDS[1]}, one word only."
    )


@dataclass(frozen=True, slots=True)
class Score:
    """What a response is worth, part by part; None where a part does not apply or is unknown.

    Attributes:
        total: Weighted sum of the parts; None when a part that applies is unknown.
        match: Right answer.
        judge: Verdict of a judge.
        ocr: Similarity to the pages.
        format: Thoughts, then an answer.
    """

    total: float | None
    match: float | None = None
    judge: float | None = None
    ocr: float | None = None
    format: float | None = None


def score(
    text: str,
    *,
    kind: Literal["match", "ocr", "judge"],
    answers: Sequence[str],
    truth: str,
    weights: RewardsConfig,
    verdict: str | None = None,
) -> Score:
    """Return what a response is worth.

    Transcriptions are worth their similarity; answers are worth being right plus being in form.

    Args:
        text: The response.
        kind: How it is judged.
        answers: What a right answer holds.
        truth: What a transcription should say.
        weights: Weight of each part.
        verdict: Words of the judge; None when there are none.
    """
    if kind == "ocr":
        similarity = ocr_reward(text, truth)
        return Score(None if similarity is None else weights.ocr * similarity, ocr=similarity)
    formed = format_reward(text)
    if kind == "match":
        right, weight = match_reward(text, answers), weights.match
        total = None if right is None else weight * right + weights.format * formed
        return Score(total, match=right, format=formed)
    said = judge_reward(verdict)
    total = None if said is None else weights.judge * said + weights.format * formed
    return Score(total, judge=said, format=formed)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
