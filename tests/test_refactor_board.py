"""What people look at after a conversion: the picture of its cells, the template, the board; the same everywhere."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from browsing import INK, findings, watched
from bs4 import BeautifulSoup
from helpers_boards import known_of, run_of
from helpers_lived import current_is
from nbformat import v4
from test_render import expected, from_html, from_markdown, from_text, hostile
from test_voila import quiet

from mlnb.core.errors import DataError
from mlnb.core.files import digest
from mlnb.core.graphs import MOST_ROWS, graph
from mlnb.core.render import standalone
from mlnb.core.result import Chart, Report, Result, Table
from mlnb.core.workspace import make
from mlnb.tracking.snapshot import snapshot
from mlnb.ui.boards import know
from mlnb.ui.conversions import NOT_DEEP, conversions, conversions_board, conversions_view, deep_said
from mlnb.ui.pages import BoardPage
from mlnb.ui.publish import pages_of, publish

LIMIT = 60_000
CELLS = [
    "import time\nimport numpy as np",
    "rng = np.random.default_rng(7)\nprices = rng.normal(20, 4, 50)",
    "'a note that nobody needs'",
    "prices[prices < 15] = 15\nprices.mean().round(2)",
    "started = time.time()",
    "spread = prices.std()\nprint(f'spread {spread:.2f}')",
]


# --- the picture ------------------------------------------------------------------------------------------------------


def cells_of(many: int, seed: int = 0):
    """A notebook of so many cells in steps of one to five, with flows, changes and cells that are left out."""
    draw, nodes, edges = random.Random(seed), [], []
    while len(nodes) < many:
        group = f"step_for_flights_{len(nodes)}"
        for _ in range(draw.randint(1, 5)):
            i = len(nodes) + 1
            node = {"name": str(i), "text": "flights = pd.read_csv('flights.csv')", "group": group, "kind": "load"}
            nodes.append({"name": str(i), "text": "x", "out": True} if draw.random() < 0.1 else node | {"tone": i % 4})
            if i > 1:
                changed = ["flights"] if draw.random() < 0.3 else []
                source = str(draw.randint(max(1, i - 9), i - 1))
                edges.append({"source": source, "target": str(i), "names": ["flights", "x"], "changed": changed})
    return nodes[:many], [e for e in edges if int(e["target"]) <= many]


@pytest.mark.parametrize("many", [5, 40])
def test_the_picture_has_every_cell_and_every_flow(many):
    nodes, edges = cells_of(many)
    drawn = graph(nodes, edges, title="Cells")
    root = ElementTree.fromstring(drawn)
    titles = [t.text or "" for t in root.iter() if t.tag == "title"]
    assert titles[0].startswith(f"{many} cells in {len({n['group'] for n in nodes if 'group' in n})} steps")
    for edge in edges:
        said = f"{edge['source']} → {edge['target']}: flights, x" + "; changed in place: flights" * bool(
            edge["changed"]
        )
        assert said in titles
    arcs = [p for p in root.iter("path") if p.find("title") is not None]
    assert [bool(p.get("stroke-dasharray")) for p in arcs].count(True) == sum(bool(e["changed"]) for e in edges)
    assert len(arcs) == len(edges)
    rows = [text for text in root.iter("text") if text.text in {n["name"] for n in nodes} and text.get("text-anchor")]
    assert [text.text for text in rows] == [n["name"] for n in nodes]  # in the order of the notebook
    heights = [float(text.get("y")) for text in rows]
    assert all(b - a >= 20 for a, b in pairwise(heights))
    out = sum(n.get("out", False) for n in nodes)
    assert sum((t.text or "").startswith("left out: ") for t in root.iter("text")) == out
    assert len(drawn.encode()) < 900 * many + 2_000


def test_two_hundred_cells_are_drawn_by_step_and_the_picture_says_so():
    nodes, edges = cells_of(200)
    drawn = graph(nodes, edges)
    rows = re.findall(r'<g><title>([^<]+)</title><text[^>]*text-anchor="end"', drawn)
    assert 0 < len(rows) <= MOST_ROWS and "Drawn by step: 200 cells are too many to draw each." in drawn
    assert f"{sum(n.get('out', False) for n in nodes)} cells that are left out are not drawn." in drawn
    steps = len({n["group"] for n in nodes if "group" in n})
    beyond = re.search(r">(\d+) more rows are not drawn", drawn)
    assert len(rows) + (int(beyond[1]) if beyond else 0) >= steps
    assert len(drawn.encode()) < 56_000


def test_a_flow_within_a_step_goes_and_a_change_across_steps_stays_one():
    nodes = [{"name": str(i), "text": "x", "group": f"g{i // 10}"} for i in range(100)]
    edges = [{"source": "1", "target": "2", "names": ["a"]}]
    edges += [{"source": "1", "target": str(i), "names": ["a"], "changed": ["a"] * (i == 12)} for i in (11, 12, 13)]
    drawn = graph(nodes, edges)
    assert re.findall(r"<title>(\d+–\d+ → [^<]+)</title>", drawn) == ["0–9 → 10–19: a; changed in place: a"]


def test_edges_that_lead_nowhere_are_left_out():
    drawn = graph([{"name": "1"}, {"name": "2"}], [{"source": "1", "target": "9", "names": ["x"]}, {}, {"source": "1"}])
    assert "0 arcs" in drawn


# --- a conversion, run as a job ---------------------------------------------------------------------------------------


def notebook(path: Path, cells: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(c) for c in cells]), path)
    return path


def run_template(workspace: Path, *argv: str):
    env = os.environ | {"MLNB_WORKSPACE": str(workspace)}
    command = [sys.executable, "-m", "mlnb", "run", "refactor", *argv]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env, cwd=workspace)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A workspace in which a notebook became a package and another one was refused, both by the template."""
    workspace = make(tmp_path_factory.mktemp("refactored") / "ws")
    good = notebook(workspace.root / "prices" / "prices.ipynb", CELLS)
    before = digest(good)
    done = run_template(workspace.root, "-p", "notebook=prices/prices.ipynb")
    assert (done[0], done[2]) == (0, ""), done
    assert digest(good) == before
    notebook(workspace.root / "odd" / "odd.ipynb", ["x = 1", "exec('y = 2')"])
    refused = run_template(workspace.root, "-p", "notebook=odd/odd.ipynb")
    with current_is(workspace.root):
        yield workspace, done, refused


