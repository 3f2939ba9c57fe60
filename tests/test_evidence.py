"""What the record of real models answers to the shipped questions: each passing, failing and not applicable."""

from __future__ import annotations

import dataclasses
import json
import re
import sqlite3

import numpy as np
import pandas as pd
import pytest
from helpers_lived import copy_lived, current_is
from helpers_store import copy_store
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

import mlnb.governance.evidence  # noqa: F401 (registers the checks)
from mlnb.core.answers import evidence_digest
from mlnb.core.checks import check, kind_of
from mlnb.core.errors import DataError
from mlnb.core.files import digest
from mlnb.core.result import Report, Result, Status
from mlnb.core.workspace import make
from mlnb.data.frames import read_frame
from mlnb.evaluation.report import evaluate
from mlnb.governance.card import build_card
from mlnb.governance.fields import FIELDS
from mlnb.governance.signing import fill_field
from mlnb.pipelines.carded import keep_card, report_card
from mlnb.pipelines.trained import recall, report_training
from mlnb.pipelines.watching import report_evaluation, report_window
from mlnb.tracking.marks import write_mark
from mlnb.tracking.run import track
from mlnb.tracking.snapshot import snapshot
from mlnb.training.fit import fit
from mlnb.training.folds import cross_validate
from mlnb.training.split import make_split

CODES = [f"MLN-G10{n}" for n in range(1, 6)] + [f"MLN-G{n}" for n in (201, 202, 203, 204, 205, 208, 210)]
RIGOUR = [code for code in CODES if code >= "MLN-G2"]


def train(name: str, frame: pd.DataFrame, target: str, **options) -> str:
    """Train and record as the template does; returns the run's id."""
    with track(name, kind="train") as run:
        run.data(frame, name=name, target=target)
        trained = fit(frame, target=target, **options)
        run.model(trained.pipeline, example=trained.train.head())
        run.log(report_training(trained, frame, data=name))
    return run.id


def judge_again(run_id: str, frame: pd.DataFrame, name: str) -> str:
    """Evaluate a recorded model on other rows, as the template does."""
    with track(f"evaluate on {name}", kind="evaluate") as run:
        run.log(report_evaluation(recall(run_id), frame, data=name))
    return run.id


def rare(adult: pd.DataFrame) -> pd.DataFrame:
    """2,000 people of whom one in ten earns much."""
    much = adult["income-per-year"] == adult["income-per-year"].max()
    return pd.concat([adult[~much].head(1800), adult[much].head(200)]).sample(frac=1, random_state=0, ignore_index=True)


def untracked(name: str, frame: pd.DataFrame, judged: pd.DataFrame | None) -> None:
    """A model fitted by hand and recorded, with an evaluation or with nothing."""
    with track(name) as run:
        run.data(frame, name=name, target="y")
        model = LogisticRegression().fit(frame[["a", "b"]], frame["y"])
        run.model(model, example=frame[["a", "b"]])
        if judged is not None:
            run.log(evaluate(model, judged, target="y"))


def points(seed: int = 0, rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(0, 1, (rows, 2)), columns=["a", "b"])
    return frame.assign(y=(frame["a"] + rng.normal(0, 0.5, rows) > 0).astype(int))


