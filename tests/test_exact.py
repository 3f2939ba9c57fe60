"""The exact comparison against independent formulas: fractions, SciPy, NumPy's own quantiles."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference_of

from mlnb.core.errors import DataError
from mlnb.data.grid import Counts, bins_of, count_values, make_grid, sample_rows
from mlnb.data.keys import BINADES, binade, binade_start, common_kind, from_keys, key_kind, missing_of, to_keys
from mlnb.drifting import exact, stats
from mlnb.drifting.exact import ArraySide, ChunkSide, Compared, Prepared, solve


# ---------------------------------------------------------------------------------------------- independent formulas
def plain_reach(x, y) -> int:
    """Largest |i·m − j·n| in Python's own integers."""
    points, n, m = np.unique(np.concatenate([x, y])), len(x), len(y)
    i = np.searchsorted(np.sort(x), points, side="right").tolist()
    j = np.searchsorted(np.sort(y), points, side="right").tolist()
    return max(abs(a * m - b * n) for a, b in zip(i, j, strict=True))


def plain_distance(x, y) -> float:
    """Integral of |F − G|, summed exactly by `math.fsum` over exact differences."""
    whole = x.dtype.kind in "iu"
    points = sorted(set(x.tolist()) | set(y.tolist()))
    i = np.searchsorted(np.sort(x), np.array(points, dtype=x.dtype), side="right").tolist()
    j = np.searchsorted(np.sort(y), np.array(points, dtype=y.dtype), side="right").tolist()
    n, m = len(x), len(y)
    parts = []
    for k in range(len(points) - 1):
        apart = abs(i[k] * m - j[k] * n)
        if apart:
            width = points[k + 1] - points[k] if whole else float(points[k + 1]) - float(points[k])
            parts.append(float(width) * (apart / (n * m)))
    return math.fsum(parts) if all(map(math.isfinite, parts)) else math.inf


def check(x, y, got: Compared, *, bins=10, missing=(0, 0)) -> None:
    """A comparison of samples without missing values holds every number it should."""
    n, m = x.size, y.size
    assert (got.n, got.m, got.missing_reference, got.missing_current) == (n, m, *missing)
    reach = plain_reach(x, y)
    assert got.reach == reach and got.ks == float(Fraction(reach, n * m))
    truth = plain_distance(x, y)
    if math.isfinite(got.wasserstein) or math.isfinite(truth):
        assert got.wasserstein == pytest.approx(truth, rel=1e-10, abs=1e-322), got.path
    wide = x.astype(np.float64) if x.dtype.kind == "f" else x
    with np.errstate(invalid="ignore", over="ignore"):
        assert np.array_equal(got.quartiles, np.quantile(wide, [0.25, 0.5, 0.75]), equal_nan=True)
        middle = np.quantile(y.astype(np.float64) if y.dtype.kind == "f" else y, 0.5)
        assert np.array_equal(got.medians, [np.quantile(wide, 0.5), middle], equal_nan=True)
        edges = np.unique(np.quantile(wide, np.arange(1, bins) / bins))
    edges = edges[np.isfinite(edges)]
    assert np.array_equal(got.edges, edges)
    for side, counts in zip((x, y), got.cut, strict=True):
        below = [int(np.count_nonzero(side.astype(np.float64) < edge)) for edge in edges.tolist()]
        assert counts.tolist() == np.diff([0, *below, side.size]).tolist()
    for side, mean in zip((x, y), got.means, strict=True):
        values = side.tolist()
        if all(map(math.isfinite, values)):
            truth = float(sum(map(Fraction, values)) / len(values))
            assert mean == pytest.approx(truth, rel=1e-9, abs=1e-9 * max(map(abs, values)) + 1e-317)


def same_numbers(a: Compared, b: Compared) -> None:
    """Equal to the bit in the integers and quantiles, to rounding in the integrals."""
    assert (a.n, a.m, a.reach, a.ks, a.missing_reference) == (b.n, b.m, b.reach, b.ks, b.missing_reference)
    assert np.array_equal(a.quartiles, b.quartiles, equal_nan=True)
    assert np.array_equal(a.medians, b.medians, equal_nan=True)
    assert np.array_equal(a.edges, b.edges) and np.array_equal(a.cut, b.cut)
    assert a.wasserstein == pytest.approx(b.wasserstein, rel=1e-10, abs=1e-322, nan_ok=True)


