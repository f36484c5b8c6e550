"""`python -m glyph` is the command `glyph`."""

from glyph.cli import main

# Processes that a command starts import this module under another name.
if __name__ == "__main__":
    main()
