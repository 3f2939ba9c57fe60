"""The dashboards as pure functions and as published pages: they say the state first, fit, and lead nowhere outside."""

from __future__ import annotations

import dataclasses
import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browsing import INK, findings
from bs4 import BeautifulSoup
from helpers_boards import known_of, metric, run_of, trained, window_report
from helpers_lived import copy_lived, current_is
from payloads import PAYLOADS
from test_render import expected, from_html

import mlnb
from mlnb.cli import main
from mlnb.core import layout
from mlnb.core.errors import ArgumentError, DataError, FileError
from mlnb.core.render import standalone
from mlnb.tracking.snapshot import snapshot
from mlnb.ui import boards
from mlnb.ui import publish as publishing
from mlnb.ui.boards import current_models, know
from mlnb.ui.checklists import SHOWN
from mlnb.ui.monitor import Choice, monitor, monitor_view
from mlnb.ui.overview import open_items, overview
from mlnb.ui.pages import BoardPage, inside
from mlnb.ui.publish import MARKER, pages_of, publish
from mlnb.ui.runs import run_html
from mlnb.ui.windows import by_column, strip, windows

LIMIT = 60_000


@pytest.fixture(scope="module")
def pages(lived_in, tmp_path_factory):
    """The lived-in workspace, published once."""
    workspace = copy_lived(lived_in, tmp_path_factory.mktemp("published") / "ws")
    with current_is(workspace.root):
        published = publish()
        return workspace, published, know(workspace)


