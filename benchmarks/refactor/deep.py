"""What the deep proof finds: mutation score, second input and turned knobs of notebooks, as one table.

    python -m benchmarks.refactor.deep tests/notebooks [--many 50] [--only ab_test ...] [--missed]

The folder holds a `list.json` (or `notebooks.json`) with `id`, `folder` and `path`. `--missed` lists every damage that
the proof did not notice, and those without effect.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

from mlnb.core.errors import MLNBError
from mlnb.refactoring.convert import convert
from mlnb.refactoring.deep import DeepProof, deep
from mlnb.refactoring.notebook import read_notebook

COLUMNS = ("notebook", "score", "noticed", "missed", "no effect", "second input", "knobs", "converted", "deep")


def notebooks(folder: Path, only: list[str]) -> Iterator[tuple[str, Path]]:
    """Give id and path of the notebooks in a list."""
    listed = next(path for name in ("list.json", "notebooks.json") if (path := folder / name).exists())
    for held in json.loads(listed.read_text(encoding="utf-8"))["notebooks"]:
        if not only or held["id"] in only:
            yield held["id"], folder / held["folder"] / held["path"]


def row(name: str, found: DeepProof, seconds: float) -> str:
    """One line of the table."""
    count, score = found.mutants.count, found.mutants.score
    inputs, knobs = (
        f"{t.count['agrees']} of {t.count['agrees'] + t.count['differs']}" for t in (found.inputs, found.knobs)
    )
    effect = count["equivalent"] + count["drowned"]
    said = "-" if score is None else f"{100 * score:.0f} %"
    cells = [name, said, count["noticed"], count["missed"], effect, inputs, knobs]
    return "| " + " | ".join(map(str, cells)) + f" | {seconds:.0f} s | {found.seconds:.0f} s |"


def details(found: DeepProof) -> Iterator[str]:
    """What was missed, what differs, what was skipped."""
    for damage in found.mutants.damages:
        if damage.state != "noticed":
            yield f"  {damage.state}: {damage.says} [{damage.where}]"
    for trial in (*found.inputs.trials, *found.knobs.trials):
        if trial.state != "agrees":
            yield f"  {trial.state}: {trial.name} ({trial.says}) [{trial.where}]"
    if found.unable:
        yield f"  {found.unable}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--many", type=int, default=50, help="damages of each package")
    parser.add_argument("--only", nargs="*", default=[], help="ids of notebooks")
    parser.add_argument("--missed", action="store_true", help="list what was missed")
    given = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for name, path in notebooks(given.folder, given.only):
        began = time.monotonic()
        try:
            made = convert(read_notebook(path), name="package", timeout=600)
        except MLNBError as err:
            print(f"| {name} | not converted: {err} |" + " |" * (len(COLUMNS) - 2), flush=True)
            continue
        seconds = time.monotonic() - began
        found = deep(made, mutants=given.many, timeout=600)
        print(row(name, found, seconds), flush=True)
        if given.missed:
            print("\n".join(details(found)), flush=True)


if __name__ == "__main__":
    main()
