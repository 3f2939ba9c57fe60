"""A walk through a conversion in a real JupyterLab with the network cut, by keyboard: move, rename, prove, write."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browsing import findings, watched
from helpers_lab import Lab
from payloads import PAYLOADS
from test_jupyterlab import check_page, fill, said, tab_to

from mlnb.core.assets import asset
from mlnb.core.errors import ArgumentError, RefusedError
from mlnb.core.render import filled
from mlnb.core.result import Table
from mlnb.refactoring.prove import Proof, Proved
from mlnb.ui.live import Desk, live
from mlnb.ui.steps import CellRow, Cells, Found, Proving, StepRow, Walked, changes, walk_html
from mlnb.ui.walk import ASKED, Walk, begin_walk, refactor

SLOW = re.compile(r"Plugin .* (is taking too long|took [\d.]+ms) to activate")  # JupyterLab's own, on a busy machine
CELLS = (
    "# Load the orders\nimport statistics\norders = [12.0, 7.5, 31.0, 18.25, 9.0]",
    "orders.append(22.5)",
    "# Measure them\nmiddle = statistics.median(orders)\nprint(f'median {middle:.2f}')",
    "spread = statistics.pstdev(orders)\nspread",
    "largest = max(orders)\nlargest / middle",
)


def write_orders(folder: Path) -> Path:
    cells = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": code} for code in CELLS
    ]
    path = folder / "orders.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}))
    return path


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A conversion, cut in two."""
    walk = begin_walk(write_orders(tmp_path_factory.mktemp("walk")))
    while len(walk.draft.functions) > 1:
        walk.edit(lambda draft: draft.join(draft.functions[0]))
    walk.edit(lambda draft: draft.split(3, name="measure_orders"))
    walk.edit(lambda draft: draft.rename(draft.functions[0], "load_orders"))
    walk.prove(wait=True)
    return walk.draft


@pytest.fixture
def walk(begun, tmp_path) -> Walk:
    return Walk(begun, tmp_path / "orders")


def asks(desk: Desk, what: str, **args: str) -> dict:
    asks.count += 1
    return desk.answer({"id": f"w{asks.count}", "do": what, "args": args})


asks.count = 0


class TestAnswers:
    def test_a_page_can_do_what_it_shows_and_nothing_else(self, walk):
        desk = live(walk.draw, walk.act, token=walk.token, tells=walk.tell, knows=[*ASKED]).desk
        seen = walk.state().seen
        for what, args in (
            ("sign", {}),
            ("move", {"cell": "3"}),
            ("move", {"cell": "3", "of": "measure_orders", "to": "load_orders"}),  # not what was seen
            ("prove", {"seen": seen, "timeout": "1"}),
            ("write", {"folder": "/tmp", "seen": seen}),
            ("move", {"cell": "３x", "of": "measure_orders", "to": "load_orders", "seen": seen}),
        ):
            assert not asks(desk, what, **args)["ok"], what
        assert walk.state().seen == seen
        told = asks(desk, "move", cell="3", of="measure_orders", to="load_orders", seen=seen)
        assert told["ok"] and told["said"].startswith("Changed: cell 3 moved from measure_orders to load_orders")
        stale = asks(desk, "undo", seen=seen)
        assert not stale["ok"] and "changed since you looked" in stale["said"]
        assert asks(desk, "undo", seen=walk.state().seen)["ok"] and walk.draft.ok

    def test_long_work_blocks_no_answer_and_its_outcome_is_said_once(self, walk, monkeypatch):
        from mlnb.refactoring.draft import Draft

        proof = walk.draft.proof
        walk.edit(lambda draft: draft.rename("measure_orders", "judge_orders"))

        looked = threading.Event()

        def slow(draft):
            assert looked.wait(60)
            return replace(draft, proof=proof)

        monkeypatch.setattr(Draft, "prove", slow)
        desk = live(walk.draw, walk.act, token=walk.token, tells=walk.tell, knows=[*ASKED]).desk
        begun = asks(desk, "prove", seen=walk.state().seen)
        assert begun["ok"] and begun["said"].startswith("Begun: the package runs") and "<progress" in desk.html
        assert asks(desk, "look") == {"id": f"w{asks.count}", "ok": True, "said": ""}
        again = asks(desk, "prove", seen=walk.state().seen)
        assert not again["ok"] and "being done already" in again["said"]
        looked.set()
        walk.wait()
        assert asks(desk, "look")["said"].startswith("Proved: ") and "<progress" not in desk.html
        assert asks(desk, "look")["said"] == "" and walk.draft.ok

    def test_what_is_changed_while_the_package_runs_keeps_no_proof_of_another(self, walk, monkeypatch):
        from mlnb.refactoring.draft import Draft

        proof = walk.draft.proof
        walk.edit(lambda draft: draft.rename("measure_orders", "judge_orders"))
        changed = threading.Event()
        monkeypatch.setattr(Draft, "prove", lambda draft: replace(draft, proof=proof) if changed.wait(60) else None)
        walk.prove()
        walk.edit(lambda draft: draft.rename("judge_orders", "weigh_orders"))
        changed.set()
        walk.wait()
        with pytest.raises(RefusedError, match="changed while the package ran"):
            walk.tell()
        assert not walk.draft.ok and walk.exit_status == 4
        with pytest.raises(RefusedError):
            walk.write()

    def test_what_breaks_is_said_and_can_be_looked_at(self, walk, monkeypatch):
        from mlnb.refactoring.draft import Draft

        monkeypatch.setattr(Draft, "prove", lambda draft: 1 / 0)
        walk.prove()
        walk.wait()
        with pytest.raises(RefusedError, match="broke on our side: ZeroDivisionError"):
            walk.tell()
        assert isinstance(walk.failure, ZeroDivisionError) and walk.work is None

    def test_outside_a_notebook_it_says_what_to_do(self, tmp_path):
        with pytest.raises(ArgumentError, match=r"needs a notebook around it\. Write %refactor NOTEBOOK --walk"):
            refactor(write_orders(tmp_path), walk=True)

    def test_the_root_has_the_parameters_of_the_conversion_and_the_walk(self):
        import inspect

        from mlnb.refactoring.refactor import refactor as conversion

        mine, its = (inspect.signature(f).parameters for f in (refactor, conversion))
        assert {*mine} - {*its} == {"walk"} and {*its} <= {*mine}
        assert all(str(mine[name]) == str(its[name]) for name in its)


