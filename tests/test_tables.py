"""Every source of columns behind one seam: the same kinds, labels, numbers and missing values, whatever holds them."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_drift import COLUMN
from test_frames import KINDS

from mlnb.core.errors import DataError
from mlnb.data import table_parts
from mlnb.data.frames import column_kind, is_missing
from mlnb.data.kernels_cpu import addresses, count_codes, count_equal, count_strings
from mlnb.data.table_parts import LabelCounts, Table, TableColumn, absent, nanoseconds
from mlnb.data.tables import open_table
from mlnb.drifting import stats

# The zoo: whatever pandas gives, the table gives


ZOO = {name: pd.Series(values) for name, values in COLUMN.items()}
ZOO |= {f"{kind} {i}": series for kind, columns in KINDS.items() for i, series in enumerate(columns)}


def kind_of(series: pd.Series) -> str:
    """The definition, on a Series."""
    if is_missing(series).all():
        return "empty"
    return "duration" if series.dtype.kind == "m" else column_kind(series)


def _zone(series: pd.Series) -> bool:
    dtype = series.dtype
    arrow = getattr(dtype, "pyarrow_dtype", None)
    return getattr(dtype, "tz", None) is not None or getattr(arrow, "tz", None) is not None


def long(series: pd.Series) -> pd.Series:
    """So many rows that the compiled loops are used."""
    times = table_parts.FEW // max(len(series), 1) + 1
    return pd.concat([series] * times, ignore_index=True) if len(series) else series


def present(column: TableColumn) -> np.ndarray:
    """All values that are there, sorted."""
    values, mask = column.whole()
    return np.sort(table_parts.present(values, mask))


def agrees(column: TableColumn, series: pd.Series) -> None:
    """What a column says is what the functions for a Series say."""
    kind = kind_of(series)
    assert column.kind == kind and column.rows == len(series) and column.zoned == _zone(series)
    assert len(column.series()) == len(series)
    if kind == "unsupported":
        return
    if kind == "empty":
        assert column.missing == len(series)
        return
    assert column.missing == int(series.isna().sum())
    try:
        sample = stats.prepare(series)
    except DataError as wanted:
        with pytest.raises(DataError) as caught:
            column.whole()
        assert str(caught.value) == str(wanted)
        return
    if isinstance(sample, stats.Labels):
        assert column.labels() == LabelCounts(sample.counts, sample.missing)
        assert sorted(map(repr, column.labels().counts)) == sorted(map(repr, sample.counts))
    else:
        values = present(column)
        assert np.array_equal(values.astype(sample.values.dtype), sample.values)


def only(source: object) -> TableColumn:
    table = open_table(source, name="sample")
    assert len(table.names) == 1
    return table.column(0)


def test_the_zoo_is_large_enough():
    assert len(ZOO) >= 100 and {kind_of(s) for s in ZOO.values()} == {
        *("numeric", "boolean", "categorical", "datetime", "duration", "text", "unsupported", "empty"),
    }


@pytest.mark.parametrize("name", ZOO)
def test_zoo_in_pandas(name):
    for series in (ZOO[name], long(ZOO[name])):
        agrees(only(series.to_frame("x")), series)


@pytest.mark.parametrize("name", ZOO)
def test_zoo_in_arrow(name, tmp_path):
    """An Arrow table and a Parquet file of small row groups against what they are in pandas."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            table = pa.table(long(ZOO[name]).reset_index(drop=True).to_frame("x"))
            frame = table.to_pandas()
        except (pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError):
            pytest.skip("Arrow cannot hold it")
    agrees(only(table), frame["x"])
    try:
        pq.write_table(table, tmp_path / "x.parquet", row_group_size=777)
    except (pa.ArrowException, OverflowError):
        return
    agrees(only(tmp_path / "x.parquet"), pq.ParquetFile(tmp_path / "x.parquet").read().to_pandas()["x"])


ARROW = {
    "list": pa.array([[1], None]),
    "struct": pa.array([{"a": 1}, None]),
    "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
    "milliseconds": pa.array([1, None, -1500], pa.timestamp("ms")),
    "seconds that do not fit": pa.array([1, None, 10**11], pa.timestamp("s")),
    "zone": pa.array([1, None], pa.timestamp("us", "Europe/Vienna")),
    "date64": pa.array([86_400_000, None], pa.date64()),
    "time32": pa.array([1, None], pa.time32("s")),
    "duration": pa.array([1, None], pa.duration("ms")),
    "decimal256": pa.array([Decimal("1.5"), None], pa.decimal256(50, 3)),
    "long decimals": pa.array([Decimal("12345678901234567890.5"), Decimal("-0.1")], pa.decimal128(38, 3)),
    "cents": pa.array([Decimal("0.07"), None, Decimal("-99.29"), Decimal("1.10")], pa.decimal128(9, 2)),
    "half": pa.array(np.array([1, 2.5], "f2")),
    "binary": pa.array([b"a"]),
    "string view": pa.array(["a", None, "b", "more than twelve bytes", "a"], pa.string_view()),
    "large string": pa.array(["a", None], pa.large_string()),
    "runs": pa.RunEndEncodedArray.from_arrays([2, 5], [1.5, 2.5]),
    "null": pa.nulls(4),
    "truth": pa.array([True, None, False]),
    "dictionary of numbers": pa.array([1, 2, 1, None]).dictionary_encode(),
    "uint64": pa.array([2**64 - 1, None], pa.uint64()),
    "no rows": pa.array([], pa.string()),
    "nothing but NaN": pa.array([np.nan] * 3),
}


