"""The observed run and the replay tell what each statement did, and every way in which a notebook fails is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from helpers_work import time_is_out_in, until
from nbformat import v4

from mlnb.core.errors import RefusedError, StepError
from mlnb.refactoring import copies
from mlnb.refactoring.copies import run_child, working_copy
from mlnb.refactoring.nodes import REPEATS, compare
from mlnb.refactoring.notebook import read_notebook
from mlnb.refactoring.reference import cause, closes_figures, observe, reference, repeats, replay, scratch_names

PLAIN = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}


def written(folder: Path, *cells: str, tags: dict[int, list[str]] | None = None):
    made = v4.new_notebook(cells=[v4.new_code_cell(c) for c in cells])
    for number, given in (tags or {}).items():
        made.cells[number - 1].metadata["tags"] = given
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(made, folder / "homes.ipynb")
    return read_notebook(folder / "homes.ipynb")


CELLS = (
    """%matplotlib inline
import random
import warnings
from math import *

import numpy as np
import pandas as pd
import matplotlib.pyplot as plt
from IPython.display import display as put
from sklearn.linear_model import LinearRegression
import helper
homes = pd.read_csv("../data/homes.csv")""",
    """np.random.seed(1)
part = homes["price"]
part.loc[0] = 21.0
items, boxed = [1], {}
boxed["items"] = items
def grow(by):
    items.append(by)
grow(5)
homes.describe(), homes["rooms"], homes.values
homes.shape""",
    """class Box:
    def __init__(self): self._held = []
    def put(self, what): self._held.append(what)
box = Box()
box.put(1)
model = LinearRegression()
fitted = model.fit(homes[["rooms"]], homes.price)
fitted.intercept_ = 0.0
random.random()
draw = np.random.normal(size=2)
pd.options.display.max_rows = 7
warnings.filterwarnings("ignore")
plt.rcParams["figure.figsize"] = (3, 2)""",
    """print("first"); display(homes)
put(homes.rooms, 3)
plt.plot([1, 2], [3, 4]);""",
    """plt.bar([1, 2], [3, 4])
plt.show()
plt.plot([5, 6])
sum(range(4))""",
    """from __future__ import annotations
total: int = 0
for row in items:
    total += row
with open("out.csv", "w") as sink:
    sink.write("a,b")
del boxed
lines = open("out.csv").read()
_ = (word for word in "ab")
holder = helper.Holder(homes)""",
    """holder.grow()""",
    """def annotated(x: Missing): return x
inner = annotated(2)
import asyncio
waited = await asyncio.sleep(0, 7)
1 / 0
unreached = 1""",
    "after = 1",
)
HELPER = """
class Holder:
    def __init__(self, frame):
        self.frames = {"x": [frame]}
    def grow(self):
        self.frames["x"][0].loc[0, "price"] = -1.0
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "data").mkdir()
    (folder / "data/homes.csv").write_text("rooms,price\n2,20.0\n3,31.5\n5,48.0\n")
    (folder / "notebooks").mkdir()
    (folder / "notebooks/helper.py").write_text(HELPER)
    notebook = written(folder / "notebooks", *CELLS, tags={8: ["raises-exception"]})
    before = notebook.path.read_bytes()
    trace, again = reference(notebook, timeout=120, environment=PLAIN)
    assert notebook.path.read_bytes() == before
    assert sorted(p.name for p in (folder / "notebooks").iterdir()) == ["helper.py", "homes.ipynb"]
    return notebook, trace, again


@pytest.fixture(scope="module")
def told(seen):
    notebook, trace, _ = seen
    return {s.text.splitlines()[0]: trace.by_place[s.place] for s in notebook.statements if s.place in trace.by_place}


def test_both_runs_agree_on_everything(seen):
    notebook, trace, again = seen
    found = repeats(notebook, trace, again)
    assert set(trace.pictures) == set(again.pictures) == set(found)
    assert {n for n, r in found.items() if r.state == "varies"} == set()
    assert found["homes"].state == "deterministic" and found["row"].state == "scratch"
    assert again.outputs[4][0]["text"].startswith("first") and any("data" in o for o in again.outputs[5])


def test_what_was_bound_changed_and_deleted(told, seen):
    assert told["part.loc[0] = 21.0"].changed == ("homes", "part")
    assert told['boxed["items"] = items'].changed == ("boxed",)
    assert told["grow(5)"].changed == ("boxed", "items") and told["grow(5)"].bound == ()
    assert told['homes.describe(), homes["rooms"], homes.values'].changed == ()
    assert told["box.put(1)"].changed == ("box",)
    assert told['fitted = model.fit(homes[["rooms"]], homes.price)'].bound == ("fitted",)
    assert told['fitted = model.fit(homes[["rooms"]], homes.price)'].changed == ("model",)
    assert told["fitted.intercept_ = 0.0"].changed == ("fitted", "model")
    assert told["del boxed"].deleted == ("boxed",) and told["total: int = 0"].bound == ("total",)
    assert set(told["for row in items:"].bound) == {"row", "total"}
    assert told["holder.grow()"].changed == ("holder", "homes", "part")
    assert "sqrt" in told["from math import *"].starred and told["import random"].starred == ()
    assert all(c.changed == () for c in seen[1].cells)


