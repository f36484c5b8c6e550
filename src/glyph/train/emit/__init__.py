"""Jobs for training engines: complete folders of commands, settings and data recipes.

An engine is never imported here; its flags are checked against its own argument classes by
`tools/check_ms_swift_job.py`, which runs where the engine is installed.
"""
