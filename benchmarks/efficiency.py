"""The table of docs/EVALUATION.md: text tokens against pages of the same text on one backbone.

    python benchmarks/efficiency.py                     nano and 100m on this CPU
    python benchmarks/efficiency.py --device cuda --lengths 4096,8192,16384,32768,65536,131072
    python benchmarks/efficiency.py --model glm --base-url http://localhost:8000/v1

The same as `glyph bench efficiency`, whose options it takes.
"""

import sys

from glyph.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["bench", "efficiency"]
    main()
