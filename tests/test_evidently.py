"""Evidently's reports give our numbers, and its UI opens our report without us."""

from __future__ import annotations

import json
import math
import re
import runpy
import shutil
import subprocess
import sys
import urllib.request
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from helpers_work import GENEROUS, serving

from mlnb.core.errors import ArgumentError
from mlnb.core.result import Chart, Report, Result, Status, Table
from mlnb.drifting import engine
from mlnb.drifting import evidently as bridge
from mlnb.drifting.evidently_parts import DRIFTED_COUNT, VALUE_DRIFT, evidently_name

ROOT = Path(__file__).resolve().parents[1]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
OTHERS = """
import os, sys
os.environ["DO_NOT_TRACK"] = "true"
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mlnb":
            raise ImportError("mlnb is not here")
sys.meta_path.insert(0, Blocked())
import json
from evidently.cli.main import app
from evidently.core.report import Snapshot
from evidently.ui.workspace import Workspace
try:
    import mlnb
    raise SystemExit("mlnb is here")
except ImportError as err:
    assert "mlnb is not here" in str(err)
snapshot = Snapshot.load("snapshot.json")
workspace = Workspace.create("ws")
project = workspace.create_project("flights")
run = workspace.add_run(project.id, snapshot, include_data=False)
stored = Snapshot.load_model(workspace.get_run(project.id, run.id))
assert stored.dict()["metrics"] == snapshot.dict()["metrics"] and "mlnb" not in sys.modules
snapshot.save_html("page.html")
with open("told.json", "w") as file:
    json.dump({"project": str(project.id), "run": str(run.id), "metrics": snapshot.dict()["metrics"]}, file)
"""