@pytest.fixture(scope="module")
def recorded(built_store, tmp_path_factory, adult, bike):
    """A workspace with models of five tables, each trained in a way that a question is about."""
    workspace = copy_store(built_store, tmp_path_factory.mktemp("evidence") / "ws")
    with current_is(workspace.root):
        people, rents = rare(adult), bike.head(3000)
        income = "income-per-year"
        first = train("people", people, income)
        low, high = sorted(people[income].unique())
        flipped = people.assign(**{income: people[income].map({low: high, high: low})})
        judge_again(first, people, "people")
        plain = make_split(people, target=income, stratified=False)
        second = train("people, not stratified", people, income, split=plain)
        judge_again(second, flipped, "flipped")
        train("rents in time", rents, "cnt", time="dteday", drop=["casual", "registered"])
        train("rents at random", rents, "cnt")
        train("wine", load_wine(as_frame=True).frame, "target")
        rng = np.random.default_rng(0)
        noise = pd.DataFrame(
            {"a": rng.normal(size=300), "b": rng.normal(size=300), "coin": rng.choice(["h", "t"], 300)}
        )
        train("noise", noise, "coin")
        untracked("untold", points(), None)
        untracked("by its own rows", points(), points())
        untracked("by other rows", points(), points(1))
        with track("groups") as run:
            run.model(KMeans(2, n_init=1, random_state=0).fit(points()[["a", "b"]]), example=points()[["a", "b"]])
        with track("without probabilities", kind="train") as run:
            model = LinearSVC().fit(points()[["a", "b"]], points()["y"])
            run.model(model, example=points()[["a", "b"]])
            run.log(evaluate(model, points(1), target="y"))
    return workspace


@pytest.fixture(scope="module")
def taken(recorded):
    return snapshot(recorded)


@pytest.fixture
def copy(recorded, tmp_path, monkeypatch):
    """A copy to change, as the current workspace."""
    workspace = copy_lived(recorded, tmp_path / "ws")
    monkeypatch.setenv("MLNB_WORKSPACE", str(workspace.root))
    return workspace


def result(code: str, record) -> Result:
    report = check(code, record)
    assert isinstance(report, Report) and report.kind == "evidence" and len(report.results) == 1
    found = report.results[0]
    assert found.code == code and found.subject is None and found.method == "record"
    if found.status not in (Status.PASS, Status.SKIPPED):
        assert found.advice, code
    return found


def step(template: str, record) -> str:
    """The command line that is about this model."""
    return f"mlnb run {template} -p model={record.run.short}"


def state(code: str, record) -> str:
    return str(result(code, record).status)


class TestRegistry:
    def test_a_record_is_a_kind_of_its_own(self, taken):
        assert kind_of(taken.record("wine")) == "record" and kind_of(taken) is None

    def test_all_of_them_run_at_once(self, taken):
        report = check(taken.record("wine"))
        assert [r.code for r in report.results] == CODES


class TestHoldOut:
    def test_passes_with_rows_held_out(self, taken):
        found = result("MLN-G201", taken.record("people"))
        assert found.status == "pass" and found.value == 400 and found.n == 2000
        assert found.evidence["run"] == taken.record("people").run.id

    def test_warns_where_columns_give_the_target_away(self, taken):
        found = result("MLN-G201", taken.record("rents at random"))
        assert found.status == "warn" and "casual + registered" in found.advice

    def test_fails_where_the_model_was_judged_by_its_own_rows(self, taken):
        assert (
            "judged the model by the rows that it learned from"
            in result("MLN-G201", taken.record("by its own rows")).advice
        )
        assert state("MLN-G201", taken.record("by its own rows")) == "fail"

    def test_is_open_without_a_training_report(self, taken):
        for name in ("untold", "by other rows"):
            found = result("MLN-G201", taken.record(name))
            assert found.status == "todo" and "mlnb run train" in found.advice

    def test_fails_when_an_evaluation_used_the_training_table(self, copy):
        frame = read_frame(load_wine(as_frame=True).frame)
        model = recall("wine")
        with track("evaluate carelessly", kind="evaluate", tags={"mlnb.model_run": model.run_id}) as run:
            run.log(evaluate(model.model, frame, target="target"))
        found = result("MLN-G201", snapshot(copy).record("wine"))
        assert found.status == "fail" and found.evidence["run"] == run.id


