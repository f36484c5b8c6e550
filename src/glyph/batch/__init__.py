"""Batch: folders and tables of texts become Parquet shards of page images, on cores or on Ray.

    sources ── plan ──> shards ── work ──> pages-00000-of-00012.parquet ── run ──> manifest.json

A shard is rendered by one worker into one file, which is there whole or not at all, and says in
its footer what is in it. So a run needs no journal: what is missing is rendered, the rest is kept.
"""
