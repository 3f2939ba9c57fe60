"""The read-only look at the record: the same values as MLflow's client, without it, whatever others do."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from helpers_work import GENEROUS, calls_of, serving
from payloads import PAYLOADS

from mlnb.core.errors import ArgumentError, DataError, FileError, MLNBError, StoreError
from mlnb.core.files import digest
from mlnb.core.settings import load_settings
from mlnb.core.workspace import Workspace, make
from mlnb.tracking import tables
from mlnb.tracking.remote import read_client
from mlnb.tracking.snapshot import news, snapshot
from mlnb.tracking.store import client, load_mlflow
from mlnb.tracking.stored import REPORT, local_folder, target_of
from mlnb.tracking.tables import KNOWN, NEEDED, read_tables

EXPERIMENT = "mlnb"


def store(workspace: Workspace) -> Path:
    return workspace.folder / "mlflow.db"


@contextlib.contextmanager
def tampering(workspace: Workspace):
    """A connection of somebody who writes past MLflow."""
    with contextlib.closing(sqlite3.connect(store(workspace))) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        yield connection
        connection.commit()


def said(call, *args, **options) -> MLNBError:
    """The error of ours that a call raises; it is one line."""
    with pytest.raises(MLNBError) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value) and caught.value.hint and len(str(caught.value)) < 800
    return caught.value


def time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


# --- the same values ---------------------------------------------------------------------------------------------


def test_every_value_is_the_one_that_mlflow_gives(lived_in):
    seen, api = snapshot(lived_in), client(lived_in)
    where = [api.get_experiment_by_name(EXPERIMENT).experiment_id]
    stored = list(api.search_runs(where))
    assert [run.id for run in seen.runs] == [run.info.run_id for run in stored] and len(stored) == 4
    for mine, other in zip(seen.runs, stored, strict=True):
        assert (mine.name, mine.status, mine.params) == (other.info.run_name, other.info.status, other.data.params)
        assert (mine.metrics, mine.tags) == (other.data.metrics, other.data.tags)
        assert (mine.started, mine.ended) == (time_of(other.info.start_time), time_of(other.info.end_time))
        assert mine.user == other.data.tags["mlflow.user"] and str(mine.artifacts) == other.info.artifact_uri
        assert mine.seconds == other.data.metrics["mlnb.duration_s"] and mine.short == mine.id[:8]
        lasted = (other.info.end_time - other.info.start_time) / 1000
        assert dataclasses.replace(mine, metrics={}).seconds == pytest.approx(lasted)
        assert mine.read_bytes(REPORT).decode() == mine.read_text(REPORT) != ""
        [data], [given] = mine.data, other.inputs.dataset_inputs
        marks = {tag.key: tag.value for tag in given.tags}
        assert (data.name, data.digest) == (given.dataset.name, given.dataset.digest)
        assert data.rows == json.loads(given.dataset.profile)["num_rows"]
        assert data.source == json.loads(given.dataset.source)["uri"]
        assert (data.context, data.fingerprint) == (marks["mlflow.data.context"], marks["mlnb.fingerprint"])
    [model], [logged] = seen.models, api.search_logged_models(where)
    assert (model.id, model.uri, model.name) == (logged.model_id, logged.model_uri, logged.name)
    assert (model.tags, model.params, model.run_id) == (logged.tags, logged.params, logged.source_run_id)
    assert model.created == time_of(logged.creation_timestamp) and str(model.artifacts) == logged.artifact_location
    assert model.estimator == "Pipeline" and model.artifacts.is_dir()


def test_mlflows_client_gives_the_same_picture(lived):
    with tampering(lived) as connection:
        connection.execute("UPDATE latest_metrics SET is_nan = 1, value = 0 WHERE key = 'log_loss'")
    assert read_client(lived, 200) == read_tables(store(lived), lived, 200)
    assert [run.metrics["log_loss"] for run in snapshot(lived).runs] == [None] * 4


def test_the_record_of_the_model(lived_in):
    seen = snapshot(lived_in)
    record = seen.record()
    assert record.run.name == "Train on January to March" and record.run.kind == "train"
    assert [run.name for run in record.monitors] == ["Monitor July", "Monitor a quiet window"]
    assert [run.kind for run in record.evaluations] == ["evaluate"] and record.cards == ()
    assert all(run.model_run == record.run.id for run in (*record.monitors, *record.evaluations))
    assert record.previous is None and record.target == "late" and record.kind_of_object == "record"
    assert record.subject == seen.models[0].uri and record.as_of == seen.as_of and record.as_of.tzinfo
    assert [run.report for run in seen.runs] == ["fail", "pass", "pass", "pass"]
    assert {run.metric for run in seen.runs} == {"log_loss"}


def test_registered_versions_and_aliases(lived):
    api, [model] = client(lived), snapshot(lived).models
    for name in ("flights", "b @ c"):
        api.create_registered_model(name)
    for _ in range(2):
        api.create_model_version("flights", model.uri, run_id=model.run_id)
    api.create_model_version("flights", model.uri)
    api.delete_model_version("flights", "3")
    api.create_model_version("b @ c", str(model.artifacts), run_id=model.run_id)  # by its folder, as in earlier days
    api.create_model_version("b @ c", "s3://elsewhere/model", run_id=model.run_id)
    for alias, version in (("champion", "2"), ("live", "2"), ("shadow", "1")):
        api.set_registered_model_alias("flights", alias, version)
    seen = snapshot(lived)
    found = {(one.name, one.version): one.aliases for one in seen.models[0].versions}
    assert found == {("b @ c", 1): (), ("flights", 1): ("shadow",), ("flights", 2): ("champion", "live")}
    assert str(seen.models[0].versions[-1]) == "flights/2 @champion @live"
    for version in api.search_model_versions("name = 'flights'"):
        assert set(found["flights", int(version.version)]) == set(
            api.get_model_version("flights", version.version).aliases
        )
    for reference in ("models:/flights/1", "models:/flights@champion", "models:/b @ c/1"):
        assert seen.model(reference).id == model.id, reference
    assert "points to 's3://elsewhere/model', not to a logged model" in said(seen.model, "models:/b @ c/2").message
    assert said(seen.model, "models:/flights/3").hint == "Did you mean 'flights/2'?"
    assert said(seen.model, "models:/flights@chamipon").hint == "Did you mean 'flights@champion'?"
    assert said(seen.model, "models:/flight/1").hint == "Did you mean 'flights/1'?"
    assert read_client(lived, 200) == read_tables(store(lived), lived, 200)


def test_what_is_deleted_unfinished_or_of_another_experiment_is_left_out(lived):
    api, seen = client(lived), snapshot(lived)
    api.delete_run(seen.run("Monitor July").id)
    where = api.get_experiment_by_name(EXPERIMENT).experiment_id
    pending = api.create_logged_model(where, name="model", source_run_id=seen.models[0].run_id)
    failed = api.create_logged_model(where, name="model", source_run_id=seen.models[0].run_id)
    api.finalize_logged_model(failed.model_id, "FAILED")
    other = api.create_experiment("other")
    elsewhere = api.create_run(other, run_name="elsewhere")
    api.set_tag(elsewhere.info.run_id, "mlnb.model_run", seen.models[0].run_id)
    now = snapshot(lived)
    assert [run.name for run in now.runs] == [run.name for run in seen.runs if run.name != "Monitor July"]
    assert [model.id for model in now.models] == [seen.models[0].id] and now.whole
    assert [run.name for run in now.record().monitors] == ["Monitor a quiet window"]
    for lost in (pending.model_id, f"models:/{failed.model_id}", elsewhere.info.run_id, "Monitor July"):
        assert isinstance(said(now.model, lost), DataError)
    assert read_client(lived, 200) == read_tables(store(lived), lived, 200)
    api.delete_run(seen.models[0].run_id)
    now = snapshot(lived)
    assert len(now.models) == 1 and "which is deleted" in said(now.record, now.models[0]).message
    assert said(now.model, "latest").message == "no run has a model yet"
    api.delete_experiment(where)
    assert snapshot(lived).runs == snapshot(lived).models == ()
    assert read_client(lived, 200) == read_tables(store(lived), lived, 200)


def test_the_previous_model_is_the_next_older_one_for_the_same_target(lived):
    seen = snapshot(lived)
    [first] = seen.models
    oldest, middle, newest = (_copy_model(lived, first.id, days) for days in (-3, 1, 2))
    with tampering(lived) as connection:
        runs = dict(connection.execute("SELECT model_id, source_run_id FROM logged_models"))
        connection.execute(
            "INSERT INTO params VALUES ('inferred.target', 'delay', ?)", (runs[middle],)
        )  # of another target
    now = snapshot(lived)
    previous = {model.id: now.record(model).previous for model in now.models}
    assert previous[newest].id == first.id and previous[first.id].id == oldest and previous[oldest] is None
    assert previous[middle] is None
    assert now.record("latest").model.id == newest
    with tampering(lived) as connection:  # neither says what it predicts: by name
        connection.execute("DELETE FROM inputs WHERE destination_id = ?", (runs[newest],))
        connection.execute("UPDATE runs SET artifact_uri = '/nowhere' WHERE run_uuid = ?", (runs[newest],))
        connection.execute("DELETE FROM tags WHERE key LIKE 'mlnb.sha256%'")
        connection.execute("UPDATE logged_models SET name = 'churn' WHERE model_id IN (?, ?)", (newest, first.id))
    now = snapshot(lived)
    assert now.record(newest).target == "" and now.record(newest).previous is None  # the others say what they predict
    with tampering(lived) as connection:
        connection.execute("DELETE FROM inputs WHERE destination_id = ?", (first.run_id,))
        connection.execute("UPDATE runs SET artifact_uri = '/nowhere' WHERE run_uuid = ?", (first.run_id,))
    assert snapshot(lived).record(newest).previous.id == first.id
    with tampering(lived) as connection:  # "model" is what everybody's is called
        connection.execute("UPDATE logged_models SET name = 'model'")
    assert snapshot(lived).record(newest).previous is None


def test_a_model_of_a_run_that_failed_or_is_gone_is_not_the_previous_one(lived):
    [first] = snapshot(lived).models
    older, newest = (_copy_model(lived, first.id, days) for days in (-3, 2))
    for change in ("status = 'FAILED'", "status = 'RUNNING'", "status = 'FINISHED', lifecycle_stage = 'deleted'"):
        assert snapshot(lived).record(newest).previous.id == first.id
        with tampering(lived) as connection:
            connection.execute(f"UPDATE runs SET {change} WHERE run_uuid = ?", (first.run_id,))
        assert snapshot(lived).record(newest).previous.id == older, change
        with tampering(lived) as connection:
            connection.execute("UPDATE runs SET status = 'FINISHED', lifecycle_stage = 'active'")


def test_the_previous_model_is_found_behind_many_others(lived):
    [first] = snapshot(lived).models
    oldest, registered = _copy_model(lived, first.id, -5), _copy_model(lived, first.id, -3)
    others = [_copy_model(lived, first.id, days) for days in range(1, 7)]
    newest = _copy_model(lived, first.id, 9)
    with tampering(lived) as connection:
        for model in others:
            connection.execute(
                "INSERT INTO params SELECT 'inferred.target', 'delay', source_run_id FROM logged_models "
                "WHERE model_id = ?", (model,),
            )  # fmt: skip
    seen = snapshot(lived, limit=3)
    assert not seen.every_model and first.id not in {model.id for model in seen.models}
    assert seen.record(newest).previous.id == first.id
    assert snapshot(lived, limit=100).record(newest).previous.id == first.id
    api = client(lived)
    api.create_registered_model("flights")
    api.create_model_version("flights", str(first.artifacts))
    with tampering(lived) as connection:
        connection.execute("UPDATE model_versions SET source = ?", (f"models:/{registered}",))
    seen = snapshot(lived, limit=3)  # the registered one is shown, and is not the next older one
    assert registered in {model.id for model in seen.models} and seen.record(newest).previous.id == first.id
    assert seen.record(first.id).previous.id == registered and seen.record(oldest).previous is None


def test_evidence_about_one_model_counts_for_no_other_of_its_run(lived):
    first = snapshot(lived).models[0]
    with tampering(lived) as connection:
        _clone(connection, "logged_models", "model_id", first.id, model_id="m-bad00", name="bad")
    for seen in (snapshot(lived), snapshot(lived, limit=1)):
        good, bad = seen.record(first.id), seen.record("m-bad00")
        assert (len(good.evaluations), len(good.monitors)) == (1, 2)
        assert (bad.evaluations, bad.monitors, bad.cards) == ((), (), ())
    with tampering(lived) as connection:
        connection.execute("DELETE FROM tags WHERE key = 'mlnb.model'")
    for seen in (snapshot(lived), snapshot(lived, limit=1)):  # which one is meant nobody knows
        assert not any(seen.record(model).evaluations for model in (first.id, "m-bad00"))
    with tampering(lived) as connection:
        connection.execute("DELETE FROM logged_models WHERE model_id = 'm-bad00'")
    assert len(snapshot(lived).record(first.id).evaluations) == 1  # it is the only one


def test_many_looks_at_one_model_hide_none_at_another_of_its_run(lived):
    first = snapshot(lived).models[0]
    evaluated = snapshot(lived).record().evaluations[0].id
    with tampering(lived) as connection:
        _clone(connection, "logged_models", "model_id", first.id, model_id="m-bad00", name="bad")
        connection.execute("UPDATE tags SET value = 'm-bad00' WHERE run_uuid = ? AND key = 'mlnb.model'", (evaluated,))
        connection.execute("UPDATE tags SET value = 'monitor' WHERE run_uuid = ? AND key = 'mlnb.kind'", (evaluated,))
    add_runs(lived, tables.LATER + 5)
    for picture in (read_tables(store(lived), lived, 10), read_client(lived, 10)):
        assert evaluated in {run.id for run in picture.runs}


def test_a_run_that_fails_after_it_found_its_model_belongs_to_it(lived):
    from mlnb.pipelines.trained import recall
    from mlnb.tracking.run import track

    model = snapshot(lived).models[0]
    with pytest.raises(ValueError, match="no such window"), track("daily", kind="monitor") as run:
        recall(run=run)
        raise ValueError("no such window")
    seen = snapshot(lived)
    assert seen.record(model).monitors[0].id == run.id and seen.run(run.id).status == "FAILED"
    (model.artifacts / "model.skops").write_bytes(b"another model")
    with pytest.raises(MLNBError, match="not the one that was recorded"), track("daily", kind="monitor") as later:
        recall(run=later)
    found = snapshot(lived).record(model).monitors[0]
    assert (found.id, found.status, found.model, found.model_run) == (later.id, "FAILED", model.id, model.run_id)


def _copy_model(workspace: Workspace, model_id: str, days: int) -> str:
    """Another model with a run of its own, some days later."""
    made, run = f"m-{uuid.uuid4().hex}", uuid.uuid4().hex
    with tampering(workspace) as connection:
        source = connection.execute("SELECT source_run_id FROM logged_models WHERE model_id = ?", (model_id,))
        [old] = source.fetchone()
        _clone(connection, "runs", "run_uuid", old, run_uuid=run)
        connection.execute("UPDATE runs SET start_time = start_time + ? WHERE run_uuid = ?", (days * 86_400_000, run))
        for table in ("tags", "params", "latest_metrics"):
            _clone(connection, table, "run_uuid", old, run_uuid=run)
        _clone(connection, "inputs", "destination_id", old, destination_id=run, input_uuid=uuid.uuid4().hex)
        [place] = connection.execute("SELECT input_uuid FROM inputs WHERE destination_id = ?", (run,)).fetchone()
        connection.execute("INSERT INTO input_tags VALUES (?, 'mlnb.target', 'late')", (place,))
        _clone(connection, "logged_models", "model_id", model_id, model_id=made, source_run_id=run)
        connection.execute(
            "UPDATE logged_models SET creation_timestamp_ms = creation_timestamp_ms + ? WHERE model_id = ?",
            (days * 86_400_000, made),
        )
    return made


def _clone(connection: sqlite3.Connection, table: str, key: str, value: str, **changed: str) -> None:
    """Copy rows of a table, with some columns changed."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    rows = connection.execute(f"SELECT * FROM {table} WHERE {key} = ?", (value,)).fetchall()
    for row in rows:
        new = [changed.get(column, old) for column, old in zip(columns, row, strict=True)]
        connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(new))})", new)


