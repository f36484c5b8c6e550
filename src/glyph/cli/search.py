"""The verb that searches for the best rendering: search."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from glyph.cli.console import make_console, print_json, progress_bar
from glyph.cli.options import BaseUrlOption, JsonOption, SettingsOption, fields_of

if TYPE_CHECKING:
    from glyph.search.endpoint import Endpoint
    from glyph.search.job import Result, Settings
    from glyph.search.loop import Budget

BudgetName = Literal["small", "paper"]
SMALL_ROUNDS, SMALL_ROUND_SIZE = 3, 20

FilesArgument = Annotated[
    list[str], typer.Argument(metavar="FILE...", help="Your texts; - is standard input.")
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="Of study, preset and report.")
]
ReaderOption = Annotated[
    str, typer.Option("--reader", "-r", metavar="NAME", help="Who reads: as for 'glyph ask'.")
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", help="Whose tokens count; 'glyph models'."),
]
EvaluationsOption = Annotated[
    int | None, typer.Option(help="Candidates of the whole study, earlier runs included.")
]
BudgetOption = Annotated[
    BudgetName,
    typer.Option(
        help="paper: 5 rounds of 200 candidates, ended by a round without gain; small: 3 of 20."
    ),
]
SecondsOption = Annotated[float | None, typer.Option(help="Stop this run after so long.")]
TokensOption = Annotated[
    int | None, typer.Option(help="Stop when the reader has spent so many, where it says.")
]
PatienceOption = Annotated[int | None, typer.Option(help="Stop after so many rounds without gain.")]
AtRatioOption = Annotated[
    float | None, typer.Option(help="Choose the most accurate at this ratio or above.")
]
MinAccuracyOption = Annotated[
    float | None, typer.Option(help="Choose the densest of this accuracy or above.")
]
QuestionsOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|llm",
        help="JSONL with 'question' and 'answers', or llm to have the proposer write them. "
        "Default: made from the texts.",
    ),
]
ProposerOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="A language model that proposes: openai:MODEL or anthropic:MODEL."
    ),
]
ProposerUrlOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Where the proposer is served.")
]
ProposerContextOption = Annotated[
    int | None,
    typer.Option(
        metavar="TOKENS", help="What the proposer's context holds; small ones are told less."
    ),
]
ProposerTimeoutOption = Annotated[
    float, typer.Option(metavar="SECONDS", help="Longest wait for one answer of the proposer.")
]
PassagesOption = Annotated[
    int | None, typer.Option(help="Passages read for a candidate. Default: by the reader.")
]
PassageCharsOption = Annotated[
    int | None, typer.Option(help="Characters of each. Default: by the reader.")
]
StorageOption = Annotated[
    str | None, typer.Option(metavar="URL", help="Database for workers on several machines.")
]
CompareOption = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Afterwards read as many random draws, and the paper's preset at equal compression.",
    ),
]
SeedOption = Annotated[int, typer.Option(help="Of questions and of random choices.")]


def search(
    files: FilesArgument,
    out: OutOption,
    reader: ReaderOption = "ocr",
    base_url: BaseUrlOption = None,
    model: ModelOption = None,
    evaluations: EvaluationsOption = None,
    budget: BudgetOption = "paper",
    seconds: SecondsOption = None,
    tokens: TokensOption = None,
    patience: PatienceOption = None,
    at_ratio: AtRatioOption = None,
    min_accuracy: MinAccuracyOption = None,
    settings: SettingsOption = None,
    questions: QuestionsOption = None,
    proposer: ProposerOption = None,
    proposer_url: ProposerUrlOption = None,
    proposer_context: ProposerContextOption = None,
    proposer_timeout: ProposerTimeoutOption = 120.0,
    passages: PassagesOption = None,
    passage_chars: PassageCharsOption = None,
    storage: StorageOption = None,
    compare: CompareOption = False,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Search for the rendering that a reader reads best at each compression of your texts.

    Candidates are rendered and really read; those that no other beats in accuracy and compression
    are the front. DIR/best.toml is the chosen one, for 'glyph render --preset'; DIR/report.html
    tells the story. Stopped at any moment, the same command continues; several processes may work
    on one DIR. --set holds a field fixed.
    """
    from glyph.search.choosing import Wish
    from glyph.search.endpoint import Endpoint
    from glyph.search.job import Settings

    asked = Settings(
        out=out,
        model=model,
        budget=_budget(evaluations, budget, seconds, tokens, patience),
        wish=Wish(at_ratio, min_accuracy),
        seed=seed,
        fixed=fields_of(settings),
        questions=questions,
        size=_size(reader, passages, passage_chars),
        storage_url=storage,
        with_comparison=compare,
    )
    endpoint = None
    if proposer is not None:
        endpoint = Endpoint(
            proposer,
            base_url=proposer_url,
            timeout_s=proposer_timeout,
            context_tokens=proposer_context,
        )
    _run(files, reader, base_url, asked, endpoint, as_json=as_json)


