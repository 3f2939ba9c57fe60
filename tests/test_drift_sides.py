"""Sides of a comparison that are no frames: profiles, saved ones, files; what they cannot do is said in one line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlnb.core.errors import ArgumentError
from mlnb.core.settings import load_settings
from mlnb.drifting import stats
from mlnb.drifting.catalogue import DISTANCES, METHODS
from mlnb.drifting.engine import drift as compare
from mlnb.drifting.profiling import profile

SETTINGS = load_settings(environ={})
RNG = np.random.default_rng(5)
WINTER = pd.DataFrame({"temp": RNG.normal(0, 1, 20_000), "calls": RNG.poisson(3, 20_000), "sky": ["a", "b"] * 10_000})
SPRING = pd.DataFrame(
    {"temp": RNG.normal(0.3, 1, 9_000), "calls": RNG.poisson(4, 9_000), "sky": ["a", "c", "b"] * 3_000}
)


def drift(*sides, **options):
    return compare(*sides, settings=SETTINGS, **options)


def numbers(report):
    return {(r.subject, r.method): r for r in report.results if r.subject}


TRUTH = numbers(drift(WINTER, SPRING))


@pytest.mark.parametrize("side", ["reference", "current", "both", "saved", "unlike grids", "prepared"])
def test_a_profile_stands_for_the_data(side, tmp_path):
    like = profile(WINTER)
    sides = {
        "reference": (like, SPRING),
        "current": (WINTER, profile(SPRING)),
        "both": (like, profile(SPRING, like=like)),
        "saved": (str(like.save(tmp_path / "winter.json")), profile(SPRING, like=str(tmp_path / "winter.json"))),
        "unlike grids": (like, profile(SPRING)),
        "prepared": (profile(WINTER, exact=True), SPRING),
    }[side]
    found = numbers(drift(*sides))
    assert found.keys() == TRUTH.keys()
    for key, r in found.items():
        truth = TRUTH[key]
        assert r.status == truth.status, (key, r, truth)
        if r.interval:
            assert not r.exact and r.interval[0] - 1e-12 <= truth.value <= r.interval[1] + 1e-12, (key, r, truth)
        elif r.value is not None:
            assert r.value == pytest.approx(truth.value, rel=1e-9, abs=1e-12), key
    assert found["sky", "psi"].exact and (side != "prepared" or all(r.exact for r in found.values()))
    if side in ("reference", "both", "saved", "prepared"):
        assert found["temp", "psi"].exact and found["temp", "psi"].value == TRUTH["temp", "psi"].value


def test_a_far_profile_is_still_bounded():
    """The raw side has a grid of its own, so that a shift by five deviations leaves a finite, narrow interval."""
    there = pd.DataFrame({"temp": RNG.normal(5, 1, 20_000)})
    psi = numbers(drift(WINTER[["temp"]], profile(there)))["temp", "psi"]
    truth = stats.psi(WINTER["temp"], there["temp"]).statistic
    low, high = psi.interval or (psi.value - 1e-9, psi.value + 1e-9)
    assert psi.status == "fail" and low <= truth <= high and high - low < 0.05 * truth


def test_ties_are_exact_against_raw_values():
    ks = numbers(drift(profile(WINTER), SPRING))["calls", "ks"]
    assert ks.exact and ks.value == pytest.approx(TRUTH["calls", "ks"].value, abs=1e-15)


def test_windows_are_held_against_a_profile():
    days = pd.date_range("2024-03-04", periods=len(SPRING), freq="10min")
    by_frame = drift(WINTER, SPRING.assign(day=days), over="week")
    by_profile = drift(profile(WINTER), SPRING.assign(day=days), over="week")
    frames, profiles = ({k: r.status for k, r in numbers(report).items()} for report in (by_frame, by_profile))
    assert frames == profiles and any("2024-W10" in k[0] for k in frames)


@pytest.mark.parametrize(
    ("sides", "options", "said"),
    [
        (("profile", "frame"), {"by": "sky"}, "a profile has no rows to cut"),
        (("profile", "profile"), {"over": 1000}, "a profile has no rows to cut"),
        (("profile", "frame"), {"examples": 2}, "a profile has no rows to show"),
        (("frame", "frame"), {"columns": 5}, "columns=5 are no names"),
        (("frame", "frame"), {"methods": 7}, "methods=7 are no names"),
        (("frame", "frame"), {"by": 7}, "by=7 names no column"),
        (("frame", "frame"), {"time": "day"}, "time='day' is for windows"),
        (("frame", "frame"), {"examples": 9}, "9 examples cannot be shown"),
        (("frame", "frame"), {"engine": "tpu"}, "there is no engine 'tpu'"),
    ],
)
def test_what_cannot_be_is_one_line(sides, options, said):
    given = {"profile": (profile(WINTER), profile(SPRING)), "frame": (WINTER, SPRING)}
    with pytest.raises(ArgumentError, match=said) as e:
        drift(given[sides[0]][0], given[sides[1]][1], **options)
    assert e.value.hint and "\n" not in str(e.value)


def test_parquet_and_arrow_say_the_same(tmp_path):
    import pyarrow as pa

    for name, frame in (("winter", WINTER), ("spring", SPRING)):
        for i, part in enumerate(np.array_split(np.arange(len(frame)), 3)):
            frame.iloc[part].to_parquet(tmp_path / f"{name}-{i}.parquet", row_group_size=1500)
    globbed = numbers(drift(str(tmp_path / "winter-*.parquet"), str(tmp_path / "spring-*.parquet")))
    streamed = numbers(drift(pa.Table.from_pandas(WINTER), str(tmp_path / "spring-*.parquet")))
    for found in (globbed, streamed):
        assert {k: (r.status, r.value) for k, r in found.items()} == {k: (r.status, r.value) for k, r in TRUTH.items()}


def test_the_gpu_that_is_not_there_is_one_line():
    from mlnb.drifting.kernels_gpu import available

    if available()[0]:
        pytest.skip("there is a GPU")
    report = drift(WINTER, SPRING, engine="gpu")
    assert report.meta["engine"] == "numpy" and report.meta["engine_chosen"].startswith("no GPU (")


MOVED = {"x": RNG.normal(1, 2.5, 3000), "t": RNG.choice(["a", "b"], 3000, p=[0.4, 0.6])}
STILL, HELD = ({"x": RNG.normal(0, 1, 3000), "t": RNG.choice(["a", "b"], 3000, p=[0.7, 0.3])} for _ in range(2))


@pytest.mark.parametrize("method", DISTANCES)
def test_every_method_judges_when_it_is_asked(method):
    """Each alarms in every column of its form that moved much, by its own test too, and in none that did not."""
    forms = METHODS[method].forms
    columns = {name for name, form in (("x", "numbers"), ("t", "categories")) if form in forms}
    for there, alarmed in ((MOVED, columns), (STILL, set())):
        found = numbers(drift(pd.DataFrame(HELD), pd.DataFrame(there), methods=method))
        bad = {name for (name, asked), r in found.items() if asked == method and r.status in ("warn", "fail")}
        assert bad == alarmed


@pytest.mark.parametrize("rows", [3_000, 600_000])
def test_large_whole_numbers_have_no_tenths_and_say_so(rows):
    """Beyond 2**53 floats cannot tell neighbours apart: KS stays exact, bins are not computable, nothing is silent."""
    here = RNG.integers(0, 1000, rows)
    large = [pd.DataFrame({"id": np.uint64(2**63) + side.astype(np.uint64)}) for side in (here, here + 100)]
    found = numbers(drift(*large))
    near = numbers(drift(*(pd.DataFrame({"id": side.astype(float)}) for side in (here, here + 100))))
    assert found["id", "ks"].status == "warn" and found["id", "ks"].value == near["id", "ks"].value
    assert found["id", "psi"].status == "not_applicable" and "subtract a constant" in found["id", "psi"].advice
    assert near["id", "psi"].value > 0.1


def test_the_median_of_far_integers_is_no_wrapped_sum():
    ends = np.array([-(2**63) + 1, 2**63 - 1] * 500)
    report = numbers(drift(pd.DataFrame({"x": ends}), pd.DataFrame({"x": ends[:600]})))
    first = next(r for (name, _), r in report.items() if name == "x" and "median" in r.evidence)
    assert all(abs(m) < 1e4 for m in first.evidence["median"])