@pytest.mark.parametrize("name", ARROW)
def test_zoo_of_arrow(name, tmp_path):
    for array in (ARROW[name], pa.concat_arrays([ARROW[name]] * 900)):
        table = pa.table({"x": array})
        agrees(only(table), table.to_pandas()["x"])
        agrees(only(table.slice(1)), table.slice(1).to_pandas()["x"])
    if name != "runs":
        pq.write_table(table, tmp_path / "x.parquet", row_group_size=1000)
        agrees(only(tmp_path / "x.parquet"), pq.ParquetFile(tmp_path / "x.parquet").read().to_pandas()["x"])


def test_dictionary_with_a_null_label():
    array = pa.DictionaryArray.from_arrays([0, 1, None, 0], ["a", None])
    column = only(pa.table({"x": array}))
    assert column.labels() == LabelCounts({"a": 2}, 2) and column.missing == 2


# The same data from every source


ROWS = 6000


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    return pd.DataFrame(
        {
            "paid": np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(size=ROWS)),
            "age": rng.integers(0, 90, ROWS),
            "member": rng.random(ROWS) < 0.3,
            "town": np.array(["Cork", "Bern", "Rome", None], dtype=object)[rng.integers(0, 4, ROWS)],
            "at": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**6, ROWS), unit="s"),
        }
    )


def as_files(frame: pd.DataFrame, folder) -> None:
    folder.mkdir(exist_ok=True)
    for i in range(3):
        frame.iloc[i::3].to_parquet(folder / f"part-{i}.parquet", index=False, row_group_size=500)


def shuffled(frame: pd.DataFrame, folder) -> None:
    """The same rows with the row groups in another order."""
    folder.mkdir()
    table = pa.table(frame)
    starts = np.random.default_rng(0).permutation(np.arange(0, ROWS, 500))
    with pq.ParquetWriter(folder / "x.parquet", table.schema) as writer:
        for start in starts:
            writer.write_table(table.slice(start, 500))


def sources(frame: pd.DataFrame, folder) -> dict[str, object]:
    import dask.dataframe as dd
    import duckdb
    import polars as pl

    as_files(frame, folder / "parts")
    shuffled(frame, folder / "shuffled")
    frame.to_parquet(folder / "one.parquet")
    arrow = pa.table(frame)
    return {
        "pandas": frame,
        "nullable": frame.convert_dtypes(),
        "Arrow dtypes": frame.convert_dtypes(dtype_backend="pyarrow"),
        "categorical": frame.astype({"town": "category"}),
        "other times": frame.assign(at=frame["at"].dt.as_unit("ms").dt.tz_localize("UTC")),
        "pyarrow": arrow,
        "stream": arrow.to_reader(),
        "record batch": arrow.combine_chunks().to_batches()[0],
        "polars": pl.from_arrow(arrow),
        "duckdb": duckdb.sql("select * from arrow"),
        "records": frame.to_records(index=False),
        "arrays": {name: frame[name].to_numpy() for name in frame},
        "file": folder / "one.parquet",
        "glob": str(folder / "parts" / "part-*.parquet"),
        "folder": folder / "parts",
        "list": [folder / "parts" / f"part-{i}.parquet" for i in (2, 0, 1)],
        "shuffled row groups": folder / "shuffled" / "x.parquet",
        "dask": dd.from_pandas(frame, npartitions=4),
        "dask of Parquet": dd.read_parquet(folder / "parts"),
    }


SOURCES = (
    *(
        "pandas",
        "nullable",
        "Arrow dtypes",
        "categorical",
        "other times",
        "pyarrow",
        "stream",
        "record batch",
        "polars",
    ),
    *(
        "duckdb",
        "records",
        "arrays",
        "file",
        "glob",
        "folder",
        "list",
        "shuffled row groups",
        "dask",
        "dask of Parquet",
    ),
)


@pytest.fixture(scope="module")
def every_source(people, tmp_path_factory):
    return sources(people, tmp_path_factory.mktemp("sources"))


def test_every_source_is_tried(every_source):
    assert set(SOURCES) == set(every_source)


