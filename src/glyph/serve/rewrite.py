"""Rewrite: a request in, the same request with pages out, and why. Pure.

    body ── read_request ──> Incoming ── page_text for each site ──> rewrite ──> Rewritten

What is not replaced keeps its bytes (see `spans`), so whatever a client sends that is not known
here arrives as it was. Rewriting a rewritten request changes nothing. A growing conversation gets
the same bytes for its beginning again, because each site is decided by its own text, the rules and
the sites before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from glyph.errors import UnknownModelError
from glyph.serve.gate import NO_CACHE, CachePrices, Room, Verdict, cache_prices, judge
from glyph.serve.paging import PagedText, PageSpec, config_for
from glyph.serve.prices import PER, TokenPrices
from glyph.serve.rules import Rules
from glyph.serve.spans import Edit, Node, NotJsonError, parse, splice
from glyph.serve.wires import Wire
from glyph.serve.wires.sites import Piece, Site
from glyph.text_tokens import count_text_tokens
from glyph.tokens import VisionModel, resolve_model

Action = Literal["compressed", "passed", "dry-run", "fallback"]
_IMAGE_TYPES = ("image", "image_url", "input_image")
MAX_MODEL_CHARS = 200


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request, taken apart.

    Attributes:
        source: Its text.
        body: Its JSON; None when it is none.
        wire: Its format.
        model_name: The model it asks for.
        model: The rule for its visual tokens; None when none is known.
        sites: Texts that may become pages.
        reason: Why there can be no pages at all; "" otherwise.
    """

    source: str
    body: Node | None
    wire: Wire
    model_name: str
    model: VisionModel | None
    sites: tuple[Site, ...]
    reason: str

    @property
    def is_stream(self) -> bool:
        """Whether the client asks for a stream."""
        stream = self.body.get("stream") if self.body is not None else None
        return stream is not None and stream.value is True


