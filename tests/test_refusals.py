"""Every way in, found by itself: each parameter has a kind, and each kind its refusals.

A person who runs a command may read and write what the person may: data files, notebooks and the places of output are
theirs to name (kinds `their …`). Everything else that looks like a path is a name below a root of ours, a reference
that is looked up, a label or a text. Such a value never leads outside: nothing there is read, listed or changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import io
import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from helpers_lived import copy_lived

import mlnb
from mlnb import cli
from mlnb.core.assets import templates
from mlnb.core.errors import MLNBError
from mlnb.core.lines import LINES
from mlnb.core.names import HOME, find
from mlnb.core.settings import SECTIONS, Settings, load_settings
from mlnb.core.twins import HIDDEN, describe
from mlnb.core.workspace import current
from mlnb.pipelines.template import check, read_template

PACKAGE = Path(mlnb.__file__).parent
CANARY = "canary-" + hashlib.sha256(b"outside").hexdigest()[:20]


# What there is ---------------------------------------------------------------------------------------------------


def surfaces() -> dict[str, Callable]:
    """Everything public that takes values from a person, by its name."""
    from mlnb.governance import signing
    from mlnb.tracking.cell import track_cell
    from mlnb.tracking.recorder import Recorder
    from mlnb.tracking.snapshot import Snapshot, snapshot
    from mlnb.tracking.stored import RunFacts
    from mlnb.ui.pages import BoardPage

    found: dict[str, Callable] = {name: find(name) for name in HOME}
    found |= {f"%{name}": find(target) for name, target in LINES.items()}
    found |= {f"$ {name}": find(name) for name in cli.VERBS}
    found |= {"%track": track_cell, "sign": signing.sign, "fill_field": signing.fill_field, "snapshot": snapshot}
    owners = {"run": Recorder, "snapshot": Snapshot, "stored run": RunFacts, "board": BoardPage}
    for kind, made in owners.items():
        own = inspect.getmembers(made, inspect.isfunction)
        found |= {f"{kind}.{name}": function for name, function in own if not name.startswith("_")}
    return found


def parameters() -> set[tuple[str, str]]:
    """All of them as (surface, parameter)."""
    found = {
        (surface, name)
        for surface, function in surfaces().items()
        for name in inspect.signature(function).parameters
        if name != "self" and not (surface[0] in "%$" and name in HIDDEN)
    }
    found |= {(surface, "out") for surface in surfaces() if surface[0] in "%$"}  # -o NAME, --out FILE
    found |= {(surface, "format") for surface in surfaces() if surface[0] == "$"}
    for name, path in templates().items():
        found |= {(f"template {name}", p.name) for p in read_template(path).parameters}
    for section in SECTIONS:
        found |= {(f"[{section}]", key) for key in Settings.model_fields[section].annotation.model_fields}
    text = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    return found | {("environment", name) for name in re.findall(r"[\"'](MLNB_[A-Z_]+)[\"']", text)}


# What each is ----------------------------------------------------------------------------------------------------

PROGRAM = "given by a program, never by a person's text"
KINDS: dict[str, str] = {
    "data": "their table: a file that they may read, or demo:flights",
    "notebook": "their notebook: a file that they may read",
    "file": "their place for output: a file with a suffix that says the form",
    "folder": "their place for output: a folder",
    "template": "a template's name, or their notebook",
    "below": "a name that is joined below a root of ours",
    "known": "one of a few names",
    "reference": "looked up among runs and models",
    "label": "one printable line, kept",
    "text": "words, kept",
    "answer": "who and what, kept in the ledger",
    "column": "the name of a column in their table",
    "pairs": "names and values",
    "number": "a number in a range",
    "switch": "yes or no",
    "variable": "a name in the notebook",
    "address": "where a store is",
    "key": "the name of a parameter or metric",
    "keys": "names of parameters or tags, and their values",
    "parameter": "the value of a template's parameter",
    "fields": "what a form of ours sends",
    "object": PROGRAM,
}
BY_NAME = {  # where a parameter's name says it for all surfaces
    **dict.fromkeys(["workspace", "namespace", "settings", "progress", "shell", "source"], "object"),
    **dict.fromkeys(["limit", "timeout", "seed", "port", "threshold", "confidence", "step"], "number"),
    **dict.fromkeys(["failed", "browser"], "switch"),
    **dict.fromkeys(["columns", "target", "drop", "time", "positive"], "column"),
    **dict.fromkeys(["by", "role"], "answer"),
    **dict.fromkeys(["reference"], "reference"),
    **dict.fromkeys(["methods", "metric", "answer", "action", "format"], "known"),
    **dict.fromkeys(["params", "tags", "thresholds", "options", "more", "fill", "values"], "pairs"),
}
BY_PLACE = {
    ("check", "what"): "data",
    ("checklist", "name"): "below",
    ("checklist", "sign"): "known",
    ("checklist", "note"): "answer",
    ("dashboard", "name"): "known",
    ("demo", "folder"): "folder",
    ("drift", "reference"): "data",
    ("drift", "current"): "data",
    ("drift", "by"): "column",
    ("drift", "over"): "known",
    ("drift", "raw"): "data",
    ("drift", "weights"): "pairs",
    ("drift", "examples"): "number",
    ("drift", "engine"): "known",
    ("profile", "data"): "data",
    ("profile", "like"): "object",
    ("profile", "bins"): "number",
    ("profile", "exact"): "switch",
    ("profile", "engine"): "known",
    ("calibrate", "reference"): "data",
    ("calibrate", "block"): "known",
    ("calibrate", "rate"): "number",
    ("calibrate", "floor"): "switch",
    ("evaluate", "model"): "reference",
    ("evaluate", "data"): "data",
    ("evaluate", "baseline"): "reference",
    ("export", "notebook"): "notebook",
    ("export", "to"): "file",
    ("hand_over", "report"): "object",
    ("init", "folder"): "folder",
    ("lint", "notebook"): "notebook",
    ("lint", "fix"): "switch",
    ("lint", "to"): "file",
    ("lint", "overwrite"): "switch",
    ("[lint]", "fail"): "known",
    ("[lint]", "off"): "known",
    ("refactor", "notebook"): "notebook",
    ("refactor", "to"): "folder",
    ("refactor", "name"): "label",
    ("refactor", "yes"): "switch",
    ("refactor", "section"): "column",
    ("refactor", "target"): "column",
    ("refactor", "deep"): "switch",
    ("refactor", "nbdev"): "switch",
    ("refactor", "edits"): "notebook",
    ("refactor", "walk"): "switch",
    ("log", "what"): "object",
    ("log", "alt"): "text",
    ("log", "name"): "below",
    ("publish", "name"): "known",
    ("publish", "to"): "folder",
    ("run", "template"): "template",
    ("run", "out"): "folder",
    ("run", "name"): "label",
    ("runs", "run"): "reference",
    ("runs", "kind"): "text",
    ("track", "name"): "label",
    ("track", "kind"): "label",
    ("%track", "params"): "switch",
    ("track", "params"): "keys",
    ("track", "tags"): "keys",
    ("run.params", "values"): "keys",
    ("track", "model"): "variable",
    ("track", "data"): "variable",
    ("track", "trusted"): "known",
    ("sign", "model"): "object",
    ("sign", "checklist"): "below",
    ("sign", "item"): "known",
    ("sign", "name"): "answer",
    ("sign", "note"): "answer",
    ("sign", "evidence"): "known",
    ("fill_field", "model"): "object",
    ("fill_field", "field"): "known",
    ("fill_field", "value"): "answer",
    ("fill_field", "name"): "answer",
    ("snapshot.model", "reference"): "reference",
    ("run.data", "frame"): "data",
    ("run.profile", "profile"): "object",
    ("run.data", "name"): "label",
    ("run.data", "context"): "text",
    ("run.data", "source"): "text",
    ("run.figure", "figure"): "object",
    ("run.figure", "alt"): "text",
    ("run.figure", "name"): "below",
    ("run.file", "content"): "object",
    ("run.file", "path"): "below",
    ("run.log", "report"): "object",
    ("run.about", "model"): "text",
    ("run.about", "model_run"): "text",
    ("run.metric", "name"): "key",
    ("run.metric", "value"): "number",
    ("run.model", "model"): "object",
    ("run.model", "example"): "object",
    ("run.model", "name"): "label",
    ("run.model", "trusted"): "object",
    ("run.param", "name"): "key",
    ("run.param", "value"): "text",
    ("run.source", "text"): "text",
    ("stored run.altered", "path"): "below",
    ("stored run.files", "folder"): "below",
    ("stored run.read_bytes", "path"): "below",
    ("stored run.read_text", "path"): "below",
    ("board.go", "target"): "reference",  # what a browser sends
    ("board.act", "what"): "known",
    ("board.act", "given"): "fields",
    ("[mlnb]", "workspace"): "switch",
    ("[tracking]", "uri"): "address",
    ("[tracking]", "experiment"): "label",
    ("environment", "MLNB_WORKSPACE"): "folder",
    ("environment", "MLNB_NOW"): "known",
    ("environment", "MLNB_RUN_ID"): "reference",
    ("environment", "MLNB_DEBUG"): "object",
    **{("environment", f"MLNB_{n}"): "object" for n in ("NOTEBOOK", "OWNER", "RESULT", "RUN")},
}


def kind_of(surface: str, name: str) -> str | None:
    """Kind of a parameter, or None for one that nobody has thought about."""
    plain = surface.lstrip("%$ ")
    if surface.startswith("template "):
        return "parameter"
    if surface[0] == "[":
        return BY_PLACE.get((surface, name), "number")
    if surface[0] == "%" and name == "out":
        return "variable"
    if surface[0] == "$" and name == "out" and (plain, "out") not in BY_PLACE:
        return "file"
    return BY_PLACE.get((surface, name)) or BY_PLACE.get((plain, name)) or BY_NAME.get(name)


def test_every_parameter_has_a_kind():
    unknown = sorted((s, n) for s, n in parameters() if kind_of(s, n) not in KINDS)
    assert not unknown, unknown


# How hostile values are spelled ------------------------------------------------------------------------------------


def leading_out(here: Path) -> list[str]:
    """Spellings that lead out of any root inside `here`, to files that are there."""
    out = here.parent / "outside"
    return [
        *("..", "../", "../outside", "../outside/secret.txt", "../../outside/secret.txt", "../../../../etc/passwd"),
        *("./../outside/secret.txt", "x/../../outside/secret.txt", "a/b/../../../outside/secret"),
        *(str(out), str(out / "secret.txt"), str(out / "secret"), f"{out}/", f"//{out}", f"/./{out}/./secret.txt"),
        *("/", "/etc/passwd", "/proc/self/environ", "/dev/stdin", "/dev/null", "/dev/fd/0", "/home/ada/.ssh/id_rsa"),
        *("link/secret.txt", "link/../outside/secret.txt", "link/secret", "linked.txt", "linked"),
        *("../ws-sibling/secret.txt", "../ws-sibling", f"{here}-sibling/secret.txt"),
        *(f"{here}/../outside/secret.txt", "../outside/secret.toml", "../outside/secret.ipynb"),
    ]


ODD = [
    *("%2e%2e/outside/secret.txt", "%2e%2e%2foutside%2fsecret.txt", "..%2foutside", "%252e%252e%252f", "..%c0%af"),
    *("..\\outside\\secret.txt", "\\\\server\\share", "C:\\Windows\\win.ini", "C:secret.txt", "\\\\?\\C:\\x"),
    *("file:///etc/passwd", "file://../outside/secret.txt", "http://127.0.0.1:9/x", "ftp://127.0.0.1/x", "data:,x"),
    *("~", "~/secret.txt", "~root/.ssh/id_rsa", "~nobody/x", "$HOME/secret.txt", "${HOME}", "`id`", "$(id)"),
    *(
        "....//outside",
        "secret.txt#x",
        "secret.txt?x=1",
        "?../outside",
        "#../outside",
        "a\0b",
        "\0",
        "../outside/secret.txt\0.html",
    ),
    *("con", "NUL", "aux.txt", "com1.ipynb", "x.", "x...", "x ", " x", "...", ".", "", " ", "\t", "\n", "a\nb", "a\rb"),
    *("\u2024\u2024/outside", "\uff0e\uff0e/outside", "..\u2215outside", "..\u2044outside", "\u202ex", "\x1b[2Jx"),
    *("x" * 300, "x/" * 3000, "x" * 100_000, "-", "--", "--help", "-x", "*", "**/*", "[a-z]", "{a,b}", "\udcff", "🏴‍☠️"),
    *(
        "latest/../../outside",
        "runs:/../outside/secret",
        "runs:/%2e%2e",
        "models:/../outside",
        "models:/m-../x",
        "models:/",
    ),
    *(
        "models:/",
        "runs:/latest/../../../outside",
        "models:/a/b/c",
        "models:/x@../y",
        "'; DROP TABLE runs; --",
        "' OR '1'='1",
        "%",
    ),
]
HIDDEN_LETTERS = ["a\0b", "a\nb", "\x1b[2Jx", "a\u2028b", "\u202eevil"]
NO_NUMBERS = ["x", "", "nan", "-1e99", "1e999", "0x10", "１２", "1;2", [], {}, float("nan"), float("inf"), -1e9, "../x"]


def test_there_are_many_spellings(tmp_path):
    assert len({*leading_out(tmp_path / "ws"), *ODD}) >= 100


# The place they are tried in ---------------------------------------------------------------------------------------


def tree(root: Path) -> dict[str, str]:
    """What lies below a folder, with digests."""
    found = {}
    for path in sorted(root.rglob("*")):
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
        content = hashlib.sha256(path.read_bytes()).hexdigest() if kind == "file" else ""
        found[str(path.relative_to(root))] = f"{kind} {content}"
    return found


CHECKLIST = f"""title = "{CANARY}"
version = 1
[[items]]
code = "TEAM-1"
key = "one"
title = "{CANARY}"
why = "{CANARY}"
sign = true
"""


class Place:
    """A workspace between things that are not its own, and what each surface needs besides the value that is tried."""

    def __init__(self, top: Path, lived_in) -> None:
        self.top, self.root = top, top / "ws"
        self.workspace = copy_lived(lived_in, self.root)
        self.home = top / "home"  # where libraries keep their own
        for folder in (top / "outside", top / "ws-sibling", self.home):
            folder.mkdir()
            for suffix in ("", ".txt", ".json", ".html", ".md", ".csv"):
                (folder / f"secret{suffix}").write_text(CANARY)
            (folder / "secret.toml").write_text(CHECKLIST)
            (folder / "secret.ipynb").write_text(f'{{"nbformat": 4, "metadata": {{}}, "cells": [], "x": "{CANARY}"}}')
        stored = [path for path in self.root.glob(".mlnb/artifacts/mlnb/*/artifacts")]
        for place in (self.root, self.root / ".mlnb", self.root / "checklists", self.root / ".mlnb" / "runs", *stored):
            place.mkdir(exist_ok=True)
            (place / "link").symlink_to(top / "outside")
            for suffix in ("", ".txt", ".toml", ".ipynb"):
                (place / f"linked{suffix}").symlink_to(top / "outside" / f"secret{suffix}")
        pd.DataFrame({"a": range(60), "b": [0, 1] * 30}).to_csv(self.root / "good.csv", index=False)
        times = pd.date_range("2024-01-01", periods=600, freq="3h")
        pd.DataFrame({"t": times, "a": range(600)}).to_csv(self.root / "times.csv", index=False)
        (self.root / "taken").write_text("a file")
        self.foreign = {p: tree(p) for p in (top / "outside", top / "ws-sibling")}

    def unharmed(self) -> None:
        """Nothing beside the workspace was written, and nothing new lies there."""
        assert {p: tree(p) for p in self.foreign} == self.foreign
        assert sorted(p.name for p in self.top.iterdir()) == ["home", "outside", "ws", "ws-sibling"]
        assert {p.name for p in self.home.iterdir() if not p.name.startswith(".")} == {
            p.name for p in (self.top / "outside").iterdir()
        }


@pytest.fixture(scope="module")
def place(lived_in, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        made = Place(tmp_path_factory.mktemp("place"), lived_in)
        patched.setenv("MLNB_WORKSPACE", str(made.root))
        patched.setenv("HOME", str(made.home))
        patched.chdir(made.root)
        patched.setattr("mlnb.pipelines.run.execute", stopped)  # what is accepted does not have to be run as well
        yield made


def stopped(*_: object) -> None:
    from mlnb.core.errors import StepError

    raise StepError("stopped by the test", "It was accepted")


def tried(call: Callable[[], object]) -> tuple[str, MLNBError | None]:
    """What a call shows, and the error it ended with; any other exception is a failure of the test."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = call()
        except MLNBError as e:
            assert len(str(e).splitlines()) == 1 and (e.hint or "must be" in e.message), repr(e)
            assert e.exit_status in (2, 3, 5), repr(e)
            return f"{e} {said.getvalue()}", e
        shown = [
            repr(result),
            *(getattr(result, f)() for f in ("to_html", "to_json", "_repr_html_") if hasattr(result, f)),
        ]
    return " ".join([said.getvalue(), *map(str, shown)]), None


