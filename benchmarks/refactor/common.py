"""What the measurements of refactoring share: the notebooks of a list, converted one after the other, and a table."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlnb.core.errors import MLNBError
from mlnb.refactoring.convert import Conversion, convert, write_source
from mlnb.refactoring.notebook import read_notebook
from mlnb.refactoring.project import project_files

NAME = "package"


def asked(about: str) -> argparse.ArgumentParser:
    """The command line: a folder with a list, and which of it."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="it holds list.json or notebooks.json: id, folder, path of each")
    parser.add_argument("--only", nargs="*", default=[], help="ids of notebooks")
    return parser


def notebooks(folder: Path, only: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Give id and path of the notebooks in a list."""
    listed = next(path for name in ("list.json", "notebooks.json") if (path := folder / name).exists())
    for held in json.loads(listed.read_text(encoding="utf-8"))["notebooks"]:
        if not only or held["id"] in only:
            yield held["id"], folder / held["folder"] / held["path"]


def line(cells: Sequence[object]) -> None:
    """Print a line of the table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def converted(given: argparse.Namespace, columns: Sequence[str]) -> Iterator[tuple[str, Conversion, float]]:
    """Convert one after the other, below the head of the table; give the seconds too. What is refused is a line."""
    line(columns)
    print("|" + "---|" * len(columns))
    for name, path in notebooks(given.folder, given.only):
        began = time.monotonic()
        try:
            made = convert(read_notebook(path), name=NAME, timeout=600)
        except MLNBError as err:
            line([name, f"refused: {err}", *[""] * (len(columns) - 2)])
            continue
        yield name, made, time.monotonic() - began


def written(made: Conversion, folder: Path) -> None:
    """Write a project."""
    write_source(made.source, folder / "src")
    for path, content in project_files(made).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
