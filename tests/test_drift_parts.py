"""Segments, windows and examples of what is not in memory: the same report as of a frame, in bounded memory."""

from __future__ import annotations

import datetime
import decimal
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlnb.core.errors import ArgumentError
from mlnb.core.result import Report
from mlnb.core.settings import load_settings
from mlnb.data.tables import open_table
from mlnb.drifting import movers, parts, segments, windows
from mlnb.drifting.engine import drift
from mlnb.drifting.profiling import profile

SETTINGS = load_settings(environ={})
ROWS = 4_000


def side(seed: int, shift: float) -> pd.DataFrame:
    """Columns of many types, with gaps, of which some move."""
    rng = np.random.default_rng(seed)
    start = np.datetime64("2024-01-01" if not seed else "2025-02-03", "s")
    times = start + np.sort(rng.integers(0, 40 * 86_400, ROWS)).astype("timedelta64[s]")
    shop = rng.choice(["east", "west", "süd"], ROWS, p=[0.6, 0.3, 0.1])
    x = rng.normal(size=ROWS) + shift * (shop == "west")
    whole = pd.array(rng.integers(-5, 40, ROWS) * 10**15, dtype="Int64")
    whole[rng.random(ROWS) < 0.1] = pd.NA
    return pd.DataFrame(
        {
            "when": times.astype("datetime64[us]"),
            "shop": pd.Series(shop, dtype=object).mask(rng.random(ROWS) < 0.02, None),
            "floor": rng.integers(0, 3, ROWS),
            "x": np.where(rng.random(ROWS) < 0.05, np.nan, x),
            "x32": (x * 3).astype(np.float32),
            "whole": whole,
            "count": rng.poisson(3 + shift, ROWS).astype(np.uint8),
            "yes": rng.random(ROWS) < 0.5 + shift / 10,
            "perhaps": pd.Series(rng.random(ROWS) < 0.5, dtype="boolean").mask(rng.random(ROWS) < 0.1),
            "label": pd.Categorical(rng.choice([f"v{i}" for i in range(30)], ROWS)),
            "text": [f"a sentence that says {i} and {n}" for i, n in enumerate(rng.integers(0, 9, ROWS))],
            "day": [datetime.date(2024, 1, 1) + datetime.timedelta(int(d)) for d in rng.integers(0, 90, ROWS)],
            "spent": pd.to_timedelta(rng.integers(1, 9_000, ROWS), unit="s").astype("timedelta64[us]"),
            "price": [decimal.Decimal(int(v)) / 100 for v in rng.integers(1, 900, ROWS)],
            "none": pd.Series([None] * ROWS, dtype=object),
            "odd": [[1, 2]] * ROWS,
        }
    )


@cache
def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    return side(0, 0.0), side(1, 1.0)


ASKED: dict[str, Any] = {"by": ["shop", "floor"], "over": "week", "time": "when", "examples": 4, "settings": SETTINGS}