# What a surface needs besides -------------------------------------------------------------------------------------

SEVERAL = {"check": ("MLN-D001", "good.csv", "good.csv")}
BESIDES = {
    "drift": {"reference": "good.csv", "current": "good.csv"},
    "profile": {"data": "good.csv"},
    "calibrate": {"reference": "times.csv", "time": "t"},
    "evaluate": {"model": "latest", "data": "good.csv", "target": "b"},
    "checklist": {"name": "deployment"},
    "export": {"notebook": "none.ipynb"},
    "lint": {"notebook": "none.ipynb"},
    "refactor": {"notebook": "none.ipynb"},
    "run": {"template": "train"},
    "runs": {"action": "show"},
    "track": {"name": "x"},
    "log": {"what": 1, "alt": "x"},
    "run.data": {"frame": "good.csv", "name": "x"},
    "run.figure": {"alt": "x", "name": "x"},
    "run.file": {"content": "text", "path": "notes.txt"},
    "run.metric": {"name": "x", "value": 1.0},
    "run.model": {"name": "x"},
    "run.param": {"name": "x", "value": 1},
    "run.source": {"text": "x = 1"},
    "board.act": {"what": "go", "given": {"target": "board:overview"}},
    "sign": {"checklist": "deployment", "answer": "yes", "name": "Ana", "role": "lead"},
    "fill_field": {"value": "x", "name": "Ana", "role": "lead"},
}


