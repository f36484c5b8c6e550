"""The language model as proposer, against a real server that behaves as servers do."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from json_endpoint import (
    Reply,
    Served,
    answers,
    cuts_off,
    declines,
    drips,
    hangs_up,
    is_slow,
    refuses,
    says,
    sends_bytes,
)
from ruler import TEXT, ruler_fitness

from glyph import ConfigError
from glyph.errors import DocumentError, UpstreamError
from glyph.search.endpoint import Endpoint
from glyph.search.loop import LLM, Budget, Search, Tactics
from glyph.search.operators import mutation
from glyph.search.prompting import CHARS_PER_TOKEN, prompt_for, schema_of
from glyph.search.proposals import offspring_of
from glyph.search.proposer import LlmProposer
from glyph.search.space import Space
from glyph.search.study import Identity, Record, SearchStudy, open_storage
from glyph.search.validation import Question, SetSize
from glyph.search.written import make_judge, written_questions

MakeRecord = Callable[..., Record]
KEY = "sk-canary-0123456789"
RNG = np.random.default_rng(0)
KINDS = ["openai", "anthropic"]


def proposal(parent: int = 0, *, reason: str = "denser", **changes: Any) -> dict[str, Any]:
    return {
        "parent": parent,
        "changes": [{"field": name, "value": value} for name, value in changes.items()],
        "other_parent": None,
        "take": [],
        "reason": reason,
    }


def batch(*proposals: Any) -> dict[str, Any]:
    return {"analysis": "margins are wide", "proposals": list(proposals)}


def endpoint_of(served: Served, kind: str = "openai", timeout_s: float = 5.0) -> Endpoint:
    url = f"{served.url}/v1" if kind == "openai" else served.url
    return Endpoint(f"{kind}:some-model", base_url=url, api_key=KEY, timeout_s=timeout_s)


FAULTS: dict[str, Reply] = {
    "prose": says("I would lower the margins."),
    "truncated": says('{"analysis": "the margins', finish="length"),
    "half an object": says('{"analysis": "the margins", "proposals": [{"par'),
    "a list": says("[1, 2, 3]"),
    "empty": says(""),
    "refusal": declines,
    "429": refuses(429, {"Retry-After": "3600"}),
    "500": refuses(500),
    "401": refuses(401),
    "slow": is_slow(0.8),
    "dripping": drips,
    "cut off": cuts_off,
    "hanging up": hangs_up,
    "not JSON at all": sends_bytes(b"<html>gateway</html>"),
    "another protocol": sends_bytes(b'{"ok": true}'),
    "no proposals": answers({"analysis": "none", "proposals": []}),
    "proposals of another kind": answers({"proposals": "dpi 60"}),
    "nonsense": answers(batch(3, None, [], {"parent": "x"}, {"parent": 0, "changes": "all"},
                              proposal(0, dpi="many"), proposal(0, colour_of_sky=1.0),
                              proposal(99, dpi=60.0), proposal(0, alignment="diagonal"),
                              proposal(0, bold=3))),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_gives_no_proposal_and_is_recorded_without_the_key(
    served: Served, tmp_path: Path, space: Space, record: MakeRecord, fault: str, kind: str
) -> None:
    served.replies[:] = [FAULTS[fault]]
    endpoint = endpoint_of(served, kind, timeout_s=0.4)
    log = tmp_path / "proposals.jsonl"
    proposer = LlmProposer(endpoint, space, log)
    assert proposer.next([record(0, 0.9, 2.0)], RNG) is None
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert events[-1]["event"] == "failed"
    assert events[-1]["reason"]
    assert KEY not in log.read_text()
    # It rests before it asks again.
    asked = len(served.bodies)
    assert proposer.next([record(0, 0.9, 2.0)], RNG) is None
    assert len(served.bodies) == asked


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_answer_becomes_offspring_with_its_reason(
    served: Served, tmp_path: Path, space: Space, record: MakeRecord, kind: str
) -> None:
    crossing = {**proposal(0, margin_y_pt=5.0), "other_parent": 1, "take": ["dpi", "font_family"]}
    served.replies[:] = [answers(batch(proposal(0, margin_x_pt=3.0), crossing))]
    proposer = LlmProposer(endpoint_of(served, kind), space, tmp_path / "log.jsonl")
    records = [record(0, 0.9, 2.0)]
    records.append(record(1, 0.8, 3.0, config=records[0].config.replace(dpi=60)))
    first, second = proposer.next(records, RNG), proposer.next(records, RNG)
    assert first is not None
    assert second is not None
    assert (first.operator, first.parents, first.reason) == (LLM, (0,), "denser")
    assert first.values["margin_x_pt"] == 3.0
    assert (second.parents, second.values["dpi"]) == ((0, 1), 60.0)
    assert len(served.bodies) == 1


def test_the_prompt_holds_space_with_units_results_and_what_was_refused(
    served: Served, tmp_path: Path, space: Space, record: MakeRecord
) -> None:
    served.replies[:] = [answers(batch(proposal(0, dpi="lots"), proposal(0, dpi=61.0)))]
    proposer = LlmProposer(endpoint_of(served), space, tmp_path / "log.jsonl")
    records = [record(0, 0.912, 2.34), record(1, 0.5, 9.87)]
    found = proposer.next(records, RNG)
    assert found is not None
    proposer.refuse(found, "duplicate: its pages were read before")
    said = json.dumps(served.bodies[0])
    assert "dpi: 45 to 300 dpi, step 1 (pixels per inch)" in said
    assert "accuracy 0.912, ratio 2.34" in said
    assert "reason 1" in said
    notes = [note["reason"] for note in proposer.notes() if note["event"] == "refused"]
    later = prompt_for(space, records, notes).text
    assert "dpi is 'lots'; a number" in later
    assert "its pages were read before" in later
    form = served.bodies[0]["response_format"]["json_schema"]
    assert (form["strict"], form["schema"]) == (True, schema_of(space))


def test_a_small_context_gets_a_prompt_that_fits_and_a_schema_typed_by_field(
    served: Served, tmp_path: Path, space: Space, record: MakeRecord
) -> None:
    served.replies[:] = [answers({"proposals": [proposal(0, dpi=500.0), proposal(0, dpi=61.0)]})]
    url = f"{served.url}/v1"
    endpoint = Endpoint("openai:m", base_url=url, api_key=KEY, context_tokens=2_048)
    proposer = LlmProposer(endpoint, space, tmp_path / "log.jsonl")
    records = [record(number, 0.9, 2.0 + number) for number in range(40)]
    assert proposer.next([*records, record(0, 0.9, 2.0)], RNG) is not None
    (body,) = served.bodies
    assert len(body["messages"][1]["content"]) < 0.75 * 2_048 * CHARS_PER_TOKEN
    assert body["max_tokens"] == 512
    item = body["response_format"]["json_schema"]["schema"]["properties"]["proposals"]["items"]
    fields = {
        form["properties"]["field"]["const"]: form["properties"]["value"]
        for form in item["properties"]["changes"]["items"]["anyOf"]
    }
    assert fields["dpi"] == {"type": "number"}
    assert True in fields["crop_width"]["enum"]
    assert set(item["properties"]["parent"]["enum"]) < {r.number for r in records}
    # What had to be bent is told apart from what was usable as it came.
    notes = [(note["is_repaired"], note["changes"]) for note in proposer.notes()]
    assert notes == [(True, {"dpi": 300.0}), (False, {"dpi": 61.0})]


def test_a_context_too_small_to_say_anything_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1024 are needed"):
        Endpoint("openai:m", base_url="http://127.0.0.1:9/v1", context_tokens=100)


def test_models_that_see_images_are_shown_the_densest_and_the_worst(
    served: Served, tmp_path: Path, space: Space, record: MakeRecord
) -> None:
    served.replies[:] = [answers(batch(proposal(0, dpi=61.0)))]
    shown: list[int] = []

    def show(found: Record) -> bytes:
        shown.append(found.number)
        return b"png %d" % found.number

    proposer = LlmProposer(endpoint_of(served), space, tmp_path / "log.jsonl", show)
    proposer.next([record(0, 0.9, 2.0), record(1, 0.8, 4.0), record(2, 0.1, 3.0)], RNG)
    assert shown == [1, 2]
    images = [part for part in served.bodies[0]["messages"][1]["content"] if "image_url" in part]
    urls = [part["image_url"]["url"].removeprefix("data:image/png;base64,") for part in images]
    assert [base64.b64decode(url) for url in urls] == [b"png 1", b"png 2"]


def test_a_server_without_schemas_or_images_is_asked_in_words(
    served: Served, tmp_path: Path, space: Space, record: MakeRecord
) -> None:
    fenced = f"<think>hm</think>\n```json\n{json.dumps(batch(proposal(0, dpi=61.0)))}\n```"
    served.replies[:] = [refuses(400), refuses(400), says(fenced)]
    proposer = LlmProposer(endpoint_of(served), space, tmp_path / "l.jsonl", lambda r: b"png")
    assert proposer.next([record(0, 0.9, 2.0)], RNG) is not None
    assert "response_format" not in served.bodies[2]
    assert "image_url" not in json.dumps(served.bodies[2]["messages"])
    assert "additionalProperties" in served.bodies[2]["messages"][1]["content"]


def test_numbers_in_quotes_and_out_of_range_are_repaired(space: Space, record: MakeRecord) -> None:
    by_number = {0: record(0, 0.9, 2.0)}
    values = offspring_of(proposal(0, dpi="61", grid_px="28", bold="true"), by_number, space).values
    assert (values["dpi"], values["grid_px"], values["bold"]) == (61.0, 28, True)
    assert offspring_of(proposal(0, dpi=9e9), by_number, space).values["dpi"] == 300.0


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("dpi 60", "a proposal is an object"),
        (proposal(5, dpi=60.0), "there is no candidate 5"),
        (proposal(True, dpi=60.0), "there is no candidate True"),
        (proposal(0), "it changes nothing"),
        (proposal(0, sky="blue"), "there is no field 'sky'"),
        (proposal(0, dpi=float("nan")), "dpi is nan"),
        (proposal(0, alignment="diagonal"), "alignment is 'diagonal'; accepted"),
        ({**proposal(0), "changes": [7]}, "a change is an object"),
        (proposal(0, page_width_pt=100.0, margin_x_pt=40.0, columns=4), None),
    ],
)
def test_proposals_of_no_sense_are_refused_with_a_reason(
    space: Space, record: MakeRecord, given: Any, reason: str | None
) -> None:
    by_number = {0: record(0, 0.9, 2.0)}
    if reason is None:
        offspring_of(given, by_number, space)
    else:
        with pytest.raises(ConfigError, match=reason):
            offspring_of(given, by_number, space)


def test_what_was_measured_before_is_refused_by_the_history(
    served: Served, tmp_path: Path, space: Space, record: MakeRecord
) -> None:
    served.replies[:] = [answers(batch(proposal(0, margin_x_pt=1.0)))]
    proposer = LlmProposer(endpoint_of(served), space, tmp_path / "log.jsonl")
    assert proposer.next([record(0, 0.9, 2.0), record(1, 0.9, 2.1)], RNG) is None
    assert "duplicate of candidate 1" in (tmp_path / "log.jsonl").read_text()


VALID = answers(batch(*(proposal(0, dpi=float(d)) for d in range(60, 72))))
CASES: dict[str, Reply] = {
    "valid": VALID,
    "malformed": FAULTS["prose"],
    "slow": FAULTS["slow"],
    "refusing": declines,
    "429": FAULTS["429"],
    "truncated": FAULTS["truncated"],
    "nonsense values": FAULTS["nonsense"],
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_search_ends_well_whatever_the_endpoint_does(
    served: Served, tmp_path: Path, space: Space, case: str
) -> None:
    served.replies[:] = [CASES[case]]
    fitness = ruler_fitness(tmp_path)
    study = SearchStudy(
        open_storage(tmp_path), space, Identity("s", "v", "ruler", "m"), str(tmp_path)
    )
    proposer = LlmProposer(endpoint_of(served, timeout_s=0.4), space, tmp_path / "log.jsonl")
    tactics = Tactics(4, {"mutation": mutation}, with_seeds=False, pool=1)
    search = Search(study, space, fitness, proposer=proposer, tactics=tactics)
    records = list(search.run(Budget(10, patience=None)))
    assert len(records) == 10
    assert served.bodies
    by_llm = [found for found in records if found.operator == LLM]
    assert bool(by_llm) == (case == "valid")
    assert len({found.config for found in records}) == 10


# -- questions and verdicts ------------------------------------------------------------------


def test_written_questions_are_kept_and_only_those_whose_answer_stands_in_the_text(
    served: Served, tmp_path: Path
) -> None:
    cut = "the"
    items = [{"question": "Which?", "answer": cut}, {"question": "Who?", "answer": "Napoleon"}, 7]
    served.replies[:] = [answers({"questions": items})]
    kept, size = tmp_path / "questions.json", SetSize(2, 200)
    found = written_questions([TEXT], endpoint_of(served), kept, size=size, seed=0)
    asked = [question for passage in found.passages for question in passage.questions]
    assert {question.text for question in asked} == {"Which?"}
    again = written_questions([TEXT], endpoint_of(served), kept, size=size, seed=0)
    assert again == found
    assert len(served.bodies) == 2


def test_a_writer_without_usable_questions_is_an_error_that_can_be_tried_again(
    served: Served, tmp_path: Path
) -> None:
    served.replies[:] = [answers({"questions": []})]
    kept = tmp_path / "questions.json"
    with pytest.raises(DocumentError, match="wrote no question"):
        written_questions([TEXT], endpoint_of(served), kept, size=SetSize(1, 200), seed=0)
    assert not kept.exists()


def test_the_judge_decides_once_for_each_answer_and_words_decide_where_it_fails(
    served: Served,
) -> None:
    served.replies[:] = [answers({"correct": True}), refuses(401)]
    judge = make_judge(endpoint_of(served))
    question = Question("written", "Who?", ("Ann Lee",), "contains")
    assert judge(question, "the lady of the house") == 1.0
    assert judge(question, "the lady of the house") == 1.0
    assert len(served.bodies) == 1
    assert judge(question, "It was Ann Lee.") == 1.0
    assert judge(question, "Bob") == 0.0
    assert judge(question, " ") == 0.0


@pytest.mark.parametrize(
    ("spec", "message"),
    [("gpt", "no language model"), ("openai:", "no language model"), ("ocr:x", "no language")],
)
def test_names_that_are_no_model_are_refused(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Endpoint(spec, base_url="http://127.0.0.1:9/v1")


def test_a_vendor_without_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for kind in KINDS:
        with pytest.raises(ConfigError, match="no key for"):
            Endpoint(f"{kind}:m")


def test_an_endpoint_that_is_not_there_is_one_sentence() -> None:
    endpoint = Endpoint("openai:m", base_url="http://127.0.0.1:9/v1", api_key=KEY)
    with pytest.raises(UpstreamError, match=r"openai:m at 127\.0\.0\.1:9 failed") as raised:
        endpoint.ask("s", "p", {})
    assert "\n" not in str(raised.value)
