"""Other converters of notebooks beside ours, by one judge on the same notebooks: the table of docs/refactoring.md.

    python -m venv ../peers && ../peers/bin/pip install nbconvert jupytext marimo soorgeon ploomber LIBRARIES
    python -m benchmarks.refactor.peers --judge FOLDER --notebooks tests/notebooks/list.json \
        --root tests/notebooks --bin ../peers/bin --out rows.json
    python -m benchmarks.refactor.peers --rows rows.json       # the table again, without running anything

The judge is the package `refactor_score`, and `--judge` the folder that holds it: it runs each notebook twice in fresh
kernels and what was made of it once in a fresh process, and compares the final values. LIBRARIES are those that the
notebooks import, in the versions of this environment. Our own command is the one beside the running Python.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PEERS = ("nbconvert", "jupytext", "marimo", "soorgeon")
OURS = "mlnb"
_VERSION = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"

Row = Mapping[str, Any]


def judged(given: argparse.Namespace, converter: str, folder: Path) -> list[dict[str, Any]]:
    """The judge's rows for one converter."""
    home = Path(sys.executable).parent if converter == OURS else given.bin
    out = folder / f"{converter}.json"
    paths = [str(given.judge), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    command = ["-m", "refactor_score", given.notebooks, "--root", given.root, "--converter", converter]
    command += ["--bin", home, "--cache", given.cache, "--timeout", given.timeout, "--out", out]
    if given.only:
        ids = folder / "only.json"
        ids.write_text(json.dumps(given.only), encoding="utf-8")
        command += ["--only", ids]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run([sys.executable, *map(str, command)], check=True, env=environment, stdin=subprocess.DEVNULL)
    return json.loads(out.read_text(encoding="utf-8"))["rows"]


LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "nbconvert_exporter": "python"}


def as_jupyter_saves(listed: Path, root: Path, folder: Path) -> Path:
    """A copy of the notebooks that says of their language what Jupyter says; nbconvert goes by it."""
    held = json.loads(listed.read_text(encoding="utf-8"))
    for entry in held["notebooks"] if isinstance(held, dict) else held:
        home = folder / entry["folder"]
        shutil.copytree(root / entry["folder"], home, dirs_exist_ok=True)
        path = home / entry["path"]
        notebook = json.loads(path.read_text(encoding="utf-8"))
        about = notebook["metadata"].setdefault("language_info", {})
        if about.get("name", "python") == "python":
            about |= {key: about.get(key, value) for key, value in LANGUAGE.items()}
            path.write_text(json.dumps(notebook), encoding="utf-8")
    return folder


