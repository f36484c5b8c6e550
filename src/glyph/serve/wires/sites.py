"""Sites: the places of a request where text may become pages, whatever the wire format.

A site knows its text and the edits that put pages in its place. Where the format has no room for
images (results of tools in Chat Completions, system prompts), a short text points to the message
in which the pages follow.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glyph.serve.rules import Rules, SiteKind, digest_of, holds_secret, split_document
from glyph.serve.spans import Edit, Node

Piece = str | bytes

END_OF_PAGES = "[End of the pages.]"

MAX_REASONS = 50_000
_reasons: dict[bytes, str] = {}

_OURS = re.compile(r"\[(?:Pages of |These were pages? )")
_OUR_MOVED = re.compile(r"\[Pages of the (?:result of tool call|system prompt)")
_OUR_HISTORY = re.compile(r"\[Pages of (\d+) earlier messages ")


@dataclass(frozen=True, slots=True)
class Inset:
    """An edit with room for pages: `before`, then the parts if `has_parts`, then `after`."""

    start: int
    end: int
    before: str
    after: str = ""
    has_parts: bool = True

    def edit(self, parts: Sequence[Piece]) -> Edit:
        """Return the edit with the parts in their place."""
        inner = tuple(parts) if self.has_parts else ()
        return Edit(self.start, self.end, (self.before, *inner, self.after))


@dataclass(frozen=True, slots=True)
class Site:
    """A text of a request that may become pages.

    Attributes:
        kind: What it is.
        text: What would stand on the pages.
        what: The words of the framing: pages 1-3 of 3 of ...
        insets: The edits; exactly one of them has room for the parts.
        keep: Why it stays text whatever it costs; "" when it need not.
        digest: Of the text; computed once, since a warm request does little else with it.
    """

    kind: SiteKind
    text: str
    what: str
    insets: tuple[Inset, ...]
    keep: str
    digest: bytes


def site_of(kind: SiteKind, text: str, what: str, insets: tuple[Inset, ...]) -> Site:
    """Return a site, and whether its text must stay text."""
    digest = digest_of(text)
    return Site(kind, text, what, insets, keep_reason(text, digest), digest)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as history sees it.

    Attributes:
        node: Its place.
        role: Who speaks.
        plain: Its text when it holds nothing else, None otherwise.
        weight: Messages it stands for: 1, or what its framing says when pages stand in for many.
    """

    node: Node
    role: str
    plain: str | None
    weight: int


@dataclass(frozen=True, slots=True)
class PartNames:
    """What a wire calls a part of text and how it writes an image."""

    text_types: tuple[str, ...]
    write_text: Callable[[str], str]
    cache_control: bool = False


def is_ours(text: str) -> bool:
    """Whether a text is framing or sidecar that this gateway wrote."""
    return _OURS.match(text) is not None


def only(node: Node, *keys: str) -> bool:
    """Whether an object has no field with content but these."""
    return all(key in keys or value.is_blank for key, value in node.fields.items())


def document_sites(
    source: str, content: Node, names: PartNames, rules: Rules, what: str
) -> list[Site]:
    """Return the long texts in the content of a user's message.

    Of a lone text, and of the last part, both ends stay text, since the question is in one of
    them. A long part before others is a document as a whole.
    """
    if content.text is not None:
        text = content.text
        if len(text) < rules.min_chars or is_ours(text):
            return []
        head, body, tail = split_document(text)
        before, after = f"[{names.write_text(head)}, ", f", {names.write_text(tail)}]"
        inset = Inset(content.start, content.end, before, after)
        return [site_of("document", body, what, (inset,))]
    sites: list[Site] = []
    texts = [part for part in content.items if part.text_at("type") in names.text_types]
    for part in texts:
        text = part.text_at("text")
        allowed = ("type", "text", "cache_control") if names.cache_control else ("type", "text")
        if len(text) < rules.min_chars or is_ours(text) or not only(part, *allowed):
            continue
        head, body, tail = split_document(text) if part is texts[-1] else ("", text, "")
        before = f"{names.write_text(head)}, " if head else ""
        after = _closing(source, part, tail, names)
        inset = Inset(part.start, part.end, before, after)
        sites.append(site_of("document", body, what, (inset,)))
    return sites


