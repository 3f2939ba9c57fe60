"""Evaluation: values against scikit-learn and SciPy, coverage of intervals, verdicts, and what bad input is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers_work import calls_of
from scipy import special, stats
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve as sk_curve
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC

from mlnb.core.checks import all_checks, check
from mlnb.core.errors import ArgumentError, DataError, MLNBError
from mlnb.core.result import Report, Status
from mlnb.core.settings import load_settings
from mlnb.evaluation import intervals as iv
from mlnb.evaluation.calibration import best_threshold, calibration_curve, chance_of_error, threshold_table
from mlnb.evaluation.comparison import Baseline, Sampling, baselines, by_chance, compare, metric_interval
from mlnb.evaluation.judgement import CODES
from mlnb.evaluation.metrics import METRICS, Outcome, choose_metric
from mlnb.evaluation.report import evaluate
from mlnb.evaluation.task import Task, infer_task

SETTINGS = load_settings(environ={})
TARGET = "income-per-year"


def ev(model, data, target="y", **options) -> Report:
    return evaluate(model, data, target=target, settings=SETTINGS, **options)


def by_code(report: Report, code: str):
    return [r for r in report.results if r.code == code]


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=1e-14)


# ---------------------------------------------------------------- values


def outcomes():
    """Binary and multiclass outcomes of several sizes, with ties, rare classes and certain predictions."""
    for n, share, seed in ((7, 0.4, 0), (200, 0.3, 1), (5000, 0.03, 2), (100_000, 0.5, 3)):
        rng = np.random.default_rng(seed)
        truth = (rng.random(n) < share).astype(int)
        truth[:2] = 0, 1
        risk = special.expit(rng.normal(size=n) + 2 * truth - 1)
        for p in (risk, np.round(risk, 1)):
            yield Outcome(truth, (p >= 0.5).astype(int), 2, p)
        truth = rng.choice(4, n, p=[0.5, 0.3, 0.19, 0.01])
        truth[:4] = range(4)
        p = rng.dirichlet(np.ones(4), n) * 0.6 + 0.4 * np.eye(4)[truth]
        yield Outcome(truth, p.argmax(axis=1), 4, p)


REFERENCE = {
    "f1": lambda o: sk.f1_score(o.truth, o.predicted),
    "macro_f1": lambda o: sk.f1_score(o.truth, o.predicted, average="macro"),
    "precision": lambda o: sk.precision_score(o.truth, o.predicted, zero_division=0),
    "recall": lambda o: sk.recall_score(o.truth, o.predicted),
    "accuracy": lambda o: sk.accuracy_score(o.truth, o.predicted),
    "balanced_accuracy": lambda o: sk.balanced_accuracy_score(o.truth, o.predicted),
    "log_loss": lambda o: sk.log_loss(o.truth, o.probability),
}


@pytest.mark.parametrize("o", outcomes(), ids=lambda o: f"{o.classes} classes, {len(o.truth)} rows")
def test_values_are_those_of_scikit_learn(o):
    kind = "binary" if o.classes == 2 else "multiclass"
    for name, metric in METRICS.items():
        if kind not in metric.tasks:
            continue
        if name in REFERENCE:
            close(metric.compute(o), REFERENCE[name](o))
        if metric.from_cells:
            close(metric.from_cells(o.confusion), metric.compute(o))
        if metric.losses:
            close(metric.losses(o).mean(), metric.compute(o))
    np.testing.assert_array_equal(o.confusion, sk.confusion_matrix(o.truth, o.predicted, labels=range(o.classes)))


def auc_by_pairs(truth, score):
    up, down = score[truth == 1][:, None], score[truth == 0][None]
    return float(((up > down) + (up == down) / 2).mean())


def test_ranking_metrics_by_independent_formulas():
    for o in outcomes():
        if o.classes == 2 and len(o.truth) < 10_000:
            close(METRICS["roc_auc"].compute(o), auc_by_pairs(o.truth, o.probability))
            close(iv._auc_moves(o.truth, o.probability)[0], auc_by_pairs(o.truth, o.probability))
            close(METRICS["brier"].compute(o), np.mean((o.probability - o.truth) ** 2))
        if o.classes == 2 and len(np.unique(o.probability)) <= 2 * iv.PLACES:
            close(
                iv.average_precision_of(iv.rank_cells(o.truth, o.probability)),
                sk.average_precision_score(o.truth, o.probability),
            )
        if o.classes == 4:
            each = [auc_by_pairs((o.truth == c).astype(int)[:5000], o.probability[:5000, c]) for c in range(4)]
            if len(o.truth) <= 5000:
                close(METRICS["roc_auc"].compute(o), np.mean(each))
            close(METRICS["brier"].compute(o), np.mean(((o.probability - np.eye(4)[o.truth]) ** 2).sum(1)) / 2)


def test_many_scores_are_counted_almost_exactly():
    o = next(o for o in outcomes() if len(o.truth) == 100_000)
    counted = float(iv.average_precision_of(iv.rank_cells(o.truth, o.probability)))
    assert abs(counted - METRICS["average_precision"].compute(o)) < 2e-3


@pytest.mark.parametrize("n", [2, 3, 1000])
def test_numbers(n):
    rng = np.random.default_rng(n)
    truth = rng.lognormal(size=n)
    o = Outcome(truth, truth + rng.normal(size=n))
    close(METRICS["mae"].compute(o), np.abs(o.truth - o.predicted).mean())
    close(METRICS["rmse"].compute(o), np.sqrt(((o.truth - o.predicted) ** 2).mean()))
    close(METRICS["median_ae"].compute(o), np.median(np.abs(o.truth - o.predicted)))
    close(METRICS["r2"].compute(o), sk.r2_score(o.truth, o.predicted))


# ---------------------------------------------------------------- interval formulas


@pytest.mark.parametrize(("hits", "rows"), [(0, 1), (0, 20), (3, 20), (19, 20), (20, 20), (450, 1000)])
def test_wilson_is_scipys(hits, rows):
    there = stats.binomtest(hits, rows).proportion_ci(0.9, method="wilson")
    here = iv.wilson_interval(hits, rows, 0.9)
    close((here.low, here.high), (there.low, there.high))


def test_hall_without_skewness_is_students():
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) + 7
    here = iv.mean_interval(values)
    close((here.low, here.high), stats.t.interval(0.95, 4, loc=7, scale=stats.sem(values)))


def test_hall_solves_its_transformation():
    values = np.random.default_rng(0).lognormal(size=60)
    n, t = len(values), stats.t.ppf(0.975, 59)
    skew = stats.skew(values)
    for end, quantile in zip((iv.mean_interval(values).high, iv.mean_interval(values).low), (-t, t), strict=True):
        w = (values.mean() - end) / stats.sem(values)  # the studentized mean at that end
        g = w + skew * w**2 / (3 * n**0.5) + skew**2 * w**3 / (27 * n) + skew / (6 * n**0.5)
        close(g, quantile, 1e-9)


def test_delong_by_its_definition():
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1], [70, 50])
    score = np.round(rng.normal(size=120) + truth, 1)
    wins = (score[70:, None] > score[None, :70]) + (score[70:, None] == score[None, :70]) / 2
    variance = wins.mean(1).var(ddof=1) / 50 + wins.mean(0).var(ddof=1) / 70
    parts = np.array([wins.mean(0).var(ddof=1) / 70, wins.mean(1).var(ddof=1) / 50])
    t = stats.t.ppf(0.975, variance**2 / (parts**2 / np.array([69, 49])).sum())
    area = wins.mean()
    ends = special.expit(special.logit(area) + np.array([-t, t]) * variance**0.5 / (area * (1 - area)))
    here = iv.auc_interval(truth, score)
    close((here.low, here.high), ends, 1e-10)


def test_chance_is_what_shuffled_labels_show():
    rng = np.random.default_rng(0)
    truth, said = (rng.random(400) < 0.3).astype(int), (rng.random(400) < 0.6).astype(int)
    cells = np.mean([Outcome(truth, rng.permutation(said), 2).confusion for _ in range(3000)], axis=0)
    np.testing.assert_allclose(by_chance(Outcome(truth, said, 2).confusion), cells, rtol=0.02)


def test_a_seed_gives_the_same_intervals_and_leaves_the_global_state_alone():
    o = next(o for o in outcomes() if len(o.truth) == 200)
    before = np.random.get_state()[1].copy()
    first, again = (
        [metric_interval(METRICS[n], o, Sampling(np.random.default_rng(5))) for n in ("average_precision", "f1")]
        for _ in range(2)
    )
    assert first == again
    np.testing.assert_array_equal(before, np.random.get_state()[1])


# ---------------------------------------------------------------- coverage


def draw_binary(rng, n, share, lift):
    truth = (rng.random(n) < share).astype(int)
    score = rng.normal(size=n) + lift * truth
    risk = special.expit(lift * score - lift**2 / 2 + special.logit(share))
    return Outcome(truth, (risk >= 0.4).astype(int), 2, risk)


def draw_classes(rng, n):
    truth = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    score = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[truth]
    p = special.softmax(score, axis=1)
    return Outcome(truth, p.argmax(axis=1), 3, p)


def draw_numbers(rng, n):
    signal = rng.gamma(4, 2, n)
    return Outcome(signal + rng.normal(size=n) * 2, signal)


CASES = {
    "balanced": (lambda rng, n: draw_binary(rng, n, 0.4, 1.5), "binary"),
    "rare": (lambda rng, n: draw_binary(rng, n, 0.1, 2.0), "binary"),
    "classes": (draw_classes, "multiclass"),
    "numbers": (draw_numbers, "regression"),
}


KEY = ("accuracy", "f1", "roc_auc", "average_precision", "macro_f1", "mae", "rmse", "r2")


def coverage(case, n, repeats, seed=0, names=tuple(METRICS)):
    """Share of intervals that hold the true value, for each metric and each difference to a baseline."""
    draw, kind = CASES[case]
    rng = np.random.default_rng(seed)
    whole = draw(rng, 400_000)
    task, sampling = Task(kind, "", tuple(range(whole.classes))), Sampling(rng, times=200)
    metrics = [METRICS[name] for name in names if kind in METRICS[name].tasks]

    def plain(m, o):
        return baselines(m, task, o, whole.truth)

    def true_gain(m, b):
        there = m.from_cells(by_chance(whole.confusion)) if b.outcome is None else m.compute(b.outcome)
        return (m.compute(whole) - there) * (1 if m.higher_is_better else -1)

    true = {m.name: m.compute(whole) for m in metrics}
    true |= {(m.name, b.name): true_gain(m, b) for m in metrics for b in plain(m, whole)}
    held = {name: [] for name in true}
    for _ in range(repeats):
        o = draw(rng, n)
        ends = {m.name: metric_interval(m, o, sampling) for m in metrics}
        ends |= {(m.name, b.name): compare(m, o, b, sampling).interval for m in metrics for b in plain(m, o)}
        for name, within in ends.items():
            held[name].append(within.low <= true[name] <= within.high)
    return {name: float(np.mean(v)) for name, v in held.items()}


@pytest.mark.parametrize("case", CASES)
def test_intervals_cover(case):
    """A small sample: what 93 to 97 % show in 150 repeats, give or take three standard errors."""
    for name, share in coverage(case, 300, 150, names=KEY).items():
        assert 0.93 - 0.054 <= share <= 0.97 + 0.03, (name, share)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_intervals_cover_in_many_samples(case):
    """93 to 97 % of nominal 95 %, in 1,500 samples of 500 rows."""
    for name, share in coverage(case, 500, 1500, seed=1).items():
        assert 0.93 <= share <= 0.97, (name, share)


# ---------------------------------------------------------------- calibration


def test_calibration_is_that_of_scikit_learn():
    for o in outcomes():
        if o.classes == 2 and len(o.truth) > 100:
            curve = calibration_curve(o.truth, o.probability)
            observed, predicted = sk_curve(o.truth, o.probability, n_bins=10, strategy="quantile")
            close(curve.observed, observed)
            close(curve.predicted, predicted)
            assert curve.counts.sum() == len(o.truth)
            close(
                curve.error,
                sum(c * abs(p - t) for c, p, t in zip(curve.counts, predicted, observed, strict=True)) / len(o.truth),
            )


def test_calibrated_models_rarely_alarm_and_others_do():
    rng = np.random.default_rng(0)
    low = 0
    for _ in range(200):
        p = rng.beta(1, 3, 150)
        error = calibration_curve((rng.random(150) < p).astype(int), p).error
        low += chance_of_error(p, error, rng, times=200) < 0.05
    assert low <= 20  # 5 % of 200, and three standard errors
    p = rng.beta(1, 3, 1000)
    far = calibration_curve((rng.random(1000) < p**2).astype(int), p).error
    assert chance_of_error(p, far, rng) < 0.01


def test_both_ways_of_drawing_events_agree(monkeypatch):
    import mlnb.evaluation.calibration as c

    p = np.random.default_rng(0).beta(2, 2, 5000)
    error = 0.018
    exact = chance_of_error(p, error, np.random.default_rng(1), times=2000)
    monkeypatch.setattr(c, "EXACT_ROWS", 10)
    assert abs(chance_of_error(p, error, np.random.default_rng(1), times=2000) - exact) < 0.05


def test_thresholds():
    for o in outcomes():
        if o.classes == 2 and len(o.truth) < 10_000:
            precision, recall, _ = sk.precision_recall_curve(o.truth, o.probability)
            f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
            best = best_threshold(o.truth, o.probability)
            close(sk.f1_score(o.truth, o.probability >= best), f1[:-1].max())
            for row in threshold_table(o.truth, o.probability, used=0.35).rows:
                said = (o.probability >= row[0]).astype(int)
                close(row[2], sk.recall_score(o.truth, said))
                close(row[3], sk.f1_score(o.truth, said))
                if row[1] is not None:
                    close(row[1], sk.precision_score(o.truth, said))


# ---------------------------------------------------------------- real data


@pytest.fixture(scope="module")
def incomes(adult):
    """Adult: a model on numeric columns, what it was trained on, and 6,000 other rows."""
    rows = adult.sample(frac=1, random_state=0, ignore_index=True)
    train, test = rows[:12_000], rows[-6000:].reset_index(drop=True)
    columns = list(adult.select_dtypes("number").columns)
    return HistGradientBoostingClassifier(max_iter=40).fit(train[columns], train[TARGET]), train, test


def test_adult(incomes):
    model, train, test = incomes
    report = ev(model, test, TARGET, baseline=train)
    whole, half = (calls_of(lambda rows=rows: ev(model, rows, TARGET, baseline=train)) for rows in (test, test[:3000]))
    assert whole < 250_000 and whole - half < 3000, (whole, half)  # no loop of Python's goes over the rows
    p = model.predict_proba(test[model.feature_names_in_])[:, 1]
    truth = (test[TARGET] == ">50K").astype(int)
    said = (p >= 0.5).astype(int)
    primary = by_code(report, "MLN-E001")[0]
    assert report.status in (Status.PASS, Status.WARN) and primary.status is Status.PASS
    assert primary.method == "f1" and report.meta["positive"] == ">50K" and "F1 decides: 25" in report.summary
    close(primary.value, sk.f1_score(truth, said))
    values = {r.method: r.value for r in by_code(report, "MLN-E006")}
    close(values["roc_auc"], sk.roc_auc_score(truth, p))
    close(values["average_precision"], sk.average_precision_score(truth, p))
    close(values["log_loss"], sk.log_loss(truth, p))
    majority, chance = by_code(report, "MLN-E002")
    close(majority.value, primary.value)
    close(chance.value, primary.value - chance.evidence["baseline_value"])
    assert chance.interval[0] > 0.3
    assert report.tables[1].rows == tuple(
        (c, *row) for c, row in zip(("<=50K", ">50K"), sk.confusion_matrix(truth, said).tolist(), strict=True)
    )
    assert {c.kind for c in report.charts} == {"bars", "calibration", "heatmap"}


def test_adult_the_same_whatever_says_it(incomes):
    model, _, test = incomes
    features = test[model.feature_names_in_]
    p = model.predict_proba(features)
    values = [r.value for r in ev(model, test, TARGET).results]
    for given in (p, p[:, 1], pd.Series(p[:, 1], index=test.index[::1]), pd.DataFrame(p, columns=model.classes_)):
        assert [r.value for r in ev(given, test, TARGET).results] == values
    turned = pd.DataFrame(p[:, ::-1], columns=model.classes_[::-1])
    assert [r.value for r in ev(turned, test, TARGET).results] == values
    assert [r.value for r in ev("risk", test.assign(risk=p[:, 1]), TARGET).results] == values
    moved = pd.Series(p[:, 1]).sample(frac=1, random_state=1)
    assert [r.value for r in ev(moved, test, TARGET).results] == values
    labels = ev(model.predict(features), test, TARGET)
    close(by_code(labels, "MLN-E001")[0].value, values[0])
    assert by_code(labels, "MLN-E003")[0].status is Status.NOT_APPLICABLE


def test_adult_rare_positives(incomes):
    model, _, test = incomes
    rich = test[test[TARGET] == ">50K"].head(150)
    rare = pd.concat([test[test[TARGET] != ">50K"], rich], ignore_index=True)
    report = ev(model, rare, TARGET)
    assert by_code(report, "MLN-E001")[0].method == "average_precision"
    balance = by_code(report, "MLN-E005")[0]
    assert balance.status is Status.WARN and "accuracy of 97" in balance.advice
    flattered = {r.method for r in by_code(report, "MLN-E006") if r.advice}
    assert flattered == {"accuracy", "roc_auc"}
    share = by_code(report, "MLN-E002")[0].evidence["baseline_value"]
    close(share, 150 / len(rare))
    assert by_code(report, "MLN-E004")[0].status is not Status.PASS  # trained where a quarter is rich


def test_adult_guesses_fail_or_warn(incomes):
    _, train, test = incomes
    rng = np.random.default_rng(0)
    guess = rng.permutation(test[TARGET].to_numpy())
    assert by_code(ev(guess, test, TARGET, baseline=train), "MLN-E001")[0].status is Status.WARN
    always = np.full(len(test), "<=50K")
    always[0] = ">50K"
    constant = ev(always, test, TARGET, metric="accuracy")
    assert by_code(constant, "MLN-E001")[0].status in (Status.WARN, Status.FAIL)
    wrong = np.where(test[TARGET] == ">50K", "<=50K", ">50K")
    assert ev(wrong, test, TARGET, metric="accuracy").status is Status.FAIL
    random = ev(rng.random(len(test)), test, TARGET, metric="roc_auc")
    assert by_code(random, "MLN-E001")[0].status is Status.WARN
    assert by_code(random, "MLN-E003")[0].status is Status.FAIL


def test_bike(bike):
    columns = ["hr", "temp", "workingday", "hum"]
    train, test = bike[:12_000], bike[12_000:]
    model = HistGradientBoostingRegressor(max_iter=40).fit(train[columns], train.cnt)
    report = ev(model, test, "cnt", baseline=train.cnt)
    primary, said = by_code(report, "MLN-E001")[0], model.predict(test[columns])
    assert primary.method == "mae" and primary.status is Status.PASS
    close(primary.value, sk.mean_absolute_error(test.cnt, said))
    close(primary.threshold, np.abs(test.cnt - train.cnt.median()).mean())
    values = {r.method: r.value for r in by_code(report, "MLN-E006")}
    close(values["rmse"], sk.root_mean_squared_error(test.cnt, said))
    close(values["r2"], sk.r2_score(test.cnt, said))
    bias = by_code(report, "MLN-E008")[0]
    close(bias.value, (said - test.cnt).mean())
    assert bias.status is Status.FAIL and "too low" in report.summary  # the second year has more rentals
    assert {c.kind for c in report.charts} == {"bars", "histogram_pair"}
    for metric in ("rmse", "r2", "median_ae"):
        assert by_code(ev(model, test, "cnt", metric=metric), "MLN-E001")[0].status is Status.PASS


def test_wine_and_labels_of_many_kinds():
    from sklearn.datasets import load_wine

    frame = load_wine(as_frame=True).frame.sample(frac=1, random_state=0)
    model = HistGradientBoostingClassifier(max_iter=20).fit(frame[:100].drop(columns="target"), frame[:100].target)
    report = ev(model, frame[100:], "target")
    assert report.meta["task"] == "multiclass" and by_code(report, "MLN-E001")[0].method == "macro_f1"
    p = model.predict_proba(frame[100:].drop(columns="target"))
    close(
        {r.method: r.value for r in report.results}["roc_auc"],
        sk.roc_auc_score(frame[100:].target, p, multi_class="ovr"),
    )
    named = frame[100:].assign(target=frame[100:].target.map({0: "a", 1: "b", 2: "c"}).astype("category"))
    assert [r.value for r in ev(p, named, "target").results] == [r.value for r in report.results]


# ---------------------------------------------------------------- the task


def test_metric_and_task_are_told_with_their_reasons():
    for values, kind in (
        ([True, False] * 20, "binary"),
        ([0, 1] * 20, "binary"),
        ([1.5, 2.5] * 20, "binary"),
        (["a", "b", "c"] * 20, "multiclass"),
        ([0.0, 1.0, 2.0, np.nan] * 20, "multiclass"),
        (list(range(60)), "regression"),
        (list(np.linspace(0, 1, 60)), "regression"),
    ):
        task = infer_task(pd.Series(values, name="y"))
        assert task.kind == kind and task.reason.startswith(f"{kind}: target 'y'")
    o = next(outcomes())
    assert choose_metric("binary", o, imbalanced=0.05)[1].endswith("precision and recall weigh the same")


@pytest.mark.parametrize("kind", [bool, int, float, str, "boolean", "Int64", "category", "string"])
def test_labels_of_every_type(kind):
    rng = np.random.default_rng(0)
    truth = rng.random(300) < 0.4
    risk = np.clip(0.4 * truth + 0.3 + rng.normal(0, 0.15, 300), 0, 1)
    y = pd.Series(truth.astype(int)).astype(str if kind == "category" else kind)
    frame = pd.DataFrame({"y": y.astype("category") if kind == "category" else y})
    report = ev(risk, frame, positive="True" if kind in (bool, "boolean") else "1")
    close(by_code(report, "MLN-E001")[0].value, sk.f1_score(truth, risk >= 0.5))
    same = ev(pd.Series((risk >= 0.5).astype(int)).astype(y.dtype), frame)
    close(by_code(same, "MLN-E001")[0].value, sk.f1_score(truth, risk >= 0.5))


def test_the_other_class_can_be_positive():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=400)})
    frame["y"] = np.where(frame.x + rng.normal(0, 0.5, 400) > 0.4, "yes", "no")
    for model in (LogisticRegression(), LinearSVC()):
        model.fit(frame[["x"]], frame.y)
        yes, no = (ev(model, frame, positive=p) for p in ("yes", "no"))
        said = model.predict(frame[["x"]])
        close(by_code(yes, "MLN-E001")[0].value, sk.f1_score(frame.y, said, pos_label="yes"))
        close(by_code(no, "MLN-E001")[0].value, sk.f1_score(frame.y, said, pos_label="no"))
        auc = [next(r.value for r in report.results if r.method == "roc_auc") for report in (yes, no)]
        close(auc[0], auc[1])


# ---------------------------------------------------------------- poor data


def frame_of(n=60, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n)})
    return frame.assign(y=np.where(frame.x + rng.normal(0, 0.4, n) > 0, "yes", "no"))


@pytest.fixture(scope="module")
def fitted():
    frame = frame_of(300, 1)
    return LogisticRegression().fit(frame[["x", "z"]], frame.y)


BAD = {
    "wrong target": (lambda m: ev(m, frame_of(), "why"), "data has no column 'why'. "),
    "near target": (lambda m: ev(m, frame_of().rename(columns={"y": "churned"}), "chruned"), "Did you mean 'churned'?"),
    "all missing": (lambda m: ev(m, frame_of().assign(y=None)), "target 'y' has no value in any of 60 rows"),
    "no rows": (lambda m: ev(m, frame_of()[:0]), "target 'y' has no rows of data"),
    "one row": (lambda m: ev(m, frame_of()[:1]), "target 'y' has a value in one row only"),
    "no file": (lambda m: ev(m, "nowhere.csv"), "there is no file 'nowhere.csv'"),
    "no table": (lambda m: ev(m, 7), "data is not a table but int"),
    "twice": (lambda m: ev(m, pd.concat([frame_of(), frame_of().y], axis=1)), "several columns named 'y'"),
    "missing column": (lambda m: ev(m, frame_of().drop(columns="z")), "the model needs column 'z', which data lacks"),
    "missing columns": (lambda m: ev(m, frame_of()[["y"]]), "the model needs column 'x' and 1 more"),
    "unpredictable": (lambda m: ev(m, frame_of().assign(x="far")), "the model cannot predict data: "),
    "missing feature": (
        lambda m: ev(m, frame_of().assign(x=np.nan)),
        "the model cannot predict data: Input X contains NaN",
    ),
    "other labels": (lambda m: ev(m, frame_of().assign(y=["a", "b"] * 30)), "target 'y' holds 'a' and the like"),
    "no such class": (
        lambda m: ev(m, frame_of(), positive="yess"),
        "positive='yess' is no class of the target. Did you",
    ),
    "few predictions": (lambda m: ev([1, 0], frame_of()), "there are 2 predictions for 60 rows"),
    "scalar": (lambda m: ev(0.5, frame_of()), "there are 1 predictions for 60 rows"),
    "out of range": (
        lambda m: ev(np.linspace(-1, 3, 60), frame_of()),
        "probabilities reach from −1 to 3, beyond 0 to 1",
    ),
    "no sum": (lambda m: ev(np.full((60, 2), 0.7), frame_of()), "the probabilities of a row sum to 1.4"),
    "too many columns": (
        lambda m: ev(np.full((60, 3), 1 / 3), frame_of()),
        "there are 3 columns of probabilities for 2",
    ),
    "foreign label": (lambda m: ev(["maybe"] * 60, frame_of()), "prediction 'maybe' is no class of the target"),
    "no predictions": (lambda m: ev([None] * 60, frame_of()), "of 60 rows with a known target 0 have a prediction"),
    "all of one": (lambda m: ev(["no"] * 60, frame_of().assign(y="no")), "target 'y' is always 'no'"),
    "times": (lambda m: ev([1] * 60, frame_of().assign(y=pd.date_range("2026", periods=60))), "target 'y' holds times"),
    "lists": (lambda m: ev([1] * 60, frame_of().assign(y=[[1]] * 60)), "target 'y' holds values of type list"),
    "ids": (lambda m: ev(["a"] * 60, frame_of().assign(y=[f"id {i}" for i in range(60)])), "has 60 different texts"),
    "words for numbers": (lambda m: ev(["a"] * 60, frame_of(), "x"), "the predictions are not numeric"),
    "numbers for words": (
        lambda m: ev(LinearRegression().fit(frame_of()[["x"]], frame_of().z), frame_of()),
        "target 'y' is not numeric",
    ),
    "no column": (lambda m: ev("prediction", frame_of().assign(predicted=1)), "neither a column of data nor a stored"),
    "empty baseline": (lambda m: ev(m, frame_of(), baseline=["q"] * 9), "baseline has no value of target 'y'"),
    "baseline without": (lambda m: ev(m, frame_of(), baseline=frame_of()[["x"]]), "baseline has no column 'y'"),
    "no scores": (
        lambda m: ev(frame_of().y, frame_of(), metric="roc_auc"),
        "ROC-AUC cannot be computed: the predictions",
    ),
}


def no_model(reference):
    raise DataError(f"there is no run {reference!r}", "Track one")


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_one_line(case, fitted, monkeypatch):
    monkeypatch.setattr("mlnb.evaluation.predictions.open_model", no_model)
    call, words = BAD[case]
    with pytest.raises(DataError) as error:
        call(fitted)
    assert words in str(error.value) and "\n" not in str(error.value) and error.value.hint, str(error.value)
    assert error.value.exit_status == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "mse"}, "there is no metric 'mse'"),
        ({"metric": "mae"}, "metric 'mae' is not for a binary task"),
        ({"metric": "acuracy"}, "Did you mean 'accuracy'?"),
        ({"confidence": 95}, "confidence=95 is no share"),
        ({"threshold": 5}, "threshold=5 is no probability"),
        ({"seed": -1}, "seed=-1 is negative"),
    ],
)
def test_wrong_use_is_one_line(options, words, fitted):
    with pytest.raises(ArgumentError) as error:
        ev(fitted, frame_of(), **options)
    assert words in str(error.value) and error.value.exit_status == 2


def test_rows_that_cannot_be_used_are_counted(fitted):
    frame = frame_of().assign(y=lambda f: f.y.mask(f.index < 5))
    report = ev(fitted, frame)
    left = by_code(report, "MLN-E007")[0]
    assert (left.status, left.value, left.n) == (Status.WARN, 5, 60)
    said = np.where(np.arange(60) < 7, np.nan, 0.5)
    left = by_code(ev(said, frame), "MLN-E007")[0]
    assert left.evidence == {"without_target": 5, "without_prediction": 2}
    numbers = frame_of().assign(y=lambda f: f.x.mask(f.index < 3, np.inf))
    said = np.where(np.arange(60) == 10, -np.inf, 0.3)
    left = by_code(ev(said, numbers), "MLN-E007")[0]
    assert left.evidence == {"without_target": 3, "without_prediction": 1}


def test_unknown_labels_are_told(fitted):
    one, many = (ev(fitted, frame_of().assign(y=lambda f, k=k: f.y.mask(f.index < k, "maybe"))) for k in (1, 10))
    for report, status, rows in ((one, Status.WARN, 1), (many, Status.FAIL, 10)):
        unseen = by_code(report, "MLN-E009")[0]
        assert (unseen.status, unseen.value, unseen.evidence["labels"]) == (status, rows, {"maybe": rows})
        assert report.meta["task"] == "binary"


def test_one_class_in_the_data_is_judged_where_it_can_be(fitted):
    for label in ("yes", "no"):
        report = ev(fitted, frame_of().assign(y=label))
        primary = by_code(report, "MLN-E001")[0]
        assert primary.method == ("f1" if label == "yes" else "log_loss")
        assert primary.status is Status.SKIPPED and by_code(report, "MLN-E002")[0].status is Status.NOT_APPLICABLE
        auc = next(r for r in report.results if r.method == "roc_auc")
        assert auc.status is Status.NOT_APPLICABLE and auc.advice == "Cannot be computed: all rows are of one class"
        assert by_code(report, "MLN-E005")[0].status is Status.WARN
        with_baseline = ev(fitted, frame_of().assign(y=label), baseline=frame_of(300, 1).y)
        assert by_code(with_baseline, "MLN-E002")[0].status is not Status.NOT_APPLICABLE


def test_perfect_and_hopeless_predictions():
    frame = frame_of()
    perfect = ev(frame.y, frame)
    assert perfect.ok and by_code(perfect, "MLN-E001")[0].value == 1
    low, high = by_code(perfect, "MLN-E001")[0].interval
    assert 0.8 < low < 1 and high == 1
    certain = ev((frame.y == "yes").astype(float), frame)
    assert certain.ok
    numbers = ev(frame.x, frame, "x")
    assert by_code(numbers, "MLN-E001")[0].value == 0 and numbers.ok
    hopeless = ev(frame.y.map({"yes": "no", "no": "yes"}), frame, metric="accuracy")
    assert hopeless.status is Status.FAIL and by_code(hopeless, "MLN-E001")[0].value == 0


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_tiny_data_never_breaks(n, fitted):
    rng = np.random.default_rng(n)
    for seed in range(8):
        frame = frame_of(n, seed)
        for given, target in ((fitted, "y"), (rng.normal(size=n), "x"), (np.zeros(n), "x")):
            report = ev(given, frame, target)
            assert by_code(report, "MLN-E001")[0].status is not Status.ERROR
            for r in report.results:
                if r.interval and None not in r.interval and r.value is not None and r.method != "median_ae":
                    assert r.interval[0] <= r.value + 1e-9 and r.value - 1e-9 <= r.interval[1], (r.method, r)
            Report.from_json(report.to_json())


def test_constant_target_of_numbers():
    frame = pd.DataFrame({"y": [3.0] * 30})
    report = ev(np.random.default_rng(0).normal(3, 1, 30), frame, metric="mae")
    assert by_code(report, "MLN-E002")[0].status is Status.NOT_APPLICABLE
    assert next(r for r in report.results if r.method == "r2").status is Status.NOT_APPLICABLE


# ---------------------------------------------------------------- the report


def test_every_code_is_registered_and_there(fitted):
    report = ev(fitted, frame_of())
    assert {r.code for r in report.results} == set(CODES)
    assert len({r.method for r in report.results}) == len(report.results)
    registered = all_checks()
    assert all(
        registered[c].function is evaluate and dict(registered[c].needs) == {"model": "model", "data": "frame"}
        for c in CODES
    )
    only = check("MLN-E003", fitted, frame_of(), target="y")
    assert isinstance(only, Report) and {r.code for r in only.results} == {"MLN-E003"}


def test_the_report_survives_every_form(fitted, tmp_path):
    report = ev(fitted, frame_of(200), baseline=frame_of(300, 1))
    assert Report.from_json(report.to_json()) == report
    assert len(report.to_html()) < 25_000
    for name in ("r.html", "r.md", "r.txt", "r.json"):
        assert report.save(tmp_path / name).stat().st_size > 500
    assert report.to_frame().method.is_unique


def test_nothing_from_data_is_executed_or_hidden(fitted):
    nasty = "<img src=x onerror=alert(1)>"
    frame = frame_of(200).assign(y=lambda f: np.where(f.y == "yes", nasty, "no\x1b[31m"))
    report = ev((frame.y == nasty).astype(float) * 0.8 + 0.1, frame)
    assert nasty not in report.to_html() and "\x1b" not in report.to_text()


def test_a_reference_is_opened_by_the_entry_point(fitted, monkeypatch):
    import mlnb.evaluation.predictions as p

    class Point:
        def load(self):
            return {"runs:/1/model": fitted}.__getitem__

    monkeypatch.setattr(
        p, "entry_points", lambda group, name: [Point()] if (group, name) == ("mlnb.openers", "model") else []
    )
    values = [r.value for r in ev("runs:/1/model", frame_of()).results]
    assert values == [r.value for r in ev(fitted, frame_of()).results]
    monkeypatch.setattr(p, "entry_points", lambda group, name: [])
    with pytest.raises(MLNBError, match="nothing here can open 'runs:/1/model'"):
        ev("runs:/1/model", frame_of())


def test_data_from_a_file(fitted, tmp_path: Path):
    frame_of().to_csv(tmp_path / "new.csv", index=False)
    values = [r.value for r in ev(fitted, str(tmp_path / "new.csv"), baseline=str(tmp_path / "new.csv")).results]
    close(
        [v for v in values if v is not None], [r.value for r in ev(fitted, frame_of()).results if r.value is not None]
    )


def test_a_model_fitted_on_arrays():
    frame = frame_of(200)
    model = LogisticRegression().fit(frame[["x", "z"]].to_numpy(), (frame.y == "yes").astype(int))
    report = ev(model, frame.assign(y=(frame.y == "yes").astype(int)))
    assert by_code(report, "MLN-E001")[0].status is Status.PASS


def test_chance_has_no_outcome_of_its_own():
    o = next(outcomes())
    assert compare(METRICS["accuracy"], o, Baseline("chance"), Sampling(np.random.default_rng(0))).baseline == "chance"


# ---------------------------------------------------------------- what is said


@pytest.mark.parametrize(
    ("labels", "given", "positive"),
    [([0, 1], "0", 0), ([0.0, 1.0], "0", 0), ([0, 1], 1.0, 1), ([False, True], "False", False), ([0, 1], "", 1)],
)
def test_the_positive_class_is_found_by_its_text(labels, given, positive):
    frame = frame_of()
    frame["y"] = frame.y.map(dict(zip(("no", "yes"), labels, strict=True)))
    model = LogisticRegression().fit(frame[["x", "z"]], frame.y)
    for said in (model, model.predict(frame[["x", "z"]])):
        assert ev(said, frame, positive=given).meta["positive"] == positive
    with pytest.raises(DataError, match=r"positive='2' is no class of the target\. There are '"):
        ev(model, frame, positive="2")


def test_messages_hold_plain_values(fitted):
    frame = frame_of()
    with pytest.raises(DataError, match=r"^target 'y' is always 1\."):
        infer_task(frame.assign(y=np.int64(1)).y)
    with pytest.raises(DataError, match="target 'y' holds 0 and the like"):
        ev(fitted, frame.assign(y=[0, 1] * 30))
    with pytest.raises(DataError, match="target 'y' has no value in any row"):
        infer_task(pd.Series([None, None], name="y"))


def test_few_rows_are_not_judged_firmly():
    rng = np.random.default_rng(0)
    truth = np.tile([0, 1], 6)
    few = ev(np.where(truth == 1, 0.9, 0.1), pd.DataFrame({"y": truth}))
    judged = [*by_code(few, "MLN-E001"), *by_code(few, "MLN-E002")]
    assert {(r.status, r.advice) for r in judged} == {(Status.WARN, "Only 12 rows: too few to judge")}
    assert "well calibrated" not in few.summary and "too few rows to tell about calibration" in few.summary
    assert "better than" not in few.summary
    rare = np.r_[np.zeros(197, int), np.ones(3, int)]
    report = ev(np.where(rare == 1, 0.8, 0.01), pd.DataFrame({"y": rare}))
    assert by_code(report, "MLN-E001")[0].advice == "Only 3 rows of 1: too few to judge"
    numbers = rng.normal(size=12)
    assert (
        "too few rows to tell about bias" in ev(numbers + rng.normal(0, 0.1, 12), pd.DataFrame({"y": numbers})).summary
    )


def test_calibration_in_the_large_stays_in_its_range():
    report = ev(np.array([0.99, 0.9, 0.95, 0.02]), pd.DataFrame({"y": [0, 0, 0, 1]}))
    low, high = by_code(report, "MLN-E004")[0].interval
    assert -1 <= low < high <= 1


def test_advice_on_bias_and_the_scale_of_brier():
    rng = np.random.default_rng(0)
    actual = rng.normal(size=300)
    bias = by_code(ev(actual + 1, pd.DataFrame({"y": actual})), "MLN-E008")[0]
    assert bias.advice.startswith("Predictions are too high on average: ") and "training" not in bias.advice
    truth = rng.integers(0, 3, 300)
    report = ev(0.4 * np.eye(3)[truth] + 0.2, pd.DataFrame({"y": truth}))
    brier = next(r for r in report.results if r.method == "brier")
    assert "scale_by_half=True" in brier.advice
    close(brier.value, sk.brier_score_loss(truth, 0.4 * np.eye(3)[truth] + 0.2, scale_by_half=True))