def version_of(python: Path, name: str) -> str:
    """The version of a distribution in an environment."""
    done = subprocess.run([str(python), "-c", _VERSION, name], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def percent(part: float, whole: float) -> str:
    """A share in percent; a dash where there is nothing to share."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def middle(rows: Sequence[Row], key: str) -> str:
    """The median over notebooks."""
    held = [row[key] for row in rows if row.get(key) is not None]
    return f"{statistics.median(held):g}" if held else "–"


def total(rows: Sequence[Row], key: str) -> float:
    """The sum over notebooks."""
    return sum(row.get(key) or 0 for row in rows)


def wrong(row: Row) -> bool:
    """Whether it ran and a value is another one, without its saying so."""
    return bool(set(row.get("wrong", ())) & set(row.get("silently_wrong", ())))


def absent(row: Row) -> bool:
    """Whether it ran and a value is not there, without its saying so."""
    return bool(set(row.get("absent", ())) & set(row.get("silently_wrong", ())))


COLUMNS: dict[str, Callable[[Sequence[Row], Sequence[Row]], str]] = {
    "converted": lambda rows, made: f"{len(made)} of {len(rows)}",
    "runs": lambda rows, made: str(sum(row["ran"] for row in made)),
    "proved equal": lambda rows, made: str(sum(row["proved"] for row in made)),
    "another value": lambda rows, made: str(sum(map(wrong, made))),
    "a value missing": lambda rows, made: str(sum(map(absent, made))),
    "live cells in functions": lambda rows, made: percent(total(made, "cells_in_functions"), total(made, "live_cells")),
    "functions a live cell": lambda rows, made: f"{total(made, 'functions') / max(1, total(made, 'live_cells')):.2f}",
    "poor names": lambda rows, made: percent(total(made, "poor_names"), total(made, "functions")),
    "most inputs": lambda rows, made: middle(made, "most_inputs"),
    "longest function": lambda rows, made: middle(made, "longest_function"),
    "documented": lambda rows, made: percent(total(made, "documented"), total(made, "functions")),
    "ruff findings": lambda rows, made: middle(made, "ruff"),
    "seconds": lambda rows, made: middle(made, "seconds_convert"),
}


def table(rows: Sequence[Row], versions: Mapping[str, str]) -> str:
    """A line for each converter."""
    lines = [["", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
    for name in dict.fromkeys(row["converter"] for row in rows):
        mine = [row for row in rows if row["converter"] == name]
        made = [row for row in mine if row["status"] == "converted"]
        cells = [tell(mine, made) if made or what == "converted" else "–" for what, tell in COLUMNS.items()]
        lines.append([f"{name} {versions.get(name, '')}".strip(), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def remarks(rows: Sequence[Row]) -> list[str]:
    """What did not go well, one line each."""
    found = []
    for row in rows:
        said = [f"{row['status']}: {row['reason']}"] if row["status"] != "converted" else []
        if row["status"] == "converted" and not row["ran"]:
            said.append(f"does not run: {row['reason']}")
        if row.get("wrong"):
            said.append("another value: " + ", ".join(row["wrong"]))
        if row.get("absent") and row["ran"]:
            said.append(f"missing: {', '.join(row['absent'][:8])}")
        found += [f"{row['converter']}, {row['id']}: {what}" for what in said]
    return found


def main() -> None:
    """Run the converters, or show what they did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, help="the folder that holds refactor_score")
    parser.add_argument("--notebooks", type=Path, help="list of notebooks: id, folder, path")
    parser.add_argument("--root", type=Path, help="the folder that holds their folders")
    parser.add_argument("--bin", type=Path, help="where the commands of the others lie")
    parser.add_argument("--tools", nargs="+", default=[*PEERS, OURS], choices=[*PEERS, OURS])
    parser.add_argument("--only", nargs="*", default=[], help="ids of notebooks")
    parser.add_argument("--cache", type=Path, default=Path(".refactor_score"), help="the notebooks' own results")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for each single run")
    parser.add_argument("--out", type=Path, help="keep the rows here")
    parser.add_argument("--rows", type=Path, nargs="+", help="show the table of these rows")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    versions: dict[str, str] = {}
    for path in given.rows or ():
        held = json.loads(path.read_text(encoding="utf-8"))
        rows, versions = rows + held["rows"], versions | held["versions"]
    if not given.rows:
        missing = [name for name in ("judge", "notebooks", "root", "bin") if getattr(given, name) is None]
        if missing:
            parser.error(f"--{missing[0]} is needed to run the converters")
        given.bin = given.bin.absolute()
        with tempfile.TemporaryDirectory() as folder:
            given.root = as_jupyter_saves(given.notebooks, given.root, Path(folder, "notebooks"))
            for name in given.tools:
                rows += judged(given, name, Path(folder))
                python = Path(sys.executable) if name == OURS else given.bin / "python"
                versions[name] = version_of(python, name)
                if given.out:
                    held = {
                        "date": f"{datetime.datetime.now(tz=datetime.UTC).date()}",
                        "versions": versions,
                        "rows": rows,
                    }
                    given.out.write_text(json.dumps(held, indent=1), encoding="utf-8")
    print(table(rows, versions))
    print("\n".join(remarks(rows)))


if __name__ == "__main__":
    main()
