"""One record full of hostile strings, through every renderer there is, in a real browser: nothing of it comes alive.

The strings stand where they can get to: names of runs, parameters, tags, columns and categories of stored reports,
notes and fields of cards in the ledger, marks written past it, a checklist of the team's own, errors, commands.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import pkgutil
import re
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from helpers_lived import copy_lived
from payloads import PAYLOADS
from test_render import hostile
from test_walk import hostile_walk

import mlnb
from mlnb import cli
from mlnb.core.errors import MLNBError, StepError
from mlnb.core.files import digest
from mlnb.core.result import Report, Table

TEXTS = [text for text in PAYLOADS if text.strip() and len(text) < 1000]
STORED = [text.encode("utf-8", "backslashreplace").decode().replace("\0", "�") for text in TEXTS]  # as SQLite takes it


# What renders -----------------------------------------------------------------------------------------------------

FORMS = ("_repr_html_", "_repr_mimebundle_", "_repr_svg_", "to_html", "to_page")
TOOLS = {  # made of what others render, or of no text of a user
    *("mlnb.core.render.page", "mlnb.core.render.to_html", "mlnb.core.render.table_html"),  # of Report and Table
    *("mlnb.governance.forms.page", "mlnb.governance.forms.to_html", "mlnb.ui.checklists.checklist_html"),  # of a view
    "mlnb.ui.steps.walk_html",
    *("mlnb.ui.pages.page_style", "mlnb.ui.publish.pages_of", "mlnb.ui.runs.run_page"),
}


def renderers() -> set[str]:
    """Every class that shows itself as HTML, and every function that gives it."""
    found = set()
    for info in pkgutil.walk_packages(mlnb.__path__, "mlnb."):
        if info.name == "mlnb.__main__":
            continue
        module = importlib.import_module(info.name)
        for name, thing in inspect.getmembers(module):
            if getattr(thing, "__module__", "") != info.name:
                continue
            whole = inspect.isclass(thing) and not inspect.isabstract(thing)
            shows = whole and any(hasattr(thing, form) for form in FORMS)
            makes = inspect.isfunction(thing) and re.search(r"(?:^|_)(?:html|page|pages)(?:$|_)", name)
            if shows or (makes and not name.startswith("_")):
                found.add(f"{info.name}.{name}")
    return found - TOOLS


def rendered(place) -> dict[str, list[str]]:
    """HTML by renderer, of the hostile record."""
    from mlnb.pipelines.run import StepOutcome
    from mlnb.tracking.snapshot import snapshot
    from mlnb.ui.boards import know
    from mlnb.ui.checklists import ChecklistNames, checklist_html
    from mlnb.ui.live import record_bundle
    from mlnb.ui.pages import BoardPage
    from mlnb.ui.runs import run_html
    from mlnb.ui.steps import walk_html

    known, card = know(place), mlnb.card()
    views = [mlnb.checklist(name) for name in ("deployment", "rigour", "team")]
    errors = [StepError(text, text) for text in TEXTS[:20]]
    steps = [StepOutcome(str(e), "0" * 32, Path("."), None, None, e, 1.0) for e in errors]
    tables = [Table(title=text, columns=(text,), rows=((text,),), note=text) for text in TEXTS]
    boards = []
    for run in (None, "refactor", *snapshot().runs[:60:6]):
        page = BoardPage(run if run == "refactor" else "overview" if run else "monitor", place)
        if run and run != "refactor":
            page.go(f"run:{run.id}")
        boards.append(page.render())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mlnb.ui.pages._drawn", failing(errors))
        boards += [BoardPage("overview", place).render() for _ in errors]
    odd = pd.DataFrame({text: TEXTS for text in TEXTS}).assign(number=range(len(TEXTS)))
    live = [*(checklist_html(view.review, live=True) for view in views), hostile(TEXTS[6]).to_html()]
    return {
        "mlnb.ui.pages.BoardPage": boards,
        "mlnb.ui.live.record_bundle": [record_bundle(text, "", "token")["text/html"] for text in live],
        "mlnb.core.result.Report": [hostile(TEXTS[0]).to_html(), mlnb.doctor().to_html(), mlnb.audit().to_html()],
        "mlnb.core.checks.Catalogue": [mlnb.check(namespace={text: 1 for text in TEXTS})._repr_html_()],
        "mlnb.data.profile.Profile": [mlnb.profile(odd)._repr_html_()],
        "mlnb.drifting.profiling.PreparedProfile": [mlnb.profile(odd, exact=True)._repr_html_()],
        "mlnb.tracking.records.RunList": [mlnb.runs(limit=200)._repr_html_()],
        "mlnb.pipelines.run.StepOutcome": [step._repr_html_() for step in steps],
        "mlnb.governance.card.Card": [card.card.to_html(), card.card.to_page()],
        "mlnb.ui.cards.CardView": [card.to_html(), card.to_page()],
        "mlnb.ui.checklists.ChecklistView": [form for view in views for form in (view.to_html(), view.to_page())],
        "mlnb.ui.checklists.ChecklistNames": [
            mlnb.checklist()._repr_html_(),
            *(ChecklistNames(table)._repr_html_() for table in tables[:20]),
        ],
        "mlnb.ui.walk.Walk": [walk_html(hostile_walk(text), live=live) for text in TEXTS for live in (False, True)],
        "mlnb.ui.runs.run_html": [run_html(run, known) for run in snapshot().runs[:80:8]],
    }


def failing(errors: list):
    """A function that raises one error after the other."""
    left = iter(errors)

    def fail(*_: object) -> str:
        raise next(left)

    return fail


def test_every_renderer_is_among_them(drawn):
    tried = set(drawn)
    assert renderers() <= tried, renderers() - tried


def test_every_template_was_filled_with_them(drawn, published):
    from mlnb.core.assets import asset
    from mlnb.core.render import _templates

    assert drawn and published
    cache = _templates().cache
    assert cache is not None
    filled = {key[1] if isinstance(key, tuple) else key for key in cache}
    assert {path.name for path in asset("static").glob("*.j2")} <= filled | {"macros.html.j2"}


# The record -------------------------------------------------------------------------------------------------------


def replaced(value, names: dict[str, str]):
    """A stored report in which columns and categories have hostile names."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, list):
        return [replaced(inner, names) for inner in value]
    if isinstance(value, dict):
        return {names.get(name, name): replaced(inner, names) for name, inner in value.items()}
    return value