@pytest.fixture(scope="module")
def evidently(tmp_path_factory):
    """Evidently, in a workspace whose settings are the defaults."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLNB_WORKSPACE", str(tmp_path_factory.mktemp("ws")))
        patched.setenv("DO_NOT_TRACK", "true")
        import evidently

        yield evidently


@pytest.fixture(scope="module")
def pairs(adult, bike):
    """Two real pairs of frames; in the first, one side lacks values and one column is of ids."""
    young, old = adult[:9000].copy(), adult[adult["age"] > 35][:7000].copy()
    winter, summer = (bike[bike["season"] == s].drop(columns="dteday") for s in (1, 3))
    return {"adult": (young, old), "bike": (winter, summer)}


def as_dataset(evidently, frame):
    """A data set whose definition has the kinds that we see."""
    numbers = list(frame.select_dtypes("number").columns)
    labels = [c for c in frame.columns if c not in numbers]
    definition = evidently.DataDefinition(numerical_columns=numbers, categorical_columns=labels)
    return evidently.Dataset.from_pandas(frame, data_definition=definition)


def run(evidently, metrics, reference, current, **options):
    if isinstance(reference, pd.DataFrame):
        reference, current = as_dataset(evidently, reference), as_dataset(evidently, current)
    return evidently.Report(metrics, **options).run(current, reference)


def drifts(snapshot) -> dict[tuple[str, str], float]:
    """Column and method → value."""
    found = [m for m in snapshot.dict()["metrics"] if m["config"]["type"] == VALUE_DRIFT]
    return {(m["config"]["column"], m["config"]["method"]): m["value"] for m in found}


def ours(report) -> dict[tuple[str, str], float]:
    named = [r for r in report.results if r.subject is not None and r.value is not None]
    return {(r.subject, evidently_name(r.method)): r.value for r in named}


def verdicts(snapshot) -> dict[str, dict]:
    return {t["name"]: t for t in snapshot.dict()["tests"]}


def counted():
    return patch.object(engine, "drift", wraps=engine.drift)


# Methods by name


@pytest.mark.parametrize("name", ["adult", "bike"])
def test_named_methods_give_our_numbers(evidently, pairs, name):
    from evidently.metrics import ValueDrift
    from evidently.presets import DataDriftPreset
    from scipy.stats import ks_2samp

    bridge.register()
    reference, current = pairs[name]
    preset = DataDriftPreset(num_method="mlnb_ks", cat_method="mlnb_psi")
    with counted() as called:
        found = drifts(run(evidently, [preset], reference, current))
    assert called.call_count == reference.shape[1] == len(found)  # Evidently asks three times, we compute once
    expected = ours(engine.drift(reference, current))
    assert set(found.items()) <= set(expected.items())
    for column in reference.select_dtypes("number"):
        scipys = ks_2samp(reference[column], current[column]).statistic
        assert math.isclose(found[column, "mlnb_ks"], scipys, rel_tol=1e-12)
    column = reference.columns[-1]
    method = "mlnb_ks" if column in reference.select_dtypes("number") else "mlnb_psi"
    with counted() as called:
        run(evidently, [ValueDrift(column=column, method=method)], reference, current)
    assert called.call_count == 0


def test_every_method_by_name(evidently, pairs):
    from evidently.metrics import ValueDrift

    reference, current = (side[["age", "workclass"]] for side in pairs["adult"])
    names = bridge.register()
    assert {"ks", "psi", "js", "wasserstein", "total_variation", "kl"} <= set(names)
    expected = ours(engine.drift(reference, current, methods=list(names)))
    asked = [ValueDrift(column=c, method=m) for c, m in expected if m in names.values()]
    assert len(asked) > len(names)
    found = drifts(run(evidently, asked, reference, current))
    assert {k: v for k, v in expected.items() if k in found} == found and len(found) == len(asked)
    peers = {"psi": "psi", "js": "jensenshannon", "wasserstein": "wasserstein", "ks": "ks", "chisquare": "chisquare"}
    same = [(c, theirs, f"mlnb_{mine}_evidently") for mine, theirs in peers.items() for c in reference]
    same = [(c, theirs, mine) for c, theirs, mine in same if (c, mine) in found]
    run_by_them = drifts(run(evidently, [ValueDrift(column=c, method=m) for c, m, _ in same], reference, current))
    assert len(same) == 7
    for column, theirs, mine in same:
        assert math.isclose(run_by_them[column, theirs], found[column, mine], rel_tol=1e-9, abs_tol=1e-300), mine


def test_a_named_method_keeps_to_thresholds_and_chance(evidently):
    from evidently.metrics import ValueDrift

    bridge.register()
    rng = np.random.default_rng(0)
    reference, current = pd.DataFrame({"x": rng.normal(size=900)}), pd.DataFrame({"x": rng.normal(0.5, size=800)})
    value = ours(engine.drift(reference, current))["x", "mlnb_ks"]
    for threshold, status in ((None, "FAIL"), (value - 1e-9, "FAIL"), (value, "SUCCESS"), (value + 0.1, "SUCCESS")):
        metric = ValueDrift(column="x", method="mlnb_ks", threshold=threshold)
        test = run(evidently, [metric], reference, current, include_tests=True).dict()["tests"][0]
        assert test["status"].value == status, threshold
    few = run(evidently, [ValueDrift(column="x", method="mlnb_ks")], reference[:12], current[:9], include_tests=True)
    assert drifts(few)["x", "mlnb_ks"] > 0.1 and few.dict()["tests"][0]["status"].value == "SUCCESS"


def test_a_named_method_that_has_no_number_says_so(evidently):
    from evidently.metrics import ValueDrift

    bridge.register()
    frame = pd.DataFrame({"id": [f"id-{i}" for i in range(600)], "flat": [1.0] * 600})
    with pytest.warns(UserWarning, match="id: .*ids"):
        snapshot = run(evidently, [ValueDrift(column="id", method="mlnb_psi")], frame, frame, include_tests=True)
    assert math.isnan(drifts(snapshot)["id", "mlnb_psi"]) and snapshot.dict()["tests"][0]["status"].value == "SUCCESS"
    with pytest.warns(UserWarning, match="flat: .*interquartile range"):
        run(evidently, [ValueDrift(column="flat", method="mlnb_wasserstein")], frame, frame)
    with pytest.raises(ValueError, match="isn't applicable"):  # Evidently's own refusal: the kinds are declared
        run(evidently, [ValueDrift(column="id", method="mlnb_ks")], frame, frame)


# Metrics of a report, computed at once


@pytest.mark.parametrize("name", ["adult", "bike"])
def test_the_preset_computes_once_and_gives_our_numbers(evidently, pairs, name):
    reference, current = pairs[name]
    with counted() as called:
        snapshot = run(evidently, [bridge.drift_preset()], reference, current, include_tests=True)
    assert called.call_count == 1
    report = engine.drift(reference, current)
    assert drifts(snapshot) == ours(report)
    whole = next(m for m in snapshot.dict()["metrics"] if m["config"]["type"] == DRIFTED_COUNT)
    verdict = report.results[0]
    assert whole["value"] == {"count": len(verdict.evidence["drifted"]), "share": verdict.value}
    states = {"pass": "SUCCESS", "warn": "WARNING", "fail": "FAIL"}
    told = verdicts(snapshot)
    judged = [r for r in report.results if r.subject is not None and str(r.status) in states]
    assert len(judged) > 20
    for result in judged:
        test = told[f"{result.title} of {result.subject}"]
        assert test["status"].value == states[str(result.status)]
        facts = test["test_config"]
        assert facts["drifted"] == (result.status in ("warn", "fail")) and facts["exact"] is result.exact
        assert facts["warn"] == result.evidence["warn"] and facts["p_corrected"] == result.evidence["p_corrected"]


def test_a_report_that_runs_twice_is_computed_twice(evidently, pairs):
    reference, current = (side[["age"]] for side in pairs["adult"])
    report = evidently.Report([bridge.drift_preset()])
    moved, same = (report.run(*map(lambda f: as_dataset(evidently, f), (c, reference))) for c in (current, reference))
    assert drifts(moved)["age", "mlnb_ks"] > 0.3 and drifts(same)["age", "mlnb_ks"] == 0


def test_options_of_the_preset(evidently, pairs):
    reference, current = pairs["adult"]
    preset = bridge.drift_preset(columns=["age"], methods="js", thresholds={"js_warn": 0.7, "js_critical": 0.8})
    snapshot = run(evidently, [preset], reference, current)
    assert verdicts(snapshot)["Jensen–Shannon distance of age"]["status"].value == "SUCCESS"
    assert {column for column, _ in drifts(snapshot)} == {"age"}
    bare = run(evidently, [bridge.drift_preset(include_tests=False)], reference, current)
    assert not bare.dict()["tests"] and drifts(bare)
    for options, said in (
        ({"methods": "kss"}, "Did you mean 'ks'?"),
        ({"thresholds": {"psi_wran": 1}}, "Did you mean 'psi_warn'?"),
    ):
        with pytest.raises(ArgumentError, match=re.escape(said)):
            bridge.drift_preset(**options)


def test_metrics_that_stand_alone_share_a_computation(evidently, pairs):
    from evidently.generators import ColumnMetricGenerator
    from evidently.tests import lt

    reference, current = pairs["adult"]
    expected = ours(engine.drift(reference, current))
    generated = ColumnMetricGenerator(type(bridge.value_drift("x")), columns=["hours-per-week"])
    metrics = [bridge.value_drift("age"), bridge.value_drift("sex"), generated]
    with counted() as called:
        snapshot = run(evidently, metrics, reference, current)
    assert called.call_count == 1 and set(called.call_args.args[0].columns) == {"age", "sex", "hours-per-week"}
    assert set(drifts(snapshot).items()) <= set(expected.items()) and len(drifts(snapshot)) == 3
    value = expected["age", "mlnb_ks"]
    cases = {None: "FAIL", value: "SUCCESS", value - 1e-9: "FAIL", value + 0.1: "SUCCESS"}
    metrics = [bridge.value_drift("age", method="ks", threshold=t) for t in cases]
    with counted() as called:
        snapshot = run(evidently, [*metrics, bridge.value_drift("sex", method="js")], reference, current)
    assert called.call_count == 1
    assert [t["status"].value for t in snapshot.dict()["tests"]][:4] == list(cases.values())
    assert all(v == expected[k] for k, v in drifts(snapshot).items())
    theirs = run(evidently, [bridge.value_drift("age", method="ks", tests=[lt(value + 1e-9)])], reference, current)
    assert [t["status"].value for t in theirs.dict()["tests"]] == ["SUCCESS"]
    few = reference[:12], current[:9]
    chance = run(evidently, [bridge.value_drift("age", method="ks", threshold=0.01)], *few).dict()["tests"][0]
    assert chance["status"].value == "SUCCESS" and chance["test_config"]["explained_by_chance"]


def test_what_cannot_be_judged_stays_honest(evidently):
    rng = np.random.default_rng(0)
    reference = pd.DataFrame({"x": rng.normal(size=300), "id": [f"a{i}" for i in range(300)], "gone": 1.0, "void": 1.0})
    current = reference.drop(columns="gone").assign(void=math.nan, new=2.0)
    sides = as_dataset(evidently, reference), as_dataset(evidently, current)
    snapshot = run(evidently, [bridge.drift_preset()], *sides)
    assert {column for column, _ in drifts(snapshot)} == {"x", "void"}  # of `void`, the rise of its missing share
    assert all(math.isfinite(v) for v in drifts(snapshot).values())
    told = {name: test["status"].value for name, test in verdicts(snapshot).items()}
    assert told["Population stability index of id"] == "SKIPPED"
    assert told["Kolmogorov–Smirnov distance of void"] == "SKIPPED"
    assert told["Rise of the missing share of void"] == "FAIL"
    assert (told["Column lost or added of gone"], told["Column lost or added of new"]) == ("FAIL", "WARNING")
    assert "ids" in verdicts(snapshot)["Population stability index of id"]["description"]
    alone = run(evidently, [bridge.value_drift(c) for c in ("id", "gone")], *sides)
    assert all(math.isnan(v) for v in drifts(alone).values()) and len(drifts(alone)) == 2
    assert [t["status"].value for t in alone.dict()["tests"]] == ["SKIPPED", "FAIL"]


def test_wrong_use_is_one_line(evidently):
    frame = pd.DataFrame({"age": [1.0, 2.0, 3.0] * 20})
    for metrics in ([bridge.value_drift("aeg")], [bridge.drift_preset(columns=["aeg"])]):
        with pytest.raises(ArgumentError, match=r"neither data set has a column 'aeg'\. Did you mean 'age'\?"):
            run(evidently, metrics, frame, frame)
        with pytest.raises(ArgumentError, match="needs reference data"):
            evidently.Report(metrics).run(frame, None)
    with pytest.raises(ArgumentError, match=r"Did you mean 'ks'\?"):
        bridge.value_drift("age", method="kss")
    for wrong in (Report(kind="training", title="x"), "a path", None):
        with pytest.raises(ArgumentError, match="does not become an Evidently snapshot"):
            bridge.to_evidently(wrong)


def test_the_data_definition_says_what_is_a_category(evidently):
    rng = np.random.default_rng(0)
    reference, current = (pd.DataFrame({"grade": rng.choice(3, 900, p=p)}) for p in ([0.2, 0.6, 0.2], [0.4, 0.2, 0.4]))
    definition = evidently.DataDefinition(categorical_columns=["grade"])
    sides = [evidently.Dataset.from_pandas(f, data_definition=definition) for f in (reference, current)]
    found = drifts(run(evidently, [bridge.drift_preset()], *sides))
    assert ("grade", "mlnb_total_variation") in found and ("grade", "mlnb_ks") not in found
    expected = ours(engine.drift(reference.astype("category"), current.astype("category")))
    assert found == expected


NAMES = [
    "",
    " padded ",
    "a,b",
    "psi=1",
    "%s {x}",
    EVIL,
    "ünï\u202ecod",
    "👩‍🔬",
    "x" * 400,
    "a\nb",
    "1",
    "'\"`",
    "$\\alpha$",
]


def test_hostile_names(evidently):
    rng = np.random.default_rng(0)
    reference, current = (pd.DataFrame({n: rng.normal(size=200) for n in NAMES}) for _ in "ab")
    report = engine.drift(reference, current)
    snapshot = run(evidently, [bridge.drift_preset()], reference, current)
    assert drifts(snapshot) == ours(report) and {c for c, _ in drifts(snapshot)} == set(NAMES)
    for made in (snapshot, bridge.to_evidently(Report.from_json(report.to_json()))):
        page = made.get_html_str(as_iframe=False)
        assert page.count("</script>") == 4  # those of Evidently's own page
        assert EVIL not in page and json.dumps("‹/script>‹script>")[1:-1] in page
        again = type(made).loads(made.dumps())
        assert drifts(again) == ours(report)


# Our report in Evidently's UI


@pytest.fixture(scope="module")
def made(evidently, pairs):
    """A report with everything in it, and its snapshot."""
    reference, current = (side.copy() for side in pairs["adult"])
    for i, side in enumerate((reference, current)):
        side["id"] = [f"{i}-{j}" for j in range(len(side))]
        side[EVIL] = np.random.default_rng(i).normal(size=len(side))
    del current["race"]
    current.loc[current.index[::7], "hours-per-week"] = math.nan
    report = engine.drift(reference, current)
    return report, bridge.to_evidently(Report.from_json(report.to_json()), name="July", tags=["nightly"])


def test_a_snapshot_has_the_report_s_numbers(made):
    report, snapshot = made
    assert drifts(snapshot) == ours(report)
    assert drifts(snapshot) == drifts(bridge.to_evidently(report))
    kinds = {m["config"]["type"] for m in snapshot.dict()["metrics"]}
    assert kinds == {VALUE_DRIFT, DRIFTED_COUNT}
    config = next(m["config"] for m in snapshot.dict()["metrics"] if m["config"].get("column") == "age")
    assert config == {"type": VALUE_DRIFT, "column": "age", "method": "mlnb_ks", "threshold": 0.1}
    types = set(re.findall(r'"type": "(evidently:[^"]+)"', snapshot.dumps()))
    assert types and "mlnb" not in "".join(types).lower()
    assert len(snapshot.dumps()) < 500_000


def test_secrets_do_not_leave(evidently):
    token = "ghp_" + "a1B2" * 9
    result = Result(
        code="MLN-D002", title="PSI", subject="x", status=Status.WARN, value=0.2, method="psi", advice=token
    )
    odd = result.model_copy(update={"value": None, "status": Status.NOT_APPLICABLE, "subject": "y"})
    assert token not in bridge.to_evidently(Report(kind="drift", title=token, results=(result, odd))).dumps()


def test_all_that_a_report_may_hold(evidently):
    """Results of windows, bounds instead of numbers, broken checks, p-values; tables and strips."""
    judged = {"warn": 0.1, "critical": 0.2, "p": 1e-9, "p_corrected": 0.0}
    near = Result(
        code="MLN-D001",
        title="KS",
        subject="x · 2011-W05",
        status=Status.WARN,
        value=0.15,
        threshold=0.1,
        method="ks",
        exact=False,
        interval=(0.14, 0.16),
        evidence=judged,
    )
    broken = near.model_copy(
        update={"subject": "y", "value": None, "status": Status.ERROR, "advice": "The check broke"}
    )
    low = {"value": 0.01, "method": "ks:evidently", "exact": True, "evidence": {"warn": 0.05, "p_corrected": 0.01}}
    report = Report(
        kind="drift",
        title="Drift over weeks",
        results=(near, broken, near.model_copy(update={"subject": "z", **low})),
        tables=(Table(title="<b>Windows</b>", columns=("week", "rows"), rows=(("2011-W05", 168), ("2011-W06", None))),),
        charts=(
            Chart(kind="heatmap", title="Strip", data={"matrix": [[0.1, None]], "rows": ["x"], "columns": ["a", "b"]}),
        ),
    )
    snapshot = bridge.to_evidently(Report.from_json(report.to_json()))
    told = verdicts(snapshot)
    assert "KS is 0.15 (between 0.14 and 0.16)" in told["KS of x · 2011-W05"]["description"]
    assert told["KS of x · 2011-W05"]["test_config"]["exact"] is False and told["KS of y"]["status"].value == "ERROR"
    assert "warns below 0.05" in told["KS of z"]["description"]
    texts = json.dumps(json.loads(snapshot.dumps())["widgets"], ensure_ascii=False)
    assert "‹b>Windows" in texts and "2011-W06" in texts and "Not computed" in texts and '"heatmap"' in texts
    assert set(drifts(snapshot)) == {("x · 2011-W05", "mlnb_ks"), ("z", "mlnb_ks_evidently")}


def test_poor_reports(evidently):
    empty = bridge.to_evidently(engine.drift(pd.DataFrame(), pd.DataFrame()))
    assert empty.dict()["metrics"][0]["value"] == {"count": 0, "share": 0.0} and not drifts(empty)
    assert empty.dict()["tests"][0]["status"].value == "SKIPPED"
    assert type(empty).loads(empty.dumps()).get_html_str(as_iframe=True)


def test_heavy_only_when_asked_and_silent(evidently, monkeypatch):
    code = "import sys, mlnb.drifting.evidently; assert not {'evidently', 'pandas', 'plotly'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=120)
    from evidently.telemetry import event_logger

    for use in (bridge.register, lambda: bridge.to_evidently(Report(kind="drift", title="x"))):
        monkeypatch.delenv("DO_NOT_TRACK", raising=False)
        assert event_logger.is_enabled()
        use()
        assert not event_logger.is_enabled()


@pytest.fixture(scope="module")
def opened(made, tmp_path_factory):
    """Evidently's UI with our run in its workspace, all in one process that has no mlnb."""
    folder = tmp_path_factory.mktemp("evidently")
    (folder / "snapshot.json").write_text(made[1].dumps(), "utf-8")

    def start(port: int) -> subprocess.Popen:
        shutil.rmtree(folder / "ws", ignore_errors=True)
        code = OTHERS + f"sys.argv = ['evidently', 'ui', '--workspace', 'ws', '--port', '{port}']\napp()"
        with (folder / "log.txt").open("w") as log:
            return subprocess.Popen([sys.executable, "-c", code], cwd=folder, stdout=log, stderr=log)

    def ask(port: int) -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/projects", timeout=GENEROUS).read()

    process, port = serving(start, ask)
    yield folder, f"http://127.0.0.1:{port}", json.loads((folder / "told.json").read_text())
    process.terminate()
    process.wait(GENEROUS)


