"""The messy notebooks: the set holds what it promises, what is said of each is true, and all of them run."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
import warnings
from functools import cache
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent / "notebooks"
LISTED = json.loads((HOME / "list.json").read_text())["notebooks"]
IDS = [entry["id"] for entry in LISTED]
STEPS = {"setup", "load", "look", "clean", "features", "split", "train", "evaluate", "plot", "save"}
RUN_BODY = ("%%time", "%%capture", "%%timeit")
IN_PLACE = {"append", "extend", "insert", "pop", "update", "clear", "sort", "reverse", "setdefault", "fit"}
IN_PLACE |= {"set_params", "drop", "rename"}  # the last two with inplace=True


@cache
def said(slug: str) -> dict:
    return tomllib.loads((HOME / f"{slug}.toml").read_text())


@cache
def held(slug: str) -> dict:
    return json.loads((HOME / said(slug)["notebook"]).read_text())


def cells(slug: str) -> list[dict]:
    return [c for c in held(slug)["cells"] if c["cell_type"] == "code"]


def text(cell: dict) -> str:
    return "".join(cell["source"])


def magics(slug: str) -> list[str]:
    lines = [line.strip() for c in cells(slug) for line in text(c).splitlines()]
    return [line for line in lines if re.match(r"%%?[a-z]|!\w", line)]


@cache
def trees(slug: str) -> tuple[ast.Module, ...]:
    """Each code cell without its magics; of a cell in another language, nothing."""
    found = []
    for cell in cells(slug):
        lines = text(cell).splitlines()
        if lines and lines[0].startswith("%%"):
            lines = lines[1:] if lines[0].split()[0] in RUN_BODY else []
        plain = "\n".join("pass" if re.match(r"\s*[%!]", line) else line for line in lines)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            found.append(ast.parse(plain))
    return tuple(found)


def bound(tree: ast.AST) -> set[str]:
    """Names that a cell binds, wherever: a test may ask too little of them, never too much."""
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    return names | {n.name for n in ast.walk(tree) if isinstance(n, ast.ExceptHandler) and n.name}


def bound_at_top(tree: ast.Module) -> set[str]:
    """Names that a cell binds as values at top level, loops and walruses included, functions' insides not."""
    found, left = set(), list(tree.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            found |= {n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)}
            continue
        left += ast.iter_child_nodes(node)
    return found


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [n for n in tree.body if isinstance(n, ast.FunctionDef)]


def calls(tree: ast.AST) -> set[str]:
    functions = (n.func for n in ast.walk(tree) if isinstance(n, ast.Call))
    return {
        f.attr if isinstance(f, ast.Attribute) else f.id for f in functions if isinstance(f, ast.Attribute | ast.Name)
    }


def is_written(node: ast.AST) -> bool:
    """Whether a node changes an object in place, as far as one can read."""
    if isinstance(node, ast.AugAssign):
        return True
    if isinstance(node, ast.Subscript | ast.Attribute):
        return not isinstance(node.ctx, ast.Load)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        asked = any(k.arg == "inplace" and getattr(k.value, "value", False) for k in node.keywords)
        return asked or node.func.attr in IN_PLACE - {"drop", "rename"}
    return False


def reads_of_notebook(slug: str) -> set[str]:
    """Functions that read a value of the notebook: a name that is bound at top level and not inside them."""
    values = set().union(*(bound_at_top(t) for t in trees(slug)))
    found = set()
    for function in (f for t in trees(slug) for f in functions(t)):
        own = {a.arg for n in ast.walk(function) if isinstance(n, ast.arguments) for a in (*n.args, *n.kwonlyargs)}
        own |= bound(ast.Module(function.body, []))
        loads = {n.id for b in function.body for n in ast.walk(b) if isinstance(n, ast.Name)}
        if (loads - own) & values:
            found.add(function.name)
    return found


def rebound(slug: str) -> set[str]:
    counts: dict[str, int] = {}
    for tree in trees(slug):
        for name in bound_at_top(tree):
            counts[name] = counts.get(name, 0) + 1
    return {name for name, n in counts.items() if n > 1}


