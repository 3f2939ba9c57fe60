"""The drift check: real data, false alarms, power, rules, and frames as poor as they come."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlnb.core.charts import histogram_pair
from mlnb.core.checks import all_checks
from mlnb.core.errors import ArgumentError, DataError
from mlnb.core.result import Report, Status
from mlnb.core.settings import load_settings
from mlnb.drifting import columns as measuring
from mlnb.drifting import policy, stats
from mlnb.drifting.engine import drift as compare

SETTINGS = load_settings(environ={})
ALARMS = ("warn", "fail")


def drift(reference, current, **options) -> Report:
    return compare(reference, current, settings=SETTINGS, **options)


def by(report: Report, subject: str | None = None, method: str | None = None):
    return [
        r
        for r in report.results
        if (subject is None or r.subject == subject) and (method is None or r.method == method)
    ]


def one(report: Report, subject: str | None, method: str):
    found = [r for r in report.results if r.subject == subject and r.method == method]
    assert len(found) == 1, (subject, method, found)
    return found[0]


def alarmed(report: Report) -> set[str]:
    return {r.subject for r in report.results if r.subject is not None and r.status in ALARMS}


def sound(report: Report) -> None:
    """What holds for every report, whatever the data."""
    assert Report.from_json(report.to_json()) == report
    keys = [(r.subject, r.method) for r in report.results]
    assert len(keys) == len(set(keys))
    assert report.summary and len(report.summary) < 600
    for r in report.results:
        assert r.code.startswith("MLN-D0")
        assert r.status != Status.NOT_APPLICABLE or r.advice, r
        assert r.value is not None or r.status not in (Status.SKIPPED,), r
        assert r.status is not Status.ERROR or r.advice
        if r.status in ALARMS:
            assert r.advice or r.method == "chi_square", r
    for chart in report.charts:
        data = chart.data
        assert len(data["reference"]) == len(data["current"]) == len(data["labels"]) <= 20
        for side in ("reference", "current"):
            assert math.isclose(sum(data[side]), 1, abs_tol=2e-3), (chart.subject, data)
        assert histogram_pair(**data).startswith("<svg")


# Real data


def test_bike_drifts_where_it_must(bike):
    january = bike[bike["dteday"] < "2011-01-29"]
    july = bike[(bike["dteday"] >= "2011-07-01") & (bike["dteday"] < "2011-07-29")]
    report = drift(january, july, columns="temp,hum,hr,weekday,cnt,season")
    sound(report)
    assert {"temp", "cnt", "season"} <= alarmed(report) and not {"hr", "weekday"} & alarmed(report)
    assert one(report, "temp", "ks").value == pytest.approx(stats.ks(january["temp"], july["temp"]).statistic)
    assert one(report, "temp", "ks").evidence["direction"] == "higher"
    assert one(report, None, "drifted_share").status == "fail" and report.summary.startswith("4 of 6 columns drifted")


def test_adult_split_by_sex_and_at_random(adult):
    half = np.random.default_rng(4).random(len(adult)) < 0.5
    quiet = drift(adult[half], adult[~half])
    sound(quiet)
    assert quiet.summary == "No column drifted (14 judged)" and quiet.status == "pass"
    assert len(quiet.charts) == 14 and quiet.meta["rows_reference"] == int(half.sum())
    by_sex = drift(adult[adult["sex"] == "Male"], adult[adult["sex"] != "Male"])
    assert {"relationship", "sex", "occupation", "marital-status"} <= alarmed(by_sex)
    sex = one(by_sex, "sex", "new_categories")
    assert (
        sex.status == "fail"
        and sex.value == 1
        and sex.evidence["new"] == ["Female"]
        and sex.evidence["lost"] == ["Male"]
    )
    occupation = one(by_sex, "occupation", "psi")
    assert "Adm-clerical" in occupation.evidence["grew"] and "Craft-repair" in occupation.evidence["shrank"]


def test_values_are_those_of_the_statistics(adult):
    here, there = adult[:15_000], adult[adult["age"] > 30]
    report = drift(here, there)
    for name in ("age", "hours-per-week"):
        for method in ("ks", "psi", "js", "kl"):
            assert one(report, name, method).value == getattr(stats, method)(here[name], there[name]).statistic
        shift = stats.wasserstein(here[name], there[name])
        assert one(report, name, "wasserstein").value == pytest.approx(shift.normed, rel=1e-12)
        assert one(report, name, "wasserstein").evidence["raw"] == pytest.approx(shift.statistic, rel=1e-12)
    for method in ("psi", "total_variation", "js", "kl", "chi_square"):
        assert (
            one(report, "education", method).value
            == getattr(stats, method)(here["education"], there["education"]).statistic
        )


def test_one_outlier_changes_no_verdict(bike):
    here, there = bike[["temp", "hum", "cnt"]][:9000].astype(float), bike[["temp", "hum", "cnt"]][9000:].astype(float)
    clean = drift(here, there)
    for value in (1e6, -1e6, 1e300, math.inf):
        spoilt_here, spoilt_there = here.copy(), there.copy()
        spoilt_here.iloc[0] = value
        spoilt_there.iloc[5] = -value
        for report in (drift(spoilt_here, there), drift(here, spoilt_there)):
            judged = [(r.subject, r.method, r.status) for r in report.results if r.method in ("ks", "psi")]
            assert judged == [(r.subject, r.method, r.status) for r in clean.results if r.method in ("ks", "psi")]


# Chance


def frame_without_drift(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Columns that a naive policy alarms on: skewed, tied, rare levels, some values missing."""
    p = 1 / np.arange(1, 201) ** 1.3
    return pd.DataFrame(
        {
            "normal": rng.normal(size=n),
            "skewed": rng.lognormal(0, 2, n),
            "counts": rng.integers(0, 12, n),
            "mostly zero": np.where(rng.random(n) < 0.9, 0, rng.exponential(size=n)),
            "some missing": np.where(rng.random(n) < 0.08, np.nan, rng.normal(size=n)),
            "rare flag": rng.random(n) < 0.02,
            "rare levels": np.char.add("s", rng.choice(200, n, p=p / p.sum()).astype(str)),
            "forty levels": np.char.add("u", rng.integers(0, 40, n).astype(str)),
            "missing labels": np.where(rng.random(n) < 0.1, None, rng.choice(list("abcdefghij"), n).astype(object)),
        }
    )


