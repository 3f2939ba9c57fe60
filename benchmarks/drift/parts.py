"""Segments, windows and examples of Parquet globs: wall seconds, and the peak of memory of the process.

Both sides are globs of six files; one column in six holds labels, one whole numbers, the others numbers. What a column
takes is read once for all parts, so the peak is that of the comparison of all rows, which is shown first.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift.measuring import Row

ROWS, COLUMNS, FILES = 3_000_000, 60, 6
ASKED: dict[str, dict[str, Any]] = {
    "all rows alone": {},
    "12 segments": {"by": "country"},
    "26 weeks": {"over": "week"},
    "weeks, segments and 3 examples": {"over": "week", "by": "country", "examples": 3},
}
CHILD = """
import json, sys, time
sys.path[:0] = {path!r}
import mlnb
from benchmarks.drift.measuring import cpu
asked = json.loads(sys.argv[1])
began, at = cpu(), time.perf_counter()
report = mlnb.drift(*sys.argv[2:], **asked)
html = report.to_html()
took, spent = time.perf_counter() - at, cpu() - began
peak = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
broken = sum(r.status == "error" for r in report.results)
print(json.dumps([took, spent, int(peak[0]) if peak else 0, broken]))
"""


def write(folder: Path, rows: int, columns: int, seed: int) -> str:
    """Half a year in six files, and the glob that names them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, many = np.random.default_rng(seed), rows // FILES
    folder.mkdir()
    for i in range(FILES):
        seconds = np.sort(rng.integers(0, 30 * 86_400, many)) + i * 30 * 86_400
        data: dict[str, Any] = {
            "time": np.datetime64("2024-01-01", "us") + seconds.astype("timedelta64[s]"),
            "country": pa.array(rng.choice([f"country {c}" for c in range(12)], many)),
        }
        for c in range(columns - 2):
            data[f"c{c:02d}"] = _column(rng, c, many)
        pq.write_table(pa.table(data), folder / f"{i}.parquet", row_group_size=250_000)
    return str(folder / "*.parquet")


def _column(rng: np.random.Generator, place: int, rows: int) -> Any:
    """Numbers mostly."""
    import pyarrow as pa

    if place % 6 == 3:
        return rng.integers(0, 60, rows)
    if place % 6 == 4:
        return pa.array(rng.choice([f"label {i}" for i in range(40)], rows))
    return rng.lognormal(0, 2, rows) if place % 6 == 5 else rng.normal(size=rows)


def main(quick: bool = False) -> list[Row]:
    """Each question in a process of its own."""
    rows, columns = (ROWS // 10, 12) if quick else (ROWS, COLUMNS)
    folder = Path(tempfile.mkdtemp(prefix="mlnb-drift-"))
    code, found = CHILD.format(path=[str(Path.cwd()), *sys.path[:1]]), []
    try:
        sides = [write(folder / name, rows, columns, seed) for seed, name in enumerate(("reference", "current"))]
        for what, asked in ASKED.items():
            child = subprocess.run(
                [sys.executable, "-c", code, json.dumps(asked), *sides], capture_output=True, text=True, check=True
            )
            took, spent, peak, broken = json.loads(child.stdout)
            memory = peak / 2**20
            note = f"{spent:.1f} s CPU; peak {memory:.2f} GB" + (f"; {broken} results in error" if broken else "")
            holds = memory < 1 and not broken
            name = f"{rows:,} × {columns} on both sides: {what}"
            found.append(Row(name, took, unit="s wall", goal="< 1 GB", holds=None if quick else holds, note=note))
    finally:
        shutil.rmtree(folder)
    return found