class TestForms:
    def test_everything_that_can_be_clicked_is_known_and_sends_what_is_expected(self, walk):
        walk.edit(lambda draft: draft.join("load_orders"))
        walk.edit(lambda draft: draft.undo())

        class Buttons(HTMLParser):
            def __init__(self):
                super().__init__()
                self.asked, self.keys = [], []

            def handle_starttag(self, tag, attrs):
                held = dict(attrs)
                self.keys += [held["data-key"]] if "data-key" in held else []
                if tag == "button" and "data-do" in held:
                    known = {"data-do", "data-key", "data-saves"}
                    self.asked.append(
                        (held["data-do"], {a[5:] for a in held if a.startswith("data-")} - {k[5:] for k in known})
                    )

        page = Buttons()
        page.feed(walk.draw())
        assert {what for what, _ in page.asked} >= {"move", "split", "join", "redo", "prove"}
        for what, given in page.asked:
            assert given == ASKED[what] | {"seen"}, what
        assert len(page.keys) == len(set(page.keys)), "keys name one element each"
        assert "<button" not in walk.to_html() and "<pre" not in walk.to_html()
        assert len(walk.to_html().encode()) <= 20_000

    def test_styles_stay_inside(self):
        rules = asset("static").joinpath("walk.css").read_text()
        rules = re.sub(r"\{#.*?-#\}|@media[^{]*\{", "", rules, flags=re.DOTALL)
        selectors = [s.strip() for s in re.findall(r"([^{}]+)\{", rules)]
        assert selectors and all(s.startswith(".mlnb.mlnb") for s in selectors)
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb", rules), "colours are tokens"

    def test_hostile_words_are_inert(self):
        for text in PAYLOADS:
            html = walk_html(hostile_walk(text), live=True)
            assert "<script>alert" not in html and "onerror=alert" not in re.sub(r"&lt;.*?&gt;", "", html)

    def test_a_state_that_changed_is_named(self):
        was = Proof((Proved("binding", "spread", "equal"), Proved("file", "a.csv", "equal")))
        now = Proof((Proved("binding", "spread", "close"), Proved("figure", "cell 3", "equal")))
        assert changes(was, now) == [
            ("values", "spread", "equal", "close"),
            ("files", "a.csv", "equal", "–"),
            ("figures", "cell 3", "–", "equal"),
        ]


