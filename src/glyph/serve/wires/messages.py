"""Anthropic's Messages: images stand in user messages and in results of tools."""

from glyph.serve.rules import Rules, split_volatile
from glyph.serve.spans import Node, quoted
from glyph.serve.wires.chat import USER_AFTER, USER_BEFORE, system_pointer
from glyph.serve.wires.sites import (
    Inset,
    Message,
    PartNames,
    Site,
    document_sites,
    history_sites,
    only,
    plain_text,
    site_of,
    weight_of,
)


def write_text(text: str) -> str:
    """Write a part of text."""
    return f'{{"type": "text", "text": {quoted(text)}}}'


NAMES = PartNames(("text",), write_text, cache_control=True)


def sites(source: str, body: Node, rules: Rules) -> list[Site]:
    """Return the texts of a request that may become pages, in order."""
    messages = body.get("messages")
    items = messages.items if messages is not None else []
    found: list[Site] = []
    if rules.system and items:
        found += _system_sites(body, items[0], rules)
    for message in items:
        content = message.get("content")
        if content is None or message.text_at("role") != "user":
            continue
        if rules.documents:
            found += document_sites(source, content, NAMES, rules, "the user's document")
        if rules.tools:
            for part in content.items:
                found += _tool_sites(part, rules)
    if rules.history:
        conversation = [
            Message(
                node=item,
                role=item.text_at("role"),
                plain=plain_text(item.get("content"), NAMES)
                if only(item, "role", "content")
                else None,
                weight=weight_of(item.get("content")),
            )
            for item in items
        ]
        found += history_sites(conversation, rules, lambda: (USER_BEFORE, USER_AFTER))
    return sorted(found, key=lambda site: site.insets[-1].start)


def _tool_sites(part: Node, rules: Rules) -> list[Site]:
    """Return the result of a tool; a failed one stays text, since images are refused there."""
    content = part.get("content")
    text = plain_text(content, NAMES)
    failed = part.get("is_error")
    if part.text_at("type") != "tool_result" or content is None or text is None:
        return []
    if len(text) < rules.min_chars or (failed is not None and failed.value is True):
        return []
    what = f"the result of tool call {part.text_at('tool_use_id')}"
    inset = Inset(content.start, content.end, "[", "]")
    return [site_of("tool", text, what, (inset,))]


def _system_sites(body: Node, first: Node, rules: Rules) -> list[Site]:
    """Return the system prompt, whose pages travel at the head of the conversation."""
    content = body.get("system")
    text = plain_text(content, NAMES)
    if content is None or text is None:
        return []
    fixed, volatile = split_volatile(text)
    if len(fixed) < rules.min_chars:
        return []
    insets = (
        Inset(content.start, content.end, quoted(system_pointer(volatile)), has_parts=False),
        Inset(first.start, first.start, USER_BEFORE, f"{USER_AFTER}, "),
    )
    return [site_of("system", fixed, "the system prompt", insets)]