class TestFolds:
    def test_passes_where_small_data_was_folded(self, taken):
        found = result("MLN-G202", taken.record("wine"))
        assert found.status == "pass" and found.n == 142 and len(found.evidence["folds"]) == 5
        assert found.interval and found.interval[0] < found.value <= 1

    def test_fails_where_the_limit_was_raised_since(self, lived_in, monkeypatch):
        assert state("MLN-G202", snapshot(lived_in).record()) == "not_applicable"
        monkeypatch.setenv("MLNB_GOVERNANCE__SMALL_DATA", "100000")
        found = result("MLN-G202", snapshot(make(lived_in.root)).record())
        assert found.status == "fail" and found.threshold == 100_000 and "one split only" in found.advice

    def test_warns_where_folds_and_held_out_rows_disagree(self):
        trained = fit(points(), target="y")
        primary = evaluate(trained.pipeline, trained.test, target="y", baseline=trained.train).results[0]
        assert cross_validate(trained, primary).status == "skipped"
        for value, said in ((0.999, "believe the folds"), (0.2, "unlike those that were learned from")):
            far = primary.model_copy(update={"value": value, "interval": (value - 0.01, value + 0.001)})
            told = cross_validate(trained, far)
            assert told.status == "warn" and said in told.advice

    def test_the_mean_is_that_of_scikit_learn(self):
        from sklearn.base import clone
        from sklearn.model_selection import StratifiedKFold, cross_val_score

        trained = fit(points(), target="y")
        primary = evaluate(trained.pipeline, trained.test, target="y", metric="roc_auc").results[0]
        found = cross_validate(trained, primary)
        folds = StratifiedKFold(5, shuffle=True, random_state=trained.split.seed)
        names = [c.name for c in trained.roles.used]
        scores = cross_val_score(
            clone(trained.pipeline), trained.train[names], trained.train["y"], cv=folds, scoring="roc_auc"
        )
        assert np.allclose(found.evidence["folds"], scores)
        error = 2.7764451 * scores.std(ddof=1) * np.sqrt(1 / 5 + 1 / 4)
        assert found.value == pytest.approx(scores.mean())
        assert found.interval[0] == pytest.approx(scores.mean() - error, rel=1e-6)

    def test_later_rows_are_judged_by_earlier_ones(self, taken):
        report = taken.record("rents in time").run.read_report()
        folds = next(r for r in report.results if r.code == "MLN-R007")
        assert folds.evidence["how"] == "later rows judged by earlier ones" and folds.method.startswith("mae")

    def test_too_few_rows_are_told(self):
        trained = fit(points(rows=24), target="y")
        few = cross_validate(trained, evaluate(trained.pipeline, trained.test, target="y").results[0])
        assert few.status in ("skipped", "warn") and few.n == len(trained.train)
        for rows in (3, 4):  # of a class
            tiny = fit(points(rows=20).assign(y=[f"c{i // rows}" for i in range(20)]), target="y")
            told = cross_validate(tiny, evaluate(tiny.pipeline, tiny.test, target="y", metric="accuracy").results[0])
            assert told.status == "not_applicable" and "too few for 5 folds" in told.advice


class TestSplit:
    def test_rare_classes(self, taken):
        assert state("MLN-G203", taken.record("people")) == "pass"
        found = result("MLN-G203", taken.record("people, not stratified"))
        assert found.status == "fail" and found.value == pytest.approx(0.1) and found.threshold == 0.2

    @pytest.mark.parametrize(
        ("name", "why"), [("wine", "No class is rare"), ("rents in time", "Numbers have no classes")]
    )
    def test_nothing_rare(self, taken, name, why):
        found = result("MLN-G203", taken.record(name))
        assert found.status == "not_applicable" and why in found.advice

    def test_time_decides(self, lived_in):
        record = snapshot(lived_in).record()
        assert "Time decides" in result("MLN-G203", record).advice and state("MLN-G204", record) == "pass"

    def test_time(self, taken):
        assert state("MLN-G204", taken.record("rents in time")) == "pass"
        found = result("MLN-G204", taken.record("rents at random"))
        assert found.status == "fail" and "time=dteday" in found.advice and found.evidence["dates"] == ["dteday"]
        assert state("MLN-G204", taken.record("wine")) == "not_applicable"


