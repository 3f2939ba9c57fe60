"""Where a threshold lies inside what profiles prove, the column is read again, and nothing else."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

import mlnb
from mlnb.core.errors import ArgumentError, DataError
from mlnb.data import parquet_table
from mlnb.data.origin import origin_of
from mlnb.data.profile import Profile, checksum, load_profile, merge_all, profile_from_json

ROWS = 30_000


@pytest.fixture
def tables():
    """Two windows of three columns; the distance of the first one is known from SciPy."""
    rng = np.random.default_rng(11)
    first = pd.DataFrame({name: rng.normal(size=ROWS) for name in "abc"})
    second = pd.DataFrame({name: rng.normal(0.3, 1, ROWS) for name in "abc"})
    exact = {name: float(ks_2samp(first[name], second[name]).statistic) for name in "abc"}
    return first, second, exact


@pytest.fixture
def files(tables, tmp_path):
    """The first window as two files, the second as one."""
    first, second, _ = tables
    (tmp_path / "jan").mkdir()
    first.iloc[:20_000].to_parquet(tmp_path / "jan" / "1.parquet", row_group_size=5_000)
    first.iloc[20_000:].to_parquet(tmp_path / "jan" / "2.parquet")
    second.to_parquet(tmp_path / "feb.parquet")
    return tmp_path


@pytest.fixture
def reads(monkeypatch):
    """Names of the columns whose values are read from files, each time they are."""
    seen = []
    before = parquet_table.ParquetColumn.arrays

    def counted(self, *given, **named):
        seen.append(self.name)
        return before(self, *given, **named)

    monkeypatch.setattr(parquet_table.ParquetColumn, "arrays", counted)
    return seen


def tight(exact, *names):
    """Thresholds that lie within a hair of the truth, below it."""
    return {name: {"ks_warn": exact[name] - 1e-9, "ks_critical": 0.9} for name in names}


def ks(report, name="a"):
    return next(r for r in report.results if (r.subject, r.method) == (name, "ks"))


def test_only_the_open_column_is_read_again_and_then_exact(files, tables, reads):
    _, second, exact = tables
    kept = mlnb.profile(files / "jan" / "*.parquet")
    reads.clear()
    open_ = mlnb.drift(kept, second)
    assert not reads and "read_again" not in open_.meta  # every interval is on one side: nothing is read
    assert not ks(open_).exact and ks(open_).interval[0] <= exact["a"] <= ks(open_).interval[1]
    report = mlnb.drift(kept, second, thresholds=tight(exact, "a"))
    assert set(reads) == {"a"} and report.meta["read_again"] == ["a"]
    found = ks(report)
    assert found.exact and found.interval is None and found.value == pytest.approx(exact["a"], abs=1e-15)
    assert found.status == "warn" and "undecided" not in found.evidence
    assert found.evidence["refined"] == "exact, read again from 1.parquet and 1 more file"
    low, high = found.evidence["profiles_proved"]
    assert low <= found.value <= high and found.value - low < 2e-3
    assert not ks(report, "b").exact
    by_rows = mlnb.drift(files / "jan", second, thresholds=tight(exact, "a"))
    for r in by_rows.results:
        if r.subject == "a" and r.value is not None:
            same = next(s for s in report.results if (s.subject, s.method) == ("a", r.method))
            assert (same.value, same.status) == (r.value, r.status), r.method
            assert same.evidence.get("p") == r.evidence.get("p")


def test_a_threshold_above_is_settled_the_other_way(files, tables):
    _, second, exact = tables
    above = {"a": {"ks_warn": exact["a"] + 1e-9, "ks_critical": 0.9}}
    report = mlnb.drift(mlnb.profile(files / "jan"), second, thresholds=above)
    assert ks(report).exact and ks(report).status == "pass"


def test_two_profiles_are_both_read_again(files, tables, reads):
    _, _, exact = tables
    one = mlnb.profile(files / "jan").save(files / "jan.json")  # saved, and opened by path
    two = mlnb.profile(files / "feb.parquet", like=str(one)).save(files / "feb.json")
    reads.clear()
    report = mlnb.drift(str(one), str(two), thresholds=tight(exact, "b", "c"))
    assert set(reads) == {"b", "c"} and report.meta["read_again"] == ["b", "c"]
    for name in "bc":
        assert ks(report, name).exact and ks(report, name).value == pytest.approx(exact[name], abs=1e-15)
    assert ks(report, "b").evidence["refined"] == "exact, read again from 1.parquet and 1 more file and feb.parquet"
    (files / "feb.parquet").unlink()
    report = mlnb.drift(str(one), str(two), thresholds=tight(exact, "b"))
    assert not ks(report, "b").exact and "feb.parquet is gone. Give the current data itself" in ks(report, "b").advice


def test_changed_files_are_not_read_and_the_advice_says_what_to_give(files, tables, reads):
    first, second, exact = tables
    kept = load_profile(mlnb.profile(files / "jan").save(files / "jan.json"))
    path = files / "jan" / "2.parquet"
    stamp = path.stat()
    first.iloc[20_000:].sample(frac=1, random_state=1).to_parquet(path)
    reads.clear()
    report = mlnb.drift(kept, second, thresholds=tight(exact, "a"))
    found = ks(report)
    assert not reads and not found.exact and found.evidence["undecided"]
    assert "2.parquet has changed since. Give its rows as raw=" in found.advice
    first.iloc[20_000:].to_parquet(path)  # the same again, with another time: nobody knows, so it is not taken
    assert not ks(mlnb.drift(kept, second, thresholds=tight(exact, "a"))).exact
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert ks(mlnb.drift(kept, second, thresholds=tight(exact, "a"))).exact


def test_files_that_only_look_the_same_are_found_out(files, tables):
    """Same path, size and time, other rows: the exact number leaves what the profile proves."""
    _, second, exact = tables
    path = files / "feb.parquet"
    kept = mlnb.profile(path, bins=16)
    stamp = path.stat()
    (second + 5).to_parquet(path)
    raw = path.read_bytes()[: stamp.st_size]
    if len(raw) != stamp.st_size:
        pytest.skip("the other rows take fewer bytes here")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    if path.stat().st_size != stamp.st_size:
        object.__setattr__(kept.origin.files[0], "size", path.stat().st_size)
    first = tables[0]
    whole = mlnb.drift(kept, first)
    low, high = ks(whole).interval
    report = mlnb.drift(kept, first, thresholds={"a": {"ks_warn": (low + high) / 2, "ks_critical": 0.9}})
    assert not ks(report).exact and ks(report).interval == (low, high)
    assert "is not what was profiled" in ks(report).advice and exact


def test_rows_of_a_frame_are_handed_over(tables, reads):
    first, second, exact = tables
    kept = mlnb.profile(first)  # in memory: no path
    assert kept.origin is None
    report = mlnb.drift(kept, second, thresholds=tight(exact, "a"))
    assert not ks(report).exact and "was not made from files. Give its rows as raw=" in ks(report).advice
    report = mlnb.drift(kept, second, raw=first, thresholds=tight(exact, "a"))
    assert ks(report).exact and ks(report).evidence["refined"] == "exact, read again from the raw data that was given"
    assert ks(report).value == pytest.approx(exact["a"], abs=1e-15) and not ks(report, "b").exact


def test_rows_may_be_handed_over_as_a_path_and_are_read_by_column(files, tables, reads):
    first, second, exact = tables
    report = mlnb.drift(mlnb.profile(first), second, raw=files / "jan", thresholds=tight(exact, "c"))
    assert ks(report, "c").exact and set(reads) == {"c"}


def test_rows_that_cannot_be_those(tables):
    first, second, _ = tables
    kept = mlnb.profile(first)
    with pytest.raises(DataError, match="raw has 29,999 rows, the profile of the reference 30,000"):
        mlnb.drift(kept, second, raw=first.iloc[1:])
    with pytest.raises(ArgumentError, match="raw is a profile"):
        mlnb.drift(kept, second, raw=kept)
    with pytest.raises(ArgumentError, match="reference is no profile"):
        mlnb.drift(first, second, raw=first)
    with pytest.raises(DataError, match="no file"):
        mlnb.drift(kept, second, raw="nowhere.csv")


def test_a_method_that_needs_values_reads_them(files, tables, reads):
    from scipy.stats import energy_distance

    first, second, _ = tables
    kept = mlnb.profile(files / "jan")
    reads.clear()
    report = mlnb.drift(kept, second, methods="energy", columns="a")
    found = next(r for r in report.results if r.method == "energy")
    assert found.exact and set(reads) == {"a"} and found.evidence["refined"]
    by_rows = next(r for r in mlnb.drift(first, second, methods="energy", columns="a").results if r.method == "energy")
    assert found.value == by_rows.value and energy_distance(first["a"], second["a"]) > 0
    alone = mlnb.drift(mlnb.profile(first), second, methods="energy", columns="a")
    gone = next(r for r in alone.results if r.method == "energy")
    assert gone.status == "not_applicable" and "Give its rows as raw=" in gone.advice


def test_windows_against_a_profile_are_settled_too(files, tables):
    _, second, _ = tables
    second = second.assign(day=pd.date_range("2024-01-01", periods=ROWS, freq="min"))
    kept = mlnb.profile(files / "jan")
    first = tables[0]
    limit = float(ks_2samp(first["a"], second["a"].iloc[: 7 * 1440]).statistic) - 1e-9
    thresholds = {"a": {"ks_warn": limit, "ks_critical": 0.9}}
    report = mlnb.drift(kept, second, over="week", columns="a", thresholds=thresholds)
    weeks = {str(r.subject): r for r in report.results if r.method == "ks" and "·" in str(r.subject)}
    assert weeks["a · 2024-W01"].exact and weeks["a · 2024-W01"].value == pytest.approx(limit + 1e-9, abs=1e-15)
    assert weeks["a · 2024-W01"].status == "warn" and not weeks["a · 2024-W02"].exact


def test_what_is_stored_and_what_merging_keeps(files, tables):
    first, *_ = tables
    kept = mlnb.profile(files / "jan" / "*.parquet")
    stored = json.loads(kept.to_json())
    paths = [str(files / "jan" / f"{i}.parquet") for i in (1, 2)]
    stats = [os.stat(path) for path in paths]
    assert stored["files"] == [[p, s.st_size, str(s.st_mtime_ns)] for p, s in zip(paths, stats, strict=True)]
    assert profile_from_json(kept.to_json()).origin == kept.origin
    assert "files" not in json.loads(mlnb.profile(first).to_json())
    parts = [mlnb.profile(path, like=kept) for path in paths]
    whole = merge_all([parts[1], Profile(), parts[0]])
    assert whole.origin == kept.origin and merge_all([whole, mlnb.profile(first, like=kept)]).origin is None
    assert whole.subtract(parts[0]).origin is None and whole.select("a").origin == kept.origin
    del stored["files"]  # as files were before
    assert profile_from_json(json.dumps({**stored, "sha256": checksum(stored)})).origin is None
    for wrong in ({}, [], [[1, 2, "3"]], [["a", 1]], [["a", 1, "x"]], [["a", 2**60, "1"]]):
        stored["files"] = wrong
        with pytest.raises(DataError, match="the profile is damaged"):
            profile_from_json(json.dumps({**stored, "sha256": checksum(stored)}))


def test_merged_days_are_read_again_together(files, tables, reads):
    _, second, exact = tables
    days = [mlnb.profile(files / "jan" / f"{i}.parquet") for i in (1, 2)]  # unlike grids: wide intervals
    reads.clear()
    report = mlnb.drift(days[0].merge(days[1]), second, thresholds=tight(exact, "a"), columns="a")
    assert ks(report).exact and ks(report).value == pytest.approx(exact["a"], abs=1e-15) and set(reads) == {"a"}
    rows = mlnb.drift(files / "jan", second, columns="a")
    psi = [next(r for r in one.results if r.method == "psi") for one in (report, rows)]
    assert psi[0].exact and psi[0].value == psi[1].value


def test_what_is_no_file_has_no_origin(tmp_path, tables):
    first, *_ = tables
    for source in (first, first.to_numpy(), "demo:flights", "models:/late@champion", tmp_path / "no.csv", 7, []):
        assert origin_of(source) is None
    first.head(100).to_csv(tmp_path / "one.csv", index=False)
    assert origin_of(tmp_path / "one.csv").names == "one.csv"


def test_a_model_s_profile_keeps_no_path_that_looks_like_a_secret(tmp_path):
    from mlnb.tracking.profiles import without_secrets

    place = tmp_path / "ghp_0123456789abcdefABCDEF0123456789abcd.csv"
    pd.DataFrame({"ms": [1.0, 2.0]}).to_csv(place, index=False)
    kept = mlnb.profile(place)
    assert kept.origin is not None and without_secrets(kept).origin is None


def test_a_glob_of_csv_is_one_table_and_is_read_again(tables, tmp_path):
    first, second, exact = tables
    first[:20_000].to_csv(tmp_path / "1.csv", index=False, columns=["a", "b", "c"])
    first[20_000:].to_csv(tmp_path / "2.csv", index=False, columns=["c", "a", "b"])
    kept = mlnb.profile(tmp_path / "*.csv")
    assert kept.rows == ROWS and kept.names == ["a", "b", "c"] and len(kept.origin.files) == 2
    report = mlnb.drift(kept, second, thresholds=tight(exact, "a"))
    assert ks(report).exact and ks(report).value == pytest.approx(exact["a"], abs=1e-15)
    by_list = mlnb.drift([tmp_path / "1.csv", tmp_path / "2.csv"], second, columns="a")
    assert ks(by_list).value == ks(report).value
    first[:5].rename(columns={"a": "z"}).to_csv(tmp_path / "3.csv", index=False)
    with pytest.raises(DataError, match=r"has no column '[az]'"):
        mlnb.profile(tmp_path / "*.csv")
    first[:5].to_parquet(tmp_path / "4.parquet")
    with pytest.raises(DataError, match="no Parquet file"):
        mlnb.profile(tmp_path / "*")
