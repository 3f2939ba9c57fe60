"""The ledger finds every alteration and names the first bad record, and loses nothing that it acknowledged."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers_store import STORE, copy_store
from helpers_work import GENEROUS, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlnb.core.errors import ArgumentError, DataError, FileError, LedgerError, StoreError
from mlnb.core.files import digest, file_lock
from mlnb.core.ledger import FIRST, LIMIT, Event, Ledger, Verdict, canonical, verdict
from mlnb.core.settings import load_settings
from mlnb.core.workspace import Workspace, make
from mlnb.tracking import anchor as anchoring
from mlnb.tracking import marks as marking
from mlnb.tracking.anchor import BLOCK, is_own, open_ledger
from mlnb.tracking.marks import write_mark
from mlnb.tracking.store import client, load_mlflow

HERE = Path(__file__).resolve().parent
MOMENT = datetime(2026, 1, 31, 6, tzinfo=UTC)
EVENTS = 15


def add(ledger: Ledger, number: int) -> Event:
    return ledger.append(
        "checklist.sign" if number % 2 else "card.field",
        f"models:/m-{number % 3}",
        actor={"name": f"Möller {number}", "role": "risk", "verified": False},
        details={"item": "rollback", "answer": "yes", "note": f"line {number}\nand 50 % “quoted”"},
        evidence=digest(str(number)) if number % 4 else "",
    )


@pytest.fixture(scope="module")
def signed(built_store, tmp_path_factory):
    """A ledger of fifteen events with its real anchor; tests put the file back as it was."""
    ledger = open_ledger(copy_store(built_store, tmp_path_factory.mktemp("ledger") / "ws"))
    for number in range(EVENTS):
        add(ledger, number)
    return ledger


@pytest.fixture
def ledger(signed):
    """That ledger, mended after the test."""
    with kept(signed):
        yield signed


@contextlib.contextmanager
def kept(ledger: Ledger):
    """Put file and store back as they were."""
    content, store = ledger.path.read_bytes(), ledger.path.parent / STORE
    with contextlib.closing(sqlite3.connect(store)) as connection:
        tags = connection.execute("SELECT key, value FROM experiment_tags WHERE key LIKE 'mlnb.ledger.%'").fetchall()
    try:
        yield
    finally:
        if ledger.path.is_dir():
            ledger.path.rmdir()
        ledger.path.write_bytes(content)
        with contextlib.closing(sqlite3.connect(store)) as connection:
            connection.execute("DELETE FROM experiment_tags WHERE key LIKE 'mlnb.ledger.%'")
            connection.executemany("INSERT INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, 0)", tags)
            connection.commit()


def lines_of(ledger: Ledger) -> list[bytes]:
    return ledger.path.read_bytes().split(b"\n")[:-1]


def put(ledger: Ledger, lines: list[bytes]) -> None:
    ledger.path.write_bytes(b"".join(line + b"\n" for line in lines))


def rehashed(facts: dict) -> dict:
    """Give the hash that fits, as somebody would who knows how."""
    rest = {key: value for key, value in facts.items() if key != "hash"}
    return {**rest, "hash": digest(canonical(rest))}


def regrown(facts: list[dict], start: int) -> list[dict]:
    """Work out all links and hashes anew from a place on."""
    found = facts[:start]
    for place, one in enumerate(facts[start:], start):
        previous = found[-1]["hash"] if found else FIRST
        found.append(rehashed({**one, "seq": place + 1, "previous": previous}))
    return found


def first_bad(ledger: Ledger, lines: list[bytes]) -> int | None:
    put(ledger, lines)
    return ledger.verify().first_bad


def refused(ledger: Ledger) -> LedgerError:
    """Adding an event is refused, and leaves the file as it is."""
    before = ledger.path.read_bytes() if ledger.path.exists() else None
    with pytest.raises(LedgerError) as caught:
        add(ledger, 99)
    after = ledger.path.read_bytes() if ledger.path.exists() else None
    assert (before or b"") == (after or b"") and str(caught.value).endswith("Run: mlnb audit")
    return caught.value


# ---- one record altered


OTHER = {
    "version": [2, 0, "1", True],
    "seq": [0, 1, 7, 16, "3", -1],
    "time": ["2026-01-31T06:00:00.000000+00:00", "yesterday", ""],
    "kind": ["checklist.signed", "", "Card"],
    "subject": ["models:/m-9", "", 7],
    "actor": [{}, {"name": "Eve"}, "Eve"],
    "details": [{}, {"answer": "no"}, []],
    "evidence": ["", "0" * 64, "f" * 64, "x"],
    "previous": ["0" * 64, "1" * 64, ""],
    "hash": ["0" * 64, "1" * 64, "", None],
}


def test_the_ledger_is_whole_as_it_was_written(ledger):
    assert ledger.verify() == Verdict(True, EVENTS)
    assert [e.seq for e in ledger.events()] == list(range(1, EVENTS + 1)) and len(ledger.proved()) == EVENTS
    assert [e.seq for e in ledger.events("models:/m-2")] == [3, 6, 9, 12, 15]


@pytest.mark.parametrize("field", OTHER)
@pytest.mark.parametrize("clever", [False, True], ids=["plain", "rehashed"])
def test_every_field_of_every_record(ledger, field, clever):
    whole = lines_of(ledger)
    for place, value in itertools.product(range(EVENTS), OTHER[field]):
        facts = json.loads(whole[place])
        if facts[field] == value and type(facts[field]) is type(value):
            continue
        facts = {**facts, field: value}
        facts = rehashed(facts) if clever and field != "hash" else facts
        bad = first_bad(ledger, [*whole[:place], canonical(facts), *whole[place + 1 :]])
        assert bad == place + 1, (place, value)


def test_every_field_left_out_or_added(ledger):
    whole = lines_of(ledger)
    for place in range(EVENTS):
        facts = json.loads(whole[place])
        shorter = [{k: v for k, v in facts.items() if k != field} for field in facts]
        for other in [*shorter, {**facts, "comment": "x"}, [facts], None, 7, "text", {}]:
            clever = rehashed(other) if isinstance(other, dict) and "hash" in other else other
            for one in (other, clever):
                assert first_bad(ledger, [*whole[:place], canonical(one), *whole[place + 1 :]]) == place + 1, other


def test_every_other_spelling_of_the_same_record(ledger):
    whole = lines_of(ledger)
    for place in range(EVENTS):
        facts = json.loads(whole[place])
        for text in (
            json.dumps(facts, ensure_ascii=False, sort_keys=True),  # spaces
            json.dumps(facts, ensure_ascii=True, sort_keys=True, separators=(",", ":")),  # escapes
            json.dumps(dict(reversed(facts.items())), ensure_ascii=False, separators=(",", ":")),  # order
            whole[place].decode().replace('"kind":', '"kind":"card.field","kind":'),  # twice: the last one is read
            whole[place].decode() + " ",
            whole[place].decode() + "\r",
            "",
            "[" * 5000,
            "null",
            "x" * (LIMIT + 1),
        ):
            assert first_bad(ledger, [*whole[:place], text.encode(), *whole[place + 1 :]]) == place + 1, text[:60]
        for content in (b"\xff\xfe", b"\x00" * 40, whole[place].decode().encode("utf-16")[:-1]):
            content = content.replace(b"\n", b"")
            assert first_bad(ledger, [*whole[:place], content, *whole[place + 1 :]]) == place + 1


# ---- records missing, moved, repeated, put in


def test_every_deletion(ledger):
    whole = lines_of(ledger)
    for start, end in itertools.combinations(range(EVENTS + 1), 2):
        assert first_bad(ledger, whole[:start] + whole[end:]) == start + 1, (start, end)


def test_every_swap(ledger):
    whole = lines_of(ledger)
    for a, b in itertools.combinations(range(EVENTS), 2):
        other = list(whole)
        other[a], other[b] = other[b], other[a]
        assert first_bad(ledger, other) == a + 1, (a, b)


def test_every_duplicate(ledger):
    whole = lines_of(ledger)
    for record, place in itertools.product(range(EVENTS), range(EVENTS + 1)):
        bad = first_bad(ledger, [*whole[:place], whole[record], *whole[place:]])
        assert bad == (place + 1 if place != record else record + 2), (record, place)


def test_every_record_put_in_with_a_chain_that_fits(ledger):
    whole = [json.loads(line) for line in lines_of(ledger)]
    new = {**whole[3], "details": {"answer": "no"}}
    for place in range(EVENTS):
        chain = regrown([*whole[:place], new, *whole[place:]], place)
        assert first_bad(ledger, [canonical(one) for one in chain]) == place + 1, place
    once = regrown([*whole, new], EVENTS)  # looks like the line of a writer that was killed before it was anchored
    assert first_bad(ledger, [canonical(one) for one in once]) is None
    twice = regrown([*whole, new, new], EVENTS)
    assert first_bad(ledger, [canonical(one) for one in twice]) == EVENTS + 1


def test_the_chain_alone_finds_what_does_not_cut_or_regrow_it(ledger):
    whole = lines_of(ledger)
    facts = [json.loads(line) for line in whole]
    for place in range(1, EVENTS - 1):
        found = verdict([*whole[:place], *whole[place + 1 :]], None)
        assert (found.first_bad, found.reason) == (
            place + 1, f"is missing: event {place + 2} stands in its place",
        )  # fmt: skip
        edited = canonical(rehashed({**facts[place], "evidence": "0" * 64}))
        found = verdict([*whole[:place], edited, *whole[place + 1 :]], None)
        assert (found.first_bad, found.reason) == (place + 2, "does not follow the record before it")
        unlinked = canonical(rehashed({**facts[place], "previous": "0" * 64}))
        assert verdict([*whole[:place], unlinked], None).first_bad == place + 1
        renumbered = canonical(rehashed({**facts[place], "seq": place + 9}))
        assert verdict([*whole[:place], renumbered], None).first_bad == place + 1
    assert verdict([canonical(rehashed({**facts[0], "previous": "1" * 64}))], None).first_bad == 1


# ---- the end


def test_every_tail_cut_is_found_and_not_grown(ledger):
    whole = lines_of(ledger)
    for left in range(EVENTS):
        assert first_bad(ledger, whole[:left]) == left + 1
        assert refused(ledger).fields["first_bad"] == left + 1
        ledger.path.write_bytes(b"".join(line + b"\n" for line in whole[:left]) + whole[left][:-7])  # torn on purpose
        assert ledger.verify().first_bad == left + 1 and refused(ledger).fields["first_bad"] == left + 1


def test_every_cut_and_regrow_is_found_and_not_grown(ledger):
    whole = [json.loads(line) for line in lines_of(ledger)]
    for start, extra in itertools.product(range(EVENTS), (0, 1, 5)):
        other = [{**one, "actor": {"name": "Eve"}} if place == start else one for place, one in enumerate(whole)]
        other += [whole[0]] * extra
        chain = [canonical(one) for one in regrown(other, start)]
        assert verdict(chain, None).ok  # by itself it is as good as the true one
        assert first_bad(ledger, chain) == start + 1, (start, extra)
        assert refused(ledger).fields["first_bad"] == start + 1
        assert {e.seq for e in ledger.proved().values()} == set(range(1, start + 1))


def test_one_bad_record_spoils_no_other(ledger):
    whole = lines_of(ledger)
    put(ledger, [*whole[:4], whole[4].replace(b"rollback", b"monitors"), *whole[5:]])
    assert ledger.verify().first_bad == 5
    assert {e.seq for e in ledger.proved().values()} == set(range(1, EVENTS + 1)) - {5}
    assert len(ledger.events()) == EVENTS - 1


def test_a_file_that_is_gone_or_empty(ledger):
    for content in (None, b""):
        ledger.path.unlink(missing_ok=True)
        if content is not None:
            ledger.path.write_bytes(content)
        assert ledger.verify() == Verdict(
            False, 0, 1, f"is missing: the file is gone or empty, the store anchored {EVENTS}"
        )
        assert "record 1 is missing" in str(refused(ledger)) and ledger.events() == [] and ledger.proved() == {}


def test_a_last_line_that_a_killed_writer_left(ledger):
    whole = ledger.path.read_bytes()
    facts = [json.loads(line) for line in lines_of(ledger)]
    next_line = canonical(regrown([*facts, facts[-1]], EVENTS)[-1])
    for length in range(1, len(next_line) + 1):  # every instant of the write, without the line break
        ledger.path.write_bytes(whole + next_line[:length])
        assert ledger.verify() == Verdict(True, EVENTS), length
    for length in (1, 100, len(next_line)):
        with kept(ledger):
            ledger.path.write_bytes(whole + next_line[:length])
            event = add(ledger, 50)
            assert event.seq == EVENTS + 1 and ledger.verify() == Verdict(True, EVENTS + 1)
            assert ledger.path.read_bytes() == whole + event.line() + b"\n"
    ledger.path.write_bytes(whole + next_line + b"\n")  # killed between the file and the anchor
    assert ledger.verify().ok and len(ledger.proved()) == EVENTS + 1
    assert add(ledger, 51).seq == EVENTS + 2 and ledger.verify() == Verdict(True, EVENTS + 2)


def test_a_lost_line_break_is_put_back(ledger):
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole[:-1])
    assert ledger.verify() == Verdict(True, EVENTS) and len(ledger.events()) == EVENTS
    event = add(ledger, 50)
    assert ledger.path.read_bytes() == whole + event.line() + b"\n" and ledger.verify().ok


def test_an_earlier_time_is_told_and_is_no_break(built_store, tmp_path):
    ledger = open_ledger(copy_store(built_store, tmp_path / "ws"))
    for hours in (2, 1, 3):
        ledger.clock = lambda hours=hours: MOMENT + timedelta(hours=hours)
        add(ledger, hours)
    found = ledger.verify()
    assert found.ok and found.notes == (
        "event 2 has an earlier time than the one before it (2026-01-31T07:00:00.000000+00:00)",
    )


def test_the_clock_is_the_workspaces(built_store, tmp_path, monkeypatch):
    ledger = open_ledger(copy_store(built_store, tmp_path / "ws"))
    monkeypatch.setenv("MLNB_NOW", "2026-03-01T06:00:00+02:00")
    assert add(ledger, 0).time == "2026-03-01T04:00:00.000000+00:00"


# ---- the anchor


def change_tag(ledger: Ledger, sql: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(ledger.path.parent / STORE)) as connection:
        assert connection.execute(sql, values).rowcount == 1
        connection.commit()


def test_every_alteration_of_the_anchor(ledger):
    hashes = [event.hash for event in ledger.events()]
    set_value = "UPDATE experiment_tags SET value = ? WHERE key = 'mlnb.ledger.00000000'"
    for place in range(EVENTS):
        change_tag(ledger, set_value, " ".join([*hashes[:place], "0" * 64, *hashes[place + 1 :]]))
        assert ledger.verify().first_bad == place + 1
        change_tag(ledger, set_value, " ".join(hashes[:place]))
        assert ledger.verify().first_bad == (place + 1 if place < EVENTS - 1 else None), place
    change_tag(ledger, set_value, " ".join([*hashes, "0" * 64]))
    assert ledger.verify().first_bad == EVENTS + 1 and refused(ledger).fields["first_bad"] == EVENTS + 1
    for text in ("", "rubbish", " ".join(hashes).replace(" ", "\n")):
        change_tag(ledger, set_value, text)
        assert ledger.verify().first_bad == 1
    change_tag(ledger, "DELETE FROM experiment_tags WHERE key = 'mlnb.ledger.00000000'")
    assert ledger.verify().first_bad == 1 and "has no anchor in the store" in str(refused(ledger))


def test_tags_of_others_are_no_anchors():
    tags = {
        "mlnb.ledger.00000000": "a b",
        "mlnb.ledger.note": "x",
        "mlnb.ledger.0123456789ab.00000000": "y",
        "owner": "z",
    }
    assert anchoring.unpack("mlnb.ledger.", tags) == {1: "a", 2: "b"}
    assert anchoring.unpack("mlnb.ledger.0123456789ab.", tags) == {1: "y"}
    assert anchoring.unpack("mlnb.ledger.", {"mlnb.ledger.00000001": None}) == {65: ""}


def test_an_anchor_of_several_blocks(built_store, tmp_path):
    ledger = open_ledger(copy_store(built_store, tmp_path / "ws"))
    events = [add(ledger, number) for number in range(BLOCK * 2 + 2)]
    tags = client(ledger.anchor.workspace).get_experiment("0").tags
    assert sorted(k for k in tags if k.startswith("mlnb.")) == [f"mlnb.ledger.{n:08d}" for n in range(3)]
    assert tags["mlnb.ledger.00000001"].split() == [e.hash for e in events[BLOCK : 2 * BLOCK]]
    assert ledger.anchor.read() == {e.seq: e.hash for e in events}
    assert ledger.anchor.read(BLOCK + 5) == {e.seq: e.hash for e in events[BLOCK + 4 :]}
    for seq in (BLOCK, BLOCK + 1, 1):
        with pytest.raises(LedgerError, match="Two copies"):
            ledger.anchor.write(seq, "0" * 64)
    before = ledger.anchor.read()
    ledger.anchor.write(events[-1].seq, events[-1].hash)  # said twice, kept once
    assert ledger.anchor.read() == before
    whole = lines_of(ledger)
    for left in (1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK):
        assert first_bad(ledger, whole[:left]) == left + 1 and refused(ledger).fields["first_bad"] == left + 1
    put(ledger, whole)
    change_tag(ledger, "DELETE FROM experiment_tags WHERE key = 'mlnb.ledger.00000001'")
    assert ledger.verify().first_bad == BLOCK + 1


def test_two_copies_of_a_workspace_on_one_store(built_store, tmp_path):
    """Both read the same end and write the same place: the second learns that it is not alone."""
    workspace = copy_store(built_store, tmp_path / "one")
    (workspace.root / "settings.ini").write_text(
        f"[mlnb]\nworkspace = true\n[tracking]\nuri = sqlite:///{workspace.folder / STORE}\n"
    )
    away = tmp_path / "two"
    shutil.copytree(workspace.root, away, ignore=shutil.ignore_patterns(f"{STORE}*"))
    one, two = open_ledger(make(workspace.root)), open_ledger(make(away))
    assert is_own(one.anchor.workspace) and not is_own(two.anchor.workspace)
    for ledger in (one, two):
        for number in range(3):
            add(ledger, number)
        assert ledger.verify() == Verdict(True, 3)  # each has its own name in the store
    third = tmp_path / "three"
    shutil.copytree(away, third)
    fork = open_ledger(make(third))
    add(fork, 3)
    assert fork.verify() == Verdict(True, 4)
    assert two.verify().first_bad == 4 and refused(two).fields["first_bad"] == 4
    name = third / ".mlnb" / "ledger.id"
    name.write_text("../../x")
    with pytest.raises(LedgerError, match="does not hold the ledger's name"):
        fork.verify()
    name.write_text("0123456789ab\n")
    with pytest.raises(LedgerError, match="is not the one of this folder"):
        fork.verify()
    with pytest.raises(LedgerError, match="is not the one of this folder"):
        add(fork, 4)
    name.unlink()
    assert fork.verify() == Verdict(True, 4)  # the store knows whose it is
    add(fork, 4)
    assert fork.verify() == Verdict(True, 5) and name.read_text() == (away / ".mlnb" / "ledger.id").read_text()


@pytest.mark.parametrize("through", ["tables", "client"])
def test_a_history_that_begins_anew_where_the_store_is_shared(built_store, tmp_path, monkeypatch, through):
    """Somebody removes the ledger with its name, and signs again as if nothing had been."""
    store = copy_store(built_store, tmp_path / "store").folder / STORE
    if through == "client":
        monkeypatch.setattr(anchoring, "known_store", lambda *_: None)
    places = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.ini").write_text(
            f"[mlnb]\nworkspace = true\n[tracking]\nuri = sqlite:///{store}\n"
        )
        places.append(make(tmp_path / name))
    ledger, other = map(open_ledger, places)
    for number in range(3):
        add(ledger, number)
        add(other, number)
    whole, name = ledger.path.read_bytes(), ledger.path.with_name("ledger.id")
    for rest in (b"", whole.split(b"\n")[0] + b"\n"):
        ledger.path.write_bytes(rest) if rest else ledger.path.unlink()
        name.unlink(missing_ok=True)
        assert open_ledger(places[0]).verify().first_bad == rest.count(b"\n") + 1
        assert refused(open_ledger(places[0])).fields["first_bad"] == rest.count(b"\n") + 1
    ledger.path.write_bytes(whole)
    assert open_ledger(places[0]).verify() == Verdict(True, 3) == other.verify()
    moved = tmp_path / "moved"
    other.path.parent.parent.rename(moved)  # its name goes with it
    again = open_ledger(make(moved))
    add(again, 3)
    assert again.verify() == Verdict(True, 4)
    again.path.with_name("ledger.id").unlink()
    assert again.verify() == Verdict(True, 4)


def test_the_store_is_made_with_the_first_event(bare_workspace):
    ledger = open_ledger(bare_workspace)
    assert ledger.verify() == Verdict(True, 0) and ledger.events() == []
    assert not (bare_workspace.folder / STORE).exists() and not ledger.path.exists()
    add(ledger, 0)
    add(ledger, 1)
    assert ledger.verify() == Verdict(True, 2) and sorted(ledger.anchor.read()) == [1, 2]


def test_a_folder_that_is_no_workspace_is_only_looked_at(tmp_path):
    ledger = open_ledger(Workspace(tmp_path, load_settings(), found=False))
    assert ledger.verify() == Verdict(True, 0) and ledger.proved() == {} and list(tmp_path.iterdir()) == []


def test_mlflows_client_does_the_same_where_the_tables_are_unknown(ledger, monkeypatch):
    before = ledger.anchor.read()
    monkeypatch.setattr(anchoring, "known_store", lambda *_: None)
    monkeypatch.setattr(ledger.anchor, "_known", None)
    assert ledger.anchor.read() == before and ledger.anchor.read(15) == {15: before[15]}
    event = add(ledger, 40)
    monkeypatch.undo()
    assert ledger.anchor.read() == {**before, event.seq: event.hash} and ledger.verify().ok


def test_tables_that_we_do_not_know(ledger):
    workspace, path = ledger.anchor.workspace, ledger.path.parent / STORE
    assert anchoring.known_store(workspace, anchoring.TABLES) == path
    assert anchoring.known_store(workspace, {"experiment_tags": {"key", "colour"}}) is None
    assert anchoring.known_store(workspace, {"no_such_table": {"key"}}) is None


def test_a_store_that_does_not_answer_is_said_in_one_line(built_store, tmp_path, monkeypatch):
    workspace = copy_store(built_store, tmp_path / "ws")
    ledger = open_ledger(workspace)
    add(ledger, 0)
    whole = ledger.path.read_bytes()
    monkeypatch.setattr(anchoring, "WAIT", 0.2)
    with contextlib.closing(sqlite3.connect(workspace.folder / STORE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            StoreError, match=r"event 2 is recorded and not yet anchored.*locked.*do not sign again"
        ) as e:
            add(ledger, 1)
        assert "\n" not in str(e.value) and len(ledger.proved()) == 2
        other.execute("ROLLBACK")
    assert ledger.verify() == Verdict(True, 2)  # it is in the file, and it is no break
    assert add(ledger, 2).seq == 3 and ledger.verify() == Verdict(True, 3)
    (workspace.folder / STORE).write_bytes(b"no database" * 1000)
    for suffix in ("-wal", "-shm"):
        (workspace.folder / f"{STORE}{suffix}").unlink(missing_ok=True)
    with pytest.raises(StoreError, match="not a"):
        ledger.verify()
    with pytest.raises(StoreError):
        add(ledger, 3)
    assert ledger.path.read_bytes()[: len(whole)] == whole


# ---- what goes in


def test_what_cannot_be_an_event_is_refused_and_nothing_is_written(ledger):
    before, deep = ledger.path.read_bytes(), {}
    for _ in range(3000):
        deep = {"deeper": deep}
    for wrong in (
        {"kind": ""},
        {"kind": "Sign"},
        {"kind": "a" * 70},
        {"subject": ""},
        {"subject": "x" * 1001},
        {"evidence": "sha256:1"},
        {"details": {"x": "y" * LIMIT}},
        {"details": deep},
        {"actor": "Ada"},
        {"actor": {1: {2: deep}}},
    ):
        facts = {"kind": "card.field", "subject": "models:/m-1", "actor": {"name": "Ada"}, **wrong}
        with pytest.raises(ArgumentError, match="cannot be an event"):
            ledger.append(facts.pop("kind"), facts.pop("subject"), **facts)
    assert ledger.path.read_bytes() == before and ledger.verify().ok


def test_hostile_texts_and_odd_values_go_in_and_come_out(built_store, tmp_path):
    from payloads import PAYLOADS

    ledger = open_ledger(copy_store(built_store, tmp_path / "ws"))
    odd = {
        "nan": float("nan"),
        "big": 10**30,
        "small": 5e-324,
        "none": None,
        "set": {1},
        "lone": "\ud800",
        "u": "\u2028",
    }
    texts = [str(text) for text in PAYLOADS]
    event = ledger.append("card.field", "models:/m-1", actor={"name": "\n\r\x00"}, details={"odd": odd, "texts": texts})
    assert ledger.verify() == Verdict(True, 1) and ledger.events() == [event] and len(lines_of(ledger)) == 1
    assert event.details["odd"] == {**odd, "nan": None, "set": [1], "lone": "\\ud800"}
    assert event.details["texts"] == [text.encode("utf-8", "backslashreplace").decode() for text in texts]


def test_secrets_do_not_get_in(built_store, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVICE_TOKEN", "q8Zr1xYw0Kd7-canary")
    ledger = open_ledger(copy_store(built_store, tmp_path / "ws"))
    event = ledger.append(
        "card.field", "https://ana:hunter2canary@host/x", actor={"name": "Ada", "password": "swordfish-canary"},
        details={"note": ["the token is q8Zr1xYw0Kd7-canary", {"deep": "db_password: canary99x"}]},
    )  # fmt: skip
    assert "canary" not in ledger.path.read_text() and "canary" not in event.line().decode()
    assert ledger.verify().ok


# ---- random bytes


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_edits_are_found_or_change_nothing(signed, data):
    whole = signed.path.read_bytes()
    content, events = bytearray(whole), signed.events()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = min(len(content), start + data.draw(st.sampled_from([0, 0, 1, 1, 2, 64, 5000])))
        content[start:end] = data.draw(st.one_of(st.binary(max_size=3), st.sampled_from([b"\n", b'"', b"0", b" "])))
    try:
        signed.path.write_bytes(bytes(content))
        found = signed.verify()
        assert signed.events() == events if found.ok else found.first_bad is not None
        assert set(signed.proved()) <= {e.hash for e in events}
    finally:
        signed.path.write_bytes(whole)


# ---- the disk


def test_a_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "ledger.jsonl", tmp_path, Path("/proc/ledger.jsonl")):
        with pytest.raises(FileError, match="cannot write") as caught:
            add(Ledger(path, tmp_path / "lock"), 0)
        assert "\n" not in str(caught.value)
    with pytest.raises(FileError, match="cannot write /proc"):
        add(Ledger(tmp_path / "ledger.jsonl", "/proc/lock"), 0)
    with pytest.raises(FileError, match="cannot read"):
        Ledger(tmp_path, tmp_path / "lock").verify()


def test_where_nobody_can_write_it_can_be_read():
    assert Ledger("/proc/ledger.jsonl", "/proc/ledger.lock").verify() == Verdict(True, 0)


def test_a_writer_that_holds_the_lock_too_long(ledger):
    ledger.patience = 0.1
    try:
        with file_lock(ledger.lock):
            for ask in (ledger.verify, ledger.events, ledger.proved, lambda: add(ledger, 1)):
                with pytest.raises(FileError, match="locked by another process"):
                    ask()
    finally:
        del ledger.patience


def test_a_full_disk_leaves_the_file_as_it_was(ledger):
    whole, limits = ledger.path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 1, 200):
        alone = Ledger(ledger.path, ledger.lock)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + room, limits[1]))  # writes end there, as on a full disk
        try:
            with pytest.raises(FileError, match=r"cannot write .*ledger\.jsonl"):
                add(alone, 0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert ledger.path.read_bytes() == whole
    assert ledger.verify() == Verdict(True, EVENTS) and add(ledger, 0).seq == EVENTS + 1


def test_without_an_anchor_the_chain_still_holds(tmp_path):
    ledger = Ledger(tmp_path / "l.jsonl", tmp_path / "l.lock")
    for number in range(4):
        add(ledger, number)
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole + b'{"seq":')
    assert add(ledger, 4).seq == 5 and ledger.verify() == Verdict(True, 5) and len(ledger.proved()) == 5
    put(ledger, [lines_of(ledger)[0], *lines_of(ledger)[2:]])
    assert ledger.verify().first_bad == 2 and len(ledger.proved()) == 1
    put(ledger, lines_of(ledger)[:2])
    assert refused(ledger).fields["first_bad"] == 2


def test_the_end_is_found_without_reading_the_whole(built_store, tmp_path, monkeypatch):
    ledger = open_ledger(copy_store(built_store, tmp_path / "ws"))
    for number in range(12):  # lines of 50 kB: 600 kB in all
        ledger.append("card.field", "m", actor={}, details={"number": number, "text": "x" * 50_000})
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it read everything"))
    add(ledger, 1)
    monkeypatch.undo()
    assert ledger.verify() == Verdict(True, 13)


# ---- marks


@pytest.fixture(scope="module")
def logged(built_store, tmp_path_factory):
    workspace = copy_store(built_store, tmp_path_factory.mktemp("marks") / "ws")
    api = client(workspace)
    return workspace, api, api.create_logged_model("1", name="late").model_id


def test_a_mark_is_what_mlflow_reads(logged):
    workspace, api, model = logged
    for value in ("one", "two “quoted” \n\u2028", "x" * 16_000):
        write_mark(model, "mlnb.card.contact", value, workspace=workspace)
        assert api.get_logged_model(model).tags["mlnb.card.contact"] == value
    assert api.search_logged_models(["1"], "tags.`mlnb.card.contact` LIKE 'x%'")[0].model_id == model


def test_what_cannot_be_marked(logged, monkeypatch):
    workspace, _, model = logged
    for known in (True, False):
        for id_ in ("m-unknown", "", "m-' OR 1=1 --"):
            with pytest.raises(DataError, match="has no logged model"):
                write_mark(id_, "mlnb.x", "y", workspace=workspace)
        for key, value in (
            ("owner", "x"),
            ("mlnb.", "x"),
            ("mlnb.ä", "x"),
            ("mlnb.a b", "x"),
            ("mlnb.x", "y" * 16_001),
        ):
            with pytest.raises(ArgumentError, match="cannot be a mark"):
                write_mark(model, key, value, workspace=workspace)
        if known:
            monkeypatch.setattr(marking, "known_store", lambda *_: None)  # and the same through MLflow's client


def test_the_client_marks_where_the_tables_are_unknown(logged, monkeypatch):
    workspace, api, model = logged
    monkeypatch.setattr(marking, "known_store", lambda *_: None)
    write_mark(model, "mlnb.sign.00000001", "{}", workspace=workspace)
    assert api.get_logged_model(model).tags["mlnb.sign.00000001"] == "{}"


def test_a_store_that_lacks_a_table(built_store, tmp_path):
    workspace = copy_store(built_store, tmp_path / "ws")
    model = client(workspace).create_logged_model("1", name="late").model_id
    with contextlib.closing(sqlite3.connect(workspace.folder / STORE)) as connection:
        connection.execute("DROP TABLE logged_model_tags")
        connection.commit()
    with pytest.raises(StoreError, match="tracking store"):
        write_mark(model, "mlnb.sign.00000002", "{}", workspace=workspace)


def test_marks_written_at_once_are_all_kept(logged):
    workspace, api, model = logged
    failed = []

    def some(who: int) -> None:
        try:
            for number in range(10):
                write_mark(model, f"mlnb.sign.{who}.{number}", "x", workspace=workspace)
        except StoreError as e:
            failed.append(e)

    threads = [threading.Thread(target=some, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tags = api.get_logged_model(model).tags
    assert not failed and {f"mlnb.sign.{who}.{number}" for who in range(6) for number in range(10)} <= set(tags)


def test_a_deleted_model_takes_no_mark(logged):
    workspace, api, _ = logged
    gone = api.create_logged_model("1", name="gone").model_id
    api.delete_logged_model(gone)
    with pytest.raises(DataError, match="has no logged model"):
        write_mark(gone, "mlnb.x", "y", workspace=workspace)


def test_mlflow_is_not_imported_to_sign_in_a_store_that_is_there(built_store, tmp_path):
    workspace = copy_store(built_store, tmp_path / "ws")
    code = (
        "import sys; from helpers_ledger import write, make, open_ledger; ledger = open_ledger(make(sys.argv[1]))\n"
        "write(ledger, 'Ada', range(3)); assert ledger.verify().ok and len(ledger.proved()) == 3\n"
        "from mlnb.tracking import marks\n"
        "try: marks.write_mark('m-1', 'mlnb.x', 'y', workspace=ledger.anchor.workspace)\n"
        "except marks.DataError: pass\n"
        "assert not {'mlflow', 'pandas', 'sqlalchemy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, workspace.root], cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- many writers, and such as die


def start(job: str, workspace: Workspace, *rest: object) -> subprocess.Popen:
    command = [sys.executable, str(HERE / "helpers_ledger.py"), job, str(workspace.root), *map(str, rest)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def acknowledged(text: str) -> list[tuple[str, str]]:
    """Hash and name of each event that a writer was told of; a killed one may have said half a line."""
    whole = [said[:-1] for said in text.splitlines(keepends=True) if said.endswith("\n")]
    return [(said[:64], said[65:]) for said in whole]


def check_whole(ledger: Ledger, told: list[tuple[str, str]]) -> None:
    """The chain verifies, and all that was acknowledged is in it, once."""
    events = ledger.events()
    assert ledger.verify() == Verdict(True, len(events)), ledger.verify()
    there = {e.hash: f"{e.actor['name']} {e.details['number']}" for e in events}
    assert len(there) == len(events) and len(set(told)) == len(told)
    assert {hash: there.get(hash) for hash, _ in told} == dict(told)


def many_writers(ledger: Ledger, writers: int, each: int) -> None:
    running = [start("write", ledger.anchor.workspace, f"writer {n}", each) for n in range(writers)]
    outputs = [process.communicate(timeout=1500) for process in running]
    assert [process.returncode for process in running] == [0] * writers, [err for _, err in outputs]
    told = [one for out, _ in outputs for one in acknowledged(out)]
    assert len(told) == writers * each == len(ledger.events())
    check_whole(ledger, told)


def test_four_processes_lose_nothing(built_store, tmp_path):
    many_writers(open_ledger(copy_store(built_store, tmp_path / "ws")), 4, 25)


@pytest.mark.long
def test_sixteen_processes_lose_nothing(built_store, tmp_path):
    many_writers(open_ledger(copy_store(built_store, tmp_path / "ws")), 16, 500)


def test_threads_of_one_process_lose_nothing(built_store, tmp_path):
    ledger = open_ledger(copy_store(built_store, tmp_path / "ws"))
    threads = [threading.Thread(target=add, args=(ledger, number)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.verify() == Verdict(True, 8)
    assert {e.actor["name"] for e in ledger.events()} == {f"Möller {n}" for n in range(8)}


def kills(ledger: Ledger, times: int, seed: int) -> None:
    process = start("kill", ledger.anchor.workspace, times, seed)
    out, err = process.communicate(timeout=1500)
    assert process.returncode == 0, err
    told = acknowledged(out)
    assert len({who.rpartition(" ")[0] for _, who in told}) >= times // 2  # the others may die in their first
    check_whole(ledger, told)
    assert add(ledger, 1).seq == len(ledger.events())


def test_kills_at_random_instants(built_store, tmp_path):
    kills(open_ledger(copy_store(built_store, tmp_path / "ws")), 6, seed=1)


@pytest.mark.long
def test_a_hundred_kills_at_random_instants(built_store, tmp_path):
    kills(open_ledger(copy_store(built_store, tmp_path / "ws")), 100, seed=2)


def test_of_two_writers_one_dies(built_store, tmp_path):
    ledger = open_ledger(copy_store(built_store, tmp_path / "ws"))
    dies, lives = (start("write", ledger.anchor.workspace, who, n) for who, n in (("dies", 10_000), ("lives", 30)))
    first, begun = dies.stdout.readline(), lives.stdout.readline()  # both are at it
    os.kill(dies.pid, signal.SIGKILL)
    rest, out = dies.stdout.read(), lives.stdout.read()  # `communicate` would miss what came with the first line
    dies.communicate(), lives.communicate(timeout=120)
    assert lives.returncode == 0
    assert len(acknowledged(begun + out)) == 30
    check_whole(ledger, acknowledged(first + rest) + acknowledged(begun + out))


@pytest.mark.long
def test_a_server_keeps_anchor_and_marks(logged, tmp_path):
    load_mlflow()
    workspace, api, model = logged

    def start(port: int) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{workspace.folder / STORE}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def ask(port: int) -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=GENEROUS).close()

    server, port = serving(start, ask)
    try:
        address = load_settings(overrides={"tracking.uri": f"http://127.0.0.1:{port}"})
        one, two = (open_ledger(Workspace(make(tmp_path / name).root, address)) for name in ("one", "two"))
        for number in range(3):
            add(one, number), add(two, number)  # two workspaces share the server, each under its own name
        assert one.verify() == two.verify() == Verdict(True, 3) and one.anchor.read() != two.anchor.read()
        put(one, lines_of(one)[:2])
        assert one.verify().first_bad == 3 and refused(one).fields["first_bad"] == 3
        write_mark(model, "mlnb.card.contact", "by the server", workspace=two.anchor.workspace)
        assert api.get_logged_model(model).tags["mlnb.card.contact"] == "by the server"
        with pytest.raises(DataError, match="has no logged model"):
            write_mark("m-unknown", "mlnb.x", "y", workspace=two.anchor.workspace)
    finally:
        os.killpg(server.pid, 15)
        server.wait(GENEROUS)
