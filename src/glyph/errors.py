"""Every error a user can meet, in one tree.

    GlyphError
    ├── ConfigError (ValueError)      a setting, a preset, an argument
    │   └── UnknownModelError         no token rule under that name
    ├── DocumentError (ValueError)    the text cannot be taken in
    ├── RenderError                   the pages cannot be made or written
    │   └── FontError                 a font is missing or cannot be parsed
    ├── ReaderError                   a reader cannot answer
    │   └── UpstreamError             the endpoint behind it said no, or nothing
    ├── EvaluationError               a run of examples cannot go on
    ├── TrainingError                 samples, a stage or a job cannot go on
    └── BudgetError                   it does not fit the model's context or request

A message says what was given, what is accepted, and what to do about it, in one or two
sentences. `assert` is kept for our own invariants.
"""

import difflib
from collections.abc import Iterable


class GlyphError(Exception):
    """Anything the package raises on purpose."""


class ConfigError(GlyphError, ValueError):
    """A setting is unknown, out of range, or contradicts another."""


class UnknownModelError(ConfigError):
    """No visual-token rule is known under the name given."""


class DocumentError(GlyphError, ValueError):
    """A text cannot be taken in: empty, binary, unreadable."""


class RenderError(GlyphError):
    """Pages cannot be made or written."""


class FontError(RenderError):
    """A font is missing or cannot be parsed."""


class ReaderError(GlyphError):
    """A reader cannot answer."""


class UpstreamError(ReaderError):
    """An endpoint refused or failed; `status` is its HTTP status, None when none arrived."""

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status


class EvaluationError(GlyphError):
    """A run of examples cannot go on: its journal cannot be written, or nobody answers."""


class TrainingError(GlyphError):
    """Samples cannot be made or read, a stage cannot go on, or a job cannot be written."""


class BudgetError(GlyphError):
    """The pages do not fit the model's context or the limits of one request."""


def nearest(word: str, known: Iterable[str], limit: int = 3) -> str:
    """Return the known words that look most like `word`, quoted, for an error message.

    Example:
        >>> nearest("fontsize_pt", ["font_size_pt", "page_width_pt"])
        "'font_size_pt'"
    """
    found = difflib.get_close_matches(word, list(known), n=limit, cutoff=0.5)
    return ", ".join(f"'{name}'" for name in found)
