"""`python -m glyph` is the command `glyph`."""

from glyph.cli import main

main()
