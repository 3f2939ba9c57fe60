"""A window of 10,000 rows against a reference of 3 million that was prepared once: milliseconds a column.

With p is the same and the p-value of KS; PSI comes from the counts of the reference's deciles.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from benchmarks.drift.measuring import Row, column

REFERENCE, WINDOW = 3_000_000, 10_000
SHAPES = {"normal": 0, "lognormal": 5, "whole numbers": 10, "two decimals": 15}


def _psi(cut: np.ndarray, missing: tuple[int, int]) -> float:
    """PSI of counts in bins, the missing values in one of their own."""
    cells = np.column_stack([cut, missing])
    shares = np.maximum(cells / cells.sum(axis=1, keepdims=True), 1e-4)
    p, q = shares / shares.sum(axis=1, keepdims=True)
    return float(np.sum((q - p) * np.log(q / p)))


def one_window(reference: Any, values: np.ndarray, with_p: bool) -> tuple[float, float, float]:
    """KS (or its p-value), PSI and W1 of one window."""
    from mlnb.drifting.exact import solve
    from mlnb.drifting.pvalues import ks_pvalue
    from mlnb.drifting.sides import ArraySide

    found = solve(reference, ArraySide(values))
    ks = ks_pvalue(found.reach, found.n, found.m) if with_p else found.ks
    return ks, _psi(found.cut, (found.missing_reference, found.missing_current)), found.wasserstein


def main(quick: bool = False) -> list[Row]:
    """Time many windows of four shapes; check one of each against the statistics on the raw values."""
    try:
        from mlnb.drifting.exact import Prepared
    except ImportError:
        return [Row("a window against a prepared reference", None, note="there is no prepared reference yet")]
    from mlnb.drifting import stats

    rows_reference, repeats = (200_000, 15) if quick else (REFERENCE, 41)
    rows = []
    for shape, place in SHAPES.items():
        raw = column(place, rows_reference, 1)
        began = time.process_time()
        reference = Prepared(raw)
        prepared = time.process_time() - began
        windows = [column(place, WINDOW, 10 + i, moved=True) for i in range(repeats)]
        ks, psi, distance = one_window(reference, windows[0], False)
        checks = stats.ks(raw, windows[0]).statistic, stats.psi(raw, windows[0]).statistic
        right = ks == checks[0] and abs(psi - checks[1]) < 1e-12
        right &= abs(distance / stats.wasserstein(raw, windows[0]).statistic - 1) < 1e-10
        for with_p, goal in ((False, 1.0), (True, 2.0)):
            one_window(reference, windows[0], with_p)
            times = []
            for window in windows:
                fresh = window.copy()
                began = time.process_time()
                one_window(reference, fresh, with_p)
                times.append(time.process_time() - began)
            took = 1e3 * statistics.median(times)
            what = f"window of 10,000 against {rows_reference:,}, {shape}{', with p' if with_p else ''}"
            note = f"prepared in {prepared:.2f} s" + ("" if right else "; NOT the number of the raw values")
            rows.append(
                Row(what, took, unit="ms a column", goal=f"< {goal:g} ms", holds=took < goal and right, note=note)
            )
    return rows