class Session:
    """Calls any surface with one value of one parameter."""

    def __init__(self, place: Place) -> None:
        from mlnb.tracking.run import track
        from mlnb.tracking.snapshot import snapshot

        self.place, self.taken = place, snapshot()
        self.run = track("session").start()
        self.known = surfaces()

    def call(self, surface: str, name: str, value: object) -> object:
        """Call a function, a method, a template's check, the settings or what reads the environment."""
        if surface.startswith("template "):
            return check(read_template(templates()[surface.split()[1]]), {name: value})
        if surface == "[tracking]":
            return self.with_variable(f"MLNB_TRACKING__{name.upper()}", str(value))
        if surface[0] == "[":
            return load_settings(overrides={f"{surface[1:-1]}.{name}": value}, environ={})
        if surface == "environment":
            return self.with_variable(name, str(value))
        function = self.function(surface)
        given = self.besides(surface, name)
        match inspect.signature(function).parameters[name].kind:
            case inspect.Parameter.VAR_POSITIONAL:
                result = function(value, **given)
            case inspect.Parameter.VAR_KEYWORD:
                result = function(*SEVERAL.get(surface, ()), **given, **value)
            case _:
                result = function(**{**given, name: value})
        return list(result) if inspect.isgenerator(result) else result

    def function(self, surface: str) -> Callable:
        from mlnb.ui.pages import BoardPage

        owner, _, method = surface.partition(".")
        owners = {
            "run": self.run,
            "snapshot": self.taken,
            "stored run": self.taken.runs[0],
            "board": BoardPage("overview"),
        }
        return getattr(owners[owner], method) if method else self.known[surface]

    def besides(self, surface: str, name: str) -> dict:
        """What is needed besides the value that is tried."""
        given = dict(BESIDES.get(surface, {}))
        if surface == "checklist" and name in ("answer", "by", "role", "note"):
            given |= {"sign": "MLN-G101", "by": "Ana", "role": "lead"}
        if surface == "card" and name in ("by", "role"):
            given |= {"fill": {"owner": "Team"}, "by": "Ana", "role": "lead"}
        if surface == "runs" and name in ("limit", "failed", "kind"):
            given["action"] = "list"
        if surface in ("sign", "fill_field"):
            from mlnb.core.checklist import find_checklist
            from mlnb.governance.fields import FIELDS

            given["model"] = self.taken.models[0]
            given |= {"item": find_checklist("deployment").items[0].key} if surface == "sign" else {}
            given |= {"field": next(f.key for f in FIELDS if f.source == "person")} if surface == "fill_field" else {}
        if surface == "run.figure" or surface == "log":
            from PIL import Image

            given["figure" if surface == "run.figure" else "what"] = Image.new("RGB", (2, 2))
        if surface == "evaluate":
            from sklearn.dummy import DummyClassifier

            frame = pd.read_csv("good.csv")
            given["model"] = DummyClassifier().fit(frame[["a"]], frame["b"])
        if surface == "run.model":
            from sklearn.dummy import DummyClassifier

            given["model"] = DummyClassifier().fit([[1], [2]], [0, 1])
        return given

    def with_variable(self, name: str, value: str) -> object:
        from mlnb.tracking.run import track

        with pytest.MonkeyPatch.context() as patched:
            try:
                patched.setenv(name, value)
            except (ValueError, UnicodeEncodeError):  # the system itself refuses it
                raise pytest.skip.Exception from None
            if name in ("MLNB_RUN_ID", "MLNB_TRACKING__URI"):
                with track("x"):
                    raise AssertionError("it was begun")
            return current().now() if name == "MLNB_NOW" else mlnb.runs()


