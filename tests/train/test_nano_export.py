"""Model folders: transformers loads them, and the ONNX graphs compute what torch computes."""

# ruff: noqa: E402 (imports after the skips)

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("transformers", reason="training needs the [train] extra")
pytest.importorskip("onnx", reason="training needs the [train] extra")
pytest.importorskip("onnxruntime", reason="the reader needs the [nano] extra")

from transformers import AutoTokenizer, Glm4vForConditionalGeneration
from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil

from glyph.errors import ConfigError, ReaderError
from glyph.readers.nano.card import read_card
from glyph.readers.nano.decoding import ask_pages, group_mask
from glyph.readers.nano.network import Network
from glyph.readers.nano.prompts import key_prompt, line_prompt
from glyph.readers.nano.spec import char_ids, load_spec
from glyph.train.nano.export import export_model
from glyph.train.nano.model import glm4v_config
from glyph.train.nano.oracle import CodeLayout, OracleCode
from glyph.train.nano.packing import group_mask as training_mask
from glyph.train.nano.vision import pixel_values

SIZES = ((112, 84), (168, 112))
TASKS = ("lookup", "line")


def random_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    model = Glm4vForConditionalGeneration(glm4v_config(load_spec()))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return model.state_dict()


def codes() -> dict[str, torch.Tensor]:
    spec = load_spec()
    hidden = int(spec.text["hidden_size"])
    layout = CodeLayout(hidden, spec.style("A").num_slots)
    return {"A": OracleCode(layout).slot_codes.detach()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("nano") / "model"
    export_model(
        random_weights(),
        made,
        style="A",
        page_sizes_px=SIZES,
        tasks=TASKS,
        preset="nano",
        codes=codes(),
    )
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> Glm4vForConditionalGeneration:
    return Glm4vForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def network(folder: Path) -> Network:
    return Network(folder, load_spec(), threads=1)


def pages(num_pages: int = 2, size_px: tuple[int, int] = (168, 112)) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (num_pages, size_px[1], size_px[0]), np.uint8)


# -- the folder ------------------------------------------------------------------------------


def test_weights_are_stored_once_and_in_half_precision(folder: Path):
    weights = (folder / "model.safetensors").stat().st_size
    graphs = sum((folder / name).stat().st_size for name in ("vision.onnx", "language.onnx"))
    num_parameters = sum(p.numel() for p in Glm4vForConditionalGeneration(
        glm4v_config(load_spec())
    ).parameters())  # fmt: skip
    assert 2 * num_parameters <= weights < 2.05 * num_parameters
    assert graphs < 100_000


def test_the_card_says_what_was_exported(folder: Path):
    card = read_card(folder, load_spec())
    assert card.page_sizes_px == SIZES
    assert (card.style, card.preset, card.tasks) == ("A", "nano", TASKS)


def test_a_model_of_another_specification_is_refused(folder: Path, tmp_path: Path):
    values = json.loads((folder / "reader.json").read_text())
    (tmp_path / "reader.json").write_text(json.dumps({**values, "spec_digest": "0"}))
    with pytest.raises(ReaderError, match=r"made for another nano\.toml"):
        read_card(tmp_path, load_spec())


def test_a_damaged_card_and_an_empty_folder_are_told_apart(tmp_path: Path):
    with pytest.raises(ReaderError, match=r"holds no nano model \(no reader\.json\)"):
        read_card(tmp_path, load_spec())
    (tmp_path / "reader.json").write_text('{"style": "A"}')
    with pytest.raises(ReaderError, match="is damaged"):
        read_card(tmp_path, load_spec())


