"""The GPU kernels without a GPU: their source runs on the processor, and compiles for the cards."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from gpu_host import CUDA, HostCard, compiler, library

from mlnb.core.errors import DataError
from mlnb.data.grid import Counts, Grid, bins_of, count_values, make_grid, sample_rows
from mlnb.data.keys import BINADES, from_keys, key_kind, to_keys
from mlnb.drifting import stats
from mlnb.drifting.exact import ArraySide, Side, solve
from mlnb.drifting.gpu_bins import Opening
from mlnb.drifting.gpu_count import GpuSide, column_of, columns_of, count_columns
from mlnb.drifting.gpu_solve import solve_columns
from mlnb.drifting.kernels_gpu import TYPES, available, options_for, source, table_of, turned

HERE = os.environ.get("CI")
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def absent(what: str) -> None:
    """Skip on a machine that lacks something; a CI machine must have it."""
    if HERE:
        pytest.fail(f"{what} is needed here")
    pytest.skip(what)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    if compiler() is None:
        absent("no C++ compiler")
    return library(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def card(built):
    return HostCard(built)


# -- values of all types, with all that is odd about them


def odd(dtype: str) -> np.ndarray:
    """Values of a type at which a key, a binade or an offset could go wrong."""
    if dtype.startswith("float"):
        size = int(dtype[5:])
        whole, exponent = np.dtype(f"uint{size}"), {64: 52, 32: 23}[size]
        edges = np.arange(2 ** (size - exponent), dtype=whole) << whole.type(exponent)  # every binade's first bits
        bits = np.concatenate([edges, edges + whole.type(1), edges - whole.type(1)])
        nan = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0], dtype=dtype)
        return np.concatenate([bits.view(dtype), nan])
    info = np.iinfo(dtype)
    powers = [s * 2**e + d for e in range(info.bits) for s in (1, -1) for d in (-1, 0, 1)]
    return np.array(sorted({p for p in (*powers, info.min, info.max) if info.min <= p <= info.max}), dtype=dtype)


def spread(dtype: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Samples of a type: of all its bit patterns, of few values, and odd ones."""
    size = np.dtype(dtype).itemsize
    bits = rng.integers(0, 256, size * 5_003, dtype=np.uint8).view(dtype)
    few = rng.integers(0, 60, 3_001).astype(dtype)
    some = [bits, few, odd(dtype)]
    if dtype.startswith("float"):
        some += [rng.normal(size=9_999).astype(dtype), rng.lognormal(0, 9, 4_001).astype(dtype)]
    return some


def same(found: Counts, expected: Counts) -> bool:
    return (
        found.counts.dtype == np.int64
        and found.sums.dtype == np.uint64
        and (found.counts == expected.counts).all()
        and (found.sums == expected.sums).all()
        and found.missing == expected.missing
    )


