"""On a graphics card: the same whole numbers as on the processor, the same statistics, data larger than the memory.

Needs only NumPy, CuPy, pytest and the modules under test (`drifting.kernels_gpu`, `gpu_count`, `gpu_bins`, `gpu_solve`,
`drifting.exact`, `data.keys`, `data.grid`), and makes its own data: `python -m pytest tests/test_gpu.py --noconftest`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlnb.data.grid import Counts, bins_of, count_values, make_grid, sample_rows
from mlnb.data.keys import key_kind
from mlnb.drifting.gpu_count import GpuSide, column_of, columns_of, count_columns
from mlnb.drifting.gpu_solve import solve_columns
from mlnb.drifting.kernels_gpu import TYPES, Card, available, turned

USABLE, WHY = available()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not USABLE, reason=WHY),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
ROWS = 1_000_003


@pytest.fixture(scope="module")
def card():
    return Card()


def values_of(dtype: str, rows: int = ROWS, seed: int = 0) -> np.ndarray:
    """Values with all bit patterns of a type among them."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 256, rows // 4 * np.dtype(dtype).itemsize, dtype=np.uint8).view(dtype)
    with np.errstate(all="ignore"):
        usual = (100 * rng.normal(size=rows - bits.size)).astype(dtype)
    return rng.permutation(np.concatenate([bits, usual]))


def same(found: Counts, expected: Counts) -> bool:
    return (
        np.array_equal(found.counts, expected.counts)
        and np.array_equal(found.sums, expected.sums)
        and found.missing == expected.missing
    )


@pytest.mark.parametrize("dtype", TYPES)
def test_counts_equal_those_of_the_processor(card, dtype):
    values = values_of(dtype)
    mask = np.random.default_rng(1).random(ROWS) < 0.1
    columns, grids, expected = [], [], []
    for kind in {key_kind(values.dtype), "float64"}:
        for bins in (64, 8_192, 48_000):
            grid = make_grid(values[sample_rows(ROWS, 4_096)].astype(kind), kind, bins)
            for start, hidden in ((0, None), (3, mask)):
                part = slice(start, None)
                on_card = card.array(values)[part], None if hidden is None else card.array(hidden)[part]
                columns.append(column_of(*on_card))
                grids.append(grid)
                expected.append(count_values(values[part], grid, None if hidden is None else hidden[part]))
    found = count_columns(columns, grids, card)
    assert all(same(f, e) for f, e in zip(found, expected, strict=True))


def test_host_arrays_pageable_and_pinned_give_the_same(card):
    cupyx = pytest.importorskip("cupyx")
    values = values_of("float64")
    pinned = cupyx.empty_pinned(values.shape, values.dtype)
    pinned[:] = values
    grid = make_grid(values[:4_096], "float64", 8_192)
    small = Card(block=1 << 20)  # many blocks through both lanes
    found = count_columns([column_of(v) for v in (values, pinned)], [grid, grid], small)
    assert all(same(f, count_values(values, grid)) for f in found)


def test_data_larger_than_the_memory_come_in_blocks():
    small = Card(limit=1 << 20, block=1 << 18)
    columns = [values_of("float64", seed=2), values_of("int16", seed=3), values_of("float32", seed=4)]
    grids = [make_grid(c[:4_096], key_kind(c.dtype), 8_192) for c in columns]
    found = count_columns([column_of(c) for c in columns], grids, small)
    assert all(same(f, count_values(c, g)) for f, c, g in zip(found, columns, grids, strict=True))
    r, c = np.random.default_rng(0).normal(size=(2, 300_000))
    agrees(solve_columns([column_of(r)], [column_of(c)], card=small)[0], r, c)


def test_times_with_gaps(card):
    times = np.datetime64("2020-01-01") + np.arange(100_000).astype("timedelta64[m]")
    times[::9] = np.datetime64("NaT")
    grid = make_grid(times, "int64", 1_000)
    assert same(count_columns([column_of(times)], [grid], card)[0], count_values(times, grid))


def test_gathered_values_are_those_of_the_bins(card):
    values = values_of("float32")
    grid = make_grid(values[:4_096], "float32", 8_192)
    wanted = np.arange(grid.size) % 5 == 0
    bins, _ = bins_of(values, grid)
    expected = np.sort(values[np.append(wanted, False)[bins]])
    for given in (values, card.array(values)):
        side = GpuSide(given, card=card)
        assert np.array_equal(np.sort(side.gather(grid, wanted)), expected)
        rows = sample_rows(ROWS, 2_048)
        sampled = values[rows]
        assert np.array_equal(side.sample(2_048), sampled[sampled == sampled])


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_rows_are_turned_into_columns(card, size):
    matrix = np.random.default_rng(0).integers(0, 250, (1_001, 67)).astype(f"u{size}")
    assert np.array_equal(card.host(turned(card, card.array(matrix))), matrix.T)
    for given in (matrix, card.array(matrix), np.asfortranarray(matrix)):
        found = columns_of(given, Card(block=1 << 12))
        assert np.array_equal([card.host(card.xp.asarray(c.values)) for c in found], matrix.T)


