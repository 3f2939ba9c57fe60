"""The whole call, with its page of HTML, against Evidently's preset and against a loop of SciPy's functions.

Evidently runs `DataDriftPreset` as it comes and renders nothing; SciPy runs `ks_2samp` and `wasserstein_distance` of
the columns of numbers alone. Ours does all columns and all its methods, and renders. At a million rows the others are
measured on ten of the fifty columns, strings in proportion, and taken times five, unless `--full`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from benchmarks.drift.measuring import Row, median_of, pair

# rows, columns, repetitions (ours, theirs), columns that the others are measured on, goals (Evidently, SciPy)
SIZES = [
    (10_000, 20, 7, 3, 20, ("30×", 30), None),
    (100_000, 12, 5, 2, 12, ("100×", 100), None),
    (1_000_000, 50, 3, 1, 10, ("120×, aim 200×", 120), ("20×, aim 30×", 20)),
]
QUICK = [(10_000, 20, 3, 1, 10, ("30×", 30), None), (50_000, 10, 2, 1, 5, None, None)]

FIRST = """
import json, sys, time
sys.path[:0] = {path!r}
from benchmarks.drift.measuring import cpu, pair
sides = [pair({rows}, 10, seed) for seed in range(4)]
import pandas, pyarrow, numpy
took = []
for here, there in sides:
    at, began = time.perf_counter(), cpu()
    import mlnb
    mlnb.drift(here, there).to_html()
    took.append((cpu() - began, time.perf_counter() - at))
print(json.dumps(took))
"""


def ours(data: tuple[Any, Any]) -> int:
    """The whole call with its HTML."""
    import mlnb

    report = mlnb.drift(*data)
    judged = {r.subject for r in report.results if r.subject and r.status in ("pass", "warn", "fail")}
    if len(judged) < len(data[0].columns):
        raise SystemExit(f"{len(data[0].columns) - len(judged)} columns are not judged: there is nothing to time")
    return len(report.to_html())


def evidently(data: tuple[Any, Any]) -> Any:
    """Their preset, with its defaults."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Report([DataDriftPreset()]).run(data[1], data[0])


def scipy_loop(data: tuple[Any, Any]) -> list[float]:
    """KS and Wasserstein of each column of numbers."""
    from scipy.stats import ks_2samp, wasserstein_distance

    found = []
    for name in data[0].select_dtypes("number"):
        r, c = (side[name].dropna().to_numpy() for side in data)
        found += [ks_2samp(r, c).statistic, wasserstein_distance(r, c)]
    return found


def first_call(rows: int) -> tuple[float, float]:
    """What the first call of a fresh process costs beyond the later ones: CPU and wall seconds, caches warm."""
    code = FIRST.format(path=[*sys.path[:1], str(Path.cwd())], rows=rows)
    for _ in range(2):  # the first process may have to fill the cache
        said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    took = json.loads(said.splitlines()[-1])
    later = [min(t[i] for t in took[1:]) for i in (0, 1)]
    return took[0][0] - later[0], took[0][1] - later[1]


def judged(what: str, took: float, theirs: float, goal: tuple[str, int] | None, note: str) -> Row:
    """A line of the table, with its goal where it has one."""
    said, least = goal or ("", None)
    return Row(what, took, theirs, goal=said, holds=None if least is None else theirs / took >= least, note=note)


def main(quick: bool = False, full: bool = False) -> list[Row]:
    """Measure, and return the lines of the table."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    ours(pair(200, 5, 99))  # imports
    evidently(pair(200, 5, 99))
    scipy_loop(pair(200, 5, 99))
    rows = []
    for n, columns, mine, other, part, goal, scipy_goal in QUICK if quick else SIZES:
        part = columns if full else part
        times = columns / part
        note = "" if part == columns else f"theirs on {part} of the columns, × {times:g}"
        size = f"{n:,} × {columns}"
        took, wall = median_of(ours, lambda seed, n=n, k=columns: pair(n, k, seed), mine)
        theirs, their_wall = median_of(evidently, lambda seed, n=n, k=part: pair(n, k, 100 + seed), other)
        loop, _ = median_of(scipy_loop, lambda seed, n=n, k=part: pair(n, k, 200 + seed), other)
        rows += [
            judged(f"Evidently's preset, {size}", took, theirs * times, goal, note),
            Row("  the same, wall clock", wall, their_wall * times, unit="s wall"),
            judged(f"SciPy's KS and W1, {size}", took, loop * times, scipy_goal, note),
        ]
    n, columns, times = (50_000, 5, 1) if quick else (1_000_000, 10, 3)
    took, _ = median_of(ours, lambda seed: pair(n, columns, 300 + seed, own=True), times)
    theirs, _ = median_of(evidently, lambda seed: pair(n, columns, 400 + seed, own=True), 1)
    rows.append(Row(f"Evidently's preset, {n:,} × {columns}, every string an object of its own", took, theirs))
    for n in (10_000,) if quick else (10_000, 200_000):
        extra, wall = first_call(n)
        rows.append(
            Row(
                f"first call of a process, beyond later ones, {n:,} × 10",
                extra,
                goal="< 2 s",
                holds=extra < 2,
                note=f"{wall:.2f} s wall",
            )
        )
    return rows
