"""The optional C kernel; everything else about the build is in pyproject.toml."""

import sys

from setuptools import Extension, setup

flags = ["/O2"] if sys.platform == "win32" else ["-O3", "-std=c99"]

setup(
    ext_modules=[
        Extension(
            "glyph._kernel",
            ["src/glyph/_kernel.c"],
            depends=["src/glyph/_linebreak.h"],
            extra_compile_args=flags,
            py_limited_api=True,
            # Without a compiler the NumPy twin draws the same pages, more slowly.
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
