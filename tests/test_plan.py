"""What computes a comparison: columns in batches on a GPU, and what is done where the GPU cannot."""

from __future__ import annotations

import sys
import types

import numpy as np
import pandas as pd
import pytest
from test_tables import OnCard

from mlnb.core.settings import load_settings
from mlnb.data.table_parts import TableColumn
from mlnb.data.tables import open_table
from mlnb.drifting import gpu_solve, kernels_gpu, plan
from mlnb.drifting.engine import drift
from mlnb.drifting.exact import ArraySide, solve
from mlnb.drifting.plan import Plan, choose

SETTINGS = load_settings(environ={})


def on_cpu(references, currents, *, bins):
    """What a card answers, computed here."""
    made = [[ArraySide(c.values, None if c.mask is None else c.mask.view(bool), c.nat) for c in (r, c)]
            for r, c in zip(references, currents, strict=True)]  # fmt: skip
    return [solve(*sides, bins=bins) for sides in made]


@pytest.fixture
def card(monkeypatch) -> list[int]:
    """How many columns went to the card together."""
    sent: list[int] = []

    def solved(references, currents, *, bins):
        sent.append(len(references))
        return on_cpu(references, currents, bins=bins)

    monkeypatch.setattr(kernels_gpu, "available", lambda: (True, "a card"))
    monkeypatch.setattr(gpu_solve, "solve_columns", solved)
    return sent


def frames(columns: int = 6, rows: int = 3000) -> list[pd.DataFrame]:
    rng = np.random.default_rng(4)
    return [pd.DataFrame({f"x{i}": rng.normal(0.2 * s, 1, rows) for i in range(columns)}) for s in (0, 1)]


def verdicts(report) -> list[tuple]:
    """All results; the last digits depend on the way that a column took."""
    return [(r.subject, r.method, str(r.status), r.value and float(f"{r.value:.12g}")) for r in report.results]


def compared(*sides, **options):
    return drift(*sides, settings=SETTINGS, **options)


def test_a_card_says_what_the_processor_says(card):
    sides = frames()
    found = compared(*sides, engine="gpu")
    assert verdicts(found) == verdicts(compared(*sides, engine="cpu")) and card == [6]
    assert "left to" not in found.meta["engine_chosen"]


def test_one_column_that_cannot_be_sent_stops_no_other(card):
    sides = [frame.assign(late=np.array(["2500-01-01"], "datetime64[s]").repeat(3000)) for frame in frames()]
    found = compared(*sides, engine="gpu")
    assert card == [6] and "1 column left to the CPU (DataError: reference cannot" in found.meta["engine_chosen"]
    wanted = compared(*sides, engine="cpu")
    assert verdicts(found) == verdicts(wanted) and "x5" in {r.subject for r in found.results}


def test_a_column_whose_values_break_is_its_own_result(card, monkeypatch):
    whole = TableColumn.whole

    def broken(self):
        if self.name == "x2":
            raise MemoryError("no room")
        return whole(self)

    monkeypatch.setattr(TableColumn, "whole", broken)
    found = compared(*frames(), engine="gpu")
    assert card == [5] and "1 column left to the CPU (MemoryError: no room)" in found.meta["engine_chosen"]
    states = {r.subject: str(r.status) for r in found.results if r.subject}
    assert states["x2"] == "error" and sum(state == "error" for state in states.values()) == 1


def test_a_batch_that_breaks_is_computed_by_the_processor(card, monkeypatch):
    def broken(*sides, bins):
        raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS\nan illegal memory access")

    monkeypatch.setattr(gpu_solve, "solve_columns", broken)
    sides = frames()
    found = compared(*sides, engine="gpu")
    assert verdicts(found) == verdicts(compared(*sides, engine="cpu"))
    reason = found.meta["engine_chosen"]
    assert "6 columns left to the CPU (RuntimeError: CUDA_ERROR" in reason and "\n" not in reason


def test_the_reason_stays_a_line_whatever_breaks():
    found = Plan("gpu", "many values")
    for i in range(9):
        found._leave(2, ValueError(f"reason {i}"))
    assert found.reason.count("left to the CPU") == 3 and found.reason.endswith("12 columns for other reasons")


