"""Search: find the rendering that a reader reads best at each compression, for one's own texts.

    texts ─► validation set ─┐
    space ─► operators ──────┴─► fitness (real reading) ─► study ─► front ─► preset, report

The loop keeps two objectives, accuracy and compression ratio, and returns their Pareto front.
Importing this package loads neither Optuna nor a client library.

Source:
    Glyph (arXiv 2510.17800), section 3.4. The paper's search code was never published; what it
    leaves open is decided here and said in docs/SEARCH.md.
"""