def test_types_and_shapes(told, seen):
    types = told['homes = pd.read_csv("../data/homes.csv")'].types
    assert (types["homes"].type, types["homes"].module, types["homes"].shape) == ("pd.DataFrame", "pandas", (3, 2))
    assert (
        told["import numpy as np"].types["np"].kind == "module"
        and told["def grow(by):"].types["grow"].kind == "function"
    )
    assert seen[1].bindings["items"].type == "list[int]" and seen[1].bindings["draw"].shape == (2,)


def test_generators_options_and_files(told, seen):
    moved = {text: s.moved for text, s in told.items() if s.moved and not text.startswith(("import", "from"))}
    assert moved == {
        "np.random.seed(1)": ("numpy.random",),
        "random.random()": ("random",),
        "draw = np.random.normal(size=2)": ("numpy.random",),
    }
    options = {text: s.options for text, s in told.items() if s.options}
    assert options == {
        "pd.options.display.max_rows = 7": ("pandas.display.max_rows",),
        'warnings.filterwarnings("ignore")': ("warnings.filters",),
        'plt.rcParams["figure.figsize"] = (3, 2)': ("matplotlib.figure.figsize",),
    }
    assert told['homes = pd.read_csv("../data/homes.csv")'].read == ("../data/homes.csv",)
    assert told['with open("out.csv", "w") as sink:'].written == ("out.csv",)
    assert told['lines = open("out.csv").read()'].read == ("out.csv",)
    assert {n: f.kind for n, f in seen[1].files.items()} == {"out.csv": "csv"}


def test_displays_output_and_figures(told, seen):
    trace = seen[1]
    assert told['print("first")'].stdout == "first\n" and told["display(homes)"].shown[0].by == "display"
    assert [s.type for s in told["put(homes.rooms, 3)"].shown] == ["pd.Series", "int"]
    assert told["homes.shape"].shown[0].type == "tuple[int, int]" and told["plt.plot([1, 2], [3, 4])"].shown == ()
    assert trace.shown[told["sum(range(4))"].shown[0].key].value == 6
    assert len(trace.cell(4).figures) == 1 and len(told["plt.show()"].figures) == 1 and len(trace.cell(5).figures) == 1
    bars, line = (trace.figures[k].value["axes 0"] for k in (*told["plt.show()"].figures, *trace.cell(5).figures))
    assert "bar 0" in bars.value and "line 0" in line.value and "bar 0" not in line.value


def test_aliases_at_the_end_of_cells(seen):
    assert ("boxed", "items") in seen[1].cell(2).aliases and ("homes", "part") in seen[1].cell(2).aliases
    assert ("fitted", "model") in seen[1].cell(3).aliases
    assert any(set(g) >= {"holder", "homes", "part"} for g in seen[1].cell(6).aliases)


def test_a_cell_that_is_meant_to_raise_does_not_end_the_run(seen, told):
    assert seen[1].cell(8).error.startswith("ZeroDivisionError") and seen[1].failed is None
    assert "unreached" not in seen[1].bindings and "after" in seen[1].bindings
    assert told["waited = await asyncio.sleep(0, 7)"].types["waited"].type == "int"


# ways to fail


@pytest.mark.parametrize("run", [observe, pytest.param(replay, marks=pytest.mark.long)])
def test_a_cell_that_raises_is_named(tmp_path, run):
    notebook = written(tmp_path, "x = 1", "y = x\nraise ValueError('no\\ndata')\nz = 1")
    with pytest.raises(RefusedError, match=r"^cell 2 raises ValueError: no data") as caught:
        run(notebook, timeout=60)
    assert caught.value.fields["cell"] == 2


@pytest.mark.parametrize("code", ["raise SystemExit(0)", "raise KeyboardInterrupt"])
def test_leaving_a_cell_early_is_an_error_too(tmp_path, code):
    with pytest.raises(RefusedError, match="cell 1 raises"):
        observe(written(tmp_path, code), timeout=60)


@pytest.mark.parametrize("run", [observe, pytest.param(replay, marks=pytest.mark.long)])
def test_an_endless_loop_is_ended_and_named(tmp_path, run, monkeypatch):
    notebook = written(tmp_path, "x = 1", "while True:\n    pass")
    time_is_out_in(2, monkeypatch)
    with pytest.raises(StepError, match=r"did not end within 6 s: it was in cell 2") as caught:
        run(notebook, timeout=6)
    assert caught.value.fields["cause"] == "timeout"


@pytest.mark.parametrize("run", [observe, pytest.param(replay, marks=pytest.mark.long)])
def test_a_process_that_dies_is_named(tmp_path, run):
    with pytest.raises((StepError, RefusedError), match="cell 2"):
        run(written(tmp_path, "x = 1", "import os\nos._exit(3)"), timeout=60)


