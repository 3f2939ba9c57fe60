"""The format of checklists, and the rules by which evidence and signatures become a state."""

from __future__ import annotations

import itertools
import os
import re
import tomllib
from pathlib import Path

import pytest
from payloads import PAYLOADS

from mlnb.core.answers import Signature, evidence_digest, judge, signed_for
from mlnb.core.checklist import Checklist, Item, checklists, find_checklist, read_checklist
from mlnb.core.errors import ArgumentError, DataError, FileError, MLNBError
from mlnb.core.result import Result, Status
from mlnb.core.workspace import make

ROOT = Path(__file__).resolve().parents[1]
LIST = """
version = 1
title = "Release"

[[items]]
code = "TEAM-1"
key = "legal"
title = "Has legal agreed?"
why = "The data is licensed."
sign = true

[[items]]
code = "TEAM-2"
key = "good"
title = "Is it good?"
why = "Else nobody needs it."
results = ["MLN-E001"]
"""


@pytest.fixture
def place(tmp_path):
    """A workspace with one list of its own."""
    workspace = make(tmp_path / "ws")
    (workspace.root / "checklists").mkdir()
    (workspace.root / "checklists" / "release.toml").write_text(LIST)
    return workspace


def one_line(call, *args, kind: type[MLNBError] = DataError) -> str:
    with pytest.raises(kind) as caught:
        call(*args)
    text = str(caught.value)
    assert "\n" not in text and caught.value.hint and len(text) < 700
    return text


class TestFormat:
    def test_a_list_of_one_s_own(self, place):
        found = find_checklist("release", place)
        assert (found.name, found.title, found.version, found.edition) == ("release", "Release", 1, 1)
        assert found.items[0].sign and not found.items[0].computed
        assert found.items[1].results == ("MLN-E001",) and found.items[1].computed

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("version = 1", "version = 2", "version 2 cannot be read"),
            ("version = 1", "version = true", "version: input should be a valid integer"),
            ("version = 1", "version = 1.0", "version: input should be a valid integer"),
            ("version = 1", 'version = "1"', "version '1' cannot be read"),
            ("version = 1\n", "", "version: field required"),
            ('title = "Release"', "", "title: field required"),
            ('title = "Release"', 'title = "  "', "title: string should have at least 1 character"),
            ('title = "Release"', 'title = "x"\nname = "other"', "it has a key 'name'"),
            ('title = "Release"', 'title = "x"\nabuot = "y"', "there is no key 'abuot'. Did you mean 'about'?"),
            ('title = "Release"', "title = 7", "title: input should be a valid string"),
            ('title = "Release"', 'title = "x"\nedition = 0', "edition: input should be greater than or equal to 1"),
            ("sign = true", 'sign = "yes"', "item 1 ('legal'): sign: input should be a valid boolean"),
            ("sign = true", "sign = 1", "item 1 ('legal'): sign: input should be a valid boolean"),
            ("sign = true", "signed = true", "item 1 ('legal'): there is no key 'signed'. Did you mean 'sign'?"),
            ("sign = true", "", "item 1 ('legal'): nothing answers it"),
            ("sign = true", 'check = "e001"', "item 1 ('legal'): check: string should match"),
            ('key = "good"', 'key = "legal"', "two items have the key 'legal'"),
            ("TEAM-2", "TEAM-1", "two items have the code 'TEAM-1'"),
            ("TEAM-2", "team-2", "item 2 ('good'): code: string should match"),
            ("TEAM-2", "MLN-G101", "item 'good': codes MLN-… are ours"),
            ('key = "good"', 'key = "Good one"', "item 2 ('Good one'): key: string should match"),
            ('["MLN-E001"]', '"MLN-E001"', "item 2 ('good'): results: input should be a valid"),
            ('["MLN-E001"]', '["mln-e1"]', "item 2 ('good'): results.0: string should match"),
            ('["MLN-E001"]', '["MLN-E001"]\ncheck = "MLN-G103"', "item 2 ('good'): it has both check and results"),
            ('title = "Is it good?"', f'title = "{"x" * 201}"', "item 2 ('good'): title: string should have at most"),
            ("[[items]]", "[[items]", "is not TOML in UTF-8"),
            ("[[items]]", "[items]", "is not TOML in UTF-8"),
        ],
    )
    def test_what_is_wrong_is_one_line_that_names_file_and_item(self, place, old, new, told):
        path = place.root / "checklists" / "release.toml"
        path.write_text(LIST.replace(old, new, 1) if old != '["MLN-E001"]' else LIST.replace(old, new))
        text = one_line(find_checklist, "release", place)
        assert str(path) in text and told in text

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\xff\xfe\x00",
            b"version = 1\ntitle = 'x'\nitems = 3",
            b"version = 1\ntitle = 'x'\nitems = [3]",
            b"version = 1\ntitle = 'x'\nitems = []",
            b"a = " + b"[" * 5000,
            b"version = 1\n" + b"#" * 600_000,
            b"version = 1\nversion = 1",
            b"version = 9999999999999999999999999",
            b"version = nan",
            b"version = 2026-01-01",
            b"version = {a = 1}",
        ],
    )
    def test_no_content_breaks_the_reader(self, place, content):
        (place.root / "checklists" / "release.toml").write_bytes(content)
        assert "release.toml" in one_line(find_checklist, "release", place)

    def test_201_items_are_too_many(self, place):
        items = "".join(
            f'[[items]]\ncode = "TEAM-{i}"\nkey = "k{i}"\ntitle = "t"\nwhy = "w"\nsign = true\n' for i in range(201)
        )
        path = place.root / "checklists" / "release.toml"
        path.write_text('version = 1\ntitle = "Many"\n' + items)
        assert "at most 200" in one_line(read_checklist, path)
        path.write_text('version = 1\ntitle = "Many"\n' + items.rpartition("[[items]]")[0])
        assert len(read_checklist(path).items) == 200

    def test_an_unreadable_file_is_one_line(self, place):
        assert "cannot be read" in one_line(read_checklist, place.root / "checklists")
        assert "cannot be read" in one_line(read_checklist, place.root / "none.toml")

    def test_items_are_found_by_key_or_code_and_the_nearest_is_suggested(self, place):
        found = find_checklist("release", place)
        assert found.item("legal") is found.item("TEAM-1") is found.items[0]
        assert "has no item 'legl'. Did you mean 'legal'?" in one_line(found.item, "legl", kind=ArgumentError)

    def test_byte_order_mark_and_wrapped_text(self, place):
        wrapped = LIST.replace('"Has legal agreed?"', '"""\nHas legal\n   agreed?"""')
        (place.root / "checklists" / "release.toml").write_bytes(b"\xef\xbb\xbf" + wrapped.encode())
        assert find_checklist("release", place).items[0].title == "Has legal agreed?"


