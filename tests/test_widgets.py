"""Checklist and card without a browser: what a page may ask for, what is drawn, signed, refused and shown elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import threading

import pytest
from bs4 import BeautifulSoup
from helpers_lab import HUNDRED
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from payloads import PAYLOADS
from test_render import ALLOWED, SAFE_ATTRIBUTES

import mlnb
from mlnb import cli
from mlnb.core.answers import ItemState, Signature
from mlnb.core.assets import asset, static_text
from mlnb.core.errors import ArgumentError, DataError
from mlnb.core.result import Report, Result
from mlnb.core.wording import readable
from mlnb.governance.audit import audit
from mlnb.governance.card import build_card
from mlnb.governance.forms import to_html
from mlnb.governance.review import Review, review
from mlnb.tracking.snapshot import news, snapshot
from mlnb.ui.cards import CardView, card
from mlnb.ui.checklists import FILTERS, SAID, ChecklistView, checklist, checklist_html
from mlnb.ui.live import BROKEN, Desk, live, read_message, record_bundle, show

WHO = {"name": "Ada Lovelace", "role": "Platform"}
CLICKED = {"button", "form", "label", "input", "textarea", "template"}
_DATA = "do key form item evidence choices filter answer keep field value seen record"
ASKED = SAFE_ATTRIBUTES | {f"data-{name}" for name in _DATA.split()}
ASKED |= {"required", "maxlength", "autocomplete", "max", "value", "type", "open", "name"}
OTHERS = {"dl", "dt", "dd", "progress", "section", "code", "img", "a", "span"}
FORBIDDEN = (
    "eval(",
    "Function(",
    "insertAdjacentHTML",
    "document.write",
    "http",
    "import ",
    "fetch(",
    "Storage",
    "cookie",
)


def asks(what: str, **args: str) -> dict:
    asks.count += 1
    return {"id": f"t{asks.count}", "do": what, "args": args}


asks.count = 0


def signing(view: ChecklistView, key: str, answer: str = "yes", note: str = "", **changes: str) -> dict:
    """The message that a page sends when its form is used."""
    drawn = BeautifulSoup(checklist_html(view.review, live=True), "html.parser")
    button = drawn.select_one(f"[data-form=sign][data-item={key}]")
    seen = button["data-evidence"] if button else ""
    return asks("sign", **({"item": key, "answer": answer, "note": note, "evidence": seen, **WHO} | changes))


def desk_of(view: ChecklistView | CardView) -> Desk:
    """The desk that a view has in a notebook."""
    return Desk(view.draw, view.act, token=lambda: news(view.workspace), knows=["sign", "fill"])


class TestMessages:
    texts = st.text(max_size=50)
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=9),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
        max_leaves=12,
    )
    near = st.fixed_dictionaries(
        {
            "id": st.just("a1") | anything,
            "do": st.just("vote") | anything,
            "args": st.dictionaries(texts, texts) | anything,
        },
        optional={"html": texts},
    )

    @settings(max_examples=300, deadline=None)
    @given(anything | near)
    def test_what_is_not_exactly_a_message_is_refused_and_nothing_is_done(self, raw):
        done = []
        desk = Desk(lambda: "", lambda what, args: done.append((what, args)) or "Saved", token=str, knows=["vote"])
        answer = desk.answer(raw)
        try:
            message = read_message(raw, ["vote"])
        except ArgumentError:
            assert answer["ok"] is False and answer["id"] == "" and done == []
        else:
            assert answer["id"] == message.id and done in ([], [("vote", message.args)])
            assert all(isinstance(v, str) for v in (*message.args, *message.args.values()))

    def test_a_page_can_write_no_trait_by_the_protocol_of_widgets(self):
        made = live(lambda: "<p>ours</p>", lambda *_: "", token=str)
        before = made.get_state()
        for state in ({"html": "<p>forged</p>"}, {"_esm": "alert(1)"}, {"hides": "x", "look_every": 0.001}):
            made._handle_msg(
                {"content": {"data": {"method": "update", "state": state, "buffer_paths": []}}, "buffers": []}
            )
        assert made.get_state() == before and made.html == "<p>ours</p>"

    def test_a_message_with_buffers_is_refused(self):
        said, done = [], []
        made = live(lambda: "", lambda *asked: done.append(asked) or "", token=str, knows=["vote"])
        made.send = said.append
        made._handle_custom_msg(asks("vote"), [memoryview(b"x")])
        made._handle_custom_msg(asks("vote"), [])
        assert [answer["ok"] for answer in said] == [False, True] and len(done) == 1

    def test_errors_of_ours_are_told_without_secrets_and_others_not_at_all(self):
        def act(what, args):
            if args["how"] == "ours":
                raise DataError("no access with password=hunter2hunter2", "Ask for it")
            raise RuntimeError("/home/ada/secret/path.py, line 3")

        desk = Desk(lambda: "", act, token=str, knows=["vote"])
        ours, other = desk.answer(asks("vote", how="ours")), desk.answer(asks("vote", how="other"))
        assert ours["said"].startswith("no access") and "hunter2" not in ours["said"]
        assert other["said"] == BROKEN and "ada" not in str(other) and isinstance(desk.failure, RuntimeError)

    def test_what_is_saved_stays_saved_where_the_view_cannot_be_drawn(self):
        broken = []

        def render():
            if broken:
                raise OSError("disk")
            return ""

        desk = Desk(render, lambda *_: broken.append(1) or "Saved: yes", token=str, knows=["vote"])
        answer = desk.answer(asks("vote"))
        assert answer["ok"] and answer["said"].startswith("Saved: yes") and "again" in answer["said"]

    def test_an_id_is_done_once(self):
        done = []
        desk = Desk(lambda: "", lambda *_: done.append(1) or "Saved", token=str, knows=["vote"])
        message = asks("vote")
        assert desk.answer(message) == desk.answer(message) and done == [1]
        desk.answer(asks("vote"))
        assert done == [1, 1]


class TestFiles:
    def test_every_form_of_our_templates_is_known_and_sends_what_is_expected(self, lived_in):
        found = review("deployment", workspace=lived_in)
        record = snapshot(lived_in).record()
        filling = to_html(build_card(record, workspace=lived_in), lambda _: "", live=True)
        for html, fields, button in (
            (checklist_html(found, live=True), {"name", "role", "note"}, {"item", "evidence"}),
            (filling, {"name", "role", "value"}, {"field", "value", "seen"}),
        ):
            page = BeautifulSoup(html, "html.parser")
            form = page.find("template").find("form")
            assert {f["name"] for f in form.find_all(["input", "textarea"])} == fields
            keys = [e["data-key"] for e in page.select("[data-key]")]
            assert len(keys) == len(set(keys)), "keys name one element each"
            for opener in page.select(f"[data-form={form.parent['data-form']}]:not(template)"):
                assert {a.removeprefix("data-") for a in opener.attrs} >= button | {"form", "key"}
            assert all(field.find_parent("label") for field in form.find_all(["input", "textarea"]))

    def test_the_script_makes_html_only_of_what_python_drew(self):
        text = static_text("view.js") + static_text("live.js")
        assert re.findall(r"\w+\.(?:inner|outer)HTML\b[^;]*;", text) == ["view.innerHTML = html;"]
        assert text.count(".redraw(") == text.count('memory.redraw(model.get("html"))') == 1
        for forbidden in FORBIDDEN:
            assert forbidden not in text, forbidden
        assert all(len(static_text(name).splitlines()) <= 150 for name in ("view.js", "live.js"))

    def test_styles_stay_inside(self):
        for name in ("live.css", "checklist.css"):
            rules = re.sub(r"\{#.*?-#\}|@media[^{]*\{", "", asset("static").joinpath(name).read_text(), flags=re.DOTALL)
            selectors = [s.strip() for s in re.findall(r"([^{}]+)\{", rules)]
            assert selectors and all(s.startswith(".mlnb.mlnb") for s in selectors), selectors
            assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb", rules), "colours are tokens"


class TestChecklist:
    def test_it_is_small_on_every_surface(self, lived_in):
        for name in ("deployment", "rigour"):
            view = ChecklistView(review(name, workspace=lived_in), lived_in)
            assert len(view.to_html().encode()) <= 20_000 and len(view.to_page().encode()) <= 20_000

    def test_a_hundred_items_are_under_60_kb(self, lived):
        (lived.root / "checklists").mkdir()
        (lived.root / "checklists" / "hundred.toml").write_text(HUNDRED)
        view = checklist("hundred")
        assert len(view.draw().encode()) < 60_000 and len(view.review.items) == 100

    def test_the_record_reads_without_anything_and_says_what_the_report_says(self, lived):
        checklist("deployment", sign="rollback", answer="no", by="Alan", role="SRE", note="Nobody has tried it")
        view = checklist("deployment", sign="rollback", answer="override", by="Grace", role="Head", note="We know")
        for html in (view.to_html(), view.to_page(), view.draw()):
            page = BeautifulSoup(html, "html.parser")
            states = {li["data-key"]: li["data-s"] for li in page.select(".items > li")}
            assert list(states.values()) == [str(r.status) for r in view.report.results]
            assert states["rollback"] == "warn" and "Overridden by Grace (Head): We know" in page.get_text()
            assert len(page.select(".items > li li")) == 2
        for html in (view.to_html(), view.to_page()):
            assert not BeautifulSoup(html, "html.parser").find([*CLICKED, "script"])

    def test_the_form_offers_what_can_be_answered(self, lived):
        def choices(view, key):
            button = BeautifulSoup(view.draw(), "html.parser").select_one(f"[data-item={key}]")
            return button["data-choices"].split() if button else []

        view = checklist("deployment")
        assert choices(view, "stakeholders") == ["yes", "no"] and choices(view, "validation") == []
        view.sign("stakeholders", answer="no", by="Ada", role="QA", note="Not yet")
        assert choices(view, "stakeholders") == ["yes", "no", "override", "withdraw"]
        assert set(SAID) == {"yes", "no", "override", "withdraw"} and list(FILTERS) == ["All", "Open", "Failed"]

    def test_a_page_signs_once_and_only_what_it_saw(self, lived):
        view = checklist("deployment")
        desk = desk_of(view)
        message = signing(view, "stakeholders", note="Mail")
        assert desk.answer(message) == desk.answer(message)
        assert 'data-key="stakeholders" data-s=pass' in desk.html
        [signed] = view.review.signatures
        assert (signed.name, signed.role, signed.note, signed.proved) == (*WHO.values(), "Mail", True)
        for wrong, said in (
            (signing(view, "resources", evidence="0" * 16), "the evidence has changed"),
            (signing(view, "resources", role=""), "the role is missing"),
            (signing(view, "resources", answer="no"), "needs a note"),
            (signing(view, "resources", answer="perhaps"), "is no answer"),
            (signing(view, "stake", name="Ada"), "did you mean"),
            (signing(view, "resources", html="<b>"), "not understood"),
            (signing(view, "resources", name="Ada\nGrace"), "cannot be"),
            (signing(view, "resources", note="x" * 3000), "characters"),
        ):
            answer = desk.answer(wrong)
            assert not answer["ok"] and said in answer["said"].lower(), answer
        assert len(view.refresh().signatures) == 1

    def test_somebody_elses_signature_is_news(self, lived):
        here, there = (checklist("deployment") for _ in range(2))
        desk, drawn = desk_of(here), []
        desk.follow(lambda: drawn.append(1))
        desk.answer(asks("look"))
        assert drawn == []
        there.sign("stakeholders", answer="yes", by="Grace", role="Head")
        assert desk.answer(asks("look"))["ok"] and drawn == [1] and "Grace (Head)" in desk.html

    def test_many_sign_at_once_and_all_are_kept(self, lived):
        desks = [desk_of(checklist("deployment")) for _ in range(4)]
        answers = []

        def work(desk, number):
            for key in ("stakeholders", "resources", "rollback"):
                message = asks("sign", item=key, answer="yes", note="", name=f"P{number}", role="QA", evidence="")
                message["args"]["evidence"] = re.search(rf'data-item="{key}" data-evidence="(\w*)"', desk.html)[1]
                message["id"] = f"n{number}{key}".replace("_", "")
                answers.append(desk.answer(message))

        threads = [threading.Thread(target=work, args=(desk, i)) for i, desk in enumerate(desks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(answers) == 12 and all(a["ok"] for a in answers), answers
        signed = checklist("deployment").review.signatures
        assert len(signed) == 12 and all(s.proved for s in signed) and audit().ok

    def test_a_newer_model_does_not_slip_under_ones_hands(self, lived):
        from sklearn.linear_model import LogisticRegression

        view = checklist("deployment")
        with mlnb.track("newer", kind="train") as run:
            run.model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
        before = view.review.record.subject
        assert view.refresh().record.subject == before != checklist("deployment").review.record.subject

    def test_headless_it_ends_with_its_status_and_is_written_in_every_form(self, lived, tmp_path, capsys):
        def run(*argv):
            with pytest.raises(SystemExit) as ended:
                cli.main(["checklist", *argv])
            return ended.value.code, *capsys.readouterr()

        code, out, err = run("deployment")
        assert (code, err) == (4, "") and "Deployment readiness" in out and "Next:" in out
        code, out, err = run("deployment", "--sign", "stakeholders", "--by", "Ada", "--role", "QA", "--note", "Told")
        assert (code, err) == (4, "") and "Ada" in out
        assert (
            run("deployment", "--sign", "rollback", "--answer", "no", "--by", "A", "--role", "B", "--note", "c")[0] == 1
        )
        assert run("deployment", "--sign", "rollback", "--by", "Ada")[0] == 2
        assert run("deployment", "--sign", "nothing", "--by", "Ada", "--role", "QA")[0] == 2
        assert run("deploiment")[0] == 2 and run("deployment", "models:/m-00000000")[0] == 3
        code, out, err = run()
        assert code == 0 and "deployment" in out and "rigour" in out
        view = checklist("deployment")
        for suffix in (".html", ".json", ".md", ".txt"):
            text = view.save(tmp_path / f"list{suffix}").read_text()
            assert "Ada" in text and view.report.results[0].code in text
        assert Report.from_json((tmp_path / "list.json").read_text()).results == view.report.results
        page = (tmp_path / "list.html").read_text()
        assert "<h1" in page and "Content-Security-Policy" in page

    def test_without_a_model_the_lists_are_named(self, bare_workspace):
        shown = str(checklist())
        assert ("deployment" in shown and "not asked" in shown and "Train one" in shown) or "no run" in shown
        with pytest.raises(DataError):
            checklist("deployment")


class TestCard:
    def test_a_field_is_written_once_and_not_over_somebody_elses_text(self, lived):
        view = card()
        desk = desk_of(view)
        written = {"field": "owner", "value": "Team Delays\nHall 3", "seen": "", **WHO}
        assert desk.answer(asks("fill", **written))["ok"]
        assert view.card.content("owner").text == "Team Delays\nHall 3"
        over = desk.answer(asks("fill", **written | {"value": "Team Crews", "name": "Grace"}))
        assert not over["ok"] and "Ada Lovelace has written this field" in over["said"]
        page = BeautifulSoup(desk.html, "html.parser")
        button = page.select_one("[data-field=owner] [data-form=fill]")
        assert button["data-value"] == "Team Delays\nHall 3" and button.get_text() == "Change"
        again = written | {"value": "Team Crews", "seen": button["data-seen"]}
        assert desk.answer(asks("fill", **again))["ok"] and view.card.content("owner").text == "Team Crews"
        for wrong in ({"field": "metrics"}, {"field": "owners"}, {"name": ""}, {"value": "x" * 5000}, {"more": "x"}):
            seen = view.card.content("owner").written.time
            answer = desk.answer(asks("fill", **again | {"seen": seen} | wrong))
            assert not answer["ok"] and "meanwhile" not in answer["said"]
        assert view.refresh().content("owner").text == "Team Crews"

    def test_headless(self, lived, capsys):
        with pytest.raises(SystemExit) as ended:
            cli.main(["card", "--fill", "owner=Team Delays", "--by", "Ada", "--role", "Lead"])
        assert ended.value.code == 4 and "Team Delays" in capsys.readouterr().out
        with pytest.raises(SystemExit) as ended:
            cli.main(["card", "--fill", "metrics=1", "--by", "Ada", "--role", "Lead"])
        assert ended.value.code == 2
        assert card().card.content("owner").text == "Team Delays"


class TestOutputs:
    def test_two_outputs_and_the_record_follows_the_state(self, lived):
        InteractiveShell.instance()
        view = checklist("deployment")
        with capture_output() as shown:
            made = live(view.draw, view.act, token=str, knows=["sign"])
            show(view.to_html, made, text=view.to_text)
            made.desk.answer(signing(view, "stakeholders"))
        record, widget, again = (o.data for o in shown.outputs)
        assert f'data-record="{made.hides}"' in record["text/html"] and WHO["name"] not in record["text/html"]
        assert "text/html" not in widget and "application/vnd.jupyter.widget-view+json" in widget
        assert WHO["name"] in again["text/html"] and WHO["name"] in again["text/plain"]
        assert WHO["name"] in made.html

    def test_pictures_of_a_record_need_no_svg(self, lived_in):
        view = CardView(snapshot(lived_in).model("latest"), lived_in)
        assert "<svg" in view.to_html()
        html = record_bundle(view.to_html(), "", "abc")["text/html"]
        pictures = BeautifulSoup(html, "html.parser").find_all("img")
        assert "<svg" not in html and len(pictures) == view.to_html().count("<svg")
        assert all(p["src"].startswith("data:image/svg+xml;base64,") and p["alt"] for p in pictures)

    def test_a_terminal_gets_text(self, lived, capsys):
        checklist("deployment")._ipython_display_()
        card()._ipython_display_()
        out = capsys.readouterr().out
        assert "Deployment readiness" in out and "Model card" in out and "<" not in out.replace("<1", "")

    def test_nothing_heavy_is_imported_for_text(self, lived):
        heavy = ("anywidget", "ipywidgets", "mlflow", "pandas", "sklearn")
        made = "import sys, mlnb; str(mlnb.checklist('deployment')); str(mlnb.card())"
        code = f"{made}; print([m for m in {heavy} if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert done.stdout.strip() == "[]", done.stdout + done.stderr


def inert(html: str) -> None:
    """Only tags and attributes of ours; no address but pictures made here."""
    for tag in BeautifulSoup(html, "html.parser").find_all(True):
        assert tag.name in ALLOWED | CLICKED | OTHERS, tag.name
        for name, value in tag.attrs.items():
            assert name in ASKED | {"src", "alt"} and not name.startswith("on"), (tag.name, name)
            assert name != "src" or value.startswith("data:image/svg+xml;base64,")


def signature(text: str) -> Signature:
    time = "2026-01-31T06:00:00+00:00"
    return Signature(1, "deployment", "stakeholders", "no", text, text, text, time, "", "0" * 64, True)


def test_hostile_words_are_inert_on_the_live_view_and_in_the_record(lived_in):
    found = review("deployment", workspace=lived_in)
    record = snapshot(lived_in).record()
    made = build_card(record, workspace=lived_in)
    state = found.state("stakeholders")
    for number, text in enumerate(PAYLOADS):
        told = {"advice": text, "evidence": {text: text}, "unit": text, "value": 1}
        poisoned = Result.model_validate(state.result.model_dump() | told)
        item = state.item.model_copy(update={"title": text or "x", "why": text or "x"})
        rows = (ItemState(item, poisoned, (signature(text),), poisoned),)
        hostile = Review(found.checklist, record, rows, found.as_of, (signature(text),))
        drawn = checklist_html(hostile)
        for html in (checklist_html(hostile, live=True), drawn, record_bundle(drawn, "", "a")["text/html"]):
            inert(html)
            assert readable(text)[:40].strip() in BeautifulSoup(html, "html.parser").get_text() or not text.strip()
        if number % 3:
            continue
        contents = tuple(c.model_copy(update={"text": text}) if c.key == "owner" else c for c in made.contents)
        inert(to_html(made.model_copy(update={"contents": contents, "name": text}), lambda _: "", live=True))
