"""The deep proof notices damage, follows other data and other settings, and says where a package does not."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from mlnb.core.errors import ArgumentError, StepError
from mlnb.refactoring.convert import Conversion, convert
from mlnb.refactoring.deep import DeepProof, deep
from mlnb.refactoring.forks import Forks, Job, imported
from mlnb.refactoring.knobs import Knob, literals
from mlnb.refactoring.mutants import Mutant, mutants
from mlnb.refactoring.mutation import MutationScore, judge, run_clean
from mlnb.refactoring.notebook import read_notebook
from mlnb.refactoring.second_input import SecondInputs, change_table, own_file
from mlnb.refactoring.trials import try_variants
from mlnb.refactoring.turned_knobs import turned_knobs

CELLS = (
    "import json\nimport statistics",
    "# fares by class\nlimit = 40  # euros\n"
    "rows = [line.split(',') for line in open('data/fares.csv').read().split()[1:]]",
    "fares = {}\nfor kind, fare in rows:\n    fares.setdefault(kind, []).append(float(fare))\nlen(rows)",
    "def share(values, over):\n    return sum(v > over for v in values) / len(values)\n"
    "dear = {kind: share(held, limit) for kind, held in sorted(fares.items())}\ndear",
    "order = sorted(fares, key=lambda kind: -statistics.mean(fares[kind]))\nprint('dearest', order[:1])",
    "with open('dear.json', 'w') as out:\n    json.dump(dear, out)",
)


def written(folder: Path, cells: tuple[str, ...] = CELLS) -> Path:
    folder = folder / "a/b/c/d"  # what lies above a notebook's folder is mirrored: here that is little
    rng = random.Random(5)
    (folder / "data").mkdir(parents=True)
    lines = [f"{rng.choice('abc')},{rng.uniform(5, 90):.2f}" for _ in range(60)]
    (folder / "data/fares.csv").write_text("\n".join(["class,fare", *lines]) + "\n")
    path = folder / "fares.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(c) for c in cells]), path)
    return path


@pytest.fixture(scope="module")
def fares(tmp_path_factory) -> Conversion:
    return convert(read_notebook(written(tmp_path_factory.mktemp("fares"))), name="fares", timeout=120)


@pytest.fixture(scope="module")
def found(fares) -> DeepProof:
    return deep(fares, mutants=12, knobs=2, timeout=120)


def test_damage_is_noticed_and_what_is_told_adds_up(fares, found):
    score = found.mutants
    states = Counter(damage.state for damage in score.damages)
    assert len(score.damages) == 12 and len({damage.says for damage in score.damages}) == 12
    assert score.score == states["noticed"] / (states["noticed"] + states["missed"]) >= 0.9
    assert len({damage.kind for damage in score.damages}) >= 5
    told = found.to_json()
    assert told["mutants"]["noticed"] == states["noticed"] and not found.unable
    assert [result.code for result in found.results()] == ["MLN-F010", "MLN-F011", "MLN-F012"]
    assert found.results()[0].value == score.score and found.ok


def test_package_follows_other_data_and_another_setting(fares, found):
    assert [trial.name for trial in found.inputs.trials] == ["rows dropped", "rows shuffled", "a column scaled"]
    assert {trial.state for trial in found.inputs.trials} == {"agrees"}
    assert "6 of 60 rows dropped" in found.inputs.trials[0].says
    assert [(t.name, t.says, t.state) for t in found.knobs.trials] == [("limit", "40 → 39", "agrees")]


def test_package_that_holds_the_data_is_found_out(fares, tmp_path):
    home = next(path for path, text in fares.source.files.items() if "data/fares.csv" in text)
    held = repr([line.split(",") for line in (fares.notebook.path.parent / "data/fares.csv").read_text().split()[1:]])
    text = fares.source.files[home]
    at = text.index("rows = ")
    end = at + next(i for i in range(len(text)) if _complete(text[at : at + i]))
    baked = replace(fares.source, files={**fares.source.files, home: f"{text[:at]}rows = {held}{text[end:]}"})
    fixed = baked.files["pipeline.py"].replace("settings.limit", "40")
    cheat = replace(fares, source=replace(baked, files={**baked.files, "pipeline.py": fixed}))
    turned = turned_knobs(cheat.notebook, cheat.knobs, many=1)
    with Forks(imported(baked.files)) as forks, SecondInputs(cheat.notebook, cheat.trace) as variants:
        inputs = try_variants(cheat, forks, variants[:1], tmp_path, timeout=120, title="Input")
        knobs = try_variants(cheat, forks, turned, tmp_path, timeout=120, title="Knobs")
    told = DeepProof(MutationScore(()), inputs, knobs)
    assert [t.state for t in (*inputs.trials, *knobs.trials)] == ["differs", "differs"] and not told.ok
    assert told.results()[1].status == "fail" and "rows" in told.results()[1].advice


def _complete(text: str) -> bool:
    return text.endswith("\n") and text.count("(") == text.count(")") and text.count("[") == text.count("]")


def test_damage_without_effect_is_not_counted_and_one_that_is_not_seen_is_missed(fares, tmp_path):
    module = next(path for path, text in fares.source.files.items() if "sorted(fares.items())" in text)
    text = fares.source.files[module]

    def mutant(before: str, after: str) -> Mutant:
        assert before in text
        return Mutant("call", module, 1, "", before, after, text.replace(before, after, 1))

    cases = {
        "equivalent": mutant("sorted(fares.items())", "sorted(list(fares.items()))"),
        "noticed": mutant("sorted(fares.items())", "reversed(sorted(fares.items()))"),
        "stops": mutant("sorted(fares.items())", "sorted(fares.item())"),
    }
    with Forks(imported(fares.source.files)) as forks:
        clean = run_clean(fares, forks, tmp_path, 120)
        jobs = []
        for name, case in cases.items():
            source = replace(fares.source, files={**fares.source.files, module: case.text})
            jobs.append(_job(fares, tmp_path / name, source))
        outcomes = {job.name: outcome for job, outcome in forks.run(jobs)}
    states = {name: judge(case, outcomes[name], fares, clean).state for name, case in cases.items()}
    assert states == {"equivalent": "equivalent", "noticed": "noticed", "stops": "noticed"}
    blind = replace(clean, parts={**clean.parts, "look of shown 0": clean.parts["line 0"]})
    assert judge(cases["equivalent"], outcomes["equivalent"], fares, blind).state == "missed"
    loud = replace(blind, noise=frozenset(["look of shown 0"]))
    assert judge(cases["equivalent"], outcomes["equivalent"], fares, loud).state == "drowned"
    assert clean.live[module] and "display.py" not in {m.file for m in mutants(fares.source, 50, live=clean.live)}


def _job(made: Conversion, folder: Path, source) -> Job:
    for path, text in source.files.items():
        (folder / source.name / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / source.name / path).write_text(text)
    return Job(folder.name, str(folder), str(made.notebook.path), source.name, 60.0)


def test_notebook_that_fails_on_other_data_is_skipped_only_where_the_package_fails_too(fares, tmp_path):
    code = fares.notebook.cells[2].code + "\nassert len(rows) == 60, 'sixty rows'"
    cells = tuple(replace(c, code=code) if c.number == 3 else c for c in fares.notebook.cells)
    strict = replace(fares, notebook=replace(fares.notebook, cells=cells))
    check = "    assert len(results['rows']) == 60, 'sixty rows'\n    return results\n"
    pipeline = fares.source.files["pipeline.py"]
    at = pipeline.index("    return {")
    failing = f"{pipeline[:at]}    results = {pipeline[at:].strip().removeprefix('return ')}\n{check}"
    both = replace(strict, source=replace(fares.source, files={**fares.source.files, "pipeline.py": failing}))
    with Forks(imported(fares.source.files)) as forks, SecondInputs(strict.notebook, fares.trace) as variants:
        (trial,) = try_variants(strict, forks, variants[:1], tmp_path / "one", timeout=120, title="One").trials
        (alike,) = try_variants(both, forks, variants[:1], tmp_path / "both", timeout=120, title="Both").trials
    assert trial.state == "differs" and "raises AssertionError: sixty rows" in trial.where
    assert "the package does not fail" in trial.where
    assert (alike.state, alike.where) == ("skipped", "both fail alike: cell 3 raises AssertionError: sixty rows")


def test_process_that_dies_is_told(tmp_path):
    with Forks(["json"]) as forks, pytest.raises(StepError, match="died"):
        (forks.folder / "0.json").write_text("{")  # an order that nobody can read
        forks.many = 1
        list(forks.run([Job("a", str(tmp_path), str(tmp_path / "a.ipynb"), "a", 5.0)]))


def test_package_that_is_not_proved_is_not_asked(fares):
    damaged = {**fares.source.files, "pipeline.py": "def run(data_dir='.', settings=None):\n    return {}\n"}
    told = deep(replace(fares, source=replace(fares.source, files=damaged)), mutants=2, timeout=120)
    assert "from a warm process" in told.unable and told.results()[0].status == "error" and not told.ok


def test_places_of_knobs_are_those_of_the_notebook(fares):
    (knob,) = fares.knobs
    statement = fares.notebook.statements[knob.places[0][0]]
    assert [n.value for n in literals(statement.node)] == [40] and knob.value == "40"  # type: ignore[attr-defined]
    assert isinstance(knob, Knob)


def test_nothing_is_written_through_a_link(tmp_path):
    real = tmp_path / "real/inner"
    real.mkdir(parents=True)
    (real / "a.csv").write_text("x,y\n" + "".join(f"{i}.5,{i}\n" for i in range(20)))
    (real / "b.csv").write_text("1")
    root = tmp_path / "mirror"
    root.mkdir()
    (root / "data").symlink_to(tmp_path / "real")
    held = own_file(root, root / "data/inner/a.csv")
    change_table(held, "rows dropped")
    assert len((real / "a.csv").read_text().splitlines()) == 21 and len(held.read_text().splitlines()) == 19
    assert (root / "data/inner/b.csv").read_text() == "1"


def test_no_damages_are_no_question(fares):
    with pytest.raises(ArgumentError, match="not a number"):
        mutants(fares.source, 0)