@pytest.fixture(scope="module")
def session(place):
    made = Session(place)
    yield made
    made.run.finish()


def those_of(*kinds: str, without: tuple[str, ...] = "%$") -> list[tuple[str, str]]:
    """Parameters of these kinds; magics and verbs are the functions again, and tried below."""
    return sorted((s, n) for s, n in parameters() if kind_of(s, n) in kinds and s[0] not in without)


SANITISED = {("log", "name"), ("run.figure", "name")}  # what a name may not hold is replaced in it
UNOPENED = {("stored run.altered", "path"), ("snapshot.run", "reference")}  # what is not known is not looked at
SLOW = {  # a hundred of these would take many seconds
    *(("board.go", "target"), ("board.act", "what")),
    *(("evaluate", "model"), ("runs", "run"), ("log", "name"), ("run.figure", "name"), ("evaluate", "baseline")),
    *(("checklist", "answer"), ("checklist", "sign"), ("checklist", "reference"), ("card", "reference")),
}
EMPTY_IS_DEFAULT = {
    *(("runs", "run"), ("publish", "name"), ("checklist", "name"), ("checklist", "sign"), ("sign", "evidence")),
    *(("environment", "MLNB_NOW"), ("environment", "MLNB_RUN_ID"), ("evaluate", "baseline"), ("evaluate", "metric")),
}


