"""The study and the loop: claims, resuming, convergence, choosing."""

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from ruler import ruler_fitness

from glyph import ConfigError, RenderConfig
from glyph.errors import ReaderError, UpstreamError
from glyph.presets import load_preset
from glyph.search.bandit import Outcome, choose
from glyph.search.choosing import Wish, choose_best, write_choice
from glyph.search.fitness import Fitness
from glyph.search.loop import Budget, Search, Tactics, front_of, is_converged, outcomes, volumes
from glyph.search.operators import Offspring
from glyph.search.readings import Readings
from glyph.search.space import Space
from glyph.search.study import Identity, Record, SearchStudy, open_storage
from glyph.search.surrogate import Surrogate, features

MakeRecord = Callable[..., Record]
IDENTITY = Identity("space", "validation", "ocr", "glm-4.1v")
OFFSPRING = Offspring({}, "mutation", (), "a reason")


def study_in(folder: Path, space: Space, identity: Identity = IDENTITY) -> SearchStudy:
    return SearchStudy(open_storage(folder), space, identity, str(folder))


def test_records_come_back_as_they_were(tmp_path: Path, space: Space, record: MakeRecord) -> None:
    study = study_in(tmp_path, space)
    made = record(0, 0.9, 3.0)
    claim = study.claim(OFFSPRING, made.config, "key", 10)
    assert claim is not None
    kept = study.finish(claim, made.measured)
    assert study_in(tmp_path, space).records() == [kept]
    assert (kept.measured, kept.config) == (made.measured, made.config)


def test_two_studies_on_one_journal_never_claim_the_same_pages(
    tmp_path: Path, space: Space
) -> None:
    one, two = study_in(tmp_path, space), study_in(tmp_path, space)
    assert one.claim(OFFSPRING, RenderConfig(), "key", None) is not None
    assert two.claim(OFFSPRING, RenderConfig(), "key", None) is None
    assert two.claim(OFFSPRING, RenderConfig(dpi=80), "other", None) is not None
    assert one.taken() == {"key", "other"}


def test_a_budget_is_not_overdrawn_by_a_late_claim(tmp_path: Path, space: Space) -> None:
    study = study_in(tmp_path, space)
    assert study.claim(OFFSPRING, RenderConfig(), "a", 1) is not None
    assert study.claim(OFFSPRING, RenderConfig(dpi=80), "b", 1) is None
    assert study.taken() == {"a"}


def test_a_claim_of_a_dead_process_is_given_up_and_of_a_living_one_kept(
    tmp_path: Path, space: Space
) -> None:
    study = study_in(tmp_path, space)
    living = study.claim(OFFSPRING, RenderConfig(), "living", None)
    study._worker = study._worker.rpartition(":")[0] + ":999999999"
    dead = study.claim(OFFSPRING, RenderConfig(dpi=80), "dead", None)
    assert living is not None
    assert dead is not None
    again = study_in(tmp_path, space)
    assert again.taken() == {"living"}
    assert again.claim(OFFSPRING, RenderConfig(dpi=80), "dead", None) is not None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"space": "x"}, "another search space"),
        ({"validation": "x"}, "other texts or questions"),
        ({"reader": "x"}, "reader ocr"),
        ({"model": "x"}, "tokens of glm-4.1v"),
    ],
)
def test_another_study_is_refused_and_nothing_is_changed(
    tmp_path: Path, space: Space, changed: dict[str, str], message: str
) -> None:
    study_in(tmp_path, space)
    before = (tmp_path / "study.journal").read_bytes()
    with pytest.raises(ConfigError, match=f"{message}.*Nothing was changed"):
        study_in(tmp_path, space, replace(IDENTITY, **changed))
    assert (tmp_path / "study.journal").read_bytes() == before