@pytest.mark.parametrize("name", SOURCES)
def test_same_numbers_from_every_source(every_source, people, name):
    table = open_table(every_source[name])
    assert table.names == list(people) and (table.rows, table.values) == (ROWS, 5 * ROWS)
    kinds = [table.column(i).kind for i in range(5)]
    assert kinds == ["numeric", "numeric", "boolean", "categorical", "datetime"]
    for i, column in enumerate(people):
        mine, series = table.column(i), people[column]
        assert mine.missing == series.isna().sum() and mine.name == column
        if column == "town":
            assert mine.labels().counts == series.value_counts().to_dict()
        elif column == "at":
            assert np.array_equal(present(mine), np.sort(series.to_numpy().view(np.int64)))
        else:
            assert np.array_equal(present(mine), np.sort(series.dropna().to_numpy()))
    truth = table.column(2)
    assert truth.labels().counts == people["member"].value_counts().to_dict()


@pytest.mark.parametrize("name", SOURCES)
def test_numbers_can_be_asked_again(every_source, name):
    """A second pass gives what the first gave: an engine makes two."""
    source = pa.table(every_source["pandas"]).to_reader() if name == "stream" else every_source[name]
    column = open_table(source).column(0)
    first, second = (np.concatenate([values for values, _ in column.numbers()]) for _ in range(2))
    assert first.size == ROWS and np.array_equal(first, second, equal_nan=True)


@pytest.mark.parametrize(
    ("here", "there"),
    [("glob", "polars"), ("dask", "pandas"), ("nullable", "dask of Parquet"), ("shuffled row groups", "records")],
)
def test_reference_and_current_of_different_kinds(every_source, people, here, there):
    """The whole check gives the same values, whatever holds either side."""
    from mlnb.core.settings import load_settings
    from mlnb.drifting.engine import drift

    settings = load_settings(environ={})
    wanted = drift(people, people, settings=settings)
    found = drift(every_source[here], every_source[there], settings=settings)
    values = [{(r.subject, r.method): r.value for r in report.results} for report in (wanted, found)]
    assert values[0] == values[1] and len(values[0]) > 25
    moved = people.assign(age=people["age"] + 20)
    assert drift(every_source[here], moved, settings=settings).status == "fail"


def test_frame_gives_all_rows(every_source, people):
    for name in ("pyarrow", "glob", "dask", "file", "arrays"):
        frame = open_table(every_source[name]).frame()
        assert frame.shape == people.shape and frame["paid"].sum() == pytest.approx(people["paid"].sum())


def test_matrix():
    matrix = np.random.default_rng(1).normal(size=(100, 7))
    for odd in (matrix, np.asfortranarray(matrix), matrix.astype(">f8"), matrix[::-1, ::-1][::-1, ::-1]):
        table = open_table(odd)
        assert table.names == [f"x{i}" for i in range(7)]
        assert all(np.array_equal(table.column(i).whole()[0], matrix[:, i]) for i in range(7))
        assert all(chunk.dtype.isnative for i in range(7) for chunk, _ in table.column(i).numbers())


def test_numbers_are_not_copied(every_source, people):
    values, _ = next(open_table(people).column(0).numbers())
    assert np.shares_memory(values, people["paid"].to_numpy())
    arrow = pa.table({"x": pa.array(np.arange(10.0), mask=np.arange(10) == 3)})
    values, mask = next(open_table(arrow).column(0).numbers())
    assert values.ctypes.data == arrow["x"].chunk(0).buffers()[1].address and mask is not None and mask[3]
    nullable = pd.DataFrame({"x": pd.array([1, None, 3], dtype="Int64")})
    values, _ = next(open_table(nullable).column(0).numbers())
    assert np.shares_memory(values, nullable["x"].array._data)


def test_names_stay_as_they_are():
    double = pd.DataFrame([[1, 2.5]], columns=["a", "a"])
    assert [open_table(double).column(i).kind for i in (0, 1)] == ["numeric"] * 2
    assert open_table(pd.DataFrame({("a", 1): [1], 7: [2]})).names == ["('a', 1)", "7"]
    assert open_table(pd.DataFrame()).names == [] and open_table(pd.DataFrame(index=range(5))).rows == 5
    table = open_table(double)
    assert isinstance(table, Table) and open_table(table) is table


def test_double_names_and_names_with_points_in_parquet(tmp_path):
    table = pa.table([pa.array([1, None]), pa.array(["x", "y"]), pa.array([0.5, 1.5])], names=["a", "a", "a.b"])
    pq.write_table(table, tmp_path / "x.parquet")
    mine = open_table(tmp_path / "x.parquet")
    assert mine.names == ["a", "a", "a.b"]
    assert [mine.column(i).kind for i in range(3)] == ["numeric", "categorical", "numeric"]
    assert mine.column(0).missing == 1 and mine.column(1).labels().counts == {"x": 1, "y": 1}
    assert mine.column(2).whole()[0].tolist() == [0.5, 1.5]