SIZES = [(500, 500), (50, 5000), (5000, 50), (20, 20), (8, 8), (5, 400), (120, 100), (3000, 3000)]


@pytest.mark.parametrize("sizes", SIZES[:5])
def test_few_false_alarms(sizes):
    rng, rounds, alarms = np.random.default_rng(sum(sizes)), 25, 0
    for _ in range(rounds):
        alarms += len(alarmed(drift(*(frame_without_drift(rng, n) for n in sizes))))
    assert alarms <= 0.05 * rounds * 9


@pytest.mark.long
@pytest.mark.parametrize("sizes", SIZES)
def test_false_alarms_column_by_column(sizes):
    """Each column alone, where no other column helps: at most 5 %, within the error of the simulation."""
    rng, rounds = np.random.default_rng(sum(sizes)), 400
    alarms = dict.fromkeys(frame_without_drift(rng, 5), 0)
    for _ in range(rounds):
        here, there = (frame_without_drift(rng, n) for n in sizes)
        for name in alarms:
            alarms[name] += bool(alarmed(drift(here[[name]], there[[name]])))
    limit = 0.05 * rounds + 3 * math.sqrt(rounds * 0.05 * 0.95)
    assert max(alarms.values()) <= limit, alarms
    assert sum(alarms.values()) <= 0.05 * rounds * len(alarms)


