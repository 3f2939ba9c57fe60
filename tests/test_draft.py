"""A conversion that a person goes on with: what an edit may do, what it never does, and that it can be done again."""

from __future__ import annotations

import ast
import json
import re
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from mlnb.core.errors import ArgumentError, DataError, FileError, RefusedError
from mlnb.core.result import Report
from mlnb.refactoring import draft as drafts
from mlnb.refactoring.cutting import code_of
from mlnb.refactoring.draft import Draft, edited, repeat
from mlnb.refactoring.edits import read_edits, require_good_name, told, with_edits
from mlnb.refactoring.notebook import read_notebook
from mlnb.refactoring.prove import Proof
from mlnb.refactoring.refactor import refactor
from mlnb.refactoring.targets import convert_living

HERE = Path(__file__).parent / "notebooks"


@pytest.fixture(scope="module")
def made():
    """A messy notebook whose middle cells have to stay together."""
    return convert_living(read_notebook(HERE / "pipeline_classes" / "pipeline_classes.ipynb"), name="classes")


@pytest.fixture
def first(made) -> Draft:
    return Draft.of(made)


def cells_of(draft: Draft) -> list[list[int]]:
    return [[part.cell for part in parts] for parts in draft.cutting.parts]


def border(draft: Draft) -> int:
    """The number of a step whose first cell can go to the step before, with others left behind it."""
    held = draft.made.pieces.together
    for number in range(1, len(draft.functions)):
        parts = draft.cutting.parts[number]
        whole = all(part.cell != parts[0].cell for part in draft.cutting.parts[number - 1])
        if whole and len(parts) > 1 and not any(a < parts[0].end <= b for a, b in held):
            return number
    raise AssertionError("the notebook has no such step")


