"""Our visual-token rules against the image processors of transformers, size by size.

The processors are built from configuration values; nothing is downloaded. Where a processor needs
torchvision, its pure functions are taken out of the installed source file and run alone.
"""

import ast
import importlib.util
import math
import random
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from glyph.errors import ConfigError
from glyph.tokens import image_cost

pytest.importorskip(
    "transformers", reason="transformers, of the extra [train], holds the image processors"
)

MODELS = Path(importlib.util.find_spec("transformers").origin).parent / "models"


def sizes(seed: int, most: int = 4000) -> list[tuple[int, int]]:
    """Return 200 page sizes: any, near the common page, thin strips, whole cells."""
    rng = random.Random(seed)
    any_size = [(rng.randint(1, most), rng.randint(1, most)) for _ in range(80)]
    pages = [(rng.randint(300, 1700), rng.randint(400, 2400)) for _ in range(60)]
    strips = [(rng.randint(8, 120), rng.randint(400, most)) for _ in range(20)]
    whole = [
        (cell * rng.randint(1, 60), cell * rng.randint(1, 60))
        for cell in (14, 16, 28, 32, 48, 336, 448)
        for _ in range(6)
    ]
    return [(min(w, most), min(h, most)) for w, h in [*any_size, *pages, *strips, *whole][:200]]


def functions_of(file: str, *names: str, **namespace) -> SimpleNamespace:
    """Return functions of an installed source file without importing its module."""
    tree = ast.parse((MODELS / file).read_text(encoding="utf-8"))
    chosen = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in names]
    assert len(chosen) == len(names), f"{file} no longer has all of {names}"
    for node in chosen:
        node.decorator_list, node.returns = [], None
        for argument in (*node.args.args, *node.args.kwonlyargs):
            argument.annotation = None
    space = {"math": math, "defaultdict": defaultdict, "lru_cache": lru_cache, **namespace}
    exec(compile(ast.Module(chosen, []), file, "exec"), space)
    return SimpleNamespace(**{name: space[name] for name in names})


def cost_or_refusal(width: int, height: int, model: str):
    """Return (tokens, seen width, seen height), or None for a page that is refused."""
    try:
        cost = image_cost(width, height, model)
    except ConfigError:
        return None
    return cost.visual_tokens, cost.seen_width_px, cost.seen_height_px


def smart_resize_oracle(processor, smart_resize, width: int, height: int, **extra):
    """Return (tokens, seen width, seen height) by a processor with Qwen's or GLM's resize."""
    cell = processor.patch_size * processor.merge_size
    try:
        patches = processor.get_number_of_image_patches(height, width)
    except ValueError:
        return None
    seen_height, seen_width = smart_resize(
        height=height,
        width=width,
        factor=cell,
        min_pixels=processor.size["shortest_edge"],
        max_pixels=processor.size["longest_edge"],
        **extra,
    )
    return patches // processor.merge_size**2, seen_width, seen_height


@pytest.mark.parametrize(
    ("model", "module", "class_name"),
    [
        ("glm-4.1v", "glm4v.image_processing_pil_glm4v", "Glm4vImageProcessorPil"),
        ("glm-4.6v", "glm46v.image_processing_pil_glm46v", "Glm46VImageProcessorPil"),
    ],
)
def test_glm_counts_equal_the_image_processor(model, module, class_name):
    source = importlib.import_module(f"transformers.models.{module}")
    processor = getattr(source, class_name)(
        size={"shortest_edge": 12_544, "longest_edge": 9_633_792}
    )
    for width, height in sizes(1):
        expected = smart_resize_oracle(
            processor, source.smart_resize, width, height, num_frames=2, temporal_factor=2
        )
        assert cost_or_refusal(width, height, model) == expected, (width, height)