@pytest.mark.parametrize("n", [500, 5000])
def test_real_drift_is_found(n):
    rng = np.random.default_rng(n)
    here, there = frame_without_drift(rng, n), frame_without_drift(rng, n)
    there["normal"] += 0.8
    there["skewed"] *= 3
    there["forty levels"] = np.where(rng.random(n) < 0.4, "u1", there["forty levels"])
    there.loc[rng.random(n) < 0.15, "some missing"] = np.nan
    there["rare levels"] = np.where(rng.random(n) < 0.12, "never seen", there["rare levels"])
    assert alarmed(drift(here, there)) == {"normal", "skewed", "forty levels", "some missing", "rare levels"}


def test_an_effect_that_chance_explains_passes_and_says_so():
    rng = np.random.default_rng(4)
    report = drift(pd.DataFrame({"x": rng.normal(size=25)}), pd.DataFrame({"x": rng.normal(0.3, 1, 25)}))
    psi = one(report, "x", "psi")
    assert psi.status == "pass" and psi.value > psi.threshold and psi.evidence["explained_by_chance"]
    assert {"warn", "critical", "p", "p_corrected", "explained_by_chance"} <= set(psi.evidence)


def test_a_million_rows_do_not_alarm_by_significance():
    rng = np.random.default_rng(3)
    report = drift(pd.DataFrame({"x": rng.normal(size=200_000)}), pd.DataFrame({"x": rng.normal(0.03, 1, 200_000)}))
    assert one(report, "x", "ks").evidence["p_corrected"] < 1e-6 and report.status == "pass"


def test_tests_of_one_column_share_their_allowance():
    columns = [
        policy.Column("a", 100, ("psi",), (), {"distance": 0.02, "missing": 0.5}),
        policy.Column("b", 100, ("ks",), (), {"distance": 0.9}),
    ]
    assert policy.corrected_pvalues(columns) == [{"distance": 0.08, "missing": 1.0}, {"distance": 0.9}]


# Rules


@pytest.fixture
def shifted():
    rng = np.random.default_rng(1)
    return pd.DataFrame({"x": rng.normal(size=2000)}), pd.DataFrame({"x": rng.normal(0.4, 1, 2000)})


def test_thresholds(shifted):
    assert one(drift(*shifted), "x", "ks").status == "warn"
    strict = one(drift(*shifted, thresholds={"ks_critical": 0.12}), "x", "ks")
    assert strict.status == "fail" and strict.threshold == 0.12
    for written in (
        "ks_warn=0.5, ks_critical=0.6",
        ["ks_warn=0.5", "ks_critical=0.6"],
        {"ks_warn": 0.5, "ks_critical": 0.6},
    ):
        assert one(drift(*shifted, thresholds=written), "x", "ks").status == "pass"
    own = load_settings(
        overrides={"drift.ks_warn": 0.3, "drift.ks_critical": 0.4, "drift.psi_warn": 3, "drift.psi_critical": 3}
    )
    assert compare(*shifted, settings=own).status == "pass"
    assert (
        len(one(drift(*shifted, thresholds="bins=4"), "x", "psi").evidence)
        and one(drift(*shifted, thresholds="bins=4"), "x", "psi").value
        == stats.psi(shifted[0]["x"], shifted[1]["x"], bins=4).statistic
    )


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("thresholds", {"psi_wran": 1}, "Did you mean 'psi_warn'?"),
        ("thresholds", "psi_warn", "has no value"),
        ("thresholds", "psi_warn=many", "threshold psi_warn"),
        ("thresholds", "psi_warn=nan", "threshold psi_warn"),
        ("thresholds", "ks_warn=2", "threshold ks_warn"),
        ("thresholds", {"ks_warn": 0.9}, "ks_critical lies below"),
        ("methods", "kss", "Did you mean 'ks'?"),
        ("methods", "missing", "always judges"),
        ("methods", [], "methods is empty"),
        ("columns", "y", "neither frame has a column 'y'"),
        ("columns", [], "columns is empty"),
    ],
)
def test_wrong_use_is_one_line(shifted, option, value, says):
    with pytest.raises(ArgumentError) as caught:
        drift(*shifted, **{option: value})
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_files(tmp_path, shifted):
    paths = tmp_path / "here.csv", tmp_path / "there.parquet"
    shifted[0].to_csv(paths[0], index=False)
    shifted[1].to_parquet(paths[1])
    assert drift(str(paths[0]), paths[1]).summary == "1 of 1 column drifted: x"
    with pytest.raises(DataError):
        drift(str(tmp_path / "nowhere.csv"), paths[1])