def shuffled(values, rng, mask=None, nat=False, parts=6) -> ChunkSide:
    """The same values in pieces of random sizes, in random order."""
    borders = np.sort(rng.integers(0, values.size + 1, parts))
    pieces = np.split(np.arange(values.size), borders)
    order = rng.permutation(len(pieces))
    taken = [pieces[k] for k in order]
    return ChunkSide(
        lambda: ((values[p], None if mask is None else mask[p]) for p in taken), values.size, nat=nat, keep=0
    )


def compare_all_ways(x, y, rng, monkeypatch) -> list[Compared]:
    """By bins, by bins in pieces, against a prepared reference, by sorting compiled and in NumPy."""
    ways = [solve(ArraySide(x), ArraySide(y), compiled=False)]
    monkeypatch.setattr(exact, "SMALL", 0)
    ways.append(solve(ArraySide(x), ArraySide(y)))
    ways.append(solve(shuffled(x, rng), shuffled(y, rng)))
    ways.append(solve(Prepared(x), ArraySide(y)))
    monkeypatch.setattr(exact, "SMALL", 10**9)
    ways.append(solve(ArraySide(x), ArraySide(y)))
    monkeypatch.undo()
    return ways


# ---------------------------------------------------------------------------------------------- adversarial pairs
def adversarial(rng, n):
    """Name → pair of samples."""
    z = lambda k=n: rng.standard_normal(k)  # noqa: E731
    base = z()
    shared = rng.permutation(base)
    shared[: max(1, n // 100)] = z(max(1, n // 100))
    top, low = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    return {
        "normal": (z(), z()),
        "shifted": (z(), z() + 0.5),
        "slightly shifted": (z(), z() + 0.05),
        "wider": (z(), 1.5 * z()),
        "apart": (z(), z() + 100),
        "lognormal": (np.exp(z()), np.exp(z())),
        "lognormal sigma 5": (np.exp(5 * z()), np.exp(5 * z())),
        "cauchy": (rng.standard_cauchy(n), rng.standard_cauchy(n)),
        "pareto 0.3": (rng.pareto(0.3, n), rng.pareto(0.3, n)),
        "counts as floats": (rng.poisson(20, n) * 1.0, rng.poisson(20.5, n) * 1.0),
        "two decimals": (np.round(rng.gamma(2, 30, n), 2), np.round(rng.gamma(2, 30, n), 2)),
        "sixty per cent zeros": tuple(np.where(rng.random(n) < 0.6, 0, np.exp(z())) for _ in range(2)),
        "identical values": (base, base.copy()),
        "permuted": (base, rng.permutation(base)),
        "nearly all rows shared": (base, shared),
        "constant": (np.ones(n), np.ones(n)),
        "two constants": (np.ones(n), np.full(n, 2.0)),
        "two values": (rng.integers(0, 2, n) * 1.0, rng.integers(0, 2, n) * 1.0),
        "infinities alike": (np.r_[z(), np.inf, -np.inf], np.r_[z(), np.inf, -np.inf]),
        "infinities unlike": (np.r_[z(), np.inf, -np.inf], np.r_[z(), np.inf]),
        "many infinities": (np.where(rng.random(n) < 0.3, np.inf, z()), np.where(rng.random(n) < 0.3, -np.inf, z())),
        "only infinities": (np.full(n, np.inf), np.where(rng.random(n) < 0.5, np.inf, -np.inf)),
        "subnormal": (rng.integers(-50, 50, n) * 5e-324, rng.integers(-40, 60, n) * 5e-324),
        "small subnormal and normal": (z() * 1e-308, z() * 2e-308),
        "signed zeros": (np.where(rng.random(n) < 0.5, 0.0, -0.0), np.where(rng.random(n) < 0.5, -0.0, 1e-9)),
        "1e9 plus noise": (1e9 + z(), 1e9 + z()),
        "-1e9 plus noise": (-1e9 + z(), -1e9 + z()),
        "1e15 plus noise": (1e15 + z(), 1e15 + z()),
        "two far modes": tuple(np.where(rng.random(n) < 0.5, z(), 1e6 + z()) for _ in range(2)),
        "one outlier of 1e300": (np.r_[z(), 1e300], z()),
        "outliers of 1e300 on both sides": (np.r_[z(), -1e300, 1e300], np.r_[z(), 1.5e300]),
        "largest floats": (np.r_[z(), 1.7e308, -1.7e308], np.r_[z(), 1.6e308]),
        "next to a power of two": tuple(-2.0 + np.ldexp(rng.integers(-4, 5, n).astype(float), -52) for _ in range(2)),
        "float32": (z().astype("f4"), (z() + 0.1).astype("f4")),
        "float32 with infinities": (np.r_[z(), np.inf].astype("f4"), np.r_[z(), np.inf].astype("f4")),
        "float16": (z().astype("f2"), (z() + 0.1).astype("f2")),
        "hugely unequal sizes": (z(), z(7)),
        "unequal the other way": (z(3), z()),
        "int64": (rng.integers(-(10**6), 10**6, n), rng.integers(-(10**6), 10**6 + 10**4, n)),
        "int64 at the ends": (
            np.r_[rng.integers(top - 1000, top, n), low, top],
            np.r_[rng.integers(top - 900, top, n), low],
        ),
        "int64 over the whole range": (rng.integers(low, top, n), rng.integers(low, top, n)),
        "int64 with an outlier": (np.r_[rng.integers(0, 1000, n), 2**62], rng.integers(0, 1010, n)),
        "int8": (rng.integers(-128, 128, n).astype("i1"), rng.integers(-100, 128, n).astype("i1")),
        "int32": (rng.integers(-(2**31), 2**31, n).astype("i4"), rng.integers(-(2**31), 2**31, n).astype("i4")),
        "uint64": (
            rng.integers(2**63 - 5000, 2**63 + 5000, n, dtype="u8"),
            rng.integers(2**63 - 5000, 2**63 + 4000, n, dtype="u8"),
        ),
        "uint64 small": (rng.integers(0, 300, n).astype("u8"), rng.integers(0, 310, n).astype("u8")),
        "bool": (rng.random(n) < 0.5, rng.random(n) < 0.55),
        "times": tuple(1_700_000_000 * 10**9 + rng.integers(0, 10**15, n) for _ in range(2)),
    }


NAMES = list(adversarial(np.random.default_rng(0), 10))


def plain_of(values):
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


@pytest.mark.parametrize("name", NAMES)
def test_adversarial_pair(name, monkeypatch):
    for n, seed in ((40, 1), (6000, 2)):
        rng = np.random.default_rng(seed)
        x, y = adversarial(rng, n)[name]
        ways = compare_all_ways(x, y, rng, monkeypatch)
        for got in ways:
            check(plain_of(x), plain_of(y), got)
            same_numbers(ways[0], got)


def test_every_path_is_taken(monkeypatch):
    monkeypatch.setattr(exact, "SMALL", 0)
    rng = np.random.default_rng(3)
    pairs = adversarial(rng, 30_000)
    paths = {name: solve(*map(ArraySide, pairs[name])).path for name in ("normal", "two values", "permuted")}
    assert paths == {"normal": "bins", "two values": "count", "permuted": "sort"}
    same = ArraySide(pairs["normal"][0])
    got = solve(same, same)
    assert got.path == "identical" and got.reach == 0 == got.wasserstein
    check(pairs["normal"][0], pairs["normal"][0], got)


def test_random_pairs(monkeypatch):
    rng = np.random.default_rng(11)
    for trial in range(500):
        n, m = rng.integers(1, 1500, 2) if trial % 5 else rng.integers(1, 12, 2)
        scale, step = 10.0 ** rng.integers(-3, 4), 10.0 ** rng.integers(-2, 2)
        x, y = rng.normal(0, scale, n), rng.normal(rng.choice([0, 0.3]) * scale, scale, m)
        if trial % 3 == 1:
            x, y = np.round(x / step) * step, np.round(y / step) * step
        if trial % 3 == 2:
            x, y = x.astype(np.int64), y.astype(np.int64)
        monkeypatch.setattr(exact, "SMALL", 0 if trial % 2 else 10**9)
        got = solve(ArraySide(x), ArraySide(y))
        check(x, y, got)
        assert got.ks == pytest.approx(reference_of.ks_2samp(x, y, method="asymp").statistic, rel=0, abs=1e-15)
        assert got.wasserstein == pytest.approx(reference_of.wasserstein_distance(x, y), rel=1e-10, abs=1e-13 * scale)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_adversarial_pair_at_size(name, monkeypatch):
    rng = np.random.default_rng(5)
    x, y = adversarial(rng, 200_000)[name]
    ways = compare_all_ways(x, y, rng, monkeypatch)
    for got in ways:
        same_numbers(ways[0], got)
    check(plain_of(x), plain_of(y), ways[1])


# ---------------------------------------------------------------------------------------------- missing values
def test_missing_values_take_no_part(monkeypatch):
    rng = np.random.default_rng(4)
    monkeypatch.setattr(exact, "SMALL", 0)
    x, y = rng.normal(size=5000), rng.normal(0.1, size=4000)
    holes = rng.random(5000) < 0.2
    with_nan = np.where(holes, np.nan, x)
    check(x[~holes], y, solve(ArraySide(with_nan), ArraySide(y)), missing=(int(holes.sum()), 0))
    check(x[~holes], y, solve(ArraySide(x, holes), ArraySide(y)), missing=(int(holes.sum()), 0))
    pieces = shuffled(x, rng, holes)
    check(x[~holes], y, solve(pieces, ArraySide(y)), missing=(int(holes.sum()), 0))
    check(y, x[~holes], solve(Prepared(y), ArraySide(x, holes)), missing=(0, int(holes.sum())))
    whole = ChunkSide(lambda: ((x[p], holes[p]) for p in np.split(np.arange(5000), 5)), 5000)
    check(x[~holes], y, solve(whole, ArraySide(y)), missing=(int(holes.sum()), 0))


def test_times_without_a_time(monkeypatch):
    rng = np.random.default_rng(4)
    x = rng.integers(0, 10**15, 3000).astype("datetime64[ns]")
    y = rng.integers(0, 10**15, 3000).astype("datetime64[ns]")
    x[:10] = np.datetime64("NaT")
    for small in (0, 10**9):
        monkeypatch.setattr(exact, "SMALL", small)
        got = solve(ArraySide(x), ArraySide(y.view(np.int64), nat=True))
        check(x[10:].view(np.int64), y.view(np.int64), got, missing=(10, 0))
    assert solve(ArraySide(x.astype("datetime64[s]")), ArraySide(y)).missing_reference == 10


@pytest.mark.parametrize("small", [0, 10**9])
def test_side_without_values(small, monkeypatch):
    monkeypatch.setattr(exact, "SMALL", small)
    x, empty = np.arange(100.0), np.full(50, np.nan)
    got = solve(ArraySide(x), ArraySide(empty))
    assert (got.n, got.m, got.missing_current) == (100, 0, 50)
    assert math.isnan(got.ks) and math.isnan(got.wasserstein) and math.isnan(got.medians[1])
    assert got.cut.tolist() == [[10] * 10, [0] * 10] and got.quartiles == (24.75, 49.5, 74.25)
    back = solve(ArraySide(empty), ArraySide(x))
    assert back.edges.size == 0 and back.cut.tolist() == [[0], [100]]
    assert solve(ArraySide(empty), ArraySide(np.empty(0))).n == 0


def test_without_the_integral(monkeypatch):
    rng = np.random.default_rng(4)
    for small in (0, 10**9):
        monkeypatch.setattr(exact, "SMALL", small)
        x, y = rng.normal(size=5000), rng.normal(size=5000)
        got = solve(ArraySide(x), ArraySide(y), wasserstein=False, bins=20)
        whole = solve(ArraySide(x), ArraySide(y), bins=20)
        assert math.isnan(got.wasserstein) and got.reach == whole.reach == plain_reach(x, y)
        assert (got.cut == whole.cut).all() and got.edges.size == 19


# ---------------------------------------------------------------------------------------------- kinds that meet
def test_mixed_kinds(monkeypatch):
    rng = np.random.default_rng(6)
    whole, floats = rng.integers(-100, 100, 3000), rng.normal(0, 60, 2000)
    for small in (0, 10**9):
        monkeypatch.setattr(exact, "SMALL", small)
        check(whole.astype(float), floats, solve(ArraySide(whole), ArraySide(floats)))
        check(floats, whole.astype(float), solve(Prepared(floats), ArraySide(whole.astype("i2"))))
        check(whole.astype(float), floats, solve(Prepared(whole), ArraySide(floats)))
        check(floats, floats.astype("f4").astype(float), solve(ArraySide(floats), ArraySide(floats.astype("f4"))))
        fits = np.abs(whole).astype("u8")
        check(fits.astype("i8"), whole, solve(ArraySide(fits), ArraySide(whole)))
        far = fits + np.uint64(2**63)
        check(far.astype(float), whole.astype(float), solve(ArraySide(far), ArraySide(whole)))


def test_agrees_with_the_statistics():
    rng = np.random.default_rng(8)
    x, y = np.round(rng.gamma(2, 30, 15_000), 1), np.round(rng.gamma(2.1, 30, 12_000), 1)
    x[:5] = np.nan
    got, bins = solve(ArraySide(x), ArraySide(y)), stats.cut(x, y)
    assert got.ks == stats.ks(x, y).statistic
    assert got.wasserstein == pytest.approx(stats.wasserstein(x, y).statistic, rel=1e-12)
    assert (got.edges == bins.edges).all()
    assert (got.cut == [bins.reference[:-1], bins.current[:-1]]).all()


# ---------------------------------------------------------------------------------------------- another engine
class Counted:
    """A side that only knows how often each of a few values occurs, as another engine would tell it."""

    kind = "int64"

    def __init__(self, values, held):
        self.values, self.held, self.rows = np.asarray(values, np.int64), np.asarray(held, np.int64), int(sum(held))

    def sample(self, size):
        return self.values

    def count(self, grid):
        counts = count_values(self.values[:0], grid)
        bins, offsets = bins_of(self.values, grid)
        np.add.at(counts.counts, bins, self.held)
        np.add.at(counts.sums, bins, offsets * self.held.astype(np.uint64))
        return counts

    def gather(self, grid, wanted):
        inside = wanted[bins_of(self.values, grid)[0]]
        return np.repeat(self.values[inside], self.held[inside])


def test_another_engine(monkeypatch):
    rng = np.random.default_rng(9)
    values = np.unique(rng.integers(-(10**7), 10**7, 900))
    held = rng.integers(1, 60, (2, values.size))
    x, y = (np.repeat(values, h) for h in held)
    for small in (0, 10**9):
        monkeypatch.setattr(exact, "SMALL", small)
        check(x, y, solve(Counted(values, held[0]), Counted(values, held[1])))
        check(x, y, solve(Counted(values, held[0]), ArraySide(y)))
        check(x, y, solve(Prepared(Counted(values, held[0])), Counted(values, held[1])))


def test_more_rows_than_products_of_64_bits():
    values = np.arange(50)
    held = np.full((2, 50), 80_000_000)
    held[0, 3] += 1_234_567
    held[1, 40] += 7_654_321
    n, m = held.sum(axis=1).tolist()
    assert n * m > 2**63
    got = solve(Counted(values, held[0]), Counted(values, held[1]))
    i, j = np.cumsum(held[0]).tolist(), np.cumsum(held[1]).tolist()
    apart = [abs(a * m - b * n) for a, b in zip(i, j, strict=True)]
    assert got.reach == max(apart) and got.ks == float(Fraction(max(apart), n * m))
    assert got.wasserstein == pytest.approx(math.fsum(a / (n * m) for a in apart[:-1]), rel=1e-12)
    assert got.n == n and got.cut.sum(axis=1).tolist() == [n, m]


# ---------------------------------------------------------------------------------------------- keys and grids
DTYPES = ["float64", "float32", "int64", "uint64"]


def all_over(kind, rng, n=4000):
    """Values from everywhere a dtype reaches."""
    bits = rng.integers(0, 2**64, n, dtype=np.uint64)
    if kind == "float64":
        values = bits.view(np.float64)
    elif kind == "float32":
        values = bits.astype(np.uint32).view(np.float32)
    else:
        shift = rng.integers(0, 64, n)
        values = bits.view(kind) >> shift.astype(kind)
    return values[values == values]


@pytest.mark.parametrize("kind", DTYPES)
def test_keys_keep_the_order(kind):
    values = np.sort(all_over(kind, np.random.default_rng(1)))
    keys = to_keys(values, kind)
    assert key_kind(values.dtype) == kind
    assert (np.diff(keys.astype(object)) >= 0).all() and ((np.diff(keys) == 0) == (values[1:] == values[:-1])).all()
    assert (from_keys(keys, kind) == values).all()
    number = binade(keys, kind)
    assert number.min() >= 0 and number.max() < BINADES[kind] and (np.diff(number) >= 0).all()
    assert (binade_start(number, kind) <= keys).all()
    known = number + 1 < BINADES[kind]
    assert (keys[known] < binade_start(number[known] + 1, kind)).all()


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("bins", [1, 100, 48_000])
def test_laws_of_the_grid(kind, bins):
    rng = np.random.default_rng(2)
    narrow = rng.normal(100, 10, 3000).astype(kind)
    for sample in (narrow, all_over(kind, rng, 3000), narrow[:1], narrow[:0]):
        grid = make_grid(sample, kind, bins)
        assert grid == make_grid(rng.permutation(sample), kind, bins) and grid.size <= 65_535
        assert grid.levels.size <= 8192 and grid.shift <= {"float64": 52, "float32": 23}.get(kind, 63)
        starts = grid.starts.astype(object)
        assert starts[0] == 0 and (np.diff(starts) > 0).all() and starts.size == grid.size + 1
        values = np.sort(np.concatenate([narrow, all_over(kind, rng)]))
        numbers, offsets = bins_of(values, grid)
        keys = to_keys(values, kind)
        assert (np.diff(numbers) >= 0).all() and (numbers == np.searchsorted(grid.starts[:-1], keys, "right") - 1).all()
        place = [
            ((int(k) - int(h)) << 32) >> int(w)
            for k, h, w in zip(keys, grid.hull_start[numbers], grid.hull_shift[numbers], strict=True)
        ]
        assert offsets.tolist() == place and max(place) < 2**32


@pytest.mark.parametrize("kind", DTYPES)
def test_compiled_counts_are_the_definition(kind):
    from mlnb.drifting.kernels_cpu_grid import lay_out

    rng = np.random.default_rng(3)
    middle = 0 if kind != "uint64" else 1e4
    values = np.concatenate([rng.normal(middle, 1000, 50_000).astype(kind), all_over(kind, rng)])
    mask = rng.random(values.size) < 0.1
    grid, other = (make_grid(values[:4000], kind, 8192) for _ in range(2))
    truth = count_values(values, grid, mask)
    got = ArraySide(values, mask).count(grid)
    assert (got.counts == truth.counts).all() and (got.sums == truth.sums).all() and got.missing == truth.missing
    compiled = lay_out(other)
    for name in ("starts", "hull_start", "hull_shift"):
        assert (getattr(compiled, name) == getattr(grid, name)).all()
    pieces = shuffled(values, rng, mask).count(grid)
    assert (pieces.counts == truth.counts).all() and (pieces.sums == truth.sums).all()
    heavy = np.full(100_000, values[7])
    assert (ArraySide(heavy).count(grid).sums == count_values(heavy, grid).sums).all()
    numbers = bins_of(values, grid)[0]
    wanted = np.zeros(grid.size + 1, bool)
    wanted[numbers[:50]] = True
    inside = np.sort(values[wanted[numbers] & ~mask])
    assert (ArraySide(values, mask).gather(grid, wanted[:-1]) == inside).all()


@pytest.mark.parametrize("kind", DTYPES)
def test_bodies_run_on_the_standard(kind):
    import array_api_strict as strict

    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(100, 10, 500).astype(kind), all_over(kind, rng, 500)])
    keys = to_keys(strict.asarray(values), kind)
    assert (np.asarray(keys) == to_keys(values, kind)).all()
    assert (np.asarray(from_keys(keys, kind)) == values).all()
    assert (np.asarray(binade(keys, kind)) == binade(to_keys(values, kind), kind)).all()
    grid = make_grid(values[:500], kind, 512)
    mask = values > 105
    for ours, theirs in zip(
        bins_of(values, grid, mask), bins_of(strict.asarray(values), grid, strict.asarray(mask)), strict=True
    ):
        assert (np.asarray(theirs) == ours).all()
    assert not np.asarray(missing_of(strict.asarray(values))).any()


