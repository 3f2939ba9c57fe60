"""Thresholds learned from a reference's own blocks of time: what is promised, what is refused, how it is kept."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from mlnb.core.errors import ArgumentError, DataError, FileError
from mlnb.core.settings import load_settings
from mlnb.drifting import policy, stats
from mlnb.drifting.calibrated import as_thresholds, load_calibration
from mlnb.drifting.calibration import CAP, _enough, _reach, calibrate
from mlnb.drifting.methods import given, measure_pair

SETTINGS = load_settings(environ={})


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    """40 weeks: one column that follows the sun, one that does not, a category, a column with few missing values."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=40 * 7 * 20, freq="72min")
    sun = np.sin(np.arange(days.size) / days.size * 2 * np.pi)
    frame = pd.DataFrame({"day": days, "temp": 10 * sun + rng.normal(0, 3, days.size)})
    frame["load"] = rng.normal(size=days.size)
    frame["kind"] = rng.choice(list("abc"), days.size)
    frame["gaps"] = np.where(rng.random(days.size) < 0.05, np.nan, rng.normal(size=days.size))
    return frame


@pytest.fixture(scope="module")
def usual(year):
    return calibrate(year, time="day", settings=SETTINGS)


def alarms(reference: pd.DataFrame, current: pd.DataFrame, thresholds, names) -> list[str]:
    """Columns of numbers that alarm, by the policy itself."""
    rules, columns = policy.with_thresholds(SETTINGS.drift, thresholds), []
    for name in names:
        r, c = stats.prepare(reference[name]), stats.prepare(current[name])
        measures = tuple(measure_pair(given(r, c, "numbers", rules), ("ks", "psi")))
        columns.append(policy.Column(name, r.rows, ("ks", "psi"), measures, {"distance": stats.ks(r, c).pvalue or 0.0}))
    return policy.drifted_columns(policy.judge(columns, rules))


def weeks(frame: pd.DataFrame, time: str) -> np.ndarray:
    return pd.factorize(pd.to_datetime(frame[time]).dt.to_period("W"), sort=True)[0]


def test_a_season_gets_thresholds_of_its_own(year, usual):
    own = usual.thresholds
    assert 0.5 < own["temp"]["ks_warn"] < own["temp"]["ks_critical"] < 1
    assert "missing_warn" not in own.get("load", {}) and usual.blocks == 40
    weekly = weeks(year, "day")
    names = ["temp", "load", "gaps"]
    plain = [alarms(year[weekly != w], year[weekly == w], None, names) for w in range(40)]
    calm = [alarms(year[weekly != w], year[weekly == w], usual, names) for w in range(40)]
    assert sum("temp" in found for found in plain) > 30
    assert sum(map(bool, calm)) <= 2
    broken = year[weekly == 7].assign(temp=99.0, load=lambda f: f["load"] + 2)
    assert alarms(year, broken, usual, names) == ["temp", "load"]  # what was never there still alarms


FAULTS = {
    "stuck": ("hum", lambda column: column * 0 + column.iloc[0]),
    "dead": ("hum", lambda column: column * 0.0),
    "Fahrenheit": ("temp", lambda column: column * 41 * 1.8 + 32),
    "Celsius": ("temp", lambda column: column * 41),
    "knots": ("windspeed", lambda column: column * 3.6),
}


def halves(year: pd.DataFrame):
    """Every other week as the reference, and the other whole weeks; then the other way round."""
    weekly = weeks(year, "dteday")
    sizes = np.bincount(weekly)
    for first in (0, 1):
        held = np.flatnonzero((np.arange(sizes.size) % 2 != first) & (sizes > 0.9 * np.median(sizes)))
        yield year[weekly % 2 == first], [year[weekly == w] for w in held]


def test_bike_rentals_every_other_week(bike):
    """Few of the other weeks alarm in any of 16 columns; what is broken is found in nearly all of them."""
    year = bike[bike["yr"] == 0]
    names = [c for c in year if c != "dteday"]
    calm, found, held = 0, dict.fromkeys(FAULTS, 0), 0
    for reference, others in halves(year):
        usual = calibrate(reference, time="dteday", settings=SETTINGS)
        assert set(usual.not_judged) == {(c, m) for c in ("instant", "mnth") for m in ("ks", "psi")}
        held += len(others)
        calm += sum(bool(alarms(reference, week, usual, names)) for week in others)
        for fault, (name, broken) in FAULTS.items():
            found[fault] += sum(
                bool(alarms(reference, week.assign(**{name: broken(week[name])}), usual, [name])) for week in others
            )
    print(f"{calm} of {held} weeks alarm; faults found: {found}")
    assert held == 50 and calm <= 0.05 * held
    assert min(found.values()) >= 0.95 * held


