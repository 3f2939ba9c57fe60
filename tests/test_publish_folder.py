"""Published pages stay in their folder, and a folder holds the pages of one workspace."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from helpers_boards import known_of, run_of, trained, window_report
from helpers_lived import current_is
from helpers_work import GENEROUS

from mlnb.core import files
from mlnb.core.errors import FileError
from mlnb.core.files import file_lock
from mlnb.core.workspace import make
from mlnb.ui import publish as publishing
from mlnb.ui.publish import LOCK, MARKER, NAMED, publish

FORGED = ["/../../x", "..", "../deep", "a/b", "ABCDEF12", "", "x\n", "\u0663\u0663", "con", "1;2", "." * 300]


def forge(workspace, identity):
    """What is known of a store in which somebody wrote runs and models of this id."""
    run, model = trained("Good")
    odd = dataclasses.replace(run_of("Odd", report=window_report("w", {"a": (0.3, "fail")}), at=1), id=identity)
    known = known_of([run, odd], [model, dataclasses.replace(model, id=f"m-{identity}", name="odd")])
    return dataclasses.replace(known, workspace=workspace), run


def write(folder, known, name=""):
    folder.mkdir(parents=True, exist_ok=True)
    return publishing._write(folder, publishing.pages_of(known, name), known, whole=not name)


@pytest.mark.parametrize("identity", FORGED)
def test_an_id_that_is_none_writes_nothing_anywhere(bare_workspace, tmp_path, identity):
    known, run = forge(bare_workspace, identity)
    folder = tmp_path / "deep" / "er" / "pages"
    before = {p for p in tmp_path.rglob("*") if folder not in p.parents}
    published = write(folder, known)
    after = {p for p in tmp_path.rglob("*") if folder not in p.parents}
    assert after - before == {folder, folder.parent, folder.parent.parent}
    assert {p.name for p in folder.rglob("*")} == {*published.files, MARKER}
    assert all(NAMED.fullmatch(name) for name in published.files) and f"run-{run.id[:8]}.html" in published.files
    assert any(p.startswith("run ") and "no page" in p for p in published.problems), published.problems
    assert "\n" not in "".join(published.problems) and "Not shown: " in str(published)
    for path in published.paths:
        links = [a["href"] for a in BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").select("a[href]")]
        assert set(links) <= set(published.files)


def test_a_page_that_is_a_link_to_elsewhere_is_not_written_through(bare_workspace, tmp_path):
    outside = tmp_path / "outside.html"
    outside.write_text("theirs", encoding="utf-8")
    published = publish()
    published.paths[0].unlink()
    published.paths[0].symlink_to(outside)
    with pytest.raises(FileError, match="leads outside"):
        publish()
    assert outside.read_text(encoding="utf-8") == "theirs"


def test_the_pages_of_another_workspace_are_refused_and_stay(bare_workspace, tmp_path):
    place = tmp_path / "place"
    first = publish(to=str(place))
    before = {p.name: p.read_bytes() for p in place.iterdir()}
    assert len(first.files) == 2 and str(bare_workspace.root) not in (place / MARKER).read_text(encoding="utf-8")
    with pytest.raises(FileError, match="another workspace") as refused:
        publish(to=str(place), workspace=make(tmp_path / "second"))
    assert "\n" not in str(refused.value) and refused.value.hint
    assert {p.name: p.read_bytes() for p in place.iterdir()} == before
    assert publish(to=str(place)).files == first.files


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": ["index.html"]}', '{"workspace": 3}', "[" * 100_000])
def test_a_marker_that_does_not_say_whose_the_pages_are_is_refused(bare_workspace, text):
    published = publish()
    (published.folder / MARKER).write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=r"pages of another|whose pages"):
        publish()
    assert all(path.is_file() for path in published.paths)


def test_a_workspace_that_was_moved_with_its_pages_goes_on(bare_workspace, tmp_path):
    publish()
    moved = Path(shutil.move(bare_workspace.root, tmp_path / "moved"))
    with current_is(moved):
        assert publish(workspace=make(moved)).folder == moved / "published"


@pytest.fixture
def turned_away(monkeypatch):
    """Set when somebody has found a lock taken."""
    found, try_lock = threading.Event(), files._try_lock

    def tried(descriptor):
        if try_lock(descriptor):
            return True
        found.set()
        return False

    monkeypatch.setattr(files, "_try_lock", tried)
    return found


def test_two_publishers_of_one_folder_wait_for_each_other_and_read_behind_the_lock(
    bare_workspace, tmp_path, monkeypatch, turned_away
):
    place, read, done = tmp_path / "place", [], []
    know = publishing.know
    monkeypatch.setattr(publishing, "know", lambda workspace: (read.append(workspace), know(workspace))[1])
    with file_lock(place / LOCK):
        waiting = threading.Thread(target=lambda: done.append(publish(to=str(place), workspace=bare_workspace)))
        waiting.start()
        assert turned_away.wait(GENEROUS)
        assert read == [] and done == [] and [p.name for p in place.iterdir()] == [LOCK]
    waiting.join(GENEROUS)
    assert len(read) == len(done) == 1 and json.loads((place / MARKER).read_text(encoding="utf-8"))["workspace"]


def test_who_comes_second_to_an_empty_folder_is_refused_behind_the_lock(bare_workspace, tmp_path, turned_away):
    place, said = tmp_path / "place", []
    second = make(tmp_path / "second")

    def late():
        try:
            publish(to=str(place), workspace=second)
        except FileError as e:
            said.append(str(e))

    with file_lock(place / LOCK):
        waiting = threading.Thread(target=late)
        waiting.start()
        assert turned_away.wait(GENEROUS)
        known = publishing.know(bare_workspace)
        publishing._write(place, publishing.pages_of(known), known, whole=True)
        before = {p.name: p.read_bytes() for p in place.glob("*.html")}
    waiting.join(GENEROUS)
    assert len(said) == 1 and "another workspace" in said[0]
    assert {p.name: p.read_bytes() for p in place.glob("*.html")} == before
