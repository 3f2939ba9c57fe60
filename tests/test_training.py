"""Any table in, a fitted pipeline and honest decisions out; what cannot be learned from is one line."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import mean_absolute_error, roc_auc_score

from mlnb.core.errors import ArgumentError, DataError
from mlnb.core.result import Report, Status
from mlnb.data.dates import DATE_FORMS, date_form, parse_dates
from mlnb.data.flights import flights
from mlnb.training.features import label, prepare
from mlnb.training.fit import fit
from mlnb.training.leaks import column_scores, exact_sum
from mlnb.training.report import training_report
from mlnb.training.roles import counts_rows, infer_roles, named_id
from mlnb.training.split import Split, make_split, times

pytestmark = pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning", "error::FutureWarning")


def auc(trained, rows=None):
    rows = trained.test if rows is None else rows
    chance = trained.pipeline.predict_proba(rows)[:, 1]
    return roc_auc_score(rows[trained.target] == trained.task.positive, chance)


def message(call, *args, **kwargs) -> str:
    with pytest.raises(DataError) as caught:
        call(*args, **kwargs)
    text = str(caught.value)
    assert "\n" not in text and caught.value.hint
    return text


def leaks_of(trained) -> list[str]:
    return [str(r.subject) for r in trained.leaks if r.status == Status.WARN]


def mixed(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """A table with everything that a user's file has."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "customer_id": [f"C-{i:06d}" for i in rng.permutation(10 * rows)[:rows]],
            "row": np.arange(rows),
            "age": rng.integers(18, 90, rows).astype(float),
            "income": [f"{v:.2f}" for v in rng.lognormal(10, 1, rows)],
            "joined": pd.to_datetime("2019-01-01") + pd.to_timedelta(rng.integers(0, 2000, rows), "D"),
            "city": rng.choice(["Cork", "Bern", "Kyoto"], rows),
            "code": rng.choice(np.array(["A", 7, 7.5, None], dtype=object), rows),
            "member": rng.choice(np.array([True, False, None], dtype=object), rows),
            "note": [f"{rng.choice(['fine', 'broken', 'late'])} order of ticket {i} came today" for i in range(rows)],
            "empty": np.nan,
            "country": "IE",
            "spent": rng.normal(0, 1, rows),
            "basket": [["tea"]] * rows,
        }
    )
    score = (frame["age"] - 50) / 20 + (frame["city"] == "Bern") + 2 * frame["note"].str.startswith("broken")
    frame["churned"] = np.where(score + rng.normal(0, 0.5, rows) > 1, "yes", "no")
    frame["joined"] = frame["joined"].dt.strftime("%d/%m/%Y")
    frame.loc[rng.random(rows) < 0.1, ["age", "city", "note"]] = None
    frame.loc[rng.random(rows) < 0.05, "churned"] = None
    return frame


class TestRealData:
    def test_adult(self, adult):
        trained = fit(adult, target="income-per-year")
        assert trained.task.kind == "binary" and auc(trained) >= 0.90
        assert leaks_of(trained) == [] and len(trained.roles.used) == 13

    def test_bike_by_time_beats_the_same_hour_mean(self, bike):
        trained = fit(bike, target="cnt", time="dteday", drop=["casual", "registered"])
        train, test = trained.train, trained.test
        assert pd.to_datetime(train["dteday"]).max() < pd.to_datetime(test["dteday"]).min()
        assert trained.roles["instant"].role == "id" and trained.task.kind == "regression"
        same_hour = test["hr"].map(train.groupby("hr")["cnt"].mean())
        error = mean_absolute_error(test["cnt"], trained.pipeline.predict(test))
        assert error < 0.5 * mean_absolute_error(test["cnt"], same_hour)
        assert error < mean_absolute_error(test["cnt"], trained.baseline.predict(test))
        assert leaks_of(trained) == []

    @pytest.mark.parametrize("time", [None, "dteday"])
    def test_bike_parts_of_the_target_are_named(self, bike, time):
        trained = fit(bike, target="cnt", time=time)
        assert leaks_of(trained) == ["casual + registered"]
        [leak] = [r for r in trained.leaks if r.status == Status.WARN]
        assert leak.evidence["weights"] == pytest.approx({"casual": 1, "registered": 1})
        assert "drop=casual,registered" in leak.advice
        assert training_report(trained).status == Status.WARN

    def test_flights(self):
        trained = fit(flights(), target="late", time="time_hour")
        assert trained.test["time_hour"].min() > trained.train["time_hour"].max()
        quiet, july = auc(trained, flights("quiet")), auc(trained, flights("july"))
        assert auc(trained) > 0.70 and quiet > 0.75 and 0.70 < july < quiet

    @pytest.mark.parametrize(("load", "kind"), [(load_wine, "multiclass"), (load_diabetes, "regression")])
    def test_small(self, load, kind):
        trained = fit(load(as_frame=True).frame, target="target")
        assert trained.task.kind == kind and "cross-validation" in trained.why and leaks_of(trained) == []
        score = trained.pipeline.score(trained.test, trained.test["target"])
        assert score > {"multiclass": 0.9, "regression": 0.3}[kind]


