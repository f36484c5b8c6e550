"""Fixtures shared by all tests: the drawn font, both kernels, and the data folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Tests run in several processes, which would else each start a thread a core for every product.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from glyph import kernel
from square_font import build_square_font

# An example may open fonts or lay out many pages, so counts bound the run and not the clock.
# Search longer with: pytest --hypothesis-profile=deep
settings.register_profile(
    "glyph", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", settings.get_profile("glyph"), max_examples=1000)
settings.load_profile("glyph")


@pytest.fixture(scope="session")
def square(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the font of `square_font`."""
    return build_square_font(tmp_path_factory.mktemp("fonts") / "Square.ttf")


@pytest.fixture(params=["c", "numpy"])
def kernel_in_use(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once with each kind of inner loops."""
    name = str(request.param)
    if name == "c" and not kernel.has_native():
        pytest.skip("the C kernel was not built")
    with kernel.using(name):
        yield name


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of shared test data; skip where it is absent."""
    default = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("GLYPH_DATA", default))
    if not folder.is_dir():
        pytest.skip("the data folder is absent: set GLYPH_DATA")
    return folder