class TestNumbers:
    def test_intervals(self, taken, copy):
        found = result("MLN-G205", taken.record("wine"))
        assert found.status == "pass" and None not in found.interval
        assert state("MLN-G205", taken.record("untold")) == "todo"
        bare = Result(code="MLN-E001", title="ROC-AUC", status="pass", value=0.9, method="roc_auc")
        about = taken.record("wine").run.id
        with track("a number alone", kind="evaluate") as run:
            run.log(Report(kind="evaluation", title="x", results=(bare,), meta={"model_run": about}))
        found = result("MLN-G205", snapshot(copy).record("wine"))
        assert found.status == "fail" and "stands alone" in found.advice and found.evidence["run"] == run.id

    def test_a_simple_rule(self, taken):
        assert state("MLN-G208", taken.record("people")) == "pass"
        assert state("MLN-G208", taken.record("noise")) in ("warn", "fail")
        found = result("MLN-G208", taken.record("people, not stratified"))  # its last evaluation had the labels swapped
        assert found.status == "fail" and "no better than" in found.advice and found.interval[1] <= 0
        assert state("MLN-G208", taken.record("untold")) == "todo"

    def test_calibration(self, taken):
        assert state("MLN-G210", taken.record("people")) in ("pass", "warn")
        assert state("MLN-G210", taken.record("people, not stratified")) == "fail"
        assert "Numbers are predicted" in result("MLN-G210", taken.record("rents in time")).advice
        found = result("MLN-G210", taken.record("without probabilities"))
        assert found.status == "not_applicable" and "no probabilities" in found.advice

    def test_calibration_passes(self, lived_in):
        assert state("MLN-G210", snapshot(lived_in).record()) == "pass"


def test_models_without_a_target_are_asked_nothing_about_one(taken):
    record = taken.record("groups")
    assert record.model.tags["mlnb.estimator_type"] == "clusterer"
    for code in RIGOUR:
        found = result(code, record)
        assert found.status == "not_applicable" and "predicts no target" in found.advice
    assert taken.record("wine").model.tags["mlnb.estimator_type"] == "classifier"
    assert taken.record("rents in time").model.tags["mlnb.estimator_type"] == "regressor"


