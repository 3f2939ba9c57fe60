"""Magics, checklist and card in a real JupyterLab in a real browser, with the network cut, by keyboard."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest
from browsing import INK, findings, watched
from helpers_lab import HUNDRED, ROUND_TRIP, Lab
from helpers_work import GENEROUS

DARK = "() => { window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'}); }"
HERE = """() => { const here = document.activeElement;
    return here.getAttribute("aria-label") || here.innerText || here.name || ""; }"""
KNOWN = re.compile(
    r"Unsatisfied version .* of shared singleton module|Connection lost, reconnecting"
)  # JupyterLab's own
EXTENSION = "%load_ext mlnb"
CHECKLIST = "%checklist deployment"
ADA, GRACE = ("Ada Lovelace", "Platform"), ("Grace Hopper", "Head of operations")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """One JupyterLab server for all tests."""
    folder = tmp_path_factory.mktemp("lab")
    started = Lab(folder, folder)
    try:
        started.wait()
        yield started
    finally:
        started.stop()


@pytest.fixture
def notebook(lab, browser, lived):
    """Write a notebook about a workspace of one's own, open it in a browser window of its own, and run it."""
    opened = []

    def open_notebook(name, *cells, width=1280, run=True):
        where = f"import os; os.environ['MLNB_WORKSPACE'] = {str(lived.root)!r}"
        lab.write(name, where, EXTENSION, *cells)
        context = browser.new_context(viewport={"width": width, "height": 900})
        page = watched(context.new_page())
        page.set_default_timeout(1000 * GENEROUS)
        opened.append(context)
        lab.open(page, name)
        if run:
            lab.run(page)
        return page

    yield open_notebook
    for context in opened:
        context.close()
    lab.forget()


def check_page(page) -> None:
    """No complaint from our parts, nothing asked for outside, accessible in light and dark."""
    assert [said for said in page.said if not KNOWN.search(said)] == []
    assert [url for url in page.asked if "//127.0.0.1:" not in url and not url.startswith(("data:", "blob:"))] == []
    assert findings(page, ".jp-OutputArea .mlnb") == []
    page.evaluate(DARK)
    page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    page.wait_for_function(
        "ink => [...document.querySelectorAll('.jp-OutputArea .mlnb')].every(e => getComputedStyle(e).color === ink)",
        arg=INK["dark"],
    )
    assert findings(page, ".jp-OutputArea .mlnb") == []


def tab_to(page, label: str, *, back: bool = False) -> None:
    """Press Tab until the control with this label has the focus."""
    for _ in range(80):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate(HERE).startswith(label):
            return
    raise AssertionError(f"Tab does not reach {label!r}")


def fill(page, *texts: str) -> None:
    """Type into the fields of a form, one after the other."""
    for i, text in enumerate(texts):
        if i:
            page.keyboard.press("Tab")
        page.keyboard.press("Control+A")
        page.keyboard.type(text)  # a line break is the key Enter


def item(page, key: str):
    return page.locator(f".live li[data-key={key}]")


def said(page, text: str) -> None:
    page.wait_for_function(
        "text => [...document.querySelectorAll('.live [role=status]')].some(e => e.textContent.includes(text))",
        arg=text,
    )


def stands(page, key: str, state: str) -> None:
    """Wait until an item is in a state: what was saved is drawn by another message than the one that says so."""
    page.wait_for_selector(f".live li[data-key={key}][data-s={state}]")


def focused(page, told: str, text: str) -> None:
    """Wait until the element that has the focus tells this of itself, as an expression of JavaScript."""
    page.wait_for_function(
        f"text => {{ const here = document.activeElement; return ({told} ?? '').startsWith(text); }}", arg=text
    )


def many(page, selector: str, number: int) -> None:
    """Wait until so many elements are seen."""
    page.wait_for_function(
        """([selector, number]) => number ===
            [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility()).length""",
        arg=[selector, number],
    )


def test_the_extension_shows_the_drift_of_two_frames(notebook):
    reading = ("from mlnb.data.frames import read_frame", "reference = read_frame('demo:flights/quiet')")
    page = notebook("drift.ipynb", *reading, "current = read_frame('demo:flights/july')", "%drift reference current")
    shown = page.locator(".jp-OutputArea .mlnb")
    shown.locator("h2").wait_for()
    assert shown.count() == 1 and shown.locator("h2").inner_text().endswith("✗ fail")
    assert shown.get_by_role("row", name="fail temp").count() == 1
    check_page(page)