def test_sample_rows_are_a_pure_function():
    for n, size in ((0, 5), (3, 5), (1000, 7), (10**7, 2048), (10**12, 4096)):
        rows = sample_rows(n, size)
        assert rows.size == min(n, size) and (np.diff(rows) > 0).all() and (rows == sample_rows(n, size)).all()
        assert n == 0 or (rows[0] >= 0 and rows[-1] < n)


def test_what_cannot_be_compared():
    with pytest.raises(DataError, match="no order"):
        ArraySide(np.array(["a"]))
    with pytest.raises(DataError, match="it has changed"):
        solve(ChunkSide(lambda: [(np.arange(5.0), None)], 7), ArraySide(np.arange(3.0)))
    with pytest.raises(DataError, match="one grid"):
        Counts(np.zeros(3, int), np.zeros(3, "u8"), 0).add(Counts(np.zeros(4, int), np.zeros(4, "u8"), 0))
    assert common_kind("int64", "uint64") == "float64"


# ---------------------------------------------------------------------------------------------- laws
FLOATS = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(FLOATS, FLOATS)
def test_monotone_maps_leave_the_distance(first, second):
    x, y = np.array(first), np.array(second)
    small, exact.SMALL = exact.SMALL, 0
    try:
        whole = solve(ArraySide(x), ArraySide(y)).reach
        points = np.unique(np.concatenate([x, y]))
        ranks = [np.searchsorted(points, side) for side in (x, y)]
        cubes = [np.sign(rank - 10.0) * np.abs(rank - 10.0) ** 3 for rank in ranks]
        assert whole == plain_reach(x, y)
        assert whole == solve(*map(ArraySide, ranks)).reach == solve(*map(ArraySide, cubes)).reach
        back = solve(ArraySide(-y), ArraySide(-x))
        assert back.reach == whole
    finally:
        exact.SMALL = small