def test_an_index_is_no_column(tmp_path):
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([7, 8], name="id"))
    frame.to_parquet(tmp_path / "x.parquet")
    assert open_table(tmp_path / "x.parquet").names == ["a"] == open_table(pa.table(frame)).names


# Labels


def test_equal_objects_that_are_not_one_object():
    """Addresses only find out what is the same; what is equal is merged afterwards."""
    rng = np.random.default_rng(2)
    base = np.array([f"label {i}" for i in range(5)], dtype=object)
    twins = np.array([f"label {i}" for i in range(5)], dtype=object)
    values = np.concatenate([base, twins])[rng.integers(0, 10, 5000)]
    assert len({id(v) for v in values}) == 10
    column = only(pd.DataFrame({"x": values}))
    assert column.labels().counts == pd.Series(values).value_counts().to_dict() and len(column.labels().counts) == 5
    mixed = pd.Series(np.array([1, True, 1.0, "1", None, np.nan], dtype=object)[rng.integers(0, 6, 5000)])
    assert only(mixed.to_frame("x")).labels() == LabelCounts(stats.prepare(mixed).counts, int(mixed.isna().sum()))


def test_addresses_of_an_array_in_stripes():
    values = np.array([["a", 1], ["b", 2], ["a", 3]], dtype=object)
    first, counts, complete = count_equal(np.ascontiguousarray(addresses(values[:, 0])), 10)
    assert complete and first.tolist() == [0, 1] and counts.tolist() == [2, 1]
    column = open_table(pd.DataFrame(np.tile(values, (1000, 1)))).column(0)
    assert column.labels().counts == {"a": 2000, "b": 1000}


def test_addresses_are_counted_to_their_limit():
    rng = np.random.default_rng(3)
    for many in (1, 100, 4096):
        values = rng.integers(0, many, 50_000) * 48 + 139_872_117_981_184
        first, counts, complete = count_equal(values, 4096)
        wanted = pd.Series(values).value_counts()
        assert complete and dict(zip(values[first].tolist(), counts.tolist(), strict=True)) == wanted.to_dict()
    assert not count_equal(np.arange(4097), 4096)[2]
    views = np.stack([rng.integers(0, 40, 9000), rng.integers(0, 40, 9000)], axis=1)
    first, counts, complete = count_equal(views, 4096)
    wanted = pd.DataFrame(views).value_counts()
    assert complete and {tuple(views[f]): c for f, c in zip(first, counts, strict=True)} == wanted.to_dict()
    codes = rng.integers(-1, 7, 9999).astype(np.int8)
    assert count_codes(codes, 7).tolist() == np.bincount(codes + 1, minlength=8).tolist()


def test_fresh_strings_and_ids():
    fresh = pd.Series([f"label {i % 7}" for i in range(6000)])
    agrees(only(fresh.to_frame("x")), fresh)
    ids = pd.Series([f"id-{i}" for i in range(6000)])
    agrees(only(ids.to_frame("x")), ids)


@pytest.mark.parametrize("how", ["object", "string[pyarrow]", "category", "arrow", "polars", "parquet", "dask"])
def test_labels_stop_at_a_limit_but_missing_values_do_not(how, tmp_path):
    import dask.dataframe as dd
    import polars as pl

    ids = pd.Series([None if i % 10 == 0 else f"id-{i}" for i in range(20_000)], name="x")
    made = {
        "arrow": lambda: pa.table(ids.to_frame()),
        "polars": lambda: pl.DataFrame({"x": ids.tolist()}),
        "dask": lambda: dd.from_pandas(ids.to_frame(), npartitions=3),
    }
    if how == "parquet":
        ids.to_frame().to_parquet(tmp_path / "x.parquet", row_group_size=3000)
        source = tmp_path / "x.parquet"
    else:
        source = made[how]() if how in made else ids.astype(how).to_frame()
    column = only(source)
    few, all_of_them = column.labels(1000), column.labels(18_000)
    assert not few.complete and few.missing == 2000 == column.missing
    assert all_of_them.complete and len(all_of_them.counts) == 18_000 and all_of_them.missing == 2000


def test_text_is_told_by_the_first_thousand_values():
    sentences = [f"the customer asked about order number {i}" for i in range(1000)]
    for first, then, kind in ((sentences, ["a"] * 9000, "text"), (["a"] * 1000, sentences * 9, "categorical")):
        series = pd.Series([None] * 3000 + first + then)
        assert kind_of(series) == kind
        for source in (series, series.astype("string[pyarrow]"), pa.table({"x": series})):
            assert only(source).kind == kind


# Times


