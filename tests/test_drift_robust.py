"""One value among 100,000 changes no verdict, however far it lies; where equal-width bins go blind, it is shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlnb.core.result import Report
from mlnb.core.settings import load_settings
from mlnb.drifting.engine import drift as compare

SETTINGS = load_settings(environ={})
ROWS = 100_000
FAR = (1e6, -1e6, 1e300, -1e300)


def drift(reference: pd.DataFrame, current: pd.DataFrame, **options) -> Report:
    return compare(reference, current, settings=SETTINGS, **options)


def states(report: Report) -> dict[tuple[str | None, str | None], str]:
    """The verdict of each column and method, and that of the data set."""
    assert not [r for r in report.results if r.status == "error"]
    return {(r.subject, r.method): str(r.status) for r in report.results}


def values(report: Report, *methods: str) -> dict[tuple[str | None, str | None], float]:
    return {(r.subject, r.method): r.value for r in report.results if r.method in methods}


def on_the_edge(result) -> bool:
    """Whether a value that judges lies within 0.5 % of one of its thresholds."""
    limits = [result.evidence.get(level) for level in ("warn", "critical")]
    return any(limit and abs(result.value / limit - 1) < 0.005 for limit in limits)


def samples(rng: np.random.Generator, n: int, moved: bool) -> dict[str, np.ndarray]:
    """Columns of many shapes; where `moved`, half of them have drifted, some to warn, some to fail."""
    far = 1.0 if moved else 0.0
    return {
        "normal": rng.normal(size=n),
        "normal, moved a little": rng.normal(0.3 * far, 1, n),
        "normal, moved far": rng.normal(1.0 * far, 1, n),
        "wider": rng.normal(0, 1 + 0.7 * far, n),
        "lognormal": rng.lognormal(0, 2, n),
        "lognormal, moved": rng.lognormal(0.7 * far, 2, n),
        "Cauchy": rng.standard_cauchy(n),
        "Pareto, moved": rng.pareto(0.3, n) * (1 + 9 * far),
        "uniform": rng.random(n),
        "counts": rng.poisson(20, n).astype(float),
        "counts, moved": rng.poisson(20 + 3 * far, n).astype(float),
        "whole numbers": rng.integers(0, 60, n),
        "whole numbers, moved": rng.integers(0, 60, n) + int(9 * far),
        "two decimals": rng.gamma(2, 30, n).round(2),
        "mostly zero": np.where(rng.random(n) < 0.9, 0.0, rng.exponential(size=n)),
        "mostly zero, moved": np.where(rng.random(n) < 0.9 - 0.2 * far, 0.0, rng.exponential(size=n)),
        "constant": np.full(n, 3.0),
        "two values": (rng.random(n) < 0.3 + 0.15 * far).astype(float),
        "far from zero": 1e9 + rng.normal(size=n),
        "small": 1e-12 * rng.normal(0.3 * far, 1, n),
        "two modes": np.where(rng.random(n) < 0.5, rng.normal(size=n), 1e5 + rng.normal(size=n)),
        "some missing": np.where(rng.random(n) < 0.05, np.nan, rng.normal(size=n)),
        "float32": rng.normal(0.4 * far, 1, n).astype(np.float32),
    }


def planted(frame: pd.DataFrame, value: float, row: int) -> pd.DataFrame:
    """The frame with one value replaced in each column; whole numbers stay whole where the value fits."""
    made = {}
    for name in frame:
        column = frame[name].to_numpy(copy=True)
        if column.dtype.kind in "iu" and abs(value) > 2**62:
            column = column.astype(float)
        if column.dtype == np.float32 and abs(value) > 3e38:
            column[row] = np.copysign(np.finfo(np.float32).max, np.float32(np.sign(value)))
        else:
            column[row] = value
        made[name] = column
    return pd.DataFrame(made)


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(11)
    return pd.DataFrame(samples(rng, ROWS, moved=False)), pd.DataFrame(samples(rng, ROWS, moved=True))


@pytest.fixture(scope="module")
def clean(pair):
    return drift(*pair)


def test_the_pair_has_every_verdict(clean):
    """Without columns that warn and fail, nothing below could change."""
    judged = [status for (_, method), status in states(clean).items() if method in ("ks", "psi")]
    assert min(judged.count(status) for status in ("pass", "warn", "fail")) >= 3


@pytest.mark.parametrize("value", FAR)
@pytest.mark.parametrize("side", ["reference", "current"])
def test_one_value_changes_no_verdict(pair, clean, side, value):
    here, there = pair
    spoilt = (planted(here, value, 77), there) if side == "reference" else (here, planted(there, value, 77))
    report = drift(*spoilt)
    assert states(report) == states(clean)
    before, after = values(clean, "ks", "psi", "js"), values(report, "ks", "psi", "js")
    assert {key: after[key] for key in before} == pytest.approx(before, rel=2e-3, abs=3e-4)


@pytest.mark.parametrize("value", FAR)
def test_one_value_on_both_sides_changes_no_verdict(pair, clean, value):
    assert states(drift(planted(pair[0], value, 5), planted(pair[1], -value, 99_999))) == states(clean)


@pytest.mark.parametrize("name", ["adult", "bike"])
def test_one_value_changes_no_verdict_of_real_frames(name, request):
    """Halves of a real frame at random (nothing drifts), and along it (much does): numeric columns, one value each.

    A value that already lies within 0.5 % of its threshold is left out: with under 9,000 rows a side any row, an
    ordinary one too, may move it across. There is one: PSI of the bike hires, 0.2503 against 0.25.
    """
    frame = request.getfixturevalue(name).select_dtypes("number")
    order = np.random.default_rng(3).permutation(len(frame))
    middle = len(frame) // 2
    for rows in (order, np.argsort(frame.iloc[:, 0].to_numpy(), kind="stable")):
        here, there = (frame.iloc[part].reset_index(drop=True) for part in (rows[:middle], rows[middle:]))
        before = drift(here, there)
        near = {(r.subject, r.method) for r in before.results if r.subject and on_the_edge(r)}
        assert len(near) <= 1
        for value in FAR:
            for spoilt in ((planted(here, value, 7), there), (here, planted(there, value, 7))):
                changed = states(drift(*spoilt)).items() ^ states(before).items()
                assert {key for key, _ in changed} <= near, value


def test_what_is_measured_is_able_to_change():
    """Equal-width bins between the least and the largest value lose the same drift to one outlier: the test above has
    something to find."""
    rng = np.random.default_rng(0)
    here, there = rng.normal(size=ROWS), rng.normal(0.3, 1, ROWS)
    found = []
    for reference in (here, np.append(here[1:], 1e6)):
        edges = np.histogram_bin_edges(np.concatenate([reference, there]), bins=10)
        p, q = (np.maximum(np.histogram(x, edges)[0] / ROWS, 1e-4) for x in (reference, there))
        found.append(float(np.sum((q - p) * np.log(q / p))))
    assert found[0] > 0.08 and found[1] < 0.03
