"""Cost of getting at a column, per value: its kind and its labels or numbers, beside pandas and pyarrow.

Ours is `open_table(source).column(0)`, its `kind`, and one pass over `labels()` or `numbers()`. Theirs is what one
would call otherwise, for the labels alone: `pandas.factorize`, `pyarrow.compute.value_counts`, or reading the column
with pyarrow. CPU time of one thread, least of several fresh columns.
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

from benchmarks.drift.measuring import Row, machine, table  # noqa: E402

LEVELS = 20


def least(work: Callable[[Any], object], make: Callable[[], Any], repetitions: int) -> float:
    """Least CPU seconds over fresh sources."""
    found = float("inf")
    for _ in range(repetitions):
        source = make()
        start = time.process_time()
        work(source)
        found = min(found, time.process_time() - start)
    return found


def labels(source: Any) -> None:
    """Kind and labels of the only column."""
    from mlnb.data.tables import open_table

    column = open_table(source).column(0)
    assert column.kind in ("categorical", "boolean") and column.labels(10_000)


def numbers(source: Any) -> None:
    """Kind and one pass over the numbers of the only column."""
    from mlnb.data.tables import open_table

    column = open_table(source).column(0)
    assert column.kind in ("numeric", "datetime") and sum(values.size for values, _ in column.numbers())


def strings(rows: int, folder: Path) -> dict[str, tuple[Callable[[], Any], Callable[[Any], object] | None, str]]:
    """Name → how to make the source, what others would do with it, and what that is called."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    words = np.array([f"label number {i}" for i in range(LEVELS)], dtype=object)

    def shared() -> pd.DataFrame:
        return pd.DataFrame({"x": words[rng.integers(0, LEVELS, rows)]})

    def fresh() -> pd.DataFrame:
        return pd.DataFrame({"x": np.array([f"label number {i}" for i in rng.integers(0, LEVELS, rows)], dtype=object)})

    def ids() -> pd.DataFrame:
        return pd.DataFrame({"x": np.array([f"id {i}" for i in rng.permutation(rows)], dtype=object)})

    def arrow() -> pa.Table:
        return pa.table(shared())

    def parquet() -> Path:
        pq.write_table(arrow(), folder / "strings.parquet", compression="none")
        return folder / "strings.parquet"

    def factorize(frame: Any) -> None:
        pd.factorize(frame["x"])

    def polars() -> Any:
        import polars as pl

        return pl.DataFrame({"x": shared()["x"].tolist()})

    return {
        "objects, shared as readers do": (shared, factorize, "pandas.factorize"),
        "objects, each its own": (fresh, factorize, "pandas.factorize"),
        "objects, all different (ids)": (ids, factorize, "pandas.factorize"),
        "categorical": (lambda: shared().astype("category"), factorize, "pandas.factorize"),
        "string[pyarrow]": (lambda: shared().astype("string[pyarrow]"), factorize, "pandas.factorize"),
        "Arrow strings": (arrow, lambda t: pc.value_counts(t["x"]), "pyarrow value_counts"),
        "Arrow dictionary": (
            lambda: pa.table({"x": arrow()["x"].dictionary_encode()}),
            lambda t: pc.value_counts(t["x"]),
            "pyarrow value_counts",
        ),
        "polars strings": (polars, lambda frame: frame["x"].value_counts(), "polars value_counts"),
        "Parquet strings": (
            parquet,
            lambda path: pc.value_counts(pq.read_table(path, use_threads=False)["x"]),
            "pyarrow read and value_counts",
        ),
        "truth values": (
            lambda: pd.DataFrame({"x": rng.random(rows) < 0.3}),
            factorize,
            "pandas.factorize",
        ),
    }


def columns_of_numbers(rows: int, folder: Path) -> dict[str, tuple[Callable[[], Any], Any, str]]:
    """The same for numbers and times."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(2)

    def parquet(compression: str) -> Callable[[], Path]:
        def make() -> Path:
            path = folder / f"{compression}.parquet"
            pq.write_table(pa.table({"x": rng.normal(size=rows)}), path, compression=compression)
            return path

        return make

    def read(path: Path) -> None:
        pq.read_table(path, use_threads=False)

    hours = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**7, rows), unit="s"))
    holes = rng.random(rows) < 0.1
    return {
        "float64": (lambda: pd.DataFrame({"x": rng.normal(size=rows)}), None, ""),
        "Int64, nullable": (
            lambda: pd.DataFrame({"x": pd.arrays.IntegerArray(rng.integers(0, 99, rows), holes)}),
            lambda frame: frame["x"].to_numpy("float64", na_value=np.nan),
            "to_numpy",
        ),
        "Arrow int64 with nulls": (
            lambda: pa.table({"x": pa.array(rng.integers(0, 99, rows), mask=holes)}),
            lambda t: t["x"].to_pandas(),
            "to_pandas",
        ),
        "datetime64[ns]": (lambda: pd.DataFrame({"x": hours}), None, ""),
        "datetime64[us]": (
            lambda: pd.DataFrame({"x": hours.dt.as_unit("us")}),
            lambda frame: frame["x"].dt.as_unit("ns"),
            "as_unit",
        ),
        "decimal(9, 2)": (
            lambda: pa.table({"x": pa.array(np.round(rng.random(rows) * 1e5, 2)).cast(pa.decimal128(9, 2))}),
            lambda t: t["x"].cast(pa.float64()),
            "pyarrow cast (not rounded to the nearest)",
        ),
        "a column of a matrix of ten": (lambda: rng.normal(size=(rows, 10)), None, ""),
        "Parquet float64": (parquet("none"), read, "pyarrow read"),
        "Parquet float64, snappy": (parquet("snappy"), read, "pyarrow read"),
    }


def main(*, quick: bool = False) -> list[Row]:
    """Measure every kind of column."""
    rows, repetitions = (200_000, 3) if quick else (1_000_000, 4)
    import pyarrow as pa

    import mlnb.data.kernels_cpu  # noqa: F401  loaded, as an engine has before it reads a million values

    pa.set_cpu_count(1)
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for made, ours in ((strings(rows, folder), labels), (columns_of_numbers(rows, folder), numbers)):
            for what, (make, theirs, called) in made.items():
                ours(make())  # compile, import
                mine = least(ours, make, repetitions) * 1e9 / rows
                other = least(theirs, make, repetitions) * 1e9 / rows if theirs else None
                found.append(Row(f"{ours.__name__} of {what}", mine, other, "ns CPU a value", note=called))
    return found


if __name__ == "__main__":
    print(table(main(quick="--quick" in sys.argv)))
    print(machine())
