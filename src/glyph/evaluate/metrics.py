"""Metrics: from an answer and what is accepted to a score between 0 and 1.

Every metric is a function of an `Example` and the text answered. Those of LongBench give the same
numbers as its released code (and lm-eval's copy of it); its summaries and Chinese answers need the
packages `rouge` and `jieba`, which the extra `evaluate` installs.
"""

import difflib
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from glyph.errors import ReaderError
from glyph.evaluate.document_answers import document_answer_score
from glyph.evaluate.task import Example

Metric = Callable[[Example, str], float]

_CHINESE_MARKS = (
    "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃》「」『』【】〔〕"
    "〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏."
)
_CONTROL = re.compile("[\x00-\x1f]")


def score(example: Example, answer: str) -> float:
    """Return how right an answer is, from 0 to 1."""
    return METRICS[example.metric](example, answer)


# -- RULER -----------------------------------------------------------------------------------


def contains_all(example: Example, answer: str) -> float:
    """Return the share of the accepted strings that the answer holds, letter case aside.

    Source:
        RULER, `string_match_all`.
    """
    said = _CONTROL.sub("\n", answer).lower()
    return sum(each.lower() in said for each in example.answers) / len(example.answers)


def contains_any(example: Example, answer: str) -> float:
    """Return 1 when the answer holds one of the accepted strings, letter case aside.

    Source:
        RULER, `string_match_part`. lm-eval 0.4.13 gives the share of accepted strings instead.
    """
    said = _CONTROL.sub("\n", answer).lower()
    return float(any(each.lower() in said for each in example.answers))


# -- MRCR ------------------------------------------------------------------------------------


def prefixed_ratio(example: Example, answer: str) -> float:
    """Return how alike answer and truth are, or 0 when the required prefix does not lead.

    Source:
        MRCR of OpenAI, `grade`: the ratio of difflib's `SequenceMatcher`, prefixes removed.
    """
    if not answer.startswith(example.prefix):
        return 0.0
    truth = example.answers[0].removeprefix(example.prefix)
    return difflib.SequenceMatcher(None, answer.removeprefix(example.prefix), truth).ratio()


# -- transcription ---------------------------------------------------------------------------


def character_accuracy(example: Example, answer: str) -> float:
    """Return 1 less the character error rate, at least 0; runs of white space count as one blank.

    The rate is the Levenshtein distance over the length of the truth. A line break of the answer
    is free where the truth has a blank or nothing: pages wrap lines at blanks, after hyphens and
    between ideographs, and what is read aloud does not say which.
    """
    from glyph.probe import alignment

    truth = " ".join(example.answers[0].split())
    lines = (" ".join(line.split()) for line in answer.splitlines())
    read = "\n".join(line for line in lines if line)[: 3 * len(truth)]
    wrong = sum(
        not (said == "\n" and meant in ("", " ")) for _, meant, said in alignment(truth, read)
    )
    return max(1.0 - wrong / len(truth), 0.0)


def edit_distance(one: str, other: str) -> int:
    """Return the fewest characters to replace, add or leave out (Levenshtein 1966).

    Example:
        >>> edit_distance("kitten", "sitting")
        3
    """
    from glyph.probe import alignment

    return len(alignment(one, other)) if one or other else 0


# -- LongBench -------------------------------------------------------------------------------


def best_of(single: Callable[[str, str], float]) -> Metric:
    """Return the metric that takes the best score over the accepted answers."""

    def metric(example: Example, answer: str) -> float:
        return max((single(answer, each) for each in example.answers), default=0.0)

    return metric


def normalized(text: str) -> str:
    """Return a text in lower case, without punctuation and articles, blanks as one.

    Example:
        >>> normalized("The  quick, brown fox!")
        'quick brown fox'
    """
    bare = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def token_f1(answer: Iterable[str], truth: Iterable[str]) -> float:
    """Return the harmonic mean of precision and recall over tokens, counted with repetition."""
    said, wanted = Counter(answer), Counter(truth)
    common = (said & wanted).total()
    if not common:
        return 0.0
    precision, recall = common / said.total(), common / wanted.total()
    return 2 * precision * recall / (precision + recall)


def word_f1(answer: str, truth: str) -> float:
    """Return the F1 of normalised words (SQuAD; LongBench `qa_f1_score`)."""
    return token_f1(normalized(answer).split(), normalized(truth).split())


def chinese_f1(answer: str, truth: str) -> float:
    """Return the F1 of Chinese words (LongBench `qa_f1_zh_score`)."""
    return token_f1(_chinese_words(answer), _chinese_words(truth))


def _chinese_words(text: str) -> list[str]:
    marks = set(string.punctuation + _CHINESE_MARKS)
    words = (
        "".join("".join(char for char in word.lower() if char not in marks).split())
        for word in _segmented(text)
    )
    return [word for word in words if word]