def stored(workspace) -> Report:
    """The report of the conversion that was made."""
    return next(report for run in snapshot(workspace).runs if (report := run.read_report()))


def test_the_template_keeps_report_and_proof_and_writes_the_package_in_the_workspace(converted):
    workspace, (_, said, _), _ = converted
    [run] = [run for run in snapshot(workspace).runs if run.status == "FINISHED"]
    report, package = stored(workspace), workspace.root / "packages" / "prices"
    assert run.kind == "refactor" and report.kind == "refactor" and run.report == "warn"
    assert (run.params["notebook"], run.params["deep"]) == ("prices/prices.ipynb", "False")
    assert run.read_text("package/proof.json") == (package / "proof.json").read_text(encoding="utf-8")
    assert json.loads(run.read_text("package/proof.json"))["bindings"]["started"] == "varies"
    assert (package / "pyproject.toml").is_file() and "prices.ipynb as a package" in said


def test_a_notebook_that_is_refused_ends_with_status_5_the_cell_and_a_failed_run(converted):
    workspace, _, (code, _, said) = converted
    assert code == 5 and "cell 2" in said and "exec" in said
    [run] = [run for run in snapshot(workspace).runs if run.status == "FAILED"]
    assert run.kind == "refactor" and run.tags["mlnb.error"].startswith("RefusedError: cell 2: exec()")
    assert not (workspace.root / "packages" / "odd").exists()


def test_the_template_takes_sections_and_targets(tmp_path):
    workspace = make(tmp_path / "ws")
    made = notebook(workspace.root / "n.ipynb", CELLS)
    done = run_template(workspace.root, "-p", f"notebook={made}", "-p", "target=spread, started", "-p", "to=best")
    assert (done[0], done[2]) == (0, ""), done
    assert "3 of 3 values proved equal (1 varies)" in done[1] and "prints what nobody asked for" in done[1]
    done = run_template(workspace.root, "-p", f"notebook={made}", "-p", "section=1-2, 4", "-p", "to=part")
    assert (done[0], done[2]) == (0, ""), done
    assert (workspace.root / "part/notebooks/part.ipynb").is_file() and "still in the notebook" in done[1]
    runs = snapshot(workspace).runs
    assert {(run.params["section"], run.params["target"]) for run in runs} == {("1-2, 4", ""), ("", "spread, started")}
    assert json.loads(runs[0].read_text("package/proof.json"))["sections"] == ["cells 1-2", "cell 4"]


def test_the_report_draws_the_cells_that_the_notebook_has(converted):
    report = stored(converted[0])
    data = next(chart.data for chart in report.charts if chart.kind == "graph")
    assert [node["name"] for node in data["nodes"]] == [str(i + 1) for i in range(len(CELLS))]
    assert [i for i, node in enumerate(data["nodes"], 1) if node.get("out")] == [3]
    flows = {(e["source"], e["target"]): (e["names"], e.get("changed", [])) for e in data["edges"]}
    assert flows == {("2", "4"): (["prices"], ["prices"]), ("4", "6"): (["prices"], [])}
    assert report.status == "warn" and Report.from_json(report.to_json()) == report
    assert "How cells hang together" in report.to_text() and "How cells hang together" in report.to_markdown()


