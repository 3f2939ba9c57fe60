"""How long a live dashboard takes until it can be read: cold and preheated, beside a published page.

Prints medians and their ratio to the published page. Needs Chromium and a workspace with runs: MLNB_WORKSPACE, else the
demo's in demo-workspace/.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
VISITS, WARM_UP = 5, 5.0  # seconds until a new kernel has run its notebook


def ready(browser, address: str) -> tuple[float, int]:
    """Seconds until the heading stands there, and requests."""
    from browsing import watched

    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = watched(context.new_page())
    began = time.perf_counter()
    page.goto(address)
    page.locator(".mlnb.board h1").first.wait_for(timeout=60_000)
    took = time.perf_counter() - began
    context.close()
    return took, len(page.asked)


def measure(browser, name: str, preheated: int) -> list[tuple[float, int]]:
    """Visit a dashboard several times."""
    from mlnb.ui.dashboard import server

    os.environ["MLNB_DASHBOARD__PREHEATED"] = str(preheated)
    found = []
    with server(name) as (address, _):
        for _ in range(VISITS):
            time.sleep(WARM_UP)
            found.append(ready(browser, address))
    return found


def main() -> None:
    """Print one line a case."""
    from browsing import start_browser

    from mlnb.ui.publish import publish

    os.environ.setdefault("MLNB_WORKSPACE", str(ROOT / "demo-workspace"))
    if not (Path(os.environ["MLNB_WORKSPACE"]) / ".mlnb").is_dir():
        print("voila: no workspace with runs; make one with: make demo")
        return
    playwright, browser = start_browser()
    with tempfile.TemporaryDirectory() as folder:
        pages = publish(to=f"{folder}/pages")
        base = statistics.median(ready(browser, (pages.folder / "index.html").as_uri())[0] for _ in range(VISITS))
        print(f"{'published page':32s} {base:6.2f} s      1.0 ×")
        for name in ("overview", "monitor"):
            for preheated in (0, 1):
                found = measure(browser, name, preheated)
                took = statistics.median(t for t, _ in found)
                case = f"{name}, {'preheated' if preheated else 'cold'}"
                print(f"{case:32s} {took:6.2f} s {took / base:8.1f} ×  {found[-1][1]} requests")
    browser.close()
    playwright.stop()


if __name__ == "__main__":
    main()
