"""Records for the boards that no store is needed for: runs with reports in memory, as many and as odd as one likes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlnb.core.result import Chart, Report, Result
from mlnb.core.settings import load_settings
from mlnb.core.workspace import Workspace
from mlnb.tracking.snapshot import Snapshot
from mlnb.tracking.stored import DataFacts, ModelFacts, RunFacts
from mlnb.ui.boards import Known, current_models

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLACE = Workspace(Path("/nowhere/demo"), load_settings())


def identity(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def run_of(name, kind="monitor", report=None, *, at=0, model_run="", status="FINISHED", tags=None, params=None):
    """A run, and the report that it would have stored."""
    told = {"mlnb.status": str(report.status)} if report else {}
    told |= {"mlnb.model_run": model_run} if model_run else {}
    run = RunFacts(
        id=identity(f"{name} {at}"),
        name=name,
        kind=kind,
        status=status,
        started=NOON + timedelta(hours=at),
        ended=NOON + timedelta(hours=at, minutes=1),
        user="ada",
        params=params or {},
        metrics={"log_loss": 0.4},
        tags={**told, **(tags or {})},
        artifacts=None,
        data=(DataFacts(name, "monitoring", "abc", "", 3, "data.csv"),),
        workspace=PLACE,
    )
    run._kept["report/report.json"] = report
    return run


def model_of(run):
    model_id = f"m-{run.id}"
    return ModelFacts(
        id=model_id,
        name="model",
        run_id=run.id,
        estimator="Pipeline",
        created=run.started,
        tags={},
        params={},
        artifacts=None,
    )


def known_of(runs, models, records=None):
    """What a board shows, of these runs and models; newest first."""
    runs = tuple(sorted(runs, key=lambda run: run.started, reverse=True))
    taken = Snapshot(
        NOON + timedelta(days=2), PLACE, runs, tuple(sorted(models, key=lambda m: m.created, reverse=True))
    )
    return Known(taken, PLACE, tuple(records if records is not None else current_models(taken)))


def metric(value, status="pass", code="MLN-E001"):
    ends = (value - 0.01, value + 0.01)
    told = {"title": "Log loss", "n": 900, "method": "log_loss"}
    return Result(code=code, status=status, value=value, interval=ends, **told)


def drifted(column, value, status):
    return Result(
        code="MLN-D001",
        title="Kolmogorov–Smirnov distance",
        subject=column,
        status=status,
        value=value,
        threshold=0.2 if status == "fail" else 0.1,
        method="ks",
        advice="Find out upstream what changed" if status == "fail" else "",
    )


def window_report(data, columns, *, extra=(), summary="Some columns drifted"):
    """A report of monitoring: column → (value, state)."""
    results = [drifted(name, value, status) for name, (value, status) in columns.items()]
    pictures = [
        Chart(
            kind="histogram_pair",
            title=name,
            subject=name,
            data={"reference": [1, 2, 3, 4] * 5, "current": [4, 3, 2, 1] * 5, "labels": list(range(21))},
        )
        for name in columns
    ]
    told = {"kind": "monitor", "title": f"Monitor: {data}", "summary": summary, "meta": {"data": data}}
    return Report(results=(*results, *extra), charts=tuple(pictures), **told)


def trained(name="Train", at=0, value=0.37):
    """A training run with its model."""
    run = run_of(name, "train", Report(kind="train", title="Training", results=(metric(value),)), at=at)
    return run, model_of(run)
