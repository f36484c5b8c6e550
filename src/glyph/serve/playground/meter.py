"""Meter: tokens and money of a view for several models, and what to be warned of."""

from collections.abc import Sequence
from html import escape

from glyph.documents import Document
from glyph.serve.playground.desk import Shelf, View
from glyph.text_tokens import count_text_tokens
from glyph.tokens import Cost, document_cost, is_proxy, resolve_model

MAX_COUNTED = 1_000
MAX_WARNINGS = 12
MAX_MISSING = 24
SMALL_PX = 7.0
"""Em size in pixels as the model sees it, below which no reader here was seen to read letters."""


class Meter:
    """Counts tokens, each text once for each tokenizer."""

    def __init__(self) -> None:
        self._counted: Shelf[int] = Shelf(MAX_COUNTED, MAX_COUNTED)

    def text_tokens(self, document: Document, tokenizer: str) -> int:
        """Return the tokens of a document as text."""
        key = (hash(document.text), len(document.text), tokenizer)
        found = self._counted.get(key)
        if found is None:
            found = count_text_tokens(document.text, tokenizer)
            self._counted.put(key, found, 1)
        return found

    def costs(self, view: View, models: Sequence[str]) -> list[Cost]:
        """Return what a view costs models, those named twice once."""
        visions = [resolve_model(name) for name in models]
        return [
            document_cost(
                view.sizes_px,
                self.text_tokens(view.document, vision.tokenizer),
                vision,
                vision.tokenizer,
            )
            for vision in dict.fromkeys(visions)
        ]


def headline(view: View, cost: Cost, seconds: float) -> str:
    """Return the ratio and how it comes about, as HTML."""
    saved = 1 - cost.visual_tokens / max(cost.text_tokens, 1)
    verdict = f"{saved:.0%} fewer tokens" if saved >= 0 else f"{-saved:.0%} more tokens than text"
    kind = "gl-good" if saved >= 0 else "gl-bad"
    return (
        f'<div class="gl-head"><output class="gl-ratio" id="glyph-ratio">{cost.ratio:.2f}x</output>'
        f'<div><strong class="{kind}">{verdict}</strong> for {escape(cost.model)}<br>'
        f"<span>{cost.text_tokens:,} text tokens as {cost.visual_tokens:,} visual tokens on "
        f"{cost.pages:,} page{'s' * (cost.pages != 1)}; {len(view.document.text):,} characters "
        f"laid out in {1e3 * seconds:,.0f} ms</span></div></div>"
    )


def table(costs: Sequence[Cost]) -> str:
    """Return the meter as HTML; prices are typed in, and the money is worked out in the browser."""
    best = max(cost.ratio for cost in costs)
    rows = "".join(_row(cost, best) for cost in costs)
    return (
        '<div class="gl-scroll"><table class="gl-table"><thead><tr><th scope="col">Model</th>'
        '<th scope="col">Text tokens</th><th scope="col">Visual tokens</th>'
        '<th scope="col">Pages</th><th scope="col">Ratio</th><th scope="col">Pixels</th>'
        '<th scope="col">Price per million</th><th scope="col">As text</th>'
        '<th scope="col">As pages</th><th scope="col">Saved</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        '<p class="gl-soft">Prices are yours to type in and stay in this browser. '
        "&asymp; marks the nearest bundled tokenizer where the model has another. Begin and end "
        "marks of pages are counted in money.</p>"
    )


def _row(cost: Cost, best: float) -> str:
    pages = cost.visual_tokens + cost.overhead_tokens
    name = escape(cost.model)
    pixels = '<span class="gl-bad">resampled</span>' if cost.resampled else "kept"
    about = escape(cost.tokenizer)
    mark = "&asymp; " if is_proxy(cost) else ""
    return (
        f'<tr data-model="{name}" data-text="{cost.text_tokens}" data-pages="{pages}">'
        f'<th scope="row">{name}</th><td title="{about}">{mark}{cost.text_tokens:,}</td>'
        f"<td>{cost.visual_tokens:,}</td><td>{cost.pages:,}</td>"
        f'<td><span class="gl-bar" style="--share:{cost.ratio / best:.3f}">{cost.ratio:.2f}</span>'
        f"</td><td>{pixels}</td>"
        f'<td><input type="number" class="gl-price" min="0" step="0.01" placeholder="0.00" '
        f'aria-label="Price of a million input tokens of {name}"></td>'
        '<td class="gl-money" data-of="text"></td><td class="gl-money" data-of="pages"></td>'
        '<td class="gl-money" data-of="saved"></td></tr>'
    )


def warnings(view: View, cost: Cost) -> str:
    """Return everything one should know before sending these pages, as HTML; "" when all is well.

    Resampled pages, characters without a glyph, type that is too small to be read.
    """
    notes = [*cost.warnings]
    if view.missing:
        most = view.missing.most_common(MAX_MISSING)
        listed = ", ".join(f"U+{ord(char):04X} ({count:,})" for char, count in most)
        more = f" and {len(view.missing) - len(most)} more" if len(view.missing) > len(most) else ""
        notes.append(f"No font has these characters, so they are drawn as boxes: {listed}{more}.")
    width_px = view.config.font_size_px * view.config.horizontal_scale
    if width_px < SMALL_PX:
        notes.append(
            f"Letters are {view.config.font_size_px:.1f} px high and their em {width_px:.1f} px "
            f"wide; below {SMALL_PX:g} px readers misread or invent. Run 'glyph probe' with yours."
        )
    notes += view.document.notes
    items = "".join(f"<li>{escape(note)}</li>" for note in dict.fromkeys(notes[:MAX_WARNINGS]))
    return f'<ul class="gl-notes" id="glyph-notes">{items}</ul>' if items else ""
