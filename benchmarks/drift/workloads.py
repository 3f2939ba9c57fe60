"""The users' workloads from Parquet on both sides: wall seconds, and the peak of memory of the process that compares.

A process is started once and given one group of columns after the other, so that disk and patience hold; each group
is a file of its own on both sides, deleted afterwards. At least a hundred columns are measured, one in five of strings,
and the time of the others is taken from those; the line says how many were measured.
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

from benchmarks.drift.measuring import Row, column

# name, rows of the reference, rows of the current data, columns, columns measured at least, seconds
WORKLOADS = [
    ("356,251 × 797 on both sides", 356_251, 356_251, 797, 797, 40),
    ("3 M + 0.3 M × 1,000", 3_000_000, 300_000, 1_000, 100, 60),
    ("10 M + 1 M × 1,000", 10_000_000, 1_000_000, 1_000, 100, 180),
]
GROUP_BYTES, ROW_GROUP = 2 * 2**30, 2**20

CHILD = """
import json, sys, time
sys.path[:0] = {path!r}
import mlnb
from benchmarks.drift.measuring import cpu
for line in sys.stdin:
    here, there = json.loads(line)
    began, at = cpu(), time.perf_counter()
    report = mlnb.drift(here, there)
    html = report.to_html()
    took = time.perf_counter() - at
    peak = [l.split()[1] for l in open("/proc/self/status") if l.startswith("VmHWM")]
    broken = sum(r.status == "error" for r in report.results)
    said = [took, cpu() - began, int(peak[0]) if peak else 0, str(report.meta.get("engine")), broken]
    print(json.dumps(said), flush=True)
"""


def write(path: Path, rows: int, places: range, seed: int, moved: bool) -> int:
    """Write columns as a Parquet file, row group by row group, and return its size; strings as plain strings."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"c{i:04d}" for i in places]
    labels = [name for i, name in zip(places, names, strict=True) if i % 5 == 4]
    writer = None
    for start in range(0, rows, ROW_GROUP):
        size = min(ROW_GROUP, rows - start)
        arrays = [_array(column(i, size, seed + start, moved)) for i in places]
        table = pa.table(dict(zip(names, arrays, strict=True)))
        writer = writer or pq.ParquetWriter(path, table.schema, compression="snappy", use_dictionary=labels)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return path.stat().st_size


def _array(values: np.ndarray) -> Any:
    """A column for Arrow: NaN becomes null, as most writers have it."""
    import pyarrow as pa

    return pa.array(values) if values.dtype == object else pa.array(values, from_pandas=True)


def measure(name: str, n: int, m: int, columns: int, limit: float, least: int) -> Row:
    """One workload, group by group."""
    group = max(5, min(least, GROUP_BYTES // (8 * (n + m)) // 5 * 5))
    groups = [range(5), *(range(i, min(i + group, columns)) for i in range(0, columns, group))]
    folder = Path(tempfile.mkdtemp(prefix="mlnb-drift-"))
    code = CHILD.format(path=[str(Path.cwd()), *sys.path[:1]])
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None
    first = wall = cpu = peak = done = size = errors = 0
    engine = ""
    try:
        for i, places in enumerate(groups):
            if done >= least and done < columns:
                break
            paths = [folder / f"{side}-{i}.parquet" for side in ("reference", "current")]
            rows = (n, m) if i else (100_000, 100_000)  # what the first call costs is counted once, not times anything
            size += write(paths[0], rows[0], places, 1, False) + write(paths[1], rows[1], places, 2, True)
            child.stdin.write(json.dumps([str(p) for p in paths]) + "\n")
            child.stdin.flush()
            said = child.stdout.readline()
            if not said:
                return Row(name, None, unit="s wall", goal=f"< {limit} s", holds=False, note="the process was ended")
            took, spent, peak, engine, broken = json.loads(said)
            errors += broken
            if i:
                wall, cpu, done = wall + took, cpu + spent, done + len(places)
            else:
                first = took
            for path in paths:
                path.unlink()
    finally:
        child.stdin.close()
        child.wait()
        shutil.rmtree(folder)
    whole, memory = first + wall * columns / done, peak / 2**20
    parts = [
        f"{done} of {columns} columns measured in {wall:.1f} s wall, {cpu:.1f} s CPU",
        f"all of them {cpu * columns / done:.0f} s CPU and {first:.1f} s for the first call",
        f"{1e9 * cpu / (done * (n + m)):.1f} ns a value; {size / 1e9:.1f} GB of Parquet",
        f"peak {memory:.2f} GB{'' if memory < 1 else ' (goal: under 1)'}; engine {engine}",
        *([f"{errors} results in error"] if errors else []),
    ]
    note = "; ".join(parts)
    return Row(
        name, whole, unit="s wall", goal=f"< {limit} s", holds=whole < limit and memory < 1 and not errors, note=note
    )


def main(quick: bool = False, only: str = "") -> list[Row]:
    """The three workloads; `quick` takes a tenth of the rows and ten columns, and says nothing of the goals."""
    rows = []
    for name, n, m, columns, least, limit in WORKLOADS:
        if only and only not in name:
            continue
        if quick:
            found = measure(f"a tenth of {name}", n // 10, m // 10, 10, limit, 10)
            rows.append(Row(found.what, found.ours, unit=found.unit, note=found.note))
        else:
            rows.append(measure(name, n, m, columns, limit, least))
    return rows