def test_times_that_do_not_fit_are_refused():
    for unit, year in (("s", 2500), ("ms", 1500), ("us", 2300)):
        far = pd.Series(np.array([f"{year}-01-01", "2024-01-01"], dtype=f"datetime64[{unit}]"))
        for source in (far.to_frame("x"), pa.table({"x": far})):
            with pytest.raises(DataError, match="reference cannot be read as numbers: only the years 1678 to 2261 fit"):
                open_table(source, name="reference").column(0).whole()
    masked = nanoseconds(np.array([10**11, 1]), "s", np.array([True, False]))
    assert masked[1] == 10**9


# Poor input


def message(source: object, **ask) -> str:
    with pytest.raises(DataError) as caught:
        table = open_table(source, name="reference")
        for i in range(len(table.names)):
            table.column(i).labels() if ask.get("labels") else table.column(i).whole()
    text = str(caught.value)
    assert "\n" not in text and caught.value.hint
    return text


def test_paths_that_are_no_tables(tmp_path):
    (tmp_path / "empty" / "_temporary").mkdir(parents=True)
    (tmp_path / "empty" / "_temporary" / "x.parquet").write_bytes(b"half")
    (tmp_path / "empty.parquet").write_bytes(b"")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and then nothing")
    (tmp_path / "a.csv").write_text("a\n1\n")
    assert "there is no file 'nowhere.parquet'" in message(tmp_path / "nowhere.parquet")
    assert "no file matches" in message(str(tmp_path / "part-*.parquet"))
    assert "no Parquet file" in message(str(tmp_path / "*.*"))
    assert open_table(str(tmp_path / "*.csv")).rows == 1 and open_table([tmp_path / "a.csv"]).names == ["a"]
    assert "is a folder, not a table" in message(tmp_path / "empty")
    assert "empty.parquet is empty" in message(tmp_path / "empty.parquet")
    assert "cannot read cut.parquet" in message(tmp_path / "cut.parquet")
    assert "is an address, not a file" in message("s3://bucket/x.parquet")
    assert "is no Parquet file" in message([tmp_path / "cut.parquet", tmp_path / "a.csv"])
    assert "there is no file 'b.parquet'" in message([tmp_path / "b.parquet", tmp_path / "a.csv"])
    assert "is an empty text" in message("")


def test_files_that_do_not_belong_together(tmp_path):
    pd.DataFrame({"a": [1], "b": ["x"]}).to_parquet(tmp_path / "1.parquet")
    pd.DataFrame({"b": ["x"], "a": [2]}).to_parquet(tmp_path / "2.parquet")
    table = open_table(tmp_path)
    assert table.names == ["a", "b"] and table.column(0).whole()[0].tolist() == [1, 2]
    pd.DataFrame({"a": [None], "b": [None]}).to_parquet(tmp_path / "3.parquet")
    table = open_table(tmp_path)
    assert table.column(0).missing == 1 and table.column(1).labels() == LabelCounts({"x": 2}, 1)
    pd.DataFrame({"a": [1.5], "b": ["x"]}).to_parquet(tmp_path / "4.parquet")
    assert "column 'a' is int64 in 1.parquet and double in 4.parquet" in message(tmp_path)
    pd.DataFrame({"a": [1], "c": ["x"]}).to_parquet(tmp_path / "4.parquet")
    assert "4.parquet has no column 'b', which 1.parquet has" in message(tmp_path)
    pd.DataFrame({"a": [1], "b": ["x"], "c": ["x"]}).to_parquet(tmp_path / "4.parquet")
    assert "1.parquet has no column 'c', which 4.parquet has" in message(tmp_path)


def test_a_file_that_breaks_while_it_is_read(tmp_path):
    pq.write_table(pa.table({"a": np.arange(50_000.0)}), tmp_path / "x.parquet", use_dictionary=False)
    data = bytearray((tmp_path / "x.parquet").read_bytes())
    data[4:40_000] = b"\xff" * 39_996
    (tmp_path / "x.parquet").write_bytes(bytes(data))
    assert "cannot read x.parquet" in message(tmp_path / "x.parquet")
    good = open_table(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").unlink()
    with pytest.raises(DataError, match="cannot read"):
        good.column(0).whole()


def test_a_stream_can_be_read_once():
    stream = pa.table({"a": [1]}).to_reader()
    assert open_table(stream).rows == 1
    assert "reference is a stream without rows. A stream can be read once" in message(stream)


@pytest.mark.parametrize(
    "odd", [42, None, [1, 2], [], np.zeros(3), np.zeros((2, 2, 2)), {1}, b"x", {"a": [1], "b": [1, 2]}]
)
def test_what_is_no_table(odd):
    assert message(odd).startswith("reference ")


def test_arrays_of_different_length():
    assert "reference cannot be made a table" in message({"a": np.zeros(2), "b": np.zeros(3)})


def test_names_of_the_demo():
    table = open_table("demo:flights/july")
    assert table.rows > 20_000 and table.column(table.names.index("carrier")).kind == "categorical"


# Memory and threads


def test_parquet_comes_in_pieces(tmp_path):
    values = np.arange(3_000_000)
    pq.write_table(pa.table({"a": values}), tmp_path / "x.parquet", row_group_size=3_000_000)
    column = open_table(tmp_path / "x.parquet").column(0)
    sizes = [v.size for v, _ in column.numbers()]
    assert max(sizes) <= 2**21 and sum(sizes) == 3_000_000 and not column.in_memory
    assert np.array_equal(column.whole()[0], values)


def test_threads_read_at_once(every_source, people):
    table = open_table(every_source["glob"])
    wanted = {i: present(table.column(i)) for i in (0, 1, 4)}

    def read(i: int) -> bool:
        return np.array_equal(present(open_table(every_source["glob"]).column(i)), wanted[i]) and np.array_equal(
            present(table.column(i)), wanted[i]
        )

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(read, [0, 1, 4] * 8))