def soup_of(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


# --- what is said -----------------------------------------------------------------------------------------------------


def test_the_overview_says_the_state_before_any_table(pages):
    _, published, known = pages
    soup = soup_of(published.folder / "index.html")
    heading = soup.h1
    first = heading.find_next("p")
    assert heading.get_text() == "Overview ✗ fail"
    assert first.get_text().startswith("1 model. Its last monitoring (july) failed. ")
    waiting = sum(
        i.item.sign and str(i.result.status) == "todo"
        for r in known.reviews[known.records[0].model.id]
        for i in r.items
    )
    assert waiting and f"{waiting} checklist items wait for a person" in first.get_text()
    assert first.find_previous("table") is None
    assert re.search(r"Data as of \d{4}-\d\d-\d\d \d\d:\d\d UTC", soup.get_text())


def test_the_overview_has_of_the_model_what_the_store_has(pages):
    _, published, known = pages
    soup, record = soup_of(published.folder / "index.html"), known.records[0]
    facts = {d.dt.get_text(): d.dd for d in soup.select("dl > div")}
    report = record.run.read_report()
    loss = next(r for r in report.results if r.code == "MLN-E001")
    assert facts["Log loss at training"].get_text().startswith(layout.number_of(loss) + " " + layout.interval_of(loss))
    assert facts["Last monitoring"]["data-s"] == record.monitors[0].report == "fail"
    assert facts["Last monitoring"].a["href"] == f"run-{record.monitors[0].id[:8]}.html"
    for review in known.reviews[record.model.id]:
        states = [str(i.result.status) for i in review.items]
        done, many = (
            sum(s in ("pass", "warn") for s in states),
            sum(s not in ("not_applicable", "skipped") for s in states),
        )
        assert facts[review.checklist.title].a.get_text() == f"{done} of {many}"
    assert facts["Model card"].a["href"].startswith("card-m-")


def test_worst_comes_first_everywhere_on_the_overview(pages):
    soup = soup_of(pages[1].folder / "index.html")
    rank = list(layout.STATES).index
    checks = [rank(li["data-s"]) for li in soup.select("ul.c > li")]
    items = [
        rank(tr["data-s"]) for tr in soup.find("caption", string="Open items").find_parent("table").select("tbody tr")
    ]
    assert len(checks) == 3 and checks == sorted(checks) and len(items) > 3 and items == sorted(items)
    runs = soup.find("caption", string="Latest runs").find_parent("table").select("tbody tr")
    assert [r.th.get_text() for r in runs][:2] == ["Monitor July", "Monitor a quiet window"]


def test_an_empty_workspace_says_what_to_do_first(bare_workspace):
    published = publish()
    assert published.files == ("index.html", "monitor.html")
    assert "Nothing has been recorded here yet." in soup_of(published.paths[0]).get_text()
    assert "mlnb run train" in soup_of(published.paths[0]).get_text()
    assert "nothing to monitor" in soup_of(published.paths[1]).get_text()
    assert not (bare_workspace.folder / "mlflow.db").exists()


def test_a_model_that_was_replaced_is_left_out_and_one_that_was_never_watched_says_so():
    (old, first), (new, second) = trained("Old", 0), trained("New", 5)
    target = {"inferred.target": "late"}
    old, new = (dataclasses.replace(run, params=target) for run in (old, new))
    known = known_of([old, new], [first, second])
    assert [r.model.id for r in known.records] == [second.id]
    text = BeautifulSoup(overview(known), "html.parser").get_text()
    assert "1 model, never monitored." in text and "1 replaced by a newer one" in text
    view = monitor_view(known)
    assert view.status == "todo" and "never monitored" in view.sentence and "mlnb run monitor" in view.steps[0][1]
    command = view.steps[0][1].split()
    given = dict(pair.split("=") for at, pair in pairwise(command) if at == "-p")
    notebook = json.loads((Path(mlnb.__file__).parents[1] / "templates" / "monitor.ipynb").read_text(encoding="utf-8"))
    cell = next(c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", ()))
    assert given.keys() <= set(re.findall(r"^(\w+):", "".join(cell["source"]), re.MULTILINE))
    assert given["model"] == new.id[:8]


def test_a_model_whose_training_run_is_deleted_is_told_and_the_others_are_shown(lived):
    with closing(sqlite3.connect(lived.folder / "mlflow.db")) as store:
        training = know(lived).records[0].run.id
        store.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", (training,))
        store.commit()
    known = know(lived)
    assert known.records == () and known.lost == 1
    assert f"comes from run {training[:8]}, which is deleted" in known.problems[0]
    published = publish()
    assert f"Not shown: {known.problems[0]}" in str(published)
    for name in ("overview", "monitor"):
        file = published.folder / publishing.file_of(f"board:{name}")
        for text in (BoardPage(name, lived).render(), file.read_text(encoding="utf-8")):
            soup = BeautifulSoup(text, "html.parser")
            assert f"run {training[:8]}, which is deleted" in soup.get_text() and "cannot be shown" not in soup.h1.text
            assert "replaced by a newer one" not in soup.get_text()


def test_of_many_lost_models_a_few_are_named_and_a_whole_one_is_shown():
    (run, model), (gone, lost) = trained("Whole"), trained("Gone", 5)
    several = [dataclasses.replace(lost, id=f"m-{i:032x}", name=f"n{i}") for i in range(7)]
    taken = known_of([run], [model, *several]).taken
    told: dict[str, str] = {}
    assert [r.model.id for r in current_models(taken, told)] == [model.id] and len(told) == 7
    said = boards._told_of(told)
    assert len(said) == 4 and said[-1].startswith("4 more models cannot be shown") and gone.id[:8] in said[0]


def test_a_try_of_a_notebook_is_shown_only_where_there_is_nothing_else():
    (run, model), (tried, other) = trained("Train", 0), trained("First try", 5)
    run = dataclasses.replace(run, params={"inferred.target": "late"})
    tried = dataclasses.replace(tried, kind="code", params={"inferred.target": "other"})
    known = known_of([run, tried], [model, other])
    assert [r.model.id for r in known.records] == [model.id]
    assert "1 replaced by a newer one or only tried" in BeautifulSoup(overview(known), "html.parser").get_text()
    signed = dataclasses.replace(other, tags={"mlnb.sign.00000001": "{}"})
    assert [r.model.id for r in known_of([run, tried], [model, signed]).records] == [other.id, model.id]
    assert [r.model.id for r in known_of([tried], [other]).records] == [other.id]


def test_a_run_that_failed_is_an_error_and_shows_why():
    run, model = trained()
    crashed = run_of("Monitor June", at=3, model_run=run.id, status="FAILED", tags={"mlnb.error": "DataError: no June"})
    good = run_of("Monitor May", report=window_report("may.csv", {"age": (0.01, "pass")}), at=2, model_run=run.id)
    known = known_of([run, good, crashed], [model])
    page = BeautifulSoup(overview(known), "html.parser")
    assert page.h1["data-s"] == "error" and "DataError: no June" in page.get_text()
    assert "1 of the last 3 runs did not finish" in page.find("p").get_text()
    view = monitor_view(known, Choice(window=crashed.id))
    assert view.status == "error" and "no June" in view.sentence
    assert monitor_view(known).at == "may.csv"  # what can be shown is shown
    assert [w.label for w in view.windows] == ["may.csv", "Monitor June"]
    assert "DataError: no June" in run_html(crashed, known)


def test_an_open_item_names_the_model_where_there_are_several(pages):
    known = pages[2]
    model, reviews = next(iter(known.reviews.items()))
    one = {i.place for i in open_items(reviews)}
    assert one == {"Deployment readiness", "Evaluation rigour"}
    other = dataclasses.replace(reviews[0].record, model=dataclasses.replace(reviews[0].record.model, id="m-other"))
    both = open_items([*reviews, dataclasses.replace(reviews[0], record=other)])
    assert all(i.place.endswith(", Train on January to March") for i in both)
    assert {i.target.rpartition(":")[2] for i in both} == {model, "m-other"}


# --- the strip --------------------------------------------------------------------------------------------------------


def test_a_cell_is_the_worst_judged_result_of_its_column_and_window(pages):
    _, published, known = pages
    record = known.records[0]
    seen = windows(record, 12)
    assert [w.label for w in seen] == ["quiet", "july"]
    table = soup_of(published.folder / "monitor.html").select_one("table.strip")
    judged = ("error", "fail", "todo", "warn", "pass")
    checked = 0
    for row in table.select("tbody tr"):
        for window, cell in zip(seen, row.find_all("td"), strict=True):
            results = by_column(window.report).get(row.th.get_text())
            if results is None:
                continue
            states = [str(r.status) for r in results if str(r.status) in judged]
            worst = min(states, key=judged.index)
            assert cell["data-s"] == worst
            of_state = [r for r in results if str(r.status) == worst]
            farthest = max(of_state, key=lambda r: abs(r.value) / r.threshold)
            assert cell.get_text() == layout.cell_text(farthest) and farthest.title in cell["title"]
            checked += 1
    assert checked == 32
    names = [row.th.get_text() for row in table.select("tbody")[0].select("tr")]
    assert set(names[:6]) == {"dewp", "temp", "pressure", "wind_dir", "wind_speed", "humid"} and names[6] == "visib"
    below = [row.th.get_text() for row in table.select("tbody")[1].select("tr")]
    assert below == ["prediction of late", "late", "Log loss", "Drop since training"]


def test_the_newest_windows_stand_right_and_a_column_that_came_late_has_an_empty_cell():
    run, model = trained()
    reports = [window_report(f"w{i}.csv", {"age": (0.1 * i, "warn" if i > 1 else "pass")}) for i in range(20)]
    reports[-1] = window_report("w19.csv", {"age": (0.01, "pass"), "new": (0.9, "fail")})
    runs = [run_of(f"Monitor {i}", report=r, at=i + 1, model_run=run.id) for i, r in enumerate(reports)]
    known = known_of([run, *runs], [model])
    laid = strip(windows(known.records[0], 12))
    assert [w.label for w in laid.windows] == [f"w{i}.csv" for i in range(8, 20)]
    assert [r.name for r in laid.columns] == ["new", "age"] and laid.columns[0].cells[:11] == (None,) * 11
    assert (
        BeautifulSoup(monitor(known), "html.parser").select_one("table.strip tbody tr").find_all("td")[0].get_text()
        == ""
    )


def test_what_is_chosen_has_to_be_there():
    run, model = trained()
    runs = [
        run_of(
            f"Monitor {i}",
            report=window_report(f"w{i}", {"a": (0.3, "fail"), "b": (0, "pass")}),
            at=i,
            model_run=run.id,
        )
        for i in (1, 2)
    ]
    known = known_of([run, *runs], [model])
    chosen = monitor_view(known, Choice(window=runs[0].id, column="b"), live=True)
    assert chosen.at == "w1" and chosen.chosen.name == "b" and chosen.chosen.picture.subject == "b"
    for wrong in (Choice(window="../x"), Choice(column="c"), Choice(model="m-nothing")):
        with pytest.raises(DataError):
            monitor_view(known, wrong, live=True)


# --- the same states everywhere ---------------------------------------------------------------------------------------


def test_every_page_of_a_run_and_the_monitor_show_the_stored_results(pages):
    _, published, known = pages
    compared = 0
    for run in known.taken.runs:
        page = (published.folder / f"run-{run.id[:8]}.html").read_text(encoding="utf-8")
        assert from_html(page) == expected(run.read_report())
        compared += sum(expected(run.read_report()).values())
    july = known.records[0].monitors[0].read_report()
    assert from_html((published.folder / "monitor.html").read_text(encoding="utf-8")) == expected(july)
    assert compared > 250
    wrong = july.model_copy(update={"results": july.results[1:]})
    assert from_html((published.folder / "monitor.html").read_text(encoding="utf-8")) != expected(wrong)


# --- pages ------------------------------------------------------------------------------------------------------------


def test_every_link_resolves_and_every_page_is_small_and_shut(pages):
    _, published, _ = pages
    assert {p.name for p in published.folder.glob("*.html")} == set(published.files)
    linked = set()
    for path in published.paths:
        soup, text = soup_of(path), path.read_text(encoding="utf-8")
        assert len(text.encode()) < LIMIT, path.name
        policy = soup.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
        assert "default-src 'none'" in policy and "script-src" not in policy
        assert not soup.find_all(["script", "iframe", "object", "form", "button", "input", "link"])
        for a in soup.find_all("a"):
            assert urlsplit(a["href"])[:2] == ("", "") and (path.parent / a["href"]).is_file(), (path.name, a["href"])
            linked.add(a["href"])
    assert linked >= set(published.files)


def test_a_link_is_written_only_where_its_page_is(pages):
    workspace, _, _ = pages
    only = publish("monitor", to=str(workspace.root / "only"), workspace=workspace)
    assert "index.html" not in only.files and "monitor.html" in only.files
    assert len([f for f in only.files if f.startswith("run-")]) == 4
    for path in only.paths:
        for a in soup_of(path).find_all("a"):
            assert (path.parent / a["href"]).is_file()


def test_wide_tables_and_many_windows_still_fit_and_say_what_they_leave_out(tmp_path):
    run, model = trained()
    columns = {f"measurement of the sensor number {i}": (0.3 + i / 100, "fail") for i in range(150)}
    reports = [
        window_report(f"s3://bucket/2026-{i:02}.parquet", columns, extra=(metric(0.4 + i / 100),)) for i in range(12)
    ]
    runs = [run_of(f"Monitor {i}", report=r, at=i + 1, model_run=run.id) for i, r in enumerate(reports)]
    known = known_of([run, *runs], [model])
    for target, page in pages_of(known).items():
        text = standalone(page.title, page.make(lambda _: ""), sheets=page.sheets)
        assert len(text.encode()) < LIMIT, target
    text = pages_of(known)["board:monitor"].make(lambda _: "")
    assert "more columns are less urgent" in text and "has a page of its own" in text
    small = run_html(runs[0], known, style=False, room=44_000)
    assert "To keep this page small" in small and from_html(small) != {}
    failed = [found for found in from_html(small).elements() if found[2] == "fail"]
    assert len(failed) == 50 and "100 more: 100 fail" in small
    assert {int(n) for n in re.findall(r"umber (\d+)", small)} == set(range(150))  # what needs somebody is named


def test_several_models_have_a_page_each_and_the_worst_is_the_first_one(tmp_path):
    (one, first), (two, second) = trained("One", 0), trained("Two", 1)
    one, two = (dataclasses.replace(r, params={"inferred.target": t}) for r, t in ((one, "late"), (two, "price")))
    good = run_of("Monitor one", report=window_report("a", {"x": (0.01, "pass")}), at=3, model_run=one.id)
    bad = run_of("Monitor two", report=window_report("b", {"x": (0.9, "fail")}), at=2, model_run=two.id)
    known = known_of([one, two, good, bad], [first, second])
    assert len(known.records) == 2 and monitor_view(known).title == "Monitoring: Two"
    found = pages_of(known, "monitor")
    assert {"board:monitor", f"board:monitor:{first.id}", f"board:monitor:{second.id}"} <= found.keys()
    text = BeautifulSoup(overview(known), "html.parser").find("p").get_text()
    assert text.startswith("2 models. Their last monitoring passed for 1, failed for 1")


# --- the folder -------------------------------------------------------------------------------------------------------


def test_old_pages_of_ours_go_and_files_of_others_stay(lived, monkeypatch):
    first = publish()
    stale, theirs = first.folder / "run-00000000.html", first.folder / "notes.txt"
    stale.write_text("old", encoding="utf-8")
    theirs.write_text("theirs", encoding="utf-8")
    outside = lived.root / "outside.html"
    outside.write_text("keep", encoding="utf-8")
    marker = first.folder / MARKER
    listed = json.loads(marker.read_text(encoding="utf-8"))
    listed["files"] += [stale.name, "notes.txt", "../outside.html", "/etc/hostname", 3]
    marker.write_text(json.dumps(listed), encoding="utf-8")
    again = publish()
    assert again.removed == (stale.name,) and not stale.exists()
    assert theirs.read_text(encoding="utf-8") == "theirs" and outside.exists()
    assert json.loads(marker.read_text(encoding="utf-8"))["files"] == list(again.files)
    assert str(again).startswith(f"{len(again.files)} pages in {again.folder}; 1 old one removed\nNext: open ")


@pytest.mark.parametrize("kind", ["file", "foreign", "nul", "long"])
def test_a_folder_that_is_not_ours_is_refused_and_left_alone(bare_workspace, tmp_path, kind):
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("x", encoding="utf-8")
    elif kind == "foreign":
        place.mkdir()
        (place / "index.html").write_text("theirs", encoding="utf-8")
    to = {"nul": "a\0b", "long": "x" * 5000}.get(kind, str(place))
    with pytest.raises(FileError):
        publish(to=to)
    if kind == "foreign":
        assert [p.read_text(encoding="utf-8") for p in place.iterdir()] == ["theirs"]


def test_a_page_that_cannot_be_written_leaves_the_overview_as_it_was(lived):
    published = publish()
    before = (published.folder / "index.html").read_bytes()
    blocked = next(p for p in published.paths if p.name.startswith("run-"))
    blocked.unlink()
    blocked.mkdir()
    with pytest.raises(FileError) as refused:
        publish()
    assert blocked.name in str(refused.value)
    assert (published.folder / "index.html").read_bytes() == before
    assert not list(published.folder.glob(".*.partial"))


def test_unknown_names_end_with_one_line_and_status_2(bare_workspace, capsys):
    for argv in (["publish", "overvew"], ["dashboard", "monitr"], ["dashboard", "overview", "--port", "70000"]):
        with pytest.raises(SystemExit) as ended:
            main(argv)
        said = capsys.readouterr().err.strip()
        assert ended.value.code == 2 and said.count("\n") == 0 and said.startswith("mlnb: "), argv
    with pytest.raises(ArgumentError, match=r"there is no dashboard '\.\./x'"):
        publish("../x")


def test_the_command_line_publishes(lived, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["publish", "--to", str(lived.root / "pages")])
    assert ended.value.code == 0 and "Next: open" in capsys.readouterr().out
    assert (lived.root / "pages" / "index.html").is_file()


def test_secrets_that_other_tools_wrote_are_masked(monkeypatch):
    token = "ghp_" + "a1B2" * 9
    monkeypatch.setenv("SERVICE_PASSWORD", "correct-horse-7battery")
    run, model = trained(f"Train {token}")
    bad = run_of(
        "Monitor with correct-horse-7battery",
        report=window_report("postgresql://ana:hunt3r2xyz@db/x", {"age": (0.3, "fail")}, summary=f"token {token}"),
        at=2,
        model_run=run.id,
        params={"password": "hunt3r2xyz!9Q", "url": "postgresql://ana:hunt3r2xyz@db/x"},
        tags={"mlnb.error": f"broke with {token}"},
    )
    known = known_of([run, bad], [model])
    from mlnb.ui.publish import _page_text

    for page in pages_of(known).values():
        text = _page_text(page, lambda _: "", {})
        for secret in (token, "correct-horse-7battery", "hunt3r2xyz"):
            assert secret not in text, (page.title, secret)


# --- live, without a browser ------------------------------------------------------------------------------------------


def test_the_live_page_shows_the_same_and_goes_where_it_is_asked(lived):
    page = BoardPage("overview", lived)
    assert "Its last monitoring (july) failed" in page.render()
    known = page.known()
    july = known.records[0].monitors[0]
    page.act("go", {"target": "board:monitor"})
    assert from_html(page.render()) == expected(july.read_report())
    assert len(page.render().encode()) < LIMIT
    page.act("go", {"target": "column:humid"})
    assert "humid" in BeautifulSoup(page.render(), "html.parser").select_one("section.d h2").get_text()
    page.act("go", {"target": f"window:{known.records[0].monitors[1].id}"})
    assert "Window quiet" in page.render()
    page.act("go", {"target": f"run:{july.id}"})
    assert from_html(page.render()) == expected(july.read_report())
    model = known.records[0].model.id
    for place in (f"card:{model}", f"checklist:deployment:{model}", f"model:{model}"):
        page.act("go", {"target": place})
        assert BeautifulSoup(page.render(), "html.parser").find("h1")
    for _ in range(9):
        page.act("go", {"target": "back"})
    assert page.trail == ["board:overview"]


def test_the_age_that_a_live_page_tells_is_that_of_its_answers(lived, monkeypatch):
    start = snapshot(lived).as_of.replace(second=0, microsecond=0) + timedelta(minutes=1)  # all was recorded before
    at = lambda **later: monkeypatch.setenv("MLNB_NOW", (start + timedelta(**later)).isoformat())  # noqa: E731
    at()
    page = BoardPage("overview", lived)
    first = page.known()
    at(seconds=30)
    assert page.known() is first and f"Data as of {start:%Y-%m-%d %H:%M} UTC" in page.render()
    report = first.records[0].monitors[0].artifacts / "report" / "report.json"
    report.write_text(report.read_text(encoding="utf-8").replace("drifted", "altered"), encoding="utf-8")
    at(seconds=61)
    assert page.known().taken.as_of == start + timedelta(seconds=61)
    assert "altered" in page.render() and f"{start + timedelta(minutes=1):%H:%M} UTC" in page.render()
    at(days=400)
    monitored = lambda known: [str(i.result.status) for rs in known.reviews.values() for r in rs for i in r.items]  # noqa: E731
    assert monitored(page.known()) == monitored(know(lived)) != monitored(first)
    at(days=-1)  # the clock was set back
    assert page.known().taken.as_of == start - timedelta(days=1)


def test_a_checklist_is_signed_in_the_live_page_and_only_there(lived):
    page = BoardPage("overview", lived)
    model = page.known().records[0].model.id
    given = {"item": "stakeholders", "answer": "yes", "name": "Ada", "role": "Product", "note": "", "evidence": ""}
    with pytest.raises(ArgumentError):
        page.act("sign", given)
    page.act("go", {"target": f"checklist:deployment:{model}"})
    state = next(i for r in page.known().reviews[model] for i in r.items if i.item.sign and i.computed is None)
    assert page.act("sign", {**given, "item": state.item.key, "evidence": state.evidence[:SHOWN]}).startswith("Saved")
    assert "Ada" in page.render()
    page.act("go", {"target": "board:overview"})
    assert len(page.known().reviews[model]) == 2


def test_what_cannot_be_shown_is_said_without_a_traceback(lived, capsys):
    page = BoardPage("overview", lived)
    page.trail = ["run:gone"]
    trouble = BeautifulSoup(page.render(), "html.parser")
    assert "This cannot be shown" in trouble.h1.get_text() and "Traceback" not in trouble.get_text()
    (lived.folder / "mlflow.db").write_bytes(b"no database" * 100)
    page.trail = ["board:overview"]
    broken = BeautifulSoup(page.render(), "html.parser")
    assert "This cannot be shown" in broken.h1.get_text() and "mlflow.db" in broken.get_text()


# --- in the browser ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_published_pages_are_accessible_silent_and_fit(tab, pages, width, theme):
    folder, page = pages[1].folder, tab(width, theme)
    kinds = ["index.html", "monitor.html" if (width == 390) == (theme == "dark") else pages[1].files[-1]]
    for name in kinds:
        page.goto((folder / name).as_uri())
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        assert findings(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK[theme]
    assert page.said == [] and len(page.asked) == len(kinds)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("many", [1, 12])
def test_a_phone_shows_the_newest_window_first(tab, tmp_path, many, live):
    run, model = trained()
    columns = {"a rather long name of a column": (0.3, "fail"), "age": (0.01, "pass")}
    runs = [
        run_of(f"Monitor {i}", report=window_report(f"2026-{i:02}", columns), at=i + 1, model_run=run.id)
        for i in range(many)
    ]
    page, known, file = tab(390), known_of([run, *runs], [model]), tmp_path / "page.html"
    body = monitor(known, style=False, live=live, link=inside if live else lambda _: "")
    file.write_text(standalone("Monitor", body, sheets=("board.css",)), encoding="utf-8")
    page.goto(file.as_uri())
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    strips = page.evaluate(
        """() => [...document.querySelectorAll('table.strip')].map(t => {
            const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.right] }
            const rows = [...t.querySelectorAll('tr')]
            return {frame: box(t.parentElement), table: box(t), names: rows.map(r => box(r.cells[0])),
                newest: rows.map(r => box(r.cells[r.cells.length - 1])),
                captions: [...t.querySelectorAll('caption span')].map(box), before: t.parentElement.scrollLeft,
                after: (t.parentElement.scrollLeft = -9999, box(rows[0].cells[1]).concat(box(rows[1].cells[0])))}})"""
    )
    assert len(strips) == 2 and page.evaluate("document.documentElement.scrollWidth") <= 390
    for strip_ in strips:
        left, right = strip_["frame"]
        beside = zip(strip_["names"], strip_["newest"], strict=True)
        for (name_left, name_right), (cell_left, cell_right) in beside:
            assert abs(name_left - left) < 1 and name_right <= cell_left + 3 and cell_right <= right + 1 <= 391
        assert all(left - 1 <= a and b <= right + 1 for a, b in strip_["captions"])
        if many == 1:
            assert abs(strip_["table"][0] - left) < 1  # a small table stays left
        else:
            oldest_left, _, name_left, name_right = strip_["after"]
            assert strip_["table"][0] < left and name_right <= oldest_left + 3 and abs(name_left - left) < 1
    assert any(s["captions"] for s in strips)
    page.set_viewport_size({"width": 703, "height": 900})  # A4
    page.emulate_media(media="print")
    ends = page.evaluate(
        """() => [...document.querySelectorAll('table.strip')].map(t => {
            const r = t.getBoundingClientRect()
            return [r.left, r.right]})"""
    )
    assert all(left >= 0 and right <= 703 for left, right in ends), ends


@pytest.mark.parametrize("width", [1280, 390])
def test_a_state_is_one_line(tab, pages, width, tmp_path):
    _, published, known = pages
    live = tmp_path / "live.html"
    live.write_text(BoardPage("overview", known.workspace).render(), encoding="utf-8")
    page = tab(width)
    for file in (published.folder / "index.html", live):
        page.goto(file.as_uri())
        lines = page.evaluate(
            """() => [...document.querySelectorAll('td:first-child')].map(cell => {
                const all = document.createRange()
                all.selectNodeContents(cell)
                return new Set([...all.getClientRects()].map(r => Math.round(r.top / 8))).size})"""
        )
        assert len(lines) > 10 and set(lines) == {1}


def test_pages_print_whole_on_a4(tab, pages):
    page = tab(703, "dark")
    for name in ("index.html", "monitor.html"):
        page.goto((pages[1].folder / name).as_uri())
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= 703, name
        assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK["light"]
        assert page.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"


def test_links_and_details_work_by_keyboard(tab, pages):
    page = tab()
    page.goto((pages[1].folder / "index.html").as_uri())
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Monitoring":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/monitor.html")
    page.locator("summary", has_text="✗ dewp").focus()
    page.keyboard.press("Enter")
    assert page.locator("details[open]").first.get_by_role("img").count() == 1


@pytest.mark.parametrize("start", range(0, len(PAYLOADS), 20))
def test_hostile_strings_are_inert(tab, tmp_path, start):
    page, bodies = tab(390), []
    for text in PAYLOADS[start : start + 20]:
        run, model = trained(text)
        report = window_report(text, {text: (0.9, "fail"), "age": (0.1, "warn")}, summary=text)
        bad = run_of(text, report=report, at=2, model_run=run.id, params={text: text}, tags={"mlnb.error": text})
        crashed = run_of(text, at=3, model_run=run.id, status="FAILED", tags={"mlnb.error": text})
        known = known_of([run, bad, crashed], [model])
        bodies += [overview(known, style=False), monitor(known, style=False), run_html(bad, known, style=False)]
        bodies += [overview(known, link=inside, style=False), monitor(known, link=inside, style=False, live=True)]
    file = tmp_path / "page.html"
    file.write_text(standalone("Boards", "".join(bodies), sheets=("board.css",)), encoding="utf-8")
    page.goto(file.as_uri())
    page.mouse.move(200, 300)
    found = page.evaluate(
        """() => [...document.querySelectorAll('*')].flatMap(e => [
            ...[...e.attributes].filter(a => /^on|^(href|src|action|srcdoc|xlink:href)$/.test(a.name)).map(a => a.name),
            ...[e.tagName].filter(n => /^(SCRIPT|IFRAME|A|FORM|INPUT|IMG|BASE|LINK|OBJECT|EMBED)$/i.test(n))])"""
    )
    assert found == [] and page.said == [] and page.asked == [file.as_uri()]
    assert page.locator("button[data-do=go]").count() > 40
