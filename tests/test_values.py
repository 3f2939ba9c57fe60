"""Pictures of values: the same value is equal, and every small damage is noticed and named."""

from __future__ import annotations

import copy
import datetime
import decimal
import math
import random
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlnb.core.errors import DataError
from mlnb.refactoring.changes import alias_groups, fingerprint, is_still, reachable
from mlnb.refactoring.figures import figure_picture
from mlnb.refactoring.nodes import REPEATS, compare, leaves, load_pictures, save_pictures
from mlnb.refactoring.values import bindings, picture, pictures

Point = namedtuple("Point", "x y")


class Account:
    def __init__(self, owner, balance):
        self.owner, self.balance, self._cache = owner, balance, {}


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b


def data(rows=40):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["age", "fare", "sibs"])
    return X, X.age * 2 - X.fare + rng.normal(size=rows) * 0.1


def fitted():
    import lightgbm
    import statsmodels.api as sm
    import xgboost
    from sklearn.cluster import KMeans
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeRegressor

    X, y = data()
    scale = ColumnTransformer([("scale", StandardScaler(), ["age", "fare"])])
    return {
        "forest": RandomForestClassifier(5, random_state=0).fit(X, y > 0),
        "pipe": make_pipeline(scale, LinearRegression()).fit(X, y),
        "search": GridSearchCV(DecisionTreeRegressor(random_state=0), {"max_depth": [1, 2]}, cv=3).fit(X, y),
        "near": KNeighborsRegressor(3).fit(X, y),
        "hist": HistGradientBoostingRegressor(max_iter=3, random_state=0).fit(X, y),
        "kmeans": KMeans(2, random_state=0, n_init=2).fit(X),
        "ols": sm.OLS(y, sm.add_constant(X)).fit(),
        "xgb": xgboost.XGBRegressor(n_estimators=3, n_jobs=1).fit(X, y),
        "lgb": lightgbm.LGBMRegressor(n_estimators=3, n_jobs=1, verbose=-1, min_child_samples=2).fit(X, y),
    }


@pytest.fixture(scope="module")
def models():
    return fitted()


FRAME = pd.DataFrame(
    {
        "f": [1.5, None, 3.0],
        "i": pd.array([1, None, 3], dtype="Int64"),
        "s": ["a", None, "c"],
        "c": pd.Categorical(["x", "y", "x"], ordered=True),
        "t": pd.to_datetime(["2024-01-01", None, "2024-03-01"]),
        "z": pd.date_range("2024-01-01", periods=3, tz="Europe/Berlin"),
        "p": pd.period_range("2024-01", periods=3, freq="M"),
        "o": [[1], {"a": 2}, (3,)],
        "sp": pd.arrays.SparseArray([0.0, 0.0, 1.0]),
        "st": pd.array(["u", "v", None], dtype="string"),
    },
    index=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", "n"]),
)

