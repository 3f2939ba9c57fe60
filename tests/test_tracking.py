"""The room `tracking` on a real MLflow store: one store, honest ends, models that load elsewhere, records."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers_store import copy_store
from helpers_work import GENEROUS

from mlnb.core.errors import ArgumentError, DataError, FileError, MLNBError, RefusedError, StoreError
from mlnb.core.result import Report, Result, Table
from mlnb.core.settings import load_settings
from mlnb.core.workspace import Workspace, make
from mlnb.tracking import cell, facts, models, sources
from mlnb.tracking import run as running
from mlnb.tracking import store as stores
from mlnb.tracking.models import open_model, save_model
from mlnb.tracking.records import RunList, runs
from mlnb.tracking.run import active, log, track
from mlnb.tracking.store import client, ensure_store, find_run, load_mlflow
from mlnb.tracking.writing import Buffer, end_run, log_files, open_run, reap, run_status

KINDS = ["logistic", "pipeline", "boosting", "neighbours", "network", "search", "function", "lightgbm", "xgboost"]


@pytest.fixture
def workspace(built_store, tmp_path, monkeypatch):
    made = copy_store(built_store, tmp_path / "ws")
    monkeypatch.setenv("MLNB_WORKSPACE", str(made.root))
    monkeypatch.delenv("MLNB_RUN_ID", raising=False)
    return made


def python(code: str, workspace: Workspace | Path, *, wait: bool = True, **more) -> subprocess.Popen:
    """A process of its own in a workspace; `wait` returns when it has ended."""
    root = workspace if isinstance(workspace, Path) else workspace.root
    environment = {**os.environ, "MLNB_WORKSPACE": str(root), "PYTHONWARNINGS": "error::UserWarning:mlnb"}
    environment |= more.pop("env", {})
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )
    if wait:
        process.out, process.err = process.communicate(timeout=120)
    return process


def said(call, *args, **options) -> MLNBError:
    """The error of ours that a call raises; it is one line."""
    with pytest.raises(MLNBError) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def table(rows: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(40, 9, rows), "visits": rng.integers(0, 9, rows)})
    return frame.assign(late=(frame.age + frame.visits > 44).astype(int))


# --- the store ---------------------------------------------------------------------------------------------------


def test_four_processes_start_cold_together(tmp_path):
    root = make(tmp_path / "four").root
    code = """
        import mlnb.tracking.run as r
        with r.track("cold") as run:
            for step in range(50):
                run.metric("loss", 1 / (1 + step), step)
    """
    together = [python(code, root, wait=False) for _ in range(4)]
    for process in together:
        out, err = process.communicate(timeout=180)
        assert (process.returncode, err, out) == (0, "", "")
    four = runs(workspace=Workspace(root, load_settings(root / "settings.ini")))
    assert [row.status for row in four] == ["FINISHED"] * 4
    assert [row.metrics["loss"] for row in four] == [1 / 50] * 4
    assert sorted(p.name for p in (root / ".mlnb").iterdir() if "partial" in p.name) == []


def test_a_folder_with_an_odd_name(tmp_path):
    workspace = make(tmp_path / "it's 100 %: ü #1")
    ensure_store(workspace)
    api = client(workspace)
    for experiment in api.search_experiments():
        assert experiment.artifact_location.startswith(str(workspace.folder / "artifacts"))
    run_id = open_run("odd", workspace=workspace)
    log_files(run_id, {"notes/ä b.txt": "hello"}, workspace=workspace)
    end_run(run_id, "FINISHED", workspace=workspace)
    assert list(workspace.folder.rglob("ä b.txt"))


def test_an_experiment_of_another_name_is_made_when_it_is_needed(workspace):
    other = Workspace(workspace.root, load_settings(overrides={"tracking.experiment": "../sales/ü"}))
    run_id = open_run("q3", workspace=other)
    log_files(run_id, {"a.txt": "x"}, workspace=other)
    assert client(other).get_run(run_id).info.artifact_uri.startswith(str(workspace.folder / "artifacts" / "sales-"))
    end_run(run_id, "FINISHED", workspace=other)
    assert len(runs(workspace=other)) == 1 and len(runs(workspace=workspace)) == 0


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "folder", "another database", "middle"])
def test_a_store_that_cannot_be_used_is_named_and_left_alone(workspace, damage):
    path = workspace.folder / "mlflow.db"
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "another database":
        sqlite3.connect(path).execute("CREATE TABLE t (a)").connection.commit()
    else:
        bad = {"truncated": whole[: len(whole) // 2], "garbage": b"not a database" * 99, "empty": b""}
        path.write_bytes(bad.get(damage, whole[:4096] + bytes(len(whole) - 4096)))
    before = path.read_bytes() if path.is_file() else b""
    error = said(track("x").start)
    assert isinstance(error, StoreError) and "mlflow.db" in error.message and error.hint
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_file_where_the_folder_should_be(tmp_path, monkeypatch):
    (tmp_path / ".mlnb").write_text("in the way")
    monkeypatch.setenv("MLNB_WORKSPACE", str(tmp_path))
    assert isinstance(said(track("x").start), FileError | StoreError)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs root to become somebody else")
def test_a_folder_that_cannot_be_written(request):
    outer = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others, and by each session anew
    request.addfinalizer(lambda: shutil.rmtree(outer))
    root = make(outer / "ro").root
    shutil.rmtree(root / ".mlnb")
    outer.chmod(0o755), root.chmod(0o755)
    code = """
        import os, mlnb.tracking.run as r
        from mlnb.tracking.store import load_mlflow
        load_mlflow()
        import mlflow.store.tracking.sqlalchemy_store
        os.setgroups([]), os.setgid(65534), os.setuid(65534)
        try:
            r.track("x").start()
        except Exception as e:
            print(type(e).__name__, e)
    """
    done = python(code, root)
    assert done.out.startswith(("FileError", "StoreError")), done.err
    assert str(root) in done.out and "ermission" in done.out and done.out.count("\n") == 1


class NotMlflow(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_servers_that_are_down_silent_or_something_else(tmp_path, monkeypatch):
    silent = socket.create_server(("127.0.0.1", 0))
    other = HTTPServer(("127.0.0.1", 0), NotMlflow)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    addresses = {
        "http://127.0.0.1:9": "no answer",
        f"http://127.0.0.1:{silent.getsockname()[1]}": "no answer",
        f"http://127.0.0.1:{other.server_port}": "answers 404",
        "postgresql://ada:secret@127.0.0.1:9/runs": "no answer",
        "gopher://example": "none of http",
        "./mlruns": "none of http",
        "http://127.0.0.1:99999": "no answer",
        "sqlite:///:memory:": "names no file",
    }
    patience, knock = [], stores._knock

    def patiently(parts, port, timeout):  # who answers gets all the time that it takes
        patience.append(timeout)
        return knock(parts, port, GENEROUS if parts.port == other.server_port else 0.2)

    monkeypatch.setattr(stores, "_knock", patiently)
    for uri, words in addresses.items():
        patience.clear()
        error = said(ensure_store, Workspace(tmp_path, load_settings(overrides={"tracking.uri": uri})))
        assert isinstance(error, StoreError) and words in error.message and "argument" in error.hint, uri
        assert "secret" not in str(error) and len(patience) <= 1 and sum(patience) <= 3, (uri, patience)
    other.shutdown()
    silent.close()


def test_the_store_that_is_there_is_found_without_mlflow(workspace):
    code = """
        import sys
        from mlnb.tracking.store import ensure_store
        uri = ensure_store()
        assert not {"mlflow", "sqlalchemy", "pandas"} & set(sys.modules), sorted(sys.modules)
        print(uri)
    """
    done = python(code, workspace)
    assert (done.returncode, done.err) == (0, "")
    assert done.out.strip() == f"sqlite:///{workspace.folder / 'mlflow.db'}"


# --- facts -------------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@b", *arguments], check=True)


def test_git_in_every_state(tmp_path, monkeypatch):
    assert facts.git_facts(tmp_path) == {} and facts.git_facts(tmp_path / "missing") == {}
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "a.py").write_text("x = 1\n")
    fresh = facts.git_facts(tmp_path)
    assert fresh["commit"] == "" and fresh["dirty"] == "true" and "# untracked: a.py" in fresh["diff"]
    git(tmp_path, "add", "."), git(tmp_path, "commit", "-qm", "one")
    assert facts.git_facts(tmp_path)["dirty"] == "false" and facts.git_facts(tmp_path)["branch"] == "trunk"
    (tmp_path / "a.py").write_text("x = 'long'\n" * 300_000)
    big = facts.git_facts(tmp_path)
    assert big["dirty"] == "true" and len(big["diff"]) < facts.DIFF_LIMIT + 200 and "cut off" in big["diff"]
    monkeypatch.setenv("PATH", "")
    assert facts.git_facts(tmp_path) == {}


def test_packages_are_those_of_pip():
    known = facts.packages()
    assert known["numpy"] == np.__version__ and list(known) == sorted(known) and len(known) > 100


# --- models ------------------------------------------------------------------------------------------------------


def fitted(kind: str):
    """Estimators of every sort that people use, each fitted."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    encoded = ColumnTransformer(
        [("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["visits"])]
    )
    made = {
        "logistic": lambda: LogisticRegression(),
        "pipeline": lambda: make_pipeline(encoded, RandomForestClassifier(5, random_state=0)),
        "boosting": lambda: HistGradientBoostingClassifier(max_iter=5),
        "neighbours": lambda: KNeighborsClassifier(),
        "network": lambda: MLPClassifier((4,), max_iter=1000, tol=1, random_state=0),
        "search": lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2),
        "function": lambda: make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()),
        "lightgbm": lambda: pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=3, verbose=-1),
        "xgboost": lambda: pytest.importorskip("xgboost").XGBClassifier(n_estimators=3),
    }[kind]()
    frame = table()
    return made.fit(frame[["age", "visits"]], frame.late), frame