class TestEdits:
    def test_a_draft_is_the_conversion_until_it_is_changed(self, first, made):
        assert first.conversion is made and first.ok and first.edits == ()
        assert first.cutting.source is made.source
        assert first.functions == made.source.order

    def test_every_cell_stays_in_its_order_whatever_is_done(self, first):
        number = border(first)
        cell = first.cutting.parts[number][0].cell
        flat = [*chain(*cells_of(first))]
        moved = first.move(cell, "previous")
        assert [*dict.fromkeys(chain(*cells_of(moved)))] == [*dict.fromkeys(flat)] == sorted({*flat})
        assert {*flat} == {piece.cell for piece in first.made.pieces.pieces}
        assert cell in cells_of(moved)[number - 1] and cell not in cells_of(moved)[number]
        back = moved.move(cell, "next")
        assert cells_of(back) == cells_of(first)
        assert [told(e).split(" moved")[0] for e in back.edits] == [f"cell {cell}"] * 2
        pieces = first.made.pieces.pieces
        body = [step.body for step in moved.cutting.steps]
        at = [next(i for i, text in enumerate(body) if p.text.splitlines()[0] in text) for p in pieces if p.text]
        assert len(at) > 10 and max(at) == len(body) - 1

    def test_a_cell_that_is_not_at_the_border_is_refused(self, first):
        number = next(i for i, cells in enumerate(cells_of(first)) if len(cells) > 2 and i)
        inner = cells_of(first)[number][1]
        with pytest.raises(ArgumentError, match="order of cells is never changed"):
            first.move(inner, "previous", of=first.functions[number])
        far = first.functions[number - 2] if number > 1 else first.functions[-1]
        with pytest.raises(ArgumentError, match="only go to the step before or after"):
            first.move(inner, far, of=first.functions[number])
        with pytest.raises(ArgumentError, match="is the first step"):
            first.move(cells_of(first)[0][0], "previous")
        with pytest.raises(ArgumentError, match="is the last step"):
            first.move(cells_of(first)[-1][-1], "next", of=first.functions[-1])

    @pytest.mark.parametrize("cell", [0, -1, 10**9, True, "3", None, 2.0])
    def test_what_is_no_cell_is_refused(self, first, cell):
        with pytest.raises(ArgumentError, match=r"there is no cell|in no step"):
            first.move(cell, "next")

    def test_cells_that_a_function_ties_together_are_not_cut_apart(self, first):
        pieces = first.made.pieces
        tied = {pieces.pieces[i].cell for a, b in pieces.together for i in range(a + 1, b + 1)}
        whole = first
        while len(whole.functions) > 1:
            whole = whole.join(whole.functions[0])
        refused = []
        for cell in sorted(tied):
            try:
                whole.split(cell)
            except ArgumentError as err:
                assert "stay together: a function of cell" in err.message
                refused.append(cell)
        assert refused, "the notebook ties no cells together"

    def test_names_are_checked(self, first, made):
        own = next(b.name for b in made.pieces.names.bindings.values() if b.kind == "value")
        for name in ("", "2fast", "a b", "class", "print", "step_3", "cell12", "_", "x", "run", "naïve", own, "a" * 61):
            with pytest.raises(ArgumentError):
                first.rename(first.functions[0], name)
        with pytest.raises(ArgumentError, match="is taken"):
            first.rename(first.functions[0], first.functions[1])
        renamed = first.rename(first.functions[0], "gather_everything")
        assert renamed.functions == ("gather_everything", *first.functions[1:])
        assert first.functions[0] != "gather_everything", "the first draft is as it was"
        assert "def gather_everything(" in code_of(renamed.cutting, "gather_everything")

    def test_joining_and_splitting_undo_each_other(self, first):
        joined = first.join(first.functions[0])
        assert len(joined.functions) == len(first.functions) - 1
        begins = first.cutting.parts[1][0].cell
        again = joined.split(begins, name="second_half", of=joined.functions[0])
        assert again.cutting.starts == first.cutting.starts and again.functions[1] == "second_half"
        with pytest.raises(ArgumentError, match="begins a step already"):
            again.split(begins, of="second_half")
        with pytest.raises(ArgumentError, match="is the last step"):
            first.join(first.functions[-1])
        free = joined.split(begins, of=joined.functions[0])
        require_good_name(free.functions[1], ())  # the converter's own names pass the same test

    def test_undo_gives_the_proof_back_and_redo_the_edit(self, first):
        renamed = first.rename(first.functions[0], "gather_everything")
        assert not renamed.ok and renamed.proof is None
        undone = renamed.undo()
        assert undone.ok and undone.functions == first.functions and undone.redo().functions == renamed.functions
        assert undone.rename(first.functions[0], "other_name").after is None
        for nothing in (first.undo, first.redo):
            with pytest.raises(ArgumentError, match="nothing was"):
                nothing()


class TestProof:
    def test_moved_renamed_split_and_joined_it_still_proves_and_is_written_so(self, first, tmp_path):
        number = border(first)
        cell = first.cutting.parts[number][0].cell
        draft = first.move(cell, "previous").rename(first.functions[number], "go_on_from_here")
        draft = draft.join(draft.functions[-2])
        last = draft.cutting.parts[-1][-1].cell
        draft = draft.split(last, name="finish_everything", of=draft.functions[-1])
        with pytest.raises(RefusedError, match="not proved since it was changed"):
            draft.write(tmp_path / "package")
        proven = draft.prove()
        assert proven.ok and proven.proof is not None and draft.proof is None
        assert set(proven.proof.bindings.values()) <= {"equal", "unproved", "varies"}
        assert proven.proof.bindings == first.made.proof.bindings

        home = proven.write(tmp_path / "package")
        source = {p.name: p.read_text() for p in (home / "src" / "classes").glob("*.py")}
        functions = {n.name for text in source.values() for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)}
        assert {*proven.functions} <= functions and "finish_everything(" in source["pipeline.py"]
        held = json.loads((home / "proof.json").read_text())
        assert held["edits"] == [dict(edit) for edit in proven.edits] and len(held["edits"]) == 4
        with pytest.raises(ArgumentError, match="holds a package already"):
            proven.write(home)

        again = edited(first.made, read_edits(home))
        assert again.source.files == proven.cutting.source.files and again.edits == proven.edits
        assert again.proof.bindings == proven.proof.bindings

        report = with_edits(Report(kind="refactor", title="x", summary="Done."), again.edits)
        assert report.summary.endswith("4 changes were made by hand.")
        assert f"{first.functions[number]} renamed to go_on_from_here" in [row[1] for row in report.tables[-1].rows]

    def test_a_package_that_does_something_else_is_not_written(self, first, tmp_path, monkeypatch):
        broken = first.rename(first.functions[0], "gather_everything")
        source = broken.cutting.source
        spoiled = {p: re.sub(r"return (\w+)$", r"return None", text, flags=re.M) for p, text in source.files.items()}
        broken.cutting.__dict__["source"] = replace(source, files=spoiled)
        failed = broken.prove()
        assert not failed.ok and failed.proof is not None and (failed.proof.failed or failed.proof.wrong)
        with pytest.raises(RefusedError, match="does not do what the notebook did"):
            failed.write(tmp_path / "package")
        assert not (tmp_path / "package").exists() and failed.undo().ok

    def test_a_notebook_that_was_changed_meanwhile_is_refused(self, first, tmp_path):
        changed = replace(first.made, notebook=replace(first.made.notebook, digest="0" * 64))
        with pytest.raises(RefusedError, match="was changed while it was converted"):
            Draft.of(changed).write(tmp_path / "package")
        assert not (tmp_path / "package").exists()