def test_methods(shifted):
    report = drift(*shifted, methods=["wasserstein", "js"])
    assert {r.method for r in by(report, "x") if r.status not in ("skipped",)} == {"wasserstein", "js"}
    sky = pd.DataFrame({"sky": list("aabbc") * 50})
    asked = drift(sky, sky, methods="ks")
    assert one(asked, "sky", "ks").status == "not_applicable" and "categories" in one(asked, "sky", "ks").advice
    square = one(drift(sky, pd.DataFrame({"sky": list("aaaac") * 50}), methods="chi_square"), "sky", "chi_square")
    assert square.status == "warn" and square.threshold is None


def test_dataset_verdict():
    rng = np.random.default_rng(1)
    here = pd.DataFrame(rng.normal(size=(600, 4)), columns=list("abcd"))
    for moved, status in ((1, "pass"), (2, "fail")):
        there = pd.DataFrame(rng.normal(size=(600, 4)), columns=list("abcd"))
        there.iloc[:, :moved] += 2
        whole = one(drift(here, there), None, "drifted_share")
        assert (whole.status, whole.value, whole.threshold) == (status, moved / 4, 0.5)
        assert (whole.evidence["drifted"], whole.evidence["judged"]) == (list("abcd")[:moved], 4)
        assert whole.evidence["retrain"] == list("abcd")[:moved] and "every feature" in whole.evidence["importance"]


def test_registered_for_every_code():
    codes = {code for code, check in all_checks().items() if check.function is compare}
    assert codes == {f"MLN-D{i:03d}" for i in (*range(22), *range(30, 47), 90)}


def test_a_broken_check_is_an_error_and_stops_nobody(shifted, monkeypatch):
    def broken(name, *rest):
        if name == "x":
            raise RuntimeError("the disk\nis on fire")
        return measuring.measure(name, *rest)

    monkeypatch.setattr("mlnb.drifting.lineup.measure", broken)
    here, there = (side.assign(y=side["x"]) for side in shifted)
    report = drift(here, there)
    sound(report)
    assert report.status == "error" and by(report, "x")[0].advice.startswith("The check broke: RuntimeError: the disk")
    assert one(report, "y", "ks").status == "warn" and "1 column broke the check: x" in report.summary


# Schema and types


def test_lost_added_and_double_columns():
    here = pd.DataFrame([[1, 2, 3, 4]] * 30, columns=["a", "b", "b", "old"])
    there = pd.DataFrame([[1, 2, 5]] * 30, columns=["a", "b", "new"])
    report = drift(here, there)
    sound(report)
    assert {r.subject: r.status for r in by(report, method="schema")} == {
        "b": "not_applicable",
        "old": "fail",
        "new": "warn",
    }
    assert report.summary == (
        "No column drifted (1 judged); 1 column lost: old; 1 column added: new; 1 column could not be judged: b"
    )


TYPES = {
    "numbers became text": ([1.5, 2.5], ["1.5", "2.5"], "fail"),
    "numbers became times": ([1.5, 2.5], pd.to_datetime(["2020-01-01", "2020-01-02"]), "fail"),
    "labels became truth": (["a", "b"], [True, False], "fail"),
    "truth became numbers": ([True, False], [1, 0], "warn"),
    "zone appeared": (pd.to_datetime(["2020-01-01"] * 2), pd.to_datetime(["2020-01-01T00:00Z"] * 2), "warn"),
    "whole numbers became fractions": ([1, 2], [1.0, 2.0], None),
    "labels became categorical": (["a", "b"], pd.Categorical(["a", "b"]), None),
    "integers became nullable": ([1, 2], pd.array([1, 2], dtype="Int64"), None),
    "values went missing": ([1, 2], [None, None], None),
}