@pytest.mark.parametrize("dtype", TYPES)
def test_counts_are_those_of_the_definition(card, dtype):
    rng = np.random.default_rng(len(dtype))
    columns, grids, expected = [], [], []
    for values in spread(dtype, rng):
        for kind in {key_kind(values.dtype), "float64"}:
            for bins in (64, 5_000, 48_000):
                sample = from_keys(to_keys(values[sample_rows(values.size, 2_048)], kind), kind)
                grid = make_grid(sample, kind, bins)
                mask = rng.random(values.size) < 0.1 if bins == 5_000 else None
                start = int(rng.integers(0, 5))  # so that 16-byte loads begin anywhere
                part = slice(start, None)
                columns.append(column_of(values[part], None if mask is None else mask[part]))
                grids.append(grid)
                expected.append(count_values(values[part], grid, None if mask is None else mask[part]))
    found = count_columns(columns, grids, card)
    assert all(same(f, e) for f, e in zip(found, expected, strict=True))
    names = {launch[0] for launch in card.launches}
    assert names == {f"count_{dtype}"} and sum(f.counts.sum() + f.missing for f in found) == sum(
        c.values.size for c in columns
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int16", "uint64"])
def test_counts_are_those_of_the_cpu_engine(card, dtype):
    pytest.importorskip("numba")
    rng = np.random.default_rng(3)
    for values in spread(dtype, rng):
        kind = key_kind(values.dtype)
        grid = make_grid(values[sample_rows(values.size, 2_048)], kind, 9_000)
        assert same(count_columns([column_of(values)], [grid], card)[0], ArraySide(values).count(grid))


def test_times_and_truth_values(card):
    times = np.array(["NaT", "1969-07-20", "2024-02-29", "2262-01-01"], dtype="datetime64[D]")
    grid = make_grid(times, "int64", 16)
    found = count_columns([column_of(times)], [grid], card)[0]
    assert found.missing == 1 and same(found, count_values(times, grid))
    truth = np.array([True, False, True])
    grid = make_grid(truth, "int64", 16)
    assert same(count_columns([column_of(truth)], [grid], card)[0], count_values(truth, grid))


def test_unsigned_integers_on_a_signed_grid(card):
    values = np.array([0, 1, 2**40, 2**63 - 1], dtype=np.uint64)
    grid = make_grid(values.astype(np.int64), "int64", 64)
    assert same(count_columns([column_of(values)], [grid], card)[0], count_values(values.astype(np.int64), grid))


def test_counters_that_do_not_fit_are_global(built):
    card, rng = HostCard(built, shared=48 << 10), np.random.default_rng(0)
    values = rng.normal(size=20_000)
    grids = [make_grid(values, "float64", bins) for bins in (48_000, 100)]
    small = rng.integers(0, 9, 500)
    columns = [column_of(v) for v in (values, values, small)]
    grids.append(make_grid(small, "int64", 100))
    found = count_columns(columns, grids, card)
    assert all(same(f, count_values(c.values, g)) for f, c, g in zip(found, columns, grids, strict=True))
    shared = {launch[3] for launch in card.launches}
    assert max(shared) <= 48 << 10 and len(card.launches) == 2


def test_data_larger_than_the_memory_come_in_blocks(built):
    card, rng = HostCard(built, limit=1 << 18, block=1 << 15), np.random.default_rng(0)
    columns = [rng.normal(size=100_000), rng.integers(0, 99, 70_001).astype(np.int16), np.zeros(10)]
    masks = [rng.random(100_000) < 0.3, None, None]
    grids = [make_grid(c[:2_000], key_kind(c.dtype), 4_000) for c in columns]
    found = count_columns([column_of(c, m) for c, m in zip(columns, masks, strict=True)], grids, card)
    assert card.blocks >= 30
    for f, c, m, g in zip(found, columns, masks, grids, strict=True):
        assert same(f, count_values(c, g, m))


def test_a_column_on_a_card_is_a_side(built):
    card, rng = HostCard(built, limit=1 << 20, block=1 << 16), np.random.default_rng(0)
    values, mask = rng.normal(size=50_000), rng.random(50_000) < 0.2
    side = GpuSide(values, mask, card=card)
    assert isinstance(side, Side) and side.kind == "float64" and side.rows == 50_000
    rows = sample_rows(50_000, 1_000)
    assert np.array_equal(side.sample(1_000), values[rows][~mask[rows]])
    grid = make_grid(values[:4_000], "float64", 3_000)
    assert same(side.count(grid), count_values(values, grid, mask))
    wanted = np.arange(grid.size) % 7 == 0
    bins, _ = bins_of(values, grid)
    assert np.array_equal(np.sort(side.gather(grid, wanted)), np.sort(values[~mask & wanted[bins]]))
    assert side.gather(grid, np.zeros(grid.size, bool)).size == 0


def test_a_side_is_solved_like_an_array(built):
    card, rng = HostCard(built, block=1 << 16), np.random.default_rng(1)
    r, c = rng.lognormal(size=30_000), rng.lognormal(0.1, size=20_000)
    found, expected = solve(GpuSide(r, card=card), GpuSide(c, card=card)), solve(ArraySide(r), ArraySide(c))
    assert found.reach == expected.reach and (found.cut == expected.cut).all()
    assert found.wasserstein == pytest.approx(expected.wasserstein, rel=1e-11)


# -- grids, edges and whole comparisons


def test_grids_are_those_of_the_definition(card):
    rng = np.random.default_rng(5)
    kinds = 0
    for dtype in ("float64", "float32", "int64", "uint64", "int8"):
        for values in spread(dtype, rng):
            kind = key_kind(values.dtype)
            pair = column_of(values), column_of(values[::2])
            opening = Opening(card, [0], [pair], 10, True, True)
            opening.draw_grids()
            samples = [c.values[sample_rows(c.values.size, 4_096)] for c in pair]
            expected = make_grid(np.concatenate(samples), kind, 8_192)
            record = opening.records[0]
            facts = [int(record[name]) for name in ("low", "span", "shift", "low_outer", "high_base", "size")]
            assert facts == [
                expected.low, expected.span, expected.shift, expected.low_outer, expected.high_base, expected.size,
            ]  # fmt: skip
            assert (opening.tables[: int(record["cells"])] == table_of(expected)).all()
            kinds += 1
    assert kinds == 19


def test_edges_are_those_of_an_independent_scan(card):
    """All that a closed bin may promise, asked of the values themselves."""
    rng = np.random.default_rng(6)
    r, c = np.round(rng.normal(size=9_000), 3), rng.normal(0.02, 1, size=8_000)
    opening = Opening(card, [0], [(column_of(r), column_of(c))], 10, True, True)
    opening.draw_grids()
    opening.count()
    opening.scan_edges()
    record, n, m = opening.records[0], r.size, c.size
    table = opening.tables[: int(record["cells"])]
    grid = Grid("float64", int(record["low"]), int(record["shift"]), (table >> 16).astype(np.uint8))
    of_r, of_c = np.sort(bins_of(r, grid)[0]), np.sort(bins_of(c, grid)[0])
    ends = np.searchsorted(of_r, np.arange(grid.size), "right") * m
    ends = ends - np.searchsorted(of_c, np.arange(grid.size), "right") * n
    assert (opening.ends == ends).all() and int(opening.edges["reach"][0]) == np.abs(ends).max()
    points = np.sort(np.concatenate([r, c]))
    d = np.searchsorted(np.sort(r), points, "right") * m - np.searchsorted(np.sort(c), points, "right") * n
    bins, _ = bins_of(points, grid)
    assert np.abs(d[(opening.flags[bins] & 1) == 0]).max() <= np.abs(ends).max()
    closed = (opening.flags[bins] & 2) == 0
    assert (d[closed & ((opening.flags[bins] & 4) > 0)] >= 0).all()
    assert (d[closed & ((opening.flags[bins] & 8) > 0)] <= 0).all()
    parts = np.abs(d[:-1]) * np.diff(points) / (n * m)
    whole = closed[:-1] & (bins[:-1] == bins[1:])
    assert parts[whole].sum() < float(opening.edges["closed"][0]) < stats.wasserstein(r, c).statistic


def pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs of columns at which a comparison could go wrong."""
    rng = np.random.default_rng(11)
    n = 12_000
    base = rng.normal(size=n)
    far = [np.concatenate([rng.normal(size=n // 2), 1e6 + rng.normal(size=n // 2)]) for _ in "rc"]
    gaps, ends = base.copy(), base.copy()
    gaps[::11] = np.nan
    ends[::13], ends[::17] = np.inf, -np.inf
    times = np.datetime64("2013-01-01") + rng.integers(0, 10**7, n).astype("timedelta64[s]")
    times[::7] = np.datetime64("NaT")
    zeros = [np.where(rng.random(n) < 0.6, 0, rng.lognormal(size=n)) for _ in "rc"]
    whole = np.iinfo(np.int64)
    return {
        "normal": (base, rng.normal(0.05, 1, n + 7)),
        "same law": (base, rng.normal(size=n)),
        "lognormal": (rng.lognormal(size=n), rng.lognormal(size=n)),
        "cauchy": (rng.standard_cauchy(n), rng.standard_cauchy(n)),
        "far from zero": (1e9 + base, 1e9 + rng.normal(size=n)),
        "small integers": (rng.integers(0, 60, n), rng.integers(0, 61, n)),
        "two decimals": (np.round(base, 2), np.round(rng.normal(size=n), 2)),
        "many zeros": (zeros[0], zeros[1]),
        "constant": (np.full(n, 3.25), np.full(n, 3.25)),
        "two constants": (np.full(n, 3.25), np.full(n, 4.5)),
        "permuted": (base, rng.permutation(base)),
        "far modes": (far[0], far[1]),
        "outlier": (np.append(base, 1e300), rng.normal(0.3, 1, n)),
        "singles": (base.astype(np.float32), rng.normal(size=n).astype(np.float32)),
        "singles, doubles": (base.astype(np.float32), rng.normal(size=n)),
        "bytes, doubles": (rng.integers(-100, 100, n).astype(np.int8), rng.normal(0, 50, n)),
        "whole range": (rng.integers(whole.min, whole.max, n), rng.integers(whole.min, whole.max, n)),
        "unsigned": tuple(rng.integers(0, 2**64, n, dtype=np.uint64) for _ in "rc"),
        "signed, unsigned": (rng.integers(0, 2**62, n, dtype=np.uint64), rng.integers(-5, 2**62, n)),
        "truth": (rng.random(n) < 0.3, rng.random(n) < 0.31),
        "times": (times, times[: n // 2] + np.timedelta64(5, "D")),
        "gaps": (gaps, gaps * 1.01),
        "infinities alike": (ends, ends[::-1].copy()),
        "infinities": (ends, base),
        "subnormal": (rng.integers(0, 1000, n) * 5e-324, rng.integers(0, 1010, n) * 5e-324),
        "three": (np.array([1.0, 2, 3]), np.array([2.0, 2, 5])),
        "one": (np.array([1.0]), np.array([7.0])),
        "unequal": (base, rng.normal(size=9)),
        "any bits": tuple(rng.integers(0, 2**64, n, dtype=np.uint64).view(np.float64) for _ in "rc"),
    }


def numbers(values: np.ndarray) -> np.ndarray:
    """A sample without its missing values, as the independent formulas take it."""
    if values.dtype.kind == "M":
        return values[~np.isnat(values)].astype("datetime64[ns]").view(np.int64)
    kinds = {"f": np.float64, "b": np.int64}
    return values[values == values].astype(kinds.get(values.dtype.kind, values.dtype))


def check(name: str, found, r: np.ndarray, c: np.ndarray) -> None:
    """A result against `drifting.stats`, which sorts."""
    r, c = numbers(r), numbers(c)
    if {r.dtype.kind, c.dtype.kind} in ({"f", "i"}, {"f", "u"}):
        r, c = r.astype(np.float64), c.astype(np.float64)
    elif {r.dtype.kind, c.dtype.kind} == {"i", "u"}:
        r, c = r.astype(np.int64), c.astype(np.int64)
    n, m = r.size, c.size
    assert (found.n, found.m) == (n, m), name
    points = np.unique(np.concatenate([r, c]))
    i, j = (np.searchsorted(np.sort(s), points, "right") for s in (r, c))
    assert found.reach == np.abs(i * m - j * n).max(), name
    assert found.ks == found.reach / (n * m), name
    assert found.wasserstein == pytest.approx(stats.wasserstein(r, c).statistic, rel=1e-10, abs=0), name
    with np.errstate(all="ignore"):
        quartiles = np.quantile(r, [0.25, 0.5, 0.75])
    np.testing.assert_array_equal(found.quartiles, quartiles, name)
    bins = stats.cut(r, c)
    np.testing.assert_array_equal(found.edges, bins.edges, name)
    np.testing.assert_array_equal(found.cut, [bins.reference[:-1], bins.current[:-1]], name)


def test_whole_comparisons_of_all_pairs_in_one_batch(card):
    some = pairs()
    columns = [[column_of(pair[side]) for pair in some.values()] for side in (0, 1)]
    found = solve_columns(*columns, card=card)
    for (name, (r, c)), result in zip(some.items(), found, strict=True):
        check(name, result, r, c)
    assert {r.path for r in found} == {"bins"} and card.blocks == 1
    steps = {launch[0].partition("_")[0] for launch in card.launches}
    assert steps == {"sample", "draft", "count", "edges", "place", "single", "gather", "walk"}
    refined = {name: r.refined for name, r in zip(some, found, strict=True)}
    assert refined["constant"] == refined["small integers"] == refined["truth"] == 0 and refined["normal"] < 0.1
    values = some["normal"][0]
    kept = found[0]
    assert kept.grid is not None and kept.counts is not None
    assert same(kept.counts[0], count_values(values, kept.grid))
    assert kept.means[0] == pytest.approx(values.mean(), rel=1e-9)


def test_batches_that_do_not_fit_are_cut(built):
    some = {k: v for k, v in pairs().items() if k in ("normal", "small integers", "singles", "times", "many zeros")}
    card = HostCard(built, limit=1 << 20, block=1 << 16)
    columns = [[column_of(pair[side]) for pair in some.values()] for side in (0, 1)]
    for (name, (r, c)), result in zip(some.items(), solve_columns(*columns, card=card), strict=True):
        check(name, result, r, c)
    assert card.blocks > 2


def test_many_small_random_pairs(card):
    rng = np.random.default_rng(8)
    some = []
    for _ in range(150):
        n, m = rng.integers(1, 60, 2)
        kind = rng.integers(0, 4)
        make = [
            lambda k: rng.integers(-3, 4, k) * 0.1,
            lambda k: rng.normal(size=k) * 10.0 ** rng.integers(-300, 300),
            lambda k: rng.choice([-np.inf, -1.0, 0.0, 5e-324, 1.0, np.inf, np.nan], k),
            lambda k: rng.integers(-(2**40), 2**40, k).astype(np.float32),
        ][kind]
        r, c = make(n), make(m)
        if numbers(r).size and numbers(c).size:
            some.append((r, c))
    found = solve_columns([column_of(r) for r, _ in some], [column_of(c) for _, c in some], card=card)
    for i, ((r, c), result) in enumerate(zip(some, found, strict=True)):
        check(str(i), result, r, c)
    assert len(some) > 120


def test_empty_columns_and_unpaired_ones(card):
    found = solve_columns(
        [column_of(np.empty(0)), column_of(np.array([np.nan]))], [column_of(np.ones(3))] * 2, card=card
    )
    assert [f.n for f in found] == [0, 0] and np.isnan(found[1].ks) and found[1].missing_reference == 1
    with pytest.raises(DataError, match="cannot be paired"):
        solve_columns([], [column_of(np.ones(3))], card=card)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_rows_are_turned_into_columns(card, dtype):
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (31, 65), (64, 32), (100, 7)):
        matrix = rng.integers(0, 100, shape).astype(dtype)
        view = matrix.view(f"u{matrix.itemsize}")
        assert (turned(card, view) == view.T).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_gives_its_columns(built, order):
    card = HostCard(built, block=1 << 12)
    matrix = np.asarray(np.random.default_rng(0).normal(size=(1_003, 17)), order=order)
    columns = columns_of(matrix, card)
    assert len(columns) == 17 and all((c.values == matrix[:, j]).all() for j, c in enumerate(columns))
    assert (card.blocks > 30) == (order == "C")


# -- the tests above can fail


MUTANTS = {
    "minus zero keeps its bits": ("bits = (bits << 1) ? bits : 0;  // -0.0 is 0.0", ""),
    "infinity is missing": ("> 0x7FF0000000000000ULL", ">= 0x7FF0000000000000ULL"),
    "offsets are rounded": ("((place << (63 - width)) << 1) >> 32)", "(place << (63 - width)) >> 31) + 1"),
    "a carry is lost": ("> ~s.offset", ">= ~0u"),
    "the last rows are left out": ("row < last; row += at.threads", "row + 1 < last; row += at.threads"),
    "outer bins count from the cells": ("number + grid.high_base);", "number + grid.high_base - 1);"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_fault_is_noticed(built, tmp_path, name):
    before, after = MUTANTS[name]
    for path in CUDA.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.name == "bins.cuh":
            assert text.count(before) == 1
        (tmp_path / path.name).write_text(text.replace(before, after), encoding="utf-8")
    broken = HostCard(library(tmp_path, tmp_path, *options_for("count_float64")[2:]))
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=5_001), odd("float64")])
    grid = make_grid(values[:1_000], "float64", 2_000)
    assert same(count_columns([column_of(values)], [grid], HostCard(built))[0], count_values(values, grid))
    assert not same(count_columns([column_of(values)], [grid], broken)[0], count_values(values, grid))


# -- what the card's own compilers say


def wheel() -> Path | None:
    """NVRTC of the package `nvidia-cuda-nvrtc-cu12`, which needs no driver."""
    spec = importlib.util.find_spec("nvidia")
    places = list(spec.submodule_search_locations or []) if spec else []
    return next((p for f in places for p in sorted(Path(f).glob("cuda_nvrtc/lib/libnvrtc.so*"))), None)


def by_nvrtc(path: Path, arch: str, options: tuple[str, ...]) -> tuple[int, str]:
    """Size of the machine code, and what the compiler said."""
    nvrtc, program = ctypes.CDLL(str(path)), ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source().encode(), b"kernels.cu", 0, None, None) == 0
    words = [o.encode() for o in (f"-arch={arch}", *options, "-Xptxas=-v")]
    failed = nvrtc.nvrtcCompileProgram(program, len(words), (ctypes.c_char_p * len(words))(*words))
    size, length = ctypes.c_size_t(), ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(length))
    log = ctypes.create_string_buffer(length.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    assert failed == 0, log.value.decode()
    return size.value, log.value.decode()


def by_nvcc(folder: Path, arch: str, options: tuple[str, ...]) -> tuple[int, str]:
    target = folder / "kernels.cubin"
    command = [str(shutil.which("nvcc")), f"-arch={arch}", *options, "-cubin", "-Xptxas", "-v"]
    command += ["-Werror", "all-warnings", "-Wno-deprecated-gpu-targets", str(CUDA / "kernels.cu"), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return target.stat().st_size, done.stderr


def compiled(folder: Path, arch: str, options: tuple[str, ...]) -> tuple[int, str]:
    found = wheel()
    if found is not None:
        return by_nvrtc(found, arch, options)
    if shutil.which("nvcc"):
        return by_nvcc(folder, arch, options)
    absent("neither nvidia-cuda-nvrtc-cu12 nor nvcc")
    raise AssertionError


def resources(log: str) -> dict[str, tuple[int, int]]:
    """Registers and bytes spilled, of each kernel."""
    parts = re.split(r"Compiling entry function '(\w+)'", log)[1:]
    found = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        registers, spilled = re.search(r"Used (\d+) registers", text), re.search(r"(\d+) bytes spill stores", text)
        assert registers and spilled, text
        found[name] = int(registers[1]), int(spilled[1])
    return found


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_kernels_compile_for_cards(tmp_path, arch, capsys):
    for name in ("count_float64", "edges"):
        size, log = compiled(tmp_path, arch, options_for(name))
        assert "warning" not in log.lower() and size > 10_000
        use = resources(log)
        with capsys.disabled():
            print(f"\n{arch} {name}: {size:,} bytes; registers", {k: r for k, (r, _) in use.items()}, end="")
        assert name in use and all(registers <= 128 for registers, _ in use.values())
        hot = [use[k] for k in use if k.startswith(("count", "gather"))]
        assert all(registers <= 64 and spilled == 0 for registers, spilled in hot)  # 1,024 threads, all in registers


@pytest.mark.long
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
@pytest.mark.parametrize("dtype", [d for d in TYPES if d != "float64"])
def test_kernels_of_all_types_compile_for_cards(tmp_path, arch, dtype):
    size, log = compiled(tmp_path, arch, options_for(f"count_{dtype}"))
    assert "warning" not in log.lower() and size > 10_000
    use = resources(log)
    assert use[f"count_{dtype}"][1] == 0 and all(spilled <= 64 for _, spilled in use.values())  # bytes; of rare paths


@pytest.mark.long
@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_nvcc_takes_the_whole_source(tmp_path, arch):
    if not shutil.which("nvcc"):
        pytest.skip("no nvcc")
    size, log = by_nvcc(tmp_path, arch, ("-std=c++17", "--fmad=false"))
    assert size > 100_000 and len(resources(log)) == 4 * len(TYPES) + 4 + 4


# -- what is said without a card


def test_the_reason_is_one_line():
    usable, text = available()
    assert text and "\n" not in text and (text.startswith("cuda:") if usable else len(text) > 10)


def test_binades_in_the_header_are_those_of_the_keys():
    text = (CUDA / "bins.cuh").read_text(encoding="utf-8")
    line = next(t for t in text.splitlines() if "i64 binades(i64 kind)" in t)
    assert [int(n) for n in re.findall(r"[?:] (\d+)", line)] == list(BINADES.values())