class TestValidation:
    def test_the_worst_of_training_and_evaluation(self, taken, lived_in):
        found = result("MLN-G101", snapshot(lived_in).record())
        assert found.status in ("pass", "warn") and set(found.evidence) == {"training", "evaluation", "found"}
        found = result("MLN-G101", taken.record("people, not stratified"))
        assert found.status == "fail" and "MLN-E00" in found.advice
        assert {one["run"] for one in found.evidence["found"]} >= {
            taken.record("people, not stratified").evaluations[0].id
        }

    def test_missing_is_open(self, taken):
        assert (
            f"Evaluate it: {step('evaluate', taken.record('wine'))}" in result("MLN-G101", taken.record("wine")).advice
        )
        found = result("MLN-G101", taken.record("untold"))
        assert found.status == "todo" and "no training report" in found.advice

    def judged(self, copy, *states: str) -> str:
        """An evaluation that logs a report for each state; returns its id."""
        about = snapshot(copy).record("people").run.id
        with track("several", kind="evaluate") as run:
            for number, status in enumerate(states):
                found = Result(code="MLN-E003", title="x", status=status, value=0.1 + number, advice="Hm")
                run.log(Report(kind="evaluation", title="x", results=(found,), meta={"model_run": about}))
        return run.id

    @pytest.mark.parametrize("states", [("pass", "fail"), ("fail", "pass"), ("pass", "pass", "fail")])
    def test_every_report_of_an_evaluation_counts(self, copy, states):
        run = self.judged(copy, *states)
        found = result("MLN-G101", snapshot(copy).record("people"))
        assert found.status == "fail" and "MLN-E003 fails" in found.advice
        assert {"run": run, "code": "MLN-E003", "subject": None, "status": "fail"} in found.evidence["found"]
        found = result("MLN-G210", snapshot(copy).record("people"))
        assert found.status == "fail" and found.evidence["run"] == run
        assert found.evidence["found"]["x"]["status"] == "fail"

    @pytest.mark.parametrize("how", ["changed", "broken", "gone"])
    def test_a_further_report_that_was_edited_is_an_error_too(self, copy, how):
        judged = self.judged(copy, "pass", "fail")
        path = snapshot(copy).run(judged).artifacts / "report/report-2.json"
        text = path.read_text()
        path.unlink() if how == "gone" else path.write_text("{" if how == "broken" else text.replace("fail", "pass"))
        told = "is gone" if how == "gone" else r"report/report-2\.json, was changed after it was recorded"
        for code in ("MLN-G101", "MLN-G201", "MLN-G208", "MLN-G210"):
            with pytest.raises(DataError, match=told):
                check(code, snapshot(copy).record("people"))

    def test_an_evaluation_that_broke_fails(self, copy):
        about = snapshot(copy).record("people").run.id
        with pytest.raises(ZeroDivisionError), track("broken", kind="evaluate", tags={"mlnb.model_run": about}):
            _ = 1 / 0
        found = result("MLN-G101", snapshot(copy).record("people"))
        assert found.status == "fail" and "the evaluation did not finish" in found.advice.lower()

    def test_archived_is_not_asked(self, copy):
        write_mark(snapshot(copy).model("people").id, "mlnb.stage", "archived")
        record = snapshot(copy).record("people")
        assert [state(code, record) for code in ("MLN-G101", "MLN-G103", "MLN-G105")] == ["not_applicable"] * 3

    def test_a_report_that_was_edited_is_an_error(self, copy):
        record = snapshot(copy).record("people")
        path = record.run.artifacts / "report/report.json"
        path.write_text(path.read_text().replace('"pass"', '"warn"', 1))
        for code in ("MLN-G101", "MLN-G201", "MLN-G202", "MLN-G203", "MLN-G204"):
            with pytest.raises(DataError, match="was changed after it was recorded"):
                check(code, snapshot(copy).record("people"))
        path.unlink()
        with pytest.raises(DataError, match="is gone"):
            check("MLN-G201", snapshot(copy).record("people"))


class TestUnknown:
    """A report that tells less, as an older version wrote it, leaves questions open and breaks nothing."""

    def record(self, copy, results: tuple[Result, ...] = (), **facts):
        with track("old", kind="train") as run:
            run.model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
            run.log(Report(kind="train", title="x", results=results, meta={"parts": {"train": facts}}))
        return snapshot(copy).record("old")

    def test_missing_facts_are_open(self, copy):
        record = self.record(copy, task="binary")
        assert {state(code, record) for code in RIGOUR} == {"todo"}

    @pytest.mark.parametrize("odd", ["x", True, -1.5, [], {}, None])
    def test_facts_of_another_type_are_open(self, copy, odd):
        names = ("split", "test_rows", "train_rows", "smallest_class", "dates", "task")
        record = self.record(copy, **dict.fromkeys(names, odd))
        assert {state(code, record) for code in RIGOUR} <= {"todo", "not_applicable", "fail"}

    def test_nothing_held_out_fails(self, copy):
        record = self.record(copy, split={"kind": "random"}, train_rows=100, test_rows=0)
        found = result("MLN-G201", record)
        assert found.status == "fail" and "No row was held out" in found.advice

    def test_files_elsewhere_are_open(self, copy):
        record = snapshot(copy).record("people, not stratified")
        away = dataclasses.replace(record, previous=dataclasses.replace(record.previous, artifacts=None))
        assert state("MLN-G104", away) == "todo"


