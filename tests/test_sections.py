"""Section by section: the rest stays a notebook that does what the original did; what cannot be cut out is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlnb.core.errors import ArgumentError, RefusedError
from mlnb.refactoring.beside import convert_sections
from mlnb.refactoring.notebook import read_notebook
from mlnb.refactoring.refactor import refactor
from mlnb.refactoring.sections import find_sections
from mlnb.refactoring.stages import cells_that_work, parts_of

HERE = Path(__file__).parent / "notebooks"
LAB = (
    "# Prices",
    "%matplotlib inline\nimport numpy as np\nimport matplotlib.pyplot as plt\nnp.random.seed(4)",
    "## Load the data",
    "class Shop:\n    def __init__(self, name):\n        self.name = name\n"
    "def doubled(values):\n    return factor * values",
    "factor = 2\nprices = np.random.normal(20, 3, 30)\nprices[:3]",
    "shops = [Shop('north'), Shop('south')]\nprint(len(shops), 'shops')",
    "## Clean",
    "prices[prices > 25] = 25\nlog = []\nlog.append(prices.max())",
    "plt.hist(prices)\nplt.title('clean');",
    "## Model",
    "best = doubled(prices).mean()  # of all\nlog.append(best)\nbest",
    "%timeit -n1 -r1 np.mean(prices)\nnames = [s.name for s in shops if isinstance(s, Shop)]",
)


def write(folder: Path, *cells: str, name: str = "lab.ipynb") -> Path:
    held = []
    for number, text in enumerate(cells):
        cell = {"cell_type": "markdown", "metadata": {}, "source": text, "id": f"c{number}"}
        code = {"cell_type": "code", "outputs": [], "execution_count": None}
        held.append(cell if text.startswith("#") else cell | code)
    path = folder / name
    path.write_text(json.dumps({"cells": held, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def cells_of(folder: Path) -> list[str]:
    held = json.loads(next((folder / "notebooks").glob("*.ipynb")).read_text())
    return ["".join(c["source"]) for c in held["cells"]]


def states(folder: Path) -> set[str]:
    proof = json.loads((folder / "proof.json").read_text())
    lists = (proof.get(key, []) for key in ("displays", "figures", "outputs", "files"))
    return {*proof["bindings"].values(), *(item["state"] for held in lists for item in held)}


def where(report) -> dict[str, str]:
    table = next(t for t in report.tables if t.title == "Sections")
    return {row[0]: row[2] for row in table.rows}


def test_section_after_section_until_nothing_is_left(tmp_path):
    source = write(tmp_path, *LAB)
    before, folder = source.read_bytes(), tmp_path / "shop"
    report = refactor(source, to=folder, section="load the data")
    assert source.read_bytes() == before and states(folder) <= {"equal", "unproved"}
    proof = json.loads((folder / "proof.json").read_text())
    assert {"prices", "best", "log", "names", "factor"} <= {n for n, s in proof["bindings"].items() if s == "equal"}
    assert len(proof["displays"]) == 2 and len(proof["figures"]) == 1
    assert where(report) == {
        "Prices": "still in the notebook",
        "Load the data": "in the package",
        "Clean": "still in the notebook",
        "Model": "still in the notebook",
    }
    new = cells_of(folder)
    assert all(text in new for text in (LAB[1], *LAB[6:])), "cells that stay are as they were written"
    text = "\n".join(new)
    assert "class Shop" not in text and "from shop.functions import Shop" in text and "def doubled(*given" in text
    functions = (folder / "src/shop/functions.py").read_text()
    assert functions.count("class Shop") == 1 and "def doubled(values" in functions
    with pytest.raises(ArgumentError, match="holds a package already"):
        refactor(source, to=folder, section="Model")
    refactor(source, to=folder, section="Model", yes=True)
    assert json.loads((folder / "proof.json").read_text())["sections"] == ["Load the data", "Model"]
    new = cells_of(folder)
    assert LAB[7] in new and LAB[8] in new and "best = " in "\n".join(new) and "doubled(prices)" not in "\n".join(new)
    report = refactor(source, to=folder, section=["Clean", "Prices"], yes=True)
    refactor(source, to=tmp_path / "other/shop")
    both = (folder / "src/shop", tmp_path / "other/shop/src/shop")
    parts, whole = ({p.name: p.read_text() for p in home.glob("*.py")} for home in both)
    assert parts == whole and "pipeline.py" in whole
    assert {*where(report).values()} <= {"in the package", "nothing to convert"}


def test_the_new_notebook_runs_where_it_lies(tmp_path):
    """From the project's own folder, with the package installed, it finds the data of the original."""
    import nbformat
    from nbclient import NotebookClient

    (tmp_path / "n.txt").write_text("41")
    source = write(tmp_path, "## Read", "n = int(open('n.txt').read())", "## Add", "m = n + 1\nprint('is', m)")
    folder = tmp_path / "add"
    refactor(source, to=folder, section="Read")
    held = nbformat.read(folder / "notebooks/add.ipynb", as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder / "src"))
        resources = {"metadata": {"path": str(folder / "notebooks")}}
        NotebookClient(held, kernel_name="python3", timeout=60, resources=resources).execute()
    assert held.cells[-1].outputs[0]["text"] == "is 42\n"