def test_a_snapshot_opens_without_mlnb(made, opened):
    metrics = opened[2]["metrics"]
    found = {(m["config"]["column"], m["config"]["method"]): m["value"] for m in metrics if "column" in m["config"]}
    assert found == ours(made[0])


def test_the_ui_shows_our_numbers(made, opened, tab):
    folder, server, told = opened
    report = made[0]
    page = tab(1400)
    page.set_default_timeout(1000 * GENEROUS)
    page.goto(f"{server}/projects/{told['project']}/reports/{told['run']}", wait_until="networkidle")
    page.get_by_text("age", exact=True).first.wait_for(timeout=1000 * GENEROUS)
    for last in ("Not judged", "Drifted columns"):
        page.get_by_text(last).first.wait_for()
    page.wait_for_function("() => document.querySelectorAll('tr canvas').length >= 20")  # a pair of histograms a column
    text = page.inner_text("body")
    for result in report.results:
        if result.subject in ("age", "sex") and result.method == "psi":
            assert result.subject in text
    age = next(r for r in report.results if (r.subject, r.method) == ("age", "psi"))
    assert f"{age.value:.6g}" in text and "Column lost" in text and "Not judged" in text and "‹/script>" in text
    assert f"{len(report.results[0].evidence['drifted'])}\n\nDrifted columns" in text
    row = page.locator("tr").filter(has=page.get_by_text("age", exact=True)).first
    row.locator("button").first.click()
    page.locator(".js-plotly-plot").first.wait_for()
    page.get_by_text("ALL MEASURES").first.click()
    page.get_by_text("Kolmogorov–Smirnov distance is").first.wait_for()
    page.screenshot(path=folder / "report.png", full_page=True)
    page.get_by_text("Tests", exact=True).first.click()
    page.get_by_text("Column lost or added of race").wait_for()
    page.get_by_text("leave the column out").first.wait_for()
    assert not page.said, page.said
    assert all(url.startswith(server) for url in page.asked if not url.startswith(("data:", "blob:")))