def problems(
    session: Session, surface: str, name: str, values: list, wrong: Callable[[object, str, bool], bool]
) -> list:
    """Try all values; what goes wrong with which."""
    found = []
    for value in values:
        if (surface, name) in EMPTY_IS_DEFAULT and isinstance(value, str) and not value.strip():
            continue
        try:
            shown, error = tried(partial(session.call, surface, name, value))
        except pytest.skip.Exception:
            continue
        except Exception as e:
            found.append((str(value)[:60], f"{type(e).__name__}: {e}"[:300]))
            continue
        if CANARY in shown or wrong(value, shown, error is not None):
            found.append((str(value)[:60], str(error or shown)[:200]))
    return found


def spellings(surface: str, name: str, here: Path) -> list[str]:
    every = [*leading_out(here), *ODD]
    return every[:: 5 if (surface, name) in SLOW else 1]


@pytest.mark.parametrize("surface, name", those_of("below"))
def test_a_name_below_a_root_stays_there(surface, name, session, place):
    out = [v for v in leading_out(place.root) if not (surface.startswith("run.") and v.startswith("link"))]

    def wrong(value: object, _: str, refused: bool) -> bool:
        return value in out and not refused and (surface, name) not in SANITISED | UNOPENED

    assert not problems(session, surface, name, spellings(surface, name, place.root), wrong)
    place.unharmed()