def test_a_file_that_is_no_journal_is_refused_and_kept(tmp_path: Path, space: Space) -> None:
    path = tmp_path / "study.journal"
    path.write_text("dear diary\nit rained\n")
    with pytest.raises(ConfigError, match=r"no journal of a study|cannot open the storage"):
        study_in(tmp_path, space)
    assert path.read_text() == "dear diary\nit rained\n"


def test_a_database_keeps_a_study_too(tmp_path: Path, space: Space, record: MakeRecord) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = SearchStudy(open_storage(tmp_path, url), space, IDENTITY, url)
    made = record(0, 0.9, 3.0)
    claim = study.claim(OFFSPRING, made.config, "key", None)
    assert claim is not None
    kept = study.finish(claim, made.measured)
    assert SearchStudy(open_storage(tmp_path, url), space, IDENTITY, url).records() == [kept]


def test_passwords_of_databases_are_not_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        open_storage(tmp_path, "nosuchdb://me:hunter2@127.0.0.1/x")
    assert "hunter2" not in str(raised.value)


def test_optuna_reads_the_journal_with_its_own_tools(
    tmp_path: Path, space: Space, record: MakeRecord
) -> None:
    study = study_in(tmp_path, space)
    for number, point in enumerate([(1.0, 2.0), (0.9, 3.0), (0.8, 2.5)]):
        made = record(number, *point)
        claim = study.claim(OFFSPRING, made.config, str(number), None)
        assert claim is not None
        study.finish(claim, made.measured)
    opened = optuna.load_study(study_name="glyph-search", storage=open_storage(tmp_path))
    assert {trial.number for trial in opened.best_trials} == {0, 1}
    assert opened.trials[0].params["margin_x_pt"] == 0.0


# -- the loop --------------------------------------------------------------------------------


def test_a_search_in_two_runs_is_the_search_in_one(tmp_path: Path, space: Space) -> None:
    fitness = ruler_fitness(tmp_path)
    tactics = Tactics(population=6, pool=3)
    found: list[list[RenderConfig]] = []
    for name, stops in (("one", [16]), ("two", [4, 11, 16])):
        for stop in stops:
            study = study_in(tmp_path / name, space)
            search = Search(study, space, fitness, seed=5, tactics=tactics)
            new = list(search.run(Budget(stop, patience=None)))
            assert search.stopped_by == f"budget of {stop} evaluations"
        records = study_in(tmp_path / name, space).records()
        assert records[-len(new) :] == new
        found.append([record.config for record in records])
    assert found[0] == found[1]
    assert len(found[0]) == len(set(found[0])) == 16
    assert any(record.operator not in ("seed", "immigrant") for record in records)


def test_a_spent_budget_of_seconds_stops_before_the_next_candidate(
    tmp_path: Path, space: Space
) -> None:
    search = Search(study_in(tmp_path, space), space, ruler_fitness(tmp_path))
    assert list(search.run(Budget(None, seconds=1e-9))) == []
    assert search.stopped_by == "budget of 1e-09 seconds"


class Dead:
    """A reader whose endpoint is down."""

    name = "dead"

    def answer(self, request: object) -> None:
        raise UpstreamError("the endpoint is down")

    transcribe = answer


def test_a_budget_of_tokens_stops_the_search(tmp_path: Path, space: Space) -> None:
    search = Search(study_in(tmp_path, space), space, ruler_fitness(tmp_path))
    found = list(search.run(Budget(None, tokens=1_000)))
    assert search.stopped_by == "budget of 1000 tokens"
    assert sum(record.measured.tokens for record in found[:-1]) < 1_000


def test_a_reader_that_always_fails_ends_the_search_and_blames_no_config(
    tmp_path: Path, space: Space
) -> None:
    fitness = ruler_fitness(tmp_path)
    readings = Readings(Dead(), tmp_path / "r.sqlite")  # type: ignore[arg-type]
    dead = Fitness(fitness.validation, readings, "glm-4.1v", sees_itself=False)
    study = study_in(tmp_path, space)
    with pytest.raises(ReaderError, match=r"3 candidates in a row.*endpoint is down.*run again"):
        list(Search(study, space, dead).run(Budget(10)))
    assert study.records() == []
    assert study.taken() == set()


