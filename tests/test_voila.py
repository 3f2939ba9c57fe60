"""The live dashboards: one real Voila server, a real Chromium with the network cut."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browsing import INK, findings, watched
from helpers_lived import copy_lived, current_is
from helpers_work import GENEROUS, until
from test_render import expected, from_html

from mlnb.core.errors import StepError
from mlnb.core.result import Report, Result
from mlnb.tracking.run import track
from mlnb.tracking.snapshot import snapshot
from mlnb.ui import dashboard as dashboards
from mlnb.ui.dashboard import server

KNOWN = re.compile(  # Voila brings modules of an older JupyterLab, and the widgets ask for newer ones; all work
    r"(Unsatisfied version \S+ from _JUPYTERLAB\.CORE_OUTPUT of shared singleton module @jupyterlab/\w+ "
    r"\(required \S+\)"
    r"|No satisfying version \(\S+\) of shared module @jupyterlab/\w+ found in shared scope default\.\n"
    r"Available versions: \S+ from _JUPYTERLAB\.CORE_OUTPUT)"
)
IDLE = 4  # seconds after which the server ends what a visitor left behind


@pytest.fixture(scope="module")
def site(lived_in, tmp_path_factory):
    """A server on a workspace of its own, with short times."""
    workspace = copy_lived(lived_in, tmp_path_factory.mktemp("voila") / "ws")
    kept = {"MLNB_DASHBOARD__IDLE_TIMEOUT": str(IDLE), "MLNB_DASHBOARD__LOOK_EVERY": "0.5"}
    os.environ.update(kept)
    try:
        with current_is(workspace.root):
            from mlnb.core.workspace import current

            with server("overview", workspace=current()) as (address, process):
                yield current(), address, process
        assert kernels(process) == []
    finally:
        for name in kept:
            os.environ.pop(name)


@pytest.fixture
def visit(browser):
    """Open the address as a visitor of one's own, without cookies of others."""
    contexts = []

    def come(address: str, width: int = 1280, theme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        page = watched(context.new_page())
        page.set_default_timeout(1000 * GENEROUS)
        page.goto(address)
        page.locator(".mlnb.board h1").wait_for()
        SERVED.add(kernel_of(page))
        return page

    yield come
    for context in contexts:
        context.close()


def environment(process) -> str:
    """Cookie that a server's processes carry."""
    content = Path(f"/proc/{process.pid}/environ").read_bytes()
    return next(e for e in content.decode().split("\0") if e.startswith("MLNB_RUN="))


COOKIES: dict[int, str] = {}


def kernels(process) -> list[int]:
    """Process ids of the kernels that a server has."""
    if process.poll() is None:
        COOKIES[process.pid] = environment(process)
    return [pid for pid in carrying(COOKIES.get(process.pid, "MLNB_RUN=none")) if b"ipykernel" in command(pid)]


def carrying(entry: str) -> list[int]:
    """Process ids whose environment has an entry."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if entry.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


SERVED: set[bytes] = set()  # ids of the kernels that had a visitor


def kernel_of(page) -> bytes:
    """Id of the kernel that made a page."""
    facts = page.locator("script#jupyter-config-data").first.text_content()
    return json.loads(facts)["kernelId"].encode()


def preheated(process) -> int:
    """Wait until the only kernel is one that had no visitor yet, and give its process id."""

    def alone() -> list[int]:
        found = kernels(process)
        return found if len(found) == 1 and not any(known in command(found[0]) for known in SERVED) else []

    return until(alone)[0]


def serves(pid: int, page) -> bool:
    """Whether a page is the work of the kernel of this process."""
    return kernel_of(page) in command(pid)


def quiet(page) -> list[str]:
    """What a page complained of beyond what Voila's old modules always say."""
    return [text for text in page.said if not KNOWN.fullmatch(text)]


# --- what a visitor sees ----------------------------------------------------------------------------------------------


def test_a_page_comes_from_a_kernel_that_waited_and_asks_nobody_else(site, visit):
    _, address, process = site
    for _ in range(3):
        waited = preheated(process)
        page = visit(address)
        assert serves(waited, page)
        assert [url for url in page.asked if urlsplit(url).hostname not in ("127.0.0.1", None)] == []
        assert quiet(page) == [] and len(page.said) <= 13
        page.context.close()


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark"), (1280, "dark"), (390, "light")])
def test_the_overview_is_accessible_and_fits(site, visit, width, theme):
    page = visit(site[1], width, theme)
    assert "Its last monitoring (july) failed" in page.locator(".mlnb.board p").first.inner_text()
    assert re.search(r"Data as of .* UTC", page.locator("main").inner_text())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK[theme]
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        == {
            "light": "rgb(255, 255, 255)",
            "dark": "rgb(13, 17, 23)",
        }[theme]
    )
    assert findings(page, "main") == [] and quiet(page) == []
    assert page.get_by_text("open_board").count() == 0  # no source