@cache
def of_frames() -> Report:
    return drift(*frames(), **ASKED)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Both sides as globs: files of uneven size and small row groups."""
    found = []
    for name, frame in zip(("reference", "current"), frames(), strict=True):
        folder = tmp_path_factory.mktemp(name)
        table = pa.Table.from_pandas(frame, preserve_index=False)
        for i, (start, end) in enumerate(pairwise([0, 700, 701, 2900, ROWS])):
            pq.write_table(table.slice(start, end - start), folder / f"{i}.parquet", row_group_size=500)
        found.append(str(folder / "*.parquet"))
    return found


def said(report: Report) -> list[dict[str, Any]]:
    """All results; what cannot be compared is called by the type that its source has."""
    found = [r.model_dump(mode="json") for r in report.results]
    return [r | {"advice": r["advice"].partition("Values of type ")[0]} for r in found]


def of_parts(report: Report) -> list[dict[str, Any]]:
    return [r for r in said(report) if "part" in r["evidence"]]


def same(found: Report) -> None:
    """Every result, the tables and the pictures of the parts, to the bit."""
    wanted = of_frames()
    assert of_parts(found) == of_parts(wanted) and len(of_parts(found)) > 300
    assert found.tables == wanted.tables and found.summary == wanted.summary
    assert [c for c in found.charts if c.subject is None] == [c for c in wanted.charts if c.subject is None]
    assert said(found) == said(wanted)


def test_the_frames_are_cut_as_counting_says():
    (winter, spring), shown = frames(), of_parts(of_frames())
    rows = {tuple(v) for v in spring.groupby(["shop", "floor"], dropna=False).size().reset_index().values.tolist()}
    assert len(of_frames().tables[1].rows) == len(rows) == 12
    weeks = spring["when"].dt.strftime("%G-W%V").value_counts()
    for week, many in weeks.items():
        assert {r["n"] for r in shown if r["evidence"]["part"] == week} == {many + ROWS}
    one = winter[(winter["shop"] == "west") & (winter["floor"] == 2)]["x"]
    two = spring[(spring["shop"] == "west") & (spring["floor"] == 2)]["x"]
    from scipy.stats import ks_2samp

    (found,) = [r for r in shown if r["subject"] == "x · shop=west, floor=2" and r["method"] == "ks"]
    assert found["value"] == pytest.approx(ks_2samp(one.dropna(), two.dropna()).statistic, rel=1e-12)
    assert found["n"] == len(one) + len(two) and found["status"] == "fail"


@pytest.mark.parametrize("budget", [1, 50_000, parts.BUDGET])
def test_a_glob_says_what_the_frame_says(files, monkeypatch, budget):
    monkeypatch.setattr(parts, "BUDGET", budget)
    same(drift(*files, **ASKED))


def test_one_side_may_be_in_memory(files):
    same(drift(files[0], frames()[1], **ASKED))
    same(drift(frames()[0], files[1], **ASKED))


@pytest.mark.parametrize("kind", ["table", "stream", "batches"])
def test_arrow_says_what_the_frame_says(monkeypatch, kind):
    monkeypatch.setattr(parts, "BUDGET", 200_000)
    tables = [pa.Table.from_pandas(frame, preserve_index=False) for frame in frames()]
    if kind == "batches":
        tables = [pa.Table.from_batches(table.to_batches(max_chunksize=333)) for table in tables]
    same(drift(*(table.to_reader() if kind == "stream" else table for table in tables), **ASKED))


def test_polars_and_duckdb_come_as_arrow():
    polars = pytest.importorskip("polars")
    names = ["when", "shop", "floor", "x", "x32", "count", "yes", "label"]
    asked = {**ASKED, "columns": names, "examples": 0}
    wanted, found = (
        drift(*(f[names] for f in frames()), **asked),
        drift(*(polars.from_pandas(f[names]) for f in frames()), **asked),
    )
    assert said(found) == said(wanted) and found.tables == wanted.tables


def test_arrays_can_be_cut():
    names = ["floor", "x", "count", "yes"]
    sides = [{name: frame[name].to_numpy() for name in names} for frame in frames()]
    wanted = drift(*(frame[names] for frame in frames()), by="floor", over=900, examples=2, settings=SETTINGS)
    found = drift(*sides, by="floor", over=900, examples=2, settings=SETTINGS)
    assert said(found) == said(wanted) and found.tables == wanted.tables


def test_dask_says_what_the_frame_says(monkeypatch):
    dataframe = pytest.importorskip("dask.dataframe")
    monkeypatch.setattr(parts, "BUDGET", 600_000)
    names = ["when", "shop", "floor", "x", "x32", "count", "yes", "label", "spent"]
    wanted = drift(*(frame[names] for frame in frames()), **ASKED)
    found = drift(*(dataframe.from_pandas(frame[names], npartitions=3) for frame in frames()), **ASKED)
    assert of_parts(found) == of_parts(wanted) and found.tables == wanted.tables
    assert found.meta["engine"] == "dask"


def test_no_more_than_the_budget_is_held(files, monkeypatch):
    held, frames_made = [], []
    hold = parts._held

    def watched(table, names):
        found = hold(table, names)
        held.append((table.name, tuple(names), sum(found.column(i).size for i in range(len(names)))))
        return found

    monkeypatch.setattr(parts, "BUDGET", 200_000)
    monkeypatch.setattr(parts, "_held", watched)
    monkeypatch.setattr("mlnb.data.parquet_table.read_file", frames_made.append)
    drift(*files, **ASKED)
    assert not frames_made and len(held) > 8
    for name in ("reference", "current"):
        read = Counter(column for table, names, _ in held if table == name for column in names)
        assert read.pop("shop") == read.pop("floor") == 1  # the segments are not compared by them
        assert len(read) == 13 and set(read.values()) == {2}  # once for the windows, once for the segments
    for (_, names, first), (_, others, second) in zip(held[::2], held[1::2], strict=True):
        assert names == others and (len(names) == 1 or "odd" in names or first + second <= 200_000)


def test_a_reference_beyond_the_budget_stays_in_its_files(files, monkeypatch):
    wanted = drift(*frames(), over="week", time="when", columns=["x", "label"], settings=SETTINGS)
    held = []
    monkeypatch.setattr(parts, "BUDGET", 1)
    monkeypatch.setattr(
        parts, "_held", lambda table, names, hold=parts._held: held.append(table.name) or hold(table, names)
    )
    found = drift(*files, over="week", time="when", columns=["x", "label"], settings=SETTINGS)
    assert said(found) == said(wanted) and set(held) == {"current"}


def test_a_profile_as_reference_reads_the_windows_in_groups(files, monkeypatch):
    asked = {"over": "week", "time": "when", "settings": SETTINGS}
    kept = profile(frames()[0])
    wanted = drift(kept, frames()[1], **asked)
    monkeypatch.setattr(parts, "BUDGET", 30_000)
    assert of_parts(drift(kept, files[1], **asked)) == of_parts(wanted)


def test_a_column_that_breaks_leaves_the_others(files, monkeypatch):
    from mlnb.data.parquet_table import ParquetColumn

    arrays = ParquetColumn.arrays

    def broken(self, *size):
        if self.name == "x":
            raise OSError("the disk is gone")
        return arrays(self, *size)

    monkeypatch.setattr(ParquetColumn, "arrays", broken)
    report = drift(*files, by="floor", columns=["floor", "x", "count"], settings=SETTINGS)
    states = {(r["evidence"]["column"], r["status"]) for r in of_parts(report)}
    assert ("x", "error") in states and not {s for c, s in states if c == "count"} & {"error"}


def test_text_dates_are_read_piece_by_piece_in_one_form(tmp_path):
    days = pd.date_range("2024-01-01", periods=600, freq="12h")
    frame = pd.DataFrame({"day": days.strftime("%d/%m/%Y"), "x": np.arange(600.0) % 7})
    frame.loc[:40, "day"] = None
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=50)
    table = open_table(tmp_path / "a.parquet")
    assert windows.time_column(table) == "day"
    times = windows.times_of(table, "day")
    assert np.isnat(times[:41]).all() and (times[41:] == days[41:].floor("D").values.astype("datetime64[s]")).all()
    cuts = [windows.windows(source, "month").parts for source in (table, frame)]
    assert [(p.label, p.current.tolist(), p.note) for p in cuts[0]] == [
        (p.label, p.current.tolist(), p.note) for p in cuts[1]
    ]
    with pytest.raises(ArgumentError, match="holds no times"):
        windows.times_of(open_table(frame.assign(day="soon")), "day")


def test_a_column_of_names_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "MOST_VALUES", 1_000)
    frame = pd.DataFrame({"id": np.arange(5_000), "x": 1.0})
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ArgumentError, match="more than 1,000 segments"):
        drift(tmp_path / "a.parquet", frame, by="id", settings=SETTINGS)


def test_rows_of_a_file_are_those_of_the_frame(files):
    found = movers.movers(files[0], files[1], ["x", "label"])
    wanted = movers.movers(frames()[0], frames()[1], ["x", "label"])
    assert [m.where for m in found] == [m.where for m in wanted]
    assert all((a.rows == b.rows).all() for a, b in zip(found, wanted, strict=True))
    assert movers.example_table(files[1], found, 3) == movers.example_table(frames()[1], wanted, 3)
