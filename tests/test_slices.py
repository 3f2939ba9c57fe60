"""Targets: what they depend on is kept, random numbers do not shift, what is dropped is listed, and dead cells go."""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
from pathlib import Path

import pytest

from mlnb.core.errors import ArgumentError, RefusedError
from mlnb.refactoring.notebook import read_notebook
from mlnb.refactoring.refactor import refactor
from mlnb.refactoring.reference import observe
from mlnb.refactoring.remainder import comments_only, dead_cells
from mlnb.refactoring.slices import Slices, find_targets, seeds

HERE = Path(__file__).parent / "notebooks"


def write(folder: Path, *cells: str, name: str = "lab.ipynb") -> Path:
    held = [{"cell_type": "code", "metadata": {}, "source": c, "outputs": [], "execution_count": None} for c in cells]
    path = folder / name
    path.write_text(json.dumps({"cells": held, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    return path


def kept(folder: Path, cells: tuple[str, ...], *asked: str) -> list[str]:
    """Statements that targets keep, imports aside."""
    held = read_notebook(write(folder, *cells))
    seen = observe(held)
    places = Slices(held, seen).slice_for(find_targets(seen, asked)).kept
    texts = [held.statements[p].text for p in sorted(places)]
    return [text for text in texts if not text.startswith(("import ", "from "))]


CASES = {
    "alias": (("a = [3, 1]\nb = a\nc = [5]", "b.append(2)\nc.append(6)", "top = max(a)"), "top", "c = [5]"),
    "plot that draws numbers": (
        ("import numpy as np\nnp.random.seed(1)", "jitter = np.random.rand(3)\nspare = 4", "x = np.random.rand()"),
        "x",
        "spare = 4",
    ),
    "second seed": (
        ("import random\nrandom.seed(1)", "a = random.random()", "random.seed(2)\nb = random.random()"),
        "b",
        "a = random.random()",
    ),
    "file": (
        ("n = 3\nm = 4", "with open('n.txt', 'w') as f:\n    f.write(str(n))", "k = int(open('n.txt').read())\nm += 1"),
        "k",
        "m = 4",
    ),
    "function reads late": (
        ("rate = 1\nother = 2", "def tax(x):\n    return x * rate", "rate = 3\ndue = tax(10)\nother = 4"),
        "due",
        "other = 4",
    ),
    "function rebinds": (
        ("n = 0\nm = 0", "def count():\n    global n\n    n += 1", "count()\nm += 1", "count()\ntwice = n * 2"),
        "twice",
        "m += 1",
    ),
    "reader that is used up": (
        ("import csv\nlines = csv.reader(['a,1', 'b,2'])\nz = 1", "head = next(lines)\nz = 2", "rest = list(lines)"),
        "rest",
        "z = 2",
    ),
    "environment": (
        ("import os\nos.environ['UNIT'] = 'kg'\ny = 1", "unit = os.environ['UNIT']\ny = 2"),
        "unit",
        "y = 2",
    ),
}
NEEDED = {
    "alias": "b.append(2)",
    "plot that draws numbers": "jitter = np.random.rand(3)",
    "second seed": "random.seed(2)",
    "file": "n = 3",
    "function reads late": "rate = 3",
    "function rebinds": "count()",
    "reader that is used up": "head = next(lines)",
    "environment": "os.environ['UNIT'] = 'kg'",
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_target_depends_on_is_kept_and_no_more(case, tmp_path):
    cells, target, spare = CASES[case]
    found = kept(tmp_path, cells, target)
    assert NEEDED[case] in found and spare not in found
    space: dict[str, object] = {}
    whole: dict[str, object] = {}
    imports = "\n".join(line for c in cells for line in c.splitlines() if line.startswith(("import ", "from ")))
    path = tmp_path / "run"
    path.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        exec(compile("\n".join([imports, *found]), "slice", "exec"), space)
        exec(compile("\n".join(cells), "notebook", "exec"), whole)
    assert space[target] == whole[target]


def test_seeds_are_told_from_draws():
    import ast
    from types import SimpleNamespace

    said = {text: seeds(SimpleNamespace(node=ast.parse(text).body[0])) for text in ("np.random.seed(3)", "x.seed(n)")}  # type: ignore[arg-type]
    assert said == {"np.random.seed(3)": True, "x.seed(n)": False}


def test_wrong_targets_say_what_there_is(tmp_path):
    seen = observe(read_notebook(write(tmp_path, "import math\nmodel = 2", "open('m.json', 'w').write('1')", "model")))
    for wrong, hint in {
        "modle": "Did you mean model?",
        "m.jsn": "Did you mean m.json?",
        "figure 1": "It shows 0",
        "cell 1": "These do: ",
        "../etc/passwd": "There are model, m.json",
    }.items():
        with pytest.raises(ArgumentError) as told:
            find_targets(seen, [wrong])
        assert hint in (told.value.hint or ""), wrong
    assert find_targets(seen, ["model", "./m.json", "cell 3"]).files == {"m.json"}


@pytest.mark.parametrize("slug", ["bike_rentals", "untitled7"])
def test_dead_cells_are_those_that_were_written_down(slug):
    said = tomllib.loads((HERE / f"{slug}.toml").read_text())
    held = read_notebook(HERE / said["notebook"])
    living, dead = dead_cells(Slices(held, observe(held)))
    assert sorted(dead | {c.cell for c in comments_only(held)}) == said["dead"]
    assert all(held.statements[p].cell not in dead for p in living)


def run_of(folder: Path, name: str, where: Path) -> dict[str, object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "src"))
        patch.chdir(where)
        for module in [m for m in sys.modules if m.split(".")[0] == name]:
            del sys.modules[module]
        return importlib.import_module(f"{name}.pipeline").run()


LAB = (
    "import json\nimport pathlib\nimport numpy as np\nimport matplotlib.pyplot as plt\nnp.random.seed(5)",
    "x = np.random.normal(size=40)\nx[:3]",
    "plt.hist(x + np.random.rand(40))\nplt.title('noise')",
    "y = 2 * x + np.random.normal(size=40)\nplt.scatter(x, y)",
    "slope = float(np.polyfit(x, y, 1)[0])\nprint('slope', round(slope, 3))",
    "pathlib.Path('fit.json').write_text(json.dumps({'slope': slope}));",
    "later = [slope, 1]",
)


def test_targets_become_a_package_that_is_proved(tmp_path):
    source = write(tmp_path, *LAB)
    before = source.read_bytes()
    report = refactor(source, to=tmp_path / "fit", target=["slope", "fit.json"])
    assert report.status == "pass" and source.read_bytes() == before
    proof = json.loads((tmp_path / "fit/proof.json").read_text())
    assert proof["bindings"]["slope"] == "equal" and proof["bindings"]["later"] == "dropped"
    assert [f["state"] for f in proof["files"]] == ["equal"]
    assert "displays" not in proof
    # the histogram draws numbers before y does: it stays, with its figure; the plot of y goes
    assert [f["cell"] for f in proof["figures"]] == [3]
    left = next(t for t in report.tables if t.title == "Left out")
    assert ("later = [slope, 1]", "nothing that is asked for depends on it") in [row[1:] for row in left.rows]
    assert ("plt.scatter(x, y)", "draws a figure that nobody asked for") in [row[1:] for row in left.rows]
    work = tmp_path / "work"
    work.mkdir()
    results = run_of(tmp_path / "fit", "fit", work)
    assert "later" not in results and json.loads((work / "fit.json").read_text())["slope"] == results["slope"]


def test_a_cell_and_a_figure_are_targets(tmp_path):
    refactor(write(tmp_path, *LAB), to=tmp_path / "plot", target=["figure 2", "cell 2"])
    proof = json.loads((tmp_path / "plot/proof.json").read_text())
    assert [f["cell"] for f in proof["figures"]] == [3, 4] and [d["cell"] for d in proof["displays"]] == [2]
    assert proof["bindings"] == {"x": "equal", "y": "equal", **dict.fromkeys(["later", "slope"], "dropped")}


def test_dead_cells_go_and_are_listed(tmp_path):
    cells = ("import random\nrandom.seed(1)", "n = 7", "n = random.random()", "# m = 1", "n > 0")
    report = refactor(write(tmp_path, *cells), to=tmp_path / "whole")
    left = next(t for t in report.tables if t.title == "Left out")
    assert [(row[0], row[2]) for row in left.rows] == [(2, "nothing depends on it"), (4, "it is a comment")]
    assert "n = 7" not in "".join(f.read_text() for f in (tmp_path / "whole/src").rglob("*.py"))
    assert json.loads((tmp_path / "whole/proof.json").read_text())["bindings"] == {"n": "equal"}


def test_nothing_is_written_where_a_target_is_wrong(tmp_path):
    source = write(tmp_path, "n = 7")
    for given in ({"target": "m"}, {"target": [1]}, {"target": "n", "section": "1"}, {"target": "n", "deep": True}):
        with pytest.raises(ArgumentError):
            refactor(source, to=tmp_path / "none", **given)
    with pytest.raises(RefusedError, match=r"cell 1: exec\(\)"):
        refactor(write(tmp_path, "exec('n = 1')\nm = 1", name="runs.ipynb"), to=tmp_path / "none", target="m")
    assert not (tmp_path / "none").exists()


@pytest.mark.long
@pytest.mark.parametrize("slug", ["ab_test", "clinic_queue", "diabetes_ols", "seabird_rings"])
def test_each_final_value_is_a_target(slug, tmp_path):
    """A package for the last three names that a notebook of the set binds to what repeats."""
    said = tomllib.loads((HERE / f"{slug}.toml").read_text())
    for name in said["equal"][-3:]:
        refactor(HERE / said["notebook"], to=tmp_path / name, target=name)
        assert json.loads((tmp_path / name / "proof.json").read_text())["bindings"][name] == "equal"