class TestRepeating:
    @pytest.mark.parametrize(
        ("edits", "why"),
        [
            ([{"fly": 1}], "edit 1 is none"),
            ([{"move": 1, "to": "next", "because": "x"}], "edit 1 is none"),
            (["move"], "edit 1 is none"),
            ([{"move": "1", "to": "next"}], "edit 1 is not whole"),
            ([{"move": True, "to": "next"}], "edit 1 is not whole"),
            ([{"rename": ["a"], "to": "b"}], "edit 1 is not whole"),
            ([{"rename": "nobody"}], "edit 1 is not whole|edit 1: no step is called"),
            ([{"join": "nobody"}], "edit 1: no step is called 'nobody'"),
        ],
    )
    def test_edits_that_are_none_are_refused_in_one_line(self, first, edits, why):
        with pytest.raises(ArgumentError, match=why) as err:
            repeat(first, edits)
        assert "\n" not in str(err.value)

    def test_files_that_hold_no_edits(self, tmp_path):
        (tmp_path / "a.json").write_text("{")
        (tmp_path / "b.json").write_text('{"edits": 3}')
        for name in ("a.json", "b.json"):
            with pytest.raises(DataError, match="holds no edits"):
                read_edits(tmp_path / name)
        with pytest.raises(FileError, match="cannot be read"):
            read_edits(tmp_path / "c.json")
        (tmp_path / "proof.json").write_text("{}")
        with pytest.raises(DataError):
            read_edits(tmp_path)

    def test_the_command_makes_the_same_package_from_its_edits(self, tmp_path, monkeypatch):
        notebook = {
            "nbformat": 4, "nbformat_minor": 4, "metadata": {},
            "cells": [
                {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": code}
                for code in ("values = [3, 1, 2]", "values.sort()\ntop = values[-1]", "print(top)\ntop")
            ],
        }  # fmt: skip
        (tmp_path / "top.ipynb").write_text(json.dumps(notebook))
        draft = drafts.begin(tmp_path / "top.ipynb", name="top_values")
        draft = draft.rename(draft.functions[0], "sort_values").prove()
        home = draft.write(tmp_path / "first")
        report = refactor(tmp_path / "top.ipynb", to=tmp_path / "second", name="top_values", edits=home)
        assert report.meta["edits"] == [{"rename": draft.edits[0]["rename"], "to": "sort_values"}]
        assert report.status == "pass" and report.tables[-1].title == "Changed by hand"
        for path in sorted((home / "src").rglob("*.py")):
            assert path.read_bytes() == (tmp_path / "second" / path.relative_to(home)).read_bytes()
        with pytest.raises(FileError):
            refactor(tmp_path / "top.ipynb", to=tmp_path / "third", edits=tmp_path / "nowhere")
        assert not (tmp_path / "third").exists()
        assert isinstance(draft.proof, Proof) and sys.version_info >= (3, 11)