# -- statistics against formulas that sort


def agrees(found, r: np.ndarray, c: np.ndarray) -> None:
    r, c = (np.sort(s[s == s]).astype(np.float64) for s in (r, c))
    n, m = r.size, c.size
    points = np.unique(np.concatenate([r, c]))
    i, j = np.searchsorted(r, points, "right"), np.searchsorted(c, points, "right")
    assert (found.n, found.m) == (n, m)
    assert found.reach == int(np.abs(i * m - j * n).max()) and found.ks == found.reach / (n * m)
    widths = np.diff(points)
    distance = math.fsum((np.abs(i * m - j * n)[:-1] / (n * m) * widths).tolist())
    assert found.wasserstein == pytest.approx(distance, rel=1e-10, abs=0)
    quartiles = np.quantile(r, [0.25, 0.5, 0.75])
    assert np.array_equal(found.quartiles, quartiles) and found.medians[1] == np.median(c)
    edges = np.unique(np.quantile(r, np.arange(1, 10) / 10))
    below = [np.searchsorted(s, edges) for s in (r, c)]
    assert np.array_equal(found.edges, edges)
    assert np.array_equal(found.cut, [np.diff(b, prepend=0, append=s.size) for b, s in zip(below, (r, c), strict=True)])
    assert found.means == (pytest.approx(r.mean(), rel=1e-8), pytest.approx(c.mean(), rel=1e-8))


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng, n = np.random.default_rng(3), 400_000
    base = 3 + rng.normal(size=n)
    gaps = base.copy()
    gaps[::11] = np.nan
    zeros = [np.where(rng.random(n) < 0.6, 0, rng.lognormal(size=n)) for _ in "rc"]
    modes = [np.concatenate([rng.normal(size=n // 2), 1e6 + rng.normal(size=n // 2)]) for _ in "rc"]
    return {
        "normal": (base, 3.05 + rng.normal(size=n + 7)),
        "same law": (base, 3 + rng.normal(size=n)),
        "lognormal": (rng.lognormal(size=n), rng.lognormal(size=n)),
        "far from zero": (1e9 + base, 1e9 + rng.normal(size=n)),
        "integers": (rng.integers(0, 60, n), rng.integers(0, 61, n)),
        "bytes": (rng.integers(0, 60, n).astype(np.uint8), rng.integers(0, 61, n).astype(np.uint8)),
        "two decimals": (np.round(base, 2), np.round(3 + rng.normal(size=n), 2)),
        "many zeros": (zeros[0], zeros[1]),
        "constant": (np.full(n, 3.25), np.full(n, 3.25)),
        "permuted": (base, rng.permutation(base)),
        "far modes": (modes[0], modes[1]),
        "singles": (base.astype(np.float32), (3 + rng.normal(size=n)).astype(np.float32)),
        "singles, doubles": (base.astype(np.float32), base),
        "gaps": (gaps, gaps * 1.01),
        "unequal": (base, 3 + rng.normal(size=9)),
    }


@pytest.mark.parametrize("where", ["card", "host"])
def test_statistics_of_many_columns_at_once(card, where):
    some = pairs()
    put = card.array if where == "card" else np.asarray
    sides = [[column_of(put(pair[side])) for pair in some.values()] for side in (0, 1)]
    for found, (r, c) in zip(solve_columns(*sides, card=card), some.values(), strict=True):
        agrees(found, r, c)
        assert found.grid is not None and found.counts is not None
        expected = count_values(r.astype(found.grid.kind), found.grid)
        assert np.array_equal(found.counts[0].counts, expected.counts)


def test_the_same_digits_every_time(card):
    r, c = (card.array(v) for v in pairs()["lognormal"])
    runs = [solve_columns([column_of(r)], [column_of(c)], card=card)[0] for _ in range(5)]
    assert len({(run.reach, run.wasserstein, run.means, run.medians) for run in runs}) == 1


def test_the_cpu_engine_gives_the_same(card):
    pytest.importorskip("numba")
    from mlnb.drifting.exact import ArraySide, solve

    some = pairs()
    sides = [[column_of(card.array(pair[side])) for pair in some.values()] for side in (0, 1)]
    for found, (r, c) in zip(solve_columns(*sides, card=card), some.values(), strict=True):
        expected = solve(ArraySide(r), ArraySide(c))
        assert found.reach == expected.reach and np.array_equal(found.cut, expected.cut)
        assert found.quartiles == expected.quartiles and found.medians == expected.medians
        assert found.wasserstein == pytest.approx(expected.wasserstein, rel=1e-10, abs=0)


def test_the_device_is_named(card):
    assert card.device.startswith("cuda:") and card.device == WHY
    assert GpuSide(np.ones(3), card=card).device == card.device