PATHS = [
    *("../release", "..", ".", "", "/etc/passwd", "/release", "a/b", "a\\b", "..\\release", "release.toml"),
    *("release/", "release\0", "release\n", "Release", "rélease", "%2e%2e/release", "..%2frelease", "~/release"),
    *("$HOME", "C:release", "file:///etc/passwd", "release ", " release", "-release", "_release", "1release"),
    *("release\u202e", "con:", "a" * 42, "./release", "release/../release", "//release", "checklists/release"),
    *("re lease", "release;", "{{ 7 }}", "*", "?", "release\u200d", "release\t", "..;/release", "r/" * 50),
]


class TestNames:
    def test_shipped_lists_come_first(self, place):
        assert list(checklists(place))[:2] == ["deployment", "rigour"] and "release" in checklists(place)

    @pytest.mark.parametrize("name", PATHS)
    def test_a_name_is_never_a_path(self, place, name):
        assert "cannot be a checklist's name" in one_line(find_checklist, name, place, kind=ArgumentError)

    def test_an_unknown_name_suggests_the_nearest(self, place):
        assert "Did you mean 'release'?" in one_line(find_checklist, "releas", place, kind=ArgumentError)
        assert one_line(find_checklist, "x" * 41, place, kind=ArgumentError).startswith("there is no checklist")

    @pytest.mark.parametrize("through", ["file", "folder"])
    def test_a_link_that_leaves_the_workspace_is_refused(self, place, tmp_path, through):
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret.toml").write_text(LIST)
        folder = place.root / "checklists"
        if through == "file":
            (folder / "secret.toml").symlink_to(outside / "secret.toml")
        else:
            os.rename(folder, tmp_path / "old")
            folder.symlink_to(outside)
        assert "leads outside" in one_line(find_checklist, "secret", place, kind=FileError)

    def test_a_list_of_ours_is_not_replaced(self, place):
        own = place.root / "checklists" / "deployment.toml"
        own.write_text(LIST)
        text = one_line(find_checklist, "deployment", place)
        assert str(own) in text and "Choose another name" in text
        assert checklists(place)["deployment"] != own

    def test_files_that_cannot_be_lists_are_left_alone(self, place):
        for name in ("My List.toml", ".hidden.toml", "notes.md", "Release.toml"):
            (place.root / "checklists" / name).write_text("?")
        assert set(checklists(place)) == {"deployment", "rigour", "release"}

    def test_without_a_folder_there_are_ours(self, bare_workspace):
        assert set(checklists(bare_workspace)) == {"deployment", "rigour"} == set(checklists())


