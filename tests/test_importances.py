"""What a model leans on is stored with it, and decides which drift is a reason to train again."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

import mlnb
from mlnb.core.errors import DataError
from mlnb.data.importances import Importances
from mlnb.data.profile import checksum, load_profile, merge_all, profile_from_json
from mlnb.pipelines.known import known_importances, reference_profile
from mlnb.pipelines.trained import recall
from mlnb.tracking.profiles import stored_profile
from mlnb.tracking.run import track
from mlnb.training.fit import fit
from mlnb.training.importance import effort, permuted


def years(bike):
    table = bike.drop(columns=["instant", "casual", "registered"])
    day = table["dteday"].astype(str)
    return table[day < "2012-01-01"], table[(day >= "2012-07-01") & (day < "2012-08-01")]


@pytest.fixture(scope="module")
def hires(bike):
    """A model of the hires of 2011 with what it leans on, its table, and July 2012."""
    year, july = years(bike)
    trained = fit(year, target="cnt")
    return trained, permuted(trained, seed=4), year, july


def by_hand(trained, rows, names, repeats, seed):
    """Mean absolute error lost, shuffling raw columns in the order that scikit-learn documents."""
    truth = rows["cnt"].to_numpy(float)

    def error(frame):
        return np.abs(trained.pipeline.predict(frame) - truth).mean()

    features = rows[[column.name for column in trained.roles.used]]
    base = error(features)
    lost = {}
    start = np.random.RandomState(seed).randint(np.iinfo(np.int32).max + 1)
    for name in names:
        order, state = np.arange(len(rows)), np.random.RandomState(start)
        losses, values = [], features[name].to_numpy()
        for _ in range(repeats):
            state.shuffle(order)
            values = values[order]
            losses.append(error(features.assign(**{name: values})) - base)
        lost[name] = np.mean(losses)
    return lost


def test_importances_are_those_of_raw_columns_shuffled_on_held_out_rows(hires):
    trained, found, *_ = hires
    assert found.metric == "mae" and set(found.loss) == {c.name for c in trained.roles.used}
    assert (found.rows, found.repeats) == (len(trained.test), 5) and found.rows < 2000
    expected = by_hand(trained, trained.test, ["hr", "mnth"], 5, 4)
    assert found.loss["hr"] == pytest.approx(expected["hr"], rel=1e-9)
    assert found.loss["mnth"] == pytest.approx(expected["mnth"], abs=1e-9)
    assert next(iter(found.weights)) == "hr" and found.loss["hr"] > 50


def marked(report):
    return {str(r.subject) for r in report.results if "retrain_above" in r.evidence}


def psi(report):
    return {str(r.subject): r.value for r in report.results if r.method == "psi" and r.value is not None}


@pytest.fixture
def stored(hires, bare_workspace):
    """That model in a store, with its profile."""
    trained, found, year, july = hires
    with track("train", kind="train", workspace=bare_workspace) as run:
        run.model(trained.pipeline, example=trained.train.head())
        run.profile(reference_profile(trained, year, importances=found))
    return run.id, found, year, july


def test_the_ten_that_count_are_a_reason_to_retrain(stored):
    run, found, _, july = stored
    ranked = list(found.weights)
    outside = "mnth"
    assert ranked.index("season") < 10 <= ranked.index(outside)
    report = mlnb.drift(f"runs:/{run}", july)
    moved = psi(report)
    assert moved["season"] > 0.2 and moved["temp"] > 0.2 and moved[outside] > 0.2
    assert {"season", "temp"} <= marked(report) and outside not in marked(report)
    assert all(r.status == "fail" for r in report.results if (r.subject, r.method) == (outside, "psi"))
    whole = report.results[0]
    said = f"importances of run {run[:8]}, stored with the model"
    assert whole.evidence["importance"] == said == report.meta["importances"]
    judged = list(whole.evidence["weights"])
    total = sum(max(0, found.loss.get(c, 0)) for c in judged)
    drifted = sum(max(0, found.loss.get(c, 0)) for c in whole.evidence["drifted"])
    assert whole.value == pytest.approx(drifted / total)
    alone = mlnb.drift(f"runs:/{run}", july, columns=outside)  # its place does not depend on the company
    assert marked(alone) == set() and psi(alone)[outside] == moved[outside]


def test_given_weights_win_and_a_profile_without_any_behaves_as_before(stored, tmp_path):
    run, _, year, july = stored
    kept = stored_profile(f"runs:/{run}")
    given = mlnb.drift(kept, july, weights={"mnth": 1.0, "temp": 0.5})
    assert marked(given) == {"mnth", "temp"} and given.meta["importances"] == "importances that were given"
    bare = mlnb.profile(year).save(tmp_path / "year.json")
    plain = mlnb.drift(str(bare), july)
    assert "mnth" in marked(plain) and plain.meta["importances"] == "no importances given: every feature counts"
    assert "weights" not in plain.results[0].evidence
    by_table = mlnb.drift(year, july, weights=kept.importances)  # the same importances beside the raw table
    assert {"season", "temp"} <= marked(by_table) and "mnth" not in marked(by_table)
    assert by_table.meta["importances"] == f"importances of run {run[:8]}, stored with the model"


@pytest.mark.parametrize("loss", [{"mnth": -0.5, "temp": 0.0}, {}])
def test_importances_without_a_positive_one_are_none(hires, loss):
    *_, year, july = hires
    kept = mlnb.profile(year)
    none = Importances(loss, dict.fromkeys(loss, 0.0), "mae", 500, 5)
    object.__setattr__(kept, "importances", none)
    report = mlnb.drift(kept, july, columns="mnth,temp")
    assert marked(report) == {"mnth", "temp"} and "every feature counts" in report.meta["importances"]


def test_on_disk_old_files_and_merging(hires, tmp_path):
    trained, found, year, july = hires
    kept = reference_profile(trained, year, importances=found)
    again = load_profile(kept.save(tmp_path / "kept.json"))
    assert again.importances == found and again == kept and again.importances.weights == found.weights
    stored = json.loads(kept.to_json())
    stored.pop("importances")  # as files were before
    old = profile_from_json(json.dumps({**stored, "sha256": checksum(stored)}))
    assert old == kept and old.importances is None
    assert merge_all([kept, again]).importances == found  # all parts have the same
    assert merge_all([kept, mlnb.profile(july.drop(columns="dteday"), like=kept)]).importances is None
    assert kept.subtract(kept.select([])).importances == found and kept.select(["hr"]).importances == found
    for wrong in ([], {"columns": {"hr": ["1.5"]}}, {**found.to_dict(), "columns": {"hr": ["nan", "0x0p+0"]}}):
        stored["importances"] = wrong
        with pytest.raises(DataError, match="the profile is damaged"):
            profile_from_json(json.dumps({**stored, "sha256": checksum(stored)}))


def test_wide_tables_cost_no_more():
    for columns in (1, 12, 16, 17, 40, 41, 80, 100):
        rows, repeats = effort(columns)
        assert rows * repeats * columns <= 2000 * 80 and repeats >= 1
    wide = SimpleNamespace(roles=SimpleNamespace(used=[SimpleNamespace(name=f"c{i}") for i in range(101)]))
    assert permuted(wide) is None


def test_the_templates_keep_and_use_them(lived):
    """The demo, trained and watched by the templates: nobody had to say anything."""
    trained = recall()
    kept = stored_profile(f"runs:/{trained.run_id}")
    assert kept.importances is not None and kept.importances.run == trained.run_id
    assert (kept.importances.rows, kept.importances.repeats) == (2000, 5)  # of 12,496 that were held out
    assert kept.origin is None  # the demo's table is no file: no path is stored
    assert set(kept.importances.loss) == set(trained.facts["features"])
    chart = next(c for c in trained.report.charts if "when a column is shuffled" in c.title)
    assert chart.data["labels"][0] == next(iter(kept.importances.weights))
    assert known_importances(trained, kept) == kept.importances
    july = mlnb.data.frames.read_frame("demo:flights/july")
    report = mlnb.drift(f"models:/{trained.model_id}", july)
    assert report.meta["importances"] == f"importances of run {trained.run_id[:8]}, stored with the model"
