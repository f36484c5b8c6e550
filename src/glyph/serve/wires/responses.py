"""OpenAI's Responses: a string, or a list of items; results of functions may hold images."""

from dataclasses import replace

from glyph.serve.rules import Rules
from glyph.serve.spans import Node, quoted
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

USER_BEFORE, USER_AFTER = '{"type": "message", "role": "user", "content": [', "]}"


def write_text(text: str) -> str:
    """Write a part of text."""
    return f'{{"type": "input_text", "text": {quoted(text)}}}'


NAMES = PartNames(("input_text",), write_text)
ALL_NAMES = PartNames(("input_text", "output_text"), write_text)


def sites(source: str, body: Node, rules: Rules) -> list[Site]:
    """Return the texts of a request that may become pages, in order.

    `instructions` are left alone: there is no place near them that takes images.
    """
    given = body.get("input")
    if given is None:
        return []
    if given.text is not None:
        return _string_sites(source, given, rules)
    found: list[Site] = []
    for item in given.items:
        content = item.get("content")
        if item.text_at("type") == "function_call_output" and rules.tools:
            found += _tool_sites(item, rules)
        elif content is not None and item.text_at("role") == "user" and rules.documents:
            found += document_sites(source, content, NAMES, rules, "the user's document")
    if rules.history:
        conversation = [_message(item) for item in given.items if _is_turn(item)]
        found += history_sites(conversation, rules, lambda: (USER_BEFORE, USER_AFTER))
    return sorted(found, key=lambda site: site.insets[0].start)


def _is_turn(item: Node) -> bool:
    return item.text_at("role") not in ("system", "developer")


def _message(item: Node) -> Message:
    content = item.get("content")
    is_plain = only(item, "type", "role", "content") and item.text_at("type") in ("", "message")
    plain = plain_text(content, ALL_NAMES) if is_plain else None
    return Message(item, item.text_at("role"), plain, weight_of(content))


def _string_sites(source: str, given: Node, rules: Rules) -> list[Site]:
    if not rules.documents:
        return []
    found = document_sites(source, given, NAMES, rules, "the user's document")
    return [replace(site, insets=(_in_message(site.insets[0]),)) for site in found]


def _in_message(inset: Inset) -> Inset:
    """Return the edit of a bare string as one of a list of one message."""
    before = f'[{{"type": "message", "role": "user", "content": {inset.before}'
    return Inset(inset.start, inset.end, before, f"{inset.after}}}]")


def _tool_sites(item: Node, rules: Rules) -> list[Site]:
    output = item.get("output")
    text = plain_text(output, NAMES)
    if output is None or text is None or len(text) < rules.min_chars:
        return []
    what = f"the result of tool call {item.text_at('call_id')}"
    return [site_of("tool", text, what, (Inset(output.start, output.end, "[", "]"),))]
