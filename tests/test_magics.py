"""The magics: twins of the functions, in IPython's shell and over the kernel's protocol as JupyterLab speaks it."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

import mlnb
from mlnb.core.lines import LINES, option_of, parser, words
from mlnb.core.names import HOME, find
from mlnb.core.result import Report
from mlnb.core.twins import describe


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(3)
    reference = pd.DataFrame({"age": rng.normal(40, 9, 800), "country name": rng.choice(["AT", "DE", "FR"], 800)})
    current = reference.assign(age=reference["age"] + 12)
    return reference, current


@pytest.fixture
def shell(frames, monkeypatch, tmp_path):
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    shell.run_line_magic("load_ext", "mlnb")
    shell.run_line_magic("reload_ext", "mlnb")
    shell.user_ns |= {"ref": frames[0], "cur": frames[1], "notes": "text", "limit": 3}
    monkeypatch.setenv("MLNB_WORKSPACE", str(tmp_path))
    return shell


def run(shell, line):
    outcome = shell.run_cell(line)
    return outcome.result if outcome.success else (outcome.error_in_exec or outcome.error_before_exec)


def without_time(report: Report) -> dict:
    stored = report.to_dict()
    stored["meta"] = {k: v for k, v in stored["meta"].items() if k != "seconds"}
    return stored


def test_magic_and_function_give_the_same_report(shell, frames):
    by_magic = run(shell, "%drift ref cur --columns age")
    by_function = mlnb.drift(*frames, columns="age")
    assert without_time(by_magic) == without_time(by_function)


@pytest.mark.parametrize(
    "line, columns",
    [
        ("%drift ref cur", {"age", "country name"}),
        ("%drift ref cur;", None),
        ('%drift ref cur --columns "country name"', {"country name"}),
        ("%drift ref cur --columns='country name'", {"country name"}),
        ('%drift ref cur --columns {["country name"]}', {"country name"}),
        ("%drift {ref[ref['age'] > 30]} cur --columns age", {"age"}),
        ("r = %drift ref cur --columns age", "r"),
        ("%drift ref cur --columns age -o kept", "kept"),
        ("%drift ref cur --columns age --out kept", "kept"),
        ("%drift ref cur --columns age --thresholds ks_warn=0.3,ks_critical=0.4", {"age"}),
        ("%drift ref cur --columns=age --thresholds=ks_warn=0.3,ks_critical=0.4", {"age"}),
    ],
)
def test_a_line_is_read(shell, line, columns):
    result = run(shell, line)
    if columns is None:
        assert result is None
        return
    report = shell.user_ns[columns] if isinstance(columns, str) else result
    assert isinstance(report, Report)
    assert {r.subject for r in report.results if r.subject} == ({"age"} if isinstance(columns, str) else columns)


@pytest.mark.parametrize(
    "line, said",
    [
        ("%drift ref curr", "no variable 'curr'. Did you mean 'cur'?"),
        ("%drift ref", "%drift: the following arguments are required: current. See %drift --help"),
        ("%drift ref cur --colums age", "Did you mean '--columns'?"),
        ("%drift ref cur extra", "%drift: unrecognized arguments: extra. See %drift --help"),
        ("%drift ref cur --columns", "%drift: argument --columns: expected one argument. See %drift --help"),
        ('%drift ref cur --columns "age', "\" is not closed in '\"age'"),
        ("%drift {ref cur", "{ is not closed in '{ref'"),
        ("%drift ref cur --columns agee", "Did you mean 'age'?"),
        ("%drift ref nosuch.csv", "nosuch.csv"),
        ("%drift ref {nothing}", "{nothing} cannot be evaluated: NameError"),
        ("%drift ref zzzzz", "text goes in quotes"),
        ("%runs sho", "action cannot be 'sho'"),
        ("%runs --limit many", "--limit needs int, not 'many'"),
        ("%check MLN-D099 ref cur", "no check 'MLN-D099'. Did you mean 'MLN-D090'?"),
        ("%track once", "%track works on a whole cell"),
    ],
)
def test_mistakes_are_one_line(shell, capsys, line, said):
    error = run(shell, line)
    assert said in str(error)
    shown = capsys.readouterr()
    lines = [text for text in (shown.out + shown.err).splitlines() if text.strip()]
    assert len(lines) == 1 and lines[0].startswith(type(error).__name__ + ": ")


def test_a_file_called_like_a_variable_is_found(shell, frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames[1].to_csv("ref.csv", index=False)  # `ref` is a frame, which has no attribute csv
    assert run(shell, "%drift ref ref.csv --columns age").status == run(shell, "%drift ref cur --columns age").status
    assert "there is no file 'ref.parquet', and 'DataFrame' object" in str(run(shell, "%drift ref ref.parquet"))


def test_help_lists_every_option(shell, capsys):
    for name, target in LINES.items():
        shell.run_line_magic(name, "--help")
        shown = capsys.readouterr().out
        assert shown.startswith(f"usage: %{name}")
        for p in describe(find(target)):
            assert p.kind in ("several", "positional", "extra") or option_of(p) in shown
    shell.run_line_magic("track", "--help")
    assert "usage: %track" in capsys.readouterr().out


def test_every_parameter_is_explained():
    """The docstring speaks of each parameter that a surface offers, so that --help does too."""
    for name in HOME:
        for p in describe(find(name)):
            assert p.help, f"{name} does not explain {p.name}"


def test_twins_have_the_same_parameters():
    """A magic's parser has exactly the parameters of its function; nothing can be forgotten or added by hand."""
    for name, target in LINES.items():
        described = describe(find(target))
        offered = {a.dest for a in parser(name, described, "")._actions} - {"out"}
        assert offered == {p.name for p in described if p.kind != "extra"}
        names = set(inspect.signature(find(target)).parameters)
        assert {p.name for p in described} <= names


