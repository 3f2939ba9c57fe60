"""The templates on other people's tables: by `mlnb run` in a process of its own, and by plain papermill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlnb
import mlnb.governance.evidence
from mlnb.core.assets import templates
from mlnb.core.checks import check
from mlnb.core.result import Report
from mlnb.tracking.snapshot import snapshot


def mlnb_run(*argv: str, wait: bool = True):
    process = subprocess.Popen(
        [sys.executable, "-m", "mlnb", "run", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if not wait:
        return process
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def report_of(row) -> Report:
    return mlnb.runs("show", row.run_id)


def metric(report: Report, name: str) -> float:
    return next(r.value for r in report.results if r.code in ("MLN-E001", "MLN-E006") and r.method == name)


def test_adult(bare_workspace, adult_path):
    code, out, err = mlnb_run("train", "-p", f"data={adult_path}", "-p", "target=income-per-year")
    assert (code, err) == (0, ""), out
    [row] = mlnb.runs()
    assert row.status == "FINISHED"
    assert metric(report_of(row), "roc_auc") >= 0.90


def test_bike_by_time_and_its_leak(bare_workspace, bike, bike_path):
    base = ["train", "-p", f"data={bike_path}", "-p", "target=cnt", "-p", "time=dteday"]
    runs = [mlnb_run(*base, "-p", "drop=casual,registered", wait=False), mlnb_run(*base, wait=False)]
    for process in runs:
        _, err = process.communicate(timeout=300)
        assert process.returncode in (0, 1) and err == ""
    by_drop = {row.params["drop"]: report_of(row) for row in mlnb.runs()}
    clean, leaky = by_drop["['casual', 'registered']"], by_drop["[]"]
    assert [r.subject for r in leaky.results if r.code == "MLN-L004" and r.status == "warn"] == ["casual + registered"]
    assert not [r for r in clean.results if r.code == "MLN-L004" and r.status == "warn"]
    cut = clean.meta["parts"]["train"]["split"]["cut"][:10]
    past, later = bike[bike["dteday"] < cut], bike[bike["dteday"] >= cut]
    same_hour = later["hr"].map(past.groupby("hr")["cnt"].mean())
    assert metric(clean, "mae") < (later["cnt"] - same_hour).abs().mean()


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_small_tables_of_scikit_learn(name, bare_workspace):
    from sklearn import datasets

    getattr(datasets, f"load_{name}")(as_frame=True).frame.to_csv("table.csv", index=False)
    code, out, err = mlnb_run("train", "-p", "data=table.csv", "-p", "target=target")
    assert (code, err) == (0, ""), out


@pytest.fixture
def messy(bare_workspace):
    """Dates, free text, ids, missing targets, a constant, an empty column, and numbers that are text here and there."""
    rng = np.random.default_rng(1)
    rows = 600
    spend = rng.gamma(2, 40, rows)
    words = np.array(["late parcel", "wrong size", "great service", "refund please", "will come back", "never again"])
    frame = pd.DataFrame(
        {
            "customer_id": [f"C{i:06d}" for i in rng.permutation(rows)],
            "joined": pd.date_range("2023-01-01", periods=rows, freq="D").strftime("%d/%m/%Y"),
            "spend": spend,
            "visits": rng.poisson(4, rows).astype(object),
            "remark": [" ".join(rng.choice(words, 4)) + f" order {rng.integers(1e6)}" for _ in range(rows)],
            "plan": rng.choice(["basic", "plus", None], rows),
            "country": "AT",
            "fax": np.nan,
            "stayed": np.where(
                rng.random(rows) < 0.05, None, np.where(spend + rng.normal(0, 30, rows) > 70, "yes", "no")
            ),
        }
    )
    frame.loc[5, "visits"] = "many"
    frame.to_csv("messy.csv", index=False)
    return frame


def test_a_messy_file_of_ones_own(messy):
    code, out, err = mlnb_run("train", "-p", "data=messy.csv", "-p", "target=stayed")
    assert code in (0, 1) and err == "", out
    [row] = mlnb.runs()
    report = report_of(row)
    roles = {r[0]: r[1] for t in report.tables if t.title == "Columns" for r in t.rows}
    assert roles["customer_id"] == "id" and roles["joined"] == "date" and roles["remark"] == "text"
    assert (
        roles["country"] == "constant"
        and roles["fax"] not in ("numeric", "categorical")
        and roles["spend"] == "numeric"
    )
    assert next(r.value for r in report.results if r.code == "MLN-R004") == messy["stayed"].isna().sum()


def test_four_runs_started_together_in_a_fresh_workspace(bare_workspace):
    from sklearn.datasets import load_wine

    load_wine(as_frame=True).frame.to_csv("wine.csv", index=False)
    assert not (bare_workspace.folder / "mlflow.db").exists()
    together = [
        mlnb_run("train", "-p", "data=wine.csv", "-p", "target=target", "-p", f"seed={i}", wait=False) for i in range(4)
    ]
    for process in together:
        out, err = process.communicate(timeout=600)
        assert (process.returncode, err) == (0, ""), out
    rows = mlnb.runs()
    assert sorted(row.params["seed"] for row in rows) == list("0123")
    for row in rows:
        assert row.status == "FINISHED" and row.report in ("pass", "warn") and report_of(row).kind == "train"
    kept = list(bare_workspace.runs.iterdir())
    assert len(kept) == 4 and all((f / "notebook.ipynb").is_file() and (f / "report.html").is_file() for f in kept)


@pytest.mark.parametrize("name", ["train", "evaluate", "monitor", "model_card", "refactor"])
def test_plain_papermill_runs_each_template_bare(name, bare_workspace):
    """Without a runner, an engine or a model of one's own; in an empty workspace the demo's model serves."""
    argv = [sys.executable, "-m", "papermill", str(templates()[name]), "out.ipynb", "--no-progress-bar"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    [row] = mlnb.runs(kind=name)
    assert row.status == "FINISHED" and report_of(row).results
    assert len(mlnb.runs()) == (2 if name == "model_card" else 1)  # a card needs a recorded model: it trains one first
    cells = [c for c in json.loads(Path("out.ipynb").read_text())["cells"] if c["cell_type"] == "code"]
    assert "text/html" in cells[-1]["outputs"][-1]["data"]


def test_plain_papermill_refuses_what_the_template_does_not_declare(bare_workspace):
    for given, said in ((["-p", "sed", "3"], "no parameter 'sed'"), (["-p", "seed", "three"], "seed")):
        argv = [sys.executable, "-m", "papermill", str(templates()["train"]), "out.ipynb", *given, "--no-progress-bar"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        assert done.returncode != 0 and said in done.stderr and "ArgumentError" in done.stderr
    assert not list(mlnb.runs())


def test_a_new_window_and_a_changed_reference(messy):
    """Evaluate and monitor on a user's own model and files; a training file that was changed is noticed."""
    assert mlnb_run("train", "-p", "data=messy.csv", "-p", "target=stayed")[0] in (0, 1)
    code, _, err = mlnb_run("monitor")
    assert code == 3 and "no new data is named" in err + _
    odd = messy.drop(columns=["plan", "country"]).assign(joined="not a date", region="north")
    odd.to_csv("odd.csv", index=False)
    code, out, err = mlnb_run("monitor", "-p", "data=odd.csv")
    assert (code, err) == (1, "") and "lost: plan" in out and "added: region" in out and "lacks 'plan'" in out
    [row] = mlnb.runs(limit=1)
    found = {(r.code, r.subject): r.status for r in report_of(row).results}
    assert (
        found["MLN-D010", "plan"] == "fail"
        and found["MLN-D010", "region"] == "warn"
        and found["MLN-M002", None] == "fail"
    )
    assert ("MLN-D001", "spend") in found and found["MLN-D004", "joined"] == "fail"
    moved = messy.drop(columns="stayed").assign(spend=messy["spend"] + 200)
    moved.to_csv("may.csv", index=False)
    code, out, err = mlnb_run("monitor", "-p", "data=may.csv")
    assert code == 1 and "spend" in out and "not known yet" in out, err
    messy.head(500).to_csv("messy.csv", index=False)
    code, out, _ = mlnb_run("monitor", "-p", "data=may.csv", "-p", "columns=visits,plan")
    assert code == 1 and "has changed since training" in out

    seen = snapshot()
    record = seen.record("latest")
    assert [run.status for run in record.monitors] == ["FINISHED"] * 3 + ["FAILED"] and record.evaluations == ()
    assert {(run.model, run.model_run) for run in record.monitors} == {(record.model.id, record.run.id)}
    for kind in ("monitor", "evaluate"):
        code, out, err = mlnb_run(kind, "-p", f"model={record.run.id}", "-p", "data=none.csv")
        assert code == 3 and "none.csv" in out + err
    record = snapshot().record("latest")
    broken = (record.monitors[0], record.evaluations[0])
    assert [(run.status, run.model) for run in broken] == [("FAILED", record.model.id)] * 2
    said = {code: check(code, record).results[0] for code in ("MLN-G101", "MLN-G103")}
    assert said["MLN-G101"].status == "fail" and "evaluation did not finish" in said["MLN-G101"].advice
    assert said["MLN-G103"].status != "pass" and "last look broke" in said["MLN-G103"].advice


@pytest.fixture(autouse=True)
def quiet_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