def poison_reports(root: Path, store: sqlite3.Connection) -> None:
    """Rename what the demo's data calls its columns, airlines and airports, and the digests with them."""
    words = ["temp", "carrier", "origin", "dest", "humid", "wind_speed", "hour", "distance", "UA", "EWR", "JFK", "late"]
    names = dict(zip(words, STORED[::3], strict=False))
    for path in root.rglob("artifacts/report/report.json"):
        told = replaced(json.loads(path.read_text()), names)
        told["results"] = [{**r, "advice": STORED[n % len(STORED)]} for n, r in enumerate(told["results"])]
        path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
        query = "UPDATE tags SET value = ? WHERE run_uuid = ? AND key = 'mlnb.sha256.report/report.json'"
        store.execute(query, (digest(path), path.parents[2].name))


def converted(text: str) -> Report:
    """The report of a conversion in which everything that a notebook brings is hostile."""
    proof = [(text, text, state, text) for state in ("equal", "varies", text)]
    tables = (
        Table(title="Steps", columns=("function", "kind"), rows=((text, text),)),
        Table(title="Proof", columns=("what", "name", "state", "why"), rows=tuple(proof)),
        Table(title="Left out", columns=("cell", "code", "why"), rows=((1, text, text),)),
    )
    meta = {"notebook": text, "knobs": {text: text}}
    held = hostile(text)
    return Report(kind="refactor", title=text, results=held.results, tables=tables, charts=held.charts, meta=meta)


@pytest.fixture(scope="module")
def place(lived_in, tmp_path_factory):
    from mlnb.core.ledger import Event  # noqa: F401 (heavy imports before the clock of the first test)
    from mlnb.governance.fields import FIELDS
    from mlnb.governance.signing import fill_field, sign
    from mlnb.tracking.run import track
    from mlnb.tracking.snapshot import snapshot

    workspace = copy_lived(lived_in, tmp_path_factory.mktemp("hostile") / "ws")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLNB_WORKSPACE", str(workspace.root))
        patched.setenv("MLNB_DASHBOARD__RUNS", "120")
        (workspace.root / "checklists").mkdir()
        items = "".join(
            f'[[items]]\ncode = "TEAM-{n}"\nkey = "k{n}"\ntitle = {text}\nwhy = {text}\nsign = true\n'
            for n, text in enumerate(json.dumps(t) for t in TEXTS if t.isprintable() and len(t) < 100)
        )
        (workspace.root / "checklists" / "team.toml").write_text(f'title = "<b>Team</b>"\nversion = 1\n{items}')
        model = snapshot().models[0]
        people = [f.key for f in FIELDS if f.source == "person"]
        for n, text in enumerate(TEXTS):
            with contextlib.suppress(MLNBError):  # some are refused, which is as good
                sign(model, "deployment", "MLN-G101", answer="no", name=text[:100], role=text[:100], note=text)
            with contextlib.suppress(MLNBError):
                fill_field(model, people[n % len(people)], text, name="Ana", role=text[:100])
        for n, text in enumerate(TEXTS[::4]):
            with track(f"h{n}", params={"p": text}, tags={"note": text}) as run:
                run.log(hostile(text))
        for text in TEXTS[::8]:
            with track("h-package", kind="refactor", params={"notebook": text}) as run:
                run.log(converted(text))
        with contextlib.closing(sqlite3.connect(workspace.root / ".mlnb" / "mlflow.db")) as store:
            for n, text in enumerate(STORED[::4]):
                store.execute("UPDATE runs SET name = ? WHERE name = ?", (text, f"h{n}"))
                store.execute("UPDATE tags SET value = ? WHERE value = ?", (text, f"h{n}"))
            for n, text in enumerate(STORED):  # marks that nobody signed
                facts = {"seq": n, "checklist": "deployment", "item": "k", "answer": "yes", "name": text, "role": text}
                facts |= {"note": text, "time": text, "evidence": "", "hash": text}
                into = "INSERT OR REPLACE INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value)"
                query = f"{into} SELECT model_id, experiment_id, ?, ? FROM logged_models"
                store.execute(query, (f"mlnb.sign.{n:08d}", json.dumps(facts)))
            poison_reports(workspace.root, store)
            store.commit()
        yield workspace