# --- the same everywhere ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published(converted):
    return publish(workspace=converted[0])


def chosen(workspace):
    """The run that has a report."""
    return next(run for run in snapshot(workspace).runs if run.read_report())


def test_cell_job_text_page_and_live_board_show_the_same(converted, published):
    workspace, (_, printed, _), _ = converted
    report, run = stored(workspace), chosen(workspace)
    wanted = expected(report)
    [executed] = [p for p in workspace.runs.glob("*/notebook.ipynb") if (p.parent / "report.json").exists()]
    cells = [c for c in json.loads(executed.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    shown = "".join(cells[-1]["outputs"][-1]["data"]["text/html"])
    assert from_html(report.to_html()) == from_html(shown) == wanted and sum(wanted.values()) == 5
    assert from_text(printed) == from_markdown(report.to_markdown()) == expected(report, 60)
    page = BoardPage("refactor", workspace)
    page.act("go", {"target": f"board:refactor:{run.id}"})
    assert from_html(page.render()) == wanted
    for name in (f"refactor-{run.id[:8]}.html", f"run-{run.id[:8]}.html"):
        assert from_html((published.folder / name).read_text(encoding="utf-8")) == wanted
    proof = next(t for t in report.tables if t.title == "Proof")
    for text in (page.render(), (published.folder / f"refactor-{run.id[:8]}.html").read_text(encoding="utf-8")):
        table = BeautifulSoup(text, "html.parser").find("caption", string="What is not equal, worst first").parent
        rows = [(r.td.get_text().split()[1], r.th.find(string=True)) for r in table.select("tbody tr")]
        assert rows == [(state, name) for _, name, state, _ in proof.rows if state != "equal"] != []
        assert "▲ varies" in table.get_text() and text.count("<svg") == len(report.charts)


def test_voila_shows_the_same_by_keyboard_without_a_word_to_anybody_else(converted, browser):
    from test_voila import press

    from mlnb.ui.dashboard import server

    workspace = converted[0]
    report, run = stored(workspace), chosen(workspace)
    with server("refactor", workspace=workspace) as (address, _):
        context = browser.new_context(viewport={"width": 390, "height": 900}, color_scheme="dark")
        page = watched(context.new_page())
        page.goto(address)
        page.locator(".mlnb.board h1", has_text="Packages").wait_for(timeout=60_000)
        press(page, "prices.ipynb")
        page.get_by_text("What varies, and why").wait_for()
        assert from_html(page.content()) == expected(report)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert findings(page, "main") == [] and quiet(page) == []
        assert [url for url in page.asked if "127.0.0.1" not in url and not url.startswith(("data:", "blob:"))] == []
        page.reload()
        context.close()
    assert run.read_report() == report


# --- the board --------------------------------------------------------------------------------------------------------


def test_the_board_says_the_state_first_and_the_reason_of_what_was_refused(converted):
    workspace = converted[0]
    soup = BeautifulSoup(conversions_board(know(workspace)), "html.parser")
    assert soup.find("h1").find_next("p").get_text() == "1 notebook became a package with proof, 1 notebook did not."
    rows = [row.get_text(" ", strip=True) for row in soup.select("table.b tbody tr")]
    assert rows[0].startswith("⊘ failed odd.ipynb") and "cell 2" in rows[0]  # the worst first
    assert rows[1].startswith("▲ warn prices.ipynb")
    told = conversions_board(know(workspace), chosen(workspace).id)
    assert NOT_DEEP in told and "started" in told and "clock" in told
    assert "a note that nobody needs" in told  # it is left out, and that is said


def test_an_empty_workspace_says_what_to_do_first(bare_workspace):
    text = conversions_board(know(bare_workspace))
    assert "No notebook has become a package here yet." in text and "mlnb run refactor" in text
    assert "refactor.html" not in publish(workspace=bare_workspace).files
    assert "refactor.html" in publish("refactor", workspace=bare_workspace).files


def report_of(notebook: str = "a.ipynb", many: int = 5, proof=(), deep=()) -> Report:
    nodes, edges = cells_of(many)
    steps = tuple((f"step_{i}", "load", "1", 3, "x", "y") for i in range(3))
    columns = ("function", "kind", "cells", "lines", "takes", "leaves")
    tables = [
        Table(title="Steps", columns=columns, rows=steps),
        Table(title="Proof", columns=("what", "name", "state", "why"), rows=tuple(proof)),
        Table(title="Left out", columns=("cell", "code", "why"), rows=((3, "df.head()", "never runs"),)),
    ]
    judged = Result(code="MLN-F001", title="Values", status="pass", value=1.0, n=9)
    picture = Chart(kind="graph", title="Cells", data={"nodes": nodes, "edges": edges})
    about = {"kind": "refactor", "title": f"{notebook} as a package", "meta": {"notebook": notebook}}
    return Report(results=(judged, *deep), tables=tuple(tables), charts=(picture,), **about)


def test_of_each_notebook_the_newest_counts_and_a_mended_one_does_not_stay_on_top():
    bad = run_of("first try", "refactor", None, at=1, status="FAILED", tags={"mlnb.error": "cell 1: no"})
    bad = run_of("first try", "refactor", None, at=1, status="FAILED", params={"notebook": "x/a.ipynb"})
    good = run_of("second try", "refactor", report_of("a.ipynb"), at=2)
    other = run_of("cell", "code", report_of("b.ipynb"), at=0)
    drift = run_of("drift", "code", hostile("x"), at=3)
    known = known_of([bad, good, other, drift], [])
    assert [run.name for run in conversions(known)] == ["second try", "cell", "first try"]
    view = conversions_view(known)
    assert view.sentence == "2 notebooks became packages with proof." and view.name == "a.ipynb"
    with pytest.raises(DataError, match="not shown any more"):
        conversions_view(known, "0" * 32)


def test_what_is_not_equal_comes_worst_first_and_the_deep_proof_is_counted():
    states = ["equal", "close", "unproved", "varies", "different"]
    proof = [("binding", f"name_{state}", state, f"why {state}") for state in states]
    deep = (
        Result(code="MLN-F010", title="Damage", status="pass", value=0.98, n=50, threshold=0.95),
        Result(code="MLN-F011", title="Other data", status="not_applicable", advice="The notebook reads no table"),
    )
    report = report_of(proof=proof, deep=deep)
    view = conversions_view(known_of([run_of("r", "refactor", report)], []))
    assert [row.word for row in view.proof] == ["✗ different", "▲ varies", "○ unproved", "✓ close"]
    assert view.varies == [("name_varies", "why varies")] and view.equal == [("values", "name_equal")]
    assert deep_said(report).startswith("Deep proof: 49 of 50 damages noticed (0.98)")
    assert "changed inputs agree: The notebook reads no table" in view.deep


@pytest.mark.parametrize("many", [5, 40, 200])
def test_a_page_stays_small_whatever_was_converted(many):
    proof = [("binding", f"a_rather_long_name_{i}", "varies" if i % 3 else "equal", "draws " * 20) for i in range(900)]
    known = known_of([run_of("r", "refactor", report_of(many=many, proof=proof))], [])
    for target, page in pages_of(known).items():
        text = standalone(page.title, page.make(lambda _: ""), sheets=page.sheets)
        assert len(text.encode()) < LIMIT, (target, len(text))
    assert "more are in the stored report" in pages_of(known)["board:refactor"].make(lambda _: "")


def test_hostile_names_stay_text():
    for text in ("<script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>", "\x1b[31m\u202e"):
        proof = [(text, text, state, text) for state in ("equal", "varies", text)]
        report = report_of(text, proof=proof).model_copy(update={"charts": hostile(text).charts})
        run = run_of(text, "refactor", report, params={"notebook": text})
        failed = run_of("f", "refactor", None, status="FAILED", tags={"mlnb.error": text}, params={"notebook": text})
        drawn = conversions_board(known_of([run, failed], []), run.id)
        soup = BeautifulSoup(drawn, "html.parser")
        assert not soup.find_all(["script", "img"]) and "\x1b" not in drawn and "\u202e" not in drawn


# --- in the browser ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_pages_are_accessible_silent_and_fit(tab, published, converted, width, theme):
    page, names = tab(width, theme), ["refactor.html", f"refactor-{chosen(converted[0]).id[:8]}.html"]
    for name in names:
        page.goto((published.folder / name).as_uri())
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        assert findings(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK[theme]
    assert page.said == [] and len(page.asked) == len(names)


@pytest.mark.parametrize("many", [5, 40, 200])
def test_the_picture_is_legible_on_a_phone_and_nothing_leaves_it(tab, tmp_path, many):
    report = report_of(many=many)
    path = report.save(tmp_path / "report.html")
    page = tab(390)
    page.goto(path.as_uri())
    boxes = page.evaluate(
        """() => { const svg = document.querySelector('figure svg'), all = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text')].map(t => t.getBoundingClientRect()).map(
            b => [b.left - all.left, all.right - b.right, all.bottom - b.bottom, b.height]) }"""
    )
    assert len(boxes) > many / 5
    assert all(left >= -1 and right >= -1 and below >= -1 and tall > 8 for left, right, below, tall in boxes), boxes