@pytest.mark.parametrize("kind", KINDS)
def test_models_come_back_as_they_were_without_a_warning(workspace, kind):
    model, frame = fitted(kind)
    with track(kind) as run:
        run.model(model, example=frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = open_model(run.id)
    features = frame[["age", "visits"]]
    assert np.array_equal(again.predict_proba(features), model.predict_proba(features))
    assert type(again) is type(model)


def test_a_stored_model_is_complete(workspace):
    model, frame = fitted("boosting")
    with track("complete", params={"depth": 3}) as run:
        run.model(model, example=frame, name="late flights")
    api = client(workspace)
    [output] = api.get_run(run.id).outputs.model_outputs
    stored = api.get_logged_model(output.model_id)
    assert (stored.name, str(stored.status), stored.source_run_id) == ("late flights", "READY", run.id)
    assert stored.params == {"depth": "3"}
    assert json.loads(stored.tags["mlnb.trusted"]) == [
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
    ]
    folder = Path(stored.artifact_location)
    assert f"scikit-learn=={facts.packages()['scikit-learn']}" in (folder / "requirements.txt").read_text()
    example = json.loads((folder / "input_example.json").read_text())
    assert example["columns"] == ["age", "visits"] and len(example["data"]) == 5
    mlflow = load_mlflow()
    described = mlflow.models.get_model_info(str(folder))
    assert described.run_id == run.id and [c.name for c in described.signature.inputs.inputs] == ["age", "visits"]
    served = mlflow.pyfunc.load_model(stored.model_uri)
    assert (served.predict(frame[["age", "visits"]]) == model.predict(frame[["age", "visits"]])).all()


def test_what_cannot_be_loaded_elsewhere_is_refused(workspace):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    frame = table()
    X, y = frame[["age", "visits"]], frame.late

    def hidden(values):
        return values

    def model_of(function):
        return make_pipeline(FunctionTransformer(function), LogisticRegression()).fit(X, y)

    cases = {"lambda": model_of(lambda v: v), "hidden": model_of(hidden), "system": model_of(np.log1p)}
    cases["system"].steps[0][1].func = os.getcwd
    for words, model in cases.items():
        with pytest.raises(RefusedError) as caught, track("refused") as run:
            run.metric("auc", 0.9)
            run.model(model)
        assert caught.value.exit_status == 5 and caught.value.hint, words
        stored = client(workspace).get_run(run.id)
        assert stored.info.status == "FAILED" and not stored.outputs.model_outputs
        assert stored.data.metrics["auc"] == 0.9
    assert "getcwd" in str(said(models.stage_model, cases["system"]))
    with track("named") as run:
        run.model(cases["system"], trusted=["posix.getcwd"])
    assert open_model(run.id).steps[0][1].func is os.getcwd
    for wrong in (LogisticRegression, "model", None, frame):
        assert isinstance(said(models.stage_model, wrong), ArgumentError)
    assert isinstance(said(models.stage_model, LogisticRegression(), example=frame), ArgumentError)


def test_models_that_are_not_ours_or_not_what_they_were(workspace):
    model, frame = fitted("logistic")
    mlflow = load_mlflow()
    with track("foreign") as run:
        mlflow.sklearn.log_model(
            model, name="pickled", serialization_format="cloudpickle", pip_requirements=["scikit-learn"]
        )
        mlflow.sklearn.log_model(model, name="plain", pip_requirements=["scikit-learn"])
        mlflow.sklearn.log_model(
            fitted("boosting")[0],
            name="vouching",
            pip_requirements=["scikit-learn"],
            skops_trusted_types=["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
        )
    assert "stored as cloudpickle" in str(said(open_model, f"runs:/{run.id}/pickled"))
    assert open_model(f"runs:/{run.id}/plain").get_params() == model.get_params()
    refused = said(open_model, f"runs:/{run.id}/vouching")
    assert isinstance(refused, RefusedError) and "TreePredictor" in refused.message
    assert open_model(f"runs:/{run.id}/vouching", trusted=[refused.fields["type"]])
    assert "several models" in str(said(open_model, run.id))
    assert "Did you mean 'plain'" in str(said(open_model, f"runs:/{run.id}/plane"))
    with track("ours") as run:
        run.model(model, example=frame)
    api = client(workspace)
    stored = api.get_logged_model(api.get_run(run.id).outputs.model_outputs[0].model_id)
    file = Path(stored.artifact_location) / "model.skops"
    file.write_bytes(file.read_bytes() + b" ")
    assert "not the one that was recorded" in str(said(open_model, run.id))
    shutil.rmtree(stored.artifact_location)
    assert isinstance(said(open_model, run.id), DataError | StoreError)


def test_references(workspace):
    model, frame = fitted("logistic")
    assert isinstance(said(open_model, "latest"), DataError)
    address = save_model(model, run_id=open_run("first"), example=frame)
    end_run(find_run("first", client(workspace), workspace).info.run_id, "FINISHED")
    with track("empty") as empty:
        pass
    mlflow = load_mlflow()
    mlflow.set_tracking_uri(ensure_store(workspace))
    api = client(workspace)
    api.create_registered_model("late")
    api.create_model_version("late", address)
    api.set_registered_model_alias("late", "champion", "1")
    for reference in ("latest", "first", address, "models:/late/1", "models:/late@champion"):
        assert open_model(reference).classes_.tolist() == [0, 1]
    assert "has no model" in str(said(open_model, empty.id))
    for unknown in (
        "models:/latte/1",
        "models:/late/7",
        "models:/late@chief",
        "models:/m-00",
        "frist",
        "runs:/ffff/model",
    ):
        error = said(open_model, unknown)
        assert isinstance(error, DataError) and error.hint, unknown


# --- runs --------------------------------------------------------------------------------------------------------


def test_everything_is_recorded_and_reads_back(workspace, monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    git(workspace.root, "init", "-q", "-b", "main")
    git(workspace.root, "add", "settings.ini"), git(workspace.root, "commit", "-qm", "one")
    (workspace.root / "new.py").write_text("")
    monkeypatch.setenv("MLNB_NOTEBOOK", "late.ipynb")
    model, frame = fitted("logistic")
    report = a_report()
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    with track("whole", params={"C": 1.0, "long": "x" * 9000}, seed=7, tags={"team": "ops"}, kind="train") as run:
        run.param("solver", "lbfgs")
        for step in range(2500):
            run.metric("loss", 1 / (1 + step), step)
        run.metric("nan", float("nan"))
        run.model(model, example=frame)
        run.data(frame, name="flights", source="flights.csv", target="late")
        run.figure(figure, "a line that rises", "rising line")
        run.source("model.fit()")
        run.file("notes", "notes/why.txt")
        log(report)
        log(figure, alt="again")
    api = client(workspace)
    stored = api.get_run(run.id)
    assert stored.info.status == "FINISHED" and stored.info.run_name == "whole"
    assert stored.data.params["C"] == "1.0" and stored.data.params["solver"] == "lbfgs"
    assert len(stored.data.params["long"]) == 5000
    history = {m.step: m.value for m in api._tracking_client.get_metric_history(run.id, "loss")}
    assert history == {step: 1 / (1 + step) for step in range(2500)}
    tags = stored.data.tags
    expected = {
        "mlnb.kind": "train",
        "mlnb.seed": "7",
        "team": "ops",
        "mlnb.git.dirty": "true",
        "mlnb.notebook": "late.ipynb",
    }
    assert expected.items() <= tags.items() and len(tags["mlflow.source.git.commit"]) == 40
    assert tags["mlnb.owner"] == facts.owner() and tags["mlnb.status"] == "warn"
    assert {"mlnb.python", "mlnb.os", "mlnb.cpu", "mlnb.libraries", "mlnb.command", "mlflow.user"} <= set(tags)
    assert stored.data.metrics["mlnb.duration_s"] > 0 and stored.data.metrics["mlnb.peak_memory_mb"] > 50
    [used] = stored.inputs.dataset_inputs
    assert json.loads(used.dataset.profile)["num_rows"] == len(frame) and "late" in used.dataset.schema

    def text(name):
        return Path(api.download_artifacts(run.id, name)).read_text()

    assert text("source/cell.py") == "model.fit()" and text("notes/why.txt") == "notes"
    assert "# untracked: new.py" in text("git/diff.patch") and "numpy==" in text("environment/packages.txt")
    from PIL import Image

    assert (
        Image.open(api.download_artifacts(run.id, "figures/rising-line.png")).text["Description"] == "a line that rises"
    )
    assert Report.from_json(text("report/report.json")) == report
    assert "<html" in text("report/report.html").lower()
    assert stored.data.metrics["ks/age"] == 0.3 and stored.data.metrics["ks/hours-per-week"] == 0.01


def a_report() -> Report:
    results = (
        Result(code="MLN-D001", title="KS", subject="age", status="warn", value=0.3, threshold=0.1, method="ks", n=99),
        Result(
            code="MLN-D001", title="KS", subject="hours-per-week", status="pass", value=0.01, threshold=0.1, method="ks"
        ),
        Result(code="MLN-D001", title="KS", subject="<ü & 'x'>", status="not_applicable", method="ks", advice="text"),
    )
    tables = (Table(title="Columns", columns=("name", "rows"), rows=(("age", 99),)),)
    return Report(kind="drift", title="Drift", summary="1 of 2", results=results, tables=tables, meta={"n": 99})


@pytest.mark.parametrize("error", [ValueError("no rows"), KeyboardInterrupt(), SystemExit(0), GeneratorExit()])
def test_whatever_leaves_the_block_fails_the_run(workspace, error):
    model, frame = fitted("logistic")
    with pytest.raises(type(error)), track("left") as run:
        run.metric("before", 1)
        run.model(model, example=frame)
        raise error
    stored = client(workspace).get_run(run.id)
    assert stored.info.status == "FAILED" and stored.data.tags["mlnb.status"] == "error"
    assert type(error).__name__ in stored.data.tags["mlnb.error"] and stored.data.metrics["before"] == 1
    assert not stored.outputs.model_outputs and active() is None
    assert not list(workspace.folder.rglob("model.skops")) and load_mlflow().active_run() is None


def test_a_model_that_cannot_be_stored_leaves_nothing_half(workspace, monkeypatch):
    model, frame = fitted("logistic")
    api_class = type(client(workspace))
    monkeypatch.setattr(api_class, "log_model_artifacts", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"), track("half") as run:
        run.model(model, example=frame)
    stored = client(workspace).get_run(run.id)
    assert stored.info.status == "FAILED" and not stored.outputs.model_outputs
    assert client(workspace).search_logged_models([stored.info.experiment_id]) == []


def test_nested_runs_and_mlflows_own(workspace):
    mlflow = load_mlflow()
    with track("outer") as outer:
        mlflow.log_param("by", "mlflow")
        with track("inner") as inner:
            mlflow.log_metric("auc", 0.9)
        mlflow.log_metric("auc", 0.8)
        left_open = mlflow.start_run(nested=True)
    api = client(workspace)
    assert api.get_run(outer.id).data.metrics["auc"] == 0.8 and api.get_run(outer.id).data.params == {"by": "mlflow"}
    assert api.get_run(inner.id).data.metrics["auc"] == 0.9
    assert api.get_run(inner.id).data.tags["mlflow.parentRunId"] == outer.id
    assert api.get_run(left_open.info.run_id).info.status == "FINISHED" and mlflow.active_run() is None
    with track("ended early") as early:
        mlflow.end_run()
        early.metric("after", 1)
    assert early.status == "FINISHED" and client(workspace).get_run(early.id).data.metrics["after"] == 1


def test_across_cells(workspace):
    run = track("template").start()
    run.metric("auc", 0.9)
    assert active() is run and run.status == "RUNNING"
    run.finish()
    assert run.status == "FINISHED" and active() is None
    for again in (
        run.finish,
        run.start,
        lambda: run.fail("x"),
        lambda: run.metric("a", 1),
        lambda: run.log(a_report()),
    ):
        assert isinstance(said(again), ArgumentError)
    other = track("fails").start()
    other.fail(ValueError("no rows"))
    assert other.status == "FAILED"
    assert "ValueError: no rows" in client(workspace).get_run(other.id).data.tags["mlnb.error"]
    with track("inside") as inside:
        inside.fail("I say so")
    assert inside.status == "FAILED"


def test_wrong_use(workspace):
    for name in ("", "  ", None, 7, "x" * 300, "a\nb"):
        assert isinstance(said(track, name), ArgumentError)
    assert len(runs()) == 0
    assert "no run is open" in str(said(log, a_report()))
    with track("ok") as run:
        for value in ("high", None, [1, 2], {}):
            assert "not a number" in str(said(run.metric, "auc", value))
        for key in ("", "a b?", "/x", "a//b", "../x", "x" * 300):
            assert isinstance(said(run.metric, key, 1), ArgumentError)
        run.param("depth", 3)
        run.param("depth", "3")
        assert "is '3' already" in str(said(run.param, "depth", 4))
        for path in ("../x", "/etc/x", "a/../../x", "", "a//b", "a\\b"):
            assert isinstance(said(run.file, "x", path), ArgumentError)
        assert isinstance(said(run.file, Path("missing.txt"), "a.txt"), FileError)
        assert "text alternative" in str(said(run.figure, object(), ""))
        assert "not a figure" in str(said(run.figure, object(), "x"))
        assert "not a report" in str(said(run.log, {"a": 1}))
    assert run.status == "FINISHED"


def test_metrics_go_in_batches(workspace, monkeypatch):
    calls = []
    monkeypatch.setattr(Buffer, "every", float("inf"))  # only what has gathered counts, not how long that took
    run = track("batches").start()
    api_class = type(client(workspace))
    plain = api_class.log_batch
    monkeypatch.setattr(api_class, "log_batch", lambda self, *a, **k: calls.append(1) or plain(self, *a, **k))
    for step in range(300):
        run.metric("loss", step, step)
    run.params({f"p{i}": i for i in range(250)})
    run.finish()
    assert len(calls) <= 4
    assert len(client(workspace).get_run(run.id).data.params) == 250


def test_a_store_that_is_away_for_a_moment_does_not_stop_a_training(workspace, monkeypatch):
    run = track("patient").start()
    run._buffer.every = 0
    api_class = type(client(workspace))
    plain = api_class.log_batch
    from mlflow.exceptions import MlflowException

    def away(*_, **__):
        raise MlflowException("away")

    monkeypatch.setattr(api_class, "log_batch", away)
    with pytest.warns(UserWarning, match="metrics wait for the store"):
        run.metric("loss", 1, 1)
    monkeypatch.setattr(api_class, "log_batch", plain)
    run.metric("loss", 2, 2)
    run.finish()
    assert [m.value for m in client(workspace).get_metric_history(run.id, "loss")] == [1, 2]


def test_the_step_runners_run_is_joined_once_and_ended_by_the_runner(workspace, monkeypatch):
    run_id = open_run("step", kind="train", tags={"mlnb.flow": "demo"}, params={"data": "x.csv"})
    monkeypatch.setenv("MLNB_RUN_ID", run_id)
    monkeypatch.setattr(running, "_joined", set())
    with track("anything", params={"C": 1}, seed=3) as run:
        assert run.id == run_id and run.attached
        run.log(a_report())
    assert run_status(run_id) == "RUNNING"
    with track("second") as second:
        pass
    assert second.id != run_id and second.status == "FINISHED"
    log_files(run_id, {"notebook/step.ipynb": workspace.root / "settings.ini"})
    end_run(run_id, "FINISHED")
    stored = client(workspace).get_run(run_id)
    assert stored.info.status == "FINISHED" and stored.info.run_name == "step"
    assert stored.data.params == {"data": "x.csv", "C": "1"} and stored.data.tags["mlnb.flow"] == "demo"
    assert stored.data.tags["mlnb.seed"] == "3" and stored.data.tags["mlnb.kind"] == "train"
    monkeypatch.setattr(running, "_joined", set())
    assert "is FINISHED" in str(said(track("late").start))
    end_run(run_id, "FAILED", "no report")
    assert run_status(run_id) == "FAILED"


def test_killed_and_reaped_terminated_and_abandoned(workspace):
    begin = """
import os, sys, time, mlnb.tracking.run as r
run = r.track("{name}").start()
run.metric("auc", 0.9)
print(run.id, flush=True)
"""
    forks = """
pid = os.fork()
if not pid:
    sys.exit(0)
os.waitpid(pid, 0)
assert run.status == "RUNNING"
run.finish()
"""
    ends = {
        "killed": "time.sleep(100)",
        "terminated": "time.sleep(100)",
        "uncaught": "raise ValueError('no rows')",
        "exits": "sys.exit(0)",
        "forks": forks,
    }
    processes = {name: python(begin.format(name=name) + end, workspace, wait=False) for name, end in ends.items()}
    ids = {name: process.stdout.readline().strip() for name, process in processes.items()}
    processes["killed"].send_signal(signal.SIGKILL)
    processes["terminated"].send_signal(signal.SIGTERM)
    codes = {name: process.wait(60) for name, process in processes.items()}
    for process in processes.values():
        process.communicate()
    assert codes == {"killed": -9, "terminated": -15, "uncaught": 1, "exits": 0, "forks": 0}
    assert run_status(ids["killed"]) == "RUNNING"
    living = open_run("living")
    with track("next"):
        pass
    states = {name: run_status(run_id) for name, run_id in ids.items()}
    assert states == {
        "killed": "KILLED",
        "terminated": "FAILED",
        "uncaught": "FAILED",
        "exits": "FAILED",
        "forks": "FINISHED",
    }
    assert run_status(living) == "RUNNING" and reap() == []
    tags = {name: client(workspace).get_run(run_id).data.tags for name, run_id in ids.items()}
    assert tags["killed"]["mlnb.ended_by"] == "reaper" and "terminated" in tags["terminated"]["mlnb.error"]
    assert "ValueError: no rows" in tags["uncaught"]["mlnb.error"]
    assert client(workspace).get_run(ids["terminated"]).data.metrics["auc"] == 0.9


# --- records -----------------------------------------------------------------------------------------------------


def test_the_stored_report_comes_back(workspace):
    report = a_report()
    with track("drifted", kind="monitor") as run:
        run.log(report)
        run.log(report)
        run.log(report.with_meta(second=True))
    again = runs("show", "drifted")
    assert isinstance(again, Report) and again.status == report.status == "warn"
    assert again.to_frame().equals(report.to_frame()) and again.tables == report.tables
    assert again.meta["n"] == 99 and again.meta["run"] == run.id
    assert again.meta["other reports"] == ["report/report-2.json"]
    for reference in (run.id, run.id[:7], "latest", ""):
        assert runs("show", reference).meta["run"] == run.id


def test_a_run_without_a_report_is_told(workspace):
    model, frame = fitted("logistic")
    with track("plain", params={"C": 1}) as run:
        run.model(model, example=frame)
        run.data(frame, name="flights")
    told = runs("show", "plain")
    assert told.status == "pass" and [r.code for r in told.results] == ["MLN-T001"]
    assert [t.title for t in told.tables] == ["Parameters", "Metrics", "Data", "Models", "Files"]
    still = open_run("still")
    assert runs("show", still).status == "warn"
    end_run(still, "KILLED")
    assert runs("show", still).status == "fail"
    assert "MLN-T001" in told.to_text() and told.to_html()


def test_listing(workspace):
    assert len(runs()) == 0 and "No runs" in repr(runs()) and list(runs().to_frame().columns)[:2] == ["run_id", "name"]
    for i in range(5):
        with track(f"<b>{i}", kind="train" if i % 2 else "code") as run:
            run.metric("auc", i / 10)
    listed = runs(limit=3)
    assert isinstance(listed, RunList) and [row.name for row in listed] == ["<b>4", "<b>3", "<b>2"]
    assert [row.name for row in runs(kind="train")] == ["<b>3", "<b>1"]
    assert len(runs(failed=True)) == 0
    assert run.short in repr(listed) and "auc 0.4" in repr(listed) and "<b>4" not in listed._repr_html_()
    frame = listed.to_frame()
    assert frame["metrics.auc"].tolist() == [0.4, 0.3, 0.2] and str(frame["started"].dtype) == "datetime64[ns, UTC]"


def test_the_primary_metric_stands_first_in_a_listing(workspace):
    def result(code, value, method=""):
        return Result(code=code, title="t", status="pass", value=value, method=method)

    counted = [result("MLN-R001", 2), *(result("MLN-D000", 0, n) for n in ("drifted_share", "missing", "schema"))]
    judged = [result("MLN-E006", 0.9, "roc_auc"), result("MLN-E001", 0.7, "average_precision")]
    with track("train", kind="train") as run:
        run.log(Report(kind="train", title="t", summary="s", results=(*counted, *judged)))
    assert runs()[0].words()[6] == "average_precision 0.7, roc_auc 0.9, drifted_share 0"
    assert runs()[0].metrics["MLN-R001"] == 2


def test_an_empty_selection_says_what_there_is(workspace):
    for kind in ("train", "monitor"):
        end_run(open_run("one", kind=kind), "FINISHED")
    none = repr(runs(kind="trian"))
    assert "No run is of kind 'trian'" in none and "Did you mean 'train'?" in none and "No runs" not in none
    assert "There are 'monitor', 'train'" in repr(runs(kind="foo")) and "foo" in runs(kind="foo")._repr_html_()
    failed = repr(runs(kind="train", failed=True))
    assert "No run of kind 'train' failed" in failed and "Next: mlnb runs --kind train" in failed
    assert "No run failed" in repr(runs(failed=True))


def test_wrong_references_and_options(workspace):
    assert "there are no runs yet" in str(said(runs, "show"))
    ids = [open_run("same") for _ in range(2)]
    for i, name in enumerate(("a'b", 'c"d')):
        ids.append(open_run(name))
        assert runs("show", name).meta["run"] == ids[-1], i
    assert runs("show", "same").meta["run"] == ids[1]
    assert "Did you mean 'same'" in str(said(runs, "show", "sme"))
    for wrong in ("a'b\"c", "%", "_", "zzzz", "../x", "' OR 1=1"):
        assert isinstance(said(runs, "show", wrong), DataError)
    for options in ({"limit": 0}, {"limit": 10**6}, {"limit": True}, {"kind": "a'b"}):
        assert isinstance(said(runs, **options), ArgumentError)
    assert isinstance(said(runs, "delete"), ArgumentError)
    assert isinstance(said(runs, "list", "same"), ArgumentError)
    api = client(workspace)
    prefix = "abcd"
    for tail in ("1", "2"):
        with sqlite3.connect(workspace.folder / "mlflow.db") as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("UPDATE runs SET run_uuid = ? WHERE run_uuid = ?", (prefix + tail * 28, ids.pop()))
    assert "several runs" in str(said(find_run, prefix, api, workspace))


def test_a_workspace_without_a_store_is_not_given_one_by_a_question(bare_workspace):
    assert len(runs()) == 0 and not (bare_workspace.folder / "mlflow.db").exists()


def test_buffer_keeps_threads_apart(workspace):
    run_id = open_run("threads")
    buffer = Buffer(client(workspace), run_id, workspace)
    threads = [
        threading.Thread(target=lambda k=k: [buffer.metric(f"m{k}", i, i) for i in range(200)]) for k in range(4)
    ]
    [t.start() for t in threads], [t.join() for t in threads]
    buffer.flush()
    assert [len(client(workspace).get_metric_history(run_id, f"m{k}")) for k in range(4)] == [200] * 4


# --- sources -----------------------------------------------------------------------------------------------------


def test_definitions_are_found_wherever_a_model_hides_them():
    class Deep:
        pass

    Deep.__module__, Deep.__qualname__ = "__main__", "Deep"
    holder = {"a": [(1, np.array([Deep(), None], dtype=object))]}
    assert sources.local_definitions(holder) == [Deep]
    assert sources.local_definitions(table()) == []


# --- cells, in a shell of this process ---------------------------------------------------------------------------

MINE = """
class Mine:
    def __init__(self, depth=1): self.depth = depth
    def get_params(self, deep=True): return {"depth": self.depth}
    def fit(self, X, y):
        self.mean = float(y.mean())
        return self
    def predict(self, X): return np.full(len(X), self.mean)
a = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 1.0, 1.0, 2.0]})
"""


@pytest.fixture
def shell(workspace, monkeypatch):
    """A shell with two tables; `shown` are the texts that it displays beside a cell's value."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.reset(new_session=False)
    shell.user_ns |= {"np": np, "pd": pd, "frame": pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [0, 1, 0, 1]})}
    shell.shown = []
    monkeypatch.setattr(cell, "_display", lambda thing: shell.shown.append(repr(thing)))
    return shell


def recorded(workspace, name="cell"):
    return find_run(name, client(workspace), workspace)


def test_a_cells_dict_keeps_its_numbers_and_names_the_rest(shell, workspace):
    source = """
    {"acc": 0.5, "fine": True, "f1": None, "label": "x", "mae": np.float32(0.25), "n": np.int64(3),
     "one": np.array(1.5), "ok": np.bool_(True), "p@1": 0.75, "p#1": 1, "acc (test)": 0.7,
     "a//b/": 2, "..": 3, "": 4, 5: 6, "huge": 10**400}
    """
    value = cell.track_cell(shell, "cell", textwrap.dedent(source))
    assert value["fine"] is True and len(value) == 16
    run = recorded(workspace)
    metrics = {name: v for name, v in run.data.metrics.items() if not name.startswith("mlnb.")}
    numbers = {"acc": 0.5, "mae": 0.25, "n": 3, "one": 1.5}
    assert metrics == numbers | {"p_1": 0.75, "p_1_": 1, "acc _test_": 0.7, "a/_/b/_": 2, "_": 3, "__": 4}
    [line] = shell.shown
    assert run.info.status == "FINISHED" and "FINISHED. Not recorded, being no numbers: 'fine', 'f1', 'label'" in line
    assert "'ok', 5, 'huge'. Recorded 'p@1' as 'p_1', 'p#1' as 'p_1_', 'acc (test)' as 'acc _test_'" in line
    assert line.endswith(f". Next: mlnb runs show {run.info.run_id[:8]}")
    with track("strict") as strict:
        for name in ("p@1", "a/", "a//b", ".", ""):
            assert isinstance(said(strict.metric, name, 1), ArgumentError), name


def test_a_model_is_stored_whatever_the_metrics_are_called(shell, workspace):
    shell.run_cell("from sklearn.linear_model import LogisticRegression")
    source = "model = LogisticRegression().fit(frame[['a']], frame.b)\n{'p@1': model.score(frame[['a']], frame.b)}"
    assert set(cell.track_cell(shell, "cell", source)) == {"p@1"}
    assert open_model("cell").predict(shell.user_ns["frame"][["a"]]).tolist() == [0, 0, 1, 1]
    [used] = recorded(workspace).inputs.dataset_inputs
    assert {tag.key: tag.value for tag in used.tags}["mlflow.data.context"] == "training"


@pytest.mark.parametrize("options", [{"data": "frmae"}, {"model": "mdl"}, {"data": "made", "target": "zz"}])
def test_a_wrong_option_seen_after_the_cell_loses_nothing(shell, workspace, options):
    shell.run_cell("from sklearn.linear_model import LogisticRegression")
    source = "made = frame.copy()\nmodel = LogisticRegression(C=2.0).fit(made[['a']], made.b)\n{'acc': 0.5}"
    error = said(cell.track_cell, shell, "cell", source, **options)
    assert isinstance(error, ArgumentError) and error.hint
    run = recorded(workspace)
    assert run.info.status == "FINISHED" and run.data.metrics["acc"] == 0.5 and run.data.params["C"] == "2.0"
    assert run.inputs.dataset_inputs and open_model("cell").C == 2.0
    assert shell.shown[1:] == ["{'acc': 0.5}"]


@pytest.mark.parametrize("options", [{"data": "notes"}, {"model": "frame"}, {"data": "frame", "target": "zz"}])
def test_a_wrong_option_that_the_cell_cannot_mend_is_refused_before_it_runs(shell, workspace, options):
    shell.user_ns["notes"] = "text"
    error = said(cell.track_cell, shell, "cell", "ran = frame.sum()", **options)
    assert isinstance(error, ArgumentError) and "ran" not in shell.user_ns and len(runs()) == 0


@pytest.mark.parametrize("source", ["frame['zz'] = 1", "%time frame = frame.assign(**{'z' * 2: 1})"])
def test_a_target_that_the_cell_makes_is_not_refused(shell, workspace, source):
    cell.track_cell(shell, "cell", source, data="frame", target="zz")
    [used] = recorded(workspace).inputs.dataset_inputs
    assert {tag.key: tag.value for tag in used.tags}["mlnb.target"] == "zz"


def test_what_cannot_be_recorded_becomes_a_note_and_a_store_that_fails_shows_the_value(shell, workspace, monkeypatch):
    whole = cell.Run.data
    monkeypatch.setattr(cell.Run, "data", lambda *_, **__: (_ for _ in ()).throw(TypeError("odd\ncells")))
    assert cell.track_cell(shell, "cell", "frame.sum()\n{'acc': 1.0}") == {"acc": 1.0}
    assert "FINISHED. Not recorded: table frame (TypeError: odd cells). Next" in shell.shown.pop()
    assert recorded(workspace).data.metrics["acc"] == 1
    monkeypatch.setattr(cell.Run, "data", whole)
    monkeypatch.setattr(cell.Run, "_store_models", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError):
        cell.track_cell(shell, "full", "{'acc': 1.0}")
    assert shell.shown == ["{'acc': 1.0}"] and recorded(workspace, "full").info.status == "FAILED"


@pytest.mark.parametrize("fit", ["mm = Mine(3).fit(a[['x']], a.y)", "mm = Mine(3)\nmm.fit(X=a[['x']], y=a.y)"])
def test_a_model_of_the_notebooks_own_class_is_found_in_both_spellings(shell, fit):
    shell.run_cell(MINE)
    reading = cell.read_cell(ast.parse(fit))
    shell.run_cell(fit)
    assert list(cell.estimators(reading, shell.user_ns)) == ["mm"]
    assert cell.hyperparameters(shell.user_ns["mm"]) == {"depth": 3}
    assert set(reading.trained_on) == {"a"}
    unfitted = cell.read_cell(ast.parse("other = Mine(2)"))
    shell.run_cell("other = Mine(2)")
    assert not cell.estimators(unfitted, shell.user_ns)
    shell.run_cell("other.mean_ = 1.0")
    assert list(cell.estimators(unfitted, shell.user_ns)) == ["other"]


def test_an_error_of_several_lines_is_told_in_one_with_its_type_first(shell, workspace):
    with pytest.raises(ValueError), track("block"):
        raise ValueError("boom\n  second line")
    with pytest.raises(ValueError):
        cell.track_cell(shell, "cell", "raise ValueError('boom\\nsecond line')")
    for name in ("block", "cell"):
        assert recorded(workspace, name).data.tags["mlnb.error"] == "ValueError: boom second line"
    with pytest.raises(ValueError), track("long"):
        raise ValueError("x\n" * 2000)
    tag = recorded(workspace, "long").data.tags["mlnb.error"]
    assert tag.startswith("ValueError: x x") and len(tag) == 500


# --- cells, in a real kernel -------------------------------------------------------------------------------------

CELLS = [
    """
    import matplotlib.pyplot as plt, pandas as pd, numpy as np
    from IPython import get_ipython
    from mlnb.tracking.cell import track_cell
    def cell(name, source, **options):
        __tracebackhide__ = True
        return track_cell(get_ipython(), name, source, **options)
    """,
    """
    cell("figures", '''
    fig, ax = plt.subplots(); ax.plot([1, 2]); ax.set_title("Rising")
    plt.show()
    fig, ax = plt.subplots(); ax.plot([2, 1]); ax.set_xlabel("weeks"); ax.set_ylabel("churn");
    rate: float = 0.5
    words = ["a", "b"]
    x = !echo shell
    %time y = 1
    {"share": rate, "n": np.int64(3)}
    ''', params=True, seed=11)
    """,
    """
    cell("fails", '''
    from sklearn.linear_model import LogisticRegression
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    def ratio(a):
        return a / 0
    ratio(1)
    ''')
    """,
    """
    cell("refused", '''
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [0, 1, 1]})
    model = make_pipeline(FunctionTransformer(lambda v: v), LogisticRegression()).fit(frame[["a"]], frame.b)
    {"accuracy": 1.0}
    ''')
    """,
    """cell("awaits", "import asyncio; await asyncio.sleep(0)")""",
    """cell("syntax", "1 +")""",
    """cell("unknown", "frame.head()", data="frme")""",
    """cell("target", "frame.head()", data="frame", target="bb")""",
    """cell("exits", "import sys; sys.exit(0)")""",
    """
    import math
    from sklearn.base import BaseEstimator, TransformerMixin
    LIMIT = 55.0

    def clipped(values: pd.DataFrame, high=LIMIT) -> pd.DataFrame:
        return np.minimum(values, high)

    class Base(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.mean_ = np.asarray(X).mean(axis=0)
            return self

    class Centre(Base):
        def __init__(self, power=1):
            self.power = power

        def transform(self, X):
            return clipped(np.asarray(X) - self.mean_) ** self.power * math.pi

    class Plain(LogisticRegression):
        "No method of its own, so no code that would know its cell."
    """,
    """
    cell("own classes", '''
    people = pd.DataFrame({"age": np.linspace(20, 60, 30), "visits": np.arange(30) % 7})
    old = (people.age > 40).astype(int)
    own = make_pipeline(FunctionTransformer(clipped), Centre(power=1), Plain(max_iter=50)).fit(people, old)
    {"accuracy": own.score(people, old)}
    ''')
    """,
    """np.save("answers.npy", own.predict_proba(people))""",
    """cell("quiet", "1 + 1;")""",
    MINE,
    """cell("no base", "mm = Mine(3).fit(a[['x']], a.y)\\n{'p@1': 0.5}")""",
]


def plain_text(output) -> str:
    return re.sub("\x1b\\[[0-9;]*m", "", "\n".join(output.traceback))


def test_cells_in_a_kernel(workspace, tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(c).strip()) for c in CELLS])
    NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        allow_errors=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    cells = notebook.cells
    errors = [[o for o in c.outputs if o.output_type == "error"] for c in cells]
    assert [len(e) for e in errors] == [0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0], [
        o.get("text") for c in cells for o in c.outputs
    ]
    names = [e[0].ename if e else "" for e in errors]
    assert names[2:9] == [
        "ZeroDivisionError",
        "RefusedError",
        "ArgumentError",
        "SyntaxError",
        "ArgumentError",
        "ArgumentError",
        "SystemExit",
    ]
    trace = plain_text(errors[2][0])
    assert trace.count("ZeroDivisionError") == 2 and "----> 5     return a / 0" in trace and "mlnb" not in trace
    assert "Cell In[3], line 6" in trace
    assert [len(errors[i][0].traceback) for i in (3, 4, 6, 7)] == [1, 1, 1, 1]
    assert not [o for c in cells for o in c.outputs if o.output_type == "stream" and o.name == "stderr"][1:]
    recorded = {row.name: row for row in runs()}
    states = {name: row.status for name, row in recorded.items()}
    assert states == {
        "figures": "FINISHED",
        "fails": "FAILED",
        "refused": "FAILED",
        "unknown": "FINISHED",  # the cell worked; what could not be recorded is said
        "exits": "FAILED",
        "own classes": "FINISHED",
        "quiet": "FINISHED",
        "no base": "FINISHED",
    }
    api = client(workspace)
    plain = api.get_run(recorded["no base"].run_id)
    assert plain.data.params == {"depth": "3"} and plain.data.metrics["p_1"] == 0.5 and plain.outputs.model_outputs
    figures = api.get_run(recorded["figures"].run_id)
    assert (
        figures.data.metrics["share"] == 0.5
        and figures.data.metrics["n"] == 3
        and figures.data.tags["mlnb.seed"] == "11"
    )
    assert figures.data.params == {"rate": "0.5", "words": "['a', 'b']"}
    kept = sorted(item.path for item in api.list_artifacts(figures.info.run_id, "figures"))
    assert len(kept) == 2, kept
    failed = recorded["fails"].run_id
    text = Path(api.download_artifacts(failed, "error/traceback.txt")).read_text()
    assert "return a / 0" in text and "tracking" not in text
    assert not api.get_run(failed).outputs.model_outputs
    refused = api.get_run(recorded["refused"].run_id)
    assert (
        refused.data.metrics["accuracy"] == 1
        and refused.inputs.dataset_inputs
        and "lambda" in refused.data.tags["mlnb.error"]
    )
    assert any(o.output_type == "display_data" and "accuracy" in o.data.get("text/plain", "") for o in cells[3].outputs)
    own = api.get_run(recorded["own classes"].run_id)
    assert own.data.params["centre__power"] == "1" and own.data.metrics["accuracy"] > 0.9
    code = f"""
        import warnings
        import numpy as np, pandas as pd, sklearn.pipeline, skops.io
        from mlnb.tracking.models import open_model
        from mlnb.tracking.run import track
        from mlnb.tracking.store import client
        client()
        warnings.simplefilter("error")
        model = open_model("own classes")
        people = pd.DataFrame({{"age": np.linspace(20, 60, 30), "visits": np.arange(30) % 7}})
        assert np.array_equal(model.predict_proba(people), np.load({str(tmp_path / "answers.npy")!r}))
        warnings.simplefilter("default")
        with track("once more") as run:
            run.model(model, example=people)
        print(open_model("once more").named_steps["centre"].power)
    """
    fresh = python(code, workspace, cwd="/")
    assert (fresh.returncode, fresh.out, fresh.err) == (0, "1\n", "")
