"""Fixtures for all tests: real data, and workspaces of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("MLNB_DATA", ROOT.parent / "shared" / "data"))

for _name, _value in {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
}.items():
    os.environ.setdefault(_name, _value)


def _read(name: str):
    import pandas as pd

    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not there; set MLNB_DATA to the folder that has it")
    return pd.read_csv(path)


@pytest.fixture(scope="session")
def adult():
    """UCI Adult, 30,162 rows; target income-per-year."""
    return _read("adult.csv")


@pytest.fixture(scope="session")
def bike():
    """UCI Bike Sharing, 17,379 hours; target cnt."""
    return _read("bike-hour.csv")


@pytest.fixture
def adult_path(adult):
    return DATA / "adult.csv"


@pytest.fixture
def bike_path(bike):
    return DATA / "bike-hour.csv"


@pytest.fixture(scope="session")
def built_store(tmp_path_factory):
    """A workspace folder with a tracking store, built once; its copies spare each test the migrations."""
    from mlnb.core.workspace import make
    from mlnb.tracking.store import ensure_store

    root = tmp_path_factory.mktemp("built") / "ws"
    workspace = make(root)
    ensure_store(workspace)
    return workspace.root


@pytest.fixture
def bare_workspace(tmp_path, monkeypatch):
    """A fresh workspace without a store."""
    from mlnb.core.workspace import make

    workspace = make(tmp_path / "ws")
    monkeypatch.setenv("MLNB_WORKSPACE", str(workspace.root))
    monkeypatch.chdir(workspace.root)
    return workspace
