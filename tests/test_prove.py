"""What the proof says where the notebook itself varies: a difference is excused only by what varied."""

from __future__ import annotations

from dataclasses import replace

import nbformat
import pytest
from nbformat import v4

from mlnb.refactoring.nodes import number
from mlnb.refactoring.notebook import read_notebook
from mlnb.refactoring.prove import prove
from mlnb.refactoring.reference import reference
from mlnb.refactoring.rerun import Rerun

CELLS = [
    "import random\nimport time",
    "guess, rows = random.random(), 3\nrows",
    "guess * 2",
    "with open('seconds.txt', 'w') as sink:\n    sink.write(str(time.time_ns()))",
    "with open('rows.txt', 'w') as sink:\n    sink.write('3')",
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A notebook that draws without a seed and writes down the time, run twice."""
    path = tmp_path_factory.mktemp("varies") / "guess.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in CELLS]), path)
    notebook = read_notebook(path)
    trace, again = reference(notebook, timeout=120)
    shown = tuple(trace.shown[s.key] for told in trace.statements for s in told.shown)
    files = {path: (file.digest, file.inside) for path, file in trace.files.items()}
    return notebook, trace, again, Rerun(trace.pictures, shown, (False, False), "", files)


def states(seen, **other) -> dict[str, str]:
    """State of everything, by the beginning of its name, where the package did other things."""
    notebook, trace, again, made = seen
    found = prove(notebook, trace, again, replace(made, **other))
    return {item.name.partition(":")[0]: item.state for item in found.items}


def test_what_two_runs_agree_about_must_be_so_in_the_package(seen):
    as_it_was = states(seen)
    assert (as_it_was["guess"], as_it_was["rows"], as_it_was["cell 2"]) == ("varies", "equal", "equal")
    made = seen[3]
    assert states(seen, shown=(number(4), made.shown[1]))["cell 2"] == "different"  # its cell names what varies
    assert states(seen, shown=(made.shown[0], number(0.5)))["cell 3"] == "varies"


def test_a_file_that_two_runs_write_differently_varies(seen):
    made = seen[3]
    other = {path: ("0" * 64, "") for path in made.files}
    found = states(seen, files=other)
    assert (found["seconds.txt"], found["rows.txt"]) == ("varies", "different")
    assert states(seen, files={})["seconds.txt"] == "different"


def test_a_name_that_the_notebook_does_not_end_with_is_different(seen):
    notebook, trace, again, made = seen
    found = prove(notebook, trace, again, replace(made, pictures={**made.pictures, "rows_": made.pictures["rows"]}))
    assert [(i.name, i.where) for i in found.wrong] == [("rows_", "the notebook does not end with it")]
    assert not found.ok and prove(notebook, trace, again, made).ok