@cache
def _optional(package: str) -> Any:
    try:
        module = import_module(package)
    except ImportError:
        raise ReaderError(
            f"this metric needs the package '{package}'; install it with: "
            "pip install 'glyph-context[evaluate]'"
        ) from None
    if package == "jieba":
        module.setLogLevel(60)
    return module


def _segmented(text: str) -> list[str]:
    return list(_optional("jieba").cut(text, cut_all=False))


def rouge_l(answer: str, truth: str) -> float:
    """Return the F of ROUGE-L as the package `rouge` computes it (LongBench `rouge_score`)."""
    # The package refuses texts without words, which share nothing.
    if not answer.strip(" .") or not truth.strip(" ."):
        return 0.0
    rouge: Any = _optional("rouge").Rouge(metrics=["rouge-l"])
    return float(rouge.get_scores([answer], [truth])[0]["rouge-l"]["f"])


def rouge_l_chinese(answer: str, truth: str) -> float:
    """Return ROUGE-L over Chinese words (LongBench `rouge_zh_score`)."""
    return rouge_l(" ".join(_segmented(answer)), " ".join(_segmented(truth)))


def classified(example: Example, answer: str) -> float:
    """Return 1 over the number of classes named, if the right one is (`classification_score`)."""
    return max((_class_score(answer, each, example.choices) for each in example.answers), default=0)


def _class_score(answer: str, truth: str, classes: Sequence[str]) -> float:
    named = [each for each in classes if each in answer]
    # The released code removes from the list it walks over, which skips the next one; so here.
    for each in named:
        if each in truth and each != truth:
            named.remove(each)
    return 1.0 / len(named) if truth in named else 0.0


def counted(answer: str, truth: str) -> float:
    """Return the share of the numbers said that are right (`count_score`)."""
    numbers = re.findall(r"\d+", answer)
    return sum(each == truth for each in numbers) / len(numbers) if numbers else 0.0


def retrieved(answer: str, truth: str) -> float:
    """Return the share of the numbers said that name the paragraph (`retrieval_score`)."""
    number = re.search(r"(?:Paragraph |段落)(\d+)", truth)
    return counted(answer, number[1]) if number else 0.0


def code_similarity(answer: str, truth: str) -> float:
    """Return how alike the first line of code is to the truth (`code_sim_score`).

    Source:
        LongBench with fuzzywuzzy's `ratio` on top of difflib, rounded to a percent as there.
    """
    lines = (
        line
        for line in answer.split("\n")
        if line.strip() and not any(mark in line for mark in ("`", "#", "//"))
    )
    line = next(lines, "")
    if not line or not truth:
        return 0.0
    return round(100 * difflib.SequenceMatcher(None, line, truth).ratio()) / 100


# -- multiple choice -------------------------------------------------------------------------


def chosen_letter(example: Example, answer: str) -> float:
    """Return 1 when the letter chosen is the right one (LongBench v2's rule, then the last one)."""
    return float(letter_of(answer, example.choices) == example.answers[0])


def letter_of(answer: str, choices: Sequence[str]) -> str | None:
    """Return the letter that an answer chooses, or None.

    Example:
        >>> letter_of("**The correct answer is (B)**.", "ABCD")
        'B'
    """
    said = answer.replace("*", "")
    letters = "".join(choices)
    match = re.search(rf"[Tt]he correct answer is \(?([{letters}])\b\)?", said)
    if match is None:
        match = re.fullmatch(rf"\s*\(?([{letters}])\)?[.:]?(?:\s.*)?", said, re.DOTALL)
    return match[1] if match else None


def first_line(metric: Metric) -> Metric:
    """Return a metric that looks at the first line of an answer only, as LongBench's release does
    for its few-shot tasks."""

    def shortened(example: Example, answer: str) -> float:
        return metric(example, answer.lstrip("\n").split("\n")[0])

    return shortened


METRICS: dict[str, Metric] = {
    "contains_all": contains_all,
    "contains_any": contains_any,
    "prefixed_ratio": prefixed_ratio,
    "character_accuracy": character_accuracy,
    "word_f1": best_of(word_f1),
    "chinese_f1": best_of(chinese_f1),
    "rouge_l": best_of(rouge_l),
    "rouge_l_chinese": best_of(rouge_l_chinese),
    "first_line_word_f1": first_line(best_of(word_f1)),
    "first_line_rouge_l": first_line(best_of(rouge_l)),
    "first_line_classified": first_line(classified),
    "counted": best_of(counted),
    "retrieved": best_of(retrieved),
    "code_similarity": best_of(code_similarity),
    "chosen_letter": chosen_letter,
    "document_answer": lambda example, answer: document_answer_score(
        example.answers[0], answer, example.category
    ),
}
