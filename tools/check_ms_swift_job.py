"""Check a job for ms-swift where ms-swift is installed, without a GPU and without a model.

    python tools/check_ms_swift_job.py JOB

The job's own run.sh is run with a `swift` that only notes what it was called with; so the flags
are those that the shell really passes. They go through the parser of ms-swift's argument classes,
which knows names, types and choices. The samples go through ms-swift's loader and preprocessor, and
their pages are opened as its template would open them. Prints one JSON object; exits with 1 when
anything is refused.
"""

import contextlib
import io
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

NOTE = """#!{python}
import json, os, sys
with open(os.environ["NOTE"], "w") as file:
    json.dump({{"argv": sys.argv[1:], "root": os.environ["ROOT_IMAGE_DIR"]}}, file)
"""


def main(job: Path) -> int:
    called = call_of(job)
    verb, flags = called["argv"][0], called["argv"][1:]
    os.environ["ROOT_IMAGE_DIR"] = called["root"]
    os.chdir(job)
    report = {"verb": verb, "num_flags": sum(word.startswith("--") for word in flags)}
    report["refused"] = refused(verb, flags)
    report |= samples(flags)
    if verb == "rlhf":
        report |= rewards(flags)
    import swift

    print(json.dumps({"ms_swift": swift.__version__, **report}, indent=2))
    return 1 if report["refused"] or report["wrong_rows"] or not report["rows"] else 0


def call_of(job: Path) -> dict:
    """Return what run.sh calls swift with."""
    with tempfile.TemporaryDirectory() as folder:
        fake = Path(folder) / "swift"
        fake.write_text(NOTE.format(python=sys.executable))
        fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
        note = Path(folder) / "note.json"
        env = {**os.environ, "NOTE": str(note), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run(["bash", str(job / "run.sh")], check=True, env=env)
        return json.loads(note.read_text())


def refused(verb: str, flags: list[str]) -> list[str]:
    """Return what the engine's own parser says against the flags."""
    from swift.arguments import PretrainArguments, RLHFArguments, SftArguments
    from transformers import HfArgumentParser

    kinds = {"pt": PretrainArguments, "sft": SftArguments, "rlhf": RLHFArguments}
    parser = HfArgumentParser(kinds[verb])
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            _, unknown = parser.parse_known_args(flags)
        except SystemExit:
            return [said.getvalue().strip().splitlines()[-1]]
    return unknown


def samples(flags: list[str]) -> dict:
    """Load the samples with ms-swift and open every page as its template does."""
    from PIL import Image
    from swift.dataset import load_dataset
    from swift.template.vision_utils import load_file

    files = values(flags, "--dataset")
    data, _ = load_dataset(files, split_dataset_ratio=0.0, strict=True, num_proc=1)
    wrong = []
    num_pages = 0
    for number, row in enumerate(data):
        marks = sum(turn["content"].count("<image>") for turn in row["messages"])
        roles = [turn["role"] for turn in row["messages"]]
        pages = [Image.open(load_file(page["path"])) for page in row["images"]]
        num_pages += len(pages)
        for page in pages:
            page.load()
        if (
            marks != len(pages)
            or roles != ["user", "assistant"]
            or not row["messages"][1]["content"]
        ):
            wrong.append(number)
    return {"files": len(files), "rows": len(data), "pages": num_pages, "wrong_rows": wrong}


def rewards(flags: list[str]) -> dict:
    """Load the job's rewards as a plugin and let them judge a right and a wrong answer."""
    from swift.rewards import orms
    from swift.utils import import_external_file

    for plugin in values(flags, "--external_plugins"):
        import_external_file(plugin)
    (name,) = values(flags, "--reward_funcs")
    right, wrong = orms[name]()(
        completions=["<think>as it stands</think>4821", "<think>as it stands</think>7777"],
        solution=["4821", "4821"],
        answers=[["4821"], ["4821"]],
        reward=["match", "match"],
        messages=[[{"role": "user", "content": "Which?"}]] * 2,
        id=["0", "0"],
    )
    return {"reward_of_right": right, "reward_of_wrong": wrong}


def values(flags: list[str], name: str) -> list[str]:
    at = flags.index(name) + 1
    end = next((k for k in range(at, len(flags)) if flags[k].startswith("--")), len(flags))
    return flags[at:end]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
