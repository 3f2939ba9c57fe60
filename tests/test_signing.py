"""What a person signs and writes about a model is kept, goes with the model, and counts only when it is proved."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest
from helpers_lived import copy_lived
from payloads import PAYLOADS

from mlnb.core.answers import Signature
from mlnb.core.errors import ArgumentError, LedgerError, MLNBError, StoreError
from mlnb.core.workspace import make
from mlnb.governance.signing import Filled, fields, fill_field, sign, signatures
from mlnb.tracking.anchor import open_ledger
from mlnb.tracking.marks import write_mark
from mlnb.tracking.snapshot import snapshot

WHO = {"name": "Ada Möller", "role": "risk"}


@pytest.fixture(scope="module")
def clean(lived_in, tmp_path_factory):
    """The workspace as it was before anybody signed."""
    return copy_lived(lived_in, tmp_path_factory.mktemp("clean") / "ws")


@pytest.fixture
def workspace(clean, tmp_path, monkeypatch):
    made = copy_lived(clean, tmp_path / "ws")
    monkeypatch.setenv("MLNB_WORKSPACE", str(made.root))
    return made


def model_of(workspace):
    return snapshot(workspace).models[0]


def told(workspace) -> list[tuple]:
    return [(s.name, s.item, s.answer, s.proved) for s in signatures(model_of(workspace), workspace)]


def set_tag(workspace, key: str, value: str | None) -> None:
    with contextlib.closing(sqlite3.connect(workspace.folder / "mlflow.db")) as connection:
        if value is None:
            done = connection.execute("DELETE FROM logged_model_tags WHERE tag_key = ?", (key,))
        else:
            done = connection.execute("UPDATE logged_model_tags SET tag_value = ? WHERE tag_key = ?", (value, key))
        assert done.rowcount == 1
        connection.commit()


def test_a_signature_is_in_the_ledger_and_on_the_model(workspace):
    model = model_of(workspace)
    given = sign(model, "deployment", "stakeholders", answer="yes", note="told\r\non Monday ", evidence="a" * 64, **WHO)
    [event] = open_ledger(workspace).events(model.uri)
    assert (event.kind, event.subject, event.evidence) == ("checklist.sign", f"models:/{model.id}", "a" * 64)
    assert event.actor["name"] == "Ada Möller" and event.actor["verified"] is False
    assert event.actor["account"] and event.actor["host"]
    assert given == Signature(
        seq=1, checklist="deployment", item="stakeholders", answer="yes", name="Ada Möller", role="risk",
        note="told\non Monday", time=event.time, evidence="a" * 64, hash=event.hash, proved=True,
    )  # fmt: skip
    mark = json.loads(model_of(workspace).tags["mlnb.sign.00000001"])
    assert {**mark, "proved": True} == vars(given)
    assert signatures(model, workspace) == (given,)  # a model that was looked at before, too
    assert signatures(model_of(workspace)) == (given,)


def test_a_container_whose_user_has_no_name(workspace, monkeypatch):
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4242")

    monkeypatch.setattr("getpass.getuser", nobody)
    sign(model_of(workspace), "deployment", "stakeholders", answer="yes", **WHO)
    assert open_ledger(workspace).events()[0].actor["account"] == "unknown"


def test_the_code_of_an_item_is_its_key(workspace):
    assert sign(model_of(workspace), "deployment", "MLN-G106", answer="yes", **WHO).item == "stakeholders"


def test_a_list_of_ones_own_is_signed(workspace):
    place = workspace.root / "checklists"
    place.mkdir()
    item = '[[items]]\ncode = "TEAM-1"\nkey = "legal"\ntitle = "Has legal agreed?"\nwhy = "Law."\nsign = true\n'
    (place / "release.toml").write_text('version = 1\ntitle = "Release"\n' + item)
    assert sign(model_of(workspace), "release", "legal", answer="yes", **WHO).checklist == "release"


GIVEN = {"checklist": "deployment", "item": "stakeholders", "answer": "yes", "note": "", "evidence": "", **WHO}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"checklist": "deploiment"}, "Did you mean 'deployment'"),
        ({"checklist": "../deployment"}, "cannot be a checklist's name"),
        ({"item": "stakeholder"}, "Did you mean 'stakeholders'"),
        ({"answer": "maybe"}, "Use one of yes, no, override, withdraw"),
        ({"answer": ""}, "is no answer"),
        ({"answer": "no"}, "needs a note"),
        ({"answer": "override", "note": "  "}, "needs a note"),
        ({"note": "x" * 2001}, "Keep it under 2,000"),
        ({"note": "a\x00b"}, "hidden character"),
        ({"note": "\u202eyes"}, "hidden character"),
        ({"note": None}, "not a text"),
        ({"evidence": "A" * 64}, "not the digest"),
        ({"evidence": "a" * 63}, "not the digest"),
        ({"evidence": "a" * 64 + "\n"}, "not the digest"),
        *(({part: value}, said) for part in ("name", "role") for value, said in {
            "": "is missing", "   ": "is missing", None: "is missing", 7: "is missing", "x" * 121: "at most 120",
            "\u200d": "is missing",
            "Ada\nGrace": "printable", "Ada\u202e": "printable", "Ada\x1b[31m": "printable", "\ud800": "printable",
        }.items()),
    ],
)  # fmt: skip
def test_what_cannot_be_signed_leaves_no_trace(clean, wrong, said):
    facts = {**GIVEN, **wrong}
    model = snapshot(clean).models[0]
    with pytest.raises(ArgumentError) as caught:
        sign(model, facts.pop("checklist"), facts.pop("item"), workspace=clean, **facts)
    assert said in str(caught.value) and "\n" not in str(caught.value) and caught.value.exit_status == 2
    assert open_ledger(clean).events() == [] and not any(k.startswith("mlnb.sign.") for k in model.tags)


def test_names_of_all_scripts_are_taken(workspace):
    names = ["Ada", "José Ángel", "李小龍", "محمد", "می\u200cخواهم", "👩\u200d🔬 Marie", "O'Neil <b>"]
    for name in names:
        sign(model_of(workspace), "deployment", "stakeholders", answer="yes", name=name, role="risk")
    assert [s.name for s in signatures(model_of(workspace))] == names


def test_hostile_notes_are_kept_as_they_are(workspace):
    model, kept = model_of(workspace), []
    for text in PAYLOADS[::2]:  # all of them: test_ledger.py
        note = str(text)[:1500]
        try:
            sign(model, "deployment", "stakeholders", answer="yes", note=note, **WHO)
        except ArgumentError as e:
            assert "hidden character" in str(e)
        else:
            kept.append(note.replace("\r\n", "\n").replace("\r", "\n").strip())
    assert len(kept) > 20 and [s.note for s in signatures(model_of(workspace))] == kept
    assert open_ledger(workspace).verify().ok


def test_secrets_in_notes_and_fields_reach_no_byte(workspace, monkeypatch):
    monkeypatch.setenv("HUB_TOKEN", "q8Zr1xYw0Kd7-canary")
    model = model_of(workspace)
    given = sign(model, "deployment", "stakeholders", answer="yes", note="try q8Zr1xYw0Kd7-canary", **WHO)
    filled = fill_field(model, "contact", "db_password: canary99x, ghp_" + "a1B2" * 9, **WHO)
    assert "masked" in given.note and "masked" in filled.value
    assert signatures(model_of(workspace)) == (given,) and fields(model_of(workspace)) == {"contact": filled}
    for path in workspace.root.rglob("*"):
        if path.is_file():
            assert not {b"q8Zr1xYw0Kd7", b"canary99x", b"ghp_a1B2"} & {
                secret for secret in (b"q8Zr1xYw0Kd7", b"canary99x", b"ghp_a1B2") if secret in path.read_bytes()
            }, path


# ---- what counts


def test_a_forged_mark_is_shown_and_does_not_count(workspace):
    model = model_of(workspace)
    sign(model, "deployment", "stakeholders", answer="no", note="not yet", **WHO)
    true = json.loads(model_of(workspace).tags["mlnb.sign.00000001"])
    for change in (
        {"answer": "yes"},
        {"name": "Eve"},
        {"note": ""},
        {"evidence": "b" * 64},
        {"hash": "c" * 64},
        {"seq": 2},
    ):
        set_tag(workspace, "mlnb.sign.00000001", json.dumps({**true, **change}))
        found = signatures(model_of(workspace))
        assert [s.proved for s in found] == [True, False] or [s.proved for s in found] == [False, True], change
        assert [s.answer for s in found if s.proved] == ["no"]
    write_mark(model.id, "mlnb.sign.00000009", json.dumps({**true, "seq": 9, "answer": "yes", "hash": "d" * 64}))
    assert [s.answer for s in signatures(model_of(workspace)) if s.proved] == ["no"]


@pytest.mark.parametrize("text", ["", "rubbish", "[]", "7", "{}", '{"seq": "1"}', "[" * 3000, '{"answer": ["yes"]}'])
def test_a_mark_that_is_none_is_passed_over(workspace, text):
    sign(model_of(workspace), "deployment", "stakeholders", answer="yes", **WHO)
    fill_field(model_of(workspace), "contact", "Ada", **WHO)
    set_tag(workspace, "mlnb.sign.00000001", text)
    set_tag(workspace, "mlnb.card.contact", text)
    assert told(workspace) == [("Ada Möller", "stakeholders", "yes", True)]
    assert fields(model_of(workspace))["contact"].proved


@pytest.mark.parametrize("key", ["seq", "answer", "name", "time"])
def test_a_mark_of_wrong_types_is_passed_over(workspace, key):
    sign(model_of(workspace), "deployment", "stakeholders", answer="yes", **WHO)
    true = json.loads(model_of(workspace).tags["mlnb.sign.00000001"])
    for value in (None, True, 1.5, ["yes"], {"a": 1}, "maybe" if key == "answer" else None):
        set_tag(workspace, "mlnb.sign.00000001", json.dumps({**true, key: value}))
        assert told(workspace) == [("Ada Möller", "stakeholders", "yes", True)]


def test_an_edited_event_no_longer_counts_and_the_others_do(workspace):
    for name in ("Ada", "Grace", "Edsger"):
        sign(model_of(workspace), "deployment", "stakeholders", answer="yes", name=name, role="risk")
    ledger = open_ledger(workspace)
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b"Grace", b"Gracf"))
    assert told(workspace) == [
        ("Ada", "stakeholders", "yes", True),
        ("Grace", "stakeholders", "yes", False),
        ("Edsger", "stakeholders", "yes", True),
    ]


def test_a_ledger_that_was_cut_takes_no_more(workspace):
    for name in ("Ada", "Grace"):
        sign(model_of(workspace), "deployment", "stakeholders", answer="yes", name=name, role="risk")
    ledger = open_ledger(workspace)
    ledger.path.write_bytes(ledger.path.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(LedgerError, match="record 2 is missing: the end was cut off, the store anchored 2"):
        sign(model_of(workspace), "deployment", "stakeholders", answer="yes", **WHO)
    with pytest.raises(LedgerError):
        fill_field(model_of(workspace), "contact", "x", **WHO)
    assert [proved for *_, proved in told(workspace)] == [True, False]


def test_a_model_that_is_not_there(workspace):
    from dataclasses import replace

    gone = replace(model_of(workspace), id="m-" + "0" * 32)
    with pytest.raises(StoreError, match=r"event 1 is recorded, and its mark on the model is not: .*no logged model"):
        sign(gone, "deployment", "stakeholders", answer="yes", **WHO)


def test_signatures_go_with_the_model_and_the_proof_with_the_ledger(workspace, tmp_path):
    """A copy without the ledger shows who signed, and proves nothing."""
    sign(model_of(workspace), "deployment", "stakeholders", answer="yes", **WHO)
    fill_field(model_of(workspace), "contact", "Ada", **WHO)
    away = copy_lived(workspace, tmp_path / "away")
    assert [proved for *_, proved in told(away)] == [True]
    open_ledger(away).path.unlink()
    assert [proved for *_, proved in told(away)] == [False] and not fields(model_of(away), away)["contact"].proved


# ---- fields of a card


def test_the_last_text_of_a_field_stands(workspace):
    model = model_of(workspace)
    fill_field(model, "contact", "Ada", **WHO)
    given = fill_field(model, "contact", " Grace\r\nHopper ", name="Grace", role="owner")
    assert given == Filled("Grace\nHopper", "Grace", "owner", given.time, True)
    assert fields(model) == fields(model_of(workspace)) == {"contact": given}
    assert [e.details["value"] for e in open_ledger(workspace).events(model.uri)] == ["Ada", "Grace\nHopper"]
    mark = json.loads(model_of(workspace).tags["mlnb.card.contact"])
    assert mark["value"] == "Grace\nHopper" and mark["seq"] == 2
    fill_field(model, "contact", "", **WHO)
    assert fields(model_of(workspace)) == {}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("contract", "x", "Did you mean 'contact'"),
        ("metrics", "0.99", "is computed from the record"),
        ("", "x", "no field"),
        ("contact", "x" * 4001, "Keep it under 4,000"),
        ("contact", "\x07", "hidden character"),
        ("contact", 7, "not a text"),
    ],
)
def test_what_cannot_be_filled_leaves_no_trace(clean, field, value, said):
    with pytest.raises(ArgumentError) as caught:
        fill_field(snapshot(clean).models[0], field, value, workspace=clean, **WHO)
    assert said in str(caught.value) and open_ledger(clean).events() == []


def test_a_forged_field_does_not_stand(workspace):
    model = model_of(workspace)
    fill_field(model, "contact", "Ada", **WHO)
    true = json.loads(model_of(workspace).tags["mlnb.card.contact"])
    set_tag(workspace, "mlnb.card.contact", json.dumps({**true, "value": "Eve", "seq": 99}))
    assert fields(model_of(workspace))["contact"].value == "Ada"
    forged = json.dumps({**true, "field": "owner", "value": "Eve", "hash": "0" * 64})
    write_mark(model.id, "mlnb.card.owner", forged)
    found = fields(model_of(workspace))
    assert {key: (one.value, one.proved) for key, one in found.items()} == {
        "contact": ("Ada", True),
        "owner": ("Eve", False),
    }


def test_the_longest_texts_fit(workspace):
    model = model_of(workspace)
    for letter in ('"', "😀", "ü\n"):
        text = (letter * 4000)[:4000].strip()
        fill_field(model, "contact", text, name="N" * 120, role="R" * 120)
        sign(
            model, "deployment", "stakeholders", answer="yes", note=text[:1999].strip(), name="N" * 120, role="R" * 120
        )
        assert fields(model_of(workspace))["contact"].value == text
    assert all(s.proved for s in signatures(model_of(workspace)))


# ---- two at once


def test_two_processes_that_sign_at_once_are_both_kept(workspace):
    code = (
        "import sys\nfrom mlnb.governance.signing import sign, fill_field\n"
        "from mlnb.tracking.snapshot import snapshot\n"
        "model = snapshot().models[0]\n"
        "for n in range(3):\n"
        "    sign(model, 'deployment', 'stakeholders', answer='yes', name=f'{sys.argv[1]} {n}', role='risk')\n"
        "    fill_field(model, 'contact', f'{sys.argv[1]} {n}', name=sys.argv[1], role='risk')\n"
        "assert 'mlflow' not in sys.modules"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, who], stderr=subprocess.PIPE) for who in ("Ada", "Grace")]
    errors = [process.communicate(timeout=120)[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    found = signatures(model_of(workspace))
    assert {s.name for s in found} == {f"{who} {n}" for who in ("Ada", "Grace") for n in range(3)}
    assert len(found) == 6 and all(s.proved for s in found)
    last = [e.details["value"] for e in open_ledger(workspace).events() if e.kind == "card.field"][-1]
    assert json.loads(model_of(workspace).tags["mlnb.card.contact"])["value"] == last
    assert fields(model_of(workspace))["contact"].value == last


def test_threads_that_sign_at_once_are_all_kept(workspace):
    model, failed = model_of(workspace), []

    def one(number: int) -> None:
        try:
            sign(model, "deployment", "stakeholders", answer="yes", name=f"Ada {number}", role="risk")
        except MLNBError as e:
            failed.append(e)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and {name for name, *_ in told(workspace)} == {f"Ada {n}" for n in range(8)}


def test_on_a_shared_store_marks_of_two_ledgers_do_not_meet(workspace, tmp_path, monkeypatch):
    """Two workspaces, one store: both first signatures stay, and each proves its own."""
    address = f"[tracking]\nuri = sqlite:///{workspace.folder / 'mlflow.db'}\n"
    places = [make(tmp_path / name) for name in ("one", "two")]
    for place in places:
        (place.root / "settings.ini").write_text(f"[mlnb]\nworkspace = true\n{address}")
    one, two = (make(place.root) for place in places)
    for place, name in ((one, "Ada"), (two, "Grace")):
        sign(model_of(place), "deployment", "stakeholders", answer="yes", name=name, role="risk", workspace=place)
    assert {(name, proved) for name, *_, proved in told(one)} == {("Ada", True), ("Grace", False)}
    assert {(name, proved) for name, *_, proved in told(two)} == {("Ada", False), ("Grace", True)}
    shutil.rmtree(two.root)
    assert {(name, proved) for name, *_, proved in told(one)} == {("Ada", True), ("Grace", False)}
