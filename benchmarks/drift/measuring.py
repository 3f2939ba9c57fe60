"""What all benchmarks of drift share: frames, clocks, and the table that they fill."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """A line of the table: what we need, what they need, and how often ours goes into theirs."""

    what: str
    ours: float | None
    theirs: float | None = None
    unit: str = "s CPU"
    goal: str = ""  # as it is written in the table
    holds: bool | None = None  # whether the goal is reached; None where there is none
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Theirs over ours."""
        return self.theirs / self.ours if self.ours and self.theirs else None


def machine() -> str:
    """CPU, cores, load, NumPy and what it dispatches to, in three lines."""
    from numpy._core._multiarray_umath import __cpu_features__ as features

    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    wide = [
        name
        for name in ("AVX2", "AVX512F", "AVX512_SKX", "AVX512_ICL", "AVX512_SPR", "NEON", "SVE")
        if features.get(name)
    ]
    switched = os.environ.get("NPY_DISABLE_CPU_FEATURES", "nothing")
    threads = os.environ.get("NUMBA_NUM_THREADS", "all")
    return (
        f"{model}, {cores} cores, load {load}; Python {platform.python_version()}\n"
        f"NumPy {np.__version__}, found {' '.join(wide) or 'no wide instructions'}, switched off: {switched}\n"
        f"NUMBA_NUM_THREADS {threads}, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}"
    )


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    t = os.times()  # counts hundredths of a second: enough for children, not for us
    return time.process_time() + t.children_user + t.children_system


def median_of(work: Callable[[Any], Any], make: Callable[[int], Any], repeats: int) -> tuple[float, float]:
    """Medians of CPU and of wall seconds; every repetition works on fresh arrays, which are made outside the clock."""
    times, walls = [], []
    for repeat in range(repeats):
        data = make(repeat)
        began, at = cpu(), time.perf_counter()
        work(data)
        times.append(cpu() - began)
        walls.append(time.perf_counter() - at)
        del data
    return statistics.median(times), statistics.median(walls)


def column(place: int, rows: int, seed: int, moved: bool = False, own: bool = False) -> np.ndarray:
    """A column as they occur: of every five one of strings; else normal, lognormal, whole numbers or two decimals,
    two in a hundred values missing. Where `moved`, every fifth one has drifted. Equal strings are one object, as
    readers of files make them; where `own`, each is an object of its own."""
    rng = np.random.default_rng([place, rows, seed])
    moved = moved and place % 5 == 0
    if place % 5 == 4:
        kind = place // 5
        levels = 5 + 13 * (kind % 16)
        weights = 1.0 / np.arange(1, levels + 1) ** (1.15 if moved else 1.0)
        codes = np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(rows)).clip(0, levels - 1)
        names = np.array([f"level_{kind}_{i:03d}" for i in range(levels)])
        return names[codes].astype(object) if own else names.astype(object)[codes]
    x = rng.standard_normal(rows)
    if moved:
        x += 0.2
    shape = (place // 5 + place % 5) % 4
    if shape == 1:
        np.exp(x, out=x)
    elif shape == 2:
        x = np.rint(20 + 4.5 * x)
    elif shape == 3:
        x = np.round(60 * np.exp(0.6 * x), 2)
    x[rng.random(rows) < 0.02] = np.nan
    return x


def frame(rows: int, columns: int, seed: int, moved: bool = False, own: bool = False) -> Any:
    """A frame of such columns."""
    import pandas as pd

    return pd.DataFrame({f"c{i:04d}": column(i, rows, seed, moved, own) for i in range(columns)}, copy=False)


def pair(rows: int, columns: int, seed: int, own: bool = False) -> tuple[Any, Any]:
    """Reference and current data, never the same arrays twice."""
    return frame(rows, columns, 2 * seed, own=own), frame(rows, columns, 2 * seed + 1, moved=True, own=own)


def table(rows: list[Row]) -> str:
    """The lines under each other."""
    head = ("", "ours", "theirs", "", "ratio", "goal", "")
    cells = [head] + [
        (
            row.what,
            _number(row.ours),
            _number(row.theirs),
            row.unit,
            "" if row.ratio is None else f"{row.ratio:,.1f}×",
            row.goal,
            {None: "", True: "holds", False: "MISSED"}[row.holds] + (f"  {row.note}" if row.note else ""),
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(6)]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i in (0, 3) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=False))
        )
        + "  "
        + line[6]
        for line in cells
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"