def test_bike_rentals_held_out_weeks(bike):
    """Calibrated on every other week of 2011, on the columns that no calendar determines."""
    names = ["hr", "weekday", "weathersit", "temp", "hum", "windspeed", "cnt"]
    year = bike[bike["yr"] == 0][["dteday", *names]]
    weekly = weeks(year, "dteday")
    sizes = np.bincount(weekly)
    learned, held = (
        np.flatnonzero((np.arange(sizes.size) % 2 == i) & (sizes > 0.9 * np.median(sizes))) for i in (0, 1)
    )
    reference = year[np.isin(weekly, learned)]
    usual = calibrate(reference, time="dteday", settings=SETTINGS)
    before = [alarms(reference, year[weekly == w], None, names) for w in held]
    after = [alarms(reference, year[weekly == w], usual, names) for w in held]
    print(
        f"{len(held)} held-out weeks: {sum(map(bool, before))} alarm without, {sum(map(bool, after))} with calibration"
    )
    print(f"cells: {sum(map(len, before))} and {sum(map(len, after))} of {len(held) * len(names)}")
    assert sum(map(len, after)) <= 0.05 * len(held) * len(names) and len(held) >= 20
    assert sum(map(bool, before)) > 0.8 * len(held)
    assert not any({"hr", "weekday"} & set(found) for found in after)


@pytest.mark.long
def test_bike_rentals_every_week_left_out_once(bike):
    """At most 5 % of the weeks raise any alarm in any of 16 columns."""
    year = bike[bike["yr"] == 0]
    names, weekly = [c for c in year if c != "dteday"], weeks(year, "dteday")
    sizes = np.bincount(weekly)
    held = np.flatnonzero(sizes > 0.9 * np.median(sizes))
    found = {}
    for w in held:
        reference = year[weekly != w]
        usual = calibrate(reference, time="dteday", settings=SETTINGS)
        found[int(w)] = alarms(reference, year[weekly == w], usual, names)
    print({w: names for w, names in found.items() if names})
    assert sum(map(bool, found.values())) <= 0.05 * len(held)


# The estimator --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", [8, 12, 19, 40, 100])
def test_a_further_block_passes_the_reach_as_rarely_as_promised(blocks):
    rng = np.random.default_rng(blocks)
    passed = [rng.exponential() > _reach(rng.exponential(size=blocks), 0.05) for _ in range(4000)]
    assert np.mean(passed) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)


def test_the_reach_is_an_order_statistic():
    assert _reach(np.arange(39.0), 0.05) == 37.0 and _reach(np.arange(19.0), 0.05) == 18.0
    assert _reach(np.arange(10.0), 0.05) == 9.0 + math.log(1 / (0.05 * 11))
    assert _reach(np.full(40, -np.inf), 0.05) == -math.inf


@pytest.mark.parametrize("blocks, columns", [(8, 1), (26, 1), (26, 12), (52, 12)])
def test_what_is_enough_holds_for_exponential_tails(blocks, columns):
    """A further block passes quantile + reach × mean excess in any of so many independent columns."""
    rng = np.random.default_rng(blocks)
    values = rng.exponential(size=(3000, columns, blocks))
    high = np.quantile(values, 0.8, axis=2, keepdims=True, method="lower")
    above = values > high
    excess = ((values - high) * above).sum(axis=2) / above.sum(axis=2)
    limits = high[:, :, 0] + _enough(blocks, columns, 0.05) * excess
    passed = (rng.exponential(size=limits.shape) > limits).any(axis=1).mean()
    assert 0.02 < passed < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 3000)


def test_one_odd_week_of_a_quiet_column_leaves_the_others_their_ears():
    rng = np.random.default_rng(5)
    weekly = np.repeat(np.arange(30), 100)
    frame = pd.DataFrame({"busy": rng.normal(0, 0.5, 30)[weekly] + rng.normal(size=3000)})
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(3000) * 7 * 24 / 100, unit="h")
    frame["quiet"] = np.tile(np.arange(100), 30) % 10
    without = calibrate(frame, time="day", settings=SETTINGS).thresholds["busy"]
    odd = frame.assign(quiet=np.where(weekly == 12, 9, frame["quiet"]))
    with_one = calibrate(odd, time="day", settings=SETTINGS)
    assert with_one.thresholds["busy"]["ks_warn"] < 0.9 and with_one.thresholds["busy"]["psi_warn"] < 5
    assert without["ks_warn"] <= with_one.thresholds["busy"]["ks_warn"]
    assert alarms(odd, odd[weekly == 3].assign(busy=50.0), with_one, ["busy"]) == ["busy"]