@pytest.mark.parametrize(
    ("model", "patch", "smallest", "largest"),
    [
        ("qwen2-vl", 14, 3_136, 12_845_056),
        ("qwen2.5-vl", 14, 3_136, 12_845_056),
        ("qwen2.5-vl@1280", 14, 56 * 56, 28 * 28 * 1280),
        ("qwen3-vl", 16, 65_536, 16_777_216),
        ("qwen3.5", 16, 65_536, 16_777_216),
    ],
)
def test_qwen_counts_equal_the_image_processor(model, patch, smallest, largest):
    from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as source

    processor = source.Qwen2VLImageProcessorPil(
        patch_size=patch, size={"shortest_edge": smallest, "longest_edge": largest}
    )
    for width, height in sizes(2, most=6000):
        expected = smart_resize_oracle(processor, source.smart_resize, width, height)
        assert cost_or_refusal(width, height, model) == expected, (width, height)


def test_the_class_defaults_of_qwen_are_the_variant_of_1280_tokens():
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
        Qwen2VLImageProcessorPil,
    )

    processor = Qwen2VLImageProcessorPil()
    for width, height in sizes(3)[:60]:
        expected = cost_or_refusal(width, height, "qwen2.5-vl@1280")
        if expected is not None:
            assert processor.get_number_of_image_patches(height, width) == 4 * expected[0]


def test_internvl_counts_equal_the_image_processor():
    from transformers.models.got_ocr2 import image_processing_pil_got_ocr2 as source

    processor = source.GotOcr2ImageProcessorPil(
        size={"height": 448, "width": 448}, crop_to_patches=True, min_patches=1, max_patches=12
    )
    for width, height in sizes(4):
        tiles = processor.get_number_of_image_patches(height, width, {})
        columns, rows = source.get_optimal_tiled_canvas((height, width), (448, 448), 1, 12)
        expected = (256 * tiles, 448 * columns, 448 * rows)
        assert cost_or_refusal(width, height, "internvl3.5") == expected, (width, height)


def test_deepseek_ocr_2_counts_equal_the_image_processor():
    from transformers.models.deepseek_ocr2 import image_processing_pil_deepseek_ocr2 as source

    processor = source.DeepseekOcr2ImageProcessorPil()
    per_view = math.ceil(processor.size["height"] / 16 / 4) ** 2
    per_tile = math.ceil(processor.tile_size / 16 / 4) ** 2
    for width, height in sizes(5):
        tiles = 0
        if max(width, height) > processor.tile_size:
            columns, rows = source.get_optimal_tiled_canvas(
                (height, width),
                (processor.tile_size, processor.tile_size),
                processor.min_patches,
                processor.max_patches,
            )
            tiles = columns * rows
        cost = image_cost(width, height, "deepseek-ocr-2")
        assert cost.visual_tokens == per_view + per_tile * tiles + 1, (width, height)


def test_deepseek_ocr_2_tiles_equal_those_really_cut_from_pixels():
    numpy = pytest.importorskip("numpy", reason="numpy draws the blank pages")
    from transformers.models.deepseek_ocr2 import image_processing_pil_deepseek_ocr2 as source

    processor = source.DeepseekOcr2ImageProcessorPil()
    for width, height in [(640, 480), (768, 768), (900, 1200), (595, 842), (2000, 700)]:
        page = numpy.zeros((height, width, 3), dtype=numpy.uint8)
        tiles = processor([page], return_tensors="np")["num_local_patches"][0]
        assert image_cost(width, height, "deepseek-ocr-2").visual_tokens == 257 + 144 * tiles


def test_gemma_3_counts_and_size_equal_the_image_processor():
    numpy = pytest.importorskip("numpy", reason="numpy draws the blank pages")
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    processor = Gemma3ImageProcessorPil(size={"height": 896, "width": 896})
    for width, height in sizes(6)[::4]:
        page = numpy.zeros((height, width, 3), dtype=numpy.uint8)
        pixels = numpy.asarray(processor([page], return_tensors="np")["pixel_values"])
        assert pixels.shape[0] == 1
        # 14 px patches, pooled 4x4.
        tokens = pixels.shape[-2] // 14 // 4 * (pixels.shape[-1] // 14 // 4)
        expected = (tokens, pixels.shape[-1], pixels.shape[-2])
        assert cost_or_refusal(width, height, "gemma-3") == expected


