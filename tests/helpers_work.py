"""Work that is counted instead of timed: the same number on a busy machine as on an idle one."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

GENEROUS = 60.0  # seconds for what takes a moment: a machine that pauses is no reason to fail


def calls_of(work: Callable[[], Any]) -> int:
    """How many functions are entered while `work` runs, in this thread and in those that it starts."""
    lock, counts = threading.Lock(), []

    def count() -> Callable[[Any, str, Any], None]:
        mine = [0]
        with lock:
            counts.append(mine)

        def seen(_frame: Any, event: str, _argument: Any) -> None:
            if event in ("call", "c_call"):
                mine[0] += 1

        return seen

    def begun(*event: Any) -> None:  # the first event of a thread
        sys.setprofile(count())

    threading.setprofile(begun)
    sys.setprofile(count())
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return sum(mine[0] for mine in counts)


@contextlib.contextmanager
def ends_in_cpu_seconds(seconds: float) -> Iterator[None]:
    """End what would go on for hours. Only what this process itself computes counts, not how long it had to wait."""

    def late(*_: object) -> None:
        raise AssertionError(f"more than {seconds:g} s of computing")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def until(what: Callable[[], Any], seconds: float = GENEROUS) -> Any:
    """Wait until something holds, and give it."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
    return found


def time_is_out_in(cell: int, monkeypatch: Any) -> None:
    """Let a notebook's time be out as soon as its process is in this cell, however long it took to come there."""

    class Watched(subprocess.Popen):
        def wait(self, timeout: float | None = None) -> int:
            if timeout is None:
                return super().wait()
            until(lambda: self.poll() is not None or str(cell) in self.places())
            return super().wait(0.01)

        def places(self) -> list[str]:
            files = [Path(part) / "cell" for part in self.args]
            return [file.read_text() for file in files if file.is_file()]

    monkeypatch.setattr(subprocess, "Popen", Watched)


def free_port() -> int:
    """A port that nobody has, for now: whoever is quicker may take it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serving(start: Callable[[int], subprocess.Popen], answers: Callable[[int], Any]) -> tuple[subprocess.Popen, int]:
    """Start a server on a free port; where it ends, since somebody was quicker to take that port, on another."""
    for _ in range(3):
        port = free_port()
        process = start(port)

        def answered(port: int = port) -> bool:
            with contextlib.suppress(OSError):
                answers(port)
                return True
            return False

        until(lambda ended=process.poll, answered=answered: ended() is not None or answered(), 4 * GENEROUS)
        if process.poll() is None:
            return process, port
    raise AssertionError(f"the server ends with {process.returncode}")
