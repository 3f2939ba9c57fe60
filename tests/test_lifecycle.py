"""What cells are for: against labels that people gave, and case by case for each principle."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest

from mlnb.core.errors import RefusedError
from mlnb.refactoring.declarations import Facts, names_of
from mlnb.refactoring.facts import facts_of
from mlnb.refactoring.lifecycle import KINDS, kind_of_step, kinds_of, kinds_of_cells
from mlnb.refactoring.naming import name_steps
from mlnb.refactoring.notebook import Cell, Notebook, read_notebook
from mlnb.refactoring.phrases import PARTICIPLES, VERBS, as_name, verb_first, words_of
from mlnb.refactoring.pieces import take_apart
from mlnb.refactoring.reference import observe
from mlnb.refactoring.segments import cut

HOME = Path(__file__).parent / "notebooks"
LISTED = json.loads((HOME / "list.json").read_text())["notebooks"]
SAID = {entry["id"]: tomllib.loads((HOME / f"{entry['id']}.toml").read_text()) for entry in LISTED}
IDS = sorted(slug for slug, said in SAID.items() if said["must"] == "convert")
# ten of them, chosen by how much their labels vary, not by how well they come out: at least seven kinds of work
TEN = sorted(IDS, key=lambda slug: (-len({*SAID[slug]["steps"]}), -len(SAID[slug]["steps"]), slug))[:10]


def right(slug: str, facts: Facts) -> tuple[int, int]:
    """How many cells of a notebook are of the kind that its label says, and of how many."""
    labels = SAID[slug]["steps"]
    found = kinds_of_cells(names_of(read_notebook(HOME / SAID[slug]["notebook"]), facts))
    assert len(found) == len(labels) and {*found} <= {*KINDS}
    return sum(a == b for a, b in zip(found, labels, strict=True)), len(labels)


@cache
def read_only() -> dict[str, tuple[int, int]]:
    """All notebooks that can be read without a run: those without star imports."""
    held = {}
    for slug in IDS:
        try:
            held[slug] = right(slug, Facts())
        except RefusedError as err:
            assert "import *" in str(err)
    return held


def share(found: dict[str, tuple[int, int]]) -> float:
    return sum(a for a, _ in found.values()) / sum(b for _, b in found.values())


def test_cells_are_of_the_kinds_that_their_labels_say_even_without_a_run():
    found = read_only()
    assert len(found) >= 20 and share(found) >= 0.85
    assert sum(a / b >= 0.85 for a, b in found.values()) >= 10


def test_ten_notebooks_of_many_kinds():
    ten = {slug: read_only()[slug] for slug in TEN if slug in read_only()}
    assert len(ten) >= 8 and share(ten) >= 0.85


def test_the_measure_can_fail():
    """Were every cell of the most frequent kind, a third would be right; of labels shifted by a cell, half."""
    labels = [label for slug in IDS for label in SAID[slug]["steps"]]
    assert max(map(labels.count, KINDS)) / len(labels) < 0.35
    assert sum(a == b for a, b in pairwise(labels)) / len(labels) < 0.5


@pytest.mark.long
def test_cells_are_of_the_kinds_that_their_labels_say_with_what_a_run_saw(monkeypatch):
    monkeypatch.delenv("MPLBACKEND", raising=False)
    found = {}
    for slug in IDS:
        notebook = read_notebook(HOME / SAID[slug]["notebook"])
        found[slug] = right(slug, facts_of(observe(notebook, timeout=300)))
    assert share({slug: found[slug] for slug in TEN}) >= 0.85 and share(found) >= 0.85


# ---- principles


IMPORTS = """
import numpy as np
import pandas as pd
import matplotlib.pyplot as plt
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.preprocessing import StandardScaler
"""
LOADED = "rides = pd.read_csv('rides.csv')"
FITTED = "model = Ridge().fit(rides[['km']], rides['minutes'])"


def kinds(*cells: str, headings: dict[int, str] | None = None, facts: Facts | None = None) -> list[str]:
    """Kinds of some cells, after one that imports."""
    held = [Cell(1, IMPORTS, IMPORTS)]
    for i, code in enumerate(cells):
        code = dedent(code).strip()
        above = (headings or {}).get(i)
        held.append(Cell(i + 2, code, code, (above,) if above else ()))
    return kinds_of_cells(names_of(Notebook(Path("rides.ipynb"), tuple(held), ""), facts or Facts()))[1:]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("alpha, beta = 0.3, 2", "setup"),
        ("np.random.seed(3)", "setup"),
        ("noise = np.random.normal(size=900)\nnoise[:3]\nnoise2 = noise", "load"),
        ("toy = pd.DataFrame({'a': [1, 2], 'b': [3, 4]})", "load"),
        ("rides = rides.dropna()", "clean"),
        ("rides = rides[rides['km'] > 0]", "clean"),
        ("rides.columns = ['a', 'b']", "clean"),
        ("rides.rename(columns={'a': 'b'}, inplace=True)", "clean"),
        ("rides['speed'] = rides['km'] / rides['minutes']", "features"),
        ("Z = StandardScaler().fit_transform(rides)\nZ.mean()", "features"),
        ("pca = PCA(2)\nscores2d = pca.fit_transform(rides)", "features"),
        ("train, test = train_test_split(rides)", "split"),
        ("X_train, X_test = rides[:90], rides[90:]", "split"),
        ("other = Ridge()\nother.fit(rides[['km']], rides['minutes'])", "train"),
        ("search = GridSearchCV(Ridge(), {'alpha': [1, 2]}).fit(rides[['km']], rides['minutes'])", "train"),
        ("slope, start = np.polyfit(rides['km'], rides['minutes'], 1)", "train"),
        ("guess = model.predict(rides[['km']])", "evaluate"),
        ("r2_score(rides['minutes'], model.predict(rides[['km']]))", "evaluate"),
        ("cross_val_score(Ridge(), rides[['km']], rides['minutes']).mean()", "evaluate"),
        ("off = rides['minutes'] - model.predict(rides[['km']])\n(off**2).mean() ** 0.5", "evaluate"),
        ("boot = [np.random.choice(rides['km']).mean() for _ in range(99)]", "evaluate"),
        ("plt.plot(rides['km'])\nplt.title('km')", "plot"),
        ("by_day = rides.groupby('day')['km'].mean()\nby_day.plot.bar()\nplt.ylabel('km')", "plot"),
        ("rides.to_csv('out.csv')", "save"),
        ("with open('out.txt', 'w') as f:\n    f.write('x')", "save"),
        ("rides.head()", "look"),
        ("rides.groupby('day')['km'].mean()", "look"),
        ("model.coef_", "look"),
        ("print(len(rides))", "look"),
        ("# rides.plot()", "look"),
    ],
)
def test_what_counts_as_what(code, kind):
    later = "print(rides, model)\nprint(1)"
    assert kinds(LOADED, "rides = rides.copy()\nrides.info()", FITTED, code, later)[3] == kind


def test_the_same_words_count_by_what_they_are_said_of():
    """`mean` of data that is kept is a feature, of errors a result; `fit` of a scaler prepares, of a model trains."""
    of_data, of_errors = kinds(
        LOADED, FITTED, "typical = rides.groupby('day').mean()",
        "typical_off = (rides['minutes'] - model.predict(rides[['km']])).mean()", "print(typical, typical_off)",
    )[2:4]  # fmt: skip
    assert (of_data, of_errors) == ("features", "evaluate")
    scaled, trained = kinds(LOADED, "s = StandardScaler()\ns.fit(rides)", "m = Ridge()\nm.fit(rides, 1)", "s, m")[1:3]
    assert (scaled, trained) == ("features", "train")


def test_names_that_are_only_alike_do_not_count():
    """A function `r2_score` of one's own that reads a file loads; a column that is called `plot` plots nothing."""
    own = "def fetch(path):\n    return pd.read_csv(path)"
    assert kinds(own, "plots = fetch('a.csv')", "plots['fit'] = plots['a'] * 2", "plots") == [
        "load", "load", "features", "look",
    ]  # fmt: skip


