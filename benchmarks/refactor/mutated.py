"""Whether changes in place are found: by the traced run, and by the syntax tree alone.

    python -m benchmarks.refactor.mutated tests/notebooks [--only ab_test ...] [--missed] [--out rows.json]

A notebook runs once, statement by statement, as for a conversion; but before and after each statement a picture of
every binding is taken, without asking what the statement names. A name that still means the same object, whose picture
is another one, was changed in place: by a method, a subscript, an attribute, or by way of another name. Against that
stand: the trace (what the conversion goes by), the names that the syntax says are changed (`Flow.changes`), those that
a call may change (`Flow.may_change`, and what the notebook's own functions reach), and these with every name that may
share an object with them. Pictures do not look into plots, so figures and axes are counted by the trace alone.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlnb.core.errors import MLNBError
from mlnb.core.files import atomic_write
from mlnb.refactoring.copies import run_child, working_copy
from mlnb.refactoring.dataflow import Flow, flow_of
from mlnb.refactoring.declarations import definition_of
from mlnb.refactoring.nodes import DIFFERENT, EQUAL, Node, compare
from mlnb.refactoring.notebook import Notebook, read_notebook
from mlnb.refactoring.observe import Observer
from mlnb.refactoring.reference import closes_figures
from mlnb.refactoring.trace import Plan, StatementTrace, Trace
from mlnb.refactoring.values import bindings, picture

EXACT = {EQUAL: 0.0}
WAYS = ("trace", "syntax", "calls too", "aliases too")


class Looking(Observer):
    """Runs a plan, and looks at every binding before and after every statement."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        super().__init__(plan, folder)
        self.seen: dict[str, tuple[Any, Node]] = {}
        self.mutated: dict[int, list[str]] = {}

    def run_statement(self, cell: Any, statement: Any) -> StatementTrace:
        """Run one statement."""
        done = super().run_statement(cell, statement)
        now = {name: (value, picture(value)) for name, value in bindings(self.main.__dict__).items()}
        same = [name for name in now.keys() & self.seen.keys() if now[name][0] is self.seen[name][0]]
        found = [n for n in same if compare(self.seen[n][1], now[n][1], EXACT).state == DIFFERENT]
        self.seen = now
        if found:
            self.mutated[statement.place] = sorted(found)
        return done


def child(plan: Path, folder: Path) -> None:
    """Run a plan in this process, and leave the trace and what was mutated."""
    observer = Looking(Plan.load(plan), folder)
    replace(observer.run(), folder=folder).save(folder)
    atomic_write(folder / "mutated.json", json.dumps(observer.mutated))
    sys.stdout.flush()
    os._exit(0)


def looked_at(notebook: Notebook, timeout: float) -> tuple[Trace, dict[int, frozenset[str]]]:
    """The trace of a notebook, and the names that each statement changed in place."""
    out = Path(tempfile.mkdtemp(prefix="mlnb-mutated-"))
    try:
        with working_copy(notebook.path) as copy:
            plan = Plan.of(notebook, closes_figures(notebook, {}), str(copy.root)).save(out / "plan.json")
            done = run_child([sys.executable, "-P", __file__, "--child", plan, out], copy.folder, timeout)
        if not (out / "mutated.json").exists():
            raise SystemExit(f"{notebook.path.name} does not end: {done.last}")
        held = json.loads((out / "mutated.json").read_text(encoding="utf-8"))
        return Trace.load(out), {int(place): frozenset(names) for place, names in held.items()}
    finally:
        shutil.rmtree(out, ignore_errors=True)


def by_syntax(notebook: Notebook) -> Iterator[tuple[int, dict[str, frozenset[str]]]]:
    """What each statement changes as far as its text tells: surely, by calls, by way of other names."""
    late: dict[str, frozenset[str]] = {}
    near: dict[str, set[str]] = {}  # names that may share an object
    for statement in notebook.statements:
        flow = flow_of(statement.node)
        called = _reached(flow, late)
        calls = flow.changes | flow.may_change | called
        shared = calls.union(*(near.get(name, set()) for name in calls))
        yield statement.place, {"syntax": flow.changes, "calls too": calls, "aliases too": shared}
        _follow(flow, near, called)
        if defined := definition_of(statement.node):
            late[defined] = flow.late | flow.writes