VALUES = {
    "none": None,
    "int": 3,
    "huge": 10**400,
    "nan": math.nan,
    "complex": 1 + 2j,
    "text": "é\0\ud800",
    "bytes": b"ab",
    "list": [1, "a", [2.5]],
    "floats": [0.1 * i for i in range(1000)],
    "mixed": [1, 2.0, True, None, "x"] * 200,
    "dict": {"a": 1, 2: [3], (1, "x"): None, None: 0, 1.5: 2},
    "set": {"a", 1, (2, 3)},
    "named": Point(1, 2.5),
    "counter": Counter("abca"),
    "ordered": OrderedDict(a=1),
    "default": defaultdict(list, a=[1]),
    "deque": deque([1, 2], 5),
    "range": range(3),
    "date": datetime.datetime(2024, 1, 2),
    "decimal": decimal.Decimal("1.10"),
    "path": Path("a/b"),
    "stamp": pd.Timestamp("2024-01-01"),
    "frame": FRAME,
    "series": FRAME.f,
    "index": FRAME.index,
    "group": pd.DataFrame({"a": [1, 1, 2], "b": [1, 2, 3]}).groupby("a"),
    "array": np.arange(6.0).reshape(2, 3),
    "zero": np.array(3.5),
    "days": np.array(["2024-01-01", "NaT"], "M8[D]"),
    "record": np.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "masked": np.ma.array([1.0, 2.0], mask=[True, False]),
    "words": np.array(["ab", "c"]),
    "objects": np.array([None, "a", 1.5, [1]], dtype=object),
    "scalar": np.float32(1.5),
    "account": Account("Ann", 3.5),
    "slotted": Slotted(1, 2),
    "rng": np.random.default_rng(3),
    "state": np.random.RandomState(3),
    "python": random.Random(3),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_equal_to_its_copy_also_when_kept(name, tmp_path):
    value = VALUES[name]
    first, second = picture(value), picture(copy.deepcopy(value) if name != "group" else value)
    assert leaves(first) and compare(first, second, REPEATS).ok
    kept = load_pictures(save_pictures({name: first}, tmp_path))
    assert compare(first, kept[name], REPEATS).ok and compare(kept[name], first, REPEATS).ok
    assert fingerprint(value) == fingerprint(value)


def test_no_two_different_values_are_equal():
    taken = {name: picture(value) for name, value in VALUES.items()}
    for a in taken:
        assert [b for b in taken if compare(taken[a], taken[b]).ok] == [a]


@pytest.mark.parametrize(
    "a, b",
    [
        (1, True),
        (1, 1.0),
        (1, "1"),
        (10**15, 10**15 + 1),
        ([1], (1,)),
        ({"a": 1}, {"a": 1, "b": None}),
        ({1: 0}, {"1": 0}),
        (np.arange(3), np.arange(3).astype("int32")),
        (np.arange(3), np.arange(3.0)),
        (np.ones((1, 3)), np.ones((3, 1))),
        (np.array(["2024-01-01T00:00:00.000000001"], "M8[ns]"), np.array(["2024-01-01"], "M8[ns]")),
        (np.array([True, False]), np.array([True, True])),
        (np.array([1.0, math.nan]), np.array([1.0, 0.0])),
        (np.array([math.inf]), np.array([-math.inf])),
        (np.array([1, None], dtype=object), np.array([1.0, None], dtype=object)),
        (np.array(["None"], dtype=object), np.array([None], dtype=object)),
        (pd.Series([1.0, 2.0]), pd.Series([1.0, 2.0], name="x")),
        (pd.Series([1, 2]), pd.Series([1, 2], dtype="Int64")),
        (pd.Series(["a"]), pd.Series(["a"], dtype="category")),
        (pd.Categorical(["a"], ["a", "b"]), pd.Categorical(["a"], ["b", "a"])),
        (Account("Ann", 1.0), Account("Ann", 1.0 + 1e-7)),
        (Slotted(1, 2), Slotted(1, 3)),
        (np.random.default_rng(3), np.random.default_rng(4)),
        ("x" * 100, "x" * 99 + "y"),
        (b"ab", b"ac"),
        ({1, 2}, {1, 3}),
    ],
)
def test_small_differences_are_differences(a, b):
    verdict = compare(picture(a), picture(b), name="value")
    assert not verdict.ok and verdict.where.startswith("value")


SABOTEURS = {
    "value": (lambda f: f.assign(f=f.f * (1 + 1e-7)), "column 'f': 2 of 3 values differ, first in row 0"),
    "missing": (
        lambda f: f.assign(f=f.f.fillna(0)),
        "column 'f': 1 of 3 values differs, first in row 1: nan against 0.0",
    ),
    "dtype": (lambda f: f.assign(f=f.f.astype("float32")), "column 'f': float64"),
    "renamed": (lambda f: f.rename(columns={"s": "S"}), "missing"),
    "order": (lambda f: f[[*f.columns[::-1]]], "columns"),
    "index": (lambda f: f.reset_index(drop=True), "index"),
    "level": (lambda f: f.rename_axis(index=["k", "m"]), "index, names"),
    "text": (lambda f: f.assign(s=["a", None, "d"]), "column 's': 1 of 3 values differs, first in row 2: c against d"),
    "category": (lambda f: f.assign(c=f.c.cat.as_unordered()), "column 'c', ordered"),
    "nested": (lambda f: f.assign(o=[[1], {"a": 3}, (3,)]), "column 'o', item 1, key 'a': 2 against 3"),
    "time": (lambda f: f.assign(t=f.t + pd.Timedelta(1, "ns")), "column 't'"),
    "row": (lambda f: f.iloc[:2], "shape (3,) against (2,)"),
    "nullable": (lambda f: f.assign(i=pd.array([1, 2, 3], dtype="Int64")), "column 'i'"),
}


@pytest.mark.parametrize("name", SABOTEURS)
def test_a_damaged_frame_is_noticed_and_named(name):
    damage, said = SABOTEURS[name]
    verdict = compare(picture(FRAME), picture(damage(FRAME)), name="df")
    assert not verdict.ok and verdict.where.startswith("df") and said in verdict.where, verdict


def test_numbers_between_equal_and_close_are_told_apart():
    def state(by, tolerances=None):
        a, b = picture(np.array([1.0, 2.0])), picture(np.array([1.0, 2.0 * (1 + by)]))
        return compare(a, b, *([tolerances] if tolerances else [])).state

    assert [state(b) for b in (1e-12, 1e-8, 1e-4)] == ["equal", "close", "different"]
    assert state(1e-11, REPEATS) == "different" and state(0, REPEATS) == "equal"


def test_large_arrays_are_hashed_and_still_compared(monkeypatch):
    from mlnb.refactoring import nodes

    small = picture(np.arange(100.0)), picture(np.arange(100.0) + (np.arange(100) == 7))
    monkeypatch.setattr(nodes, "LARGEST_ARRAY", 50)
    large = picture(np.arange(100.0))
    assert large.form == "hash" and compare(large, small[0]).ok and not compare(large, small[1]).ok


def test_what_cannot_be_seen_is_unproved():
    import matplotlib.figure

    for value in (iter([1]), (i for i in "a"), object(), matplotlib.figure.Figure(), [iter("a")]):
        assert compare(picture(value), picture(value)).state == "unproved"
    assert not compare(picture([1, iter("a")]), picture([1, 2])).ok


def test_clocks_are_left_out():
    a, b = ({"mean_fit_time": np.array([t]), "mean_score": 1.0, "fit_time": t} for t in (0.1, 0.2))
    assert compare(picture(a), picture(b)).ok and compare(picture(pd.DataFrame(a)), picture(pd.DataFrame(b))).ok


def test_a_hostile_object_is_opaque_and_fatal_to_nobody():
    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError("hands off")

        def __repr__(self):
            raise RuntimeError("hands off")

    value = Hostile()
    assert picture(value).form == "opaque" and isinstance(fingerprint(value), bytes) and reachable([value])


def test_bindings_are_the_users_own_values():
    held = {"df": 1, "_x": 2, "np": np, "f": len, "A": Account, "In": [], "g": math.sqrt, "log": np.log, "m": [].append}
    assert bindings(held) == {"df": 1} and list(pictures(held)) == ["df"]


# models


def test_models_are_equal_to_themselves_fitted_again(models):
    again = fitted()
    for name, model in models.items():
        assert compare(picture(model), picture(again[name]), REPEATS, name=name).ok, name


MOVED = {
    "coefficient": ("pipe", lambda m: m[-1].coef_.__setitem__(0, m[-1].coef_[0] * (1 + 1e-7)), "pipe, "),
    "parameter": ("forest", lambda m: m.set_params(max_depth=3), "parameter max_depth: None against 3 (int)"),
    "tree": ("forest", lambda m: m.estimators_.pop(), "learned estimators_: 5 items against 4"),
    "private": ("near", lambda m: m._y.__setitem__(slice(None), m._y + 1), "predictions of a probe"),
    "centre": ("kmeans", lambda m: m.cluster_centers_.__setitem__((0, 0), 9.0), "cluster_centers_"),
    "best": ("search", lambda m: m.best_params_.update(max_depth=9), "key 'max_depth'"),
    "class": ("forest", lambda m: m.classes_.__setitem__(0, True), "classes_"),
}


@pytest.mark.parametrize("name", MOVED)
def test_a_damaged_model_is_noticed(name, models):
    which, damage, said = MOVED[name]
    moved = copy.deepcopy(models[which])
    before = fingerprint(moved)
    assert before == fingerprint(moved)
    damage(moved)
    verdict = compare(picture(models[which]), picture(moved), name=which)
    assert not verdict.ok and said in verdict.where, verdict
    assert fingerprint(moved) != before


def test_boosters_and_regressions_fitted_to_other_data_are_noticed(models):
    import lightgbm
    import statsmodels.api as sm
    import xgboost

    X, y = data()
    other = {
        "ols": sm.OLS(y * (1 + 1e-7), sm.add_constant(X)).fit(),
        "xgb": xgboost.XGBRegressor(n_estimators=3, n_jobs=1).fit(X, y + (y > 0)),
        "lgb": lightgbm.LGBMRegressor(n_estimators=3, n_jobs=1, verbose=-1, min_child_samples=2).fit(X, y + (y > 0)),
    }
    for name, model in other.items():
        assert not compare(picture(models[name]), picture(model)).ok, name


def test_a_picture_leaves_no_trace(models):
    import warnings

    np.random.seed(0)
    random.seed(0)
    before = np.random.get_state()[1].copy(), random.getstate(), list(warnings.filters)
    prints = {name: fingerprint(model) for name, model in models.items()}
    for model in models.values():
        picture(model)
    assert (np.random.get_state()[1] == before[0]).all() and random.getstate() == before[1]
    assert list(warnings.filters) == before[2] and prints == {n: fingerprint(m) for n, m in models.items()}


def test_pictures_that_are_damaged_on_disk_are_one_line(tmp_path):
    save_pictures({"x": picture(np.arange(3))}, tmp_path)
    for name, content in (("pictures.npz", b"no"), ("pictures.json", b"{"), ("pictures.json", b'{"version": 9}')):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError):
            load_pictures(tmp_path)


