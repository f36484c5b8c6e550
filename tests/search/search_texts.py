"""Texts that tests of the search are about."""

from glyph.probe import ARTICLES, NOUNS, PLACES, VERBS
from glyph.search.validation import SetSize

TINY = SetSize(num_passages=2, passage_chars=120)


def prose(num_sentences: int = 200) -> str:
    """Return sentences that a reader can read and nobody has read before."""
    return " ".join(
        f"{ARTICLES[i % 6].title()} {NOUNS[i * 7 % len(NOUNS)]} {VERBS[i * 5 % len(VERBS)]} "
        f"{ARTICLES[i * 3 % 6]} {NOUNS[(i * 11 + 3) % len(NOUNS)]} {PLACES[i % len(PLACES)]}."
        + ("\n" if i % 9 == 8 else "")
        for i in range(num_sentences)
    )