def test_monitoring_is_reached_chosen_and_left_by_keyboard(site, visit):
    workspace, address, _ = site
    page = visit(address, 390, "light")
    press(page, "Monitoring")
    page.locator(".mlnb h1", has_text="Monitoring: Train").wait_for()
    assert page.evaluate("document.activeElement.hasAttribute('data-focus')")
    july = snapshot(workspace).record().monitors[0].read_report()
    assert from_html(page.content()) == expected(july)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    press(page, "humid")
    page.locator("section.d h2", has_text="humid").wait_for()
    assert page.evaluate("document.activeElement.innerText") == "humid"  # one can go on to the next column
    press(page, "quiet")
    page.get_by_text("Window quiet: ").wait_for()
    press(page, "Back", backwards=True)
    page.locator(".mlnb h1", has_text="Overview").wait_for()
    assert quiet(page) == []


def press(page, text: str, *, backwards: bool = False) -> None:
    """Go to a button by Tab and press it."""
    for _ in range(80):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if page.evaluate("document.activeElement.innerText") == text:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"{text} is not reached by keyboard")


def test_a_page_prints_whole(site, visit):
    page = visit(site[1], 703, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 703
    assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK["light"]
    assert page.evaluate("document.documentElement.scrollHeight") > 900  # and not one screen with a scroll bar
    assert page.pdf()[:5] == b"%PDF-"


def test_what_is_recorded_and_signed_appears_without_a_reload(site, visit):
    _, address, _ = site
    first, second = visit(address), visit(address)
    with track("Nightly check of the source", kind="check") as run:
        result = Result(code="MLN-Q001", title="Rows", status="pass", value=3)
        run.log(Report(kind="check", title="Nightly", results=(result,)))
    for page in (first, second):
        page.locator("th", has_text="Nightly check of the source").wait_for()
    waiting = int(re.search(r"(\d+) checklist items wait", first.locator(".mlnb.board p").first.inner_text())[1])
    first.locator("dd button", has_text=" of ").first.click()
    first.get_by_role("button", name=re.compile("^Sign")).first.click()
    first.get_by_label("Name").fill("Ada Lovelace")
    first.get_by_label("Role").fill("Product")
    first.get_by_role("button", name="Sign: yes").click()
    first.locator(".check", has_text="Ada Lovelace").wait_for()
    second.get_by_text(f"{waiting - 1} checklist items wait for a person").wait_for()
    assert quiet(first) == [] and quiet(second) == []


# --- kernels ----------------------------------------------------------------------------------------------------------


def test_a_waiting_kernel_survives_and_one_left_behind_is_ended(site, visit):
    _, address, process = site
    visited = preheated(process)
    page = visit(address)
    assert serves(visited, page)
    waits = until(lambda: [pid for pid in kernels(process) if pid != visited])
    page.context.close()  # as a browser that crashed: no word to the server
    until(lambda: visited not in kernels(process))
    time.sleep(2 * IDLE)  # in which an idle kernel that had a visitor would be ended
    assert kernels(process) == waits
    assert serves(waits[0], visit(address))


# --- what a visitor cannot do -----------------------------------------------------------------------------------------

PATHS = (
    *(
        "settings.ini",
        "mlflow.db",
        ".mlnb/mlflow.db",
        "overview.ipynb",
        "README.md",
        "../settings.ini",
        "../../settings.ini",
    ),
    *("..%2fsettings.ini", "..%2f..%2f.mlnb%2fmlflow.db", "%2e%2e/settings.ini", "....//settings.ini", "/etc/passwd"),
    *("../../../../../../../etc/passwd", "..%5c..%5csettings.ini", "overview.ipynb%00.png", "x.png/../overview.ipynb"),
    *("OVERVIEW.IPYNB", "overview.ipynb?x=.png", "file:///etc/passwd"),
)
PLACES = (
    *("/voila/files/", "/voila/static/", "/voila/templates/mlnb/static/", "/voila/templates/mlnb/", "/", "/files/"),
    *(
        "/voila/api/contents/",
        "/api/contents/",
        "/voila/render/",
        "/voila/labextensions/",
        "/voila/api/themes/",
        "/static/",
    ),
)
SECRET = (b"workspace = true", b"SQLite format 3", b"open_board", b"root:x:0:0", b'"cells"', b"# Dashboards")


def fetch(address: str, path: str, *, token: bool = True, method: str = "GET") -> tuple[int, bytes, str]:
    """Ask for a path as it is spelled."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=GENEROUS)
    head = {"Authorization": f"token {parts.query.partition('=')[2]}"} if token else {}
    try:
        connection.request(method, path, headers=head)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("Location", "")
    finally:
        connection.close()


def test_a_visitor_gets_no_file_however_it_is_spelled(site):
    workspace, address, _ = site
    (workspace.root / "secret.png").write_bytes(b"SQLite format 3")
    tried = 0
    for place in PLACES:
        for path in PATHS:
            status, body, location = fetch(address, place + path)
            if location:
                status, body, _ = fetch(address, urlsplit(location).path)
            assert not any(text in body for text in SECRET), (place, path)
            assert status >= 400 or b"mlnb-wait" in body, (place, path, status)
            tried += 1
    assert tried == len(PLACES) * len(PATHS)


def test_without_the_token_there_is_only_the_closed_door(site):
    _, address, process = site
    before = set(kernels(process))
    for path in ("/", "/?token=wrong", "/api/kernels/00000000-0000-0000-0000-000000000000"):
        status, body, location = fetch(address, path, token=False)
        assert status in (302, 401, 403) and b"mlnb-wait" not in body
        assert not location or urlsplit(location).path == "/login"
    assert len(set(kernels(process)) - before) <= 1  # each visitor uses one up; one may have been on its way before
    token = urlsplit(address).query.partition("=")[2]
    for pid in [process.pid, *kernels(process)]:  # nor does it stand where other programs look
        assert token.encode() not in command(pid)
    assert token.encode() not in Path(f"/proc/{process.pid}/environ").read_bytes()


def test_template_and_theme_cannot_be_chosen_by_a_visitor(site):
    for query in ("template=lab", "template=../../x", "theme=dark"):
        status, body, _ = fetch(site[1], f"/?{query}")
        assert status == 200 and b"mlnb-wait" in body and b"cdn" not in body.lower().replace(b"cdnjs", b"cdn")


# --- start and end ----------------------------------------------------------------------------------------------------


def processes_of(root: Path) -> list[int]:
    return [pid for pid in carrying(f"MLNB_WORKSPACE={root}") if pid != os.getpid()]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_nothing_is_left(lived, how):
    command = [sys.executable, "-m", "mlnb", "dashboard", "monitor"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # where tests run in the background it is ignored
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert re.fullmatch(r"Dashboard monitor: http://127\.0\.0\.1:\d+/\?token=[\w-]{32}\n", line)
    until(lambda: len(processes_of(lived.root)) >= 3)
    process.send_signal(how)
    _, said = process.communicate(timeout=GENEROUS)
    assert process.returncode == (0 if how != signal.SIGKILL else -9) and said == ""
    until(lambda: processes_of(lived.root) == [])
    assert list((lived.cache / "dashboard").glob("*.log")) == [] or how == signal.SIGKILL


def test_a_server_that_does_not_start_says_why(lived, monkeypatch):
    monkeypatch.setattr(dashboards.sys, "executable", str(lived.root / "python"))
    (lived.root / "python").write_text(
        "#!/bin/sh\necho 'ImportError: no module named voila'\nexit 1\n", encoding="utf-8"
    )
    (lived.root / "python").chmod(0o755)
    why = r"did not start: ImportError: no module named voila\. Mend that"
    with pytest.raises(StepError, match=why), server("overview", workspace=lived):
        pass