class TestShipped:
    def test_both_can_be_read_and_count_six_and_ten(self, bare_workspace):
        sizes = {name: len(find_checklist(name).items) for name in ("deployment", "rigour")}
        assert sizes == {"deployment": 6, "rigour": 10}

    def test_each_check_exists_takes_a_record_and_has_the_item_s_code(self, bare_workspace):
        import mlnb.governance.evidence  # noqa: F401 (registers them)
        from mlnb.core.checks import all_checks

        known = all_checks()
        asked = [i for name in ("deployment", "rigour") for i in find_checklist(name).items if i.check]
        assert all(i.check == i.code and dict(known[i.check].needs) == {"record": "record"} for i in asked)
        alone = [i for i in asked if i.code != "MLN-G102"]  # which shows, and a person judges
        assert len(alone) >= 11

    def test_the_page_lists_what_there_is(self, bare_workspace):
        page = (ROOT / "docs/checklists.md").read_text()
        rows = re.findall(r"^\| (MLN-G\d{3}) \| (\w+) \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
        items = [i for name in ("deployment", "rigour") for i in find_checklist(name).items]
        assert [row[:3] for row in rows] == [(i.code, i.key, i.title) for i in items]
        for (code, _, _, by), item in zip(rows, items, strict=True):
            computes = bool(item.check) and code != "MLN-G102"
            assert ("computed" in by, "person" in by) == (computes, item.sign), code

    def test_the_page_s_example_is_a_list(self, place):
        page = (ROOT / "docs/checklists.md").read_text()
        example = re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1]
        (place.root / "checklists" / "release.toml").write_text(example)
        found = find_checklist("release", place)
        assert found.edition == 3 and [i.key for i in found.items] == ["calibrated", "monitored", "legal"]
        keys = set(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.MULTILINE))
        told = {key for cell in keys for key in re.findall(r"`(\w+)`", cell)}
        assert told == (Checklist.model_fields.keys() | Item.model_fields.keys()) - {"name", "items"}
        assert set(tomllib.loads(example)) <= Checklist.model_fields.keys()


RESULT = Result(code="MLN-G101", title="Valid", status="fail", value=0.7, threshold=0.8, n=500, evidence={"run": "a"})
OTHER = RESULT.model_copy(update={"value": 0.6})
PASS = RESULT.model_copy(update={"status": Status.PASS})
COMPUTED = Item(code="MLN-G101", key="valid", title="Valid?", why="w", check="MLN-G101")
PERSON = Item(code="MLN-G106", key="told", title="Told?", why="w", sign=True)
BOTH = COMPUTED.model_copy(update={"sign": True})
_numbers = itertools.count(1)


def said(answer, name="Ada", *, about=None, note="because", proved=True, seq=None, to=None):
    seq = next(_numbers) if seq is None else seq
    when = "2026-03-01T09:00:00+00:00"
    seen = signed_for(to or (COMPUTED if about else PERSON), about)
    return Signature(seq, "l", "k", answer, name, "owner", note, when, seen, f"{seq:064x}", proved)