def test_cells_by_number_and_unknown_sections(tmp_path):
    held = read_notebook(write(tmp_path, *LAB))
    assert find_sections(held, ["2-3"])[0].cells == (2, 3) and find_sections(held, ["cell 5"])[0].cells == (5,)
    with pytest.raises(ArgumentError) as told:
        find_sections(held, ["Load data"])
    assert told.value.hint == "Did you mean 'Load the data'? There are 'Prices', 'Load the data', 'Clean', 'Model'"
    for wrong in ("5-2", "0", "1-99", "nothing like it"):
        with pytest.raises(ArgumentError):
            find_sections(held, [wrong])


REFUSED = {
    "a function rebinds": (
        ("n = 0", "def count():\n    global n\n    n += 1", "count()", "count()\nn"),
        "3",
        "cell 2: count rebinds n of the notebook, and cells 2 to 4 share it",
    ),
    "the last value": (("n = 3\nn + 1", "m = _ + 1"), "1", "cell 2: _ is what a cell showed before"),
    "escapes": (("n = 3", "exec('m = n')"), "1", "cell 2: exec"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_cut_out_is_refused_with_the_cell(case, tmp_path):
    cells, section, why = REFUSED[case]
    source = write(tmp_path, *cells)
    with pytest.raises(RefusedError) as told:
        refactor(source, to=tmp_path / "no", section=section)
    assert str(told.value).startswith(why) and not (tmp_path / "no").exists()


def test_parameters_that_do_not_go_together(tmp_path):
    source = write(tmp_path, "n = 3", "m = 4")
    for given in ({"nbdev": True}, {"deep": True}, {"target": "n"}):
        with pytest.raises(ArgumentError, match="do not go together"):
            refactor(source, to=tmp_path / "no", section="1", **given)
    assert not (tmp_path / "no").exists()
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "proof.json").write_text("{}")
    with pytest.raises(ArgumentError, match="holds the whole notebook already"):
        refactor(source, to=whole, section="1", yes=True)


def test_a_difference_is_never_written(tmp_path, monkeypatch):
    """A step that gives another value than the cell did is found, and nothing is left behind."""
    from mlnb.refactoring import beside

    real = beside.call_of
    monkeypatch.setattr(beside, "call_of", lambda step: real(step) + " + 1" if step.outputs else real(step))
    source = write(tmp_path, "n = 3.0", "m = n * 2")
    with pytest.raises(RefusedError, match="with these cells in a package the notebook does not do what it did"):
        refactor(source, to=tmp_path / "no", section="1")
    assert not (tmp_path / "no").exists()


@pytest.mark.long
@pytest.mark.parametrize("slug", ["ab_test", "clinic_queue", "seabird_rings"])
def test_each_part_of_a_notebook_of_the_set(slug, tmp_path):
    held = read_notebook(next((HERE / slug).glob("*.ipynb")))
    works = cells_that_work(held)
    for part in parts_of(held):
        if works & {*part.cells}:
            made = convert_sections(held, frozenset(part.cells), tmp_path / "part", name="part")
            assert made.conversion.proof.ok, part.title


def test_a_loop_variable_that_other_cells_bind_too_comes_back_from_a_section(tmp_path):
    cells = (
        "## First",
        "for i in range(2):\n    print(i)",
        "## Second",
        "total = 0\nfor i in range(4):\n    total += i",
    )
    source = write(tmp_path, *cells)
    refactor(source, to=tmp_path / "second", section="Second")
    held = json.loads((tmp_path / "second/proof.json").read_text())
    assert (held["bindings"]["i"], held["bindings"]["total"]) == ("equal", "equal")