def test_check_lists_and_runs(shell):
    listing = run(shell, "%check")
    row = next(r for r in listing.to_table().rows if r[0] == "MLN-D001")
    assert row[-1] == "%check MLN-D001 ref cur"
    assert "MLN-D001" in repr(listing) and "MLN-E001" in listing._repr_html_()
    report = run(shell, "%check MLN-D001 MLN-D004 ref cur")
    assert {r.code for r in report.results} == {"MLN-D001", "MLN-D004"}
    asked = run(shell, "%check MLN-D006 MLN-D007 ref cur")
    assert asked.status in ("warn", "fail") and {r.code for r in asked.results} == {"MLN-D006", "MLN-D007"}
    every = run(shell, "%check ref cur")
    assert {"MLN-D000", "MLN-D001", "MLN-D002"} <= {r.code for r in every.results}


def test_words_keep_what_is_quoted():
    assert words("a 'b c' {d[1]} --x=\"y z\" --flag") == ["a", "'b c'", "{d[1]}", "--x", '"y z"', "--flag"]


def test_registering_twice_keeps_one_completer(shell):
    names = [getattr(m, "__name__", "") for m in shell.Completer.custom_matchers]
    assert names.count("mlnb_magics") == 1


@pytest.fixture(scope="module")
def kernel():
    """A real kernel, spoken to as JupyterLab does."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(extra_arguments=["--IPKernelApp.log_level=ERROR"])
    setup = (
        "import pandas as pd\n%load_ext mlnb\nrefdf = pd.DataFrame({'age': range(50)})\ncurdf = refdf + 40\nnote = 3"
    )
    client.execute_interactive(setup, timeout=60)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize(
    "code, offered, missing",
    [
        ("%drift ", {"refdf", "curdf"}, {"note", "%recall"}),
        ("%drift re", {"refdf"}, {"curdf", "%recall"}),
        ("r = %drift re", {"refdf"}, {"%recall"}),
        ("%drift refdf curdf --", {"--columns", "--help", "--out"}, {"refdf"}),
        ("%drift refdf curdf --c", {"--columns"}, {"--help"}),
        ("%%track x --", {"--seed"}, {"--columns"}),
    ],
)
def test_completion_over_the_protocol(kernel, code, offered, missing):
    found = set(kernel.complete(code, len(code), reply=True, timeout=30)["content"]["matches"])
    assert offered <= found and not missing & found


def outputs(kernel, code):
    found = []
    kernel.execute_interactive(code, timeout=120, output_hook=lambda m: found.append((m["msg_type"], m["content"])))
    return [(kind, content) for kind, content in found if kind in ("error", "execute_result", "display_data", "stream")]


def test_a_report_is_shown_once_with_text_and_html(kernel):
    [(kind, content)] = outputs(kernel, "%drift refdf curdf")
    assert kind == "execute_result"
    assert set(content["data"]) == {"text/plain", "text/html"}
    assert "MLN-D001" in content["data"]["text/html"] and len(json.dumps(content)) < 20_000


def test_an_error_is_one_line_in_jupyter(kernel):
    [(kind, content)] = outputs(kernel, "%drift refdf curdff")
    assert kind == "error" and content["traceback"] == ["DataError: no variable 'curdff'. Did you mean 'curdf'?"]


OWN_MODEL = """%%track own
class Mine:
    def __init__(self, k=1):
        self.k = k
    def get_params(self, deep=True):
        return {"k": self.k}
    def fit(self, X, y):
        self.mean_ = float(y.mean())
        return self
    def predict(self, X):
        return [self.mean_] * len(X)
mine = Mine(3).fit(ref[["age"]], ref.age)
{"acc": 0.5, "p@1": 0.25, "fine": True, "f1": None}
"""


def test_a_tracked_cell_loses_nothing_that_it_worked_out(shell, capsys):
    """Odd metrics are named, not fatal; a model of a plain class, fitted in one line, is recorded."""
    assert run(shell, OWN_MODEL)["acc"] == 0.5
    said = capsys.readouterr().out
    assert "'fine', 'f1'" in said and "'p@1' as 'p_1'" in said
    [row] = mlnb.runs()
    assert row.status == "FINISHED" and row.metrics["acc"] == 0.5 and row.metrics["p_1"] == 0.25
    assert row.params["k"] == "3"
    error = run(shell, "%%track second --target nope --data ref\n1 + 1")
    assert "nope" in str(error) and len(mlnb.runs()) == 1
    error = run(shell, "%%track third\nraise ValueError('boom\\nsecond line')")
    assert isinstance(error, ValueError)
    shown = mlnb.runs("show", "latest")
    assert "ValueError: boom second line" in shown.to_text()
    assert "evaluate" not in repr(mlnb.runs(kind="code")) and "code" in repr(mlnb.runs(kind="cod"))
