"""Which state a number gets: thresholds of all columns and of one, importances, peers' p-values, chance."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mlnb.core.errors import ArgumentError
from mlnb.core.settings import load_settings
from mlnb.drifting import policy
from mlnb.drifting.policy import Column, Measure, judge, own_tests, verdict
from mlnb.drifting.rules import importances, require_columns, with_thresholds

DRIFT = load_settings(environ={}).drift
SURE = {"distance": 1e-9}


def column(name: str, method: str, value: float | None, p: dict[str, float] | None = None, **more) -> Column:
    return Column(name, 1000, (method,), (Measure(method, value, **more),), SURE if p is None else p)


def judged(rules, *columns: Column, weights=None):
    return judge(columns, rules, weights)


# Thresholds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"temp": {"ks_warn": 0.4, "ks_critical": 0.6}},
        {"temp.ks_warn": 0.4, "temp.ks_critical": "0.6"},
        "temp.ks_warn=0.4, temp.ks_critical=0.6",
        ["temp.ks_warn=0.4", "temp.ks_critical=0.6"],
        SimpleNamespace(thresholds={"temp": {"ks_warn": 0.4, "ks_critical": 0.6}}),
    ],
)
def test_thresholds_of_one_column_hold_for_it_alone(given):
    rules = with_thresholds(DRIFT, given)
    temp, wind = judged(rules, column("temp", "ks", 0.3), column("wind", "ks", 0.3))
    assert (temp.status, temp.threshold, wind.status, wind.threshold) == ("pass", 0.4, "fail", 0.2)
    assert judged(rules, column("temp", "ks", 0.61))[0].status == "fail"
    assert judged(rules, column("temp", "ks", 0.5))[0].status == "warn"
    assert rules.limits("ks") == (DRIFT.ks_warn, DRIFT.ks_critical)


def test_a_learned_threshold_says_so():
    learned = with_thresholds(DRIFT, SimpleNamespace(thresholds={"temp": {"ks_warn": 0.4, "ks_critical": 0.6}}))
    temp, wind = judged(learned, column("temp", "ks", 0.3), column("wind", "ks", 0.3))
    assert temp.evidence["learned"] and "learned" not in wind.evidence
    require_columns(learned, ["wind"])  # a calibration may know more columns than are compared
    with pytest.raises(ArgumentError, match="tmep"):
        require_columns(with_thresholds(DRIFT, "tmep.ks_warn=0.15"), ["temp"])
    require_columns(with_thresholds(DRIFT, "a.b.ks_warn=0.15"), ["a.b"])


def test_thresholds_of_methods_without_a_setting():
    rules = with_thresholds(DRIFT, {"psi:evidently_warn": 0.3, "mean_shift_warn": 0.4})
    assert rules.limits("psi:evidently") == (0.3, None) and rules.limits("mean_shift")[0] == 0.4
    assert judged(rules, column("x", "psi:evidently", 0.2))[0].status == "pass"
    assert judged(with_thresholds(DRIFT, None), column("x", "psi:evidently", 0.2))[0].status == "warn"


@pytest.mark.parametrize(
    "given, said",
    [
        ("tmep.ks_wran=0.2", "no drift setting 'ks_wran'"),
        ({"temp": {"bins": 5}}, "cannot be set for one column"),
        ({"temp": {"ks_warn": 0.5}}, "ks_critical lies below ks_warn"),
        ({"temp": {"ks_warn": "much"}}, "no number"),
        ({"temp": {"ks_warn": -0.1}}, "no number"),
        ({"temp": {"ks_warn": float("nan")}}, "no number"),
        ({"temp": {"ks_warn": True}}, "no number"),
        ({"ks_warn": 2}, "less than or equal to 1"),
        ({"psi:evidently_warn": "x"}, "no number"),
        ("psi_warn", "has no value"),
        (5, "no thresholds"),
    ],
)
def test_thresholds_that_cannot_be(given, said):
    with pytest.raises(ArgumentError, match=said):
        with_thresholds(DRIFT, given)


# Chance ---------------------------------------------------------------------------------------------------------------


def test_an_effect_that_chance_explains_alarms_nobody():
    for method, value in (("ks", 0.3), ("hellinger", 0.5), ("energy", 0.9), ("psi:evidently", 0.3)):
        sure, chance = (judged(DRIFT, column("x", method, value, {"distance": p}))[0] for p in (1e-6, 0.2))
        assert sure.status in ("warn", "fail") and chance.status == "pass"
        assert chance.evidence["explained_by_chance"]
    assert judged(DRIFT, column("x", "ks", 0.05, {"distance": 1e-99}))[0].status == "pass"  # sure, but small


def test_a_method_with_a_test_of_its_own_is_judged_by_that():
    measures = (Measure("mean_shift", 0.3, p=0.001), Measure("variance_shift", 0.6, p=0.6), Measure("ks", 0.05))
    asked = ("mean_shift", "variance_shift", "ks")
    moved = Column("x", 1000, asked, measures, {"distance": 0.9, **own_tests(measures, asked)})
    assert [r.status for r in judged(DRIFT, moved)] == ["warn", "pass", "pass"]
    assert judged(DRIFT, moved)[0].evidence["p_corrected"] == pytest.approx(0.003)  # three tests of one column
    assert own_tests(measures, ("ks",)) == {}


def test_a_peer_s_p_value_drifts_below_its_threshold():
    found = {}
    for value in (0.2, 0.04, 1e-6):
        measure = Measure("anderson:evidently", value, p=value)
        one = Column("x", 100, ("anderson:evidently",), (measure,), own_tests([measure], ("anderson:evidently",)))
        found[value] = judged(DRIFT, one)[0]
    assert [found[v].status for v in (0.2, 0.04, 1e-6)] == ["pass", "warn", "warn"]
    assert found[0.2].threshold == 0.1
    many = [
        Column(f"c{i}", 100, ("ks:evidently",), (Measure("ks:evidently", p, p=p),), {"ks:evidently": p})
        for i, p in enumerate(np.linspace(0.03, 1, 40))
    ]
    assert {r.status for r in judged(DRIFT, *many)} == {"pass"}  # one in forty below 0.05 is chance


def test_methods_without_a_threshold_only_warn():
    for method in ("chi_square", "g_test"):
        assert judged(DRIFT, column("x", method, 1e6))[0].status == "warn"
        assert judged(DRIFT, column("x", method, 1e6, {"distance": 0.5}))[0].status == "pass"


def test_measures_without_a_value_say_why():
    none = judged(DRIFT, column("x", "energy", None, reason="No scale"))[0]
    assert (none.status, none.advice) == ("not_applicable", "No scale")
    shown = Column("x", 10, ("ks",), (Measure("js", 0.9),), SURE)
    assert judged(DRIFT, shown)[0].status == "skipped"


def test_chosen_methods_by_name():
    assert policy.chosen_methods("ks, psi:evidently,energy") == ("ks", "psi:evidently", "energy")
    with pytest.raises(ArgumentError, match="Did you mean 'psi:evidently'"):
        policy.chosen_methods("psi:evidentyl")


# Importances ----------------------------------------------------------------------------------------------------------


def test_the_verdict_is_weighed_by_importance():
    columns = [
        column(n, "ks", 0.5 if n in "ab" else 0.01, {"distance": 1e-9 if n in "ab" else 0.9}) for n in "abcdefgh"
    ]
    results = judge(columns, DRIFT)
    plain = verdict(results, DRIFT)
    assert (plain.value, plain.status) == (0.25, "pass")
    heavy = verdict(results, DRIFT, {"a": 5.0, "b": 1.0, "c": 4.0})
    assert heavy.value == pytest.approx(0.6) and heavy.status == "fail"
    light = verdict(results, DRIFT, {"a": 1.0, "c": 9.0})
    assert light.value == pytest.approx(0.1) and light.status == "pass"
    assert heavy.evidence["weights"]["d"] == 0.0
    nobody = verdict(results, DRIFT, {"elsewhere": 1.0})
    assert nobody.status == "not_applicable" and nobody.advice and nobody.threshold is None


@pytest.mark.parametrize(
    "weights, said",
    [
        ({"tmep": 1}, "no column"),
        ({"temp": -0.1}, "weight of temp"),
        ({"temp": float("nan")}, "weight of temp"),
        ({"temp": float("inf")}, "weight of temp"),
        ({"temp": None}, "weight of temp"),
        ({"temp": 0, "hum": 0.0}, "every weight is 0"),
        ({}, "every weight is 0"),
        ("temp", "no value"),
        (7, "no thresholds"),
    ],
)
def test_weights_that_cannot_be(weights, said):
    with pytest.raises(ArgumentError, match=said):
        importances(weights, ["temp", "hum"])


def test_weights_however_written():
    expected = {"temp": 0.7, "hum": 0.3}
    for given in (expected, pd.Series(expected), "temp=0.7,hum=0.3", ["temp=0.7", "hum=0.3"]):
        assert importances(given, ["temp", "hum", "wind"]) == expected
    assert importances(None, ["temp"]) is None


def test_retraining_asks_for_a_top_feature():
    names = [f"f{i}" for i in range(14)]
    columns = [column(n, "ks", 0.15) for n in names]
    weights = {n: 14.0 - i for i, n in enumerate(names[:-1])}
    results = judge(columns, DRIFT, weights)
    asked = [r.subject for r in results if "retrain_above" in r.evidence]
    assert asked == names[:10] and all("Retrain" in r.advice for r in results[:10])
    assert results[0].evidence["importance"] == "number 1 of 13 by importance"
    assert "Retrain" not in results[10].advice and results[10].advice
    every = judge(columns, DRIFT)
    assert policy.retraining_columns(every) == names
    assert "every feature counts" in every[13].evidence["importance"]
    assert verdict(every, DRIFT).evidence["retrain"] == names


@pytest.mark.parametrize("method, value, asks", [("psi", 0.19, False), ("psi", 0.21, True), ("ks", 0.11, True)])
def test_retraining_thresholds(method, value, asks):
    found = judge([column("x", method, value)], DRIFT)[0]
    assert found.status == "warn" and ("retrain_above" in found.evidence) is asks
    chance = judge([column("x", method, value, {"distance": 0.5})], DRIFT)[0]
    assert "retrain_above" not in chance.evidence
