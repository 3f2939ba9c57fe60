"""Reports for the tests of what a report looks like: New York's flights, winter against July, and every state once."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from mlnb.core.result import Chart, Report, Result, Table
from mlnb.data.flights import flights
from mlnb.drifting.engine import drift

LONG = "_measured_at_the_destination_airport_mean_of_the_last_24_hours"


@cache
def flights_sample() -> tuple[pd.DataFrame, pd.DataFrame]:
    winter, july = (flights(w).drop(columns=["time_hour", "late"]).sample(4000, random_state=0) for w in ("", "july"))
    return winter, july


def _widened(frame: pd.DataFrame, columns: int, poor: int) -> pd.DataFrame:
    """Many columns of few: the last `poor` are categorical or mostly missing; each third has a long name."""
    numbers = list(frame.select_dtypes("number"))
    texts = [c for c in frame if c not in numbers]
    rare = np.arange(len(frame)) % 40 == 0
    made = {}
    for i in range(columns):
        late = i - (columns - poor)
        name = texts[late % len(texts)] if late >= 0 else numbers[i % len(numbers)]
        column = frame[name].where(rare) if late % 3 == 1 and late >= 0 else frame[name]
        made[f"{name}_{i}" + (LONG if i % 3 == 0 or late >= 0 else "")] = column
    return pd.DataFrame(made)


@cache
def drift_report(columns: int = 12, poor: int = 0) -> Report:
    """Winter against July on the first 12 columns, or on as many as are asked for."""
    winter, july = flights_sample()
    if columns != 12:
        winter, july = (_widened(frame, columns, poor) for frame in (winter, july))
    found = drift(winter.iloc[:, :columns], july.iloc[:, :columns])
    changes = Table(
        title="New and lost categories",
        columns=["column", "new", "lost", "share"],
        rows=[["carrier", None, "AS", 0.0121], ["dest", "ANC, EYW", None, 0.0013]],
        note="Share of the rows of July",
    )
    return found.model_copy(update={"title": "Drift: January–March → July", "tables": (changes,)})


def evaluation_report() -> Report:
    """A classifier on July: metrics with intervals, slices, calibration, one of each state."""

    def metric(
        code: str, title: str, value: float | None, interval: tuple | None, status: str, **more: object
    ) -> Result:
        method = title.lower().replace(" ", "_")
        return Result(
            code=code, title=title, value=value, interval=interval, status=status, method=method, n=12_000, **more
        )

    results = [
        metric("MLN-E001", "ROC-AUC", 0.7331, (0.7211, 0.7452), "pass", threshold=0.7, evidence={"baseline": 0.5}),
        metric("MLN-E002", "Average precision", 0.4123, (0.39, 0.433), "warn", threshold=0.42, advice="Compare slices"),
        metric("MLN-E003", "Brier score", 0.1501, (0.146, 0.154), "skipped"),
        metric("MLN-E004", "Calibration error", 0.1121, (0.102, 0.123), "fail", threshold=0.1, advice="Recalibrate"),
        metric("MLN-E005", "Sign-off", None, None, "todo", advice="Ask the owner"),
        metric("MLN-E006", "Fairness", None, None, "error", advice="no column 'sex'"),
        metric("MLN-E007", "R²", None, None, "not_applicable", advice="for regression only"),
    ]
    for name in ("carrier=UA", "carrier=EV", "origin=EWR", "origin=JFK"):
        few = name == "carrier=EV"
        results += [
            Result(
                code="MLN-E001",
                title="ROC-AUC",
                subject=name,
                status="warn" if few else "pass",
                value=0.69 if few else 0.72,
                threshold=0.7,
                method="roc_auc",
                advice="Few positives" if few else "",
            ),
            Result(
                code="MLN-E003",
                title="Brier score",
                subject=name,
                status="skipped",
                value=0.15,
                unit="points",
                method="brier",
            ),
        ]
    predicted, observed = [0.04, 0.13, 0.24, 0.35, 0.46, 0.58], [0.07, 0.21, 0.33, 0.47, 0.55, 0.69]
    charts = [
        Chart(
            kind="calibration",
            title="Calibration",
            data={
                "predicted": predicted,
                "observed": observed,
                "low": [v - 0.03 for v in observed],
                "high": [v + 0.03 for v in observed],
                "counts": [9000, 6100, 3200, 1500, 600, 90],
            },
        ),
        Chart(
            kind="heatmap",
            title="Confusion at 0.5",
            data={
                "matrix": [[15210, 1204], [1830, 1322]],
                "rows": ["was on time", "was late"],
                "columns": ["said on time", "said late"],
            },
        ),
        Chart(
            kind="bars", title="Against the baseline", data={"labels": ["ROC-AUC"], "values": [0.733], "baseline": 0.5}
        ),
        Chart(
            kind="lines", title="By week", data={"series": {"ROC-AUC": [0.74, 0.73, None, 0.72]}, "x": [27, 28, 29, 30]}
        ),
        Chart(kind="sparkline", title="History", data={"values": [0.76, 0.75, 0.74]}),
    ]
    return Report(
        kind="evaluation",
        title="Late flights, July",
        summary="ROC-AUC 0.733 [0.721, 0.745]; calibration fails",
        results=results,
        charts=charts,
        meta={"task": "classification", "reason": "the target has two values"},
    )