def hostile_walk(text: str) -> Walked:
    """A walk in which everything that can come from a notebook is one text."""
    table = Table(title=text, columns=(text,), rows=((text,),), note=text)
    cell = CellRow(key=text, number=1, line=text, up=text, down=text, splits=True)
    step = StepRow(text, "load", text, text, text, (cell,), text, (text,))
    return Walked(
        text, "fail", text, text, Found("fail", text, table), Cells(text, (table,)), (step,),
        Proving("fail", "✗ different", text, (table,), table), (text,), text, text, "", None, True, text, text, text,
    )  # fmt: skip


def shown(place):
    """Waits for what is drawn: it comes by another message than the sentence that says what was done."""
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    return expect(place)


def test_a_conversion_is_walked_through_by_keyboard(browser, tmp_path):
    lab = Lab(tmp_path / "lab", tmp_path / "ws")
    try:
        lab.wait()
        write_orders(lab.notebooks)
        lab.write("walk.ipynb", "%load_ext mlnb", "%refactor orders.ipynb --to made --walk")
        page = watched(browser.new_context(viewport={"width": 1280, "height": 900}).new_page())
        lab.open(page, "walk.ipynb")
        lab.run(page, 200)
        page.wait_for_selector(".live .steps > li")
        steps, cells = page.locator(".live .steps > li"), page.locator(".jp-Notebook .jp-Cell").count()
        made = lab.notebooks / "made"
        assert page.locator(".live .t").inner_text().endswith("✓ proved") and not made.exists()
        assert not page.locator("[data-record]").is_visible()

        page.keyboard.press("Escape")
        while steps.count() > 1:
            before = steps.count()
            tab_to(page, "Join with")
            page.keyboard.press("Enter")
            page.wait_for_function("n => document.querySelectorAll('.live .steps > li').length < n", arg=before)
        page.locator(".live li[data-key='cell 3']").focus()
        tab_to(page, "Begin a step here: cell 3")
        for key in ("b", "a", "d", "d", "x"):
            page.keyboard.press(key)
        assert page.locator(".jp-Notebook .jp-Cell").count() == cells
        page.keyboard.press("Space")
        said(page, "cut before cell 3")
        shown(steps).to_have_count(2)

        tab_to(page, "Rename", back=True)
        page.keyboard.press("Enter")
        fill(page, "step_1")
        page.keyboard.press("Enter")
        said(page, "'step_1' says nothing about the function")
        assert page.locator(".live form [name=to]").first.input_value() == "step_1"  # nothing typed is lost
        fill(page, "load_orders")
        page.keyboard.press("Enter")
        said(page, "renamed to load_orders")
        shown(steps.first.locator("h4")).to_have_text(re.compile("load_orders$"))
        tab_to(page, "↓ to")
        page.keyboard.press("Enter")
        said(page, "cell 2 moved from load_orders")
        shown(steps.nth(1)).to_contain_text("cells 2 to 5")
        shown(page.locator(".live .t")).to_have_text(re.compile("○ not proved$"))
        shown(page.locator(".live form[data-do=write]")).to_have_count(0)

        tab_to(page, "Prove again")
        page.keyboard.press("Enter")
        page.wait_for_selector(".live h2.t[data-s=pass]", timeout=90_000)
        said(page, "Proved: ")
        assert page.locator(".live .t").inner_text().endswith("✓ proved")
        page.locator(".live form[data-do=write] input").focus()
        assert page.evaluate("document.activeElement.value") == str(made)
        page.keyboard.press("Enter")
        page.wait_for_selector(".live p:has-text('files were written to')", timeout=90_000)
        said(page, "Written: ")
        assert "files were written to" in page.locator(".live article").inner_text()
        page.said[:] = [text for text in page.said if not SLOW.search(text)]
        check_page(page)
        phone = watched(browser.new_page(viewport={"width": 390, "height": 800}))
        drawn = page.locator(".live > div").first.inner_html()
        style = f"<style>{filled('live.css')}</style>"
        phone.set_content(f"<!doctype html><html lang=en><title>x</title>{style}<div class='mlnb live'>{drawn}</div>")
        phone.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390 and findings(phone, ".mlnb") == []

        held = json.loads((made / "proof.json").read_text())
        assert [next(iter(edit)) for edit in held["edits"]][-3:] == ["split", "rename", "move"]
        assert "load_orders(" in (made / "src" / "made" / "pipeline.py").read_text()
        assert (made / "tests").is_dir() and (made / "README.md").is_file()
        lab.save(page)
        saved = json.loads((lab.notebooks / "walk.ipynb").read_text())["cells"][1]["outputs"]
        record = "".join(next(o["data"]["text/html"] for o in saved if "text/html" in o["data"]))
        assert "renamed to load_orders" in record and "<button" not in record
    finally:
        lab.stop()
