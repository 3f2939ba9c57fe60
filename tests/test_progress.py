"""The bar of long work: one output in a kernel, a line on a terminal, silence in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from mlnb.core import progress as bars
from mlnb.core.progress import progress

WORK = """
import sys, threading
from types import SimpleNamespace
from mlnb.core import progress as bars
from mlnb.core.progress import progress
clock, lock = SimpleNamespace(now=0.0), threading.Lock()
bars.time = SimpleNamespace(monotonic=lambda: clock.now)  # a bar is as slow as this clock, not as this machine
def later(seconds):
    with lock:
        clock.now += seconds
assert not {"IPython", "pandas", "numpy", "ipywidgets"} & set(sys.modules) or "ipykernel" in sys.modules
with progress(200, "Drift <b>", unit="columns") as bar:
    def work():
        for _ in range(50):
            later(0.005)
            bar.advance(at="temp")
            for _ in progress("ab", "inside"):
                later(0.001)
    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
assert bar.done == 200
print("done")
"""


class Place:
    """Where a bar is shown, as it tells it."""

    def __init__(self) -> None:
        self.shown, self.closed, self.lasts, self.now = [], [], 0.0, 0.0

    def show(self, words: str, bar: str) -> None:
        self.shown.append((self.now, words, bar))
        self.now += self.lasts  # to be shown takes time, too

    def close(self, words: str) -> None:
        self.closed.append(words)


@pytest.fixture
def place(monkeypatch):
    made = Place()
    monkeypatch.setattr(bars, "_place", lambda: made)
    monkeypatch.setattr(bars, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.mark.parametrize("lasts", [0.0, 0.7])
def test_short_work_shows_nothing_and_long_work_at_most_five_times_a_second(place, lasts):
    place.lasts = lasts
    assert sum(progress(range(1000), "Sum")) == 499_500 and place.shown == []
    with progress(1000, "Sum") as bar:
        for _ in range(1000):
            place.now += (bars.PATIENCE - 0.01) / 1000
            bar.advance()
    assert place.shown == [] and bars.PATIENCE == 0.5
    with progress(10_000, "Drift", unit="columns") as bar:
        began = place.now
        while place.now < began + 3:
            place.now += 0.003
            bar.advance(at="x")
    apart = [b[0] - a[0] for a, b in zip(place.shown, place.shown[1:], strict=False)]
    assert place.shown[0][0] - began == pytest.approx(bars.PATIENCE, abs=0.004)
    assert min(apart) >= lasts + 0.2 - 1e-9 and max(apart) < lasts + 0.2 + 0.004  # none is left out either
    assert place.closed[-1] == f"Drift: {bar.done:,} columns in {place.now - began:.1f} s"


def test_threads_lose_no_step_and_only_the_outer_bar_is_shown(place):
    with progress(8000, "Outer") as bar:
        threads = [threading.Thread(target=lambda: [bar.advance() for _ in range(1000)]) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        with progress(2, "Inner") as inner:
            assert inner.place is None
    assert bar.done == 8000 and len(place.closed) == 1 and not bars._ACTIVE


def test_broken_work_closes_the_bar_and_passes_the_error_on(place):
    with pytest.raises(ZeroDivisionError):
        for i in progress(range(5), "Drift"):
            1 // (3 - i)
    assert place.closed == [place.closed[0]] and place.closed[0].startswith("Drift: stopped after 3 of 5 steps")
    for _ in progress(range(5), "Next"):
        break
    assert not bars._ACTIVE


def test_words_tell_how_long_it_may_take_and_hostile_names_stay_text(place, monkeypatch):
    with progress(4, "<img src=x>", unit="columns") as bar:
        bar.began -= 30
        bar.advance(at="\x1b[31mred")
        assert bar.words() == "<img src=x>: 1 of 4 columns, \\x1b[31mred, 2 min left"
        assert "<img" not in bar.bar() and 'max="4" value="1"' in bar.bar()
        bar.advance(9)
        assert 'value="4"' in bar.bar()
    with progress(iter("abc"), "Unknown") as bar:
        bar.advance()
        assert bar.words() == "Unknown: 1 steps" and "max" not in bar.bar()


def test_in_a_terminal_one_line_that_disappears():
    ours, theirs = pty.openpty()
    done = subprocess.Popen([sys.executable, "-c", WORK], stdout=subprocess.PIPE, stderr=theirs, env=_environment())
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(ours)
    assert done.communicate()[0] == b"done\n" and done.returncode == 0
    lines = seen.decode().split("\r")
    assert 3 <= len(lines) <= 8 and "\n" not in seen.decode() and lines[-1] == "\x1b[K"
    assert lines[1].startswith("Drift <b>: ") and " of 200 columns, temp" in lines[1] and "inside" not in seen.decode()


def test_in_a_pipe_nothing():
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, env=_environment(), timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def _environment() -> dict[str, str]:
    return {**os.environ, "TERM": "xterm"}


def test_in_a_kernel_one_output_that_ends_with_what_was_done(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(WORK)])
    messages = []

    class Listening(NotebookClient):
        def process_message(self, msg, cell, cell_index):
            messages.append(msg)
            return super().process_message(msg, cell, cell_index)

    Listening(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    updates = [m for m in messages if m["msg_type"] in ("display_data", "update_display_data")]
    assert [m["msg_type"] for m in updates].count("display_data") == 1 and 2 <= len(updates) <= 7
    assert len({m["content"]["transient"]["display_id"] for m in updates}) == 1
    assert '<progress max="200"' in updates[0]["content"]["data"]["text/html"]
    outputs = [o for o in notebook.cells[0].outputs if o.output_type == "display_data"]
    assert len(outputs) == 1
    data = outputs[0]["data"]
    assert "<progress" not in data["text/html"] and "Drift &lt;b&gt;: 200 columns in" in data["text/html"]
    assert data["text/plain"].startswith("Drift <b>: 200 columns in ")
    assert len(str(data)) < 300