def test_dashboards_that_plot_value_drift_plot_ours(made, opened):
    _, server, told = opened
    labels = {"column": "age", "method": "mlnb_ks"}
    wanted = {"tags": ["nightly"], "metadata": {}, "metric": VALUE_DRIFT, "metric_labels": labels}
    request = urllib.request.Request(
        f"{server}/api/v2/snapshots/{told['project']}/data_series_batch",
        data=json.dumps({"series_filter": [wanted]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    found = json.load(urllib.request.urlopen(request, timeout=GENEROUS))
    values = [v for series in found["series"] for v in series["values"]]
    assert [v for v in values if v is not None] == [ours(made[0])["age", "mlnb_ks"]]


def test_the_page_alone_is_harmless(opened, tab):
    page = tab(1400)
    page.goto((opened[0] / "page.html").as_uri())
    page.get_by_text("‹/script>").first.wait_for(timeout=1000 * GENEROUS)
    assert not [said for said in page.said if "dialog" in said or "Uncaught" in said], page.said


def test_the_page_of_the_docs_runs(evidently, tmp_path, monkeypatch):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/evidently.md").read_text("utf-8"), re.M | re.S)
    assert len(blocks) >= 6
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks), "utf-8")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Converting to PeriodArray")  # Evidently's, about the times in our data
        runpy.run_path(str(script))
    assert list((tmp_path / "evidently-workspace").rglob("snapshots/*.json"))
