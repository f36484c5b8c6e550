"""The scoring rules of MMLongBench-Doc: numbers, strings and lists taken out of documents.

The published protocol first lets a model cut the short answer out of a free response, then
compares by these rules. Without such a judge, `short_answer` cuts by rule.

Source:
    Ma et al. 2024 (arXiv:2407.01523), appendix; the released `eval_score.py`. Deviation: the
    number of answers in a list may come as JSON or separated by commas.
"""

import ast
import re
from math import isclose
from typing import Any, cast

NOT_ANSWERABLE = "Not answerable"
ANLS_FLOOR = 0.5

_REFUSAL = re.compile(
    r"not answerable|unanswerable|cannot be (?:answered|determined)|"
    r"not (?:found|mentioned|provided|stated|given|available)|"
    r"do(?:es)? not (?:hold|contain|mention|provide|state|give|include)|"
    r"no (?:answer|information|mention)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_UNITS = ("miles", "mile", "million")
_IS_EXACT = re.compile(
    r"https?://|\.(?:py|ipynb)$|^page|^\d+(?:-\d+|\s\d+)?$|^(?:a\.m\.|p\.m\.)|[\w.]+@[\w.]+\.\w+|"
    r"\d{4}[-\s]\d{2}"
)


def is_refusal(answer: str) -> bool:
    """Whether an answer says that the pages do not hold it."""
    return not answer.strip() or _REFUSAL.search(answer) is not None


def short_answer(response: str, form: str) -> str:
    """Return the short answer inside a free response, by rule.

    Args:
        response: What a reader said.
        form: `Int`, `Float`, `Str`, `List` or `None`.

    Example:
        >>> short_answer("About 1,204 people were asked.", "Int")
        '1204'
    """
    if is_refusal(response):
        return NOT_ANSWERABLE
    if form in ("Int", "Float"):
        number = _NUMBER.search(response)
        if number is None:
            return response.strip()
        percent = "%" if response[number.end() : number.end() + 1] == "%" else ""
        return number.group().replace(",", "") + percent
    if form == "List":
        listed = re.search(r"\[.*\]", response, re.DOTALL)
        return listed.group() if listed else response.strip()
    return response.strip().rstrip(".")


def document_answer_score(truth: str, response: str, form: str) -> float:
    """Return 1 or 0, or for strings how alike they are, of a response to a question.

    Args:
        truth: As the data gives it.
        response: Free text; the short answer is cut out of it by rule.
        form: `Int`, `Float`, `Str`, `List` or `None`.
    """
    said = short_answer(response, form)
    if form == "Int":
        return float(_integer(said) == _integer(truth) is not None)
    if form == "Float":
        wanted, given = _float(truth), _float(said)
        return float(wanted is not None and given is not None and _is_close(wanted, given))
    if form == "List":
        return _list_score(_listed(truth), _listed(said))
    return _string_score(_clean(truth), _clean(said))


def _clean(text: object) -> str:
    cleaned = str(text).lower().strip()
    for unit in _UNITS:
        cleaned = cleaned.removesuffix(unit).strip()
    cleaned = re.sub(r"\s*\([^)]*\)", "", cleaned).strip()
    cleaned = re.sub(r"^['\"]|['\"]$", "", cleaned).strip()
    return cleaned.lstrip("$").rstrip("%").strip()


def _float(text: object) -> float | None:
    try:
        return float(_clean(text))
    except ValueError:
        return None


def _integer(text: str) -> int | None:
    try:
        return int(float(text.replace(",", "")))
    except (ValueError, OverflowError):
        return None


def _is_close(truth: float, given: float) -> bool:
    """Whether two numbers agree to a percent; a share may be given in percent or the reverse."""
    return any(isclose(each, given, rel_tol=0.01) for each in (truth / 100, truth, truth * 100))


def _string_score(truth: str, said: str) -> float:
    if _IS_EXACT.search(truth):
        return float(truth == said)
    return _similarity(truth, said)


def _similarity(truth: str, said: str) -> float:
    """Return the normalised Levenshtein similarity, 0 at or below the floor (ANLS)."""
    from glyph.probe import alignment

    longest = max(len(truth), len(said))
    if not longest:
        return 1.0
    alike = 1.0 - len(alignment(truth, said[: 3 * len(truth) + 64])) / longest
    return alike if alike > ANLS_FLOOR else 0.0


def _listed(text: str) -> list[str]:
    if text.startswith("["):
        read: Any
        try:
            read = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            read = text.strip("[]").split(",")
        return (
            [str(each) for each in cast("list[Any]", read)]
            if isinstance(read, list)
            else [str(read)]
        )
    return [each for each in text.split(",") if each.strip()] or [text]


def _list_score(truth: list[str], said: list[str]) -> float:
    if len(truth) != len(said):
        return 0.0
    wanted, given = sorted(map(_clean, truth)), sorted(map(_clean, said))
    if _float(wanted[0]) is not None or _IS_EXACT.search(wanted[0]):
        return float(wanted == given)
    return min(map(_similarity, wanted, given))


def generalised_f1(truths: list[str], said: list[str], scores: list[float]) -> float:
    """Return the benchmark's F1: recall over answerable questions, precision over answers given.

    Args:
        truths: True answers.
        said: Short answers.
        scores: One for each, 0 to 1.
    """
    wanted = [score for truth, score in zip(truths, scores, strict=True) if truth != NOT_ANSWERABLE]
    given = [score for each, score in zip(said, scores, strict=True) if each != NOT_ANSWERABLE]
    recall = sum(wanted) / len(wanted) if wanted else 0.0
    precision = sum(given) / len(given) if given else 0.0
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0