def test_convergence_needs_generations_without_gain(record: MakeRecord) -> None:
    rising = [record(i, 0.9, 2.0 + i / 10) for i in range(40)]
    flat = [*rising[:20], *(record(20 + i, 0.8, 1.5) for i in range(20))]
    assert not is_converged(rising, 5, 3)
    assert is_converged(flat, 5, 3)
    assert not is_converged(flat[:30], 5, 3)


def test_the_budget_of_the_paper_is_five_rounds_of_two_hundred(record: MakeRecord) -> None:
    budget = Budget()
    assert budget.evaluations == 5 * 200
    assert budget.round_size == 200
    assert budget.patience == 1
    rising = [record(i, 0.9, 2.0 + i / 100) for i in range(400)]
    assert not is_converged(rising, budget.round_size, budget.patience)
    stuck = [*rising[:200], *(record(200 + i, 0.8, 1.5) for i in range(200))]
    assert not is_converged(stuck[:399], budget.round_size, budget.patience)
    assert is_converged(stuck, budget.round_size, budget.patience)


def test_hopeless_searches_do_not_count_as_converged(record: MakeRecord) -> None:
    assert not is_converged([record(i, 0.1, 2.0) for i in range(60)], 5, 3)


def test_only_candidates_read_to_the_end_are_on_the_front(record: MakeRecord) -> None:
    records = [record(0, 0.9, 2.0), record(1, 1.0, 9.0, is_full=False), record(2, 0.8, 3.0)]
    assert [r.number for r in front_of(records)] == [2, 0]
    assert [o.gain > 0 for o in outcomes(records)] == [True, False, True]
    assert sum(o.gain for o in outcomes(records)) == pytest.approx(volumes(records)[-1])
    assert volumes(records)[0] == volumes(records)[1] < volumes(records)[2]


def test_the_bandit_gives_most_to_who_pays_and_something_to_all() -> None:
    rng = np.random.default_rng(0)
    known = [Outcome("good", 0.1 * (i % 2)) for i in range(40)] + [
        Outcome("bad", 0.0) for _ in range(40)
    ]
    drawn = [choose(rng, ["good", "bad"], known) for _ in range(400)]
    assert 0.80 < drawn.count("good") / 400 < 0.98
    # What paid once and no longer does, loses its share.
    later = known + [Outcome("good", 0.0) for _ in range(300)]
    later += [Outcome("bad", 0.1) for _ in range(30)]
    drawn = [choose(rng, ["good", "bad"], later) for _ in range(400)]
    assert drawn.count("bad") > 250


def test_the_bandit_pays_for_volume_and_not_for_small_steps() -> None:
    rng = np.random.default_rng(0)
    known = [Outcome("leaps", 0.3), Outcome("steps", 0.001)] * 30
    drawn = [choose(rng, ["leaps", "steps"], known) for _ in range(400)]
    assert drawn.count("leaps") > 280


def test_the_surrogate_learns_that_small_letters_are_misread(record: MakeRecord) -> None:
    known = []
    for i, dpi in enumerate(range(40, 110, 5)):
        config = RenderConfig(dpi=dpi)
        made = record(i, 1.0 if dpi > 60 else 0.2, 2.0)
        known.append((features(config, made.measured.price), made.point[0], 20))
    surrogate = Surrogate(known)
    price = made.measured.price
    clear, _ = surrogate.guess(features(RenderConfig(dpi=92), price))
    tiny, _ = surrogate.guess(features(RenderConfig(dpi=43), price))
    _, doubt = surrogate.guess(features(RenderConfig(dpi=400, font_family="STIXGeneral"), price))
    assert clear > 0.85
    assert tiny < 0.4
    assert doubt > 0.2
    front = [(0.95, 3.0)]
    worth = [surrogate.expected_gain(features(RenderConfig(dpi=d), price), 5.0, front)
             for d in (92, 43)]  # fmt: skip
    assert worth[0] > worth[1]