@settings(max_examples=40, deadline=None)
@given(FLOATS, st.integers(1, 5), st.randoms(use_true_random=False))
def test_counts_add_up_in_any_order(values, parts, random):
    x = np.array(values)
    grid = make_grid(x, "float64", 256)
    whole = ArraySide(x).count(grid)
    pieces = [ArraySide(piece).count(grid) for piece in np.array_split(x, parts)]
    random.shuffle(pieces)
    total = count_values(x[:0], grid)
    for piece in pieces:
        total = total.add(piece)
    assert (total.counts == whole.counts).all() and (total.sums == whole.sums).all()


@pytest.mark.parametrize("shape", ["whole numbers", "halves among them", "another place", "few levels", "mostly one"])
def test_a_prepared_reference_with_ties_opens_few_bins(shape):
    """Bins that hold one value are never gathered, and the numbers stay those of the raw values."""
    rng = np.random.default_rng(3)
    reference = rng.normal(50, 7, 300_000).round()
    window = rng.normal(51, 7, 5_000).round()
    if shape == "halves among them":
        window[::50] += 0.5
    elif shape == "another place":
        window += 1000.25
    elif shape == "few levels":
        reference, window = reference // 20, window // 20
    elif shape == "mostly one":
        reference[:250_000] = 50.0
    found = solve(Prepared(reference), ArraySide(window))
    assert found.ks == stats.ks(reference, window).statistic
    assert math.isclose(found.wasserstein, stats.wasserstein(reference, window).statistic, rel_tol=1e-10)
    bins = stats.cut(reference, window)
    assert (found.edges == bins.edges).all()
    assert (found.cut == [bins.reference[:-1], bins.current[:-1]]).all()
    assert found.medians == (np.median(reference), np.median(window))
    assert found.refined < 0.2 and found.path == "bins"