@pytest.fixture(scope="module")
def drawn(place):
    return rendered(place)


@pytest.fixture(scope="module")
def published(place, tmp_path_factory):
    return mlnb.publish(to=str(tmp_path_factory.mktemp("pages"))).paths


# In the browser ----------------------------------------------------------------------------------------------------

LOOK = """() => [...document.querySelectorAll('*')].flatMap(e => [
    ...[...e.attributes].filter(a => /^on|^(srcdoc|action|formaction|xlink:href)$/.test(a.name)).map(a => a.name),
    ...[...e.attributes].filter(a => a.name == 'href' && !/^[a-z0-9-]+\\.html(#[a-z0-9-]*)?$/.test(a.value))
        .map(a => 'href ' + a.value),
    ...[...e.attributes].filter(a => a.name == 'src' && !a.value.startsWith('data:image/')).map(a => 'src ' + a.value),
    ...[e.tagName].filter(n => /^(SCRIPT|IFRAME|BASE|LINK|OBJECT|EMBED|VIDEO|XMP|MATH)$/i.test(n))])"""


def inert(page, name: str) -> None:
    page.mouse.move(200, 300)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.evaluate(LOOK) == [], name
    assert page.said == [], (name, page.said)


def test_every_renderer_leaves_them_inert(drawn, tab):
    page = tab(390)
    for name, texts in drawn.items():
        assert "alert(1)" in "".join(texts) or name.endswith("Catalogue"), name  # its titles are ours
        parts = [re.sub(r"(?s)<!doctype.*?<body[^>]*>|</body>.*", "", text) for text in texts]
        page.set_content("<!doctype html><title>x</title>" + "".join(parts))
        inert(page, name)
        assert page.asked == [], (name, page.asked)


@pytest.mark.parametrize("text", TEXTS[:3] + TEXTS[6:9] + ["<a href='javascript:alert(1)'>x</a>", "<p onclick=x>y</p>"])
def test_what_is_not_escaped_would_be_seen(text, tab):
    page = tab(390)
    page.set_content(f"<!doctype html><title>x</title><article>{text}</article>")
    with pytest.raises(AssertionError):
        inert(page, "raw")
        assert page.asked == []


def test_published_pages_leave_them_inert(published, tab):
    page, seen = tab(390), ""
    for path in published:
        page.goto(path.as_uri())
        inert(page, path.name)
        assert page.asked == [path.as_uri()] and page.title() != "", path
        page.asked.clear()
        seen += page.locator("body").inner_text()
        policy = page.locator("meta[http-equiv='Content-Security-Policy']").get_attribute("content") or ""
        assert "default-src 'none'" in policy and "script-src" not in policy.replace("script-src 'none'", "")
    shown = [text for text in TEXTS if text in seen]
    assert "<script>alert(1)</script>" in shown and len(shown) > 30  # they are there, as text


# In a terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv", [["runs", "show"], ["card"], ["checklist"], ["drift", "x.csv"], ["run"], ["publish"], ["export"]]
)
def test_error_lines_carry_no_control_sequence(argv, place, capsys):
    for text in TEXTS[::2]:
        if text.startswith("-"):
            continue
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([*argv, text])
        said = capsys.readouterr().err
        assert ended.value.code in (2, 3) and len(said.strip("\n").split("\n")) == 1, (argv, text, said)
        assert all(c.isprintable() for c in said.strip("\n")), (argv, text, said)