def test_functions_of_the_notebook_count_as_what_they_do():
    judge = """
        def judge(model, rows):
            return r2_score(rows['minutes'], model.predict(rows[['km']]))
    """
    draw = "def draw(rows):\n    plt.plot(rows['km'])"
    found = kinds(LOADED, FITTED, judge, draw, "one = judge(model, rides)", "draw(rides)", "one")
    assert found[2:] == ["evaluate", "plot", "evaluate", "plot", "look"]


def test_single_columns_are_told_apart():
    """After predictions went into one column, a change of another one is still a feature."""
    cells = [LOADED, FITTED, "rides['guess'] = model.predict(rides[['km']])", "rides['far'] = rides['km'] > 9",
             "wrong = rides['guess'] - rides['minutes']", "wrong"]  # fmt: skip
    assert kinds(*cells)[2:5] == ["evaluate", "features", "evaluate"]


def test_shapes_tell_cleaning_from_features():
    """The same call, once it grows a column, once it drops rows."""
    cells = [LOADED, "rides = tidied(rides)", "rides"]
    cells[0] += "\ntidied = helper.tidied"

    def facts(after: tuple[int, int]) -> Facts:
        place = IMPORTS.strip().count("\n") + 1
        return Facts(shapes={(place, "rides"): (100, 3), (place + 2, "rides"): after})

    assert kinds(*cells, facts=facts((100, 4)))[1] == "features"
    assert kinds(*cells, facts=facts((90, 3)))[1] == "clean"


