"""OpenAI's Chat Completions: images stand in user messages only."""

from glyph.serve.rules import Rules, split_volatile
from glyph.serve.spans import Node, quoted
from glyph.serve.wires.sites import (
    Inset,
    Message,
    PartNames,
    Site,
    document_sites,
    history_sites,
    is_ours,
    only,
    plain_text,
    site_of,
    weight_of,
)

SYSTEM_ROLES = ("system", "developer")
USER_BEFORE, USER_AFTER = '{"role": "user", "content": [', "]}"


def write_text(text: str) -> str:
    """Write a part of text."""
    return f'{{"type": "text", "text": {quoted(text)}}}'


NAMES = PartNames(("text",), write_text)


def sites(source: str, body: Node, rules: Rules) -> list[Site]:
    """Return the texts of a request that may become pages, in order."""
    messages = body.get("messages")
    items = messages.items if messages is not None else []
    found: list[Site] = []
    for i, message in enumerate(items):
        content = message.get("content")
        role = message.text_at("role")
        if content is None:
            continue
        if role == "user" and rules.documents:
            found += document_sites(source, content, NAMES, rules, "the user's document")
        elif role == "tool" and rules.tools:
            found += _tool_sites(items, i, content, rules)
        elif role in SYSTEM_ROLES and rules.system:
            found += _system_sites(message, content, rules)
    if rules.history:
        found += history_sites(_conversation(items), rules, lambda: (USER_BEFORE, USER_AFTER))
    return sorted(found, key=lambda site: site.insets[0].start)


def _conversation(items: list[Node]) -> list[Message]:
    return [
        Message(
            node=item,
            role=item.text_at("role"),
            plain=plain_text(item.get("content"), NAMES) if only(item, "role", "content") else None,
            weight=weight_of(item.get("content")),
        )
        for item in items
        if item.text_at("role") not in SYSTEM_ROLES
    ]


def _tool_sites(items: list[Node], i: int, content: Node, rules: Rules) -> list[Site]:
    """Return the result of a tool: a pointer in its place, pages behind the last result."""
    text = plain_text(content, NAMES)
    call = items[i].text_at("tool_call_id")
    if text is None or len(text) < rules.min_chars or not call:
        return []
    last = i
    while last + 1 < len(items) and items[last + 1].text_at("role") == "tool":
        last += 1
    end = items[last].end
    what = f"the result of tool call {call}"
    pointer = quoted(f"[The result follows as page images in the next user message: {what}.]")
    insets = (
        Inset(content.start, content.end, pointer, has_parts=False),
        Inset(end, end, f", {USER_BEFORE}", USER_AFTER),
    )
    return [site_of("tool", text, what, insets)]


def _system_sites(message: Node, content: Node, rules: Rules) -> list[Site]:
    text = plain_text(content, NAMES)
    if text is None or is_ours(text):
        return []
    body, volatile = split_volatile(text)
    if len(body) < rules.min_chars:
        return []
    pointer = quoted(system_pointer(volatile))
    insets = (
        Inset(content.start, content.end, pointer, has_parts=False),
        Inset(message.end, message.end, f", {USER_BEFORE}", USER_AFTER),
    )
    return [site_of("system", body, "the system prompt", insets)]


def system_pointer(volatile: str) -> str:
    """Return what stands in the place of a system prompt: where it is, and what changes in it."""
    text = "[The system prompt stands on the page images in the first user message.]"
    return f"{text}\n{volatile}" if volatile else text
