"""The processor in the place of a graphics card: the kernels' own source, built by a host compiler."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

CUDA = Path(__file__).resolve().parents[1] / "mlnb" / "static" / "cuda"
EDGE = 64  # bytes behind the shared memory that no kernel may touch


def compiler() -> str | None:
    """A C++ compiler of this machine."""
    return next((found for name in ("g++", "clang++", "c++") if (found := shutil.which(name))), None)


@cache
def library(folder: Path, source: Path = CUDA, *options: str) -> ctypes.CDLL:
    """The kernels as functions of the host, with warnings as errors."""
    target = folder / f"kernels{abs(hash((source, options)))}.so"
    command = [compiler(), "-x", "c++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off"]
    subprocess.run(
        [*command, *options, "-shared", "-fPIC", source / "kernels.cu", "-o", target], check=True, timeout=300
    )
    return ctypes.CDLL(str(target))


class HostCard:
    """What the engine wants of a card, on the processor."""

    def __init__(
        self, built: ctypes.CDLL, limit: int | None = None, block: int = 1 << 20, shared: int = 227 << 10
    ) -> None:
        self.xp, self.limit, self.block, self.shared = np, limit, block, shared
        self.device, self.processors = f"host {os.uname().machine}", 4
        self.library = built
        self.launches: list[tuple[str, tuple[int, int], int, int]] = []
        self.blocks = 0

    def room(self) -> int:
        return self.limit or 1 << 30

    def array(self, host: np.ndarray) -> np.ndarray:
        return (host.view(np.uint8) if host.dtype.names else host).copy()

    def host(self, array: np.ndarray) -> np.ndarray:
        return array.copy()

    def address(self, array: np.ndarray) -> int:
        return array.ctypes.data

    def launch(self, name: str, blocks: tuple[int, int], threads: int, shared: int, *arguments: Any) -> None:
        assert 0 < blocks[0] < 2**31 and 0 < blocks[1] <= 65_535 and 0 < threads <= 1024, (name, blocks, threads)
        assert shared <= self.shared, (name, shared)
        memory = np.full(shared + EDGE, 0xA5, np.uint8)  # not zero: a card does not clear it either
        assert memory.ctypes.data % 16 == 0
        given = [a.ctypes.data if isinstance(a, np.ndarray) else int(a) for a in arguments]
        numbers = [*blocks, threads, memory.ctypes.data, *given]
        getattr(self.library, name)(*(ctypes.c_longlong(n) for n in numbers))
        assert (memory[shared:] == 0xA5).all(), f"{name} wrote past its shared memory"
        self.launches.append((name, blocks, threads, shared))

    def feed(self, blocks: Iterable[Sequence[np.ndarray]]) -> Iterator[list[np.ndarray]]:
        for block in blocks:
            self.blocks += 1
            here = [a.copy() for a in block]
            yield here
            for array in here:  # who still looks at it sees rubbish
                array.view(np.uint8)[:] = 0xA5
