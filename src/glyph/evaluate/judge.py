"""A judge: a model that cuts the short answer out of a free response.

The published protocol of MMLongBench-Doc has a model do this before its rules compare; a judge
sees the question and the response, never the true answer.
"""

import re
from dataclasses import dataclass

from glyph.errors import ConfigError, UpstreamError
from glyph.evaluate.document_answers import NOT_ANSWERABLE
from glyph.evaluate.task import Example
from glyph.readers import Reader
from glyph.readers.protocol import TextReader

_FORMS = {
    "Int": "a whole number",
    "Float": "a number",
    "Str": "a few words",
    "List": "a Python list, such as ['a', 'b']",
    "None": "a few words",
}
MAX_TOKENS = 128
_LABEL = re.compile(r"^[\s*`]*(?:(?:extracted|final|short) )?answer\s*:", re.IGNORECASE)
"""What models put before a verdict all the same."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Asks a reader that takes text.

    Attributes:
        name: Of the reader.
    """

    name: str
    _reader: TextReader

    def short_answer(self, example: Example, response: str) -> str:
        """Return the short answer inside a response.

        Raises:
            UpstreamError: The endpoint refused or failed, or gave no verdict.
        """
        form = _FORMS.get(example.category, _FORMS["Str"])
        question = (
            f"The text above is a response to this question: {example.question}\nCut the final "
            f"answer out of it, as {form}, without a word more. If it says "
            f"that the document does not hold the answer, or gives none, write: {NOT_ANSWERABLE}"
        )
        said = self._reader.answer_text(response, question, MAX_TOKENS).text
        verdict = _LABEL.sub("", next(filter(str.strip, said.splitlines()), "")).strip(" \t`*")
        if not verdict:
            raise UpstreamError(f"judge {self.name} gave no verdict; it said {said[:80]!r}.")
        return verdict


def judge_with(reader: Reader) -> Judge:
    """Return the judge that asks a reader.

    Raises:
        ConfigError: The reader takes no text.
    """
    if not isinstance(reader, TextReader):
        raise ConfigError(f"reader '{reader.name}' cannot judge; name openai:MODEL.")
    return Judge(reader.name, reader)