@dataclass(frozen=True, slots=True)
class Report:
    """What was done to a request, and what it costs; tokens of what travels as pages.

    Attributes:
        action: What was done.
        reason: Why nothing was; "" when something was.
        model: Canonical name of the token rule, "" when unknown.
        verdicts: One for each site.
        prices: Of the provider's prompt cache.
        dollars: For a million input tokens; None when no price is known, and costs are tokens.
        expand: Whether the model may read pages as text: `offered`, or why not; "" when that is
            switched off.
        reads: Pages and searches it has asked for so far.
    """

    action: Action
    reason: str
    model: str = ""
    verdicts: tuple[Verdict, ...] = ()
    prices: CachePrices = NO_CACHE
    dollars: float | None = None
    expand: str = ""
    reads: int = 0

    @property
    def text_tokens(self) -> int:
        """Text tokens of what became pages."""
        return sum(each.text_tokens for each in self.verdicts if each.is_compressed)

    @property
    def page_tokens(self) -> int:
        """Tokens of pages, framing and sidecars."""
        return sum(each.page_tokens for each in self.verdicts if each.is_compressed)

    @property
    def pages(self) -> int:
        """Number of pages."""
        return sum(each.pages for each in self.verdicts if each.is_compressed)

    @property
    def ratio(self) -> float:
        """Text tokens over page tokens; 1 when there are no pages."""
        return self.text_tokens / self.page_tokens if self.page_tokens else 1.0

    def values(self) -> dict[str, Any]:
        """Return what `usage.glyph` says; costs without prices are input tokens at full price."""
        text, pages, prices = self.text_tokens, self.page_tokens, self.prices
        return {
            "action": self.action,
            "reason": self.reason,
            "model": self.model,
            "original_tokens": text,
            "page_tokens": pages,
            "pages": self.pages,
            "ratio": round(self.ratio, 3),
            "cost_unit": "input tokens" if self.dollars is None else "USD",
            "cost_cold": {"text": self._cost(text * prices.write),
                          "pages": self._cost(pages * prices.write)},
            "cost_warm": {"text": self._cost(text * prices.read),
                          "pages": self._cost(pages * prices.read)},
            "texts": [
                {
                    "kind": each.kind,
                    "reason": each.reason,
                    "original_tokens": each.text_tokens,
                    "page_tokens": each.page_tokens,
                    "pages": each.pages,
                    "document": short_key(each.key),
                }
                for each in self.verdicts
            ],
            **({"expand": self.expand, "reads": self.reads} if self.expand else {}),
        }  # fmt: skip

    def _cost(self, tokens: float) -> float:
        return round(tokens) if self.dollars is None else round(tokens * self.dollars / PER, 6)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A request after rewriting.

    Attributes:
        pieces: What to send, behind each other.
        report: What was done.
        documents: What became pages: site and pages, in order.
        edits: What makes the body of the source.
    """

    pieces: tuple[bytes, ...]
    report: Report
    documents: tuple[tuple[Site, PagedText], ...] = ()
    edits: tuple[Edit, ...] = ()

    @property
    def body(self) -> bytes:
        """What to send, in one piece."""
        return b"".join(self.pieces)


def read_request(body: bytes, wire: Wire, rules: Rules) -> Incoming:
    """Take a request apart and find the texts that may become pages."""
    try:
        source = body.decode("utf-8")
        node = parse(source)
    except (UnicodeDecodeError, NotJsonError):
        return Incoming("", None, wire, "", None, (), "not-json")
    name = node.text_at("model")[:MAX_MODEL_CHARS]

    def incoming(
        reason: str, model: VisionModel | None = None, sites: Sequence[Site] = ()
    ) -> Incoming:
        return Incoming(source, node, wire, name, model, tuple(sites), reason)

    if len(source) < rules.min_chars:
        return incoming("short")
    try:
        model = resolve_model(rules.vision_model or name)
    except UnknownModelError:
        return incoming("unknown-model")
    sites = wire.sites(source, node, rules)
    if not sites:
        return incoming("nothing-long", model)
    if all(site.keep for site in sites):
        return incoming(sites[0].keep, model, sites)
    return incoming("", model, sites)


@lru_cache(maxsize=64)
def spec_of(model: VisionModel, rules: Rules) -> PageSpec:
    """Return how pages are made for a model under the rules."""
    return PageSpec(config_for(model.name, rules.preset), model.name, rules.sidecar_share)


def rewrite(
    incoming: Incoming,
    paged: Mapping[str, PagedText],
    rules: Rules,
    *,
    was_pages: Callable[[PagedText], bool] = lambda paged: False,
    was_text: Callable[[PagedText], bool] = lambda paged: False,
    prices: TokenPrices | None = None,
    offer_tokens: int = 0,
    dry_run: bool = False,
) -> Rewritten:
    """Put pages in the place of texts where that pays.

    Args:
        incoming: The request.
        paged: The pages of its sites' texts, by text; a site without is left alone.
        rules: What must be saved, and limits.
        was_pages: Whether the beginning of a text travelled as pages before.
        was_text: Whether a text was sent as text before.
        prices: Of the model's tokens, where they are known.
        offer_tokens: What goes with the first pages, whichever they are: tools to read them.
        dry_run: Decide and report, but send the request as it came.
    """
    model = incoming.model
    if incoming.reason or incoming.body is None or model is None:
        name = model.name if model is not None else ""
        return Rewritten((incoming.source.encode(),), Report("passed", incoming.reason, name))
    has_marks = '"cache_control"' in incoming.source
    cache = cache_prices(model, has_marks=has_marks, given=prices)
    marker = config_for(model.name, rules.preset).newline_marker
    room = _room(incoming.body)
    verdicts: list[Verdict] = []
    chosen: list[tuple[Site, PagedText]] = []
    edits: list[Edit] = []
    for site in incoming.sites:
        pages = paged.get(site.text)
        if site.keep or pages is None:
            verdicts.append(Verdict(site.kind, False, site.keep or "not-paged"))
            continue
        before, after = framing(site, pages, marker)
        tokens = sum(count_text_tokens(text, model.tokenizer) for text in (before, after))
        tokens += 0 if chosen else offer_tokens
        verdict = judge(
            site, pages, tokens - pages.sidecar_tokens, model, rules, cache, room,
            was_pages=was_pages(pages),
            # Old turns have been sent as text until now.
            was_text=site.kind == "history" or was_text(pages),
        )  # fmt: skip
        verdicts.append(verdict)
        if verdict.is_compressed:
            chosen.append((site, pages))
            parts = _parts(before, pages, after, incoming.wire)
            edits += [inset.edit(parts) for inset in site.insets]
    reason = "" if chosen else next(v.reason for v in verdicts)
    action: Action = "passed" if not chosen else "dry-run" if dry_run else "compressed"
    dollars = prices.input if prices is not None else None
    report = Report(action, reason, model.name, tuple(verdicts), cache, dollars)
    is_changed = action == "compressed"
    pieces = splice(incoming.source, edits if is_changed else ())
    return Rewritten(pieces, report, tuple(chosen), tuple(edits))


def framing(site: Site, pages: PagedText, marker: str) -> tuple[str, str]:
    """Return the words before the pages and those after them, with the exact strings.

    They describe and do not command. What changes when a text grows (the number of pages, the
    name of the document, the strings) stands after the pages, so that a prompt cache keeps them.
    """
    mark = f" {marker} marks a line break." if marker else ""
    before = f"[Pages of {site.what} follow as images, beginning with page 1.{mark}]"
    num_pages = len(pages.pages)
    which = "page 1 of 1" if num_pages == 1 else f"pages 1-{num_pages} of {num_pages}"
    after = f"[These were {which} of {site.what}, document {short_key(pages.key)}.]"
    if pages.sidecar:
        after += f"\nExact strings on these pages, as text:\n{pages.sidecar}"
    return before, after


def short_key(key: str) -> str:
    """Return the name under which a document is shown to a model."""
    return key[:16]


def _parts(before: str, pages: PagedText, after: str, wire: Wire) -> list[Piece]:
    head, foot = wire.image_ends
    parts: list[Piece] = [wire.write_text(before)]
    for page in pages.pages:
        parts += [b", " + head, page.base64_png, foot]
    parts.append(f", {wire.write_text(after)}")
    return parts


def _room(body: Node) -> Room:
    """Count the images a client sends itself."""
    room = Room(0, 0)
    stack = [body]
    while stack:
        node = stack.pop()
        if node.text_at("type") in _IMAGE_TYPES:
            room.num_images += 1
            room.num_bytes += (node.end - node.start) * 3 // 4
            continue
        stack += node.fields.values()
        stack += node.items
    return room