@pytest.mark.parametrize("surface, name", those_of("known", "reference"))
def test_what_is_looked_up_is_never_opened(surface, name, session, place):
    def wrong(value: object, __: str, refused: bool) -> bool:
        fine = ALLOWED.get((surface, name), set()) if surface == "[lint]" else set()
        return not refused and (surface, name) not in UNOPENED and str(value) not in fine

    assert not problems(session, surface, name, spellings(surface, name, place.root), wrong)
    place.unharmed()


# Values that each kind refuses, on each surface --------------------------------------------------------------------

UNUSABLE = ["taken/below", "/dev/null/x", "/proc/nowhere", "a\0b", "x" * 5000, "~no-such-user/x"]
BAD: dict[str, list] = {
    "data": [
        "",
        "none.csv",
        "taken",
        ".",
        "..",
        "/dev/null",
        "file:///etc/passwd",
        "http://127.0.0.1:9/x.csv",
        *UNUSABLE,
    ],
    "notebook": ["", "taken", ".", "..", "none.ipynb", "checklists", "../outside/secret.txt", *UNUSABLE],
    "file": ["x.pdf", "x", "checklists", *(f"{value}/x.html" for value in UNUSABLE[:-1]), "/dev/null/x.html"],
    "folder": ["taken", *UNUSABLE],
    "template": ["", "trian", "../train", "train.ipynb", "good.csv", *UNUSABLE],
    "label": ["", " ", "x" * 5000, "\udcff", *HIDDEN_LETTERS],
    "answer": ["x" * 5000, "\udcff", *HIDDEN_LETTERS[:1], HIDDEN_LETTERS[2], HIDDEN_LETTERS[4]],
    "key": ["", "x" * 5000, "../x", "a\0b", "a\nb", "a{b}", "/", "x/../y"],
    "column": ["nope", "\0", "../x", "x" * 5000],
    "number": NO_NUMBERS,
    "parameter": [*HIDDEN_LETTERS, "x" * 100_000, object(), {"a": 1}, b"x"],
    "keys": [{"../x": 1}, {"": 1}, {"a\0b": 1}, {"x" * 5000: 1}, {"a\nb": 1}, "x", 7],
    "pairs": [{"../x": 1}, {"": 1}, {"a b": 1}, {"class": 1}, {"__class__": 1}, {"x" * 5000: 1}, {"a\0b": 1}, "x", 7],
    "fields": [{}, {"target": ".."}, {"target": "run:../x"}, {"target": "x", "more": "y"}, {"item": "../x"}, {"": ""}],
    "address": [
        *("ftp://127.0.0.1/x", "http://", "sqlite:///", "sqlite:///taken", "sqlite:///:memory:", "file:///etc/passwd"),
        *("../outside", "sqlite:////dev/null/x.db", "javascript:alert(1)", "http://127.0.0.1:9", "x" * 5000),
    ],
    "switch": ["perhaps", "", "2", "\0"],
    "text": [],
    "variable": [],
    "object": [],
    **{kind: [".."] for kind in ("below", "known", "reference")},
}
ALLOWED = {  # what is fine in one place though its kind says otherwise
    ("run", "name"): {""},
    ("runs", "failed"): {"perhaps", "", "2", "\0"},  # any value of Python is true or false
    ("calibrate", "floor"): {"perhaps", "", "2", "\0"},
    ("profile", "exact"): {"perhaps", "", "2", "\0"},
    ("run", "out"): {"taken/below", "/dev/null/x", "/proc/nowhere"},  # which making it tells: then the run fails
    ("run.metric", "value"): {"nan", "inf", "-1000000000.0"},
    ("[tracking]", "uri"): {""},
    ("[lint]", "fail"): {"", " ", "\t", "\n"},  # no rule
    ("[lint]", "off"): {"", " ", "\t", "\n"},
}