def out_of_order(slug: str) -> bool:
    counts = [c["execution_count"] for c in cells(slug) if c["execution_count"] is not None]
    return counts != sorted(counts)


def headings(slug: str) -> list[str]:
    prose = ("".join(c["source"]) for c in held(slug)["cells"] if c["cell_type"] == "markdown")
    return [line for p in prose for line in p.splitlines() if re.match(r"#{1,6} ", line)]


def lines(slug: str) -> int:
    return sum(bool(line.strip()) for c in cells(slug) for line in text(c).splitlines())


def having(what) -> list[str]:
    return [slug for slug in IDS if what(slug)]


def nodes(slug: str, *kinds: type) -> list[ast.AST]:
    return [n for t in trees(slug) for n in ast.walk(t) if isinstance(n, kinds)]


def top(slug: str, *kinds: type) -> list[ast.AST]:
    return [n for t in trees(slug) for n in t.body if isinstance(n, kinds)]


def test_there_are_enough_of_each_kind():
    at_least = {
        "notebooks": (22, having(lambda s: True)),
        "to convert": (20, having(lambda s: said(s)["must"] == "convert")),
        "to refuse": (2, having(lambda s: said(s)["must"] == "refuse")),
        "bind a name in several cells": (18, having(rebound)),
        "change in place": (18, having(lambda s: any(map(is_written, nodes(s, ast.AST))) and said(s)["mutated"])),
        "plot": (16, having(lambda s: said(s)["draws"])),
        "use magics": (10, having(magics)),
        "functions read notebook values": (6, having(reads_of_notebook)),
        "out of order": (5, having(out_of_order)),
        "no heading": (2, having(lambda s: not headings(s))),
        "write files": (4, having(lambda s: said(s)["files"])),
        "over 60 cells": (3, having(lambda s: len(cells(s)) > 60)),
        "classes": (2, having(lambda s: top(s, ast.ClassDef))),
        "loops whose variables stay": (2, having(lambda s: top(s, ast.For))),
        "star imports": (2, having(lambda s: any(n.names[0].name == "*" for n in nodes(s, ast.ImportFrom)))),
        "vary": (1, having(lambda s: said(s)["varies"])),
        "raise": (1, having(lambda s: said(s)["raises"])),
        "delete a name": (
            1,
            having(lambda s: any(isinstance(t, ast.Name) for d in top(s, ast.Delete) for t in d.targets)),
        ),
        "conditional": (1, having(lambda s: top(s, ast.Try) and top(s, ast.If))),
        "walrus": (1, having(lambda s: nodes(s, ast.NamedExpr))),
        "nested functions": (1, having(lambda s: any(functions(f) for t in trees(s) for f in functions(t)))),
        "with helper module": (1, [p.parent.name for p in HOME.glob("*/*.py")]),
        "in a subfolder": (1, [e["id"] for e in LISTED if "/" in e["path"]]),
    }
    short = {kind: (len(found), wanted) for kind, (wanted, found) in at_least.items() if len(found) < wanted}
    assert not short


def test_their_length_is_that_of_real_ones():
    assert statistics.median(map(lines, IDS)) >= 95
    assert sum(lines(s) < 60 for s in IDS) <= 2, "no toys"


def test_every_magic_that_people_use_is_there():
    used = {m.split()[0] for s in IDS for m in magics(s)}
    assert used >= {
        "%matplotlib",
        "%%time",
        "%%timeit",
        "%timeit",
        "%%capture",
        "!head",
        "%%writefile",
        "%env",
        "%load_ext",
    }


def test_every_kind_of_file_is_written():
    assert {Path(f).suffix for s in IDS for f in said(s)["files"]} >= {".csv", ".json", ".png", ".npz"}


def test_the_libraries_that_people_use_are_there():
    found = {n.module.split(".")[0] for s in IDS for n in nodes(s, ast.ImportFrom)}
    found |= {a.name.split(".")[0] for s in IDS for n in nodes(s, ast.Import) for a in n.names}
    assert found >= {"numpy", "pandas", "matplotlib", "seaborn", "sklearn", "statsmodels", "scipy", "lightgbm"}