MEMORY = """
import sys
from pathlib import Path
from mlnb.data.tables import open_table
def peak():
    told = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in told if line.startswith("VmHWM"))) / 1024
import numpy as np, pyarrow.parquet, mlnb.data.kernels_cpu
table = open_table(sys.argv[1])
start = peak()
values = 0
for i in range(len(table.names)):
    column = table.column(i)
    if column.kind == "categorical":
        counted = column.labels(10_000)
        values += sum(counted.counts.values()) + counted.missing
    else:
        values += sum(v.size for v, _ in column.numbers())
        assert column.whole()[0].size == table.rows
print(start, peak(), values)
"""


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_parquet_of_any_size_takes_little_memory(tmp_path):
    """10 M rows × 20 columns, also as one row group: under 1 GB at the peak."""
    rows, rng = 10_000_000, np.random.default_rng(0)
    block = rows // 10
    words = pa.array([f"label {i}" for i in range(300)])
    names = [f"x{i}" for i in range(16)] + [f"s{i}" for i in range(4)]
    schema = pa.schema([(n, pa.float64() if n[0] == "x" else pa.string()) for n in names])
    for group in (1_000_000, 10_000_000):
        path = tmp_path / f"{group}.parquet"
        with pq.ParquetWriter(path, schema, compression="snappy") as writer:
            parts = []
            for _ in range(10):
                numbers = rng.normal(size=block)
                texts = words.take(pa.array(rng.integers(0, 300, block)))
                parts.append(pa.table([numbers + i for i in range(16)] + [texts] * 4, schema=schema))
                if group == block:
                    writer.write_table(parts.pop(), row_group_size=group)
            if parts:
                writer.write_table(pa.concat_tables(parts), row_group_size=group)
        del parts
        gc.collect()
        told = subprocess.run([sys.executable, "-c", MEMORY, str(path)], check=True, capture_output=True, text=True)
        start, peak, values = map(float, told.stdout.split())
        size = path.stat().st_size / 2**20
        print(f"row groups of {group:,}: {size:,.0f} MB file, {start:.0f} MB before, {peak:.0f} MB at the peak")
        assert values == rows * 20 and peak < 1000
        path.unlink()


# Dask


def test_dask_asks_once_for_many_columns(people, monkeypatch):
    import dask.base
    import dask.dataframe as dd

    from mlnb.data.dask_asking import together
    from mlnb.data.grid import bins_of, count_values, make_grid, sample_rows
    from mlnb.drifting.dask_side import DaskSide

    table = open_table(dd.from_pandas(people, npartitions=5))
    computed, compute = [], dask.base.compute
    monkeypatch.setattr(dask.base, "compute", lambda *a, **k: computed.append(len(a)) or compute(*a, **k))

    def work(i: int):
        column = table.column(i)
        if column.kind == "categorical":
            return column.labels()
        side = DaskSide(column)
        sample = side.sample(500)
        grid = make_grid(sample, side.kind, 200)
        wanted = np.arange(grid.size) % 3 == 0
        return sample, grid, side.count(grid), wanted, side.gather(grid, wanted)

    found = list(together([lambda i=i: work(i) for i in range(5)]))
    assert 3 <= len(computed) <= 4  # kinds, samples and labels, counts, values
    for i in (0, 1, 2, 4):
        sample, grid, counts, wanted, gathered = found[i]
        values, mask = open_table(people).column(i).whole()
        rows = sample_rows(ROWS, 500)
        assert np.array_equal(np.sort(sample), np.sort(table_parts.present(values[rows], mask)))
        whole = count_values(values, grid, mask)
        assert np.array_equal(counts.counts, whole.counts) and np.array_equal(counts.sums, whole.sums)
        assert counts.missing == whole.missing
        bins, _ = bins_of(values, grid, mask)
        assert np.array_equal(np.sort(gathered), np.sort(values[np.append(wanted, False)[bins]]))
    assert found[3].counts == people["town"].value_counts().to_dict()


