"""What analysing a notebook costs that is not run: lint, data flow, and the cut into steps.

    python -m benchmarks.refactor.analysis tests/notebooks [--cells 200] [--only ab_test ...]

The cells of all notebooks of a list stand one after the other until there are enough, so the cells are as people write
them and names are bound again and again. Seconds of CPU time (a machine that does other things takes longer by the
clock), in one process, once after the modules are loaded; the second line is the first call of a fresh process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.refactor.common import notebooks
from mlnb.core.errors import MLNBError
from mlnb.core.workspace import Workspace, current
from mlnb.refactoring.cells import cell_edges
from mlnb.refactoring.declarations import names_of
from mlnb.refactoring.lint import lint
from mlnb.refactoring.notebook import read_notebook
from mlnb.refactoring.pieces import take_apart
from mlnb.refactoring.segments import cut


def joined(folder: Path, many: int, only: list[str], to: Path) -> Path:
    """A notebook of so many code cells, out of those of a list that can be taken apart without a run."""
    from nbformat import v4, write

    cells: list[Any] = []
    for _, path in list(notebooks(folder, only)) * many:
        try:
            take_apart(names_of(read_notebook(path)))
        except MLNBError:  # it can only be followed with a run, or not at all
            continue
        held = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for cell in held:
            text = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                cells.append(v4.new_markdown_cell(text))
            elif cell["cell_type"] == "code" and not cell["metadata"].get("tags"):
                cells.append(v4.new_code_cell(text))
            if sum(c.cell_type == "code" for c in cells) == many:
                write(v4.new_notebook(cells=cells), to)
                return to
    raise SystemExit("No notebook of this list can be taken apart without a run")


def stages(path: Path, workspace: Workspace) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is timed, in order."""
    held: dict[str, Any] = {}
    yield "lint", lambda: lint(path, workspace=workspace)
    yield "read", lambda: held.update(notebook=read_notebook(path))
    yield "data flow", lambda: held.update(names=names_of(held["notebook"]))
    yield "graph of cells", lambda: cell_edges(held["notebook"].statements, held["names"].flows)
    yield "pieces", lambda: held.update(pieces=take_apart(held["names"]))
    yield "cut", lambda: cut(held["pieces"])


def timed(path: Path) -> dict[str, float]:
    """CPU seconds of each stage."""
    with tempfile.TemporaryDirectory() as home:
        found: dict[str, float] = {}
        for name, call in stages(path, current(home)):
            began = time.process_time()
            call()
            found[name] = time.process_time() - began
        return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--only", nargs="*", default=[], help="ids of notebooks")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        path = joined(given.folder, given.cells, given.only, Path(home, "joined.ipynb"))
        notebook = read_notebook(path)
        lines = sum(len(s.text.splitlines()) for s in notebook.statements)
        print(f"{len(notebook.cells)} code cells, {len(notebook.statements)} statements, {lines} lines\n")
        runs = [timed(path) for _ in range(4)]
    print(f"| | {' | '.join(runs[0])} | all |\n|{'---|' * (len(runs[0]) + 2)}")
    again = {name: sorted(run[name] for run in runs[1:])[1] for name in runs[0]}
    for said, run in (("again (median of 3)", again), ("first call", runs[0])):
        print(f"| {said} | {' | '.join(f'{s:.2f} s' for s in run.values())} | {sum(run.values()):.2f} s |")


if __name__ == "__main__":
    main()
