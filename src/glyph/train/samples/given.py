"""Families whose questions and responses come from files."""

import re
from typing import Any, cast

from glyph.train.samples import records, wording
from glyph.train.samples.desk import Desk, Made
from glyph.train.samples.sources import record_of

_SENTENCE = re.compile(r"[^.!?。！？\n]+(?:[.!?。！？]+|\n|$)")


def squad(desk: Desk) -> Made | None:
    """Ask a question about a passage that stands among other texts."""
    place = desk.pick(desk.passages)
    desk.documents.insert(0, place.document)
    passages = cast("list[dict[str, Any]]", record_of(place)["passages"])
    passage = desk.pick(passages)
    if not passage["questions"]:
        return None
    asked = cast("dict[str, str]", desk.pick(passage["questions"]))
    context = desk.look.text(passage["context"])
    planted = desk.planted([context], "line")
    shown = desk.show(planted[0]) if planted else None
    if shown is None:
        return None
    question, answer = desk.look.text(asked["question"]), desk.look.text(asked["answer"])
    answer = answer or wording.NOT_THERE
    told = next((s.strip() for s in _SENTENCE.findall(context) if answer in s), "")
    trace = told or f"Nothing on the pages answers: {question}"
    return desk.answered((shown,), question, trace, answer, reward="judge")


def instruct(desk: Desk) -> Made | None:
    """Follow an instruction about a text; the response is taken as it is, thoughts included."""
    place = desk.pick(desk.triples)
    desk.documents.insert(0, place.document)
    fields = record_of(place)
    shown = desk.show(desk.look.text(records.plain(records.field(fields, "context"))))
    if shown is None:
        return None
    prompt = desk.look.text(records.plain(records.field(fields, "instruction")))
    response = desk.look.text(records.field(fields, "response"))
    answer = re.sub(r"\A\s*<think>.*?</think>\s*", "", response, flags=re.DOTALL)
    return Made((shown,), desk.asked(prompt), response, (answer,), "judge")
