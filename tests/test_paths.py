"""Files, paths, settings, workspaces and parameters: every branch of the modules that decide what is touched."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from test_refusals import ODD, leading_out, tree

from mlnb.core import files
from mlnb.core.errors import ArgumentError, FileError, SettingsError
from mlnb.core.files import atomic_write, digest, file_lock, safe_join
from mlnb.core.settings import SECTIONS, Settings, load_settings
from mlnb.core.twins import Parameter, convert, describe, members, summary
from mlnb.core.workspace import current, make
from mlnb.pipelines.kinds import Kind, kind_of
from mlnb.pipelines.template import check_parameters, find_template

# Files -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ground(tmp_path):
    """A root beside things that are not its own, with links out of it."""
    root, outside = tmp_path / "ws", tmp_path / "outside"
    for folder in (root, outside, tmp_path / "ws-sibling"):
        folder.mkdir()
        (folder / "secret.txt").write_text("x")
    (root / "link").symlink_to(outside)
    (root / "linked.txt").symlink_to(outside / "secret.txt")
    (root / "linked").symlink_to(outside / "secret")
    (root / "inside").mkdir()
    return root


def test_no_spelling_leads_out_of_a_root(ground):
    before = tree(ground.parent)
    for value in leading_out(ground):
        with pytest.raises(FileError) as refused:
            safe_join(ground, value)
        assert refused.value.hint and len(str(refused.value).splitlines()) == 1
    for value in ODD:
        try:
            path = safe_join(ground, value)
        except FileError:
            continue
        assert path.is_relative_to(ground.resolve()), value
        with pytest.raises(FileError):
            safe_join(ground, "..", value, "..", "..")
    assert tree(ground.parent) == before


def test_names_inside_a_root_are_joined(ground):
    assert safe_join(ground, "inside", "a b.txt") == ground.resolve() / "inside" / "a b.txt"
    assert safe_join(ground, "inside/../secret.txt") == ground.resolve() / "secret.txt"
    assert safe_join(ground, str(ground / "secret.txt")) == ground.resolve() / "secret.txt"
    assert safe_join(ground) == ground.resolve()


def test_a_write_is_whole_or_absent(tmp_path, monkeypatch):
    target = atomic_write(tmp_path / "a" / "b.txt", "ä")
    assert target.read_bytes() == "ä".encode() and digest(target) == digest("ä") == digest("ä".encode())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for broken in ("fsync", "replace"):
        with monkeypatch.context() as patched, pytest.raises(FileError, match="No space left"):
            patched.setattr(files.os, broken, full) if broken == "fsync" else patched.setattr(Path, broken, full)
            atomic_write(target, "new")
    assert [p.name for p in target.parent.iterdir()] == ["b.txt"] and target.read_text() == "ä"
    with pytest.raises(FileError, match="cannot write"):
        atomic_write(target / "below", "x")


def test_a_lock_is_held_by_one(tmp_path):
    with file_lock(tmp_path / "x" / "lock"):
        with pytest.raises(FileError, match="locked by another process"), file_lock(tmp_path / "x" / "lock", 0.03):
            raise AssertionError
        code = f"from mlnb.core.files import file_lock\nwith file_lock({str(tmp_path / 'x' / 'lock')!r}, 0): pass"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode != 0
    with file_lock(tmp_path / "x" / "lock", 0):
        pass
    with pytest.raises(FileError, match="cannot write"), file_lock(tmp_path / "x" / "lock" / "below"):
        raise AssertionError


# Settings and workspaces -------------------------------------------------------------------------------------------


def test_settings_have_an_order_and_say_where_they_come_from(tmp_path):
    own = tmp_path / "settings.ini"
    own.write_text("[drift]\npsi_warn = 0.15\n[mlnb]\nseed = 3\n")
    environ = {"MLNB_MLNB__SEED": "4", "MLNB_RUN": "not a setting", "OTHER__X": "1"}
    found = load_settings(own, {"evaluate.confidence": 0.9}, environ)
    assert (found.drift.psi_warn, found.mlnb.seed, found.evaluate.confidence) == (0.15, 4, 0.9)
    assert found.source("drift", "psi_warn") == str(own) and found.source("evaluate", "confidence") == "argument"
    assert found.source("mlnb", "seed") == "environment variable MLNB_MLNB__SEED"
    assert load_settings(environ={}).source("drift", "psi_warn").endswith("settings.ini")


@pytest.mark.parametrize(
    "text, said",
    [
        (b"[drift]\nwarn = 1\n", "no key"),
        (b"[nothing]\nx = 1\n", "no section"),
        (b"[DEFAULT]\nx = 1\n", "no section"),
        (b"no section\n", "cannot be read"),
        (b"[drift]\npsi_warn = 0.1\npsi_warn = 0.1\n", "cannot be read"),
        (b"[drift]\nks_warn = 2\n", "ks_warn = 2"),
        (b"[drift]\npsi_warn = 0.9\n", "lies below"),
        (b"\xff\xfe[drift]", "cannot be read"),
        (b"[drift]\npsi_warn = nan\n", "psi_warn = nan"),
    ],
)
def test_settings_that_are_wrong_name_their_file(tmp_path, text, said):
    own = tmp_path / "settings.ini"
    own.write_bytes(text)
    with pytest.raises(SettingsError, match=said) as wrong:
        load_settings(own, environ={})
    assert str(own) in str(wrong.value) and len(str(wrong.value).splitlines()) == 1


def test_settings_that_are_missing_or_given_wrong():
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings("/dev/null/settings.ini", environ={})
    with pytest.raises(SettingsError, match=r"environment variable MLNB_DRIFT__PSI_CRITICAL.*lies below"):
        load_settings(environ={"MLNB_DRIFT__PSI_CRITICAL": "0.01"})
    for name in ("drift", "drift.", ".x", "", "drift.psi_warn.x"):
        with pytest.raises(SettingsError):
            load_settings(overrides={name: 1}, environ={})
    for section in SECTIONS:
        for key in Settings.model_fields[section].annotation.model_fields:
            with pytest.raises(SettingsError):
                load_settings(overrides={f"{section}.{key}": ["no", "value"]}, environ={})


def test_a_workspace_is_found_from_below_and_by_its_variable(tmp_path, monkeypatch):
    monkeypatch.delenv("MLNB_WORKSPACE", raising=False)
    made = make(tmp_path / "ws")
    assert make(made.root).root == made.root
    below = made.root / "notebooks" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert current() == current(below) and current().root == made.root and current().found
    assert {p.parent for p in (made.runs, made.cache, made.locks)} == {made.folder}
    assert made.store_uri == f"sqlite:///{made.folder / 'mlflow.db'}" and made.seed == 0 and made.experiment == "mlnb"
    (tmp_path / "other").mkdir()
    assert not current(tmp_path / "other").found
    monkeypatch.setenv("MLNB_WORKSPACE", str(tmp_path / "other"))
    assert current().root == tmp_path / "other" and current(below).root == made.root
    (below / "settings.ini").write_bytes(b"\xff\xfe")  # another program's
    assert current(below).root == made.root


def test_a_folder_that_says_it_is_none_is_none(tmp_path, monkeypatch):
    monkeypatch.delenv("MLNB_WORKSPACE", raising=False)
    (tmp_path / "settings.ini").write_text("[mlnb]\nworkspace = false\n")
    assert not current(tmp_path).found
    with pytest.raises(SettingsError, match="workspace = false"):
        make(tmp_path)
    (tmp_path / "settings.ini").write_text("[other]\nx = 1\n")
    with pytest.raises(FileError, match="another tool"):
        make(tmp_path)


@pytest.mark.parametrize("value", ["", "x" * 5000, "a\0b", "~no-such-user/x"])
def test_what_is_no_folder_is_refused(value, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if value:
        with pytest.raises(FileError):
            make(value)
    if "\0" not in value and value:
        monkeypatch.setenv("MLNB_WORKSPACE", value)
        with pytest.raises(FileError):
            current()
    monkeypatch.setenv("MLNB_WORKSPACE", str(tmp_path / "gone"))
    with pytest.raises(FileError, match=r"MLNB_WORKSPACE names .*gone, which is not a folder"):
        current()


def test_names_and_times_of_a_workspace_are_checked(tmp_path, monkeypatch):
    workspace = make(tmp_path)
    for name in (" ", "a\tb", "\x1b[2J"):
        monkeypatch.setenv("MLNB_TRACKING__EXPERIMENT", name)
        with pytest.raises(SettingsError, match="MLNB_TRACKING__EXPERIMENT"):
            _ = make(tmp_path).experiment
    assert datetime.now(UTC) <= workspace.now() <= datetime.now(UTC)
    monkeypatch.setenv("MLNB_NOW", "2026-01-31T06:00:00")
    assert workspace.now() == datetime(2026, 1, 31, 6, tzinfo=UTC)
    monkeypatch.setenv("MLNB_NOW", "2026-01-31T06:00:00+02:00")
    assert workspace.now() == datetime(2026, 1, 31, 4, tzinfo=UTC)
    monkeypatch.setenv("MLNB_NOW", "soon")
    with pytest.raises(ArgumentError, match="MLNB_NOW='soon'"):
        workspace.now()


def test_a_store_that_is_not_there_is_not_known(tmp_path, monkeypatch):
    from mlnb.tracking.anchor import known_store

    assert known_store(make(tmp_path), {}) is None
    monkeypatch.setenv("MLNB_TRACKING__URI", "http://127.0.0.1:9")
    assert known_store(make(tmp_path), {}) is None


def test_an_item_tells_what_a_signature_of_now_is_given_for():
    from mlnb.core.answers import evidence_digest, judge
    from mlnb.core.checklist import Item
    from mlnb.core.result import Result, Status

    found = Result(code="TEAM-1", title="Rows", status=Status.PASS, value=5)
    item = Item(code="TEAM-1", key="rows", title="Rows?", why="They matter", check="TEAM-1")
    evidence = judge(item, found, ()).evidence
    assert evidence == judge(item, found, ()).evidence and len(evidence) == len(evidence_digest(found)) == 64
    assert evidence != judge(item, found.model_copy(update={"value": 6.0}), ()).evidence


# Parameters --------------------------------------------------------------------------------------------------------


def surface(
    data,
    *several: str,
    number: int | None = None,
    share: float = 0.5,
    kind: Literal["a", "b"] = "a",
    names: list[str] | None = None,
    sure: bool = False,
    thing: object = None,
    **more: str,
) -> None:
    """Do nothing. And say it.

    Parameters
    ----------
    data, number
        Shared words
        on two lines.
    **more
        The rest.

    Returns
    -------
    None
    """


def test_a_signature_is_described():
    found = {p.name: p for p in describe(surface)}
    assert found["data"].required and not found["number"].required and found["sure"].is_flag
    assert (
        found["data"].help == found["number"].help == "Shared words on two lines." and found["more"].help == "The rest."
    )
    assert [p.kind for p in found.values()][:3] == ["positional", "several", "option"] and found["more"].kind == "extra"
    assert found["kind"].choices == ("a", "b") and found["kind"].is_text and not found["thing"].is_text
    assert summary(surface) == "Do nothing. And say it." and summary(lambda: None) == ""
    assert (
        members(inspect.Parameter.empty) == () and members(int) == ("int",) and members("int | None") == ("int", "None")
    )
    assert Parameter("x", "option", ("Literal['a']",), "", "").choices == ("a",)
    assert [p.name for p in found.values() if p.is_list] == ["names"] and not any(p.is_mapping for p in found.values())
    mapping = Parameter("x", "option", ("dict[str, str]", "None"), None, "")
    assert mapping.is_mapping and not mapping.is_list


def test_typed_text_becomes_a_value_or_is_refused():
    found = {p.name: p for p in describe(surface)}
    assert convert(found["number"], "7", "--number") == 7 and convert(found["share"], "7", "--share") == 7.0
    assert convert(found["names"], "a, b,", "--names") == ["a", "b"] and convert(found["kind"], "b", "--kind") == "b"
    assert convert(found["data"], "x", "data") == "x" and convert(found["thing"], "x", "--thing") == "x"
    for name, text in (("number", "x"), ("share", ""), ("kind", "c"), ("sure", "perhaps")):
        with pytest.raises(ArgumentError, match=f"--{name}"):
            convert(found[name], text, f"--{name}")


def test_annotations_and_what_papermill_passed():
    assert kind_of("None | int") == Kind("int", optional=True) and kind_of("Optional[dict]") is None
    cells = [
        "# Parameters\nrows = 5\na, b = 1, 2",
        "# Parameters\nrows = (",
        "# Parameters\x00",
        "# Parameters\n\0",
        "x = 1",
    ]
    space = {
        "rows": "5",
        "__annotations__": {"rows": int, "share": "float", "other": list[int], "odd": dict},
        "In": cells,
    }
    with pytest.raises(ArgumentError, match=r"rows|no parameter"):
        check_parameters({**space, "In": [*cells, "# Parameters\nrwos = 1"]})
    assert check_parameters(space) == {"rows": 5} and space["rows"] == 5
    assert check_parameters({"x": 1, "__annotations__": {"x": "int"}, "In": "no list"}) == {"x": 1}
    with pytest.raises(ArgumentError, match="'x' must be int"):
        check_parameters({"x": "y", "__annotations__": {"x": int}})


def test_templates_are_found_by_name_or_path(tmp_path, monkeypatch):
    assert find_template("train").name == "train"
    path = tmp_path / "mine.ipynb"
    path.write_bytes(find_template("train").path.read_bytes())
    assert find_template(path).path == path.resolve() and find_template(str(path)).name == "mine"
    for wrong in (
        "trian",
        "../train",
        "none.ipynb",
        "a\0b.ipynb",
        "x" * 5000 + ".ipynb",
        "~no-such-user/x.ipynb",
        7,
        None,
    ):
        with pytest.raises(ArgumentError):
            find_template(wrong)
    if os.geteuid() != 0:
        path.chmod(0)
        with pytest.raises(ArgumentError, match="cannot read"):
            find_template(path)
    monkeypatch.setattr(Path, "read_bytes", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(ArgumentError, match=r"cannot read .*Input/output error"):
        find_template("train")
