"""The statistics of drift against SciPy and independent formulas, and their laws."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.core.errors import DataError
from mlnb.drifting import pvalues, stats
from mlnb.drifting.stats import chi_square, cut, hellinger, js, kl, ks, prepare, psi, total_variation, wasserstein

BINNED = {"psi": psi, "js": js, "kl": kl, "hellinger": hellinger, "total_variation": total_variation}


def close(mine: float, theirs: float, rel: float) -> bool:
    return math.isclose(mine, theirs, rel_tol=rel, abs_tol=1e-300)


def shares_by_hand(reference, current) -> tuple[np.ndarray, np.ndarray]:
    """Bins by the definition, counted value by value with comparisons only."""
    missing = [pd.isna(pd.Series(side)).to_numpy() for side in (reference, current)]
    if pd.api.types.is_numeric_dtype(pd.Series(reference)) and not pd.api.types.is_bool_dtype(pd.Series(reference)):
        r, c = (np.asarray(side, dtype=float) for side in (reference, current))
        edges = sorted(set(np.quantile(r[~missing[0]], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]).tolist()))
        bounds = list(zip([-np.inf, *edges], [*edges, np.inf], strict=True))
        counts = [[int(((x >= a) & ((x < b) | (b == np.inf))).sum()) for a, b in bounds] for x in (r, c)]
    else:
        values = [
            [v for v, gone in zip(side, m, strict=True) if not gone]
            for side, m in zip((reference, current), missing, strict=True)
        ]
        labels = sorted(set(values[0]) | set(values[1]), key=str)
        counts = [[v.count(label) for label in labels] for v in values]
    sides = []
    for count, gone in zip(counts, missing, strict=True):
        share = [max(k / len(gone), 1e-4) for k in [*count, int(gone.sum())]]
        sides.append(np.array(share) / math.fsum(share))
    return sides[0], sides[1]


def check_binned(reference, current) -> None:
    p, q = shares_by_hand(reference, current)
    m = (p + q) / 2
    expected = {
        "psi": math.fsum((q - p) * np.log(q / p)),
        "js": math.sqrt(max(0.0, math.fsum(p * np.log2(p / m)) / 2 + math.fsum(q * np.log2(q / m)) / 2)),
        "kl": math.fsum(q * np.log(q / p)),
        "hellinger": math.sqrt(math.fsum((np.sqrt(p) - np.sqrt(q)) ** 2) / 2),
        "total_variation": math.fsum(abs(p - q)) / 2,
    }
    for name, value in expected.items():
        mine = BINNED[name](reference, current).statistic
        # near zero the sums cancel: an absolute 1e-15 under the root of js is 3e-8
        tolerance = 1e-7 if name == "js" and value < 1e-4 else 1e-12
        assert math.isclose(mine, value, rel_tol=tolerance, abs_tol=1e-14 if name != "js" else 1e-8), name


def check_against_scipy(reference, current) -> None:
    from scipy import stats as scipy_stats
    from scipy.spatial.distance import jensenshannon

    r, c = (np.asarray(side, dtype=float) for side in (reference, current))
    r, c = r[~np.isnan(r)], c[~np.isnan(c)]
    exact = max(r.size, c.size) <= 10_000 if r.size == c.size else r.size * c.size <= 1_000_000
    mine, theirs = ks(reference, current), scipy_stats.ks_2samp(r, c, method="exact" if exact else "asymp")
    assert close(mine.statistic, theirs.statistic, 1e-12)
    assert close(mine.pvalue, theirs.pvalue, 1e-9)
    assert close(wasserstein(reference, current).statistic, scipy_stats.wasserstein_distance(r, c), 1e-10)
    square = chi_square(reference, current)
    table = np.array([square.bins.reference, square.bins.current])
    theirs = scipy_stats.chi2_contingency(table[:, table.sum(axis=0) > 0], correction=False)
    assert close(square.statistic, theirs.statistic, 1e-12) and square.freedom == theirs.dof
    assert close(square.pvalue, theirs.pvalue, 1e-9)
    p, q = shares_by_hand(reference, current)
    assert math.isclose(js(reference, current).statistic, jensenshannon(p, q, base=2), rel_tol=1e-10, abs_tol=1e-7)
    check_binned(reference, current)


RNG = np.random.default_rng(20)
NAN = RNG.normal(size=900)
NAN[RNG.random(900) < 0.2] = np.nan
PAIRS = {
    "two rows": ([1.0, 2.0], [1.0, 3.0]),
    "one row": ([1.0], [2.0, 3.0, 4.0]),
    "same": ([3.0, 1.0, 2.0], [1.0, 2.0, 3.0]),
    "normal": (RNG.normal(size=1000), RNG.normal(0.2, 1.1, 800)),
    "equal sizes": (RNG.normal(size=500), RNG.normal(size=500)),
    "heavy ties": (RNG.integers(0, 6, 5000), RNG.integers(0, 7, 3000)),
    "mostly zero": (np.where(RNG.random(4000) < 0.9, 0, RNG.exponential(size=4000)), RNG.exponential(size=300)),
    "missing": (NAN, RNG.normal(size=700)),
    "missing both": (NAN, np.where(RNG.random(600) < 0.5, np.nan, RNG.normal(size=600))),
    "constant": ([5.0] * 50, [5.0] * 40),
    "constants differ": ([5.0] * 50, [6.0] * 40),
    "disjoint": (RNG.normal(size=300), RNG.normal(size=200) + 100),
    "far offset": (1e9 + RNG.normal(size=2000), 1e9 + RNG.normal(0.1, 1, 2100)),
    "lognormal": (RNG.lognormal(0, 5, 3000), RNG.lognormal(0.2, 5, 2500)),
    "outlier": (np.append(RNG.normal(size=999), 1e300), RNG.normal(size=1000)),
    "subnormal": (RNG.integers(0, 9, 50) * 5e-324, RNG.integers(0, 9, 40) * 5e-324),
    "float32": (RNG.normal(size=500).astype("f4"), RNG.normal(size=400).astype("f4")),
    "small against large": (RNG.normal(size=7), RNG.normal(size=20_000)),
    "beyond the exact p": (RNG.normal(size=10_001), RNG.normal(0.02, 1, 9000)),
    "large": (RNG.normal(size=200_000), RNG.normal(0.004, 1, 150_000)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_agrees_with_scipy(name):
    reference, current = PAIRS[name]
    if name == "outlier":  # a sum of 1e300 and small numbers: only the order of summation differs
        assert ks(reference, current).statistic < 0.1 and wasserstein(reference, current).statistic > 1e296
        return check_binned(reference, current)
    check_against_scipy(reference, current)


def test_a_million_rows():
    rng = np.random.default_rng(1)
    reference, current = rng.normal(size=1_000_000), rng.normal(0.003, 1, 1_000_000).round(3)
    check_against_scipy(reference, current)


def test_adult_numbers(adult):
    for column in ("age", "education-num", "capital-gain", "hours-per-week"):
        check_against_scipy(adult[column][:20_000], adult[column][20_000:])
        check_against_scipy(adult[column][adult["sex"] == "Male"][:9000], adult[column][adult["sex"] != "Male"])


def test_adult_categories(adult):
    from scipy.stats import chi2_contingency

    for column in ("workclass", "education", "occupation", "native-country"):
        reference, current = adult[column][:5000], adult[column][adult["race"] != "White"]
        check_binned(reference.tolist(), current.tolist())
        both = pd.concat([reference, current])
        table = pd.crosstab(np.repeat([0, 1], [len(reference), len(current)]), both.to_numpy()).to_numpy()
        mine, theirs = chi_square(reference, current), chi2_contingency(table, correction=False)
        assert close(mine.statistic, theirs.statistic, 1e-12) and close(mine.pvalue, theirs.pvalue, 1e-9)


def test_bike(bike):
    january, rest = bike[bike["dteday"] < "2011-01-29"], bike[bike["dteday"] >= "2011-06-01"]
    for column in ("temp", "hum", "windspeed", "hr", "cnt"):
        check_against_scipy(january[column], rest[column])


def test_unseen_and_missing_categories():
    reference, current = ["a"] * 60 + ["b"] * 30 + [None] * 10, ["a"] * 50 + ["c"] * 45 + [float("nan")] * 5
    check_binned(reference, current)
    found = cut(reference, current)
    assert found.labels == ("a", "c", "b") and found.reference.tolist() == [60, 0, 30, 10]
    assert found.current.tolist() == [50, 45, 0, 5]


@pytest.mark.parametrize("n", [1, 2, 3, 9, 40, 139, 140, 141, 600, 1000, 1001, 20_000, 100_000, 100_001, 500_000])
def test_kolmogorov_distribution(n):
    from scipy.stats import kstwo

    deviations = (
        [0.3, 0.868, 1.49, 3, 17]
        if n > 200_000
        else [0.02, 0.1, 0.3, 0.5, 0.8, 0.868, 0.87, 1, 1.3, 1.48, 1.49, 1.8, 2, 2.3, 3, 4.2, 4.3, 7, 12, 17, 19, 19.3]
    )
    places = [t / n for t in (0.4, 0.5, 0.51, 0.7, 1.0, 1.2, n - 1, n - 0.5, n)] + [0.49, 0.5, 0.7]
    for d in [*(v / math.sqrt(n) for v in deviations), *places]:
        if 0 < d <= 1:
            assert math.isclose(pvalues.kolmogorov_pvalue(n, d), kstwo.sf(d, n), rel_tol=1e-9, abs_tol=1e-305), d


@pytest.mark.parametrize(
    "sizes", [(1, 7), (5, 8), (30, 29), (300, 123), (2000, 1999), (9999, 300), (9999, 1000), (10_000, 2500)]
)
@pytest.mark.parametrize("deviations", [0.4, 0.9, 1.7, 3.9, 4.1, 8, 14, 18])
def test_exact_pvalue(sizes, deviations):
    from scipy.stats._stats_py import _attempt_exact_2kssamp

    n, m = sizes
    common = math.gcd(n, m)
    steps = max(1, round(deviations * math.sqrt((n + m) / (n * m)) * (n * m // common)))
    if steps <= n * m // common:
        theirs = _attempt_exact_2kssamp(n, m, common, steps * common / (n * m), "two-sided")[2]
        assert math.isclose(pvalues.ks_pvalue(steps * common, n, m, exact=True), theirs, rel_tol=1e-9, abs_tol=1e-305)


@pytest.mark.parametrize("sizes", [(10_000, 10_000), (10_000, 9_990), (1000, 1000), (1001, 1000), (300, 20_000)])
def test_which_pvalue(sizes):
    """Exact where that is quick, else the one of n·m/(n+m) values."""
    from scipy.stats.distributions import kstwo

    n, m = sizes
    reach = n * m // 50 // math.gcd(n, m) * math.gcd(n, m)
    other = kstwo.sf(reach / (n * m), round(n * m / (n + m)))
    quick = n * m <= 1_000_000 or (n == m and n <= 10_000)
    assert math.isclose(pvalues.ks_pvalue(reach, n, m), other, rel_tol=1e-9) != quick
    assert math.isclose(pvalues.ks_pvalue(reach, n, m, exact=quick), pvalues.ks_pvalue(reach, n, m), rel_tol=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("sizes", [(10_000, 9999), (10_000, 10_000), (9973, 9001), (10_000, 5000), (5000, 168)])
def test_exact_pvalue_large(sizes):
    for deviations in (0.3, 1, 2, 3.9, 4.1, 6, 10, 15, 18.5):
        test_exact_pvalue(sizes, deviations)


def test_pvalue_counts_interleavings():
    """Every interleaving of 4 and 3 values, one by one."""
    from itertools import combinations

    reaches = []
    for places in combinations(range(7), 3):
        second = np.isin(np.arange(7), places)
        reaches.append(int(np.abs(np.cumsum(~second) * 3 - np.cumsum(second) * 4).max()))
    for reach in set(reaches):
        share = sum(r >= reach for r in reaches) / len(reaches)
        assert math.isclose(pvalues.ks_pvalue(reach, 4, 3), share, rel_tol=1e-12)


def test_infinities_and_missing():
    inf = math.inf
    assert ks([-inf, 0, inf], [0, 1, 2]).statistic == pytest.approx(1 / 3)
    assert ks([1.0, None, 2.0], [1.0, 2.0, math.nan]).statistic == 0
    assert wasserstein([0.0, inf], [1.0, inf]).statistic == 0.5
    assert wasserstein([-inf, 0.0], [0.0, inf]).statistic == inf
    assert wasserstein([0.0, 1.0, 2.0, 3.0, inf], [1.0]).statistic == inf
    infinite = cut([-inf, 0, 1, 2, 3, 4, 5, 6, 7, inf], [inf, math.nan])
    assert infinite.edges is not None and np.isfinite(infinite.edges).all() and infinite.current[-2:].tolist() == [1, 1]
    assert wasserstein([1.0, 1.0], [2.0]).normed is None


def test_outlier_moves_nothing():
    """One value of 1e6 in 100,000 rows hides a shift from equal-width bins; not from these."""
    rng = np.random.default_rng(5)
    reference, current = rng.normal(size=100_000), rng.normal(0.3, 1, 100_000)
    clean = [f(reference, current).statistic for f in (ks, psi, js, kl, total_variation)]
    reference[0] = 1e6
    spoilt = [f(reference, current).statistic for f in (ks, psi, js, kl, total_variation)]
    assert np.allclose(clean, spoilt, rtol=1e-3)


EXACT = {
    "int64 beyond floats": ([2**62, 2**62 + 1], [2**62 + 2, 2**62 + 3], 1.0),
    "int64 extremes": ([-(2**63), 2**63 - 1], [-(2**63), 2**63 - 1], 0.0),
    "uint64": (np.array([2**64 - 1], "u8"), np.array([2**64 - 2], "u8"), 1.0),
    "nullable": (pd.Series([1, 2, None], dtype="Int64"), [1, 2], 0.0),
    "arrow": (pd.Series([1.5, None], dtype="float64[pyarrow]"), [1.5], 0.0),
    "decimal": ([Decimal("1.5"), Decimal("2.5")], [1.5, 2.5], 0.0),
    "booleans": ([True, False, None], [0, 1], 0.0),
    "times": (pd.to_datetime(["2020-01-01", "2020-01-02"]), pd.to_datetime(["2020-01-03"]), 1.0),
    "zones": (pd.to_datetime(["2020-01-01T00:00Z"]), pd.to_datetime(["2020-01-01T01:00+01:00"]), 0.0),
    "dates": ([date(2020, 1, 1)], [datetime(2020, 1, 1)], 0.0),
    "units": (pd.Series(pd.to_datetime(["2020-01-01"])).astype("datetime64[s]"), pd.to_datetime(["2020-01-01"]), 0.0),
    "durations": (pd.to_timedelta(["1h", "2h"]), pd.to_timedelta(["3h", "4h"]), 1.0),
    "signed zero": ([0.0], [-0.0], 0.0),
    "masked": (np.ma.array([1.0, 9.0], mask=[0, 1]), [1.0], 0.0),
    "sparse": (pd.Series(pd.arrays.SparseArray([0.0, 1.0])), [0, 1], 0.0),
}


@pytest.mark.parametrize("name", EXACT)
def test_dtypes(name):
    reference, current, distance = EXACT[name]
    reference = pd.Series(reference) if isinstance(reference, pd.Index) else reference
    current = pd.Series(current) if isinstance(current, pd.Index) else current
    assert ks(reference, current).statistic == distance


def test_widths_of_large_integers():
    assert wasserstein([-(2**63), 0], [2**63 - 1, 0]).statistic == 2.0**63
    assert (
        wasserstein(pd.to_datetime(["2020-01-01"]).to_series(), pd.to_datetime(["2020-01-02"]).to_series()).statistic
        == 86_400
    )


def test_numbers_and_labels_together():
    assert cut([True, False], [0, 1, 1]).labels == (True, False) or cut([True, False], [0, 1, 1]).labels == (1, 0)
    assert set(cut(["1", "2"], [1, 2]).labels or ()) == {"1", "2", 1, 2}
    assert psi(pd.Categorical(["a", "b"]), ["a", "b"]).statistic == 0


@pytest.mark.parametrize(
    "bad",
    [
        [[1], [2]],
        [{}],
        np.array([1 + 2j]),
        [b"a"],
        "text",
        np.zeros((2, 2)),
        3,
        pd.Series(pd.period_range("2020", periods=2, freq="M")),
    ],
)
def test_what_cannot_be_compared(bad):
    with pytest.raises(DataError):
        prepare(bad)


def test_wrong_use():
    for function, reference, current in [
        (ks, ["a"], [1]),
        (ks, [], [1]),
        (wasserstein, [None], [1.0]),
        (psi, [], [1]),
        (psi, [1], []),
    ]:
        with pytest.raises(DataError):
            function(reference, current)
    with pytest.raises(DataError, match="times"):
        ks(pd.Series(pd.to_datetime(["2020-01-01"])), [1])
    with pytest.raises(DataError, match="cannot be read"):
        ks(np.array(["2500-01-01"], dtype="datetime64[s]"), np.array(["2500-01-01"], dtype="datetime64[s]"))


NUMBERS = st.lists(
    st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6), st.just(math.nan)), min_size=1, max_size=60
).filter(lambda values: not all(map(math.isnan, values)))
LABELS = st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS, st.randoms(use_true_random=False))
def test_laws_of_numbers(reference, current, random):
    here, back = ks(reference, current), ks(current, reference)
    assert here.statistic == back.statistic and math.isclose(here.pvalue, back.pvalue, rel_tol=1e-9)
    assert 0 <= here.statistic <= 1 and 0 <= here.pvalue <= 1
    assert ks(reference, reference).statistic == 0 == wasserstein(reference, reference).statistic
    assert wasserstein(reference, current).statistic == pytest.approx(
        wasserstein(current, reference).statistic, rel=1e-12
    )
    shuffled = random.sample(current, len(current))
    for function in (ks, wasserstein, chi_square, *BINNED.values()):
        assert function(reference, shuffled).statistic == function(reference, current).statistic
    for name in ("js", "hellinger", "total_variation"):
        assert 0 <= BINNED[name](reference, current).statistic <= 1
    assert psi(reference, current).statistic >= 0 and kl(reference, current).statistic >= 0


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS)
def test_monotone_maps_leave_ks_alone(reference, current):
    r, c = np.array(reference), np.array(current)
    ranks = np.unique(np.concatenate([r, c])[~np.isnan(np.concatenate([r, c]))])
    mapped = [np.where(np.isnan(x), np.nan, np.exp(np.searchsorted(ranks, x) / 10.0)) for x in (r, c)]
    assert ks(*mapped) == ks(r, c)
    assert ks(-r, -c).statistic == ks(r, c).statistic


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS)
def test_small_samples_agree_with_scipy(reference, current):
    from scipy.stats import ks_2samp, wasserstein_distance

    r, c = (np.array([v for v in side if not math.isnan(v)]) for side in (reference, current))
    mine = ks(reference, current)
    assert close(mine.statistic, ks_2samp(r, c).statistic, 1e-12)
    assert math.isclose(
        wasserstein(reference, current).statistic, wasserstein_distance(r, c), rel_tol=1e-10, abs_tol=1e-9
    )
    check_binned(reference, current)


@settings(max_examples=60, deadline=None)
@given(LABELS, LABELS)
def test_laws_of_labels(reference, current):
    check_binned(reference, current)
    renamed = [[None if v is None else f"level {v}" for v in side] for side in (reference, current)]
    for function in (chi_square, *BINNED.values()):
        assert math.isclose(
            function(*renamed).statistic, function(reference, current).statistic, rel_tol=1e-9, abs_tol=1e-12
        )
    for name in ("psi", "js", "hellinger", "total_variation"):
        assert math.isclose(
            BINNED[name](reference, current).statistic, BINNED[name](current, reference).statistic, abs_tol=1e-12
        )


def test_benjamini_hochberg():
    from scipy.stats import false_discovery_control

    rng = np.random.default_rng(2)
    for n in (1, 2, 7, 100):
        p = rng.random(n).round(2)
        assert np.allclose(pvalues.benjamini_hochberg(p), false_discovery_control(p), rtol=1e-12)


def test_hypergeometric():
    from scipy.stats import fisher_exact

    for k, marked, n, m in [(9, 10, 500, 500), (0, 3, 10, 20), (3, 3, 10, 20), (40, 60, 80, 70), (1, 1, 1, 1)]:
        table = [[k, m - k], [marked - k, n - (marked - k)]]
        assert math.isclose(
            pvalues.hypergeometric_pvalue(k, marked, n, m), fisher_exact(table, "greater")[1], rel_tol=1e-9
        )
        assert math.isclose(
            pvalues.hypergeometric_pvalue(k, marked, n, m, two_sided=True), fisher_exact(table)[1], rel_tol=1e-9
        )


def test_new_levels_bound_holds():
    """The bound is never below the true probability, counted by shuffling."""
    rng = np.random.default_rng(8)
    pooled = np.array([60, 20, 8, 5, 3, 2, 2, *[1] * 20])
    rows = np.repeat(np.arange(pooled.size), pooled)
    n, m = 70, 50
    found = []
    for _ in range(4000):
        rng.shuffle(rows)
        here, there = (np.bincount(side, minlength=pooled.size) for side in (rows[:n], rows[n:]))
        found.append(int(there[here == 0].sum()))
    for new in sorted(set(found)):
        assert pvalues.new_levels_pvalue(pooled, new, n, m) >= np.mean(np.array(found) >= new) - 0.02
    assert pvalues.new_levels_pvalue(np.array([50, 40, 30]), 30, 70, 50) < 1e-8


def test_scipy_stats_is_never_imported():
    code = (
        "import sys, numpy as np; from mlnb.drifting import stats as s; r = np.random.default_rng(0)\n"
        "for n, m in [(50, 60), (9000, 8000), (20_000, 300), (20_000, 20_000)]:\n"
        "    for shift in (0, 0.05, 1):\n"
        "        a, b = r.normal(size=n), r.normal(shift, 1, m)\n"
        "        s.ks(a, b), s.wasserstein(a, b), s.psi(a, b), s.chi_square(a, b)\n"
        "assert 'scipy.stats' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_offered():
    assert {"ks", "psi", "js", "wasserstein", "chi_square", "kl", "hellinger", "total_variation"} <= set(stats.__all__)
