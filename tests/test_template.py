"""Templates: what may be one, what may be given, and that nothing given becomes code."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.core.errors import ArgumentError
from mlnb.pipelines.kinds import Kind, kind_of
from mlnb.pipelines.template import check, check_parameters, find_template, read_template

PARAMETERS = """data: str = "demo:flights"  # a file # or a demo table
target: str | None = None
rows: int = -20
share: float = 0.2
quick: bool = False
drop: list[str] = []
split: "Literal['time', 'random']" = "random"
limit: "Optional[int]" = None
"""


def cell(source, *tags, kind="code", **extra):
    return {"cell_type": kind, "source": source, "metadata": {"tags": list(tags)}, "outputs": [], **extra}


def notebook(*cells, **extra):
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **extra}


def write(path: Path, content) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("t") / "train.ipynb"
    title = cell("# Train\n\nand more", kind="markdown")
    return read_template(write(path, notebook(title, cell(PARAMETERS, "parameters"), cell("data"))))


def test_reads_names_types_defaults_and_help(template):
    assert template.title == "Train" and template.name == "train"
    assert template.defaults == {
        "data": "demo:flights",
        "target": None,
        "rows": -20,
        "share": 0.2,
        "quick": False,
        "drop": [],
        "split": "random",
        "limit": None,
    }
    assert template.parameters[0].help == "a file # or a demo table"
    assert [p.kind.optional for p in template.parameters] == [False, True, False, False, False, False, False, True]


def test_source_may_be_a_list_and_typing_may_be_imported(tmp_path):
    lines = ["from typing import Literal\n", "kind: Literal['a', 'b'] = 'a'"]
    found = read_template(write(tmp_path / "x.ipynb", notebook(cell(lines, "parameters"))))
    assert found.defaults == {"kind": "a"} and found.title == "x"


BROKEN_CELLS = {
    "expression": "a: int = 1\nb: int = a * 10",
    "call": "a: str = open('x').read()",
    "format": 'a: str = f"{1}"',
    "no annotation": "a = 1",
    "no default": "a: int",
    "no type of ours": "a: dict[str, int] = {}",
    "other list": "a: list[int] = [1]",
    "wrong default": "a: int = 'x'",
    "bool for int": "a: int = True",
    "default not a choice": "a: \"Literal['x']\" = 'y'",
    "empty choice": "a: \"Literal[()]\" = 'y'",
    "number as choice": 'a: "Literal[1]" = 1',
    "two on a line": "a: int = 1; b: int = 2",
    "twice": "a: int = 1\na: int = 2",
    "several lines": "a: list[str] = [\n'x']",
    "attribute": "a.b: int = 1",
    "private": "_a: int = 1",
    "statement": "import os",
    "function": "def f(): pass",
    "syntax": "a: int = = 1",
    "magic": "%load_ext mlnb\na: int = 1",
    "infinite": "a: float = 1e999",
    "huge": f"a: int = {10**30}",
    "digits": "a: int = 1" + "0" * 5000,
    "deep": "a: list[str] = " + "[" * 500 + "]" * 500,
    "NUL": "a: str = '\\0'",
    "surrogate": "a: str = '\\ud800'",
    "star import": "from os import path",
}


@pytest.mark.parametrize("source", BROKEN_CELLS.values(), ids=BROKEN_CELLS.keys())
def test_parameter_cells_that_are_refused(tmp_path, source):
    path = write(tmp_path / "bad.ipynb", notebook(cell(source, "parameters")))
    with pytest.raises(ArgumentError, match=r"^bad.ipynb cannot be run: ") as e:
        read_template(path)
    assert "\n" not in str(e.value) and e.value.hint


GOOD = cell("a: int = 1", "parameters")
BROKEN_FILES = {
    "empty": b"",
    "no JSON": b"# hello",
    "cut": json.dumps(notebook(GOOD)).encode()[:-20],
    "not UTF-8": b'{"nbformat": 4, "cells": [], "x": "\xff"}',
    "deep": b"[" * 100_000,
    "a list": [],
    "text": '"nbformat"',
    "format 3": notebook(GOOD, nbformat=3),
    "format 5": notebook(GOOD, nbformat=5),
    "no format": {"cells": [GOOD]},
    "no cells": {"nbformat": 4, "metadata": {}},
    "cells a dict": notebook(cells={}),
    "cell a text": notebook("x"),
    "no cell": notebook(),
    "another language": notebook(GOOD, metadata={"kernelspec": {"language": "R"}}),
    "no tag": notebook(cell("a: int = 1")),
    "tags a text": notebook(cell("a: int = 1") | {"metadata": {"tags": "parameters"}}),
    "metadata a list": notebook(cell("a: int = 1") | {"metadata": []}),
    "two tags": notebook(GOOD, GOOD),
    "second cell": notebook(cell("import os"), GOOD),
    "tag on text": notebook(cell("# x", "parameters", kind="markdown"), cell("a: int = 1")),
    "tag on text only": notebook(cell("# x", "parameters", kind="markdown")),
    "raises": notebook(GOOD, cell("1 / 0", "raises-exception")),
    "executed": notebook(GOOD, cell("a = 2", "injected-parameters")),
    "large": b" " * 20_000_001,
}


@pytest.mark.parametrize("content", BROKEN_FILES.values(), ids=BROKEN_FILES.keys())
def test_files_that_are_refused(tmp_path, content):
    with pytest.raises(ArgumentError, match=r"^bad.ipynb cannot be run: ") as e:
        read_template(write(tmp_path / "bad.ipynb", content))
    assert "\n" not in str(e.value) and e.value.hint


def test_unknown_templates_are_refused_whatever_they_are_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.ipynb").mkdir()
    write(tmp_path / "notes.txt", notebook(GOOD))
    names = [
        "",
        ".",
        "..",
        "/",
        "~",
        "~nobody/x.ipynb",
        "folder.ipynb",
        "notes.txt",
        "x" * 5000 + ".ipynb",
        "a\0b.ipynb",
    ]
    names += [
        "../x.ipynb",
        "a\nb",
        "http://x/y.ipynb",
        "s3://x/y.ipynb",
        "{x}.ipynb",
        "%2e%2e/x.ipynb",
        "con",
        "\ud800.ipynb",
    ]
    for name in [*names, *map(Path, names[:3]), None, 5, b"train"]:
        with pytest.raises(ArgumentError) as e:
            find_template(name)
        assert "\n" not in str(e.value)


TEXTS = [  # parameter, text of the command line, value
    ("rows", "10", 10),
    ("rows", " +10 ", 10),
    ("rows", "-9223372036854775808", -(2**63)),
    ("share", "1e-3", 0.001),
    ("share", ".5", 0.5),
    ("share", "3", 3.0),
    ("quick", "YES", True),
    ("quick", "0", False),
    ("target", "none", None),
    ("target", "", None),
    ("target", "10", "10"),
    ("data", "none", "none"),
    ("data", "", ""),
    ("drop", "a, b ,c", ["a", "b", "c"]),
    ("drop", '["a,b", "c"]', ["a,b", "c"]),
    ("drop", "", []),
    ("split", "time", "time"),
    ("limit", "none", None),
    ("limit", "7", 7),
]


@pytest.mark.parametrize(("name", "text", "value"), TEXTS)
def test_texts_are_read_by_the_type(template, name, text, value):
    found = check(template, {name: text})[name]
    assert found == value and type(found) is type(value)


def test_harmless_values_are_converted(template):
    given_values = {"rows": np.int64(3), "share": 1, "quick": np.bool_(True), "data": Path("a/b.csv"), "drop": ["x"]}
    found = check(template, given_values)
    assert found == {"rows": 3, "share": 1.0, "quick": True, "data": str(Path("a/b.csv")), "drop": ["x"]}
    assert type(found["share"]) is float and type(found["rows"]) is int and type(found["quick"]) is bool


REFUSED = {
    "rows": [
        "three",
        "1_000",
        "٣",
        "1.0",
        "",
        "0x10",
        "9" * 19,
        "9" * 6000,
        1.0,
        2.5,
        True,
        None,
        2**63,
        10**400,
        [1],
        {},
        1j,
    ],
    "share": ["nan", "inf", "1e999", "½", float("nan"), float("-inf"), 10**400, True, None, "1,5", b"1"],
    "quick": ["maybe", "", 1, 0, None, "tru"],
    "data": [1, 1.5, None, True, b"x", "a\0b", "\ud800", "x" * 10_001, ["x"], object()],
    "drop": [
        ("a",),
        {"a"},
        [1],
        [None],
        ["a\0"],
        ["\udfff"],
        ["x"] * 1001,
        '["a", 1]',
        '["a"',
        "[" * 100_000,
        {"a": 1},
    ],
    "split": ["tim", "", 1, None],
    "target": [5, [], "\0"],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(n, v) for n, values in REFUSED.items() for v in values],
    ids=lambda v: repr(v)[:30].partition(" at 0x")[0],
)
def test_values_that_are_refused(template, name, value):
    with pytest.raises(ArgumentError, match=f"^parameter '{name}' must be ") as e:
        check(template, {name: value})
    assert len(str(e.value)) < 300 and "\n" not in str(e.value) and e.value.exit_status == 2


NAMES = [
    "rwos",
    "class",
    "None",
    "x = 1\nimport os\ny",
    "rows\n",
    " rows",
    "rows ",
    "ｒｏｗｓ",
    "rows\0",
    "",
    "1",
    "a.b",
    "rows;import os",
    "__builtins__",
]


@pytest.mark.parametrize("name", [*NAMES, 1, None, ("rows",)], ids=repr)
def test_names_that_are_refused(template, name):
    with pytest.raises(ArgumentError) as e:
        check(template, {name: 1})
    assert e.value.exit_status == 2 and "\n" not in str(e.value)


def test_a_number_that_prints_as_code_is_stripped_of_it(template):
    class Sly(int):
        def __str__(self):
            return "__import__('os').system('true')"

        __repr__ = __format__ = __str__

    found = check(template, {"rows": Sly(5)})["rows"]
    assert type(found) is int and str(found) == "5"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2) | st.tuples(inner)
    ),
    max_leaves=6,
)
LIKELY = {
    "rows": st.integers(),
    "share": st.floats(),
    "quick": st.booleans(),
    "drop": st.lists(st.text()),
    "data": st.text(),
    "target": st.text(),
}
CODE = st.text("\"'\\\n\r\t{}#;=()%\0\u2028é𝒳x1 ", max_size=12)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_whatever_is_given_is_refused_or_arrives_equal(template, data):
    """Round trip through papermill's own translator: the injected cell assigns the declared names, and nothing else."""
    from papermill.translators import PythonTranslator

    name = data.draw(st.sampled_from(sorted(LIKELY)) | st.text(max_size=8) | CODE)
    value = data.draw(LIKELY.get(name, ANY) | ANY | CODE | st.lists(CODE, max_size=3))
    try:
        accepted = check(template, {name: value})
    except ArgumentError as e:
        assert "\n" not in str(e) and e.exit_status == 2
        return
    assert set(accepted) == {name} <= set(template.defaults)
    sent = json.loads(json.dumps(accepted))  # as the job's file carries it
    body = ast.parse(PythonTranslator.codify(sent)).body
    assert all(isinstance(node, ast.Assign) and len(node.targets) == 1 for node in body)
    assigned = {node.targets[0].id: ast.literal_eval(node.value) for node in body}
    assert assigned == accepted and [type(v) for v in assigned.values()] == [type(v) for v in accepted.values()]
    if not isinstance(value, str) or isinstance(accepted[name], str):
        assert accepted[name] == value


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=30) | st.text("list[str]Optional|None Literal'\"(),", max_size=30))
def test_an_annotation_is_read_or_not_but_never_run(text):
    assert kind_of(text) is None or isinstance(kind_of(text), Kind)