def test_what_a_run_saw_decides():
    """A figure that nothing in the code shows, a file that is written somewhere below."""
    place = IMPORTS.strip().count("\n") + 2
    assert kinds(LOADED, "report(rides)")[1] == "look"
    assert kinds(LOADED, "report(rides)", facts=Facts(plots=frozenset({3})))[1] == "plot"
    assert kinds(LOADED, "report(rides)", facts=Facts(written={place: ("report.html",)}))[1] == "save"


def test_headings_have_a_say_but_not_alone():
    """A heading turns what is undecided; it does not turn a model that is fitted into cleaning."""
    code = "lower, upper = limits(rides)\nrides = rides[lower:upper]\nrides['a'] = rides['b'] * 2"
    plain, headed = kinds(LOADED, code, "rides")[1], kinds(LOADED, code, "rides", headings={1: "Outliers"})[1]
    assert (plain, headed) == ("features", "clean")
    assert kinds(LOADED, FITTED, "model", headings={1: "Outliers"})[1] == "train"


def test_pieces_are_told_apart_inside_a_cell():
    code = "rides = pd.read_csv('rides.csv')\nrides = rides.dropna()\nm = Ridge()\nm.fit(rides, 1)\nm.score(rides, 1)"
    held = Notebook(Path("n.ipynb"), (Cell(1, IMPORTS, IMPORTS), Cell(2, code, code)), "")
    assert kinds_of(take_apart(names_of(held))) == ["load", "clean", "train", "train", "evaluate"]


def test_a_function_that_calls_itself_and_long_notebooks_end():
    deep = "def f(n):\n    return 1 if n < 2 else f(n - 1) + g(n)\n\n\ndef g(n):\n    return f(n) + f(n - 1)"
    assert kinds(deep, "a = f(9)", "a")[2] == "look"
    many = [LOADED, *(f"x{i} = rides['km'] + {i}\nx{i}.head()" for i in range(400))]
    assert {*kinds(*many)[1:]} <= {"features", "look"}


def test_every_kind_is_one_of_the_ten_and_nothing_is_needed():
    empty = Notebook(Path("n.ipynb"), (), "")
    assert kinds_of_cells(names_of(empty)) == []
    blank = replace(empty, cells=(Cell(1, "", ""), Cell(2, "%matplotlib inline", "")))
    assert {*kinds_of_cells(names_of(blank))} <= {"look", "setup"}


def test_a_step_is_for_what_most_of_its_cells_are_for():
    lines_of_a_figure = ["plot"] * 9
    assert kind_of_step(["features", "features", *lines_of_a_figure], [1, 2, *[3] * 9]) == "features"
    assert kind_of_step(["look", "load", "look"], [1, 2, 3]) == "load"
    assert kind_of_step(["evaluate", "train"], [1, 2]) == "train"


# ---- names


def named(slug: str) -> list[tuple[str, str]]:
    """Names of the functions of a notebook that was not run, and what `run` calls their results."""
    pieces = take_apart(names_of(read_notebook(HOME / SAID[slug]["notebook"])))
    return [(n.function, n.result) for n in name_steps(pieces, cut(pieces))]


POOR = re.compile(r"^_|_$|\d$|^test_|^make_|(^|_)(step|cell|part|section|df|ax|fig|tmp|func)(_|$)|__")


@pytest.mark.parametrize(
    "slug", [slug for slug in IDS if slug not in ("credit_grid", "wine_components", "model_copies")]
)
def test_names_read_like_names(slug):
    found = named(slug)
    both = [name for pair in found for name in pair]
    assert len({*both}) == len(both), "distinct"
    for function, _ in found:
        words = function.split("_")
        verb = "set_up" if function.startswith("set_up_") else words[0]
        assert function.isidentifier() and not POOR.search(function), function
        assert verb in {*VERBS.values(), *PARTICIPLES} and len(words) <= 8, function
        assert not any(a == b for a, b in pairwise(words)), function


@pytest.mark.parametrize(
    ("heading", "kind", "name"),
    [
        ("Load the data", "load", "load_data"),
        ("Load of a week", "plot", "plot_load_of_week"),
        ("2.1 Feature scaling", "features", "scale_features"),
        ("Fit a Classification Tree", "evaluate", "fit_classification_tree"),
        ("Confusion matrix", "evaluate", "evaluate_confusion_matrix"),
        ("Cleaning the survey", "clean", "clean_survey"),
        ("Survey - cleaning", "clean", "clean_survey"),
        ("Pairs of origins", "features", "derive_pairs_of_origins"),
        ("Test set performance", "evaluate", "evaluate_test_set_performance"),
        ("Set up the folders", "setup", "set_up_folders"),
    ],
)
def test_headings_become_names(heading, kind, name):
    verb, rest = verb_first(words_of(heading), kind, heading)
    assert as_name([verb or VERBS[kind], *rest]) == name
