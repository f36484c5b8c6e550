"""Glyph: long text as page images, exactly priced."""
