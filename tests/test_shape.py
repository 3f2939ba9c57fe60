"""The shape of a package: what repeats is one function, steps are few and short, and nothing changes by that."""

from __future__ import annotations

import ast
import importlib
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlnb.refactoring.convert import ATTEMPTS, steps_for, write_source
from mlnb.refactoring.declarations import Facts, names_of
from mlnb.refactoring.emit import modules
from mlnb.refactoring.extract import extract
from mlnb.refactoring.forms import filled, form_of
from mlnb.refactoring.knobs import lift
from mlnb.refactoring.notebook import Cell, Notebook
from mlnb.refactoring.pieces import Pieces, take_apart
from mlnb.refactoring.repeats import common_name, share
from mlnb.refactoring.segments import cut


def taken_apart(*cells: str, headings: tuple[str, ...] = (), **facts) -> Pieces:
    heads = headings or ("",) * len(cells)
    held = tuple(Cell(i + 1, c, c, (h,) if h else ()) for i, (c, h) in enumerate(zip(cells, heads, strict=True)))
    return take_apart(names_of(Notebook(Path("example.ipynb"), held, ""), Facts(shown={}, **facts)))


def values(cells: list[str]) -> dict[str, object]:
    space: dict[str, object] = {}
    for cell in cells:
        exec(compile(cell, "cell", "exec"), space)
    return {
        n: v
        for n, v in space.items()
        if not n.startswith("_") and type(v).__name__ not in ("module", "function", "ABCMeta")
    }


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the package of pieces, which is written for that."""
    monkeypatch.syspath_prepend(tmp_path)
    numbers = iter(range(10_000))

    def made(pieces: Pieces, knobs=()) -> dict[str, object]:
        name = f"shaped_{abs(hash(str(tmp_path))) % 10**8}_{next(numbers)}"
        steps = extract(pieces, knobs, steps_for(pieces, ATTEMPTS[0]))
        write_source(modules(name, pieces, steps, knobs), tmp_path)
        return importlib.import_module(f"{name}.pipeline").run()

    yield made
    for module in [m for m in sys.modules if m.startswith("shaped_")]:
        del sys.modules[module]


COPY = """kept = [v for v in {0} if v > {1}]
{0}.append(len(kept))
total = sum(kept)
print("{0}", total)
spread_{0} = max(kept) - min(kept)"""
LONG = (
    COPY
    + """