@pytest.mark.parametrize("budget", [70, 140, 280, 560, 1120])
def test_gemma_4_counts_equal_the_image_processor(budget):
    source = functions_of(
        "gemma4/image_processing_pil_gemma4.py", "get_aspect_ratio_preserving_size"
    )
    for width, height in sizes(7):
        seen_height, seen_width = source.get_aspect_ratio_preserving_size(
            height=height, width=width, patch_size=16, max_patches=budget * 9, pooling_kernel_size=3
        )
        tokens = seen_height * seen_width // 48**2
        for model in (f"gemma-4@{budget}", *(["gemini-3.6-flash"] if budget == 1120 else [])):
            assert cost_or_refusal(width, height, model) == (tokens, seen_width, seen_height)


@pytest.mark.parametrize(
    ("model", "cell", "longest"), [("pixtral-12b", 16, 1024), ("mistral-small-3.1", 28, 1540)]
)
def test_pixtral_and_mistral_counts_equal_the_image_processor(model, cell, longest):
    numpy = pytest.importorskip("numpy", reason="numpy draws the blank pages")
    from transformers.models.pixtral import image_processing_pil_pixtral as source

    for width, height in sizes(8):
        seen_height, seen_width = source.get_resize_output_image_size(
            numpy.zeros((height, width, 3), dtype=numpy.uint8),
            size=(longest, longest),
            patch_size=(cell, cell),
        )
        if min(seen_height, seen_width) == 0:
            continue  # a strip so thin that the processor itself fails on it
        tokens = seen_height // cell * (seen_width // cell + 1)
        assert cost_or_refusal(width, height, model) == (tokens, seen_width, seen_height)


def test_llama_4_counts_equal_the_image_processor():
    torch = pytest.importorskip("torch", reason="the processor of Llama 4 computes with torch")
    source = functions_of(
        "llama4/image_processing_llama4.py",
        "get_factors",
        "find_supported_resolutions",
        "get_best_fit",
        "get_max_res_without_distortion",
        torch=torch,
    )
    canvases = torch.tensor(
        source.find_supported_resolutions(16, SimpleNamespace(height=336, width=336))
    )
    for width, height in sizes(9):
        canvas = source.get_best_fit((height, width), canvases).tolist()
        rows, columns = canvas[0] // 336, canvas[1] // 336
        room = (min(max(height, 336), canvas[0]), min(max(width, 336), canvas[1]))
        seen_height, seen_width = source.get_max_res_without_distortion((height, width), room)
        tokens = 144
        if rows * columns > 1:
            # A separator between the tiles of a row, and one at the end of each row.
            tokens += rows * columns * 144 + rows * (columns - 1) + rows
        expected = (tokens, max(seen_width, 1), max(seen_height, 1))
        assert cost_or_refusal(width, height, "llama-4") == expected, (width, height)


@pytest.mark.parametrize(
    ("model", "patches"), [("kimi-vl", 4_096), ("kimi-k2.5", 16_384), ("kimi-k3", 65_536)]
)
def test_kimi_counts_equal_the_image_processor(model, patches):
    source = functions_of("kimi_k25/image_processing_kimi_k25.py", "navit_resize")
    for width, height in sizes(10, most=9000):
        (seen_height, seen_width), (padded_height, padded_width) = source.navit_resize(
            height,
            width,
            patch_size=14,
            merge_kernel_size=2,
            max_patches=patches,
            max_size_per_side=512,
        )
        tokens = padded_height * padded_width // 28**2
        assert cost_or_refusal(width, height, model) == (tokens, seen_width, seen_height)


def test_minicpm_v_slices_equal_those_of_its_successors_image_processor():
    from transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6 import (
        MiniCPMV4_6ImageProcessorPil,
    )

    processor = MiniCPMV4_6ImageProcessorPil()
    for width, height in sizes(11):
        grid = processor.get_sliced_grid((height, width), max_slice_nums=9, scale_resolution=448)
        slices = 0 if grid is None else math.prod(grid)
        assert image_cost(width, height, "minicpm-v-2.6").visual_tokens == 64 * (1 + slices)
