"""Batch: many texts become Parquet shards, once each, whatever happens in between."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from glyph.api import render
from glyph.batch.plan import make_plan
from glyph.batch.run import run_batch
from glyph.errors import ConfigError, DocumentError, RenderError

WORDS = ["lamp", "river", "stone", "quiet", "harbour", "seven", "letter", "window"]


def prose(seed: int, words: int = 300) -> str:
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) for _ in range(words)) + f" number {seed}."


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "deep").mkdir(parents=True)
    for number in range(4):
        (folder / f"{number}.txt").write_text(prose(number))
    (folder / "deep" / "code.py").write_text("def f(x):\n    return x + 1\n" * 20)
    lines = [json.dumps({"text": prose(10 + n)}) for n in range(5)]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    pq.write_table(
        pa.table({"text": [prose(20 + n) for n in range(6)]}), folder / "t.parquet",
        row_group_size=2,
    )  # fmt: skip
    return folder


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [
        row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "job.json"}


def test_every_text_is_there_once_and_its_pages_tile_it(corpus: Path, tmp_path: Path) -> None:
    result = run_batch([corpus], tmp_path / "out", shard_bytes=4_000, workers=2)
    rows = rows_of(tmp_path / "out")
    by_document: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        by_document.setdefault(str(row["document"]), []).append(row)
    named = [f"{n}.txt" for n in range(4)] + ["deep/code.py"]
    named += [f"rows.jsonl:{n}" for n in range(1, 6)] + [f"t.parquet:{n}" for n in range(1, 7)]
    assert sorted(by_document) == sorted(named)
    assert result.shards > 3 and result.documents == len(named) and result.pages == len(rows)
    assert "".join(str(row["text"]) for row in by_document["t.parquet:6"]) == prose(25)
    assert result.visual_tokens == sum(int(str(row["visual_tokens"])) for row in rows)


def test_a_page_is_the_one_that_render_makes(corpus: Path, tmp_path: Path) -> None:
    run_batch([corpus / "2.txt"], tmp_path / "out", model="qwen3-vl")
    (row,) = rows_of(tmp_path / "out")
    (page,) = render(corpus / "2.txt", model="qwen3-vl").pages
    image = row["image"]
    assert isinstance(image, dict)
    pixels = np.asarray(Image.open(io.BytesIO(image["bytes"])).convert("L"))
    assert (pixels == page.gray()).all()
    assert row["digest"] == page.digest


def test_code_gets_the_preset_of_code(corpus: Path, tmp_path: Path) -> None:
    run_batch([corpus / "deep" / "code.py"], tmp_path / "out")
    (row,) = rows_of(tmp_path / "out")
    assert row["digest"] == render(corpus / "deep" / "code.py").pages[0].digest


@given(sizes=st.lists(st.integers(0, 400), min_size=1, max_size=12), shard=st.integers(1, 900))
@settings(max_examples=30)
def test_shards_tile_the_lines_of_a_table(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], shard: int
) -> None:
    path = tmp_path_factory.mktemp("plan") / "rows.jsonl"
    lines = [json.dumps({"text": "x" * size}) + "\n" for size in sizes]
    path.write_text("".join(lines))
    pieces = [piece for s in make_plan([path], shard_bytes=shard).shards for piece in s.pieces]
    assert [p.begin for p in pieces] == [0, *(p.end for p in pieces[:-1])]
    assert pieces[-1].end == path.stat().st_size
    starts = np.cumsum([0, *map(len, lines)])
    assert [starts[p.first_row - 1] for p in pieces] == [p.begin for p in pieces]


def test_a_second_run_renders_nothing_and_a_lost_shard_is_made_again(
    corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = run_batch([corpus], out, shard_bytes=4_000, workers=1)
    before = bytes_of(out)
    again = run_batch([corpus], out, shard_bytes=4_000, workers=1)
    assert (first.shards_kept, again.shards_kept) == (0, first.shards)
    sorted(out.glob("*.parquet"))[1].unlink()
    third = run_batch([corpus], out, shard_bytes=4_000, workers=1)
    assert third.shards_kept == first.shards - 1
    assert bytes_of(out) == before


def test_the_folder_may_move_and_the_run_goes_on(corpus: Path, tmp_path: Path) -> None:
    run_batch([corpus], tmp_path / "a", shard_bytes=4_000, workers=1)
    moved = corpus.rename(tmp_path / "elsewhere")
    (tmp_path / "a").rename(tmp_path / "b")
    assert run_batch([moved], tmp_path / "b", shard_bytes=4_000).shards_kept > 0


def test_a_killed_run_leaves_whole_shards_only(tmp_path: Path) -> None:
    source, out = tmp_path / "big", tmp_path / "out"
    source.mkdir()
    for number in range(24):
        (source / f"{number:02d}.txt").write_text(prose(number, 12_000))
    command = [sys.executable, "-m", "glyph", "batch", str(source), "-o", str(out)]
    command += ["--shard-mb", "0.07", "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(out.glob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = len(list(out.glob("*.parquet")))
    assert 0 < kept < 24 and not (out / "manifest.json").exists()
    result = run_batch([source], out, shard_bytes=70_000, workers=1)
    assert (result.shards, result.shards_kept, result.documents) == (24, kept, 24)


def test_bad_texts_are_named_and_counted(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "empty.txt").write_text("")
    (source / "good.txt").write_text(prose(1))
    (source / "rows.jsonl").write_text('{"text": "fine words here"}\n{broken\n{"other": 1}\n\n')
    result = run_batch([source], tmp_path / "out")
    assert result.documents == 2 and result.num_skipped == 3
    assert "empty.txt is empty" in result.skipped[0]
    assert "rows.jsonl:2 is no JSON" in result.skipped[1]
    assert "rows.jsonl:3 has no text under 'text'" in result.skipped[2]


def test_nothing_to_render_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DocumentError, match="holds no file"):
        run_batch([tmp_path / "in"], tmp_path / "out")
    (tmp_path / "in" / "a.txt").write_text("")
    with pytest.raises(DocumentError, match="none of the texts can be taken in"):
        run_batch([tmp_path / "in"], tmp_path / "out2")
    with pytest.raises(DocumentError, match="there is no file or folder"):
        run_batch([tmp_path / "nowhere"], tmp_path / "out3")


def test_a_table_without_the_column_says_which_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["words"]}), tmp_path / "t.parquet")
    with pytest.raises(DocumentError, match="no column 'text' but: body"):
        run_batch([tmp_path / "t.parquet"], tmp_path / "out")
    run_batch([tmp_path / "t.parquet"], tmp_path / "out2", text_field="body")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DocumentError, match=r"cannot read .* as Parquet"):
        run_batch([tmp_path / "broken.parquet"], tmp_path / "out3")


def test_another_run_in_the_folder_is_refused_and_left_alone(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_batch([corpus / "0.txt"], out)
    before = bytes_of(out)
    with pytest.raises(ConfigError, match="other model"):
        run_batch([corpus / "0.txt"], out, model="qwen3-vl")
    with pytest.raises(ConfigError, match="other plan"):
        run_batch([corpus / "1.txt", corpus / "2.txt"], out)
    assert bytes_of(out) == before


def test_a_foreign_file_under_a_shard_s_name_is_refused(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "pages-00000-of-00001.parquet").write_bytes(b"mine")
    with pytest.raises(RenderError, match="is no shard of a batch"):
        run_batch([corpus / "0.txt"], out)
    assert (out / "pages-00000-of-00001.parquet").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "0 workers"),
        ({"shard_bytes": 0}, "shards of 0 bytes"),
        ({"address": "auto"}, "add --engine ray"),
        ({"preset": "no-such"}, "no-such"),
        ({"model": "no-such"}, "no-such"),
    ],
)
def test_settings_are_checked_before_anything_is_written(
    corpus: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_batch([corpus], tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_the_command_prints_one_object(corpus: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "glyph", "batch", str(corpus), "-o", str(tmp_path / "o")]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
    values = json.loads(done.stdout)
    assert done.returncode == 0 and values["documents"] == 16 and values["ratio"] > 1
    assert json.loads((tmp_path / "o" / "manifest.json").read_text())["pages"] == values["pages"]


@pytest.fixture(scope="module")
def ray_starts() -> None:
    pytest.importorskip("ray.data", reason="the extra [ray] is not installed")
    probe = "import ray; ray.init(address='local', num_cpus=1, include_dashboard=False)"
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    try:
        subprocess.run(
            [sys.executable, "-c", probe], env=environment, timeout=90, check=True,
            capture_output=True,
        )  # fmt: skip
    except subprocess.SubprocessError:
        pytest.skip("Ray itself does not start on this machine")


@pytest.mark.usefixtures("ray_starts")
def test_ray_makes_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    run_batch([corpus], tmp_path / "local", shard_bytes=8_000, workers=1)
    command = [sys.executable, "-m", "glyph", "batch", str(corpus), "-o", str(tmp_path / "ray")]
    command += ["--shard-mb", "0.008", "--engine", "ray", "--workers", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert bytes_of(tmp_path / "ray") == bytes_of(tmp_path / "local")


@pytest.mark.usefixtures("ray_starts")
def test_an_error_on_ray_is_one_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["words"]}), tmp_path / "t.parquet")
    command = [sys.executable, "-m", "glyph", "batch", str(tmp_path / "t.parquet")]
    command += ["-o", str(tmp_path / "out"), "--engine", "ray", "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 1
    assert "has no column 'text' but: body" in done.stderr and "Traceback" not in done.stderr
