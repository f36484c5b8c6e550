"""The words around the pages, and how pages are dealt out to requests."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from glyph import BudgetError, Page, RenderConfig, encode_png, render_pages
from glyph.prompt import final_answer, page_groups, reading_prompt

PAGES = list(render_pages("The lamp is green.\n" * 30, RenderConfig(page_height_pt=80)))
SIZES = [len(encode_png(page)) for page in PAGES]


@pytest.mark.parametrize(
    ("num_pages", "numbers", "lead"),
    [
        (12, [], "Pages 1-12 of 12 of the document follow as images."),
        (1, [], "Page 1 of 1 of the document follows as an image."),
        (12, [4], "Page 5 of 12 of the document follows as an image."),
        (12, [0, 1, 4, 6, 7], "Pages 1-2, 5, 7-8 of 12 of the document follow as images."),
        (None, [3, 4], "Pages 4-5 of the document follow as images."),
    ],
)
def test_the_lead_says_which_pages_follow(num_pages: int | None, numbers: list[int], lead: str):
    assert reading_prompt("Who?", num_pages, "", numbers)[0] == lead


def test_the_question_comes_last_and_unchanged():
    _, text = reading_prompt("  Who is Ishmael?\n", 3)
    assert text.endswith("\n\nQuestion: Who is Ishmael?")
    assert "Copy names, numbers and codes exactly as printed." in text


def test_the_sidecar_stands_before_the_question_and_only_if_there_is_one():
    _, text = reading_prompt("Who?", 3, "id = 4711")
    assert text.startswith("Exact strings from these pages, as text:\nid = 4711\n\n")
    assert "Exact strings" not in reading_prompt("Who?", 3, " \n")[1]


@given(
    st.integers(1, 6) | st.none(),
    st.integers(max(SIZES), 2 * sum(SIZES)) | st.none(),
    st.integers(max(SIZES), 2 * max(SIZES)) | st.none(),
)
def test_groups_hold_all_pages_in_order_within_the_limits_and_none_could_be_fuller(
    max_images: int | None, max_bytes: int | None, max_image_bytes: int | None
):
    groups = list(page_groups(PAGES, max_images, max_bytes, max_image_bytes))
    assert [encoded.page for group in groups for encoded in group] == PAGES
    for i, group in enumerate(groups):
        num_bytes = sum(len(encoded.png) for encoded in group)
        assert max_images is None or len(group) <= max_images
        assert max_bytes is None or num_bytes <= max_bytes
        if i + 1 < len(groups):
            next_bytes = len(groups[i + 1][0].png)
            assert len(group) == max_images or (
                max_bytes is not None and num_bytes + next_bytes > max_bytes
            )


def test_a_group_carries_the_png_of_each_page():
    ((encoded,),) = page_groups(PAGES[:1])
    with Image.open(io.BytesIO(encoded.png)) as image:
        assert image.size == (PAGES[0].width_px, PAGES[0].height_px)


def test_pages_are_taken_only_as_groups_are_asked_for():
    taken: list[int] = []

    def pages():
        for page in PAGES:
            taken.append(page.index)
            yield page

    next(page_groups(pages(), max_images=1))
    assert taken == [0, 1]


def test_no_pages_make_no_groups():
    assert list(page_groups([])) == []


@pytest.mark.parametrize("limits", [{"max_bytes": 99}, {"max_image_bytes": 99}])
def test_a_page_over_a_limit_by_itself_is_refused_with_its_number(limits: dict[str, int]):
    with pytest.raises(BudgetError) as raised:
        list(page_groups([PAGES[2]], **limits))
    assert str(raised.value) == (
        f"page 3 is {SIZES[2]:,} bytes as PNG; the limit is 99 bytes. Render smaller pages: "
        "lower dpi or the page size."
    )


def test_a_request_of_no_images_is_refused():
    with pytest.raises(BudgetError, match=r"max_images is 0; a request holds at least 1 page\."):
        list(page_groups(PAGES, max_images=0))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("green", "green"),
        (" green.\n", "green."),
        ("<think>Page 3\nsays so.</think>\n\ngreen", "green"),
        ("<think>so</think><answer> green </answer>", "green"),
        ("It is <|begin_of_box|>green<|end_of_box|>.", "It is green."),
        ("a <think>tag</think> inside", "a <think>tag</think> inside"),
        ("<think>never closed", "<think>never closed"),
        ("", ""),
    ],
)
def test_marks_around_the_answer_are_taken_off_and_nothing_else(text: str, answer: str):
    assert final_answer(text) == answer


def test_pages_are_what_they_claim_for_these_tests():
    assert len(PAGES) >= 4 and all(isinstance(page, Page) for page in PAGES)
