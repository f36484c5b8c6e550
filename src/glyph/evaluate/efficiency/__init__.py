"""Efficiency: what the same text costs one backbone as text tokens and as pages.

`backbone` builds the network, `measure` times it, `endpoint` times a served model. Rendering and
image preprocessing are part of every total.
"""