class TestAnyTable:
    @pytest.mark.parametrize("time", [None, "joined"])
    def test_mixed(self, time):
        frame = mixed()
        trained = fit(frame, target="churned", time=time)
        roles = {c.name: c.role for c in trained.roles.columns}
        assert roles == {
            "customer_id": "id",
            "row": "id",
            "age": "numeric",
            "income": "numeric",
            "joined": "date",
            "city": "categorical",
            "code": "categorical",
            "member": "numeric",
            "note": "text",
            "empty": "dropped",
            "country": "constant",
            "spent": "numeric",
            "basket": "dropped",
        }
        assert trained.unused_rows == frame["churned"].isna().sum()
        assert len(trained.train) + len(trained.test) + trained.unused_rows == len(frame)
        assert auc(trained) > 0.8

    @pytest.mark.parametrize("rows", [400, 2500])
    def test_a_stored_pipeline_takes_raw_rows_in_a_fresh_process(self, tmp_path, rows):
        frame = mixed(rows)
        trained = fit(frame, target="churned")
        path = tmp_path / "model.skops"
        skops.io.dump(trained.pipeline, path)
        untrusted = skops.io.get_untrusted_types(file=path)
        allowed = ("mlnb.training.features.prepare", "functools.partial", "numpy.", "sklearn.")
        assert all(kind.startswith(allowed) for kind in untrusted)
        rows_out = frame.drop(columns=["churned", "basket", "code", "member"]).assign(code="new", member=None)
        rows_out.to_json(tmp_path / "raw.jsonl", orient="records", lines=True)
        code = (
            "import sys, json, skops.io; from mlnb.data.frames import read_frame;"
            "model = skops.io.load(sys.argv[1], trusted=json.loads(sys.argv[3]));"
            "print(json.dumps(model.predict_proba(read_frame(sys.argv[2])).tolist()))"
        )
        argv = [sys.executable, "-c", code, str(path), str(tmp_path / "raw.jsonl"), json.dumps(untrusted)]
        there = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
        np.testing.assert_allclose(there, trained.pipeline.predict_proba(rows_out), rtol=1e-9)

    def test_new_rows_may_be_strange(self):
        trained = fit(mixed(), target="churned")
        row = trained.test.head(3).copy()
        row["city"], row["age"], row["note"] = "Atlantis", "not said", None
        row["joined"], row["income"] = "no date", np.inf
        assert set(trained.pipeline.predict(row)) <= {"yes", "no"}
        shuffled = row[row.columns[::-1]].assign(extra=1)
        assert np.array_equal(trained.pipeline.predict_proba(shuffled), trained.pipeline.predict_proba(row))
        one = {name: [value] for name, value in row.iloc[0].items() if name != "churned"}
        assert trained.pipeline.predict(one).shape == (1,)
        lost = row.drop(columns="city").rename(columns={"age": "aged"})
        assert "'age'" in message(trained.pipeline.predict, lost)

    @pytest.mark.parametrize("kind", ["float", "Int64", "category", "bool", "object", "string[pyarrow]"])
    def test_targets_of_any_dtype(self, kind):
        rng = np.random.default_rng(1)
        x = rng.normal(size=200)
        target = pd.Series((x + rng.normal(0, 0.3, 200) > 0).astype(int))
        if kind == "float":
            target = target.astype(float).where(rng.random(200) > 0.1)
        elif kind in ("category", "object", "string[pyarrow]"):
            target = target.map({0: "no", 1: "yes"}).astype(kind)
        else:
            target = target.astype(kind)
        trained = fit(pd.DataFrame({"x": x, "y": target}), target="y")
        expected = {"float": [0, 1], "Int64": [0, 1], "bool": [False, True]}.get(kind, ["no", "yes"])
        assert trained.pipeline.classes_.tolist() == expected and trained.task.kind == "binary"

    def test_many_categories_and_strange_names(self):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(
            {"a b\n": rng.integers(0, 600, 3000).astype(str), 3: rng.normal(size=3000), "": rng.normal(size=3000)}
        )
        frame["a b\n"] = "k" + frame["a b\n"]
        frame["y"] = frame[3] + frame["a b\n"].str.len()
        trained = fit(frame, target="y")
        assert np.array_equal(trained.pipeline.predict(frame), trained.pipeline.predict(frame.rename(columns=str)))
        assert trained.roles["a b\n"].role == "categorical" and len(trained.roles.used) == 3
        assert np.isfinite(trained.pipeline.predict(trained.test)).all()

    def test_arrow_types_and_a_doubled_index(self):
        frame = mixed().drop(columns=["code", "basket", "member"])
        arrow = pa.Table.from_pandas(frame).to_pandas(types_mapper=pd.ArrowDtype).assign(odd=1j, big=2**70)
        arrow.index = np.arange(len(arrow)) % 5
        trained = fit(arrow, target="churned", time="joined", drop="spent, income")
        assert trained.roles["odd"].role == trained.roles["income"].role == "dropped"
        assert auc(trained) > 0.8

    def test_task_can_be_asked_for(self):
        wine = load_wine(as_frame=True).frame
        assert fit(wine, target="target", task="regression").task.kind == "regression"
        counts = pd.DataFrame({"x": np.arange(300) % 7 + 0.5, "y": np.arange(300) % 30})
        assert fit(counts, target="y").task.kind == "regression"
        assert fit(counts, target="y", task="classification").task.kind == "multiclass"
        with pytest.raises(ArgumentError):
            fit(wine, target="target", task="clustering")

    def test_a_singleton_class_is_learned_only(self):
        frame = pd.DataFrame({"x": np.arange(90.0) ** 2, "y": ["a", "b", "c"] * 29 + ["a", "b", "odd"]})
        trained = fit(frame, target="y")
        assert "odd" in set(trained.train["y"]) and "odd" not in set(trained.test["y"])

    def test_same_seed_same_model(self):
        one, two = (fit(mixed(), target="churned", seed=5) for _ in range(2))
        assert np.array_equal(one.pipeline.predict_proba(one.test), two.pipeline.predict_proba(two.test))
        assert not one.test.index.equals(fit(mixed(), target="churned", seed=6).test.index)

    def test_global_randomness_is_left_alone(self):
        np.random.seed(1)
        before = np.random.get_state()[1].copy()
        fit(mixed(), target="churned")
        assert np.array_equal(before, np.random.get_state()[1])


