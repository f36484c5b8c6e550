"""The offer: which requests carry the tools, and what stands on the shelf behind them."""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache

from glyph.serve.expand.loop import DIALECTS
from glyph.serve.expand.shelf import Shelf, volume_of
from glyph.serve.expand.tools import TOOLS, Desk
from glyph.serve.rewrite import Incoming, Rewritten, short_key
from glyph.serve.spans import Edit, NotJsonError, parse, quoted, splice
from glyph.text_tokens import count_text_tokens
from glyph.tokens import VisionModel

MAX_REMEMBERED = 1_000


@lru_cache(maxsize=64)
def _offer_tokens(tokenizer: str) -> int:
    return count_text_tokens(json.dumps([asdict(spec) for spec in TOOLS]), tokenizer)


@dataclass(slots=True)
class Expander:
    """Offers the tools with requests whose texts became pages.

    Attributes:
        max_rounds: Times a model may ask for pages before it has to answer.
    """

    max_rounds: int = 8
    _kept_as: OrderedDict[str, str] = field(default_factory=lambda: OrderedDict[str, str]())
    _refusing: OrderedDict[tuple[str, str], None] = field(
        default_factory=lambda: OrderedDict[tuple[str, str], None]()
    )

    def offered(
        self, incoming: Incoming, done: Rewritten, upstream: str
    ) -> tuple[bytes, ...] | str:
        """Return the request with the tools, or in one word why it is sent without."""
        assert incoming.body is not None
        if (upstream, incoming.model_name) in self._refusing:
            return "refused"
        edit = DIALECTS[incoming.wire.name].offer(incoming.body)
        if isinstance(edit, str):
            return edit
        return splice(incoming.source, [*done.edits, edit])

    def num_tokens(self, model: VisionModel) -> int:
        """Return what offering the tools costs."""
        return _offer_tokens(model.tokenizer)

    def refused(self, upstream: str, model: str) -> None:
        """Remember that an upstream takes no tools with a model."""
        self._refusing[upstream, model] = None
        while len(self._refusing) > MAX_REMEMBERED:
            self._refusing.popitem(last=False)

    def renamed(self, known: str, kept: str) -> None:
        """Remember the last round of a stored answer; the first is the one its client knows."""
        self._kept_as[known] = kept
        while len(self._kept_as) > MAX_REMEMBERED:
            self._kept_as.popitem(last=False)

    def resumed(self, pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Return a request that goes on from such an answer as one that goes on from its end."""
        if not self._kept_as or b'"previous_response_id"' not in (body := b"".join(pieces)):
            return pieces
        try:
            text = body.decode()
            name = parse(text).get("previous_response_id")
        except (UnicodeDecodeError, NotJsonError):
            return pieces
        kept = self._kept_as.get(name.text or "") if name is not None else None
        if name is None or kept is None:
            return pieces
        return splice(text, [Edit(name.start, name.end, (quoted(kept),))])

    def desk(self, done: Rewritten, on_call: Callable[[str], None]) -> Desk:
        """Return what answers the calls of one request, and tells each one's tool."""
        documents = done.documents

        def shelf() -> Shelf:
            return Shelf(
                tuple(
                    volume_of(
                        short_key(paged.key), site.what, site.text, [p.start for p in paged.pages]
                    )
                    for site, paged in documents
                )
            )

        return Desk(shelf, self.max_rounds, on_call)