def state(item, computed, *signatures):
    return judge(item, computed, signatures)


class TestDigest:
    @pytest.mark.parametrize(
        "change",
        [{"status": Status.WARN}, {"value": 0.71}, {"threshold": 0.7}, {"n": 501}, {"evidence": {"run": "b"}}],
    )
    def test_what_a_person_sees_is_in_it(self, change):
        assert evidence_digest(RESULT.model_copy(update=change)) != evidence_digest(RESULT)

    def test_words_are_not_and_order_is_not(self):
        assert evidence_digest(RESULT.model_copy(update={"advice": "x", "title": "y"})) == evidence_digest(RESULT)
        first = RESULT.model_copy(update={"evidence": {"a": 1, "b": 2}})
        assert evidence_digest(first) == evidence_digest(RESULT.model_copy(update={"evidence": {"b": 2, "a": 1}}))
        assert evidence_digest(None) == "" and len(evidence_digest(RESULT)) == 64


class TestComputed:
    @pytest.mark.parametrize("status", [s for s in Status if s is not Status.SKIPPED])
    def test_it_is_what_was_computed(self, status):
        found = state(COMPUTED, RESULT.model_copy(update={"status": status}))
        assert found.status is status and found.result.value == 0.7 and found.result.code == "MLN-G101"
        assert found.open == (status in (Status.ERROR, Status.FAIL, Status.TODO))

    def test_missing_evidence_is_to_do_and_no_override_helps(self):
        assert state(COMPUTED, None).status is Status.TODO
        found = state(COMPUTED, None, said("override"))
        assert found.status is Status.TODO and "does not replace evidence" in found.result.advice
        todo = RESULT.model_copy(update={"status": Status.TODO})
        assert state(COMPUTED, todo, said("override", about=todo)).status is Status.TODO

    def test_a_yes_does_not_help(self):
        assert state(COMPUTED, RESULT, said("yes", about=RESULT)).status is Status.FAIL

    def test_a_no_is_told_where_nobody_was_asked(self):
        found = state(COMPUTED, PASS, said("no", about=PASS, note="I doubt it"))
        assert found.status is Status.PASS and "Ada (owner) says no: I doubt it" in found.result.advice


class TestOverride:
    @pytest.mark.parametrize("status", [Status.FAIL, Status.ERROR])
    def test_it_makes_a_warning_that_says_who_why_and_what(self, status):
        computed = RESULT.model_copy(update={"status": status})
        found = state(COMPUTED, computed, said("override", about=computed, note="pilot only"))
        assert found.status is Status.WARN and not found.open
        assert f"Overridden by Ada (owner): pilot only (computed: {status})" in found.result.advice
        assert found.result.evidence["computed"] == str(status)
        assert found.result.evidence["signatures"][0]["note"] == "pilot only"

    def test_other_evidence_ends_it_and_says_so(self):
        found = state(COMPUTED, OTHER, said("override", about=RESULT))
        assert (
            found.status is Status.FAIL
            and "no longer holds: the question or its evidence has changed" in found.result.advice
        )

    def test_withdrawn_it_is_gone(self):
        found = state(COMPUTED, RESULT, said("override", about=RESULT), said("withdraw"))
        assert found.status is Status.FAIL and len(found.signatures) == 2

    def test_somebody_else_cannot_withdraw_it(self):
        assert state(COMPUTED, RESULT, said("override", about=RESULT), said("withdraw", "Bo")).status is Status.WARN

    def test_it_changes_nothing_that_is_good(self):
        assert state(COMPUTED, PASS, said("override", about=PASS)).status is Status.PASS

    def test_it_does_not_outlive_a_later_no(self):
        seen = {"about": RESULT, "to": BOTH}
        first, no = said("override", **seen), said("no", "Bo", **seen)
        assert state(BOTH, RESULT, first, no).status is Status.FAIL
        found = state(BOTH, RESULT, first, no, said("override", "Cy", **seen))
        assert found.status is Status.WARN and "(computed: fail, Bo said no)" in found.result.advice