def test_resources_are_shown_and_not_judged(taken):
    record = taken.record("wine")
    found = result("MLN-G102", record)
    assert found.status == "skipped" and found.value == record.run.metrics["mlnb.peak_memory_mb"] > 50
    files = sum(p.stat().st_size for p in record.model.artifacts.rglob("*") if p.is_file()) / 1e6
    assert found.evidence["files of the model, MB"] == pytest.approx(files) and "MB" in found.advice
    numbers = {"mlnb.peak_memory_mb": 549.4, "mlnb.duration_s": 9.728}
    known = dataclasses.replace(record, run=dataclasses.replace(record.run, metrics=numbers))
    told = " ".join(result("MLN-G102", known).advice.split())
    assert told.startswith("Training took 9.7 s and 549 MB of memory; the model's files are ") and told.endswith(" MB")


class TestMonitoring:
    def look(self, name: str = "wine", report: Report | None = None) -> str:
        good = Result(code="MLN-D001", title="x", status="pass", value=0.01)
        about = snapshot().record(name).run.id
        with track("look", kind="monitor") as run:
            made = report or Report(kind="monitor", title="w", summary="All is well. More.", results=(good,))
            run.log(made.with_meta(model_run=about))
        return run.id

    def test_none_fails(self, taken):
        found = result("MLN-G103", taken.record("wine"))
        assert found.status == "fail" and "Nobody has looked" in found.advice

    def test_a_real_look_passes_and_grows_old(self, copy, monkeypatch):
        wine = read_frame(load_wine(as_frame=True).frame)
        model = recall("wine")
        with track("look at wine", kind="monitor") as run:
            run.log(report_window(model, wine, wine.sample(120, random_state=0), names=("wine", "week 1")))
        record = snapshot(copy).record("wine")
        assert state("MLN-G103", record) in ("pass", "warn")
        self.look()
        before = result("MLN-G103", snapshot(copy).record("wine"))
        assert before.status == "pass" and before.value is None  # an age would end every signature overnight
        later = record.as_of + pd.Timedelta(days=34)
        monkeypatch.setenv("MLNB_NOW", later.isoformat())
        after = result("MLN-G103", snapshot(copy).record("wine"))
        assert after.status == "pass" and evidence_digest(after) == evidence_digest(before)
        monkeypatch.setenv("MLNB_NOW", (later + pd.Timedelta(days=2)).isoformat())
        found = result("MLN-G103", snapshot(copy).record("wine"))
        assert found.status == "fail" and "36 days old, and 35 are allowed" in found.advice
        assert found.advice.endswith(step("monitor", record))

    def test_what_was_signed_lapses_with_each_further_period(self, copy, monkeypatch):
        for _ in range(2):  # without any look, then with one that has grown old
            started = snapshot(copy).record("wine").as_of
            seen = []
            for days in (36, 41, 69, 71, 741):
                monkeypatch.setenv("MLNB_NOW", (started + pd.Timedelta(days=days)).isoformat())
                found = result("MLN-G103", snapshot(copy).record("wine"))
                assert found.status == "fail"
                seen.append(evidence_digest(found))
            assert seen[0] == seen[1] == seen[2] and len(set(seen)) == 3
            monkeypatch.delenv("MLNB_NOW")
            self.look()

    def test_a_look_that_found_something_warns(self, lived_in):
        found = result("MLN-G103", snapshot(lived_in).record())
        assert found.status == "warn" and found.advice.startswith("The last look failed: ")

    def test_a_look_that_broke_warns_while_an_earlier_one_counts(self, copy):
        about = snapshot(copy).record("wine").run.id
        for expected in ("fail", "warn"):
            with pytest.raises(ValueError, match="no data"), track("b", kind="monitor", tags={"mlnb.model_run": about}):
                raise ValueError("no data")
            found = result("MLN-G103", snapshot(copy).record("wine"))
            assert found.status == expected
            self.look()
        with pytest.raises(ValueError, match="no data"), track("b", kind="monitor", tags={"mlnb.model_run": about}):
            raise ValueError("no data")
        assert "The last look broke: ValueError: no data" in result("MLN-G103", snapshot(copy).record("wine")).advice


