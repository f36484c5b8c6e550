"""The tools a model is offered, and the desk that answers its calls within a budget."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from glyph.errors import DocumentError
from glyph.serve.expand.shelf import Shelf

READ_PAGE, SEARCH_PAGES = "read_page", "search_pages"
NAMES = frozenset((READ_PAGE, SEARCH_PAGES))
MAX_CALLS_A_ROUND = 16

_DOCUMENT = {
    "type": "string",
    "description": "Name of the document, as it stands behind its pages. May be left out when there"
    " is one only.",
}


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as every wire format describes it.

    Attributes:
        name: Its name.
        description: When to use it, for the model.
        parameters: JSON Schema of its arguments.
    """

    name: str
    description: str
    parameters: dict[str, Any]


def _schema(**properties: Any) -> dict[str, Any]:
    required = [name for name in properties if name != "document"]
    return {"type": "object", "properties": properties, "required": required}


TOOLS = (
    ToolSpec(
        READ_PAGE,
        "Returns the exact text of one page of a document that stands in this conversation as page "
        "images. Use it before quoting a number, name or identifier that is hard to read there.",
        _schema(
            page={"type": "integer", "minimum": 1, "description": "Page number, from 1."},
            document=_DOCUMENT,
        ),
    ),
    ToolSpec(
        SEARCH_PAGES,
        "Finds words in the documents that stand in this conversation as page images, and returns "
        "page numbers with the text around.",
        _schema(query={"type": "string", "description": "Words to find."}, document=_DOCUMENT),
    ),
)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the tools.

    Attributes:
        id: By which its result is told from others.
        name: Of the tool.
        arguments: JSON, as the model wrote it.
    """

    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class Desk:
    """Answers the calls of one request; the shelf is put up with the first of them.

    Attributes:
        open_shelf: Returns the documents.
        max_rounds: Times the model may ask before it has to answer.
        on_call: Told the tool of each call.
        num_rounds: Times it has asked.
        num_calls: Calls that were answered.
    """

    open_shelf: Callable[[], Shelf]
    max_rounds: int
    on_call: Callable[[str], None] = lambda name: None
    num_rounds: int = 0
    num_calls: int = 0
    _shelf: Shelf | None = field(default=None, init=False)

    @property
    def is_exhausted(self) -> bool:
        """Whether the model was told to answer and asked once more."""
        return self.num_rounds > self.max_rounds

    def answer(self, calls: Sequence[ToolCall]) -> list[str]:
        """Return the results of the calls of a round; mistakes are told to the model."""
        self.num_rounds += 1
        if self._shelf is None:
            self._shelf = self.open_shelf()
        results: list[str] = []
        for i, call in enumerate(calls):
            self.on_call(call.name)
            if self.num_rounds > self.max_rounds:
                results.append("No more pages can be read; answer with what you have seen.")
            elif i >= MAX_CALLS_A_ROUND:
                results.append(f"Not more than {MAX_CALLS_A_ROUND} calls at a time; ask again.")
            else:
                self.num_calls += 1
                results.append(_result(self._shelf, call))
        return results


def _result(shelf: Shelf, call: ToolCall) -> str:
    try:
        given: Any = json.loads(call.arguments or "{}")
    except ValueError:
        return "The arguments are no JSON; give an object."
    if not isinstance(given, dict):
        return "The arguments are no JSON object; give one."
    values = cast("dict[str, Any]", given)
    document = str(values.get("document") or "")
    try:
        if call.name == SEARCH_PAGES:
            return shelf.search_pages(str(values.get("query") or ""), document)
        return shelf.read_page(_page_number(values.get("page")), document)
    except DocumentError as error:
        return str(error)


def _page_number(given: Any) -> int:
    try:
        number = float(given)  # some models write 3.0 or "3"
    except (TypeError, ValueError):
        raise DocumentError("give the page as a whole number from 1.") from None
    if number != number // 1 or abs(number) > 1e9:
        raise DocumentError("give the page as a whole number from 1.")
    return int(number)