# -- choosing --------------------------------------------------------------------------------


@pytest.fixture
def found(record: MakeRecord) -> list[Record]:
    points = [(1.0, 2.0), (0.98, 5.0), (0.7, 6.0), (0.6, 7.0), (0.5, 1.5)]
    return [record(i, *point) for i, point in enumerate(points)]


@pytest.mark.parametrize(
    ("wish", "number"),
    [
        (Wish(), 1),
        (Wish(at_ratio=5.5), 2),
        (Wish(min_accuracy=0.99), 0),
        (Wish(min_accuracy=0.6), 3),
        (Wish(at_ratio=1.0), 0),
        (Wish(at_ratio=3.0, min_accuracy=0.9), 1),
    ],
)
def test_wishes_choose_from_the_front(found: list[Record], wish: Wish, number: int) -> None:
    assert choose_best(found, wish).number == number


def test_at_a_ratio_what_is_as_accurate_and_less_dense_is_safer(record: MakeRecord) -> None:
    # Ten questions each: less than a twentieth is no difference.
    found = [record(0, 1.0, 7.5), record(1, 0.96, 5.0), record(2, 0.94, 4.0), record(3, 1.0, 3.0)]
    assert choose_best(found, Wish(at_ratio=3.5)).number == 1
    assert choose_best(found, Wish(at_ratio=6.0)).number == 0
    assert choose_best(found, Wish(at_ratio=3.5, min_accuracy=0.99)).number == 0
    assert choose_best(found, Wish()).number == 0


def test_wishes_that_cannot_be_met_say_what_the_front_offers(found: list[Record]) -> None:
    with pytest.raises(ConfigError, match=r"no candidate reaches ratio 6 and accuracy 0\.9") as e:
        choose_best(found, Wish(6.0, 0.9))
    assert "from accuracy 1.000 at 2.00x to accuracy 0.600 at 7.00x" in str(e.value)
    with pytest.raises(ConfigError, match="no candidate was read to the end"):
        choose_best([], Wish())


@pytest.mark.parametrize("wish", [Wish(at_ratio=0), Wish(min_accuracy=1.5), Wish(at_ratio=-3)])
def test_wishes_without_sense_are_refused(wish: Wish) -> None:
    with pytest.raises(ConfigError, match="accepted"):
        wish.check()


def test_the_preset_holds_config_and_provenance_and_loads(
    tmp_path: Path, found: list[Record]
) -> None:
    best = found[1]
    write_choice(tmp_path, best, front_of(found), {"reader": "ocr", "study": 'a "b" \\ c'})
    assert load_preset(tmp_path / "best.toml") == best.config
    tables = tomllib.loads((tmp_path / "best.toml").read_text())
    assert tables["provenance"]["study"] == 'a "b" \\ c'
    assert tables["provenance"]["accuracy_interval_95"] == [0.88, 1]
    front = json.loads((tmp_path / "front.json").read_text())["front"]
    assert [entry["trial"] for entry in front] == [3, 2, 1, 0]


class Picky(Dead):
    """A reader that knows no style at all, and says so without any endpoint."""

    name = "picky"

    def answer(self, request: object) -> None:
        raise ReaderError("this style is not known")

    transcribe = answer


def test_a_reader_that_knows_no_style_ends_the_search_after_a_generation(
    tmp_path: Path, space: Space
) -> None:
    fitness = ruler_fitness(tmp_path)
    readings = Readings(Picky(), tmp_path / "p.sqlite")  # type: ignore[arg-type]
    picky = Fitness(fitness.validation, readings, "glm-4.1v", sees_itself=False)
    study = study_in(tmp_path, space)
    with pytest.raises(ReaderError, match=r"20 candidates in a row.*style is not known"):
        list(Search(study, space, picky).run(Budget(100, patience=None)))
    assert {record.point[0] for record in study.records()} == {0.0}
