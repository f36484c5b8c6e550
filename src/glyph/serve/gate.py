"""The gate: pages travel only where they are cheaper, fit, and can be read.

Costs are input tokens at the model's full price. A provider that caches prompts bills a cached
token at a fraction of that, and writing the cache may cost more than reading without one; so every
text is judged twice, cold and warm. Turning a text that is already cached as text into pages pays
only if the pages, written once and read after that, are cheaper over the next requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from glyph.serve.paging import PagedText
from glyph.serve.prices import TokenPrices
from glyph.serve.rules import Rules
from glyph.serve.wires.sites import Site
from glyph.tokens import VisionModel


@dataclass(frozen=True, slots=True)
class CachePrices:
    """What a cached prompt token costs, as a share of an input token.

    Attributes:
        read: When the cache has it.
        write: When the cache takes it in.
    """

    read: float
    write: float


NO_CACHE = CachePrices(read=1.0, write=1.0)
_CACHES: Mapping[str, CachePrices] = {
    "claude": CachePrices(read=0.1, write=1.25),
    "gpt-5": CachePrices(read=0.1, write=1.0),
    "gpt-6": CachePrices(read=0.1, write=1.0),
    "gpt-4": CachePrices(read=0.5, write=1.0),
    "o": CachePrices(read=0.5, write=1.0),
    "gemini": CachePrices(read=0.25, write=1.0),
    "grok": CachePrices(read=0.25, write=1.0),
}


def cache_prices(
    model: VisionModel, *, has_marks: bool, given: TokenPrices | None = None
) -> CachePrices:
    """Return the cache prices of a model.

    Models with open weights have none: who serves them pays by the length of the context.

    Args:
        model: The model.
        has_marks: The request says what to cache; Anthropic caches nothing without.
        given: What whoever runs the gateway says instead.
    """
    name = model.name.partition("@")[0]
    if name.startswith("claude") and not has_marks:
        return NO_CACHE
    if given is not None:
        return CachePrices(given.cache_read / given.input, given.cache_write / given.input)
    for prefix, prices in _CACHES.items():
        if name.startswith(prefix) and (prefix != "o" or name[1:2].isdigit()):
            return prices
    return NO_CACHE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one site.

    Attributes:
        kind: Of the site.
        is_compressed: It travels as pages.
        reason: Why not, in one word of the documented list; "" when it does.
        text_tokens: Tokens as text; 0 when it was not paged.
        page_tokens: Tokens of pages, framing and sidecar.
        pages: Number of pages.
        key: Names the pages.
    """

    kind: str
    is_compressed: bool
    reason: str
    text_tokens: int = 0
    page_tokens: int = 0
    pages: int = 0
    key: str = ""


@dataclass(slots=True)
class Room:
    """What a request can still take; one is used up while its sites are judged in order.

    Attributes:
        num_images: Images in the request so far, the client's own among them.
        num_bytes: Their bytes before base64, as far as they are in the request.
        longest_px: Longest side among the pages so far.
    """

    num_images: int
    num_bytes: int
    longest_px: int = 0
    seen: set[str] = field(default_factory=lambda: set[str]())


def judge(
    site: Site,
    paged: PagedText,
    framing_tokens: int,
    model: VisionModel,
    rules: Rules,
    prices: CachePrices,
    room: Room,
    *,
    was_pages: bool,
    was_text: bool,
) -> Verdict:
    """Decide whether a text travels as pages, and take its room if it does.

    Earlier sites are judged first, so that a growing conversation never changes what was decided
    about its beginning.

    Args:
        site: Where the text stands.
        paged: Its pages.
        framing_tokens: Tokens of the words around the pages, the sidecar not counted.
        model: Who will read them.
        rules: What must be saved.
        prices: Of the provider's prompt cache.
        room: What the request can still take.
        was_pages: The beginning of this text travelled as pages before.
        was_text: The text was sent as text before, so a provider may have it cached.
    """
    tokens = paged.visual_tokens + framing_tokens + paged.sidecar_tokens
    text_tokens = paged.text_tokens

    def verdict(reason: str) -> Verdict:
        pages = len(paged.pages)
        return Verdict(site.kind, not reason, reason, text_tokens, tokens, pages, paged.key)

    saving = rules.keep_saving if was_pages else rules.min_saving
    if tokens > (1 - saving) * text_tokens:
        return verdict("unprofitable")
    if was_text and not was_pages and not _pays_when_warm(tokens, text_tokens, prices, rules):
        return verdict("cached-as-text")
    if reason := _no_room(paged, model, rules, room):
        return verdict(reason)
    room.num_images += len(paged.pages)
    room.num_bytes += paged.num_bytes
    room.longest_px = max(room.longest_px, _longest_px(paged))
    return verdict("")


def _pays_when_warm(tokens: int, text_tokens: int, prices: CachePrices, rules: Rules) -> bool:
    """Whether pages that are written once and then read beat a text that is only read."""
    as_pages = tokens * (prices.write + (rules.horizon - 1) * prices.read)
    return as_pages < text_tokens * rules.horizon * prices.read


def _longest_px(paged: PagedText) -> int:
    return max(max(page.width_px, page.height_px) for page in paged.pages)


def _no_room(paged: PagedText, model: VisionModel, rules: Rules, room: Room) -> str:
    """Return why the pages of a text, all of them, do not fit; "" when they do."""
    limits = model.limits
    num_images = room.num_images + len(paged.pages)
    num_bytes = room.num_bytes + paged.num_bytes
    longest_px = max(room.longest_px, _longest_px(paged))
    if any(
        limit is not None and num_images > limit for limit in (limits.max_images, rules.max_images)
    ):
        return "too-many-images"
    totals = (limits.max_request_bytes, rules.max_image_bytes_total)
    largest = max(page.num_bytes for page in paged.pages)
    too_large = limits.max_image_bytes is not None and largest > limits.max_image_bytes
    if too_large or any(limit is not None and num_bytes > limit for limit in totals):
        return "too-many-bytes"
    side_px = limits.max_side_px
    if limits.many_images is not None and num_images > limits.many_images:
        side_px = limits.many_images_max_side_px
    if side_px is not None and longest_px > side_px:
        return "too-large"
    return ""
