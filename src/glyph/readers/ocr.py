"""The `ocr` reader: reads pages line by line with a small recogniser, answers by extraction.

Lines are found from the pixels (`textlines`), cut out, scaled to the height the recogniser was
trained on, and read one by one. The recogniser is PP-OCRv6 small, whose weights come inside the
rapidocr wheel; they are run by onnxruntime directly, since a page of text needs no detector and
the positions of single characters are wanted. It reads Latin letters with accents, Greek, Chinese,
Japanese kana, digits and symbols. Cyrillic, Arabic, Hebrew, Hangul, Thai and Indic scripts are not
in its alphabet: on such pages it returns wrong letters with low confidence.
"""

import importlib
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from glyph.errors import ConfigError, ReaderError
from glyph.pages import Page
from glyph.readers.extract import extract_answer, has_definite_answer
from glyph.readers.memory import Memory, Remembered
from glyph.readers.passages import is_wide
from glyph.readers.protocol import Answer, ReadLine, Request, Transcript, Usage
from glyph.readers.textlines import TextLine, find_lines, ink_of, line_ink

HEIGHT_PX = 48
"""Height of the recogniser's input; fixed by its training."""

STEP_PX = 8
"""Width of input that one step of the recogniser's output stands for."""

SQUEEZE = 0.6
"""Width of an input over its natural width at `HEIGHT_PX`. Lines of 9 px letters are read best at
about three input pixels to one of the page: wider costs blanks and time, narrower costs letters."""

MAX_PIECE_PX = 1600
"""Widest input; longer lines are cut at a blank. Time grows faster than width beyond."""

MIN_WIDTH_PX = 160

WIDE_GAP_LINES = 2.5
"""Blank, in line heights, at which a line is read in two pieces: table cells, aligned comments."""

PAD_PX = 2

READS_AS = 2
"""Raised when this file reads the same pixels otherwise than before."""


class OcrReader:
    """Reads pages from their pixels and answers with the words it finds.

    Attributes:
        name: `ocr`.
    """

    name = "ocr"

    def __init__(
        self,
        threads: int | None = None,
        on_page: Callable[[int, int], None] | None = None,
        cache: Path | None = None,
    ):
        """Load the recogniser.

        Args:
            threads: Threads of one recognition; None uses every core.
            on_page: Called with the number of pages read and of all pages, after each page.
            cache: Folder where pages that were read are remembered; None forgets them.

        Raises:
            ConfigError: `threads` is below 1.
            ReaderError: A package or the weights are missing.
        """
        if threads is not None and threads < 1:
            raise ConfigError(f"threads is {threads}; at least 1 is accepted, or None for all.")
        self._recogniser = _Recogniser(threads)
        self._on_page = on_page
        self._memory = Memory(f"ocr {READS_AS} {_weights_path().name}", cache)

    def answer(self, request: Request) -> Answer:
        """Read the pages in order and answer from what was read.

        All pages are read, unless the question asks for one key and the key is found letter for
        letter with its value: then reading stops. Pages read before are not read again. The
        sidecar is not used: this reader stands for what the pixels alone give.

        Args:
            request: Question and pages.
        """
        began = time.perf_counter()
        transcripts: list[Transcript] = []
        numbers = [page.index for page in request.pages]
        for i, page in enumerate(request.pages):
            transcripts.append(self.transcribe(page))
            if self._on_page is not None:
                self._on_page(i + 1, len(request.pages))
            # A key may begin on the page before.
            recent = slice(max(i - 1, 0), i + 1)
            if has_definite_answer(request.question, transcripts[recent], numbers[recent]):
                break
        found = extract_answer(request.question, transcripts, numbers[: len(transcripts)])
        return Answer(
            text=found.answer,
            reader=self.name,
            pages=tuple(numbers[i] for i in found.pages),
            box=found.box,
            quote=found.quote,
            confidence=found.confidence,
            usage=Usage(None, None, None),
            seconds=time.perf_counter() - began,
        )

    def transcribe(self, page: Page) -> Transcript:
        """Return the lines of a page as read; of the last few hundred pages they are remembered.

        Args:
            page: Any page; only its pixels are looked at.
        """
        known = self._memory.get(page.digest)
        if known is None:
            known = Remembered(self._read(page))
            self._memory.put(page.digest, known)
        return known.transcript

    def _read(self, page: Page) -> Transcript:
        ink_HW = ink_of(page.gray())
        lines = (self._read_line(ink_HW, line) for line in find_lines(ink_HW))
        return Transcript(tuple(line for line in lines if line.text))

    def _read_line(self, ink_HW: UInt8[np.ndarray, "H W"], line: TextLine) -> ReadLine:
        text = ""
        x_px: list[float] = []
        weights: list[tuple[float, int]] = []
        for left, right in _pieces(ink_HW, line):
            begin = max(left - PAD_PX, 0)
            cut_HW = line_ink(ink_HW, line, begin, right + PAD_PX)
            scale = SQUEEZE * HEIGHT_PX / cut_HW.shape[0]
            piece, steps, confidence = self._recogniser.read(_scaled(cut_HW, scale))
            if not piece:
                continue
            if text and not (is_wide(text[-1]) and is_wide(piece[0])):
                text += " "
                x_px.append((x_px[-1] + left) / 2)
            text += piece
            x_px += [begin + (step + 0.5) * STEP_PX / scale for step in steps]
            weights.append((confidence, len(piece)))
        num_chars = sum(count for _, count in weights)
        confidence = sum(c * n for c, n in weights) / num_chars if num_chars else 0.0
        return ReadLine(text, line.box, round(confidence, 4), tuple(x_px))