# --- without MLflow, without waiting -----------------------------------------------------------------------------

LOOK = """
import sys
from mlnb.tracking.snapshot import news, snapshot
seen = snapshot()
record = seen.record()
assert record.run.read_report().results and record.monitors and news()
heavy = {name for name in ("mlflow", "pandas", "numpy", "sqlalchemy", "scipy") if name in sys.modules}
assert not heavy, heavy
"""


def test_no_heavy_library_is_imported(lived):
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_writer_blocks_nobody_and_is_not_seen_before_it_commits(lived):
    with contextlib.closing(sqlite3.connect(store(lived), isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("UPDATE runs SET name = 'half written'")
        before = news(lived)
        seen = snapshot(lived)
        assert "half written" not in {run.name for run in seen.runs} and len(seen.runs) == 4
        writer.execute("COMMIT")
        assert news(lived) != before
        assert {run.name for run in snapshot(lived).runs} == {"half written"}


def test_one_look_is_one_state_though_others_write(lived):
    begun, stop = threading.Event(), threading.Event()

    def write():
        with contextlib.closing(sqlite3.connect(store(lived), timeout=20, isolation_level=None)) as writer:
            for number in range(100_000):
                if stop.is_set():
                    return
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("UPDATE runs SET name = ?", (str(number),))
                writer.execute("UPDATE latest_metrics SET value = ?, is_nan = 0 WHERE key = 'log_loss'", (number,))
                writer.execute("COMMIT")
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert begun.wait(GENEROUS)  # until then the runs have names of their own
        looks = [snapshot(lived)]
        while len(looks) < 60 or looks[0].runs == looks[-1].runs:
            looks.append(snapshot(lived))
            assert len(looks) < 10_000
    finally:
        stop.set()
        writer.join()
    states = [{(run.name, run.metrics["log_loss"]) for run in seen.runs} for seen in looks]
    assert [state for state in states if len(state) != 1] == []
    assert all(float(name) == value for state in states for name, value in state)
    assert len({next(iter(state)) for state in states}) > 1


def test_news_tells_of_the_store_and_of_the_ledger_and_opens_neither(lived, monkeypatch):
    quiet = news(lived)
    snapshot(lived)
    assert news(lived) == quiet == news()
    client(lived).set_tag(snapshot(lived).runs[0].id, "note", "new")
    tagged = news(lived)
    assert tagged != quiet
    (lived.folder / "ledger.jsonl").write_text("{}\n")
    assert news(lived) not in (tagged, quiet)
    monkeypatch.setattr(sqlite3, "connect", None)
    monkeypatch.setattr(io, "open", None)  # which opens files for pathlib
    news(lived)
    assert calls_of(lambda: news(lived)) < 500


# --- stores that are missing, broken or changed ------------------------------------------------------------------


def test_a_workspace_without_a_store_gets_none_by_being_looked_at(bare_workspace):
    seen = snapshot()
    assert (seen.runs, seen.models, seen.note) == ((), (), "there is no record yet") and news() == news()
    assert not store(bare_workspace).exists()
    assert said(seen.run, "latest").message == "there are no runs yet"
    assert said(seen.record).message == "no run has a model yet"


def test_a_store_without_the_settings_experiment(built_store):
    other = Workspace(built_store, load_settings(overrides={"tracking.experiment": "nobody's"}))
    seen = snapshot(other)
    assert seen.runs == () and seen.whole
    assert client(other).get_experiment_by_name("nobody's") is None


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "folder", "another database", "middle"])
def test_a_store_that_cannot_be_read_is_named_and_left_alone(lived, damage):
    path = store(lived)
    whole = path.read_bytes()
    for file in path.parent.glob("mlflow.db*"):
        file.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "another database":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (a)").connection.commit()
    else:
        bad = {"truncated": whole[: len(whole) // 2], "garbage": b"not a database" * 99, "empty": b""}
        path.write_bytes(bad.get(damage, whole[:4096] + bytes(len(whole) - 4096)))
    before = path.read_bytes() if path.is_file() else b""
    error = said(snapshot, lived)
    assert type(error) is StoreError and "mlflow.db" in error.message
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_the_tables_of_the_installed_mlflow_are_known(built_store):
    with contextlib.closing(sqlite3.connect(f"file:{built_store}/.mlnb/mlflow.db?mode=ro", uri=True)) as connection:
        [version] = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert version in KNOWN
    assert snapshot(make(built_store)).note == ""


@pytest.mark.parametrize("table", [*NEEDED])
def test_tables_that_mlflow_changed_are_left_to_mlflow(lived, table, monkeypatch):
    column = NEEDED[table].split()[-1]
    asked = []
    monkeypatch.setattr("mlnb.tracking.snapshot.read_client", lambda *given: asked.append(given) or tables.Picture())
    with tampering(lived) as connection:
        connection.execute("PRAGMA legacy_alter_table=ON")
        connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO something_new")
    snapshot(lived)
    assert len(asked) == 1 and asked[0][2].endswith(f"table {table} lacks {column}")


def test_a_look_through_mlflow_says_so(lived):
    with tampering(lived) as connection:  # MLflow itself does not need it to be called so here
        connection.execute("CREATE TABLE copy AS SELECT * FROM input_tags")
    whole = snapshot(lived)
    needed = {**NEEDED, "input_tags": "input_uuid name value since"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "NEEDED", needed)
        seen = snapshot(lived)
    assert seen.note.startswith("read through MLflow's client: ") and "input_tags lacks since" in seen.note
    assert (seen.runs, seen.models, seen.registered) == (whole.runs, whole.models, whole.registered)


def test_another_version_with_all_that_is_needed_is_read_and_told(lived):
    with tampering(lived) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    seen = snapshot(lived)
    assert "ffffffffffff" in seen.note and len(seen.runs) == 4


def test_whatever_stands_in_the_tables_is_read(lived):
    with tampering(lived) as connection:
        connection.execute("UPDATE params SET value = CAST(x'ff41' AS TEXT)")
        connection.execute("UPDATE datasets SET dataset_profile = 'no json', dataset_source = '[1]'")
        connection.execute("UPDATE runs SET start_time = NULL, end_time = NULL, user_id = NULL, name = NULL")
        connection.execute("UPDATE latest_metrics SET value = 9e999 WHERE key = 'log_loss'")
        connection.execute("UPDATE logged_models SET model_type = NULL, source_run_id = NULL")
        connection.execute("DELETE FROM logged_model_tags")
        connection.execute("UPDATE tags SET value = NULL WHERE key = 'mlnb.kind'")
    seen = snapshot(lived)
    assert {run.params.get("data") for run in seen.runs} == {"\ufffdA", None}
    assert {data.rows for run in seen.runs for data in run.data} == {None}
    assert {data.source for run in seen.runs for data in run.data} == {"[1]"}
    assert all(run.started is None and run.kind == "" and run.name for run in seen.runs)
    assert all(math.isinf(run.metrics["log_loss"]) and run.seconds is not None for run in seen.runs)
    assert seen.models[0].estimator == "" and "comes from no run" in said(seen.record, seen.models[0]).message
    assert dataclasses.replace(seen.runs[0], metrics={}).seconds is None


AS_NOBODY = """
import os, mlnb.tracking.snapshot as s
here = s.current()
os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    print(len(s.snapshot(here).runs))
except Exception as e:
    print(type(e).__name__, e)
"""


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize("open_log", [False, True])
def test_a_folder_that_cannot_be_written(lived, request, open_log):
    outer = Path(tempfile.mkdtemp())
    request.addfinalizer(lambda: shutil.rmtree(outer))
    root = outer / "ws"
    shutil.copytree(lived.root, root)
    if open_log:  # a log that nobody may follow: what stands in the database alone is an older state
        with contextlib.closing(sqlite3.connect(store(lived), isolation_level=None)) as writer:
            writer.execute("UPDATE runs SET name = 'newer'")
            shutil.copy(f"{store(lived)}-wal", root / ".mlnb")
    for path in (outer, *outer.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o444)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY],
        env={**os.environ, "MLNB_WORKSPACE": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not done.stderr
    if open_log:
        assert done.stdout.startswith("StoreError") and "mlflow.db cannot be opened" in done.stdout
    else:
        assert done.stdout == "4\n"


def test_a_folder_that_cannot_be_written_is_read_as_it_stands(lived, monkeypatch):
    """The same without another user: the first address fails as SQLite does there."""
    real, asked = tables._connect, []

    def refuse(address):
        asked.append(address)
        if "immutable" in address:
            return real(address)
        error = sqlite3.OperationalError("attempt to write a readonly database")
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(tables, "_connect", refuse)
    code = sqlite3.SQLITE_READONLY
    assert len(snapshot(lived).runs) == 4 and len(asked) == 2
    code = sqlite3.SQLITE_BUSY
    assert "cannot be opened" in said(snapshot, lived).message
    code = sqlite3.SQLITE_READONLY
    Path(f"{store(lived)}-wal").write_bytes(b"what nobody may follow")
    assert "cannot be opened" in said(snapshot, lived).message and len(asked) == 4


# --- references --------------------------------------------------------------------------------------------------


def test_whatever_names_a_run_or_a_model_finds_it(lived_in):
    seen = snapshot(lived_in)
    model, july, train = seen.models[0], seen.runs[0], seen.runs[-1]
    for reference in ("latest", july.id, july.id[:6], " Monitor July ", f"runs:/{july.id}", "runs:/Monitor July"):
        assert seen.run(reference) is july, reference
    for reference in (model.uri, model.id, model.id[:8], f"models:/{model.id[:10]}", f"runs:/{train.id}/model"):
        assert seen.run(reference) is train, reference
    named = ("latest", train.id, train.short, train.name, f"runs:/{train.short}", f"runs:/{train.name}/model")
    for reference in (*named, model.uri, model.id, model.id[:8]):
        assert seen.model(reference) is model, reference
        assert seen.record(reference).model is model, reference
    assert seen.record(model).run is train


def test_what_names_nothing_is_refused_with_what_there_is(lived_in):
    seen = snapshot(lived_in)
    assert said(seen.run, "monitor july").hint == "Did you mean 'Monitor July'?"
    assert said(seen.run, "ffffffff").message == "no run 'ffffffff'"
    assert "has no model" in said(seen.model, "Monitor July").message
    assert said(seen.model, "runs:/latest").message.endswith("FINISHED) has no model")
    assert "has no model 'forest'" in said(seen.model, f"runs:/{seen.runs[-1].id}/forest").message
    assert said(seen.model, f"runs:/{seen.runs[-1].id}/modle").hint == "Did you mean 'model'?"
    assert said(seen.model, "models:/m-0123").message == "no model 'models:/m-0123'"
    for wrong in (None, 3, "", "   ", b"latest", ["latest"]):
        assert isinstance(said(seen.run, wrong), ArgumentError)
        assert isinstance(said(seen.model, wrong), ArgumentError)
    for wrong in (0, -1, True, 2.5, "9", None, 10**9):
        assert isinstance(said(snapshot, lived_in, limit=wrong), ArgumentError)


@pytest.mark.parametrize("text", [*PAYLOADS, "' OR 1=1 --", "%", "_", "x" * 10_000, "runs:/" + "../" * 20, "models:/"])
def test_no_text_finds_anything_or_breaks_anything(lived_in, text):
    seen = snapshot(lived_in)
    for find in (seen.run, seen.model, seen.record):
        for reference in (text, f"runs:/{text}", f"runs:/{text}/model", f"models:/{text}", f"models:/x@{text}"):
            with pytest.raises((DataError, ArgumentError)) as caught:
                find(reference)
            assert len(str(caught.value)) < 2_000 and "\n" not in str(caught.value)


def test_a_beginning_that_several_have(lived):
    with tampering(lived) as connection:
        for run in ("abcd" + "0" * 28, "abcd" + "1" * 28):
            _clone(connection, "runs", "name", "Monitor July", run_uuid=run, name="twin")
        model = connection.execute("SELECT model_id FROM logged_models").fetchone()[0]
        for name in ("m-abcd0", "m-abcd1"):
            _clone(connection, "logged_models", "model_id", model, model_id=name)
    seen = snapshot(lived)
    assert said(seen.run, "abcd").message == "'abcd' is the beginning of several runs"
    assert said(seen.run, "abcd").hint == "Give more of one: abcd00000000, abcd11111111"
    assert seen.run("abcd0").id == "abcd" + "0" * 28
    assert said(seen.model, "m-abcd").message == "'m-abcd' is the beginning of several models"
    assert seen.model("models:/m-abcd0").id == "m-abcd0"
    assert seen.run("twin").id == "abcd" + "0" * 28


def test_several_models_of_one_run(lived):
    seen = snapshot(lived)
    run, first = seen.models[0].run_id, seen.models[0].id
    with tampering(lived) as connection:
        for name in ("aa", "bb"):
            _clone(connection, "logged_models", "model_id", first, model_id=f"m-{name}00", name=name)
    assert snapshot(lived).model(run).name == "model"
    with tampering(lived) as connection:
        connection.execute("UPDATE logged_models SET name = 'aa', creation_timestamp_ms = 5 WHERE name = 'model'")
    now = snapshot(lived)
    assert "has several models" in said(now.model, run).message and "'aa', 'bb'" in said(now.model, run).hint
    assert now.model(f"runs:/{run}/aa").id == "m-aa00"  # the later one of that name


# --- reports and files -------------------------------------------------------------------------------------------


def test_a_report_is_the_one_that_was_stored(lived_in):
    from mlnb.tracking.records import runs

    for run in snapshot(lived_in).runs:
        report, shown = run.read_report(), runs("show", run.id, workspace=lived_in)
        assert digest(report.to_json()) == run.tags[f"mlnb.sha256.{REPORT}"] and not run.altered()
        assert report.results == shown.results and report.status == shown.status == run.report
        assert run.read_report() is report
        through_mlflow = dataclasses.replace(run, artifacts=None)
        assert through_mlflow.read_report() == report and not through_mlflow.altered()
        assert through_mlflow.read_text("nothing.txt") == "" == run.read_text("nothing.txt") == run.read_text("report")
        assert through_mlflow.read_text("environment/packages.txt") == run.read_text("environment/packages.txt") != ""


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 99}', "null", b"\xff\xfe", "big"])
def test_a_report_that_is_broken_names_the_file(lived, content, monkeypatch):
    run = snapshot(lived).run("latest")
    place = run.artifacts / REPORT
    if content == "big":
        monkeypatch.setattr("mlnb.tracking.stored.LARGEST", 1_000)
    else:
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    for seen in (run, dataclasses.replace(run, artifacts=None)):
        error = said(seen.read_report)
        assert isinstance(error, DataError) and "report/report.json" in error.message
    assert str(place) in said(run.read_report).message
    place.unlink()
    assert "is gone" in said(run.read_report).message and run.altered()
    assert dataclasses.replace(run, tags={}).read_report() is None


def test_an_edited_report_is_told(lived):
    run = snapshot(lived).run("latest")
    place = run.artifacts / REPORT
    place.write_text(place.read_text().replace('"status": "fail"', '"status": "pass"', 1))
    assert run.altered() and dataclasses.replace(run, artifacts=None).altered() and not run.altered("other.txt")


OUTSIDE = [
    "..", "../", "../x", "a/../../x", "/etc/passwd", "//etc/passwd", "./../x", "report/../../x", "a\\..\\..\\x", "\\x",
    "x\0y", "\0", "~/../../x/../../../etc/passwd", "report/../../../../mlflow.db", "../" * 30 + "etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_path_leaves_the_run(lived_in, path):
    run = snapshot(lived_in).run("latest")
    for seen in (run, dataclasses.replace(run, artifacts=None)):
        assert isinstance(said(seen.read_text, path), FileError), path


@pytest.mark.parametrize("path", ["%2e%2e/x", "..%2f..%2fmlflow.db", "file:///etc/passwd", "#", "?x=../..", "...", "~"])
def test_odd_names_stay_names(lived_in, path):
    run = snapshot(lived_in).run("latest")
    assert run.read_text(path) == ""


def test_a_link_out_of_the_run_is_not_followed(lived):
    run = snapshot(lived).run("latest")
    (lived.root / "secret.txt").write_text("secret")
    (run.artifacts / "out.txt").symlink_to(lived.root / "secret.txt")
    assert isinstance(said(run.read_text, "out.txt"), FileError)
    (run.artifacts / "text.txt").write_bytes(b"\xff\xfe")
    assert "UTF-8" in said(run.read_text, "text.txt").message


def test_the_files_of_a_run_are_listed(lived):
    run = snapshot(lived).run("latest")
    (run.artifacts / "report" / "deep").mkdir()
    (run.artifacts / "report" / "deep" / "a.txt").write_text("a")
    for seen in (run, dataclasses.replace(run, artifacts=None)):
        assert seen.files("report") == ["report/report.html", "report/report.json"]
        assert seen.files("nothing") == []
        assert isinstance(said(seen.files, ".."), FileError)


def test_a_file_that_the_system_refuses_is_named(lived, monkeypatch):
    run = snapshot(lived).run("latest")
    monkeypatch.setattr(Path, "read_bytes", lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    assert said(run.read_text, REPORT).message.endswith("report.json cannot be read: Permission denied")
    assert target_of(dataclasses.replace(run, data=())) == ""


def test_files_outside_the_workspace_are_not_read_here(lived):
    for place in (
        "/etc",
        "s3://bucket/run",
        "mlflow-artifacts:/1/ab",
        f"{lived.root}/../x",
        "file://host/etc",
        "rel/x",
    ):
        assert local_folder(place, lived) is None, place
    inside = lived.root / "ü b" / "run #1"
    assert local_folder(inside.as_uri(), lived) == inside == local_folder(str(inside), lived)
    (lived.root / "out").symlink_to("/etc")
    assert local_folder(str(lived.root / "out"), lived) is None


# --- many runs, and servers --------------------------------------------------------------------------------------


def add_runs(workspace: Workspace, many: int, name: str = "Monitor July") -> None:
    """Copies of a run, each a second later."""
    with tampering(workspace) as connection:
        source = connection.execute("SELECT run_uuid FROM runs WHERE name = ?", (name,)).fetchone()[0]
        place = connection.execute("SELECT input_uuid FROM inputs WHERE destination_id = ?", (source,)).fetchone()[0]
        for number in range(1, many + 1):
            run, data = uuid.uuid4().hex, uuid.uuid4().hex
            _clone(connection, "runs", "run_uuid", source, run_uuid=run, name=f"later {number}")
            connection.execute("UPDATE runs SET start_time = start_time + ? WHERE run_uuid = ?", (1000 * number, run))
            for table in ("tags", "params", "latest_metrics"):
                _clone(connection, table, "run_uuid", source, run_uuid=run)
            _clone(connection, "inputs", "destination_id", source, destination_id=run, input_uuid=data)
            _clone(connection, "input_tags", "input_uuid", place, input_uuid=data)


def test_of_many_runs_the_newest_and_those_of_the_models(lived):
    add_runs(lived, 120)
    seen = snapshot(lived, limit=10)
    assert [run.name for run in seen.runs[:10]] == [f"later {120 - i}" for i in range(10)] and not seen.whole
    record = seen.record()  # the newest of each kind about a model that is shown come with it
    assert record.run.name == "Train on January to March" and len(record.evaluations) == 1
    assert [run.name for run in record.monitors] == [f"later {120 - i}" for i in range(tables.LATER)]
    assert seen.run("later 3").name == "later 3" and "later 3" not in {run.name for run in seen.runs}
    assert seen.run("Monitor a quiet window").kind == "monitor"
    assert said(seen.run, "later 999").message == "no run 'later 999'"
    everything = snapshot(lived, limit=500)
    assert everything.whole and len(everything.runs) == 124 and len(everything.record().monitors) == 122
    for limit in (1, 70, 124):
        mine, other = read_tables(store(lived), lived, limit), read_client(lived, limit)
        assert mine == other, limit


def test_of_many_models_the_newest_and_the_registered(lived):
    [first] = snapshot(lived).models
    newer = [_copy_model(lived, first.id, days) for days in (1, 2, 3, 4)]
    api = client(lived)
    api.create_registered_model("flights")
    api.create_model_version("flights", first.uri)
    seen = snapshot(lived, limit=2)
    assert [model.id for model in seen.models] == [newer[3], newer[2], first.id] and not seen.whole
    assert {first.run_id} < {run.id for run in seen.runs}
    older = seen.record(newer[0])  # left out of this look, so all of the record is read
    assert older.model.id == newer[0] and older.run.id == older.model.run_id and older.previous.id == first.id
    assert seen.record(older.model) == older


def test_a_server_is_asked_through_mlflows_client(lived_in, monkeypatch):
    away = Workspace(lived_in.root, load_settings(overrides={"tracking.uri": "http://127.0.0.1:9"}))
    assert "no answer" in said(snapshot, away).message
    monkeypatch.setenv("MLNB_NOW", "2026-01-31T06:00:00+00:00")
    before = news(away)
    monkeypatch.setenv("MLNB_NOW", "2026-01-31T06:00:40+00:00")
    assert news(away) != before == f"{1769839200 // 30} -"


@pytest.mark.long
def test_a_server_is_read_through_mlflows_client(lived):
    load_mlflow()

    def start(port: int) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{store(lived)}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    server, port = serving(start, lambda port: socket.create_connection(("127.0.0.1", port), timeout=GENEROUS).close())
    try:
        address = f"http://127.0.0.1:{port}"
        away = Workspace(lived.root, load_settings(overrides={"tracking.uri": address}))
        seen, here = snapshot(away), snapshot(lived)
        assert seen.note == "read through MLflow's client, from a server"
        assert [run.id for run in seen.runs] == [run.id for run in here.runs]
        assert [run.metrics for run in seen.runs] == [run.metrics for run in here.runs]
        assert [run.data for run in seen.runs] == [run.data for run in here.runs]
        assert [model.id for model in seen.models] == [model.id for model in here.models]
        assert seen.record().run.read_report() == here.record().run.read_report()
        assert news(away)
    finally:
        os.killpg(server.pid, 15)
        server.wait(GENEROUS)