@pytest.mark.parametrize("method, top", [("ks", 1.0), ("psi", 8.3), ("js", 1.0)])
def test_no_threshold_is_out_of_reach(year, method, top):
    wild = year.assign(temp=year["temp"] * np.where(weeks(year, "day") % 5 == 0, 3, 1))
    found = calibrate(wild, time="day", methods=method, settings=SETTINGS)
    for row in found.learned:
        if row.method == method:
            assert row.judges and row.warn <= CAP * top + 0.02 and row.warn <= row.critical < top + 0.02
    days = year.assign(number=np.arange(len(year)))
    deaf = calibrate(days, time="day", columns="number", methods="psi", settings=SETTINGS)
    assert deaf.not_judged == (("number", "psi"),) and "number by psi" in str(deaf)
    assert deaf.thresholds["number"]["psi_warn"] > 16  # nothing passes it


def test_many_columns_do_not_make_many_alarms():
    rng = np.random.default_rng(3)
    names = [f"c{i}" for i in range(12)]
    quarters = np.repeat(np.arange(44), 60)
    level = rng.normal(size=(44, 12)).cumsum(axis=0) * 0.0 + rng.normal(0, 0.5, (44, 12))  # every week has its own
    frame = pd.DataFrame(level[quarters] + rng.normal(size=(quarters.size, 12)), columns=names)
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(quarters.size) * 7 * 24 / 60, unit="h")
    first = frame[quarters < 30]
    usual = calibrate(first, time="day", settings=SETTINGS)
    later = [alarms(first, frame[quarters == w], usual, names) for w in range(30, 44)]
    assert sum(map(bool, later)) <= 2
    assert sum(bool(alarms(first, frame[quarters == w], None, names)) for w in range(30, 44)) >= 10


def test_thresholds_never_fall_below_the_defaults_unless_asked(year, usual):
    for row in usual.learned:
        assert row.warn >= row.default_warn and row.critical >= row.default_critical and row.critical >= row.warn
    quiet = calibrate(year, time="day", columns="load", floor=False, settings=SETTINGS)
    assert min(row.warn / row.default_warn for row in quiet.learned if row.method != "missing") < 2
    stable = year.assign(load=np.tile(np.arange(140), 40))
    assert calibrate(stable, time="day", columns=["load"], settings=SETTINGS).thresholds == {}
    low = calibrate(stable, time="day", columns=["load"], floor=False, settings=SETTINGS).thresholds["load"]
    assert low["ks_warn"] < 0.1


def test_own_defaults_and_methods(year):
    some = calibrate(
        year, time="day", columns="temp,kind", methods="js,total_variation,ks:evidently", settings=SETTINGS
    )
    assert {(r.column, r.method) for r in some.learned} == {
        ("temp", "js"),
        ("temp", "total_variation"),
        ("temp", "missing"),
        ("kind", "js"),
        ("kind", "total_variation"),
        ("kind", "missing"),
        ("kind", "new_categories"),
    }
    strict = calibrate(year, time="day", columns="load", thresholds="ks_warn=0.01,ks_critical=0.02", settings=SETTINGS)
    assert next(r for r in strict.learned if r.method == "ks").default_warn == 0.01


# What is refused ------------------------------------------------------------------------------------------------------


def test_fewer_than_eight_blocks_are_refused(year):
    with pytest.raises(DataError, match="7 blocks of a week; fewer than 8"):
        calibrate(year[: 7 * 140], time="day", settings=SETTINGS)
    assert calibrate(year[: 8 * 140], time="day", settings=SETTINGS).blocks == 8
    with pytest.raises(DataError, match="0 blocks"):
        calibrate(year[:0], time="day", settings=SETTINGS)


@pytest.mark.parametrize(
    "given_, error, said",
    [
        ({"time": "dya"}, ArgumentError, "Did you mean 'day'"),
        ({"time": "load"}, DataError, "holds no times"),
        ({"time": "kind"}, DataError, "holds no times"),
        ({"time": "day", "block": "wek"}, ArgumentError, "Did you mean 'week'"),
        ({"time": "day", "columns": "tmep"}, ArgumentError, "Did you mean 'temp'"),
        ({"time": "day", "methods": "kss"}, ArgumentError, "no drift method"),
        ({"time": "day", "rate": 0}, ArgumentError, "no share"),
        ({"time": "day", "rate": True}, ArgumentError, "no share"),
    ],
)
def test_what_cannot_be(year, given_, error, said):
    with pytest.raises(error, match=said):
        calibrate(year, settings=SETTINGS, **given_)


def test_columns_that_cannot_be_calibrated_are_named(year):
    odd = year.assign(none=None, ids=[f"id{i}" for i in range(len(year))], text="some words here and " + year["kind"])
    odd = pd.concat([odd, year[["load"]]], axis=1)
    left_out = dict(calibrate(odd, time="day", settings=SETTINGS).left_out)
    assert {"none", "ids", "load"} <= set(left_out) and "several columns" in left_out["load"]


