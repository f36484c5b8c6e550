"""Traffic: what passed through the gateway, in numbers; texts are kept nowhere."""

import time
from collections import Counter
from collections.abc import Sequence
from html import escape

from glyph.serve.metrics import Metrics, Passage

MAX_ROWS = 60
WIDTH, HEIGHT = 240, 36
CACHE = "glyph_page_cache"


def panel(metrics: Metrics) -> str:
    """Return the traffic as HTML: totals, reasons, latency, the last passages."""
    passages = list(metrics.traffic)
    if not passages:
        return (
            '<p class="gl-soft">Nothing has passed yet. Point a client at /v1 of this address, and '
            "its requests show here.</p>"
        )
    rows = "".join(map(_row, passages[: -MAX_ROWS - 1 : -1]))
    return (
        f'<div class="gl-tiles">{_tiles(metrics, passages)}</div>{_latency(passages)}'
        '<div class="gl-scroll"><table class="gl-table"><thead><tr>'
        + "".join(f'<th scope="col">{name}</th>' for name in (
            "When", "Wire", "Model", "Action", "Reason", "Status", "Text tokens", "Page tokens",
            "Pages", "Prepared ms", "First byte ms", "Total ms", "Outcome"))
        + f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )  # fmt: skip


def _tiles(metrics: Metrics, passages: Sequence[Passage]) -> str:
    paged = [each for each in passages if each.action == "compressed"]
    saved = sum(each.text_tokens - each.page_tokens for each in paged)
    skips = Counter(each.reason for each in passages if each.action == "passed")
    events = _cache_events(metrics)
    most = ", ".join(f"{reason or 'none'} {count:,}" for reason, count in skips.most_common(3))
    cached = ", ".join(f"{event} {count:,.0f}" for event, count in sorted(events.items()))
    tiles = (
        ("Tokens saved", f"{saved:,}", f"on {len(paged):,} of the last {len(passages):,} requests"),
        ("Skipped", f"{sum(skips.values()):,}", most),
        ("Page cache", f"{sum(events.values()):,.0f}", cached),
        ("First byte", f"{_middle([1e3 * each.first_byte_s for each in passages]):,.0f} ms",
         "half of all come sooner"),
    )  # fmt: skip
    return "".join(
        f"<div><dt>{name}</dt><dd>{value}</dd><small>{escape(note)}</small></div>"
        for name, value, note in tiles
    )


def _cache_events(metrics: Metrics) -> dict[str, float]:
    """Return where pages came from, by event."""
    return {
        sample.labels["event"]: sample.value
        for family in metrics.registry.collect()
        if family.name == CACHE
        for sample in family.samples
        if sample.name == f"{CACHE}_total"
    }


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _latency(passages: Sequence[Passage]) -> str:
    """Return the seconds of the last passages as bars, the newest on the right."""
    shown = [1e3 * each.total_s for each in passages[-WIDTH // 4 :]]
    most = max(max(shown), 1e-9)
    bars = "".join(
        f'<rect x="{4 * i}" y="{HEIGHT - HEIGHT * each / most:.1f}" width="3" '
        f'height="{HEIGHT * each / most:.1f}"><title>{each:,.0f} ms</title></rect>'
        for i, each in enumerate(shown)
    )
    return (
        f'<p class="gl-soft">Total time of the last {len(shown)} requests, up to {most:,.0f} ms '
        f'<svg class="gl-spark" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="Latency">{bars}</svg></p>'
    )


def _row(each: Passage) -> str:
    good = "gl-good" if each.outcome == "ok" else "gl-bad"
    cells = (
        time.strftime("%H:%M:%S", time.localtime(each.at)), each.wire, each.model, each.action,
        each.reason, str(each.status), f"{each.text_tokens:,}", f"{each.page_tokens:,}",
        f"{each.pages:,}", f"{1e3 * each.prepare_s:,.1f}", f"{1e3 * each.first_byte_s:,.1f}",
        f"{1e3 * each.total_s:,.1f}",
    )  # fmt: skip
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr>{shown}<td class="{good}">{escape(each.outcome)}</td></tr>'