class TestPerson:
    def test_open_until_somebody_signs(self):
        found = state(PERSON, None)
        assert found.status is Status.TODO and found.waits and found.result.advice == "A person has to sign"
        assert state(PERSON, None, said("yes")).status is Status.PASS

    def test_one_no_is_enough_whoever_says_yes(self):
        for order in (("yes", "no"), ("no", "yes")):
            found = state(PERSON, None, said(order[0], "Ada"), said(order[1], "Bo"))
            assert found.status is Status.FAIL and "says no: because" in found.result.advice

    def test_a_person_has_one_answer_however_the_name_is_written(self):
        assert state(PERSON, None, said("no", "Ada"), said("yes", " ada ")).status is Status.PASS
        assert state(PERSON, None, said("yes"), said("yes"), said("withdraw")).status is Status.TODO

    def test_an_override_of_a_no(self):
        found = state(PERSON, None, said("no", note="not told"), said("override", "Bo", note="told by mail"))
        assert found.status is Status.WARN and "told by mail (Ada said no)" in found.result.advice

    def test_an_override_does_not_sign(self):
        assert state(PERSON, None, said("override")).status is Status.TODO

    def test_the_order_is_that_of_the_ledger(self):
        assert state(PERSON, None, said("no", seq=9), said("yes", seq=3)).status is Status.FAIL


class TestBoth:
    @pytest.mark.parametrize(
        ("computed", "answer", "expected"),
        [
            (PASS, None, "todo"),
            (PASS, "yes", "pass"),
            (PASS, "no", "fail"),
            (RESULT, None, "fail"),
            (RESULT, "yes", "fail"),
            (RESULT, "override", "todo"),
            (RESULT.model_copy(update={"status": Status.WARN}), "yes", "warn"),
            (RESULT.model_copy(update={"status": Status.SKIPPED}), "yes", "pass"),
            (RESULT.model_copy(update={"status": Status.SKIPPED}), None, "todo"),
            (RESULT.model_copy(update={"status": Status.NOT_APPLICABLE}), "yes", "pass"),
            (RESULT.model_copy(update={"status": Status.NOT_APPLICABLE}), None, "todo"),
            (RESULT.model_copy(update={"status": Status.ERROR}), "yes", "error"),
        ],
    )
    def test_the_worse_of_both(self, computed, answer, expected):
        given = [said(answer, about=computed, to=BOTH)] if answer else []
        assert state(BOTH, computed, *given).status == expected

    @pytest.mark.parametrize("answer", ["yes", "no"])
    def test_a_signature_for_other_evidence_opens_it_again(self, answer):
        found = state(BOTH, PASS, said(answer, about=RESULT, to=BOTH))
        assert found.status is Status.TODO and "has changed since Ada (owner) signed" in found.result.advice

    def test_an_override_does_not_waive_the_signature(self):
        seen = {"about": RESULT, "to": BOTH}
        waived = said("override", **seen)
        found = state(BOTH, RESULT, waived)
        assert found.status is Status.TODO and found.open and "A person has to sign" in found.result.advice
        assert "Overridden by Ada (owner): because (computed: fail)" in found.result.advice
        assert "does not replace" not in found.result.advice

    def test_one_person_can_override_and_sign(self):
        seen = {"about": RESULT, "to": BOTH}
        for order in (("override", "yes"), ("yes", "override")):
            given = [said(answer, **seen) for answer in order]
            assert state(BOTH, RESULT, *given).status is Status.WARN
            assert state(BOTH, RESULT, *given, said("withdraw")).status is Status.FAIL  # takes back both
            assert state(BOTH, RESULT, *given, said("no", **seen)).status is Status.FAIL


class TestShown:
    """What is shown and not judged answers nothing."""

    SKIPPED = RESULT.model_copy(update={"status": Status.SKIPPED})
    STORED = Item(code="TEAM-1", key="k", title="Good?", why="w", results=("MLN-E006",))

    @pytest.mark.parametrize("item", [STORED, COMPUTED])
    def test_a_person_has_to_sign(self, item):
        found = state(item, self.SKIPPED)
        assert found.status is Status.TODO and found.open and found.signs and not state(item, PASS).signs
        assert found.result.advice == "Shown only, not judged: a person has to sign"
        for answer, expected in (("yes", Status.PASS), ("no", Status.FAIL), ("override", Status.TODO)):
            assert state(item, self.SKIPPED, said(answer, about=self.SKIPPED, to=item)).status is expected


