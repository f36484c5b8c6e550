"""A peer behind two pipes: a JSON object a line in, one a line out. Runs in the peer's own Python.

A request is {"text_file", "folder", "model", "kind", "runs"}; the answer names the files of the
pages and their sizes, what the peer itself says they cost, and CPU seconds of each timed run.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from struct import unpack

Claims = dict[str, int | float | None]


def serve(render: Callable[[str, dict], tuple[list[bytes], Claims]]) -> None:
    """Answer requests until the pipe closes; what the peer prints goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        text = Path(request["text_file"]).read_bytes().decode("utf-8")
        pages, claims = render(text, request)
        seconds = []
        for _ in range(request["runs"]):
            start = time.process_time()
            render(text, request)
            seconds.append(time.process_time() - start)
        files = []
        for i, page in enumerate(pages):
            file = Path(request["folder"]) / f"{i:05}.png"
            file.write_bytes(page)
            files.append(str(file))
        sizes = [unpack(">II", page[16:24]) for page in pages]
        answer = {"files": files, "sizes": sizes, "claims": claims, "seconds": seconds}
        print(json.dumps(answer), file=answers, flush=True)