def test_every_trap_is_laid():
    """What broke other converters; each is looked for where it was put."""
    names = {f.name for t in trees("gene_expression") for f in functions(t) if f.name == "fold"}
    versions = [f.args for t in trees("gene_expression") for f in functions(t) if f.name == "fold"]
    assert names and len({len(a.args) for a in versions}) == 2, "defined again with other arguments"

    assert {"oddness", "is_odd"} <= reads_of_notebook("seabird_rings"), "passed to apply and to map"
    assert "my_score" in reads_of_notebook("coffee_ratings"), "passed as key="
    assert "clean" in reads_of_notebook("text_spam"), "appends to a global list"

    simulate = next(f for t in trees("portfolio_sim") for f in functions(t) if f.name == "simulate")
    defaults = {d.id for d in simulate.args.defaults if isinstance(d, ast.Name)}
    assert defaults & rebound("portfolio_sim"), "a default argument from a value that is bound again"

    loops = [n for n in nodes("clinic_queue", ast.ListComp) if isinstance(n.elt, ast.Lambda)]
    assert len(loops) == 2 and "price" in rebound("clinic_queue"), "lambdas that bind late"

    seeds = [i for i, t in enumerate(trees("ab_test")) if "seed" in calls(t)]
    draws = [i for i, t in enumerate(trees("ab_test")) if calls(t) & {"choice", "rand", "binomial", "sample"}]
    assert len(seeds) == 1 and len(draws) >= 4 and min(draws) > seeds[0], "a seed, and draws under other headings"
    assert "seed" in calls(ast.Module([n for t in trees("clinic_queue") for n in t.body], []))

    itself = [
        n
        for n in top("commuter_survey", ast.Assign)
        if isinstance(n.targets[0], ast.Name)
        and n.targets[0].id in {m.id for m in ast.walk(n.value) if isinstance(m, ast.Name)}
    ]
    assert len(itself) >= 8, "bound from itself"

    source = "".join(text(c) for c in cells("tumour_models"))
    assert "m = logit.fit(X_train, y_train)\nmodels['logit'] = m" in source and "'auc': aucs" in source
    assert "../shared_data" in "".join(text(c) for c in cells("churn_survey"))


def test_the_list_is_whole():
    folders = sorted(p.name for p in HOME.iterdir() if p.is_dir())
    assert sorted(IDS) == sorted(p.stem for p in HOME.glob("*.toml")) == folders
    for entry in LISTED:
        assert set(entry) == {"id", "folder", "path"} and entry["folder"] == entry["id"]
        assert said(entry["id"])["notebook"] == f"{entry['folder']}/{entry['path']}"