class TestRefusals:
    frame = pd.DataFrame(
        {"x": np.arange(60.0) ** 1.5, "day": pd.date_range("2024-01-01", periods=60), "y": [0, 1] * 30}
    )

    def cases(self):
        frame = self.frame
        one_each = pd.Series(["a"] * 58 + ["b", "c"])
        return {
            "Did you mean 'day'?": (frame, {"target": "dya"}),
            "no column 'tme'": (frame, {"target": "y", "time": "tme"}),
            "no column 'xx'": (frame, {"target": "y", "drop": ["xx"]}),
            "is the target": (frame, {"target": "y", "drop": ["y"]}),
            "several columns named 'x'": (
                pd.DataFrame(np.eye(30), columns=["x", "x", *range(27), "y"]),
                {"target": "y"},
            ),
            "one row": (frame.head(1), {"target": "y"}),
            "no value in any row": (frame.head(0), {"target": "y"}),
            "usable rows": (frame.head(12), {"target": "y"}),
            "always": (frame.assign(y=1), {"target": "y"}),
            "target 'y'": (frame.assign(y=None), {"target": "y"}),
            "target 'y' ": (frame.assign(y=np.nan), {"target": "y"}),
            "in one row only": (frame.assign(y=one_each), {"target": "y"}),
            "no column is left": (frame.assign(x=1.0)[["x", "y"]], {"target": "y"}),
            "no column is left ": (frame[["y"]], {"target": "y"}),
            "holds times": (frame, {"target": "day"}),
            "no dates or numbers": (frame.assign(day="soon"), {"target": "y", "time": "day"}),
            "the same": (frame.assign(day=pd.Timestamp("2024-01-01")), {"target": "y", "time": "day"}),
            "training rows have": (frame.assign(y=[0] * 50 + [1] * 10), {"target": "y", "time": "day"}),
            "mixes text and numbers": (frame.assign(y=pd.Series(["a", 1] * 30)), {"target": "y"}),
            "no finite numbers": (frame.assign(y=[np.inf, *np.linspace(0, 1, 59)]), {"target": "y"}),
            "the split was made on": (frame, {"target": "y", "split": Split("random", "y", 0.2, rows=7)}),
        }

    def test_each(self):
        for expected, (frame, arguments) in self.cases().items():
            assert expected.strip() in message(fit, frame, **arguments), expected


