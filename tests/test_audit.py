"""The audit passes where nothing was altered, and names what was."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from helpers_lived import copy_lived

from mlnb.core.errors import DataError, FileError
from mlnb.core.result import Report, Status
from mlnb.governance.audit import TITLES, audit
from mlnb.governance.signing import fill_field, sign
from mlnb.tracking.anchor import open_ledger
from mlnb.tracking.marks import write_mark
from mlnb.tracking.snapshot import snapshot


@pytest.fixture(scope="module")
def signed(lived_in, tmp_path_factory):
    """A workspace in which three people signed and one filled a field."""
    workspace = copy_lived(lived_in, tmp_path_factory.mktemp("signed") / "ws")
    model = snapshot(workspace).models[0]
    who = {"role": "risk", "workspace": workspace}
    sign(model, "deployment", "stakeholders", answer="yes", name="Ada", **who)
    sign(
        model,
        "deployment",
        "rollback",
        answer="override",
        note="by hand <i>now</i>",
        name="Grace",
        evidence="a" * 64,
        **who,
    )
    fill_field(model, "contact", "ada@example.org", name="Ada", **who)
    sign(model, "deployment", "stakeholders", answer="withdraw", name="Ada", **who)
    return workspace


@pytest.fixture
def workspace(signed, tmp_path, monkeypatch):
    made = copy_lived(signed, tmp_path / "ws")
    monkeypatch.setenv("MLNB_WORKSPACE", str(made.root))
    return made


def states(report: Report) -> list[str]:
    assert [r.code for r in report.results] == list(TITLES)
    return [str(r.status) for r in report.results]


def change(workspace, sql: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(workspace.folder / "mlflow.db")) as connection:
        assert connection.execute(sql, values).rowcount > 0
        connection.commit()


def advice(report: Report, code: str) -> str:
    return next(r.advice for r in report.results if r.code == code)


def test_an_untouched_workspace_passes_and_stays_untouched(bare_workspace):
    report = audit()
    assert states(report) == ["pass", *["not_applicable"] * 4]
    assert report.exit_status == 0 and report.tables == () and report.meta["events"] == 0
    assert report.summary == "Nothing was recorded in the ledger yet."
    assert not (bare_workspace.folder / "mlflow.db").exists() and not (bare_workspace.folder / "ledger.jsonl").exists()


def test_a_folder_that_is_no_workspace(tmp_path, monkeypatch):
    monkeypatch.delenv("MLNB_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert audit().exit_status == 0 and list(tmp_path.iterdir()) == []


def test_a_workspace_in_which_nobody_signed(lived):
    report = audit()
    assert states(report) == ["pass", "not_applicable", "not_applicable", "pass", "pass"] and report.exit_status == 0
    assert report.results[3].n == 4


def test_a_whole_record_passes_on_every_surface(workspace):
    report = audit()
    assert states(report) == ["pass"] * 5 and report.exit_status == 0
    assert [r.n for r in report.results] == [4, 4, 4, 4, 1] and report.results[0].value == 4
    assert report.summary == "The ledger is whole: 4 events."
    [table] = report.tables
    assert table.columns == ("event", "time (UTC)", "kind", "subject", "who", "what")
    assert [row[0] for row in table.rows] == [4, 3, 2, 1] and table.rows[2][4] == "Grace (risk)"
    assert table.rows[2][5] == "answer override, checklist deployment, item rollback, note by hand <i>now</i>"
    assert Report.from_json(report.to_json()) == report and "<i>now" not in report.to_html()
    assert "Grace (risk)" in report.to_text() and "Grace (risk)" in report.to_markdown()


def test_of_many_events_the_last_twenty_are_shown(workspace):
    ledger = open_ledger(workspace)
    for number in range(30):
        ledger.append(
            "threshold.change", "settings.ini", actor={"account": "ada"}, details={"value": number, "was": None}
        )
    [table] = audit().tables
    assert len(table.rows) == 20 and table.rows[0][4:] == ("ada", "value 29") and table.note == "20 of 34, newest first"


@pytest.mark.parametrize(
    ("was", "becomes", "bad", "reason"),
    [
        (b'"answer":"override"', b'"answer":"yes"', 2, "was changed: its hash does not fit"),
        (b'"name":"Grace"', b'"name":"Ada"', 2, "was changed: its hash does not fit"),
        (b'"seq":4', b'"seq":5', 4, "was changed: its hash does not fit"),
        (b'{"actor"', b'{ "actor"', 1, "is not written as the ledger writes"),
        (b'"kind":"card.field"', b"", 3, "is not JSON"),
    ],
)
def test_a_record_that_was_edited_is_named_in_one_line(workspace, was, becomes, bad, reason):
    ledger = open_ledger(workspace)
    content = ledger.path.read_bytes()
    assert was in content
    ledger.path.write_bytes(content.replace(was, becomes, 1))
    report = audit()
    assert states(report)[:2] == ["fail", "fail"] and report.exit_status == 1 and report.meta["first_bad"] == bad
    assert report.summary == f"The ledger was altered: record {bad} {reason}."
    assert f"record {bad} {reason}" in report.to_text() and "\n" not in report.summary
    assert report.results[0].evidence == {"first bad record": bad, "reason": reason}


def test_a_cut_end_passes_the_chain_and_not_the_anchor(workspace):
    ledger = open_ledger(workspace)
    ledger.path.write_bytes(b"".join(ledger.path.read_bytes().splitlines(keepends=True)[:2]))
    report = audit()
    assert states(report) == ["pass", "fail", "fail", "pass", "pass"]  # and two marks have no event
    assert report.summary == "The ledger was altered: record 3 is missing: the end was cut off, the store anchored 4."
    assert report.results[2].value == 2


def test_a_ledger_that_is_gone(workspace):
    open_ledger(workspace).path.unlink()
    report = audit()
    assert states(report) == ["pass", "fail", "fail", "pass", "pass"] and report.meta["first_bad"] == 1
    assert "record 1 is missing: the file is gone or empty, the store anchored 4" in report.summary


def test_a_store_that_forgot_the_anchor(workspace):
    change(workspace, "DELETE FROM experiment_tags WHERE key LIKE 'mlnb.ledger.%'")
    report = audit()
    assert states(report) == ["pass", "fail", "fail", "pass", "pass"]
    assert report.summary == "The ledger was altered: record 1 has no anchor in the store."


@pytest.mark.parametrize(
    ("key", "becomes"),
    [
        ("mlnb.sign.00000001", {"answer": "no"}),
        ("mlnb.sign.00000002", {"note": ""}),
        ("mlnb.sign.00000004", {"hash": "0" * 64}),
        ("mlnb.sign.00000004", {"seq": 5}),
        ("mlnb.card.contact", {"value": "eve@example.org"}),
        ("mlnb.card.contact", {"field": "owner"}),
    ],
)
def test_a_mark_that_was_edited_is_named(workspace, key, becomes):
    model = snapshot(workspace).models[0]
    text = json.dumps({**json.loads(model.tags[key]), **becomes})
    change(workspace, "UPDATE logged_model_tags SET tag_value = ? WHERE tag_key = ?", text, key)
    report = audit()
    assert states(report) == ["pass", "pass", "fail", "pass", "pass"] and report.exit_status == 1
    assert f"{key} of {model.id}" in advice(report, "MLN-A003") and f"{key} of {model.id}" in report.summary


def test_marks_that_nobody_signed(workspace):
    model = snapshot(workspace).models[0]
    good = model.tags["mlnb.sign.00000001"]
    for key, text in (
        ("mlnb.sign.00000009", "rubbish"),
        ("mlnb.sign.00000009", good),  # copied to another place
        ("mlnb.card.owner", model.tags["mlnb.card.contact"]),
    ):
        write_mark(model.id, key, text)
        assert states(audit()) == ["pass", "pass", "fail", "pass", "pass"]
        change(workspace, "DELETE FROM logged_model_tags WHERE tag_key = ?", key)
    assert audit().ok


def test_a_signature_moved_to_another_model(workspace):
    change(workspace, "UPDATE logged_model_tags SET model_id = 'm-other' WHERE tag_key = 'mlnb.sign.00000001'")
    rest = (
        "experiment_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms, status, "
        "lifecycle_stage, model_type, source_run_id, status_message"
    )
    change(workspace, f"INSERT INTO logged_models (model_id, {rest}) SELECT 'm-other', {rest} FROM logged_models")
    report = audit()
    assert states(report)[2] == "fail" and "mlnb.sign.00000001 of m-other" in advice(report, "MLN-A003")


def test_a_mark_that_is_missing_warns_for_the_event_counts(workspace):
    change(workspace, "DELETE FROM logged_model_tags WHERE tag_key = 'mlnb.sign.00000002'")
    report = audit()
    assert states(report) == ["pass", "pass", "warn", "pass", "pass"] and report.exit_status == 0
    assert advice(report, "MLN-A003").startswith("Event 2 has no mark on its model")


def test_a_deleted_model_is_no_breach(workspace):
    change(workspace, "UPDATE logged_models SET lifecycle_stage = 'deleted'")
    assert states(audit()) == ["pass", "pass", "not_applicable", "pass", "not_applicable"]


def test_signatures_of_another_workspace_on_a_shared_store_warn(workspace, tmp_path, monkeypatch):
    own = f"[mlnb]\nworkspace = true\n[tracking]\nuri = sqlite:///{workspace.folder / 'mlflow.db'}\n"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "settings.ini").write_text(own)
    monkeypatch.setenv("MLNB_WORKSPACE", str(tmp_path / "other"))
    report = audit()
    assert states(report)[:3] == ["pass", "not_applicable", "warn"]
    assert "Signed in another workspace" in advice(report, "MLN-A003")


def test_a_ledger_without_its_name_on_a_shared_store(workspace, tmp_path, monkeypatch):
    place = tmp_path / "other" / ".mlnb" / "ledger.id"
    place.parent.mkdir(parents=True)
    place.write_text("rubbish\n")
    own = f"[mlnb]\nworkspace = true\n[tracking]\nuri = sqlite:///{workspace.folder / 'mlflow.db'}\n"
    (tmp_path / "other" / "settings.ini").write_text(own)
    monkeypatch.setenv("MLNB_WORKSPACE", str(tmp_path / "other"))
    report = audit()
    assert states(report)[:3] == ["pass", "error", "error"] and report.exit_status == 3
    assert "ledger.id does not hold the ledger's name" in advice(report, "MLN-A003")


def test_an_edited_report_is_named(workspace):
    run = snapshot(workspace).runs[0]
    path = run.artifacts / "report" / "report.json"
    whole = path.read_bytes()
    for content in (whole.replace(b"pass", b"fail", 1), whole + b" ", b"", None):
        path.write_bytes(content) if content is not None else path.unlink()
        report = audit()
        assert states(report) == ["pass", "pass", "pass", "fail", "pass"], content and content[:20]
        assert report.summary.startswith("Stored reports are unchanged: no.") and run.short in report.summary
        assert report.results[3].evidence == {"altered": [f"report/report.json of run {run.short}"]}
    (workspace.root.parent / "elsewhere.json").write_bytes(whole)
    path.symlink_to(workspace.root.parent / "elsewhere.json")  # the right bytes, outside of the run
    assert states(audit()) == ["pass", "pass", "pass", "fail", "pass"]
    path.unlink()
    path.write_bytes(whole)
    assert audit().ok


def test_a_model_that_was_exchanged_is_named(workspace):
    [model] = snapshot(workspace).models
    path = model.artifacts / "model.skops"
    whole = path.read_bytes()
    for content in (whole[:-1] + bytes([whole[-1] ^ 1]), whole + b" ", b"", None):
        path.write_bytes(content) if content is not None else path.unlink()
        report = audit()
        assert states(report) == ["pass", "pass", "pass", "pass", "fail"] and report.exit_status == 1
        assert report.summary.startswith("Stored models are unchanged: no.") and model.id in report.summary
        assert report.results[4].evidence == {"altered": [f"model.skops of model {model.id}"]}
    path.write_bytes(whole)
    assert audit().ok
    set_tag = "UPDATE logged_model_tags SET tag_value = ? WHERE tag_key = 'mlnb.code'"
    change(workspace, set_tag, json.dumps({"mlnb_nb_0": "0" * 64, "../../up": "0" * 64}))
    assert audit().results[4].value == 2  # code that is not there, and a name that leads out
    change(workspace, set_tag, "rubbish")
    assert states(audit())[4] == "fail"


def test_models_of_others_are_not_counted(workspace):
    change(workspace, "DELETE FROM logged_model_tags WHERE tag_key = 'mlnb.sha256'")
    assert states(audit())[4] == "not_applicable"  # something else logged it
    change(
        workspace, "INSERT INTO logged_model_tags SELECT model_id, experiment_id, 'mlnb.sha256', 'x' FROM logged_models"
    )
    assert states(audit())[4] == "fail"
    change(workspace, "UPDATE logged_models SET artifact_location = 's3://bucket/model'")
    report = audit()
    assert states(report)[4] == "not_applicable" and report.results[4].evidence == {"not in this workspace": 1}


def test_a_model_whose_run_was_deleted(workspace):
    [model] = snapshot(workspace).models
    for sql in (
        "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?",
        "DELETE FROM runs WHERE run_uuid = ?",
        "UPDATE logged_models SET source_run_id = NULL WHERE source_run_id = ?",
    ):
        change(workspace, sql, model.run_id)
        seen = snapshot(workspace)
        assert [one.id for one in seen.models] == [model.id]
        with pytest.raises(DataError, match=r"deleted|comes from no run"):
            seen.record(model.id)
        report = audit()
        assert report.ok and states(report) == ["pass"] * 5


def test_a_report_whose_digest_was_edited_with_it_is_not_found(workspace):
    """What an audit cannot see: who may write the files and the store can change both."""
    from mlnb.core.files import digest

    run = snapshot(workspace).runs[0]
    path = run.artifacts / "report" / "report.json"
    path.write_bytes(path.read_bytes().replace(b"pass", b"fail", 1))
    change(
        workspace, "UPDATE tags SET value = ? WHERE run_uuid = ? AND key = 'mlnb.sha256.report/report.json'",
        digest(path), run.id,
    )  # fmt: skip
    assert audit().ok


def test_a_store_that_cannot_be_read_does_not_hide_an_edited_file(workspace):
    ledger = open_ledger(workspace)
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b"Grace", b"Gracf"))
    for suffix in ("-wal", "-shm"):
        (workspace.folder / f"mlflow.db{suffix}").unlink(missing_ok=True)
    (workspace.folder / "mlflow.db").write_bytes(b"rubbish" * 1000)
    report = audit()
    assert states(report) == ["fail", *["error"] * 4] and report.exit_status == 3
    assert report.summary == "The ledger was altered: record 2 was changed: its hash does not fit."


def test_a_ledger_that_cannot_be_read_is_one_line(workspace):
    path = open_ledger(workspace).path
    path.unlink()
    path.mkdir()
    with pytest.raises(FileError, match="cannot read"):
        audit()


def test_notes_on_the_clock_are_shown_and_are_no_break(workspace, monkeypatch):
    monkeypatch.setenv("MLNB_NOW", "2020-01-01T00:00:00+00:00")
    open_ledger(workspace).append("threshold.change", "settings.ini", actor={"name": "Ada"})
    report = audit()
    assert report.status is Status.PASS and "event 5 has an earlier time" in report.results[0].evidence["notes"][0]
    assert report.meta["as_of"] == "2020-01-01T00:00:00+00:00"


def test_a_mark_that_no_ledger_here_knows(workspace, monkeypatch):
    """As on a server, where others sign too: what is unknown warns, what was altered fails."""
    model = snapshot(workspace).models[0]
    write_mark(model.id, "mlnb.sign.00000001.abcdef01", json.dumps({"seq": 1, "hash": "0" * 64}))
    assert states(audit())[2] == "fail"
    monkeypatch.setattr("mlnb.governance.audit.is_own", lambda _: False)
    assert states(audit())[2] == "warn"


# ---- by hand


PAGE = (Path(__file__).resolve().parents[1] / "docs" / "ledger.md").read_text()


def by_hand(language: str, number: int, workspace) -> subprocess.CompletedProcess:
    """Run what the page says."""
    [*blocks] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    command = {"sh": ["bash", "-c"], "python": [sys.executable, "-c"]}[language]
    return subprocess.run([*command, blocks[number]], cwd=workspace.root, capture_output=True, text=True)


def test_the_pages_python_finds_what_the_audit_finds(workspace):
    assert by_hand("python", 0, workspace).stdout == "4 events, unbroken\n"
    ledger = open_ledger(workspace)
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b"Grace", b"Gracf"))
    assert by_hand("python", 0, workspace).stderr == "record 2 is bad\n"


@pytest.mark.skipif(not all(map(shutil.which, ("jq", "sqlite3", "sha256sum"))), reason="needs jq, sqlite3, sha256sum")
def test_the_pages_commands_find_what_the_audit_finds(workspace):
    sign(
        snapshot(workspace).models[0],
        "deployment",
        "stakeholders",
        answer="no",
        note='a "b" \\ ü\n😀',
        name="Ö",
        role="r",
    )
    assert by_hand("sh", 0, workspace).stdout == "5 events, unbroken\n"
    anchored = by_hand("sh", 1, workspace)
    assert (anchored.returncode, anchored.stdout) == (0, ""), anchored.stderr
    ledger = open_ledger(workspace)
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(b"".join(lines[:4]))
    assert by_hand("sh", 0, workspace).stdout == "4 events, unbroken\n"
    assert by_hand("sh", 1, workspace).returncode == 1
    ledger.path.write_bytes(b"".join(lines).replace(b"Grace", b"Gracf"))
    assert by_hand("sh", 0, workspace).stdout == "record 2 is bad\n"