def test_cut_blocks_at_the_ends_are_left_out(year):
    some = calibrate(year[60:-30], time="day", columns="load", settings=SETTINGS)
    assert some.blocks == 38 and [why for _, why in some.left_out] == ["too few rows"] * 2
    texts = year.assign(day=year["day"].dt.strftime("%Y-%m-%d"))
    assert calibrate(texts, time="day", columns="load", settings=SETTINGS).blocks == 40
    zoned = year.assign(day=year["day"].dt.tz_localize("Asia/Tokyo"))
    assert calibrate(zoned, time="day", columns="load", settings=SETTINGS).blocks == 40


def test_whatever_holds_the_reference(year, usual, tmp_path, monkeypatch):
    import dask.dataframe as dd
    import pyarrow as pa

    from mlnb.data import frames

    (tmp_path / "parts").mkdir()
    cut = np.array_split(np.arange(len(year)), 3)
    for i, rows in enumerate(cut):
        year.iloc[rows].to_parquet(tmp_path / "parts" / f"{i}.parquet", index=False)
    sources = {
        "glob": str(tmp_path / "parts" / "*.parquet"),
        "folder": tmp_path / "parts",
        "files": sorted((tmp_path / "parts").glob("*.parquet")),
        "arrow": pa.table(year),
        "dask": dd.from_pandas(year, npartitions=3),
    }

    def whole(*_, **__):
        raise AssertionError("the whole table was read into memory")

    for name in ("ParquetTable", "DaskTable", "ArrowTable"):
        module = {"P": "parquet_table", "D": "dask_table", "A": "arrow_table"}[name[0]]
        monkeypatch.setattr(f"mlnb.data.{module}.{name}.frame", whole)
    monkeypatch.setattr(frames, "read_frame", whole)
    for name, source in sources.items():
        made = calibrate(source, time="day", settings=SETTINGS)
        assert made == usual, name
    with pytest.raises(DataError, match="no file matches"):
        calibrate(str(tmp_path / "none" / "*.parquet"), time="day", settings=SETTINGS)


# How it is kept -------------------------------------------------------------------------------------------------------


def test_saved_and_read_back(usual, tmp_path):
    path = usual.save(tmp_path / "usual.json")
    assert load_calibration(path) == usual == as_thresholds(str(path)) == as_thresholds(path)
    assert as_thresholds("psi_warn=0.2") == "psi_warn=0.2" and as_thresholds(None) is None
    assert usual.to_frame().shape == (len(usual.learned), 10)
    assert "temp" in repr(usual) and "40 blocks of a week" in str(usual)
    with pytest.raises(ValueError, match="frozen"):
        usual.rate = 0.5


def test_a_broken_file_is_refused(usual, tmp_path):
    path = usual.save(tmp_path / "usual.json")
    text = path.read_text()
    content = json.loads(text)
    for wrong in (
        text[:-20],
        "[]",
        '{"version": 1}',
        json.dumps({**content, "version": 2}),
        json.dumps({**content, "rate": 3}),
        json.dumps({**content, "more": 1}),
        "\x00",
    ):
        path.write_text(wrong)
        with pytest.raises(FileError):
            load_calibration(path)
    with pytest.raises(FileError):
        load_calibration(tmp_path / "nowhere.json")


NOT_LEVELS = [float("nan"), float("inf"), -1.0, -1e-9]


@pytest.mark.parametrize("wrong", [*({name: x} for name in ("warn", "critical") for x in NOT_LEVELS), {"warn": 1e9}])
def test_thresholds_that_could_not_judge_are_refused(usual, tmp_path, wrong):
    path = usual.save(tmp_path / "usual.json")
    content = json.loads(path.read_text())
    content["learned"][0] |= wrong
    path.write_text(json.dumps(content))
    with pytest.raises(FileError, match=r"is no calibration: learned\.0") as caught:
        load_calibration(path)
    assert "\n" not in str(caught.value)


def test_a_file_made_to_break_the_reader_is_one_line(usual, tmp_path, monkeypatch):
    path = usual.save(tmp_path / "usual.json")
    content = json.loads(path.read_text())
    for wrong in (
        "[" * 200_000,
        '{"a":' * 200_000,
        json.dumps({**content, "rows": -1}),
        '{"rows": ' + "9" * 9999 + "}",
    ):
        path.write_text(wrong)
        with pytest.raises(FileError, match="is no calibration") as caught:
            load_calibration(path)
        assert "\n" not in str(caught.value)
    monkeypatch.setattr("mlnb.drifting.calibrated.MOST_FILE", 1 << 20)
    path.write_text(" " * (1 << 20) + json.dumps(content))
    with pytest.raises(FileError, match="more than 1 MiB"):
        load_calibration(path)
