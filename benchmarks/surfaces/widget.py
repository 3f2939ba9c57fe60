"""A checklist of 100 items in JupyterLab: bytes of its view, and milliseconds from a click to the item drawn anew.

Python checks the message, signs in ledger and store, asks all questions again and draws; the browser redraws.
Budgets: 60 kB, and 100 ms on an idle machine.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from browsing import start_browser  # noqa: E402
from helpers_lab import HUNDRED, ROUND_TRIP, Lab  # noqa: E402

from mlnb.core.workspace import make  # noqa: E402


def prepare(root: Path) -> None:
    """A workspace with one small model, and a list of 100 questions."""
    from sklearn.linear_model import LogisticRegression

    from mlnb.tracking.run import track

    workspace = make(root)
    with track("train", kind="train", workspace=workspace) as run:
        run.model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
    (root / "checklists").mkdir()
    (root / "checklists" / "hundred.toml").write_text(HUNDRED)


def measure(folder: Path) -> list[float]:
    """Sign ten items one after the other."""
    lab = Lab(folder / "lab", folder / "ws")
    playwright, browser = start_browser()
    try:
        lab.wait()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        lab.write("hundred.ipynb", "%load_ext mlnb", "%checklist hundred")
        lab.open(page, "hundred.ipynb")
        lab.run(page)
        page.wait_for_selector(".live li[data-key=question_99]")
        took = []
        for key in (f"question_{i}" for i in range(10)):
            page.locator(f".live li[data-key={key}] button").click()
            took.append(page.evaluate(ROUND_TRIP, key))
            page.wait_for_function("() => !document.querySelector('.live form')")
        return took
    finally:
        browser.close()
        playwright.stop()
        lab.stop()


def main() -> None:
    """Print both figures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        prepare(folder / "ws")
        os.environ["MLNB_WORKSPACE"] = str(folder / "ws")
        took = measure(folder)
        from mlnb.ui.checklists import checklist

        size = len(checklist("hundred").draw().encode())
    print(f"view of 100 items                {size / 1000:6.1f} kB, budget 60")
    print(f"click to redrawn item, median    {statistics.median(took):6.0f} ms, budget 100, best {min(took):.0f}")


if __name__ == "__main__":
    main()