def test_the_set_is_small():
    files = [p for p in HOME.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 1_500_000
    assert all(p.stat().st_size < 20_000 for p in files if p.suffix == ".csv")


@pytest.mark.parametrize("slug", IDS)
def test_what_is_said_is_about_this_notebook(slug):
    facts, code = said(slug), cells(slug)
    values = set().union(*map(bound, trees(slug)))
    values |= {m[1] for c in code if (m := re.match(r"%%capture (\w+)", text(c)))}
    lists = [facts["equal"], facts["scratch"], facts["unproved"], sorted(facts["varies"])]
    names = [name for part in lists for name in part]
    assert facts["id"] == slug and set(names) <= values and len(names) == len(set(names)), "names of its own, once"
    # what is bound at top level, and nothing deletes, is in one of the lists, or is a function or class
    gone = {t.id for d in nodes(slug, ast.Delete) for t in d.targets if isinstance(t, ast.Name)}
    modules = {a.asname or a.name for n in nodes(slug, ast.Import, ast.ImportFrom) for a in n.names}
    called = {
        n.targets[0].id
        for n in top(slug, ast.Assign)
        if isinstance(n.targets[0], ast.Name)
        and (isinstance(n.value, ast.Lambda) or n.targets[0].id in CLOSURES.get(slug, ()))
    }
    needed = set().union(*map(bound_at_top, trees(slug))) - gone - modules - called - CONDITIONAL.get(slug, set())
    assert {n for n in needed if not n.startswith("_")} <= set(names)

    assert len(facts["steps"]) == len(code) and set(facts["steps"]) <= STEPS
    for key in ("shows", "draws", "dead", "raises"):
        assert facts[key] == sorted(set(facts[key])) and set(facts[key]) <= set(range(1, len(code) + 1)), key
    assert set(facts["draws"]) <= set(facts["shows"]) and not set(facts["dead"]) & set(facts["shows"])
    tagged = [i for i, c in enumerate(code, 1) if "raises-exception" in c["metadata"].get("tags", [])]
    assert facts["raises"] == tagged
    for number, changed in facts["mutated"].items():
        so_far = set().union(*map(bound, trees(slug)[: int(number)]))
        assert changed and set(changed) <= so_far, f"cell {number} changes what is bound by then"
    for knob in facts.get("knobs", []):
        wanted = ast.unparse(ast.parse(knob["literal"], mode="eval"))
        ast.literal_eval(wanted)
        there = {ast.unparse(n) for n in ast.walk(trees(slug)[knob["cell"] - 1]) if isinstance(n, ast.expr)}
        assert wanted in there and knob["meaning"], knob
    assert facts["must"] in ("convert", "refuse")
    if facts["must"] == "refuse":
        assert 1 <= facts["refused_cell"] <= len(code) and facts["refused_reason"]


CLOSURES = {  # names that are bound to functions and classes
    "image_filters": {"blur", "sobel_x", "sobel_y"},
    "clinic_queue": {"push", "Patient"},
}
CONDITIONAL = {"credit_grid": {"booster_name"}}  # bound on other machines only


@pytest.mark.parametrize("slug", IDS)
def test_notebooks_are_valid_and_as_nbformat_writes_them(slug):
    import nbformat

    path = HOME / said(slug)["notebook"]
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert nbformat.writes(notebook) + "\n" == path.read_text()
    ids = [c["id"] for c in notebook.cells]
    assert len(ids) == len(set(ids)) and not any(c.get("outputs") for c in notebook.cells)


RUN = """
import json, os, sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
ask = "__import__('json').dumps(sorted(n for n in dir() if not n.startswith('_')))"
notebook.cells.append(nbformat.v4.new_code_cell(ask))
NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": os.getcwd()}}).execute()
code = [c for c in notebook.cells if c.cell_type == "code"]
names = json.loads(eval(code.pop().outputs[-1]["data"]["text/plain"]))
seen = [[[o.output_type, o.get("name", ""), *o.get("data", {})] for o in c.outputs] for c in code]
print("RESULT" + json.dumps([names, seen]))
"""


@pytest.mark.long
@pytest.mark.parametrize("slug", IDS)
def test_they_run(slug, tmp_path):
    """In a copy, in a fresh kernel: no error but the one that is meant, the outputs, names and files that are said."""
    facts = said(slug)
    shutil.copytree(HOME / slug, tmp_path / slug)
    before = {p: p.read_bytes() for p in (tmp_path / slug).rglob("*") if p.is_file()}
    notebook = tmp_path / facts["notebook"]
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    for seed in "01":
        ran = subprocess.run(
            [sys.executable, "-c", RUN, notebook.name],
            cwd=notebook.parent,
            env={**environment, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-1500:]
        names, seen = json.loads(ran.stdout.rpartition("RESULT")[2])
        shown = [
            i for i, cell in enumerate(seen, 1) if any(o[:2] != ["stream", "stderr"] and o[0] != "error" for o in cell)
        ]
        drawn = [i for i, cell in enumerate(seen, 1) if any(t.startswith("image/") for o in cell for t in o)]
        raised = [i for i, cell in enumerate(seen, 1) if any(o[0] == "error" for o in cell)]
        assert (shown, drawn, raised) == (facts["shows"], facts["draws"], facts["raises"])
        assert {*facts["equal"], *facts["unproved"], *facts["scratch"], *facts["varies"]} <= set(names)
    after = {p for p in (tmp_path / slug).rglob("*") if p.is_file() and before.get(p) != p.read_bytes()}
    assert sorted(str(p.relative_to(tmp_path / slug)) for p in after) == facts["files"]
    assert all(p.exists() for p in before)