def test_a_checklist_is_worked_through_by_keyboard(notebook, lab):
    page = notebook("list.ipynb", CHECKLIST, "1 + 1")
    page.wait_for_selector(".live li[data-key=stakeholders]")
    assert not page.locator("[data-record]").is_visible()
    cells = page.locator(".jp-Notebook .jp-Cell").count()

    page.keyboard.press("Escape")
    tab_to(page, "Sign: Have those who are affected")
    for key in ("b", "a", "d", "d", "x", "0", "0", "m"):
        page.keyboard.press(key)
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    page.keyboard.press("Enter")
    fill(page, *ADA, "Told on Monday")
    page.keyboard.press("Enter")
    said(page, "Saved: yes, Ada Lovelace (Platform)")
    stands(page, "stakeholders", "pass")
    focused(page, "here.ariaLabel", "Sign: Have those")

    tab_to(page, "Sign: Can the model before", back=True)
    page.keyboard.press("Space")
    focused(page, "here.value", ADA[0])  # who signs is asked once
    tab_to(page, "note")
    fill(page, "Nobody has tried it")
    tab_to(page, "Sign: no")
    page.keyboard.press("Enter")
    said(page, "Saved: no, Ada Lovelace")
    stands(page, "rollback", "fail")

    page.keyboard.press("Enter")
    fill(page, *GRACE)
    tab_to(page, "Override")
    page.keyboard.press("Space")
    said(page, "needs a note")
    assert page.locator(".live form [name=name]").input_value() == GRACE[0]  # nothing typed is lost
    tab_to(page, "note", back=True)
    fill(page, "The rule of before <b>is kept</b>")
    tab_to(page, "Override")
    page.keyboard.press("Enter")
    said(page, "Saved: override, Grace Hopper")
    stands(page, "rollback", "warn")
    assert (
        "Overridden by Grace Hopper (Head of operations): The rule of before <b>is kept</b>"
        in item(page, "rollback").inner_text()
    )

    tab_to(page, "Evidence")
    page.keyboard.press("Enter")
    many(page, ".live details[open]", 1)
    tab_to(page, "Failed", back=True)
    page.keyboard.press("Enter")
    many(page, ".live .items > li", 0)
    tab_to(page, "All", back=True)
    page.keyboard.press("Enter")
    many(page, ".live .items > li", 6)
    check_page(page)

    lab.restart(page)  # nobody answers any more: the record takes over
    page.wait_for_selector("[data-record] li[data-key=stakeholders][data-s=pass]")
    page.wait_for_selector(".live .items", state="hidden")
    said(page, "run this cell again")
    lab.run(page)
    stands(page, "stakeholders", "pass")
    stands(page, "rollback", "warn")

    lab.save(page)
    saved = (lab.notebooks / "list.ipynb").read_text()
    (lab.notebooks / "reopened.ipynb").write_text(saved)
    (lab.notebooks / "foreign.ipynb").write_text(saved.replace("1 + 1", "1 + 2"))  # nobody here ran this: not trusted
    for name in ("reopened.ipynb", "foreign.ipynb"):
        lab.open(page, name)
        record = page.locator(".jp-OutputArea-output article")
        record.get_by_text("Told on Monday").wait_for()
        assert record.count() == 1 and "Ada Lovelace (Platform)" in record.inner_text()
        assert not page.locator("article button").count()


def test_what_somebody_else_signs_appears_and_nothing_is_lost(notebook, lab, lived):
    import mlnb

    pages = [notebook(f"{who}.ipynb", CHECKLIST) for who in ("ada", "grace")]
    for page in pages:
        page.wait_for_selector(".live li[data-key=stakeholders][data-s=todo]")

    def begin(page, key: str, who: tuple[str, str]) -> None:
        item(page, key).get_by_role("button", name="Sign").focus()
        page.keyboard.press("Enter")
        fill(page, *who)

    begin(pages[0], "stakeholders", ADA)
    begin(pages[1], "resources", GRACE)
    pages[0].keyboard.press("Enter")
    said(pages[0], "Saved: yes, Ada Lovelace")
    pages[1].wait_for_selector(".live li[data-key=stakeholders][data-s=pass]")
    assert pages[1].locator(".live form [name=name]").input_value() == GRACE[0]  # a redrawing takes nothing away
    assert pages[1].evaluate("document.activeElement.name") == "role"

    pages[0].keyboard.press("Escape")
    begin(pages[0], "rollback", ADA)
    kernels = lab.kernels()
    for kernel in kernels:
        os.kill(kernel, signal.SIGSTOP)
    for page in pages:
        page.keyboard.press("Enter")
    for kernel in kernels:
        os.kill(kernel, signal.SIGCONT)
    for page in pages:
        said(page, "Saved: yes")
        page.wait_for_selector(".live li[data-key=resources][data-s=pass]")
        page.wait_for_selector(".live li[data-key=rollback][data-s=pass]")
    signed = mlnb.checklist("deployment").review.signatures
    assert [(s.item, s.name, s.proved) for s in signed[:1]] == [("stakeholders", ADA[0], True)]
    assert sorted((s.item, s.name, s.proved) for s in signed[1:]) == [
        ("resources", GRACE[0], True),
        ("rollback", ADA[0], True),
    ]