class TestWayBack:
    def test_a_whole_previous_model_passes(self, taken):
        record = taken.record("people, not stratified")
        assert record.previous and record.previous.id == taken.model("people").id
        found = result("MLN-G104", record)
        assert found.status == "pass" and found.evidence["model"] == record.previous.uri

    def test_the_first_has_none(self, taken):
        assert state("MLN-G104", taken.record("people")) == "not_applicable"

    @pytest.mark.parametrize("damage", ["gone", "changed", "MLmodel", "folder"])
    def test_damage_fails_and_is_named(self, copy, damage):
        record = snapshot(copy).record("people, not stratified")
        folder = record.previous.artifacts
        file = folder / ("MLmodel" if damage == "MLmodel" else "model.skops")
        if damage == "changed":
            file.write_bytes(file.read_bytes()[:-1] + b"?")
        elif damage == "folder":
            folder.rename(folder.parent / "elsewhere")
        else:
            file.unlink()
        found = result("MLN-G104", snapshot(copy).record("people, not stratified"))
        said = "is not the one that was recorded" if damage == "changed" else "is gone"
        assert found.status == "fail" and said in found.advice and record.previous.uri in found.advice

    def test_code_of_a_notebook_is_a_file_too(self, copy):
        record = snapshot(copy).record("people, not stratified")
        code = record.previous.artifacts / "code" / "mlnb_nb_1.py"
        code.parent.mkdir(exist_ok=True)
        code.write_text("x = 1\n")
        for text, expected in ((digest("x = 1\n"), "pass"), (digest("x = 2\n"), "fail"), ("", "pass")):
            write_mark(record.previous.id, "mlnb.code", json.dumps({"mlnb_nb_1": text}))
            assert state("MLN-G104", snapshot(copy).record("people, not stratified")) == expected
        for broken in ("{", "[1]", '"x"'):
            write_mark(record.previous.id, "mlnb.code", broken)
            assert state("MLN-G104", snapshot(copy).record("people, not stratified")) == "fail"

    def test_without_a_digest_it_is_open(self, copy):
        record = snapshot(copy).record("people, not stratified")
        write_mark(record.previous.id, "mlnb.sha256", "")
        assert state("MLN-G104", snapshot(copy).record("people, not stratified")) == "todo"


