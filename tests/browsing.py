"""A real browser for tests: Debian's Chromium with the network cut."""

from __future__ import annotations

import os
from pathlib import Path

CHROMIUM = Path(os.environ.get("MLNB_CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
INK = {"light": "rgb(31, 35, 40)", "dark": "rgb(230, 237, 243)"}


def start_browser():
    """Playwright and one Chromium; where CI is set it has to be there: a skipped browser must not look like a pass."""
    import pytest

    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("playwright is not installed")
    if not CHROMIUM.exists() and not os.environ.get("CI"):
        pytest.skip(f"no browser at {CHROMIUM}; set MLNB_CHROMIUM")
    playwright = sync_playwright().start()
    return playwright, playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*FLAGS, OFFLINE])


def watched(page):
    """Keep what a page asked for (`asked`) and complained of (`said`)."""
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("dialog", lambda dialog: (page.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    return page


def findings(page, context: str | None = None) -> list[str]:
    """What axe finds on the page, or inside a selector: the host's page is not ours."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=context).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:120]} ({len(v['nodes'])})" for v in found]