def test_columns_are_read_and_answered_in_batches(card, monkeypatch, tmp_path):
    sides = frames(10)
    for side, frame in zip("rc", sides, strict=True):
        frame.to_parquet(tmp_path / f"{side}.parquet")
    room = 3 * (plan.ANSWER + 2 * 9 * 3000)
    monkeypatch.setattr(plan, "TOGETHER", room)
    held = []
    ahead = Plan.solve

    def solved(self, *pair):
        held.append(len(self.ahead))
        return ahead(self, *pair)

    monkeypatch.setattr(Plan, "solve", solved)
    found = compared(tmp_path / "r.parquet", tmp_path / "c.parquet", engine="gpu")
    assert card == [3, 3, 3, 1] and held == [3, 2, 1] * 3 + [1]
    monkeypatch.setattr(Plan, "solve", ahead)
    assert verdicts(found) == verdicts(compared(*sides, engine="cpu"))


def test_a_column_larger_than_a_batch_goes_alone(monkeypatch):
    monkeypatch.setattr(plan, "TOGETHER", 1)
    pairs = [(open_table(f).column(0), open_table(f).column(0)) for f in frames(1) * 2]
    assert [(s.start, s.stop) for s in Plan("gpu").batches(pairs)] == [(0, 1), (1, 2), (2, 3), (3, 4)][: len(pairs)]
    assert list(Plan("numba").batches(pairs)) == [slice(0, len(pairs))]


# Frames on a card


class Counting(OnCard):
    """An array on a card that counts what is copied from it."""

    copied = 0

    def __getitem__(self, key) -> Counting:
        return Counting(self.values[key])

    def get(self) -> np.ndarray:
        Counting.copied += self.values.size
        return self.values

    def __ne__(self, other) -> Counting:
        return Counting(self.values != other.values)

    def __or__(self, other) -> Counting:
        return Counting(self.values | other.values)

    __hash__ = None

    def all(self) -> Counting:
        return Counting(np.asarray(self.values.all()))

    def __bool__(self) -> bool:
        return bool(self.values)


KIND = {
    "numeric": np.arange(5000.0),
    "late": np.append(np.full(4999, np.nan), 1.0),
    "boolean": np.array([True, False]),
    "empty": np.full(3000, np.nan),
    "none": np.empty(0),
    "whole": np.arange(3, dtype=np.uint8),
    "unsupported": np.ones(3, complex),
}


@pytest.mark.parametrize("name", KIND)
def test_the_kind_of_a_column_on_a_card_is_told_without_a_copy(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(ndarray=OnCard))
    monkeypatch.setattr(Counting, "copied", 0)
    column = open_table({"x": Counting(KIND[name])}).column(0)
    assert column.kind == open_table(pd.DataFrame({"x": KIND[name]})).column(0).kind and Counting.copied == 0
    assert column.kind == {"late": "numeric", "none": "empty", "whole": "numeric"}.get(name, name)


def test_a_mask_on_a_card_makes_a_column_empty():
    from mlnb.data.array_table import DeviceColumn

    values, gone = np.append(np.nan, np.arange(2.0)), np.array([False, True, True])
    assert DeviceColumn("x", "data", values, gone).kind == "empty"
    assert DeviceColumn("x", "data", np.arange(3), gone).kind == "numeric"
    assert DeviceColumn("x", "data", np.arange(3), np.ones(3, bool)).kind == "empty"


class Series:
    """A column of cuDF, as far as it is asked."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.dtype, self.opened = values, values.dtype, False

    def to_arrow(self):
        self.opened = True
        raise AssertionError("copied to the host only to choose the engine")

    def isna(self):
        return np.zeros(len(self.values), bool)


def test_a_frame_on_a_card_whose_first_column_is_text_stays_there(card):
    from mlnb.data.array_table import DeviceTable

    columns = [Series(np.array(["a", "b"], object)), Series(np.arange(2.0))]
    table = DeviceTable(["town", "km"], 2, lambda i: columns[i])
    assert choose("auto", [table, table], 8).engine == "gpu"
    text = DeviceTable(["town"], 2, lambda i: columns[i])
    assert choose("auto", [text, text], 4).engine == "numpy" and not text.on_device
    assert not open_table(pd.DataFrame({"a": [1.0]})).on_device
