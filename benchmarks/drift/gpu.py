"""Drift on a graphics card: against two cores, against two readings of the card's memory, against the bus.

`python -m benchmarks.drift.gpu --rows 10000000 --columns 100`: KS, Wasserstein-1, quantiles, counts of quantile bins,
exact, of `rows` + a tenth of them. Data on the card: at least 20 times as fast as two cores, within 2.5 times of two
readings at the bandwidth of a copy. Data in pinned memory of the host: within 1.3 times of their transfer. Medians of
fresh columns; compiling is not counted. Without a card it prints why.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mlnb.drifting.gpu_count import Column, column_of
from mlnb.drifting.gpu_solve import solve_columns
from mlnb.drifting.kernels_gpu import Card, available

SHIFTED, REPEATS = 0.05, 5


def median_seconds(card: Card, work: Callable[[Any], Any], make: Callable[[int], Any], repeats: int = REPEATS) -> float:
    """Median wall seconds, the card idle before and after; the first run, which compiles, is left out."""
    found = []
    for repeat in range(repeats + 1):
        data = make(repeat)
        card.xp.cuda.Device().synchronize()
        began = time.perf_counter()
        work(data)
        card.xp.cuda.Device().synchronize()
        found.append(time.perf_counter() - began)
        del data
    return statistics.median(found[1:])


def on_card(card: Card, rows: int, columns: int, dtype: str, seed: int) -> tuple[list[Column], list[Column]]:
    """Normal, lognormal, whole and two-decimal columns, reference and a tenth as many current rows."""
    xp, sides = card.xp, []
    random = xp.random.default_rng(seed)
    for size, shift in ((rows, 0.0), (rows // 10, SHIFTED)):
        side = []
        for i in range(columns):
            values = random.standard_normal(size, dtype=dtype)
            values += shift
            values = (values, xp.exp(values), xp.rint(20 + 5 * values), xp.round(values, 2))[i % 4]
            side.append(column_of(values))
        sides.append(side)
    return sides[0], sides[1]


def bandwidth(card: Card) -> float:
    """Bytes read and written a second by a copy within the card."""
    size = min(card.room() // 4, 1 << 31)
    source, target = (card.xp.ones(size, np.uint8) for _ in "st")
    seconds = median_seconds(card, lambda _: card.xp.copyto(target, source), lambda _: None)
    return 2 * size / seconds


def two_cores(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Seconds a value of the CPU engine, two columns at a time."""
    from mlnb.drifting.exact import ArraySide, solve

    def one(pair: tuple[np.ndarray, np.ndarray]) -> Any:
        return solve(ArraySide(pair[0]), ArraySide(pair[1]))

    one(pairs[0])  # compiles
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, pairs))
    return (time.perf_counter() - began) / sum(r.size + c.size for r, c in pairs)


def pinned(card: Card, rows: int, columns: int, dtype: str) -> list[list[Column]]:
    """Columns in pinned memory of the host."""
    import cupyx

    sides = []
    for size in (rows, rows // 10):
        side = []
        for _ in range(columns):
            values = cupyx.empty_pinned(size, np.dtype(dtype))
            values[:] = card.host(card.xp.random.standard_normal(size, dtype=dtype))
            side.append(column_of(values))
        sides.append(side)
    return sides


def transfer(card: Card, columns: list[Column]) -> float:
    """Seconds that sending the columns takes at least, block by block into one place."""
    room = card.xp.empty(max(c.values.size for c in columns), columns[0].values.dtype)
    stream = card.xp.cuda.Stream()

    def send(_: Any) -> None:
        for c in columns:
            room[: c.values.size].set(c.values, stream=stream)
        stream.synchronize()

    return median_seconds(card, send, lambda _: None)


def measure(rows: int, columns: int, dtype: str) -> None:
    """Print the figures for one type of values."""
    card = Card()
    width = np.dtype(dtype).itemsize
    fit = int(card.xp.cuda.runtime.memGetInfo()[0] * 0.6 / (1.1 * rows * width))
    columns = max(4, min(columns, fit))
    values = columns * (rows + rows // 10)
    print(f"\n{dtype}: {rows:,} + {rows // 10:,} rows × {columns} columns, {values * width / 1e9:.1f} GB")
    speed = bandwidth(card)
    print(f"copy within the card: {speed / 1e12:.2f} TB/s read and written")
    ours = median_seconds(
        card,
        lambda data: solve_columns(*data, card=card, keep=False),
        lambda seed: on_card(card, rows, columns, dtype, seed),
    )
    floor = 2 * values * width / speed
    print(f"on the card: {1e3 * ours:.1f} ms, {1e9 * ours / values:.4f} ns a value")
    print(f"  two readings: {1e3 * floor:.1f} ms, ours {ours / floor:.2f}× (goal 2.5×)")
    reference, current = on_card(card, rows, 4, dtype, 99)
    few = [(card.host(r.values), card.host(c.values)) for r, c in zip(reference, current, strict=True)]
    del reference, current
    slow = two_cores(few) * values
    print(f"  two cores: {slow:.2f} s, ours {slow / ours:.0f} times as fast (goal 20)")
    many = max(4, min(columns, int(8e9 / (1.1 * rows * width))))
    sides = pinned(card, rows, many, dtype)
    bus = transfer(card, [*sides[0], *sides[1]])
    sent = median_seconds(card, lambda _: solve_columns(*sides, card=card, keep=False), lambda _: None, 3)
    size = many * (rows + rows // 10) * width
    print(f"from pinned memory, {size / 1e9:.1f} GB: {sent:.3f} s; transfer {bus:.3f} s ({size / bus / 1e9:.1f} GB/s), "
          f"ours {sent / bus:.2f}× (goal 1.3×)")  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    """Measure, or say why not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    given = parser.parse_args([] if arguments is None else arguments)
    usable, text = available()
    if not usable:
        print(f"no GPU: {text}")
        return
    import cupy

    print(f"{text}; CuPy {cupy.__version__}, NumPy {np.__version__}")
    for dtype in given.dtypes:
        measure(given.rows, given.columns, dtype)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