@pytest.mark.parametrize("dtype", ["string[pyarrow]", "string", "object", pd.ArrowDtype(pa.null())])
@pytest.mark.parametrize("rows", [0, 2])
def test_a_column_without_values_has_no_label_and_only_missing_numbers(dtype, rows):
    series = pd.Series([None] * rows, dtype=dtype)
    for column in (open_table(series.to_frame("x")).column(0), open_table(pa.table({"x": pa.array(series)})).column(0)):
        assert column.kind == "empty" and column.labels() == column.labels(0) == LabelCounts({}, rows)
        chunks = list(column.numbers())
        assert sum(values.size for values, _ in chunks) == rows
        assert all(mask is None or mask.all() for _, mask in chunks) and sum(absent(*c) for c in chunks) == rows


@pytest.mark.parametrize("gone", [slice(0, 4), slice(4, 8), slice(0, 12)])
def test_dask_partitions_without_values_cost_no_column(gone):
    import dask.dataframe as dd

    frame = pd.DataFrame({"town": pd.array(["Cork", "Bern", "Cork", None] * 3, dtype="string[pyarrow]")})
    frame.loc[frame.index[gone], "town"] = None
    whole = dd.from_pandas(frame, npartitions=3)
    emptied = whole.dropna()  # one partition has no row at all
    for collection in (whole, emptied):
        column, truth = open_table(collection).column(0), collection.compute()["town"]
        assert column.labels() == LabelCounts(truth.value_counts().to_dict(), int(truth.isna().sum()))


def test_whole_numbers_above_the_exact_floats_compare_alike_from_every_source(tmp_path):
    import dask.dataframe as dd

    from mlnb.drifting.exact import ChunkSide, Prepared, solve
    from mlnb.drifting.plan import side_of

    rng = np.random.default_rng(0)
    first, second = 2**62 + rng.integers(0, 1000, 3000), 2**62 + rng.integers(100, 1000, 2500)
    rank = [np.searchsorted(np.sort(v), np.arange(2**62, 2**62 + 1000), side="right") for v in (first, second)]
    truth = int(np.abs(rank[0] * 2500 - rank[1] * 3000).max())  # reach: the distance times n·m
    frames = pd.DataFrame({"x": first}), pd.DataFrame({"x": second.astype(np.uint64)})
    beyond = frames[1].copy()
    beyond.loc[0, "x"] = 2**63 + 5  # does not fit: all are compared as floats

    def sources(frame, name):
        frame.to_parquet(tmp_path / f"{name}.parquet", row_group_size=700)
        pq.write_table(pa.table(frame), tmp_path / f"{name}0.parquet", write_statistics=False)
        collection = dd.from_pandas(frame, npartitions=3)
        opened = [frame, tmp_path / f"{name}.parquet", tmp_path / f"{name}0.parquet", collection]
        made = [side_of(open_table(source).column(0)) for source in opened]
        parts = np.array_split(frame["x"].to_numpy(), 4)
        return [
            *made,
            ChunkSide(lambda: ((p, None) for p in parts), len(frame), keep=0),
            Prepared(frame["x"].to_numpy()),
        ]

    here, there, far = (sources(f, n) for f, n in ((frames[0], "r"), (frames[1], "c"), (beyond, "b")))
    assert {solve(r, c).reach for r in here for c in there} == {truth}
    assert {solve(c, r).reach for r in here[:2] for c in there} == {truth}
    rounded = {solve(r, c).reach for r in here[:2] for c in far}
    assert len(rounded) == 1 and rounded != {truth}


def test_a_footer_tells_the_largest_unsigned_number(tmp_path):
    numbers = pa.array([1, None, 2**63 + 5, 7], pa.uint64())
    pq.write_table(pa.table({"a": numbers, "none": pa.nulls(4, pa.uint64())}), tmp_path / "u.parquet", row_group_size=1)
    table = open_table(tmp_path / "u.parquet")
    assert table.column(0).largest() == 2**63 + 5 and table.column(1).largest() == 0
    pq.write_table(pa.table({"a": numbers}), tmp_path / "v.parquet", write_statistics=False)
    assert open_table(tmp_path / "v.parquet").column(0).largest() is None


def test_one_poor_column_stops_no_other(people):
    import dask.dataframe as dd

    from mlnb.data.dask_asking import together

    far = people.assign(at=np.array(["2500-01-01"] * ROWS, dtype="datetime64[s]"))
    table = open_table(dd.from_pandas(far, npartitions=3))

    from mlnb.drifting.dask_side import DaskSide

    def work(i: int):
        try:
            return DaskSide(table.column(i)).sample(100).size
        except DataError as err:
            return str(err)

    found = list(together([lambda i=i: work(i) for i in (0, 4)]))
    assert isinstance(found[0], int) and "only the years 1678 to 2261 fit" in found[1]