# ---------------------------------------------------------------------------------------------- the compiled grid
@pytest.mark.parametrize("kind", ["float64", "float32", "int64"])
def test_compiled_grid_is_the_defined_one(kind):
    from mlnb.data.grid import _layout, grid_of
    from mlnb.drifting.kernels_cpu_grid import grid_of_keys, lay_out

    rng = np.random.default_rng(11)
    shapes = [
        lambda size: rng.normal(size=size),
        lambda size: rng.lognormal(0, 3, size),
        lambda size: rng.integers(0, 5, size) * 1.0,
        lambda size: np.zeros(size),
        lambda size: rng.random(size).round(2) - 0.5,
    ]
    if kind != "int64":
        shapes += [
            lambda size: rng.normal(size=size) * 10.0 ** rng.integers(-30, 30, size),
            lambda size: np.where(rng.random(size) < 0.3, np.inf, rng.random(size)),
            lambda size: np.full(size, -np.inf),
        ]
    for make in shapes:
        for size in (0, 1, 2, 10, 700, 4096):
            keys = np.sort(to_keys(make(size).astype(kind), kind))
            for bins in (1, 512, 8192, 99_999):
                defined, compiled = grid_of(keys, kind, bins), grid_of_keys(keys, kind, bins)
                assert compiled == defined, (size, bins)
                where, laid = _layout(defined), lay_out(compiled)
                assert (compiled.table == defined.table).all()
                for name in ("starts", "hull_start", "hull_shift"):
                    assert (getattr(laid, name) == getattr(where, name)).all(), name