class TestRoles:
    def role(self, values, name="x"):
        frame = pd.DataFrame({name: values, "y": 0})
        return infer_roles(frame, target="y")[name]

    @pytest.mark.parametrize("form", [f for f in DATE_FORMS if f != "ISO8601"])
    def test_dates_in_text(self, form):
        dates = pd.Series(pd.date_range("2020-01-17 03:30", periods=50, freq="41D"))
        text = dates.dt.strftime(form)
        found = date_form(text)
        parsed = parse_dates(text, found)
        assert parsed.dt.normalize().tolist() == dates.dt.normalize().tolist()
        role = self.role(text.where(text.index != 3))
        assert role.role == "date" and {"days", "month"} <= set(role.parts)

    @pytest.mark.parametrize("values", [["2024-01-05 10:00:00+02:00"], ["2024-01-05T08:00:00Z"], ["2024-01-05 08:00"]])
    def test_iso_with_and_without_zone(self, values):
        assert parse_dates(pd.Series(values), date_form(pd.Series(values)))[0] == pd.Timestamp("2024-01-05 08:00")

    @pytest.mark.parametrize(
        "values", [["1.5", "2"], ["2024"], ["12-34"], ["A-1"], ["192.168.1.10"], ["10:30"], [None]]
    )
    def test_no_dates(self, values):
        assert date_form(pd.Series(values)) == ""

    def test_numbers_in_text(self):
        values = [str(v) for v in np.linspace(0, 3, 50)]
        assert self.role(values).role == "numeric"
        assert "2.0%" in self.role(["?", *values[1:]]).reason
        assert self.role([f"{i:05d}" for i in range(25)] * 2).role == "categorical"
        assert self.role(pd.Categorical([1, 2] * 25)).role == "categorical"

    def test_identifiers(self):
        rng = np.random.default_rng(0)
        assert self.role([f"{v:x}" for v in rng.integers(2**40, 2**60, 50)]).role == "id"
        assert self.role(rng.integers(1, 6, 50), "station_id").role == "categorical"
        assert self.role(rng.integers(1, 10**6, 50), "passengerId").role == "id"
        assert self.role(rng.integers(1, 10**6, 50), "price").role == "numeric"
        assert self.role(rng.permutation(50)).role == "id"
        assert self.role([f"Mrs. Number {i}" for i in range(50)]).role == "text"
        assert not named_id("humid") and not counts_rows(pd.Series([1.5, 2.5]))

    def test_reasons_are_sentences(self):
        roles = infer_roles(mixed(), target="churned", drop=["spent"])
        assert all(role.reason and "\n" not in role.reason for role in roles.columns)
        assert roles["spent"].reason == "left out on request"

    def test_time_offers_only_parts_seen_whole(self):
        short = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=80, freq="D"), "y": 0})
        assert infer_roles(short, target="y", time="t")["t"].parts == ("weekday",)
        long = pd.DataFrame({"t": pd.date_range("2020-01-01", periods=800, freq="25h"), "y": 0})
        assert infer_roles(long, target="y", time="t")["t"].parts == ("month", "day", "weekday", "hour")
        assert "days" in infer_roles(short, target="y")["t"].parts
        years = pd.DataFrame({"t": np.repeat([2019, 2020, 2021], 20), "y": 0})
        assert infer_roles(years, target="y", time="t")["t"].role == "dropped"