def _closing(source: str, part: Node, tail: str, names: PartNames) -> str:
    """Return what follows the pages: the tail, and the mark that says how far to cache."""
    mark = part.get("cache_control")
    if mark is None:
        return f", {names.write_text(tail)}" if tail else ""
    written = names.write_text(tail or END_OF_PAGES)
    return f', {written[:-1]}, "cache_control": {source[mark.start : mark.end]}}}'


def keep_reason(text: str, digest: bytes) -> str:
    """Return why a text stays text whatever pages cost, "" when it need not; remembered."""
    reason = _reasons.get(digest)
    if reason is None:
        if len(_reasons) >= MAX_REASONS:
            _reasons.clear()
        reason = "secret" if holds_secret(text) else "" if text.strip() else "blank"
        _reasons[digest] = reason
    return reason


def plain_text(content: Node | None, names: PartNames) -> str | None:
    """Return the text of a message's content when it holds nothing else, None otherwise."""
    if content is None:
        return None
    if content.text is not None:
        return content.text
    texts: list[str] = []
    for part in content.items:
        if part.text_at("type") not in names.text_types or not only(part, "type", "text"):
            return None
        texts.append(part.text_at("text"))
    return "\n\n".join(texts) if texts else None


def weight_of(content: Node | None) -> int:
    """Return how many of the client's messages a message stands for.

    One, except for those this gateway wrote: pages of old turns say how many there were, and
    messages made for pages that had no room elsewhere stand for none.
    """
    first = content.items[0] if content is not None and content.items else None
    text = first.text_at("text") if first is not None else ""
    if not is_ours(text):
        return 1
    earlier = _OUR_HISTORY.match(text)
    if earlier:
        return int(earlier[1])
    return 0 if _OUR_MOVED.match(text) else 1


def history_sites(
    messages: Sequence[Message], rules: Rules, write: Callable[[], tuple[str, str]]
) -> list[Site]:
    """Return the old turns that may become pages, in chunks at fixed places.

    Chunk k holds messages k * chunk to (k + 1) * chunk of the conversation, whatever comes later,
    so its pages are made once. Messages with anything but text in them, long documents among
    them, end a run; a run begins with the user and ends with the assistant.

    Args:
        messages: The conversation without system prompts.
        rules: Sizes of chunks.
        write: Returns what stands before and after the parts of a user message.
    """
    total = sum(message.weight for message in messages)
    runs: dict[int, list[list[Message]]] = {}
    place, last_chunk, is_open = 0, -1, False
    for message in messages:
        chunk = place // rules.history_chunk
        place += message.weight
        is_old = (chunk + 1) * rules.history_chunk <= total - rules.history_keep
        is_plain = message.plain is not None and len(message.plain) < rules.min_chars
        if not (is_old and is_plain and message.role in ("user", "assistant")):
            is_open = False
            continue
        of_chunk = runs.setdefault(chunk, [])
        if not is_open or chunk != last_chunk:
            of_chunk.append([])
        of_chunk[-1].append(message)
        last_chunk, is_open = chunk, True
    trimmed = [_whole_turns(run) for of_chunk in runs.values() for run in of_chunk]
    return [site for run in trimmed if (site := _history_site(run, rules, write)) is not None]


def _whole_turns(run: list[Message]) -> list[Message]:
    while run and run[0].role != "user":
        run = run[1:]
    while run and run[-1].role != "assistant":
        run = run[:-1]
    return run


def _history_site(
    run: list[Message], rules: Rules, write: Callable[[], tuple[str, str]]
) -> Site | None:
    text = "\n\n".join(f"{message.role.capitalize()}: {message.plain}" for message in run)
    if len(run) < 2 or len(text) < rules.min_chars:
        return None
    before, after = write()
    inset = Inset(run[0].node.start, run[-1].node.end, before, after)
    what = f"{len(run)} earlier messages of this conversation"
    return site_of("history", text, what, (inset,))