def session(annotations, values, *injected):
    return {"__annotations__": annotations, "In": ["", "rows: int = 20", *injected], **values}


def test_inside_the_kernel_values_are_checked_and_converted():
    import typing

    annotations = {
        "rows": int,
        "share": "float",
        "target": typing.Optional[str],  # noqa: UP045 (as an older template writes it)
        "drop": list[str],
        "split": typing.Literal["a", "b"],
    }
    space = session(
        annotations, {"rows": "10", "share": 1, "target": "none", "drop": "a,b", "split": "a", "other": object()}
    )
    assert check_parameters(space) == {"rows": 10, "share": 1.0, "target": None, "drop": ["a", "b"], "split": "a"}
    assert space["rows"] == 10 and type(space["share"]) is float
    space["rows"] = "ten"
    with pytest.raises(ArgumentError, match="parameter 'rows' must be int, not 'ten'"):
        check_parameters(space)


def test_inside_the_kernel_undeclared_names_are_refused():
    space = session({"rows": int}, {"rows": 5}, "# Parameters\nrwos = 5\n")
    with pytest.raises(ArgumentError, match=r"no parameter 'rwos'\. Did you mean 'rows'"):
        check_parameters(space)
    assert check_parameters(session({"rows": int}, {"rows": 5}, "# Parameters\nrows = 5\n")) == {"rows": 5}
    assert check_parameters(session({"rows": int}, {"rows": 5}, "# Parameters\nrows: int = 5\nx: str = ''", "(")) == {
        "rows": 5
    }
    assert check_parameters({}) == {}


def test_the_callers_globals_are_the_default():
    space = {"__annotations__": {"rows": int}, "rows": "7", "check_parameters": check_parameters}
    code = compile("found = check_parameters()", "cell", "exec")
    exec(code, space)
    assert space["found"] == {"rows": 7} and space["rows"] == 7


def test_a_bad_parameter_is_refused_in_a_moment(template, bare_workspace):
    """Few modules are imported, none of them heavy, and nothing is written."""
    code = (
        "import sys\n"
        "from mlnb.core.errors import ArgumentError\n"
        "from mlnb.pipelines.run import run\n"
        f"try: run({str(template.path)!r}, rows='three')\n"
        "except ArgumentError as e: assert 'rows' in str(e)\n"
        "else: raise SystemExit('not refused')\n"
        "heavy = {'mlflow', 'papermill', 'nbformat', 'pandas', 'jupyter_client', 'zmq'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print(len(sys.modules))\n"
    )
    many = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert many < 400, many  # pandas alone would be some six hundred more
    assert sorted(p.name for p in bare_workspace.folder.rglob("*")) == [".gitignore"]