def _reached(flow: Flow, late: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """What the notebook's own functions reach that a statement names."""
    found: set[str] = set()
    waiting = [*flow.reads, *flow.late]
    while waiting:
        new = late.get(waiting.pop(), frozenset()) - found
        found |= new
        waiting += new
    return frozenset(found)


def _follow(flow: Flow, near: dict[str, set[str]], called: frozenset[str]) -> None:
    """Whatever a statement binds or changes may share objects with whatever it reads."""
    for name in flow.binds - flow.changes:
        for others in near.values():
            others.discard(name)
        near.pop(name, None)
    if not (targets := (flow.leaves | flow.changes) - flow.imports):
        return
    group = targets | flow.reads | called
    group = group.union(*(near.get(name, set()) for name in group))
    for name in group:
        near.setdefault(name, set()).update(group - {name})


def row_of(notebook: Notebook, timeout: float, labels: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """How many of the changes of one notebook each way finds, and what it does not find."""
    trace, mutated = looked_at(notebook, timeout)
    texts = {s.place: " ".join(s.text.split())[:110] for s in notebook.statements}
    nodes = {s.place: s.node for s in notebook.statements}
    ways = dict(by_syntax(notebook))
    said = {
        place: {**found, "trace": frozenset(trace.by_place[place].changed)}
        for place, found in ways.items()
        if place in trace.by_place
    }
    plots = {n for n, kind in trace.bindings.items() if kind.module.startswith(("matplotlib", "seaborn"))}
    row: dict[str, Any] = {"changes": 0, "statements": len(said), "found": Counter(), "said": Counter(), "missed": []}
    row["by the trace alone"] = []
    row["by other names"] = row["labelled"] = row["labelled found"] = 0
    for place, found in said.items():
        held = mutated.get(place, frozenset()) - frozenset(trace.by_place[place].bound)
        row["changes"] += len(held)
        named = {n.id for n in ast.walk(nodes[place]) if isinstance(n, ast.Name)}
        row["by other names"] += len(held - named)
        for way in WAYS:
            row["found"][way] += len(held & found[way])
            row["said"][way] += len(found[way] & trace.bindings.keys() - plots)
            row["missed"] += [f"{way}: {n} [{place}] {texts[place]}" for n in sorted(held - found[way])]
        more = found["trace"] - held
        row["by the trace alone"] += [f"{n} [{place}] {texts[place]}" for n in sorted(more - plots)]
    for number, names in labels.items():
        changed = {name for cell in trace.cells if cell.number == int(number) for name in cell.changed}
        for done in (s for s in trace.statements if s.cell == int(number)):
            again = any(isinstance(n, ast.AugAssign) for n in ast.walk(nodes[done.place]))  # changes what it binds
            changed |= {*done.changed, *(done.bound if again else ())}
        row["labelled"] += len(names)
        row["labelled found"] += len(changed & {*names})
        row["missed"] += [f"label: {n} [cell {number}]" for n in sorted({*names} - changed)]
    return row


def labels_of(notebook: Path) -> dict[str, list[str]]:
    """What a person wrote down that each cell changes in place, in the file beside the notebook's folder."""
    said = notebook.parent.parent / f"{notebook.parent.name}.toml"
    return tomllib.loads(said.read_text(encoding="utf-8")).get("mutated", {}) if said.exists() else {}


def lines_of(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The table."""
    yield f"| notebook | changes | by other names | {' | '.join(f'{way}: found | said' for way in WAYS)} | labels |"
    yield f"|{'---|' * (4 + 2 * len(WAYS))}"
    whole: Counter[str] = Counter()
    for name, row in rows.items():
        cells = [f"{row['found'][way]} | {row['said'][way]}" for way in WAYS]
        labels = f"{row['labelled found']} of {row['labelled']}"
        yield f"| {name} | {row['changes']} | {row['by other names']} | {' | '.join(cells)} | {labels} |"
        for key in ("changes", "by other names", "labelled", "labelled found"):
            whole[key] += row[key]
        for way in WAYS:
            whole[way] += row["found"][way]
            whole[f"{way} said"] += row["said"][way]
    shares = [f"{100 * whole[way] / max(1, whole['changes']):.1f} % | {whole[f'{way} said']}" for way in WAYS]
    labels = f"{whole['labelled found']} of {whole['labelled']}"
    yield f"| all | {whole['changes']} | {whole['by other names']} | {' | '.join(shares)} | {labels} |"


def notebooks(folder: Path, only: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Give id and path of the notebooks in a list."""
    listed = next(path for name in ("list.json", "notebooks.json") if (path := folder / name).exists())
    for held in json.loads(listed.read_text(encoding="utf-8"))["notebooks"]:
        if not only or held["id"] in only:
            yield held["id"], folder / held["folder"] / held["path"]


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), Path(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="ids of notebooks")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--missed", action="store_true", help="list what is not found")
    parser.add_argument("--out", type=Path, help="keep the rows here")
    given = parser.parse_args()
    rows: dict[str, dict[str, Any]] = {}
    for name, path in notebooks(given.folder, given.only):
        try:
            rows[name] = row_of(read_notebook(path), given.timeout, labels_of(path))
        except MLNBError as err:
            print(f"{name}: {err}", file=sys.stderr)
            continue
        print(f"{name}: {rows[name]['changes']} changes, {dict(rows[name]['found'])}", file=sys.stderr, flush=True)
        if given.out:
            given.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print("\n".join(lines_of(rows)))
    if given.missed:
        for name, row in rows.items():
            print("\n".join(f"{name}: {what}" for what in row["missed"]))


if __name__ == "__main__":
    main()