class TestCard:
    def keep(self, workspace, name: str = "people", *, whole: bool = True) -> str:
        filled = {f.key: "Said by a person." for f in FIELDS if f.source == "person"} if whole else {}
        with track("model_card", kind="model_card") as run:
            run.log(report_card(keep_card(build_card(snapshot(workspace).record(name), fields=filled), run)))
        return run.id

    def test_none_is_open_and_an_incomplete_one_too(self, copy):
        found = result("MLN-G105", snapshot(copy).record("people"))
        assert found.advice.endswith(step("model_card", snapshot(copy).record("people")))
        assert state("MLN-G105", snapshot(copy).record("people")) == "todo"
        kept = self.keep(copy, whole=False)
        found = result("MLN-G105", snapshot(copy).record("people"))
        assert found.status == "todo" and found.evidence["run"] == kept

    def test_a_whole_one_passes_until_the_record_says_something_else(self, copy):
        self.keep(copy)
        record = snapshot(copy).record("people")
        assert state("MLN-G105", record) == "pass"
        with track("look", kind="monitor") as run:
            good = Result(code="MLN-D001", title="x", status="pass", value=0.01)
            run.log(Report(kind="monitor", title="w", results=(good,), meta={"model_run": record.run.id}))
        found = result("MLN-G105", snapshot(copy).record("people"))
        assert found.status == "warn" and "was monitored" in found.advice  # only something new: the card is old

        with sqlite3.connect(copy.folder / "mlflow.db") as store:
            key = record.run.metric
            store.execute(
                "UPDATE latest_metrics SET value = 0.999 WHERE run_uuid = ? AND key = ?", (record.run.id, key)
            )
        found = result("MLN-G105", snapshot(copy).record("people"))
        assert found.status == "fail" and "0.999" in found.advice

    def test_a_model_that_was_changed_since_fails(self, copy):
        self.keep(copy)
        assert state("MLN-G105", snapshot(copy).record("people")) == "pass"
        file = snapshot(copy).record("people").model.artifacts / "model.skops"
        file.write_bytes(file.read_bytes() + b"!")
        found = result("MLN-G105", snapshot(copy).record("people"))
        assert found.status == "fail" and "The record contradicts itself: the file of model" in found.advice
        assert found.advice.endswith("Find out who changed it, or train again")

    def test_a_card_is_held_against_what_persons_write_since(self, copy):
        def write(field: str, value: str) -> None:
            model = snapshot(copy).record("people").model
            fill_field(model, field, value, name="Ada", role="owner", workspace=copy)

        for field in (f.key for f in FIELDS if f.source == "person"):
            write(field, "Said by Ada.")
        with track("model_card", kind="model_card") as run:
            run.log(report_card(keep_card(build_card(snapshot(copy).record("people")), run)))
        assert state("MLN-G105", snapshot(copy).record("people")) == "pass"
        write("contact", "risk@example.org")
        found = result("MLN-G105", snapshot(copy).record("people"))
        assert found.status == "warn" and "Filled since: contact" in found.advice
        assert found.advice.endswith(step("model_card", snapshot(copy).record("people")))
        write("contact", "Said by Ada.")
        assert state("MLN-G105", snapshot(copy).record("people")) == "pass"
        write("contact", "")
        found = result("MLN-G105", snapshot(copy).record("people"))
        assert found.status == "todo" and "Emptied since: contact" in found.advice

    def test_words_that_the_ledger_does_not_prove_are_open(self, copy):
        self.keep(copy)
        model = snapshot(copy).record("people").model
        forged = {"seq": 1, "field": "contact", "value": "x", "name": "A", "role": "B", "time": "", "hash": "0" * 64}
        write_mark(model.id, "mlnb.card.contact", json.dumps(forged))
        found = result("MLN-G105", snapshot(copy).record("people"))
        assert found.status == "todo" and "Not proved by the ledger: contact" in found.advice

    def test_an_edited_card_fails_though_the_record_is_the_same(self, copy):
        run = self.keep(copy)
        path = snapshot(copy).run(run).artifacts / "card/card.json"
        path.write_text(path.read_text().replace("Said by a person", "Said by nobody"))
        found = result("MLN-G105", snapshot(copy).record("people"))
        assert found.status == "fail" and "the stored card is gone, or was changed" in found.advice.lower()

    def test_a_stored_card_that_was_edited_is_no_measure(self, copy):
        run = self.keep(copy)
        with track("look", kind="monitor") as look:
            good = Result(code="MLN-D001", title="x", status="pass", value=0.01)
            about = snapshot(copy).record("people").run.id
            look.log(Report(kind="monitor", title="w", results=(good,), meta={"model_run": about}))
        path = snapshot(copy).run(run).artifacts / "card/card.json"
        path.write_text(path.read_text().replace("person", "parson"))
        assert state("MLN-G105", snapshot(copy).record("people")) == "fail"


def test_advice_names_the_run_of_the_model(taken):
    """Of an older model, a command without its run would act on the newest."""
    for name in ("people", "wine", "untold", "noise"):
        record = taken.record(name)
        said = [found.advice for code in CODES for found in [result(code, record)]]
        said += [str(build_card(record).to_text()), build_card(record).to_markdown(), build_card(record).to_html()]
        for text in said:
            steps = re.findall(r"mlnb run (?:model_card|evaluate|monitor)[^.;,<]{0,40}", " ".join(text.split()))
            assert all(f"-p model={record.run.short}" in one for one in steps), steps
        assert "mlnb run model_card" in said[CODES.index("MLN-G105")] and "mlnb run" in said[-1]