class TestSplit:
    def test_random_is_stratified_and_covers(self):
        frame = pd.DataFrame({"y": ["a"] * 80 + ["b"] * 15 + [None] * 5})
        split = make_split(frame, target="y", stratified=True)
        train, test = split.train_rows(frame), split.test_rows(frame)
        assert test["y"].value_counts().to_dict() == {"a": 16, "b": 3}
        assert sorted([*train.index, *test.index]) == list(range(95))

    def test_time_ties_stay_together_and_unordered_rows_are_found(self):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(
            {"day": rng.integers(0, 10, 500), "y": rng.normal(size=500)}, index=rng.integers(0, 9, 500)
        )
        split = make_split(frame, target="y", time="day", test_share=0.25)
        assert split.train_rows(frame)["day"].max() < split.test_rows(frame)["day"].min()
        later = frame.assign(day=frame["day"] + 100)
        assert len(split.test_rows(later)) == 500

    def test_most_rows_at_the_first_moment(self):
        frame = pd.DataFrame({"day": ["2024-01-01"] * 95 + ["2024-01-02"] * 5, "y": range(100)})
        split = make_split(frame, target="y", time="day")
        assert len(split.test_rows(frame)) == 5

    @pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
    def test_zones_and_missing_times(self, zone):
        day = pd.Series(pd.date_range("2024-01-01", periods=100, freq="h", tz=zone)).where(np.arange(100) % 10 != 0)
        frame = pd.DataFrame({"day": day, "y": range(100)})
        split = make_split(frame, target="y", time="day")
        again = Split.from_dict(json.loads(json.dumps(split.to_dict())))
        assert len(again.train_rows(frame)) + len(again.test_rows(frame)) == 90
        assert times(day).dt.tz is None
        assert "not a split" in message(Split.from_dict, {"kind": "time", "odd": 1})


class TestLeaks:
    def test_column_that_gives_it_away(self):
        frame = mixed(600)
        frame["refund"] = np.where(frame["churned"] == "yes", frame["age"].fillna(1), 0)
        assert leaks_of(fit(frame, target="churned")) == ["refund"]
        frame["state"] = frame["churned"].map({"yes": "closed", "no": "open"})
        assert leaks_of(fit(frame, target="churned", drop=["refund"])) == ["state"]

    def test_sums_differences_and_honest_neighbours(self):
        rng = np.random.default_rng(0)
        numbers = pd.DataFrame({name: rng.normal(size=300) for name in "abcd"})
        target = (3 * numbers["a"] - numbers["c"] + 7).to_numpy()
        assert exact_sum(numbers, target)[1] == pytest.approx({"a": 3, "c": -1})
        assert exact_sum(numbers, target + rng.normal(0, 0.1, 300)) is None
        assert exact_sum(numbers.head(5), target[:5]) is None

    def test_noise_is_not_suspected(self):
        rng = np.random.default_rng(0)
        for kind in ("binary", "multiclass", "regression"):
            ready = pd.DataFrame({f"x{i}": rng.normal(size=500) for i in range(20)})
            target = (
                rng.normal(size=500) if kind == "regression" else rng.integers(0, 2 if kind == "binary" else 4, 500)
            )
            assert max(column_scores(ready, target, kind).values()) < 0.75


