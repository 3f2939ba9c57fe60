"""Drift of files in JupyterLab: the progress bar is seen while it runs, and one line is left of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from browsing import watched
from helpers_lab import DONE, FORGET, Lab
from helpers_work import GENEROUS

COLUMNS, ROWS = 300, 8_000
AT_ONCE = "import mlnb.core.progress as p; p.PATIENCE = 0"  # on a fast machine, too
WATCH = """() => {
    window.bars = [];
    new MutationObserver(() => {
        for (const bar of document.querySelectorAll(".jp-OutputArea progress"))
            window.bars.push([bar.value, bar.max, bar.closest(".jp-OutputArea-output").innerText.trim()]);
    }).observe(document.body, { childList: true, subtree: true, attributes: true });
}"""  # every state of every bar that was on the page, however short
BARS = "() => window.bars"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """One JupyterLab server, with two folders of Parquet files beside its notebooks."""
    folder = tmp_path_factory.mktemp("lab")
    started = Lab(folder, folder)
    try:
        rng = np.random.default_rng(5)
        for side, shift in (("2023", 0.0), ("2024", 1.0)):
            (started.notebooks / side).mkdir()
            for part in range(4):
                values = rng.normal(size=(ROWS, COLUMNS)).astype("float32")
                values[:, 7] += shift
                frame = pd.DataFrame(values, columns=[f"x_{i:03d}" for i in range(COLUMNS)])
                frame["day"] = pd.Timestamp(f"{side}-01-01") + pd.to_timedelta(
                    7 * part + np.arange(ROWS) * 7 // ROWS, unit="D"
                )
                frame.to_parquet(started.notebooks / side / f"{part}.parquet")
        started.wait()
        yield started
    finally:
        started.stop()


def run_drift(lab, browser, name: str, line: str):
    """What the page showed of bars while a line ran, what its cell says after it, and the page's complaints."""
    lab.write(name, "%load_ext mlnb", AT_ONCE, line)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = watched(context.new_page())
        lab.open(page, name)
        page.evaluate(FORGET)
        page.evaluate(WATCH)
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        page.wait_for_function(DONE, timeout=3000 * GENEROUS)
        page.wait_for_selector(".jp-OutputArea .mlnb h2")
        page.wait_for_function("() => !document.querySelector('.jp-OutputArea progress')")  # gone
        said = page.locator(".jp-OutputArea-output").all_inner_texts()
        return page.evaluate(BARS), [s.strip() for s in said], page.locator(".jp-OutputArea .mlnb").inner_text()
    finally:
        context.close()
        lab.forget()


def test_the_bar_is_seen_while_files_are_compared_and_one_line_is_left(lab, browser):
    bars, said, report = run_drift(lab, browser, "files.ipynb", "%drift 2023/*.parquet 2024/*.parquet --over week")
    steps = [(value, most) for value, most, words in bars if words.startswith("Drift:")]
    assert steps, "no bar was on the page while the columns were compared"
    assert {most for _, most in steps} == {COLUMNS} and all(0 < value <= COLUMNS for value, _ in steps)
    assert [value for value, _ in steps] == sorted(value for value, _ in steps)  # it never goes back
    assert any(" of 300 columns, x_" in words for _, _, words in bars)  # says how far, and where
    left = [s for s in said if s.startswith("Drift: ")]
    assert len(left) == 1 and left[0].startswith("Drift: 300 columns in ") and "\n" not in left[0]
    assert "✗ fail" in report and "1 of 300 columns drifted: x_007" in report
    assert "windows drifted" in report and "2024-W02" in report
