"""A space, a validation set and a reader that tests of the search share."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from json_endpoint import Served, serving
from search_texts import TINY, prose

from glyph import RenderConfig
from glyph.readers.ocr import OcrReader
from glyph.search.fitness import Fitness, Measured, Price
from glyph.search.readings import Readings
from glyph.search.space import Space
from glyph.search.study import Record
from glyph.search.validation import questions_from_texts


@pytest.fixture(scope="session")
def text() -> str:
    return prose()


@pytest.fixture(scope="session")
def space() -> Space:
    return Space.build("glm-4.1v", 28)


@pytest.fixture(scope="session")
def ocr() -> OcrReader:
    for package in ("onnxruntime", "rapidocr"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'glyph-context[ocr]'")
    return OcrReader(threads=1)


@pytest.fixture(scope="session")
def fitness(text: str, ocr: OcrReader, tmp_path_factory: pytest.TempPathFactory) -> Fitness:
    """Return one fitness whose cache all tests share."""
    readings = Readings(ocr, tmp_path_factory.mktemp("readings") / "readings.sqlite")
    validation = questions_from_texts([text], size=TINY, seed=0)
    return Fitness(validation, readings, "glm-4.1v", sees_itself=False)


@pytest.fixture
def served() -> Iterator[Served]:
    """Return an endpoint on loopback; the test tells it what to reply."""
    with serving() as found:
        yield found


MakeRecord = Callable[..., Record]


@pytest.fixture(scope="session")
def record() -> MakeRecord:
    """Return a function that makes a measured candidate out of accuracy and ratio."""

    def make(
        number: int,
        accuracy: float,
        ratio: float,
        *,
        operator: str = "mutation",
        is_full: bool = True,
        parents: tuple[int, ...] = (),
        config: RenderConfig | None = None,
    ) -> Record:
        price = Price(round(1000 * ratio), 1000, (1.0, 1.0))
        measured = Measured(
            accuracy, max(accuracy - 0.1, 0), min(accuracy + 0.1, 1), price, (accuracy,) * 10,
            is_full, (("readback", accuracy),), (), 0, 0, 0.5,
        )  # fmt: skip
        found = config or RenderConfig(margin_x_pt=number % 40)
        return Record(number, found, operator, parents, f"reason {number}", measured)

    return make


@pytest.fixture
def book(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(text)
    return path
