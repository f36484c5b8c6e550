"""Serve: a gateway that shrinks long contexts on their way to a model.

    request ── wires ──> sites ── paging ──> pages ── gate ──> verdicts ── rewrite ──> request

Everything up to the rewritten bytes is pure; `gateway` is the only part that waits for a network,
and `cache` the only one that keeps anything. Importing this package loads no server.
"""