def test_each_kind_says_what_it_refuses():
    assert BAD.keys() == KINDS.keys()


REFUSING = [kind for kind in BAD if BAD[kind] and kind not in ("below", "known", "reference")]


@pytest.mark.parametrize("surface, name", those_of(*REFUSING))
def test_what_a_kind_refuses_is_refused(surface, name, session, place):
    values = [v for v in BAD[kind_of(surface, name)] if str(v) not in ALLOWED.get((surface, name), ())]
    if name in ("options", "more"):  # Python itself takes no others
        values = [v for v in values if isinstance(v, dict)]
    assert not problems(session, surface, name, values, lambda *tried: not tried[-1])
    place.unharmed()


# The same on the command line and in a notebook --------------------------------------------------------------------


def hostile_words(surface: str, name: str, here: Path) -> list[str]:
    """Words that the parameter's kind refuses, as they can be typed."""
    kind = kind_of(surface, name)
    words = BAD[kind] if kind not in ("below", "known", "reference") else [*leading_out(here)[::7], *ODD[::12]]
    allowed = ALLOWED.get((surface.lstrip("%$ "), name), set())
    return [w for w in words if isinstance(w, str) and w.strip() and w[0] not in "-{１" and w not in allowed][:9]


def typed(surface: str, name: str, word: str) -> list[str]:
    """Words of a command's or a magic's line that give this value, and what is needed besides."""
    function = surfaces()[surface]
    given = {**BESIDES.get(surface.lstrip("%$ "), {}), name: word}
    if surface.endswith("card") and name in ("by", "role"):
        given |= {"fill": "owner=Team", "by": "Ana", "role": "lead"} | {name: word}
    if surface.endswith("checklist") and name in ("answer", "by", "role", "note"):
        given |= {"sign": "MLN-G101", "by": "Ana", "role": "lead"} | {name: word}
    if surface.endswith("runs") and name in ("limit", "kind"):
        given.pop("action")
    line, options = [], []
    for p in describe(function):
        if p.kind == "positional" and (p.name in given or not p.required):
            line += [str(given.get(p.name, p.default))] if p.name in given else []
        elif p.name in given and p.kind == "option":
            options += ["--" + p.name.replace("_", "-"), str(given[p.name])]
    added = (
        ["--" + name, word] if name in ("out", "format") and name not in [p.name for p in describe(function)] else []
    )
    return [*line, *options, *added]