def test_report_reads_back_and_names_decisions():
    report = training_report(fit(mixed(), target="churned", drop=["spent"]))
    assert Report.from_json(report.to_json()) == report
    found = {r.code: r for r in report.results}
    assert set(found) == {"MLN-R001", "MLN-R002", "MLN-R003", "MLN-R004", "MLN-R005", "MLN-R006", "MLN-L004"}
    assert found["MLN-R001"].advice.startswith("binary") and found["MLN-R004"].status == Status.WARN
    assert report.ok and "churned" in report.summary and len(report.tables[1].rows) == 13
    assert ("spent", "dropped", "left out on request") in report.tables[1].rows
    assert report.meta["split"]["kind"] == "random" and report.to_html() and report.to_text()


def test_labels_read_the_same_however_they_are_stored():
    assert [label(v) for v in (7, 7.0, "7", 7.5, True)] == ["7", "7", "7", "7.5", "True"]
    columns = [("s", "categorical", "", ())]
    for values in ([7, 8], [7.0, 8.0], ["7", "8"], pd.Categorical([7, 8]), pd.array([7, 8], dtype="Int64")):
        assert prepare(pd.DataFrame({"s": values}), columns=columns)["s"].tolist() == ["7", "8"]


def test_modules_import_nothing_heavy():
    code = "import sys, mlnb.training.report; print(*{'pandas', 'sklearn', 'skops', 'scipy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_fitting_warns_of_nothing(adult):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(adult.head(3000), target="income-per-year")
        fit(mixed(), target="churned")


def test_labels_that_hardly_repeat_are_no_category():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"price": [f"{v // 10},{v % 10}" for v in rng.permutation(380)] + ["1,5"] * 120})
    frame["city"], frame["y"] = rng.choice(["Cork", "Bern"], 500), rng.normal(size=500)
    roles = infer_roles(frame, target="y")
    assert roles["price"].role == "dropped" and roles["price"].reason.startswith("380 different labels in 500 rows")
    assert roles["city"].reason == "2 labels that repeat"


def heavy(seed: int, rows: int = 900) -> pd.DataFrame:
    """Revenue with a long tail."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=rows, freq="D").strftime("%Y-%m-%d")})
    frame["price"], frame["qty"] = rng.lognormal(3, 0.8, rows).round(2), rng.integers(1, 20, rows)
    return frame.assign(revenue=frame["price"] * frame["qty"] * rng.lognormal(0, 1.2, rows))


@pytest.mark.parametrize("seed", range(3))
def test_a_long_tail_is_learned_better_than_the_median(seed):
    trained = fit(heavy(seed), target="revenue", time="day")
    actual = trained.test["revenue"]
    median = np.full(len(actual), trained.train["revenue"].median())
    assert mean_absolute_error(actual, trained.pipeline.predict(trained.test)) < mean_absolute_error(actual, median)
    assert trained.family == "trees" and trained.why.startswith("gradient boosted trees that follow the absolute error")
    assert "mean absolute error" in trained.why and "a linear model" in trained.why


def test_small_regression_is_as_good_as_before():
    trained = fit(load_diabetes(as_frame=True).frame, target="target")
    said = trained.pipeline.predict(trained.test)
    assert mean_absolute_error(trained.test["target"], said) < 43.4 and trained.family == "linear"


def test_rare_classes_are_named():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=203), "y": ["a", "b"] * 100 + ["c", "d", "d"]})
    report = training_report(fit(frame, target="y"))
    found = {r.code: r for r in report.results}
    assert found["MLN-R006"].status == Status.WARN and found["MLN-R006"].value == 2
    assert found["MLN-R006"].advice.startswith("Fewer than 5 rows: 'c' (1), 'd' (2);")
    assert found["MLN-R002"].advice == "" and "Columns used" not in dict(report.tables[0].rows)
    plenty = training_report(fit(frame.head(200), target="y")).results
    assert next(r for r in plenty if r.code == "MLN-R006").status == Status.PASS
    numbers = training_report(fit(heavy(0, 100), target="revenue")).results
    assert next(r for r in numbers if r.code == "MLN-R006").status == Status.NOT_APPLICABLE