def test_silence_is_said_and_what_was_typed_is_kept(notebook, lab, lived):
    import mlnb

    page = notebook("silent.ipynb", CHECKLIST)
    page.wait_for_selector(".live li[data-key=stakeholders]")
    item(page, "stakeholders").get_by_role("button", name="Sign").focus()
    page.keyboard.press("Enter")
    fill(page, *ADA)
    [kernel] = lab.kernels()
    os.kill(kernel, signal.SIGSTOP)
    page.keyboard.press("Enter")
    said(page, "Not saved: the server does not answer")
    assert item(page, "stakeholders").get_attribute("data-s") == "todo"
    assert page.locator(".live form [name=role]").input_value() == ADA[1]
    page.keyboard.press("Enter")  # once more
    os.kill(kernel, signal.SIGCONT)
    said(page, "Saved: yes, Ada Lovelace")
    page.wait_for_selector(".live li[data-key=stakeholders][data-s=pass]")
    assert len(mlnb.checklist("deployment").review.signatures) == 1

    item(page, "resources").get_by_role("button", name="Sign").focus()
    page.keyboard.press("Enter")
    fill(page, *GRACE)
    os.kill(kernel, signal.SIGKILL)
    page.keyboard.press("Enter")
    said(page, "Not saved: the server does not answer")
    said(page, "run this cell again")
    assert page.locator(".live form [name=name]").input_value() == GRACE[0]
    assert len(mlnb.checklist("deployment").review.signatures) == 1


def test_a_field_of_the_card_is_written_by_keyboard(notebook, lab, lived):
    import mlnb

    page = notebook("card.ipynb", "%card")
    page.wait_for_selector(".live article.card")
    page.keyboard.press("Escape")
    tab_to(page, "Write: Intended use")
    page.keyboard.press("Enter")
    fill(page, "Which flights get spare crews.\nTaken by <b>dispatch</b>.", *ADA)
    page.keyboard.press("Enter")
    said(page, "Saved: intended use, by Ada Lovelace (Platform)")
    focused(page, "here.ariaLabel", "Change: Intended use")
    shown = page.locator(".live [data-field=intended_use] dd", has_text="Taken by <b>dispatch</b>.")
    shown.wait_for()
    assert "To be filled in" not in shown.inner_text()
    check_page(page)
    written = mlnb.card().card.content("intended_use")
    assert written.text.splitlines() == ["Which flights get spare crews.", "Taken by <b>dispatch</b>."]
    assert (written.written.name, written.written.proved) == (ADA[0], True)
    lab.save(page)
    [outputs] = [
        c["outputs"] for c in json.loads((lab.notebooks / "card.ipynb").read_text())["cells"] if "%card" in c["source"]
    ]
    record = next(o["data"]["text/html"] for o in outputs if "text/html" in o["data"])
    assert "Taken by &lt;b&gt;dispatch" in "".join(record) and "<svg" not in "".join(record)


def test_a_hundred_items_answer_at_once(notebook, lived):
    (lived.root / "checklists").mkdir()
    (lived.root / "checklists" / "hundred.toml").write_text(HUNDRED)
    page = notebook("hundred.ipynb", "%checklist hundred")
    page.wait_for_selector(".live li[data-key=question_99]")
    for key in (f"question_{i}" for i in range(0, 100, 20)):
        item(page, key).get_by_role("button", name="Sign").click()
        assert page.evaluate(ROUND_TRIP, key) == 1  # all is drawn once, not item by item
        said(page, "Saved")
