"""Fixtures for all tests: real data, and workspaces of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("MLNB_DATA", ROOT.parent / "shared" / "data"))

for _name, _value in {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
}.items():
    os.environ.setdefault(_name, _value)

# The same examples in every run, and none that fails because the machine made it wait.
settings.register_profile("mlnb", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mlnb")


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


@pytest.fixture(scope="module")
def browser():
    """One Chromium for a module; Playwright has an event loop of its own, which other modules' tests may not meet."""
    from browsing import start_browser

    playwright, started = start_browser()
    yield started
    started.close()
    playwright.stop()


@pytest.fixture
def tab(browser):
    """Open a page and watch it: what it asked for, what it complained of."""
    from browsing import watched

    opened = []

    def open_tab(width: int = 1280, theme: str = "light"):
        opened.append(watched(browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)))
        return opened[-1]

    yield open_tab
    for page in opened:
        page.close()


@pytest.fixture(scope="session")
def lived_in(tmp_path_factory):
    """A workspace in which the demo's model was trained, evaluated and monitored: read it, and copy it to change it."""
    from helpers_lived import build

    return build(tmp_path_factory.mktemp("lived") / "ws")


@pytest.fixture
def lived(lived_in, tmp_path, monkeypatch):
    """A copy of that workspace of one's own, as the current one."""
    from helpers_lived import copy_lived, forget_places

    workspace = copy_lived(lived_in, tmp_path / "ws")
    monkeypatch.setenv("MLNB_WORKSPACE", str(workspace.root))
    yield workspace
    forget_places()
