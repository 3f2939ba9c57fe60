"""What a profile costs and what it proves: bytes, certified widths, merging a year, the way to disk and back.

The widths are those of 300,000 against 300,000 rows, for each number of bins the widest over shifts of 0, 0.1, 0.3 and
0.5 standard deviations; the exact distance is checked to lie inside.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift.measuring import Row

ROWS, DAYS, COLUMNS, DAILY = 300_000, 400, 100, 10_000
SHIFTS = (0.0, 0.1, 0.3, 0.5)


def shapes(rng: np.random.Generator, rows: int, shift: float) -> dict[str, np.ndarray]:
    """Columns of the usual shapes, moved by so many standard deviations."""
    return {
        "normal": rng.normal(shift, 1, rows),
        "lognormal": np.exp(rng.normal(shift, 1, rows)),
        "Poisson": rng.poisson(20 + 4.47 * shift, rows),
        "2 decimals": np.round(rng.normal(shift, 1, rows), 2),
        "60 % zeros": np.where(rng.random(rows) < 0.6, 0.0, np.exp(rng.normal(shift, 1, rows))),
    }


def widths(rows: int) -> dict[tuple[int, str], tuple[int, float, float]]:
    """Bytes, widest interval of KS, and widest relative one of W1 where there is a shift, by bins and shape."""
    from mlnb.data.profile import Profile
    from mlnb.drifting import bounds, stats
    from mlnb.drifting.profiling import profile

    rng = np.random.default_rng(1)
    before, after = shapes(rng, rows, 0.0), {by: shapes(rng, rows, by) for by in SHIFTS}
    truths = {
        (name, by): (stats.ks(before[name], values).statistic, stats.wasserstein(before[name], values).statistic)
        for by, columns in after.items()
        for name, values in columns.items()
    }
    found = {}
    for bins in (512, 1024, 2048, 4096, 8192):
        reference = profile(before, bins=bins)
        current = {by: profile(columns, like=reference) for by, columns in after.items()}
        for name in before:
            size = len(Profile({name: reference[name]}, rows).to_json())
            widest = [0.0, 0.0]
            for by in SHIFTS:
                ks, w1 = (of(reference[name], current[by][name]) for of in (bounds.ks, bounds.wasserstein))
                exact = truths[name, by]
                if not (ks.low <= exact[0] <= ks.high and w1.low * (1 - 1e-9) <= exact[1] <= w1.high * (1 + 1e-9)):
                    raise AssertionError(f"{name}, {bins} bins, shift {by}: {exact} not in {ks}, {w1}")
                widest = [max(widest[0], ks.width), max(widest[1], w1.width / exact[1] if by else 0.0)]
            found[bins, name] = size, widest[0], widest[1]
    return found


def printed(found: dict[tuple[int, str], tuple[int, float, float]]) -> str:
    """The widths as a table."""
    names = list(dict.fromkeys(name for _, name in found))
    lines = [f"{'bins':>6}" + "".join(f"{name:>30}" for name in names)]
    for bins in dict.fromkeys(bins for bins, _ in found):
        cells = (found[bins, name] for name in names)
        lines.append(f"{bins:6d}" + "".join(f"{b:>10,d} B {ks:8.1e} {w1:8.1e}" for b, ks, w1 in cells))
    return "\n".join([f"{'':6}" + f"{'bytes, D, W1 relative':>30}" * len(names), *lines])


def copied(profile: Any, names: list[str]) -> Any:
    """A profile with its columns over and over under other names, each in memory of its own."""
    arrays = ("bins", "held", "offsets", "single", "keys", "cut")
    columns: list[Any] = list(profile.columns.values())
    made: dict[str, Any] = {}
    for i, name in enumerate(names):
        column = columns[i % len(columns)]
        made[name] = replace(column, **{a: getattr(column, a).copy() for a in arrays})
    return type(profile)(made, profile.rows)


def a_year(days: int, columns: int) -> tuple[float, float, float, float]:
    """CPU seconds to merge daily profiles; milliseconds a column to profile, save and load one."""
    from mlnb.data.profile import load_profile, merge_all
    from mlnb.drifting.profiling import profile

    rng = np.random.default_rng(2)
    reference = profile(shapes(rng, ROWS, 0.0))
    frames = [shapes(rng, DAILY, 0.0) for _ in range(40)]
    began = time.process_time()
    made = [profile(frame, like=reference) for frame in frames]
    counting = time.process_time() - began
    names = [f"c{i}" for i in range(columns)]
    year = [copied(made[day % len(made)], names) for day in range(days)]
    times: list[float] = []
    merged: Any = None
    for _ in range(3):
        began = time.process_time()
        merged = merge_all(year)
        times.append(time.process_time() - began)
    if merged.rows != days * DAILY or merged[names[0]].held.sum() != days * DAILY:
        raise AssertionError("the merged profile has other rows")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.json"
        began = time.process_time()
        year[0].save(path)
        saving = time.process_time() - began
        began = time.process_time()
        again = load_profile(path)
        loading = time.process_time() - began
    if again != year[0]:
        raise AssertionError("the profile was read back another")
    each = len(made) * len(frames[0])
    return sorted(times)[1], 1e3 * counting / each, 1e3 * saving / columns, 1e3 * loading / columns


def main(quick: bool = False) -> list[Row]:
    """Print the widths; time a year of days."""
    found = widths(50_000 if quick else ROWS)
    print(f"\n{printed(found)}\n")
    default = {name: value for (bins, name), value in found.items() if bins == 2048}
    size, widest = max(v[0] for v in default.values()), max(v[1] for v in default.values())
    days, columns = (40, 20) if quick else (DAYS, COLUMNS)
    merging, counting, saving, loading = a_year(days, columns)
    return [
        Row("profile: bytes a column on disk, at most", size, unit="B", goal="< 32 kB", holds=size < 32_000),
        Row("profile: D certified to ±, at most", widest / 2, unit="", goal="1e-3", holds=widest / 2 <= 1e-3),
        Row(f"profile: merge {days} days of {columns} columns", merging, goal="< 1 s", holds=merging < 1),
        Row("profile: count 10,000 rows", counting, unit="ms a column"),
        Row("profile: save", saving, unit="ms a column"),
        Row("profile: load", loading, unit="ms a column"),
    ]


if __name__ == "__main__":
    for row in main():
        print(row)