def test_huge_output_and_threads_left_behind(tmp_path):
    cells = (
        "for i in range(30):\n    print('x' * 1_000_000)",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()",
        "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "pid = child.pid",
    )
    trace = observe(written(tmp_path, *cells), timeout=60)
    assert 10_000_000 < len(trace.statements[0].stdout) < 11_000_000 and "more characters" in trace.statements[0].stdout
    until(lambda: not Path(f"/proc/{trace.pictures['pid'].value}").exists())  # no process of the notebook lives on


def test_a_notebook_with_a_shell_line_is_refused_before_it_runs(tmp_path):
    with pytest.raises(RefusedError, match="cell 2"):
        observe(written(tmp_path, "open('ran', 'w')", "!python train.py"))


def test_a_module_beside_the_notebook_does_not_break_the_observer(tmp_path):
    written(tmp_path, "import random\nx = random.mine")
    (tmp_path / "random.py").write_text("mine = 3\n")
    (tmp_path / "ast.py").write_text("raise RuntimeError\n")
    notebook = read_notebook(tmp_path / "homes.ipynb")
    with pytest.raises(RefusedError, match="cell 1 raises"):  # the standard library's is loaded already
        observe(notebook, timeout=60)


# seeds, figures, copies


def test_what_varies_is_named_with_its_cause(tmp_path):
    cells = (
        "import numpy as np, random, time, uuid",
        "a = np.random.normal(size=3)\nb = a.sum()\nc = np.random.default_rng(0).normal()\nd = random.random()",
        "e = time.time()\nf = uuid.uuid4().hex\ng = {w for w in 'abcdef'}\nh = list(g)\n"
        "k = np.random.default_rng().normal()",
    )
    notebook = written(tmp_path, *cells)
    found = repeats(notebook, *reference(notebook, timeout=60))
    assert {n for n, r in found.items() if r.state == "varies"} == set("abdefhk")
    assert found["b"].cause == "numpy.random drawn from without a seed in cell 2" and "random" in found["d"].cause
    assert "clock" in found["e"].cause and "another in every run" in found["f"].cause and "seed" in found["k"].cause
    assert found["c"].state == found["g"].state == "deterministic" and found["a"].where.startswith("a: 3 of 3")


def test_scratch_names(tmp_path):
    notebook = written(
        tmp_path, "for i in range(3):\n    j = i\nfor k in []:\n    pass\nprint(k)\nwith open('a') as f: pass"
    )
    assert scratch_names(notebook.statements) == {"i", "f"}
    assert cause(notebook, observe(written(tmp_path, "x = 1"), timeout=60), "none") == ""


@pytest.mark.parametrize(
    "backend, line, closes",
    [("", "", True), ("Agg", "", False), ("Agg", "%matplotlib inline\n", True), ("module://x.inline", "", True)],
)
def test_when_figures_close(tmp_path, backend, line, closes):
    assert closes_figures(written(tmp_path, f"{line}x = 1"), {"MPLBACKEND": backend}) is closes


def test_figures_stay_open_under_another_backend(tmp_path):
    cells = (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
        "plt.plot([3, 4])",
        "n = len(plt.get_fignums())",
    )
    trace = observe(written(tmp_path, *cells), timeout=60, environment={**PLAIN, "MPLBACKEND": "Agg"})
    assert [len(c.figures) for c in trace.cells] == [1, 1, 0] and trace.pictures["n"].value == 1


def test_a_copy_is_refused_when_too_large_and_leaves_out_environments(tmp_path, monkeypatch):
    notebook = written(tmp_path / "a/b", "x = 1")
    (tmp_path / "a/b/venv").mkdir()
    (tmp_path / "a/b/venv/pyvenv.cfg").write_text("")
    (tmp_path / "a/b/big.bin").write_bytes(b"0" * 3000)
    monkeypatch.setattr(copies, "LARGEST_FILE", 2000)
    with working_copy(notebook.path) as copy:
        assert sorted(p.name for p in copy.folder.iterdir()) == ["big.bin", "homes.ipynb"]
        assert (copy.folder / "big.bin").is_symlink() and not copy.notebook.is_symlink()
    monkeypatch.setattr(copies, "LARGEST_FOLDER", 10)
    with pytest.raises(RefusedError, match="has more than"), working_copy(notebook.path):
        pass


def test_a_child_prints_for_ever_in_bounded_memory():
    child = run_child([sys.executable, "-c", "while True: print('x' * 10_000)"], Path(), 1.5)
    assert child.status is None and len(child.stdout) <= 400_000


def test_the_observer_loads_no_heavy_library():
    code = "import sys, mlnb.refactoring.observe; print({'numpy', 'pandas', 'matplotlib'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_pictures_of_both_processes_are_the_same(seen):
    _, trace, again = seen
    assert all(
        compare(again.pictures[n], trace.pictures[n], REPEATS).state in ("equal", "unproved") for n in again.pictures
    )