def _pieces(ink_HW: UInt8[np.ndarray, "H W"], line: TextLine) -> list[tuple[int, int]]:
    """Return the columns of a line's pieces: cut at wide gaps, and where a piece gets too long."""
    left, right = line.box.left_px, line.box.right_px
    height = line.bottom_px - line.top_px
    is_blank_W = ~ink_HW[line.top_px : line.bottom_px, left:right].any(axis=0)
    steps = np.flatnonzero(np.diff(np.concatenate(([False], is_blank_W, [False]))))
    gaps = [(left + int(a), left + int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]
    longest = int(MAX_PIECE_PX * height / (SQUEEZE * HEIGHT_PX))
    pieces: list[tuple[int, int]] = []
    begin = left
    for i, (start, end) in enumerate(gaps):
        next_start = gaps[i + 1][0] if i + 1 < len(gaps) else right
        is_wide = end - start >= WIDE_GAP_LINES * height
        is_word_gap = end - start >= 0.2 * height
        if is_wide or (is_word_gap and next_start - begin > longest):
            pieces.append((begin, start))
            begin = end
    pieces.append((begin, right))
    return pieces


def _scaled(cut_HW: UInt8[np.ndarray, "H W"], scale: float) -> UInt8[np.ndarray, "48 V"]:
    """Return a cut as dark letters on white, `HEIGHT_PX` high."""
    white = Image.fromarray(255 - cut_HW)
    width = max(round(cut_HW.shape[1] * scale), STEP_PX)
    return np.asarray(white.resize((width, HEIGHT_PX), Image.Resampling.BICUBIC))


class _Recogniser:
    """The network that reads one line, with greedy decoding of its CTC output."""

    def __init__(self, threads: int | None):
        try:
            onnxruntime: Any = importlib.import_module("onnxruntime")
        except ImportError:
            raise _missing("onnxruntime") from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        self._session: Any = onnxruntime.InferenceSession(
            str(_weights_path()), options, providers=["CPUExecutionProvider"]
        )
        self._input: str = self._session.get_inputs()[0].name
        properties = self._session.get_modelmeta().custom_metadata_map
        # CTC: class 0 is "no character"; the blank between words comes after the alphabet.
        self._alphabet = ["", *properties["character"].splitlines(), " "]

    def read(self, gray_HW: UInt8[np.ndarray, "48 V"]) -> tuple[str, list[int], float]:
        """Return the characters of a line, the step each was read at, and the confidence."""
        # Short lines were padded with mid-grey in training, and are read better so.
        width = max(-(-gray_HW.shape[1] // STEP_PX) * STEP_PX, MIN_WIDTH_PX)
        inputs = np.zeros((1, 3, HEIGHT_PX, width), np.float32)
        inputs[:, :, :, : gray_HW.shape[1]] = gray_HW.astype(np.float32) / 127.5 - 1.0
        output: Float32[np.ndarray, "T C"] = self._session.run(None, {self._input: inputs})[0][0]
        best_T = output.argmax(axis=1)
        is_new_T = best_T != 0
        is_new_T[1:] &= best_T[1:] != best_T[:-1]
        steps = np.flatnonzero(is_new_T)
        text = "".join(self._alphabet[i] for i in best_T[steps])
        first, last = len(text) - len(text.lstrip()), len(text.rstrip())
        if first >= last:
            return "", [], 0.0
        steps = steps[first:last]
        confidence = float(output[steps, best_T[steps]].mean())
        return text[first:last], steps.tolist(), confidence


def _missing(package: str) -> ReaderError:
    return ReaderError(
        f"reader 'ocr' needs {package}; install it with: pip install 'glyph-context[ocr]'"
    )


def _weights_path() -> Path:
    """Return the recogniser's weights inside the rapidocr package, which is not imported."""
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or not spec.submodule_search_locations:
        raise _missing("rapidocr")
    folder = Path(spec.submodule_search_locations[0]) / "models"
    found = sorted(folder.glob("PP-OCR*_rec_*.onnx"))
    if not found:
        raise ReaderError(
            f"rapidocr is installed without its weights (no PP-OCR*_rec_*.onnx in {folder}); "
            "install the wheel again with: pip install --force-reinstall 'rapidocr>=3.10'"
        )
    return found[-1]