@pytest.mark.parametrize("name", TYPES)
def test_types(name):
    here, there, status = TYPES[name]
    frames = (
        pd.DataFrame({"x": pd.Series(np.repeat(side, 40) if isinstance(side, list) else side.repeat(40))})
        for side in (here, there)
    )
    report = drift(*frames)
    sound(report)
    found = by(report, "x", "type")
    assert [r.status for r in found] == ([status] if status else [])
    if status != "fail":
        assert by(report, "x", "psi")


# Poor frames

N = 60
RNG = np.random.default_rng(9)
COLUMN = {
    "all missing floats": [math.nan] * N,
    "all missing objects": [None] * N,
    "all NaT": pd.Series([pd.NaT] * N),
    "all NA": pd.array([pd.NA] * N, dtype="Int64"),
    "one value, rest missing": [1.0] + [math.nan] * (N - 1),
    "constant number": [3.0] * N,
    "constant label": ["a"] * N,
    "constant truth": [True] * N,
    "constant time": pd.to_datetime(["2020-01-01"] * N),
    "two values": [0, 1] * (N // 2),
    "mixed types": [1, "a", 2.5, True, None, "b"] * (N // 6),
    "numbers and text": [1, "1"] * (N // 2),
    "nested lists": [[1, 2]] * N,
    "dicts": [{"a": 1}] * N,
    "sets": [{1}] * N,
    "tuples": [(1, 2)] * N,
    "complex": np.full(N, 1 + 2j),
    "bytes": [b"a", b"b"] * (N // 2),
    "objects": [object() for _ in range(N)],
    "Decimal": [Decimal("1.10"), Decimal("2.20")] * (N // 2),
    "Decimal NaN": [Decimal("NaN"), Decimal("2.20")] * (N // 2),
    "huge integers": [10**30, 10**31] * (N // 2),
    "int64 extremes": [-(2**63), 2**63 - 1] * (N // 2),
    "uint64 extremes": np.array([0, 2**64 - 1] * (N // 2), dtype="u8"),
    "nullable integers": pd.array([1, None, 3] * (N // 3), dtype="Int64"),
    "nullable truth": pd.array([True, None, False] * (N // 3), dtype="boolean"),
    "nullable text": pd.array(["a", None, "b"] * (N // 3), dtype="string"),
    "Arrow integers": pd.array([1, None, 3] * (N // 3), dtype="int64[pyarrow]"),
    "Arrow text": pd.array(["a", None, "b"] * (N // 3), dtype="string[pyarrow]"),
    "Arrow truth": pd.array([True, None, False] * (N // 3), dtype="bool[pyarrow]"),
    "Arrow times": pd.array([datetime(2020, 1, 1), None] * (N // 2), dtype="timestamp[us][pyarrow]"),
    "Arrow decimal": pd.Series(
        [Decimal("1.5"), None] * (N // 2), dtype=pd.ArrowDtype(__import__("pyarrow").decimal128(5, 2))
    ),
    "Arrow lists": pd.Series(
        [[1], [2]] * (N // 2), dtype=pd.ArrowDtype(__import__("pyarrow").list_(__import__("pyarrow").int64()))
    ),
    "Arrow null": pd.Series([None] * N, dtype=pd.ArrowDtype(__import__("pyarrow").null())),
    "sparse": pd.arrays.SparseArray([0.0] * (N - 1) + [1.0]),
    "categorical": pd.Categorical(["a", "b", None] * (N // 3), categories=["a", "b", "never"]),
    "ordered": pd.Categorical(["lo", "hi"] * (N // 2), ordered=True),
    "categorical numbers": pd.Categorical([1, 2] * (N // 2)),
    "categorical intervals": pd.cut(np.arange(N), 3),
    "naive times": pd.date_range("2020-01-01", periods=N),
    "aware times": pd.date_range("2020-01-01", periods=N, tz="Europe/Vienna"),
    "mixed zones": [datetime(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)] * (N // 2),
    "dates": [date(2020, 1, 1), date(2020, 2, 1)] * (N // 2),
    "far years": np.array(["2500-01-01", "1500-01-01"] * (N // 2), dtype="datetime64[s]"),
    "durations": pd.timedelta_range("1h", periods=N),
    "periods": pd.period_range("2020-01", periods=N, freq="M"),
    "intervals": pd.interval_range(0, N),
    "infinities": [math.inf, -math.inf, 0.0] * (N // 3),
    "only infinity": [math.inf] * N,
    "subnormal": [5e-324, 0.0] * (N // 2),
    "largest doubles": [1.7e308, -1.7e308] * (N // 2),
    "float16": np.ones(N, dtype="f2"),
    "long double": np.ones(N, dtype=np.longdouble),
    "ids": [f"id-{i}" for i in range(N)],
    "free text": [f"a long sentence about nothing in particular, number {i}" for i in range(N)],
    "empty strings": ["", " "] * (N // 2),
    "lone surrogate": ["\ud800", "b"] * (N // 2),
    "markup": ["<script>alert(1)</script>", "\x1b[31m"] * (N // 2),
    "very long labels": ["x" * 100_000, "y"] * (N // 2),
    "emoji and zero width": ["\u200b", "👩‍🔬"] * (N // 2),
}


@pytest.mark.parametrize("name", COLUMN)
def test_poor_columns(name):
    frame = pd.DataFrame({name: COLUMN[name], "good": RNG.normal(size=N)})
    for here, there in (
        (frame, frame),
        (frame, frame[:1]),
        (frame[:1], frame),
        (frame, frame.sample(N // 2, random_state=1)),
        (frame, frame[:0]),
    ):
        report = drift(here, there)
        sound(report)
        assert by(report, name) and not any(r.status == "error" for r in by(report, name)), by(report, name)
        if len(there) > 1:
            assert one(report, "good", "ks").status == "pass"
            assert len(here) == 1 or not alarmed(report), report.summary  # one row does not show that types are mixed
    other = frame.assign(**{name: frame["good"]})
    for here, there in ((frame, other), (other, frame)):
        report = drift(here, there)
        sound(report)
        assert not any(r.status == "error" for r in by(report, name))
        assert one(report, "good", "ks").status == "pass"


def empty() -> pd.DataFrame:
    return pd.DataFrame()


FRAMES = {
    "no columns": (empty(), empty()),
    "no columns but rows": (pd.DataFrame(index=range(5)), pd.DataFrame(index=range(5))),
    "nothing in common": (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    "no rows": (pd.DataFrame({"a": [], "b": []}), pd.DataFrame({"a": [], "b": []})),
    "one row": (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [2.0]})),
    "double names": (pd.DataFrame([[1, 2]], columns=["a", "a"]), pd.DataFrame([[1, 2]], columns=["a", "a"])),
    "number names": (pd.DataFrame({0: [1, 2], 1: [3, 4]}), pd.DataFrame({0: [1, 2], "1": [3, 4]})),
    "names of one text": (pd.DataFrame([[1, 2]], columns=[1, "1"]), pd.DataFrame({"1": [1]})),
    "missing names": (
        pd.DataFrame([[1, 2]], columns=[None, math.nan]),
        pd.DataFrame([[1, 2]], columns=[None, math.nan]),
    ),
    "tuple names": (pd.DataFrame({("a", 1): [1, 2]}), pd.DataFrame({("a", 1): [1, 2]})),
    "levels of names": tuple(
        pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])) for _ in "ab"
    ),
    "time names": tuple(pd.DataFrame([[1, 2]], columns=pd.to_datetime(["2020-01-01", "2020-01-02"])) for _ in "ab"),
    "empty name": (pd.DataFrame({"": [1, 2]}), pd.DataFrame({"": [1, 2]})),
    "double index": (
        pd.DataFrame({"a": [1.0, 2.0, None]}, index=[7, 7, 7]),
        pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=[0, 0, 1]),
    ),
    "strange index": (
        pd.DataFrame({"a": [1.0, 2.0]}, index=[None, "x"]),
        pd.DataFrame({"a": ["u", None]}, index=[math.nan, 1]),
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_poor_frames(name):
    here, there = FRAMES[name]
    for pair in ((here, there), (there, here)):
        report = drift(*pair)
        sound(report)
        assert all(r.status != "error" for r in report.results)
    if name.startswith("no "):
        assert report.status == "error" and report.results[0].status == "not_applicable"


def test_many_categories_do_not_take_long():
    codes = np.random.default_rng(0).permutation(300_000)
    frame = pd.DataFrame({"ids": codes.astype(str), "twice": (codes % 120_000).astype(str)})
    report = drift(frame, frame)
    sound(report)
    assert all(r.status == "not_applicable" and r.advice for r in by(report, method="psi"))


def test_constants():
    same = drift(pd.DataFrame({"n": [3.0] * 50, "c": ["a"] * 50}), pd.DataFrame({"n": [3.0] * 40, "c": ["a"] * 40}))
    assert same.status == "pass" and same.summary == "No column drifted (2 judged)"
    other = drift(pd.DataFrame({"n": [3.0] * 50, "c": ["a"] * 50}), pd.DataFrame({"n": [4.0] * 40, "c": ["b"] * 40}))
    assert alarmed(other) == {"n", "c"} and other.status == "fail"
    assert one(other, "n", "wasserstein").status == "not_applicable" and one(other, "n", "wasserstein").advice


def test_missing_share():
    here = pd.DataFrame({"x": [1.0, 2.0] * 500})
    for lost, status in ((5, "pass"), (20, "warn"), (80, "fail")):
        there = here.copy()
        there.iloc[:lost] = math.nan
        assert one(drift(here, there), "x", "missing").status == status
    there.iloc[:] = math.nan
    report = drift(here, there)
    assert one(report, "x", "missing").status == "fail" and one(report, "x", "ks").status == "not_applicable"
    assert drift(there, here).results[-1].status == "pass"


def test_times_are_compared_as_numbers():
    here = pd.DataFrame({"t": pd.date_range("2020-01-01", periods=500, freq="h")})
    there = pd.DataFrame({"t": pd.date_range("2021-01-01", periods=500, freq="h")})
    report = drift(here, there)
    assert one(report, "t", "ks").value == 1 and one(report, "t", "ks").evidence["direction"] == "later"
    assert one(report, "t", "wasserstein").evidence["raw"] == 366 * 86_400


def test_pictures_show_the_shape_beside_an_outlier():
    rng = np.random.default_rng(0)
    values = rng.normal(size=2000)
    spoilt = np.append(values, 1e12)
    data = drift(pd.DataFrame({"x": values}), pd.DataFrame({"x": spoilt})).charts[0].data
    assert max(data["reference"]) < 0.2 and sum(share > 0.01 for share in data["current"]) > 10


def test_quick_and_light():
    code = """
import sys, numpy as np, pandas as pd, mlnb
from helpers_work import calls_of
r = np.random.default_rng(0)
def frame(n):
    numbers = {f"x{i}": r.normal(size=n) for i in range(8)}
    return pd.DataFrame({**numbers, **{f"c{i}": r.choice(list("abcdef"), n) for i in range(4)}})
a, b = frame(10_000), frame(10_000)
report = mlnb.drift(a, b)
html = report.to_html()
heavy = [m for m in ("scipy.stats", "sklearn", "mlflow", "matplotlib", "evidently") if m in sys.modules]
assert not heavy, heavy
assert len(html) < 20_000, len(html)
large, small = calls_of(lambda: mlnb.drift(a, b)), calls_of(lambda: mlnb.drift(a[:5000], b[:5000]))
print(large, small)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parent
    ).stdout
    many, half = map(int, told.split())
    assert many < 85_000 and many - half < 5000, told  # no loop of Python's goes over the rows