class TestQuestion:
    """A signature answers the question that was asked."""

    @pytest.mark.parametrize("change", [{"title": "Told nobody?"}, {"check": "MLN-G101"}, {"results": ("MLN-E001",)}])
    def test_another_question_opens_it_again(self, change):
        assert state(PERSON, None, said("yes")).status is Status.PASS
        other = PERSON.model_copy(update=change)
        seen = PASS if other.computed else None
        found = state(other, seen, said("yes", about=seen, to=PERSON))
        assert found.status is Status.TODO
        assert "The question or its evidence has changed since Ada (owner) signed" in found.result.advice

    def test_words_around_it_do_not(self):
        other = PERSON.model_copy(update={"why": "Another reason.", "code": "TEAM-9"})
        assert state(other, None, said("yes")).status is Status.PASS

    def test_an_override_of_another_question_lapses(self):
        stricter = COMPUTED.model_copy(update={"title": "Valid for children?"})
        assert state(COMPUTED, RESULT, said("override", about=RESULT)).status is Status.WARN
        assert state(stricter, RESULT, said("override", about=RESULT)).status is Status.FAIL


SPELLINGS = [
    ("Ada Lovelace", "ada  LOVELACE "),
    ("Ada Lovelace", "Ada\u00a0Lovelace"),
    ("Ada Lovelace", "Ada\u200d Lovelace"),
    ("Ada Lovelace", "A\u00adda Love\u2060lace"),
    ("Ada M\u00f6ller", "Ada Mo\u0308ller"),
    ("Ada M\u00f6ller", "Ada Mo\u200d\u0308ller"),
    ("Ada Stra\u00dfe", "ADA STRASSE"),
    ("Ada Lovelace", "\uff21da Lovelace"),
]


class TestNamesOfPersons:
    @pytest.mark.parametrize(("one", "other"), [*SPELLINGS, *(pair[::-1] for pair in SPELLINGS)])
    def test_one_person_however_the_name_is_typed(self, one, other):
        assert state(PERSON, None, said("no", one), said("yes", other)).status is Status.PASS
        assert state(PERSON, None, said("yes", one), said("no", other)).status is Status.FAIL
        assert state(PERSON, None, said("yes", one), said("withdraw", other)).status is Status.TODO

    def test_others_stay_others(self):
        for other in ("Ada Moeller", "Ada Moller", "AdaM\u00f6ller", "Ada"):
            assert state(PERSON, None, said("no", "Ada M\u00f6ller"), said("yes", other)).status is Status.FAIL


class TestProof:
    @pytest.mark.parametrize("answer", ["yes", "no", "override", "withdraw"])
    def test_what_the_ledger_does_not_prove_never_counts_and_is_told(self, answer):
        for item, computed in ((PERSON, None), (COMPUTED, RESULT), (BOTH, PASS)):
            forged = said(answer, about=computed, proved=False, to=item)
            found, without = state(item, computed, forged), state(item, computed)
            assert found.status is without.status and "ledger does not prove" in found.result.advice
            assert found.signatures == (forged,) and found.result.evidence["signatures"][0]["proved"] is False

    def test_a_forged_withdrawal_takes_nothing_back(self):
        assert state(PERSON, None, said("yes"), said("withdraw", proved=False)).status is Status.PASS


@pytest.mark.parametrize("text", PAYLOADS)
def test_any_text_in_a_list_is_text(place, text):
    shown = " ".join(text.encode("utf-8", "replace").decode().split())[:200]
    if not shown:
        return
    written = "".join(f"\\U{ord(c):08x}" for c in shown)  # TOML's own escape, so that every character can stand there
    path = place.root / "checklists" / "release.toml"
    path.write_text(LIST.replace("Has legal agreed?", written))
    assert read_checklist(path).items[0].title == " ".join(shown.split())


def test_a_list_that_is_asked_by_name_only(place):
    """The list for notebooks is found by its name, and is not asked of every model."""
    found = find_checklist("notebook", place)
    assert found.name == "notebook" and found.items and "notebook" not in checklists(place)