def _run(
    files: list[str],
    reader: str,
    base_url: str | None,
    asked: "Settings",
    endpoint: "Endpoint | None",
    *,
    as_json: bool,
) -> None:
    from glyph.documents import load_document
    from glyph.readers import open_reader
    from glyph.search.job import search as run

    begin = time.perf_counter()
    texts = [load_document(file).text for file in files]
    options: dict[str, Any] = {"base_url": base_url} if base_url is not None else {}
    opened = open_reader(reader, **options)
    total = asked.budget.evaluations or 0
    steps = (2 if asked.with_comparison else 1) * total
    with progress_bar(steps, "searching", quiet=as_json) as show:
        result = run(
            texts,
            opened,
            asked,
            endpoint=endpoint,
            on_record=lambda record, done: show(done),
            on_compared=lambda done: show(total + done),
        )
    if as_json:
        print_json(_values(result, time.perf_counter() - begin))
    else:
        _print_result(result, time.perf_counter() - begin)


def _budget(
    evaluations: int | None,
    name: BudgetName,
    seconds: float | None,
    tokens: int | None,
    patience: int | None,
) -> "Budget":
    """Return when to stop: a number of evaluations that is asked for is used up to the last."""
    from glyph.search.loop import NUM_ROUNDS, Budget

    if evaluations is not None:
        # Counted as the paper counts, should patience be asked for: in five rounds.
        round_size = max(evaluations // NUM_ROUNDS, 1)
        return Budget(evaluations, seconds, tokens, patience, round_size)
    waits = 1 if patience is None else patience
    if name == "paper":
        return Budget(seconds=seconds, tokens=tokens, patience=waits)
    count = SMALL_ROUNDS * SMALL_ROUND_SIZE
    return Budget(count, seconds, tokens, waits, SMALL_ROUND_SIZE)


def _size(reader: str, passages: int | None, passage_chars: int | None) -> Any:
    from glyph.search.job import usual_size
    from glyph.search.validation import SetSize

    if passages is None and passage_chars is None:
        return None
    usual = usual_size(reader)
    return SetSize(
        usual.num_passages if passages is None else passages,
        usual.passage_chars if passage_chars is None else passage_chars,
        usual.with_cross_page,
    )


def _values(result: "Result", seconds: float) -> dict[str, Any]:
    from glyph.search.choosing import entry_of

    return {
        "evaluations": len(result.records),
        "front": [entry_of(record) for record in result.front],
        "best": entry_of(result.best),
        "proposer": result.proposer,
        "stopped_by": result.stopped_by,
        "preset": str(result.preset),
        "report": str(result.report),
        "questions_asked": result.num_asked,
        "questions_cached": result.num_cached,
        "seconds": seconds,
    }


def _print_result(result: "Result", seconds: float) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console, best = make_console(), result.best
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("ratio", "accuracy", "95 % interval"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("why")
    for record in result.front:
        measured = record.measured
        table.add_row(
            f"{record.point[1]:.2f}",
            f"{record.point[0]:.1%}",
            f"{measured.accuracy_low:.1%} to {measured.accuracy_high:.1%}",
            Text(f"{record.operator}: {record.reason}"),
            style="bold" if record is best else "",
        )
    console.print(
        Text.assemble(
            (f"{len(result.records)} candidates", "bold"),
            f" measured, {len(result.front)} on the front; {seconds:.0f} s, "
            f"{result.num_asked:,} questions asked, {result.num_cached:,} known; "
            f"stopped by {result.stopped_by}; proposed by {result.proposer}",
        )
    )
    console.print(table)
    console.print(
        Text.assemble(
            "chosen: ",
            (f"{best.point[0]:.1%} at {best.point[1]:.2f}x", "bold"),
            f"  ->  {result.preset}",
        )
    )
    console.print(Text(f"report: {result.report}", style="dim"))