def test_weights_that_do_not_fit_are_named(tmp_path: Path):
    weights = random_weights()
    weights["model.odd"] = torch.zeros(1)
    with pytest.raises(ConfigError, match=r"1 names differ, first 'model\.odd'"):
        export_model(
            weights, tmp_path / "m", style="A", page_sizes_px=SIZES, tasks=TASKS, preset="nano",
            codes=codes(),
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_the_tokenizer_gives_the_ids_of_the_specification(folder: Path):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "What is\nthe value of a_b~ é?"
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == char_ids(text).tolist()
    special = load_spec().special
    ids = [special("BOI"), special("IMAGE"), special("EOI"), special("KEY"), ord("k")]
    marked = "<|begin_of_image|><|image|><|end_of_image|><|key|>k"
    assert tokenizer(marked, add_special_tokens=False)["input_ids"] == ids
    assert tokenizer.decode(char_ids("a b\n").tolist()) == "a b\n"


# -- the same numbers ------------------------------------------------------------------------


def test_the_image_processor_of_the_folder_sees_what_the_network_sees(folder: Path):
    processor = Glm4vImageProcessorPil.from_pretrained(folder)
    for size_px in ((84, 56), (336, 448), (168, 112)):
        plane_BHW = pages(1, size_px)
        made = processor([np.repeat(plane_BHW[0][..., None], 3, -1)], return_tensors="pt")
        assert made["image_grid_thw"].tolist() == [[1, size_px[1] // 14, size_px[0] // 14]]
        torch.testing.assert_close(made["pixel_values"], pixel_values(plane_BHW))


@pytest.mark.parametrize("size_px", [(28, 28), (112, 84), (336, 448)])
def test_visual_tokens_are_those_of_transformers(
    network: Network, model: Glm4vForConditionalGeneration, size_px: tuple[int, int]
):
    plane_BHW = pages(3, size_px)
    grid = torch.tensor([[1, size_px[1] // 14, size_px[0] // 14]] * 3)
    with torch.no_grad():
        stock = model.model.visual(pixel_values(plane_BHW), grid_thw=grid).pooler_output
    mine = network.encode(plane_BHW)
    np.testing.assert_allclose(mine.reshape(stock.shape), stock.numpy(), atol=1e-4)


def test_logits_are_those_of_transformers_on_the_whole_prompt(
    network: Network, model: Glm4vForConditionalGeneration
):
    special = load_spec().special
    plane_BHW, prompt = pages(1), key_prompt("owl").ids
    ids = [special("BOI"), *[special("IMAGE")] * 24, special("EOI"), *prompt]
    ids_BL = torch.tensor([ids])
    with torch.no_grad():
        stock = model(
            input_ids=ids_BL,
            pixel_values=pixel_values(plane_BHW),
            image_grid_thw=torch.tensor([[1, 8, 12]]),
            mm_token_type_ids=(ids_BL == special("IMAGE")).int(),
        ).logits
    seen: list[np.ndarray] = []
    step = network.step

    def spy(*given: np.ndarray):
        seen.append((result := step(*given)).logits_BSV)
        return result

    network.step = spy  # pyright: ignore[reportAttributeAccessIssue]
    try:
        ask_pages(network, network.encode(plane_BHW), (4, 6), [[key_prompt("owl")]], 1)
    finally:
        network.step = step  # pyright: ignore[reportAttributeAccessIssue]
    assert float(stock.std()) > 0.1
    np.testing.assert_allclose(seen[0], stock.numpy(), atol=1e-4)


def test_greedy_answers_are_those_of_transformers(
    network: Network, model: Glm4vForConditionalGeneration
):
    special = load_spec().special
    plane_BHW, prompt = pages(1), line_prompt(3).ids
    ids = [special("BOI"), *[special("IMAGE")] * 24, special("EOI"), *prompt]
    ids_BL = torch.tensor([ids])
    made = model.generate(
        input_ids=ids_BL,
        attention_mask=torch.ones_like(ids_BL),
        pixel_values=pixel_values(plane_BHW),
        image_grid_thw=torch.tensor([[1, 8, 12]]),
        mm_token_type_ids=(ids_BL == special("IMAGE")).int(),
        max_new_tokens=8,
        do_sample=False,
    )
    ((said,),) = ask_pages(network, network.encode(plane_BHW), (4, 6), [[line_prompt(3)]], 8)
    assert said.ids == [t for t in made[0, len(ids) :].tolist() if t != special("EOS")]


# -- many questions at once ------------------------------------------------------------------


def test_a_question_gets_the_same_answer_alone_and_among_others(network: Network):
    token_BTD = network.encode(pages(2))
    first = [key_prompt("owl"), line_prompt(1), key_prompt("fox-den", in_words=True)]
    second = [line_prompt(0)]
    together = ask_pages(network, token_BTD, (4, 6), [first, second], 6)
    for page, prompts in enumerate((first, second)):
        for prompt, said in zip(prompts, together[page], strict=True):
            ((alone,),) = ask_pages(network, token_BTD[page : page + 1], (4, 6), [[prompt]], 6)
            assert said.ids == alone.ids
            np.testing.assert_allclose(said.log_probs, alone.log_probs, atol=1e-4)
            assert said.tokens == alone.tokens


def test_the_mask_is_that_of_training():
    segment_BL = np.array([[0, 0, 0, 1, 1, 2, 2, 2, -1], [0, 0, 0, 1, 2, 3, 3, -1, -1]])
    assert np.array_equal(
        group_mask(segment_BL, 9) == 0,
        # On padding, training lets the page be seen; nothing is read there.
        (training_mask(torch.from_numpy(segment_BL)).numpy() == 0)
        & ((segment_BL[:, None, :, None] != -1) | np.eye(9, dtype=bool)),
    )
    assert np.array_equal(group_mask(segment_BL, 9)[:, :, -2:], group_mask(segment_BL, 2))


def test_the_run_time_loads_neither_torch_nor_transformers(folder: Path):
    script = (
        "import sys\n"
        "from glyph.readers import open_reader\n"
        f"open_reader('nano:{folder}', threads=1)\n"
        "print([m for m in ('torch', 'transformers', 'onnx', 'glyph.train') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
