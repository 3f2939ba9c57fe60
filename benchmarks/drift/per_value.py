"""Cost of the exact comparison per value, one thread, beside what it cannot beat: sorting, and reading the column.

CPU time of one thread, every repetition on fresh arrays, all ratios from one run.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

ROWS = 1_000_000


def cases(n: int = ROWS) -> dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]]:
    """Name → maker of (reference, current)."""
    rng = np.random.default_rng(3)

    def z(k: int = n) -> np.ndarray:
        return rng.standard_normal(k)

    def zeros() -> np.ndarray:
        return np.where(rng.random(n) < 0.6, 0, np.exp(z()))

    def modes() -> np.ndarray:
        return np.where(rng.random(n) < 0.5, z(), 1e6 + z())

    def holes() -> np.ndarray:
        return np.where(rng.random(n) < 0.05, np.nan, z())

    base = z()
    mixed = rng.permutation(base)
    shared = mixed.copy()
    shared[: n // 100] = z(n // 100)
    return {
        "normal, no drift": lambda: (z(), z()),
        "normal, 0.05 sd": lambda: (z(), z() + 0.05),
        "normal, 0.5 sd": lambda: (z(), z() + 0.5),
        "lognormal, no drift": lambda: (np.exp(z()), np.exp(z())),
        "lognormal sigma 5": lambda: (np.exp(5 * z()), np.exp(5 * z())),
        "Cauchy": lambda: (rng.standard_cauchy(n), rng.standard_cauchy(n)),
        "1e9 + noise": lambda: (1e9 + z(), 1e9 + z()),
        "float32 normal": lambda: (z().astype("f4"), z().astype("f4")),
        "5 % NaN": lambda: (holes(), holes()),
        "integers 0-60": lambda: (rng.poisson(20, n) * 1.0, rng.poisson(20, n) * 1.0),
        "2 decimals": lambda: (np.round(rng.gamma(2, 30, n), 2), np.round(rng.gamma(2, 30, n), 2)),
        "60 % zeros + lognormal": lambda: (zeros(), zeros()),
        "two modes 1e6 apart": lambda: (modes(), modes()),
        "int64 over a wide range": lambda: (rng.integers(0, 10**15, n), rng.integers(0, 10**15, n)),
        "99 % of rows shared": lambda: (base.copy(), shared.copy()),
        "same values, permuted": lambda: (base.copy(), mixed.copy()),
        "constant": lambda: (np.ones(n), np.ones(n)),
    }


def machine() -> str:
    """Processor and what NumPy uses of it."""
    model = "unknown processor"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    off = os.environ.get("NPY_DISABLE_CPU_FEATURES", "nothing")
    return f"{model}, {os.cpu_count()} cores; NumPy {np.__version__}, {_dispatch()}, switched off: {off}"


def _dispatch() -> str:
    """The widest instructions that NumPy found."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # type: ignore[index]
    return f"dispatch up to {found[-1]}" if found else "baseline only"


def cost(work: Callable[[Any], object], pairs: list[Any]) -> float:
    """Least CPU seconds over pairs, each of which is used once."""
    least = float("inf")
    for pair in pairs:
        start = time.process_time()
        work(pair)
        least = min(least, time.process_time() - start)
    return least


def reading(pair: tuple[np.ndarray, np.ndarray], repetitions: int) -> float:
    """Least CPU seconds for reading both columns from uncompressed Parquet in one thread."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(1)
    least = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("reference.parquet", "current.parquet")]
        for path, values in zip(paths, pair, strict=True):
            pq.write_table(pa.table({"x": values}), path, compression="none")
        for _ in range(repetitions):
            start = time.process_time()
            for path in paths:
                pq.read_table(path, use_threads=False)
            least = min(least, time.process_time() - start)
    return least


def sorting(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """What NumPy needs to sort both."""
    for values in pair:
        np.sort(values)


def compare(pair: tuple[np.ndarray, np.ndarray], *, wasserstein: bool) -> object:
    """KS with p, PSI and JS, and the Wasserstein distance where it is asked for."""
    from mlnb.drifting.exact import ArraySide, solve
    from mlnb.drifting.pvalues import ks_pvalue
    from mlnb.drifting.stats import OF_SHARES, Bins

    got = solve(ArraySide(pair[0]), ArraySide(pair[1]), wasserstein=wasserstein)
    counts = (np.append(got.cut[0], got.missing_reference), np.append(got.cut[1], got.missing_current))
    shares = Bins(counts[0], counts[1]).shares()
    return got, ks_pvalue(got.reach, got.n, got.m), [OF_SHARES[name](*shares) for name in ("psi", "js")]


def prepared(rows: int = 3 * ROWS) -> list[str]:
    """Windows against a reference that was prepared once."""
    from mlnb.drifting.exact import ArraySide, Prepared, solve
    from mlnb.drifting.pvalues import ks_pvalue

    rng = np.random.default_rng(5)
    ready = Prepared(rng.standard_normal(rows))
    lines = []
    for size in (1000, 10_000, 100_000):
        windows = [(rng.standard_normal(size) + 0.02,) * 2 for _ in range(15)]

        def statistics(pair: tuple[np.ndarray, np.ndarray]) -> object:
            return solve(ready, ArraySide(pair[0]))

        def with_p(pair: tuple[np.ndarray, np.ndarray]) -> object:
            got = solve(ready, ArraySide(pair[0]))
            return ks_pvalue(got.reach, got.n, got.m)

        cost(with_p, windows[:2])
        times = [1e3 * cost(work, windows) for work in (statistics, with_p)]
        lines.append(f"{size:>9,} rows: KS, PSI and W1 {times[0]:.2f} ms, with p {times[1]:.2f} ms")
    return lines


def main(repetitions: int = 5) -> None:
    """Print the table."""
    from mlnb.drifting.exact import warm

    warm()
    print(machine())
    print(f"CPU ns a value, {ROWS:,} rows each side, one thread; x = times reading the same columns from Parquet")
    print(f"{'case':24} {'read':>5} {'np.sort':>8} {'KS+p+PSI+JS':>16} {'and W1':>16} {'over sort':>10}  path, refined")
    scale = 1e9 / (2 * ROWS)
    for name, make in cases().items():
        made = [make() for _ in range(1)]
        pairs = made if name.startswith(("99 %", "same", "constant")) else made + [make() for _ in range(2)]

        def fresh(pairs: list[Any] = pairs) -> list[Any]:
            return [tuple(side.copy() for side in pairs[k % len(pairs)]) for k in range(repetitions)]

        read = reading(pairs[0], repetitions) * scale
        ordered = cost(sorting, fresh()) * scale
        distance = cost(lambda pair: compare(pair, wasserstein=False), fresh()) * scale
        both = cost(lambda pair: compare(pair, wasserstein=True), fresh()) * scale
        got = compare(pairs[0], wasserstein=True)[0]  # type: ignore[index]
        print(
            f"{name:24} {read:5.2f} {ordered:8.2f} {distance:7.2f} = {distance / read:4.2f}x"
            f" {both:8.2f} = {both / read:4.2f}x {both - ordered:+10.2f}  {got.path}, {got.refined:.1%}",
            flush=True,
        )
    print("A reference of 3,000,000 rows, prepared once; a column of a window costs")
    print("\n".join(prepared()))


if __name__ == "__main__":
    sys.exit(main())
