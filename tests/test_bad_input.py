"""Bad input, at least four cases of each kind, through function, magic and command line.

One line names the culprit and the hint, the exit status is the stated one, nothing is half-written. Poor frames do not
raise in a check: the column's result says why it cannot be judged.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

import mlnb
from mlnb import cli
from mlnb.core.errors import MLNBError
from mlnb.core.result import Report


@pytest.fixture
def shell(bare_workspace):
    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *a, **k: None)
        shell.run_line_magic("reload_ext", "mlnb")
    return shell


@pytest.fixture
def files(bare_workspace):
    """Data files, good and bad, in the working directory."""
    rng = np.random.default_rng(0)
    good = pd.DataFrame(
        {"age": rng.normal(40, 9, 300), "job": rng.choice(["a", "b"], 300), "income": rng.integers(0, 2, 300)}
    )
    root = bare_workspace.root
    good.to_csv(root / "good.csv", index=False)
    (root / "empty.csv").write_text("")
    (root / "broken.parquet").write_bytes(b"PAR1 this is not parquet")
    (root / "binary.csv").write_bytes(bytes(range(256)) * 20)
    (root / "table.xlsx").write_bytes(b"PK")
    (root / "folder.csv").mkdir()
    (root / "in_the_way").write_text("a file")
    return root


def by_function(call):
    with pytest.raises(MLNBError) as caught:
        call()
    return str(caught.value), caught.value.exit_status


def by_magic(shell, line, capsys):
    capsys.readouterr()
    outcome = shell.run_cell(line)
    error = outcome.error_in_exec or outcome.error_before_exec
    assert isinstance(error, MLNBError), f"{line}: {error!r}"
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    return str(error), error.exit_status


def by_cli(argv, capsys):
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    shown = capsys.readouterr()
    return shown.err.strip(), ended.value.code, shown.out


def same_everywhere(said, status, call, line, argv, shell, capsys):
    """The error is one line with the same words on all three surfaces."""
    for text, code in (by_function(call), by_magic(shell, line, capsys), by_cli(argv, capsys)[:2]):
        assert re.search(said, text), text
        assert len(text.splitlines()) == 1 and "Traceback" not in text
        assert code == status, (text, code)


MISSING = [
    ("nope.csv", r"nope\.csv"),
    ("goood.csv", r"Did you mean 'good\.csv'"),
    ("empty.csv", r"empty\.csv"),
    ("broken.parquet", r"broken\.parquet"),
    ("binary.csv", r"binary\.csv"),
    ("table.xlsx", r"xlsx"),
    ("folder.csv", r"folder\.csv"),
    ("good.csv/inside.csv", r"inside\.csv"),
    ("demo:flights/juli", r"Did you mean 'july'"),
    ("demo:trains", r"demo:flights"),
]


@pytest.mark.parametrize("name, said", MISSING, ids=[n for n, _ in MISSING])
def test_missing_and_unusable_files(name, said, files, shell, capsys):
    same_everywhere(
        said,
        3,
        lambda: mlnb.drift("good.csv", name),
        f"%drift good.csv {name}",
        ["drift", "good.csv", name],
        shell,
        capsys,
    )


TARGETS = [
    ("incme", "Did you mean 'income'"),
    ("Income", "Did you mean 'income'"),
    ("zzz", "There are"),
    ("", "There are"),
]


@pytest.mark.parametrize("target, said", TARGETS, ids=["typo", "case", "unknown", "empty"])
def test_wrong_target(target, said, files, shell, capsys, fitted):
    shell.user_ns["model"] = fitted
    text, status = by_function(lambda: mlnb.evaluate(fitted, "good.csv", target=target))
    assert re.search(said, text) and status in (2, 3)
    text, _ = by_magic(shell, f"%evaluate model good.csv --target '{target}'", capsys)
    assert re.search(said, text)


@pytest.fixture(scope="module")
def fitted():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(40, 9, 100)})
    return LogisticRegression().fit(frame, frame["age"] > 40)


@pytest.mark.parametrize("reference", ["latest", "runs:/0123456789abcdef/model", "models:/churn/3", "churn"])
def test_unknown_model(reference, files, shell, capsys):
    line = f"%evaluate '{reference}' good.csv --target income"
    text, status = by_function(lambda: mlnb.evaluate(reference, "good.csv", target="income"))
    assert status == 3 and len(text.splitlines()) == 1
    assert by_magic(shell, line, capsys)[1] == 3
    err, code, _ = by_cli(["evaluate", reference, "good.csv", "--target", "income"], capsys)
    assert code == 3 and len(err.splitlines()) == 1


POOR = {
    "no rows": pd.DataFrame({"x": pd.Series([], dtype=float)}),
    "no columns": pd.DataFrame(index=range(5)),
    "nothing": pd.DataFrame(),
    "no rows of text": pd.DataFrame({"x": pd.Series([], dtype=object)}),
    "one row": pd.DataFrame({"x": [1.0]}),
    "one row of text": pd.DataFrame({"x": ["a"]}),
    "one row of time": pd.DataFrame({"x": pd.to_datetime(["2024-01-01"])}),
    "one row, missing": pd.DataFrame({"x": [None]}),
    "all missing": pd.DataFrame({"x": [np.nan] * 50}),
    "all missing objects": pd.DataFrame({"x": [None] * 50}),
    "all missing times": pd.DataFrame({"x": [pd.NaT] * 50}),
    "all missing integers": pd.DataFrame({"x": pd.array([None] * 50, dtype="Int64")}),
    "constant": pd.DataFrame({"x": [7.0] * 50}),
    "constant text": pd.DataFrame({"x": ["same"] * 50}),
    "constant boolean": pd.DataFrame({"x": [True] * 50}),
    "constant but missing": pd.DataFrame({"x": [7.0] * 49 + [np.nan]}),
    "doubled names": pd.DataFrame([[1.0, 2.0]] * 50, columns=["x", "x"]),
    "thrice": pd.DataFrame([[1, "a", 2.0]] * 50, columns=["x", "x", "x"]),
    "doubled, one missing": pd.DataFrame([[1.0, None]] * 50, columns=["x", "x"]),
    "doubled text": pd.DataFrame([["a", "b"]] * 50, columns=["x", "x"]),
    "mixed": pd.DataFrame({"x": [1, "two", 3.0, None, True] * 10}),
    "lists": pd.DataFrame({"x": [[1, 2], [3]] * 25}),
    "bytes and text": pd.DataFrame({"x": [b"a", "a"] * 25}),
    "complex": pd.DataFrame({"x": [1 + 2j, 3.0] * 25}),
}


@pytest.mark.parametrize("poor", POOR.values(), ids=POOR.keys())
def test_poor_frames_never_raise_in_a_check(poor, shell):
    good = pd.DataFrame({"x": np.random.default_rng(0).normal(size=200)})
    shell.user_ns |= {"good": good, "poor": poor}
    for pair in ((good, poor), (poor, good), (poor, poor)):
        report = mlnb.drift(*pair)
        assert isinstance(report, Report)
        for r in report.results:
            assert r.status in ("pass", "warn", "fail", "skipped") or r.advice, r
        assert report.to_html() and report.to_text() and report.to_markdown()
    outcome = shell.run_cell("kept = %drift good poor\nalso = %check good poor")
    assert outcome.success and isinstance(shell.user_ns["kept"], Report)


@pytest.mark.parametrize("name", ["no rows", "one row", "all missing", "constant", "doubled names", "mixed"])
def test_poor_files_on_the_command_line(name, files, capsys):
    POOR[name].to_csv("poor.csv", index=False)
    err, code, out = by_cli(["drift", "good.csv", "poor.csv"], capsys)
    assert code in (0, 1, 3) and "Traceback" not in err + out
    assert out.strip() or len(err.splitlines()) == 1


SETTINGS = [
    ("[drift]\npsi_wran = 0.1\n", "psi_wran.*Did you mean 'psi_warn'"),
    ("[drfit]\npsi_warn = 0.1\n", r"\[drfit\].*Did you mean 'drift'"),
    ("[drift]\npsi_warn = much\n", r"settings\.ini: \[drift\] psi_warn = much"),
    ("[drift]\nks_warn = 3\n", r"\[drift\] ks_warn = 3"),
    ("[drift]\npsi_warn = 0.5\n", "lies below"),
    ("[drift\npsi_warn = 0.5\n", "cannot be read"),
    ("[evaluate]\nbootstrap = 1.5\n", "bootstrap = 1.5"),
]


@pytest.mark.parametrize("text, said", SETTINGS, ids=["key", "section", "type", "range", "order", "syntax", "whole"])
def test_settings(text, said, files, shell, capsys, bare_workspace):
    (bare_workspace.root / "settings.ini").write_text("[mlnb]\nworkspace = true\n" + text)
    same_everywhere(
        said,
        2,
        lambda: mlnb.drift("good.csv", "good.csv"),
        "%drift good.csv good.csv",
        ["drift", "good.csv", "good.csv"],
        shell,
        capsys,
    )


@pytest.mark.parametrize(
    "name, value",
    [("DRIFT__PSI_WARN", "x"), ("DRIFT__PSI_WRAN", "1"), ("DRFIT__PSI_WARN", "1"), ("EVALUATE__CONFIDENCE", "95")],
)
def test_settings_from_the_environment(name, value, files, shell, capsys, monkeypatch):
    monkeypatch.setenv(f"MLNB_{name}", value)
    said = f"environment variable MLNB_{name}"
    same_everywhere(
        said,
        2,
        lambda: mlnb.drift("good.csv", "good.csv"),
        "%drift good.csv good.csv",
        ["drift", "good.csv", "good.csv"],
        shell,
        capsys,
    )


PARAMETERS = [
    (["-p", "sed=3"], "no parameter 'sed'.*Did you mean 'seed'"),
    (["-p", "seed=three"], "seed"),
    (["-p", "seed"], "key=value"),
    (["-p", "class=3"], "class"),
    (["-p", 'data=x"\nimport os\n"'], "line break"),
    (["-p", "drop=a\u2028b"], "line break"),
    (["-p", "x = 1\nimport os=3"], "parameter"),
    (["--timeout", "soon"], "--timeout"),
    (["--timeout", "-3"], "timeout"),
]


@pytest.mark.parametrize("argv, said", PARAMETERS, ids=range(len(PARAMETERS)))
def test_parameters(argv, said, bare_workspace, capsys):
    err, code, _ = by_cli(["run", "train", *argv], capsys)
    assert code == 2 and re.search(said, err) and len(err.splitlines()) == 1
    assert not (bare_workspace.folder / "mlflow.db").exists() and not bare_workspace.runs.exists()


@pytest.mark.parametrize("name", ["trian", "no/such.ipynb", "../train", "train.ipynb"])
def test_unknown_templates(name, bare_workspace, capsys):
    err, code, _ = by_cli(["run", name], capsys)
    assert code in (2, 3) and len(err.splitlines()) == 1 and name.rpartition("/")[2] in err
    assert by_function(lambda: mlnb.run(name))[1] == code
    assert not bare_workspace.runs.exists()


@pytest.mark.parametrize("path", ["in_the_way/report.html", "in_the_way/a/b.json", "good.csv/x.md", "/proc/x.txt"])
def test_no_permission_to_write(path, files, capsys):
    before = sorted(p.name for p in files.rglob("*"))
    err, code, _ = by_cli(["drift", "good.csv", "good.csv", "--out", path], capsys)
    assert code == 3 and len(err.splitlines()) == 1 and path.partition("/")[0] in err
    assert by_function(lambda: mlnb.drift("good.csv", "good.csv").save(path))[1] == 3
    assert sorted(p.name for p in files.rglob("*")) == before


def test_an_unknown_form_is_refused_before_the_work(files, capsys):
    err, code, out = by_cli(["drift", "good.csv", "good.csv", "--out", "report.pdf"], capsys)
    assert (code, out) == (2, "") and "report.pdf" in err and ".html" in err


def test_a_forgotten_target_is_wrong_use(files, shell, capsys, fitted):
    shell.user_ns["model"] = fitted
    for line in ("%evaluate model good.csv", "%check MLN-E001 model good.csv"):
        text, status = by_magic(shell, line, capsys)
        assert status == 2 and "target" in text
    err, code, _ = by_cli(["evaluate", "runs:/0123/model", "good.csv"], capsys)
    assert code == 2 and "--target" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("folder", ["in_the_way", "in_the_way/below", "/proc/nowhere", "/dev/null/x"])
def test_no_place_for_a_workspace(folder, files, capsys):
    err, code, _ = by_cli(["init", folder], capsys)
    assert code == 3 and len(err.splitlines()) == 1
    assert by_function(lambda: mlnb.init(folder))[1] == 3


STORES = {
    "nobody listens": "http://127.0.0.1:9",
    "unknown scheme": "ftp://127.0.0.1/x",
    "no host": "http://",
    "corrupt file": "sqlite:///in_the_way",
    "a folder": "sqlite:///folder.csv",
}


@pytest.mark.parametrize("uri", STORES.values(), ids=STORES.keys())
def test_unreachable_store(uri, files, shell, capsys, monkeypatch):
    monkeypatch.setenv("MLNB_TRACKING__URI", uri)
    same_everywhere("store|in_the_way|folder", 3, mlnb.runs, "%runs", ["runs"], shell, capsys)

    def tracked():
        with mlnb.track("x"):
            raise AssertionError("must not begin")

    assert by_function(tracked)[1] == 3
    assert by_magic(shell, "%%track x\n1 + 1", capsys)[1] == 3


TRAIN = {
    "missing file": (["-p", "data=nope.csv", "-p", "target=y"], "nope.csv"),
    "wrong target": (["-p", "data=good.csv", "-p", "target=incme"], "Did you mean 'income'"),
    "no target": (["-p", "data=good.csv"], "no target is named"),
    "one row": (["-p", "data=one.csv", "-p", "target=income"], "income"),
    "constant target": (["-p", "data=constant.csv", "-p", "target=income"], "income"),
    "empty": (["-p", "data=empty.csv", "-p", "target=income"], "empty.csv"),
    "all missing": (["-p", "data=hollow.csv", "-p", "target=income"], "income"),
    "doubled names": (["-p", "data=doubled.csv", "-p", "target=income"], "age"),
}
QUICK = ("wrong target", "one row")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.long) for n in TRAIN])
def test_train_ends_failed_with_one_line(name, files, capsys):
    good = pd.read_csv("good.csv")
    good.head(1).to_csv("one.csv", index=False)
    good.assign(income=1).to_csv("constant.csv", index=False)
    good.assign(income=np.nan).to_csv("hollow.csv", index=False)
    (files / "doubled.csv").write_text("age,age,income\n" + "1,2,0\n3,4,1\n" * 40)
    argv, said = TRAIN[name]
    err, code, out = by_cli(["run", "train", *argv], capsys)
    assert code == 3 and said in err and len(err.splitlines()) == 1 and out == ""
    [row] = mlnb.runs()
    assert row.status == "FAILED" and row.kind == "train"