WAITING = {("$ dashboard", "out"), ("$ demo", "out")}  # until it ends


def on_surface(sign: str) -> list[tuple[str, str]]:
    """Parameters of commands or magics whose values are texts that can be refused."""
    refusing = {*REFUSING, "below", "known", "reference"} - {"keys", "pairs", "parameter", "switch", "key", "address"}
    return sorted(
        (s, n)
        for s, n in parameters()
        if s[0] == sign
        and (s, n) not in WAITING
        and kind_of(s, n) in refusing
        and not any(p.name == n and (p.kind in ("several", "extra")) for p in describe(surfaces()[s]))
    )


@pytest.mark.parametrize("surface, name", on_surface("$"))
def test_a_command_refuses_in_one_line(surface, name, session, place, capsys):
    for word in hostile_words(surface, name, place.root):
        argv = [surface.removeprefix("$ "), *typed(surface, name, word)]
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(argv)
        out, err = capsys.readouterr()
        assert ended.value.code in (2, 3, 5), (argv, out[:300], err[:300])
        assert len(err.strip().splitlines()) == 1, (argv, err[:500])
        assert "Traceback" not in err and CANARY not in out + err, argv
    place.unharmed()


@pytest.mark.parametrize("surface, name", [(s, n) for s, n in on_surface("%") if s != "%track"])
def test_a_magic_refuses_in_one_line(surface, name, session, place, capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "mlnb")
    shell.user_ns["model"] = session.besides("evaluate", "data")["model"]
    for word in hostile_words(surface, name, place.root):
        words = [repr(w) for w in typed(surface, name, word)]
        line = " ".join([surface, *(w[1:-1] if w.startswith("'--") else w for w in words)])
        outcome = shell.run_cell(line.replace("'latest'", "model"))
        error = outcome.error_in_exec or outcome.error_before_exec
        said = capsys.readouterr()
        assert isinstance(error, MLNBError), (line[:200], repr(error)[:300])
        assert len(str(error).splitlines()) == 1 and CANARY not in said.out + said.err
    place.unharmed()


def test_wrong_use_begins_no_run(session, place):
    begun = len(mlnb.runs(limit=1000))
    for surface, name, value in (("run", "params", {"sed": 1}), ("run", "out", "taken"), ("run", "template", "trian")):
        _, error = tried(partial(session.call, surface, name, value))
        assert error is not None and error.exit_status == 2
    assert len(mlnb.runs(limit=1000)) == begun