def test_a_partition_that_cannot_be_computed_is_one_line(people):
    import dask.dataframe as dd

    def broken(part: pd.DataFrame) -> pd.DataFrame:
        if len(part) and part.index[0] > 0:
            raise OSError("the disk\nis on fire")
        return part

    table = dd.from_pandas(people, npartitions=3).map_partitions(broken, meta=people.head(0))
    assert "reference could not be computed by Dask: the disk" in message(table)


def slow_first(part: pd.DataFrame) -> pd.DataFrame:
    import time

    time.sleep(0.5)
    return part


@pytest.mark.long
def test_a_killed_worker_changes_nothing(people):
    """One of two worker processes is killed while the bins are counted; the counts are those of pandas, to the bit."""
    import dask.dataframe as dd
    from distributed import Client, LocalCluster

    from mlnb.data.grid import count_values, make_grid
    from mlnb.drifting.dask_side import DaskSide

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with cluster, Client(cluster) as client:
        parts = dd.from_pandas(people, npartitions=20).map_partitions(slow_first, meta=people.head(0))
        side = DaskSide(open_table(parts).column(0))
        grid = make_grid(side.sample(500), side.kind, 200)
        before = {worker["pid"] if isinstance(worker, dict) else worker for worker in client.run(os.getpid).values()}
        victim = sorted(before)[0]
        timer = threading.Timer(2.0, os.kill, (victim, signal.SIGKILL))
        timer.start()
        counts = side.count(grid)
        timer.join()
        after = set(client.run(os.getpid).values())
    assert victim not in after
    whole = count_values(people["paid"].to_numpy(), grid)
    assert np.array_equal(counts.counts, whole.counts) and np.array_equal(counts.sums, whole.sums)
    assert counts.missing == whole.missing == people["paid"].isna().sum()


# A GPU's arrays


class OnCard:
    """An array that only gives itself away on request, as CuPy's do."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.ndim, self.dtype, self.shape = values, values.ndim, values.dtype, values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key) -> OnCard:
        return OnCard(self.values[key])

    def get(self) -> np.ndarray:
        return self.values

    def __ne__(self, other) -> np.ndarray:
        return self.values != other.values

    __hash__ = None


def test_arrays_on_a_card_stay_there(monkeypatch):
    import types

    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(ndarray=OnCard))
    matrix = np.arange(6.0).reshape(3, 2)
    for source in (OnCard(matrix), {"x0": OnCard(matrix[:, 0]), "x1": OnCard(matrix[:, 1])}):
        table = open_table(source)
        column = table.column(1)
        assert table.names == ["x0", "x1"] and column.kind == "numeric" and column.rows == 3
        values, mask = column.device_array()
        assert isinstance(values, OnCard) and mask is None
        assert column.whole()[0].tolist() == [1, 3, 5] and column.labels().counts == {1.0: 1, 3.0: 1, 5.0: 1}
    assert open_table(pd.DataFrame({"a": [1]})).column(0).device_array() is None


def test_nothing_is_imported_to_find_out_what_it_is():
    code = (
        "import sys, numpy as np\nfrom mlnb.data.tables import open_table\n"
        "open_table({'a': np.arange(3)}).column(0).whole()\n"
        "print(*{'cupy', 'cudf', 'dask', 'polars', 'duckdb', 'numba', 'pyarrow.parquet'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


# Strings in Arrow's memory


def test_strings_of_any_length_are_counted_exactly():
    """Random strings of two letters, so that many share their first and last bytes, against Python's counting."""
    rng = np.random.default_rng(8)
    for longest in (1, 7, 8, 9, 16, 17, 40):
        words = ["".join(rng.choice(["a", "b"], rng.integers(0, longest + 1))) for _ in range(300)]
        words += [w + "\0" for w in words[:20]] + ["é" * (longest // 2), "a" * longest]
        picked = [words[i] if i % 11 else None for i in rng.integers(0, len(words), 6000)]
        wanted = pd.Series(picked).value_counts().to_dict()
        for dtype in (pa.string(), pa.large_string(), pa.string_view()):
            array = pa.array(picked, dtype)
            for part, of in ((array, wanted), (array.slice(777), pd.Series(picked[777:]).value_counts().to_dict())):
                column = only(pa.table({"x": part}))
                assert column.labels().counts == of and column.missing == sum(p is None for p in part.to_pylist())


def test_a_hash_that_fell_on_another_string_is_noticed():
    """Two strings of one length whose first and last words are equal are two labels."""
    data = np.frombuffer(b"same-startAsame-endXsame-startBsame-endX" * 2, np.uint8)
    offsets = np.arange(0, 81, 20, dtype=np.int32)
    first, counts, complete = count_strings(offsets, data, np.zeros(0, bool), 10)
    assert complete and first.tolist() == [0, 1] and counts.tolist() == [2, 2]