# changes


def test_reading_a_frame_changes_nothing():
    frame = pd.DataFrame({"a": range(5), "b": list("abcde"), "c": np.arange(5.0), "d": np.arange(5.0)})
    frame["e"] = frame.c * 2
    before = fingerprint(frame)
    frame["a"], frame.a, frame.b.str.upper(), frame.describe(), frame.values, frame.T, frame.groupby("b").sum()
    (
        frame.loc[frame.a > 2],
        frame.index.is_unique,
        frame.columns.get_loc("a"),
        frame.memory_usage(deep=True),
        repr(frame),
    )
    frame._consolidate_inplace()
    assert fingerprint(frame) == before


IN_PLACE = {
    "list": (lambda: [1, 2], lambda v: v.append(3)),
    "deep list": (lambda: [[{"a": [1]}]], lambda v: v[0][0]["a"].append(1)),
    "dict": (lambda: {"a": 1}, lambda v: v.update(a=2)),
    "dict order": (lambda: {"a": 1, "b": 1}, lambda v: v.update(a=v.pop("a"))),
    "set": (lambda: {1}, lambda v: v.add(2)),
    "cell": (lambda: pd.DataFrame({"a": [1.0, 2.0]}), lambda v: v.__setitem__("a", v.a + 1e-15 * (v.a == 1) + 1e-15)),
    "loc": (lambda: pd.DataFrame({"a": [1.0, 2.0]}), lambda v: v.loc.__setitem__((0, "a"), 1 + 1e-12)),
    "text cell": (lambda: pd.DataFrame({"a": ["x", "y"]}), lambda v: v.loc.__setitem__((0, "a"), "z")),
    "drop": (lambda: pd.DataFrame({"a": [1], "b": [2]}), lambda v: v.drop(columns="b", inplace=True)),
    "rename": (lambda: pd.DataFrame({"a": [1]}), lambda v: v.rename(columns={"a": "b"}, inplace=True)),
    "sort": (lambda: pd.DataFrame({"a": [2, 1]}), lambda v: v.sort_values("a", inplace=True)),
    "index": (lambda: pd.DataFrame({"a": [2, 1]}), lambda v: setattr(v, "index", [5, 6])),
    "category": (
        lambda: pd.DataFrame({"a": pd.Categorical(["x", "y"])}),
        lambda v: v.loc.__setitem__((0, "a"), "y"),
    ),
    "nullable": (lambda: pd.Series([1, 2], dtype="Int64"), lambda v: v.__setitem__(0, pd.NA)),
    "nested frame": (lambda: pd.DataFrame({"a": [[1], [2]]}), lambda v: v.a[0].append(3)),
    "array": (lambda: np.zeros(4), lambda v: v.__setitem__(0, 1e-300)),
    "large array": (lambda: np.zeros(200_000), lambda v: v.__setitem__(199_999, 1e-300)),
    "two signs": (lambda: np.ones(200_000), lambda v: v.__setitem__(slice(0, 2), -1.0)),
    "swap": (lambda: np.arange(100_000.0), lambda v: v.__setitem__(slice(0, 2), [1.0, 0.0])),
    "fortran": (lambda: np.asfortranarray(np.zeros((4, 3))), lambda v: v.__setitem__((3, 1), 1.0)),
    "attribute": (lambda: Account("Ann", 1), lambda v: setattr(v, "balance", 2)),
    "slot": (lambda: Slotted(1, 2), lambda v: setattr(v, "b", 3)),
    "generator": (lambda: np.random.default_rng(0), lambda v: v.normal()),
    "state": (lambda: np.random.RandomState(0), lambda v: v.normal()),
    "iterator": (lambda: iter([1, 2]), lambda v: next(v)),
    "yielding": (lambda: (i for i in "ab"), lambda v: next(v)),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_change_in_place_is_found(name):
    make, change = IN_PLACE[name]
    value = make()
    before = fingerprint(value)
    assert fingerprint(value) == before and not is_still(value)
    change(value)
    assert fingerprint(value) != before


def test_fitting_changes_an_estimator_and_predicting_does_not(models):
    from sklearn.base import clone

    X, y = data()
    for name, model in models.items():
        if not hasattr(model, "get_params"):
            continue
        fresh = clone(model)
        before = fingerprint(fresh)
        fresh.fit(X, y > 0 if name == "forest" else y)
        after = fingerprint(fresh)
        assert after != before, name
        fresh.predict(X)
        assert fingerprint(fresh) == after, name
        fresh.fit(X.iloc[::-1] + 1, (y > 1) if name == "forest" else y[::-1] * 3)
        assert fingerprint(fresh) != after, name


def test_a_drawing_changes_its_figure():
    import matplotlib.figure

    figure = matplotlib.figure.Figure()
    axes = figure.subplots()
    before = fingerprint(figure), fingerprint(axes)
    axes.plot([1, 2], [3, 4])
    assert fingerprint(figure) != before[0] and fingerprint(axes) != before[1]
    before = fingerprint(axes)
    axes.set_title("Fares")
    assert fingerprint(axes) != before


def test_aliases_are_found_and_copies_are_none():
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    frame, array, items, line = pd.DataFrame({"a": [1.0], "b": [2.0]}), np.zeros((4, 4)), [[1]], LinearRegression()
    names = {
        "frame": frame, "column": frame["a"], "values": frame["b"].to_numpy(), "copy": frame.copy(),
        "array": array, "row": array[0], "flat": array.reshape(-1), "own": array.copy(), "turned": array.T[1:],
        "items": items, "inner": items[0], "boxed": {"k": (items,)}, "equal": [[1]],
        "line": line, "pipe": make_pipeline(line), "method": line.fit, "n": 3, "s": "a",
        "r": np.random.RandomState(0), "one": np.float64(1),
    }  # fmt: skip
    groups = alias_groups({n: reachable(v) for n, v in names.items()})
    together = {frozenset(pair) for g in groups for pair in ((a, b) for a in g for b in g if a != b)}
    expected = [("frame", "column"), ("frame", "values"), ("array", "row"), ("array", "flat"), ("array", "turned")]
    expected += [("items", "inner"), ("items", "boxed"), ("inner", "boxed"), ("line", "pipe"), ("line", "method")]
    assert all(frozenset(pair) in together for pair in expected)
    alone = {"copy", "own", "equal", "n", "s", "r", "one"}
    assert not any(alone & set(g) for g in groups)
    assert not together & {frozenset(p) for p in (("frame", "array"), ("items", "line"), ("row", "items"))}


# figures


def drawn(damage=None):
    from matplotlib.figure import Figure

    figure = Figure(layout=None)
    axes = figure.subplots(1, 2)
    axes[0].plot([1.0, 2.0, 3.0], [3.0, 1.0, 2.0], label="fare")
    axes[0].scatter([1, 2, 3], [3, 1, 2], c=["C0", "C1", "C0"])
    axes[0].legend()
    axes[1].bar(["a", "b", "c"], [3, 1, 2])
    axes[1].imshow(np.eye(3))
    axes[1].text(1, 1, "note")
    figure.suptitle("Fares")
    if damage:
        damage(figure, axes)
    return figure_picture(figure)


DRAWN = {
    "point": lambda f, a: a[0].lines[0].set_ydata([3.0, 1.0, 2.0 + 1e-6]),
    "bar": lambda f, a: a[1].patches[0].set_height(9),
    "cloud": lambda f, a: a[0].collections[0].set_offsets([[1, 3], [2, 1], [3, 2.5]]),
    "image": lambda f, a: a[1].images[0].set_data(np.eye(3) * 2),
    "text": lambda f, a: a[1].texts[0].set_text("not"),
    "label": lambda f, a: a[0].set_xlabel("age"),
    "title": lambda f, a: a[0].set_title("Ages"),
    "head": lambda f, a: f.suptitle("Ages"),
    "limits": lambda f, a: a[0].set_xlim(0, 9),
    "scale": lambda f, a: a[0].set_yscale("log"),
    "ticks": lambda f, a: a[1].set_xticks([0, 1, 2], ["x", "b", "c"]),
    "legend": lambda f, a: a[0].legend(["price"]),
    "colour": lambda f, a: a[0].lines[0].set_color("red"),
    "cloud's colour": lambda f, a: a[0].collections[0].set_facecolor("red"),
    "gone": lambda f, a: a[0].lines[0].remove(),
    "hidden": lambda f, a: a[0].lines[0].set_visible(False),
    "style": lambda f, a: a[0].lines[0].set_linestyle("--"),
    "more": lambda f, a: a[0].axhline(2),
}


def test_figures_of_pandas_and_seaborn_are_equal_to_themselves_drawn_again():
    import seaborn as sns
    from matplotlib.figure import Figure

    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [3.0, 1.0, 2.0], "k": ["a", "b", "a"]})

    def made(frame):
        figure = Figure()
        axes = figure.subplots(2, 2).ravel()
        frame.plot(kind="bar", x="k", y="y", ax=axes[0])
        sns.scatterplot(frame, x="x", y="y", hue="k", ax=axes[1])
        sns.histplot(frame, x="x", kde=True, ax=axes[2])
        axes[3].contourf(np.outer(frame.x, frame.y))
        return figure_picture(figure)

    first = made(frame)
    assert compare(first, made(frame), REPEATS).ok and compare(drawn(), drawn(), REPEATS).ok
    assert not compare(first, made(frame.assign(y=frame.y * (1 + 1e-7)))).ok


@pytest.fixture(scope="module")
def undamaged():
    return drawn()


@pytest.mark.parametrize("name", DRAWN)
def test_a_damaged_figure_is_noticed(name, undamaged):
    verdict = compare(undamaged, drawn(DRAWN[name]), name="figure")
    assert not verdict.ok and verdict.where.startswith("figure"), name