first_{0} = kept[0]
last_{0} = kept[-1] * 2
half_{0} = len(kept) // 2
print(first_{0}, last_{0})
most_{0} = max(kept) * half_{0}"""
)
FIRST = "north, south, east = [3, 4, 8], [1, 5, 2], [4, 6, 9]"


# ---------------------------------------------------------------------------------------------- what repeats
def test_copies_become_one_function_called_as_often(run):
    cells = [
        FIRST,
        COPY.format("north", 3),
        COPY.format("south", 1),
        COPY.format("east", 3),
        "gap = spread_east - total",
    ]
    pieces = share(taken_apart(*cells))
    [made] = pieces.definitions
    calls = [piece for piece in pieces.pieces if made.name in piece.uses]
    assert len(calls) == 3 and len(pieces.pieces) == 5
    [node] = ast.parse(made.text).body
    assert isinstance(node, ast.FunctionDef)
    given = {a.arg for a in node.args.args} | {a.arg for a in node.args.kwonlyargs}
    assert given == {"data", "limit", "text"} and ast.get_docstring(node) and node.returns is not None
    assert calls[0].reads == {"north"} and calls[0].changes == {"north"} and "north" in calls[0].text
    assert [p.cell for p in calls[2].statements] == [4] * 5
    assert run(pieces) == values(cells)


@pytest.mark.parametrize(
    ("why", "second"),
    [
        ("another attribute", LONG.format("south", 1).replace("append", "remove")),
        ("another call", LONG.format("south", 1).replace("sum(", "len(")),
        ("two names where there was one", LONG.format("south", 1).replace("max(kept)", "max(south)")),
        ("one name where there were two", LONG.format("south", 1).replace("kept", "south")),
        ("another operator", LONG.format("south", 1).replace(" - ", " + ")),
        ("a literal of another kind", LONG.format("south", 1).replace("> 1", "> 'a'")),
        ("a literal in the text of an f-string", LONG.format("south", 1).replace('"south"', 'f"{total}south"')),
    ],
)
def test_what_only_looks_alike_is_not_shared(why, second):
    assert len(share(taken_apart(FIRST, LONG.format("north", 3), LONG.format("south", 1))).definitions) == 1
    first = LONG.format("north", 3).replace('"north"', 'f"{total}north"' if "f-string" in why else '"north"')
    pieces = share(taken_apart(FIRST, first, second))
    assert all(len(piece.statements) < len(first.splitlines()) for piece in pieces.pieces), why


def test_a_run_does_not_cross_a_heading():
    halves = [LONG.format("north", 3).split("\n", 4), LONG.format("south", 1).split("\n", 4)]
    cells = [FIRST, *(["\n".join(h[:4]), h[4]] for h in halves)]
    flat = [cells[0], *cells[1], *cells[2]]
    heads = ("a", "b", "c", "d", "e")
    whole = share(taken_apart(*flat))
    assert len(whole.definitions) == 1
    apart = share(taken_apart(*flat, headings=heads))
    assert all(len({p.cell for p in piece.statements}) == 1 for piece in apart.pieces)


def test_settings_are_passed_by_each_call(run):
    cells = [
        "from sklearn.linear_model import Lasso, Ridge\nX, y = [[1.0], [2.0], [4.0]], [1.0, 2.5, 3.0]",
        *(
            f"m = Ridge(alpha={a}).fit(X, y)\nscore_{n} = m.score(X, y)\nprint(score_{n})\nwidth_{n} = len(m.coef_)\n"
            f"slope_{n} = m.coef_[0] * width_{n}"
            for n, a in (("weak", 0.1), ("strong", 7.5), ("middle", 2.0))
        ),
        "del m",
    ]
    pieces, knobs = lift(taken_apart(*cells))
    shared = share(pieces, knobs)
    [made] = shared.definitions
    assert {k.value for k in knobs} == {"0.1", "7.5", "2.0"} and "alpha=alpha" in made.text
    calls = [p for p in shared.pieces if made.name in p.uses]
    assert [len(call.settings) for call in calls] == [1, 1, 1] and len({call.settings for call in calls}) == 3
    found, wanted = run(shared, knobs), values(cells)
    assert {n: found[n] for n in wanted} == wanted


def test_figures_of_a_shared_function_reach_its_step(run):
    copy = "plt.plot({0})\nplt.title('{0}')\nplt.ylabel('m')\nplt.grid()\nplt.xlim(0, 3)\ntop_{0} = max({0})"
    cells = ["import matplotlib.pyplot as plt", FIRST, *(copy.format(n) for n in ("north", "south", "east"))]
    pieces = share(taken_apart(*cells, plots=frozenset({3, 4, 5})))
    [made] = pieces.definitions
    assert "take_figures()" in made.text and all(p.takes for p in pieces.pieces if made.name in p.uses)
    steps = extract(pieces, (), cut(pieces, most=1))
    source = modules("drawn", pieces, steps, ())
    assert sum(f.count("new_figures") for f in source.files.values()) >= 2 and "display.py" in source.files
    assert run(pieces)["top_east"] == 9


STATEMENTS = st.sampled_from(
    [
        *(f"{t} = {a} + [{n}]" for t in ("a", "b", "c") for a in ("a", "b") for n in (1, 2)),
        *(f"{t}.append({n})" for t in ("a", "b", "c") for n in (3, 7)),
        *(f"n = sum({t})" for t in ("a", "b", "c")),
        *(f"m = len({t}) * {k}" for t in ("a", "b") for k in (2, 5)),
        *(f"for i in range({k}):\n    {t}.append(i * {k})" for t in ("a", "b") for k in (2, 3)),
        "if n > 9:\n    c = [n]",
        "d = a",
        "d[0:1] = [n, m]",
        "n, m = m, n",
        "c = [v * n for v in c[:4]]",
    ]
)
START = "a, b, c, d, n, m = [1], [2], [3], [4], 5, 6"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.lists(STATEMENTS, min_size=3, max_size=6), more=st.lists(STATEMENTS, max_size=4), times=st.integers(2, 3)
)
def test_sharing_changes_nothing(run, body, more, times):
    """Programs with copies in them, in which names and numbers are exchanged, leave what they left."""
    swaps = [{}, {"a": "b", "b": "a"}, {"b": "c", "c": "b"}]
    copies = []
    for number in range(times):
        swap = swaps[number % 3]
        text = "\n".join(body)
        copies.append("".join(swap.get(w, w) for w in _words(text)).replace("5", str(5 + number)))
    cells = [START, copies[0], *more, *copies[1:]]
    try:
        wanted = values(cells)
    except (IndexError, TypeError, NameError):
        return
    if max(len(str(v)) for v in wanted.values()) > 20_000:
        return
    wanted.pop("i", None)
    seen = _bound(cells)
    pieces = share(taken_apart(*cells, bound=seen))
    found = run(pieces)
    assert {n: found[n] for n in wanted} == wanted
    lists = [n for n in wanted if isinstance(wanted[n], list)]
    assert all((found[x] is found[y]) == (wanted[x] is wanted[y]) for x in lists for y in lists)


def _words(text: str) -> list[str]:
    import re

    return re.split(r"(\b[a-d]\b)", text)


def _bound(cells: list[str]) -> dict[int, frozenset[str]]:
    """The names that each statement left bound, as a run tells."""
    from mlnb.refactoring.dataflow import flow_of

    space: dict[str, object] = {}
    found = {}
    held = Notebook(Path("example.ipynb"), tuple(Cell(i + 1, c, c) for i, c in enumerate(cells)), "")
    for statement in held.statements:
        before = dict(space)
        exec(compile(statement.text, "statement", "exec"), space)
        leaves = flow_of(statement.node).leaves & {*space}
        found[statement.place] = frozenset(n for n in leaves if n not in before or before[n] is not space[n])
    return found


# ---------------------------------------------------------------------------------------------- forms and names
def test_a_form_is_refused_where_text_cannot_stand_for_two():
    for code in (
        "def f(): pass",
        "del x",
        "import os",
        "try:\n    x = 1\nexcept ValueError as err:\n    pass",
        "g = lambda: x",
    ):
        assert form_of(code, {"x", "err"}) is None, code
    assert form_of("ys = sorted(x, key=lambda v: v[1])", {"x", "ys"}) is not None


def test_filling_never_changes_anything_else():
    code = "df['x'] = fit(df, x='df', n=[n for n in df])  # df"
    assert filled(code, {"df"}, {"df": "data"}) == "data['x'] = fit(data, x='df', n=[n for n in data])  # df"
    assert filled("print(f'{df=}')", {"df"}, {"df": "data"}) is None
    assert filled("é = f(df, 'ß', 2)", {"df"}, {"df": "d"}, {1: "many"}) == "é = f(d, 'ß', many)"


def test_names_of_parameters():
    assert common_name(["df_train", "df_test"]) == "df" and common_name(["pca_2", "pca_3"]) == "pca"
    assert common_name(["ridge", "lasso"]) == "data" and common_name(["list_a", "list_b"]) == "list_value"
    assert common_name(["for_a", "for_b"]) == "for_value" and common_name(["x", "x"], {"x"}) == "x"


# ---------------------------------------------------------------------------------------------- few and short
def test_functions_fit_the_screen_and_their_number_the_notebook():
    """However long a notebook is, no step of plain statements has over 30 lines, and there are few steps."""
    cells = [
        f"a{i} = [{i}]\na{i}.append(len(a{max(0, i - 1)}))\nb{i} = sum(a{i})\nprint('cell', {i}, b{i})"
        for i in range(60)
    ]
    pieces = taken_apart(
        *[c.replace(f"sum(a{i})", f"sum(a{i}) + {'+'.join('1' * (i % 5 + 1))}") for i, c in enumerate(cells)]
    )
    steps = extract(pieces, (), steps_for(pieces, ATTEMPTS[0]))
    longest = max(step.body.count("\n") + 1 for step in steps)
    assert longest <= 28 + 6 and len(steps) <= 0.45 * 60
    assert [b.segment.start - a.segment.end for a, b in pairwise(steps)] == [0] * (len(steps) - 1)


def test_small_cells_stand_together_and_comments_stay():
    pieces = taken_apart("x = [1]", "x.append(2)", "# why\ny = sum(x)", "z = y + 1\nw = z * 2\nv = w")
    [step] = extract(pieces, (), cut(pieces, most=1))
    assert step.body == "x = [1]\nx.append(2)\n\n# why\ny = sum(x)\n\nz = y + 1\nw = z * 2\nv = w"


def test_builtins_are_not_imported_for_annotations():
    pieces = taken_apart(
        "x = [1]\ny = x * 2", types={(1, "x"): "list[int]", (2, "y"): "list[int]"}, modules={"list": "numpy"}
    )
    source = modules("plain", pieces, extract(pieces, (), cut(pieces)), ())
    assert not any("import list" in text for text in source.files.values())


def test_what_run_returns_takes_few_lines():
    cells = [f"a_rather_long_name_of_a_value_{i} = [{i}]" for i in range(12)]
    pieces = taken_apart(*cells)
    steps = extract(pieces, (), cut(pieces, fixed=range(1, 12)))
    source = modules("long", pieces, steps, ()).files["pipeline.py"]
    assert len(steps) == 12 and max(map(len, source.splitlines())) <= 120 and "results |= " in source
