"""The model card: it says what the record says, flags what was edited by hand, and shows what nobody has written."""

from __future__ import annotations

import dataclasses
import json
import re
import sqlite3
from functools import cache

import jsonschema
import pytest
import yaml
from browsing import INK, findings
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from payloads import PAYLOADS

from mlnb.core.assets import static_text
from mlnb.core.errors import ArgumentError, DataError, FileError
from mlnb.core.files import digest
from mlnb.core.result import Chart
from mlnb.core.wording import readable
from mlnb.governance import signing
from mlnb.governance.card import PLACE, Card, Model, Stored, build_card, diff, schema
from mlnb.governance.contents import computed
from mlnb.governance.facts import contradictions, record_digest
from mlnb.governance.fields import FIELDS, PERSON, Content, Fact, Figure, Written
from mlnb.governance.forms import metadata
from mlnb.pipelines.carded import keep_card, report_card
from mlnb.tracking.run import track
from mlnb.tracking.snapshot import snapshot

TEXTS = {
    "owner": "Flight operations",
    "description": "Tells, an hour before departure, how likely a flight is to arrive more than 30 minutes late.",
    "intended_use": "Travellers plan connections with it.\nDispatchers see it beside the schedule.",
    "out_of_scope_uses": "Not for pay, blame or safety: it knows nothing of crews.",
    "known_biases": "Three months of one winter, three airports of one city.",
    "limitations": "July is another season: log loss 0.51 instead of 0.37.",
    "ethical_considerations": "A wrong warning costs a traveller an earlier train.",
    "retraining_schedule": "Each quarter, or when July's alarm rings.",
    "contact": "late-flights@example.org",
}


def now():
    return snapshot().record()


def linked(reference: str) -> str:
    """Addresses as the published pages have them."""
    kind, _, rest = reference.partition(":")
    return f"{kind}-{rest[:8].replace(':', '-')}.html"


def kept(card: Card) -> Card:
    """Store a card as the template does."""
    with track("model_card", kind="model_card") as run:
        stored = keep_card(card, run)
        run.log(report_card(stored))
    return stored


def edit(workspace, statement: str) -> None:
    with sqlite3.connect(workspace.folder / "mlflow.db") as connection:
        assert connection.execute(statement).rowcount == 1


@pytest.fixture(scope="module")
def record(lived_in):
    return snapshot(lived_in).record()


@pytest.fixture(scope="module")
def card(record):
    return build_card(record, fields={})


@pytest.fixture(scope="module")
def full(record):
    return build_card(record, fields=TEXTS)


def test_every_field_of_the_customary_card_has_its_place(card):
    customary = """name version date owner description intended_use out_of_scope_uses source size date_range
    known_biases metrics datasets sliced_metrics limitations ethical_considerations retraining_schedule
    monitoring contact""".split()  # noqa: SIM905
    keys = [field.key for field in FIELDS]
    assert len(customary) == 19 and set(customary) <= set(keys) and [c.key for c in card.contents] == keys
    assert [field.key for field in card.empty] == [field.key for field in PERSON] and set(TEXTS) == {
        field.key for field in PERSON
    }


def test_what_is_computed_is_what_the_record_says(card, record):
    report = record.run.read_report()
    results = {r.method: r for r in report.results if r.subject is None}
    figures = {f.name: f for f in card.content("metrics").figures}
    for name in ("log_loss", "roc_auc", "average_precision", "accuracy", "brier"):
        assert figures[name].value == results[name].value and figures[name].run == record.run.id
        assert (figures[name].low, figures[name].high) == results[name].interval
    assert next(iter(figures)) == "log_loss"  # the one that decides stands first
    size = {f.title: f.text for f in card.content("size").facts}
    assert size["Rows"] == "62,236" and size["To learn from"] == "49,740" and size["Held out"].startswith("12,496.")
    assert card.content("date_range").facts[0].text == "2013-01-01 10:00 to 2013-04-01 03:00"
    data = {f.title: (f.value, f.status, f.run) for f in card.content("datasets").figures}
    july = next(run for run in record.monitors if run.name == "Monitor July")
    assert data["demo:flights/july"][1:] == ("fail", july.id) and data["demo:flights/july"][0] == pytest.approx(
        0.5107, abs=1e-3
    )
    monitored = {f.title.partition(",")[0]: f.text for f in card.content("monitoring").facts}
    assert "7 of 14 columns drifted" in monitored["demo:flights/july"] and "✗ fail" in monitored["demo:flights/july"]
    assert card.content("sliced_metrics").text.startswith("Not measured")
    assert card.content("risk_class").text == "Not classified"
    assert [f.title for f in card.content("checklists").facts] and card.content("lineage").facts[0].title == "Data"


def test_filling_all_fields_leaves_nothing_to_do_but_to_store_it(full):
    assert not full.empty and full.report.results[0].status == "pass"
    assert full.exit_status == 4 and "No card is stored" in full.report.results[2].advice
    text = full.to_html()
    assert "To be filled in" not in text and "of 9 fields" not in text
    assert "Travellers plan connections with it.</p><p>Dispatchers" in text


# --- what is edited by hand -------------------------------------------------------------------------------------------


def test_a_metric_changed_in_the_store_flags_the_card(lived):
    before = now()
    assert contradictions(before) == []
    edit(lived, f"UPDATE latest_metrics SET value = 0.30 WHERE key = 'log_loss' AND run_uuid = '{before.run.id}'")
    card = build_card(now(), fields=TEXTS)
    assert card.exit_status == 1 and card.record != record_digest(before)
    said = f"log_loss is 0.3 in the store and 0.374 in the report of run {before.run.short}"
    assert card.contradictions == (said,)
    for form in (card.to_html(), card.to_markdown(), card.to_text()):
        assert "This card contradicts the record" in form and "✗ fail" in form
    assert card.content("metrics").figures[0].value == pytest.approx(0.37366, abs=1e-5)  # the report's, not the forged


def test_a_metric_changed_in_the_history_of_the_store_flags_the_card(lived):
    run = now().run
    edit(lived, f"UPDATE metrics SET value = 0.99 WHERE key = 'roc_auc' AND run_uuid = '{run.id}'")
    [said] = contradictions(now())
    assert said == f"roc_auc is 0.717 in the store and 0.99 in the store's history of run {run.short}"


def test_a_metric_of_an_evaluation_and_a_deleted_one_are_flagged(lived):
    record = now()
    edit(
        lived,
        f"UPDATE latest_metrics SET value = 0.1 WHERE key = 'log_loss' AND run_uuid = '{record.evaluations[0].id}'",
    )
    edit(lived, f"DELETE FROM latest_metrics WHERE key = 'accuracy' AND run_uuid = '{record.run.id}'")
    found = " ".join(contradictions(now()))
    assert "log_loss is 0.1 in the store and 0.374 in the report of run " + record.evaluations[0].short in found
    assert "accuracy is missing in the store and 0.858 in the report of run " + record.run.short in found


def test_a_report_changed_by_hand_is_flagged_with_and_without_its_metric(lived):
    record = now()
    file = record.run.artifacts / "report/report.json"
    value = repr(record.run.metrics["log_loss"])
    file.write_text(file.read_text().replace(value, "0.30"))
    found = contradictions(now())
    assert any(s.startswith("log_loss is 0.374 in the store and 0.3 in the report") for s in found)
    assert any("is not the file that was recorded" in s for s in found)
    for table in ("latest_metrics", "metrics"):
        edit(lived, f"UPDATE {table} SET value = 0.30 WHERE key = 'log_loss' AND run_uuid = '{record.run.id}'")
    card = build_card(now(), fields=TEXTS)
    assert len(card.contradictions) == 1 and "is not the file that was recorded" in card.contradictions[0]
    assert card.exit_status == 1


def test_a_judgement_a_fingerprint_and_a_model_s_file_are_flagged_too(lived):
    record = now()
    july = next(run for run in record.monitors if run.name == "Monitor July")
    edit(lived, f"UPDATE tags SET value = 'pass' WHERE key = 'mlnb.status' AND run_uuid = '{july.id}'")
    (record.model.artifacts / "model.skops").write_bytes(b"PK another")
    data = dataclasses.replace(now().run.data[0], fingerprint="0" * 64)
    found = " ".join(contradictions(dataclasses.replace(now(), run=dataclasses.replace(now().run, data=(data,)))))
    assert f"the judgement is pass in the store and fail in the report of run {july.short}" in found
    assert "has one fingerprint in the store and another in the report" in found
    assert f"the file of model {record.model.id[:10]} is not the one that was recorded" in found


def test_a_broken_or_missing_report_still_gives_a_card(lived):
    file = now().run.artifacts / "report/report.json"
    file.write_text("{")
    broken = build_card(now(), fields=TEXTS)
    assert broken.exit_status == 1 and broken.content("metrics").about.startswith("Recorded by the run itself")
    file.unlink()
    assert "its file is gone" in build_card(now(), fields=TEXTS).to_text()


# --- fields and the stored card ---------------------------------------------------------------------------------------


def test_what_a_person_writes_appears_with_the_name_and_leaves_the_numbers_current(lived):
    before = build_card(now())
    signing.fill_field(now().model, "intended_use", TEXTS["intended_use"], name="Ada", role="product")
    card = build_card(now())
    assert len(card.empty) == 8 and card.record == before.record
    written = card.content("intended_use").written
    assert (written.name, written.role, written.proved) == ("Ada", "product", True)
    assert "Ada, product" in card.to_html() and "Written by Ada, product" in card.to_markdown()
    assert [row[0] for row in diff(before, card).rows] == ["Intended use"]


def test_a_field_that_the_ledger_does_not_prove_is_shown_and_does_not_count(lived):
    signing.fill_field(now().model, "contact", "risk@example.org", name="Ada", role="risk")
    forged = "tag_value = replace(tag_value, 'risk@', 'nobody@')"
    edit(lived, f"UPDATE logged_model_tags SET {forged} WHERE tag_key LIKE 'mlnb.card.%'")
    assert build_card(now()).content("contact").text == "risk@example.org"
    (lived.folder / "ledger.jsonl").unlink()
    card = build_card(now())
    assert card.content("contact").text == "nobody@example.org" and [f.key for f in card.unproved] == ["contact"]
    assert "not proved by the ledger" in card.to_html() and card.report.results[0].value == 9


def test_a_stored_card_is_current_until_something_changes(lived):
    first = build_card(now(), fields=TEXTS)
    assert first.stored is None and first.report.results[2].status == "todo"
    assert kept(first).exit_status == 0
    again = build_card(now(), fields=TEXTS)
    assert again.exit_status == 0 and "says what the record says" in again.to_html()

    with track("Monitor August", kind="monitor", tags={"mlnb.model_run": now().run.id}):
        pass
    later = build_card(now(), fields=TEXTS)
    assert later.report.results[2].status == "warn" and later.exit_status == 0
    assert "The record has changed since this card was made on" in later.to_html()
    assert "the model was monitored by run 'Monitor August'" in later.stored.added[0]

    filled = build_card(now(), fields={**TEXTS, "contact": "ml@example.org"})
    assert "contact was written anew" in filled.stored.added

    edit(lived, f"UPDATE latest_metrics SET value = 0.30 WHERE key = 'log_loss' AND run_uuid = '{now().run.id}'")
    forged = build_card(now(), fields=TEXTS)
    assert forged.report.results[2].status == "fail"
    assert forged.stored.mended[0].startswith("log_loss of run ")
    assert forged.stored.mended[0].endswith("was 0.374 and is 0.3")


@pytest.mark.parametrize("damage", ["edited", "broken", "gone"])
def test_a_stored_card_that_was_changed_afterwards_is_found(lived, damage):
    kept(build_card(now(), fields=TEXTS))
    file = now().cards[0].artifacts / PLACE
    text = file.read_text()
    if damage == "gone":
        file.unlink()
    else:
        file.write_text(text.replace("Flight operations", "Nobody") if damage == "edited" else text[:100])
    card = build_card(now(), fields=TEXTS)
    said = {"edited": "was changed afterwards", "broken": "cannot be read", "gone": "has no file"}[damage]
    assert card.report.results[2].status == "fail" and said in card.report.results[2].advice and said in card.to_html()


# --- forms ------------------------------------------------------------------------------------------------------------


def test_sizes(card, full):
    for one in (card, full):
        assert len(one.to_html().encode()) <= 40_000
        assert len(one.to_page().encode()) <= 40_000


def test_every_number_of_the_evaluation_has_its_run(card):
    for link in (None, linked):
        soup = BeautifulSoup(card.to_html(link) if link else card.to_html(), "html.parser")
        rows = soup.select("section table tbody tr")
        figures = [*card.content("metrics").figures, *card.content("datasets").figures]
        assert len(rows) == len(figures) >= 15
        for row, figure in zip(rows, figures, strict=True):
            assert figure.run[:8] in row.get_text()
            assert bool(row.select("a")) is bool(link)
            if link:
                assert row.a["href"] == f"run-{figure.run[:8]}.html" and row.a.get_text() in row.td.get_text()
        for key in ("size", "date_range", "source", "monitoring"):
            runs = {fact.run[:8] for fact in card.content(key).facts}
            title = next(field.title for field in FIELDS if field.key == key)
            told = next(dt.parent.get_text() for dt in soup.select("dt") if dt.get_text() == title)
            assert runs and all(run in told for run in runs)
    lines = card.to_markdown().splitlines()
    for figure in card.content("metrics").figures:
        assert any(line.startswith(f"| {figure.title} |") and figure.run[:8] in line for line in lines)


def test_the_stored_form_validates_and_comes_back(card, full):
    for one in (card, full):
        jsonschema.validate(json.loads(one.to_json()), schema())
        assert (
            Card.from_json(one.to_json()) == one and Card.from_json(one.to_json().encode()).to_json() == one.to_json()
        )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**card.to_dict(), "version": 2}, schema())
    assert json.loads(static_text("card.schema.json")) == schema()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "card"}', '{"kind": "card", "version": 9}', "\x00"])
def test_a_reader_refuses_what_is_no_card(text):
    with pytest.raises(DataError) as e:
        Card.from_json(text)
    assert e.value.hint and "\n" not in str(e.value)


def test_a_card_is_saved_in_the_form_of_its_name(full, tmp_path):
    for name in ("c.html", "c.md", "c.json", "c.txt"):
        assert "Flight operations" in full.save(tmp_path / name).read_text()
    for name in ("c.pdf", "c"):
        with pytest.raises(FileError):
            full.save(tmp_path / name)


def test_the_markdown_has_the_metadata_of_the_hub(full):
    _, head, body = full.to_markdown().split("---\n", 2)
    known = yaml.safe_load(head)
    assert known == metadata(full) and "license" not in known
    documented = {"library_name", "tags", "pipeline_tag", "metrics", "model-index"}
    assert set(known) <= documented and known["pipeline_tag"] == "tabular-classification"
    [index] = known["model-index"]
    assert index["name"] == "late"
    for result in index["results"]:
        assert result["task"]["type"] and result["dataset"]["type"] and result["dataset"]["name"]
        assert all(isinstance(m["value"], float) and m["type"] for m in result["metrics"])
    own = {m["type"]: m["value"] for m in index["results"][0]["metrics"]}
    assert own["log_loss"] == full.content("metrics").figures[0].value and known["metrics"][0] == "log_loss"
    assert "\n# Model card\\: late ○ to do\n" in body


def test_the_hub_s_own_reader_takes_it(full):
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(full.to_markdown()).data
    assert data.model_name == "late" and data.eval_results


def test_a_field_that_is_computed_or_unknown_cannot_be_written(record):
    for key in ("metrics", "intended"):
        with pytest.raises(ArgumentError):
            build_card(record, fields={key: "0.99"})


def test_two_cards_are_compared_line_by_line(card, full):
    assert diff(card, card).rows == ()
    found = {row[0]: row[1:] for row in diff(card, full).rows}
    assert set(found) == {field.title for field in PERSON} and found["Contact"] == ("", TEXTS["contact"])
    moved = full.model_copy(update={"contents": tuple(_worse(c) if c.key == "metrics" else c for c in full.contents)})
    [row] = diff(full, moved).rows
    assert row == ("Metrics: Log loss", "0.374 [0.362, 0.386]", "0.5 [0.362, 0.386]")


def _worse(content: Content) -> Content:
    first, *rest = content.figures
    return content.model_copy(update={"figures": (first.model_copy(update={"value": 0.5}), *rest)})


def test_secrets_reach_no_form(record):
    token = "ghp_" + "a1B2c3D4e5" * 4
    source = dataclasses.replace(record.run.data[0], source=f"postgres://ada:hunter2secret@db/flights?t={token}")
    run = dataclasses.replace(record.run, data=(source,), name=f"with {token}")
    card = build_card(dataclasses.replace(record, run=run), fields={"contact": f"call {token}"})
    for form in (card.to_json(), card.to_html(), card.to_page(), card.to_markdown(), card.to_text()):
        assert token not in form
        assert "hunter2secret" not in form
        assert "postgres" in form


def test_a_model_that_is_registered_is_called_by_its_name(record):
    from mlnb.tracking.stored import Version

    model = dataclasses.replace(record.model, versions=(Version("flights-late", 3, ("champion",)),))
    card = build_card(dataclasses.replace(record, model=model), fields={})
    assert card.title == "Model card: flights-late" and card.content("version").text == "flights-late/3 @champion"
    promoted = dataclasses.replace(model, versions=(Version("flights-late", 3, ()),))
    assert record_digest(dataclasses.replace(record, model=promoted)) == card.record  # an alias is on no number


def test_a_run_without_data_and_numbers_has_a_card_that_says_so(record):
    bare = dataclasses.replace(
        record.run, metrics={}, tags={}, data=(), artifacts=record.run.artifacts / "none", user=""
    )
    found = computed(dataclasses.replace(record, run=bare))
    assert found["metrics"].text.startswith("Not measured") and found["source"].text == "Not recorded"
    assert found["environment"].text == "Not recorded" and found["date_range"].text == "Not recorded"
    assert build_card(dataclasses.replace(record, run=bare), fields={}).to_page()


# --- hostile strings --------------------------------------------------------------------------------------------------


def hostile(text: str, state: str = "fail") -> Card:
    """A card with one string in every place where data can stand."""
    fact = Fact(title=text, text=text, run=text, goes=text)
    figure = Figure(name=text, title=text, value=0.5, unit=text, low=0.1, high=0.9, n=3, status=text, run=text)
    who = Written(name=text, role=text, time=text)
    contents = [
        Content(key=field.key, text=f"{text} x", about=text, facts=(fact,), figures=(figure,), written=who)
        for field in FIELDS[:-2]
    ]
    return Card(
        name=text,
        summary=text,
        model=Model(id=text, uri=text, run=text),
        task=text,
        as_of=text,
        record="0" * 64,
        contents=(*contents, Content(key=text, text=text)),
        charts=(Chart(kind="bars", title=text, data={"labels": [text], "values": [1]}),),
        contradictions=(text,) * 5 if state == "fail" else (),
        stored=Stored(run=text, made=text, mended=(text,) * 5, added=(text,)),
    )


TAGS = """article style h2 h3 b p small i div table caption thead tbody tr th td details summary ul li br figure
    figcaption svg title path g rect circle text section dl dt dd span code""".split()  # noqa: SIM905
ATTRIBUTES = """class data-s data-field role tabindex aria-label scope viewbox width height d fill fill-opacity stroke
    stroke-width stroke-dasharray font-size font-family text-anchor x y cx cy r title""".split()  # noqa: SIM905


@cache
def _skeleton() -> list[str]:
    return re.findall(r"<(table|tr|td|svg|style|meta|dl|dd|section|article)\b", hostile("plain").to_html())


@pytest.mark.parametrize("start", range(0, len(PAYLOADS), 15))
def test_no_string_becomes_markup(start):
    for payload in PAYLOADS[start : start + 15]:
        text = hostile(payload).to_html()
        tags = BeautifulSoup(text, "html.parser").find_all(True)
        assert {t.name for t in tags} <= set(TAGS), payload
        assert {a for t in tags for a in t.attrs} <= set(ATTRIBUTES), payload
        assert re.findall(r"<(table|tr|td|svg|style|meta|dl|dd|section|article)\b", text) == _skeleton()
        assert all(c.isprintable() or c in "\n\u200c\u200d\u202f" for c in text + hostile(payload).to_text())
        assert Card.from_json(hostile(payload).to_json()) == hostile(payload)


@pytest.mark.parametrize("start", range(0, len(PAYLOADS), 15))
def test_no_string_becomes_markdown_or_yaml(start):
    for payload in PAYLOADS[start : start + 15]:
        _, head, text = hostile(payload).to_markdown().split("---\n", 2)
        assert set(yaml.safe_load(head)) <= {"library_name", "tags", "pipeline_tag", "metrics", "model-index"}
        assert all(isinstance(tag, str) for tag in yaml.safe_load(head)["tags"])
        parsed = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
        blocks = {t.type.removesuffix("_open").removesuffix("_close") for t in parsed}
        known = "heading paragraph inline table thead tbody tr th td bullet_list list_item".split()  # noqa: SIM905
        assert blocks <= set(known), (payload, blocks)
        inline = [child.type for token in parsed for child in token.children or []]
        assert not set(inline) - {"text", "text_special", "softbreak"}, (payload, set(inline))


def test_hostile_strings_in_the_metadata_are_read_back_as_they_are():
    for payload in PAYLOADS:
        safe = Figure(name="log_loss", title=payload or "x", value=0.5, run="r")
        card = hostile("plain").model_copy(
            update={"name": payload or "x", "contents": (Content(key="metrics", figures=(safe,)),)}
        )
        known = yaml.safe_load(card.to_markdown().split("---\n", 2)[1])
        assert known["model-index"][0]["name"] == readable(payload or "x")


def test_the_template_escapes_an_address(card):
    text = card.to_html(lambda _: '"><script>alert(1)</script>')
    assert "<script" not in text


# --- in the browser ---------------------------------------------------------------------------------------------------


def show(page, text: str, folder) -> None:
    file = folder / "card.html"
    file.write_text(text, encoding="utf-8")
    page.goto(file.as_uri())
    assert page.asked.pop(0) == file.as_uri()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_accessible_and_its_first_screen_tells_what_is_empty(tab, tmp_path, card, full, width, theme):
    page = tab(width, theme)
    show(page, card.to_page(linked), tmp_path)
    place = page.get_by_text("9 of 9 fields that only a person can write are empty").bounding_box()
    assert place["y"] + place["height"] < 900
    assert page.get_by_text("To be filled in by a person").count() == 9
    forged = full.model_copy(update={"contradictions": ("log_loss is 0.3 in the store and 0.374 in the report",)})
    for one in (card, forged):
        show(page, one.to_page(linked), tmp_path)
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        assert findings(page) == []
        assert page.said == [] and page.asked == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK[theme]
    place = page.get_by_text("This card contradicts the record").bounding_box()
    assert place["y"] + place["height"] < 900


def test_the_page_prints_on_a4(tab, tmp_path, full):
    page = tab(703, "dark")
    show(page, full.to_page(), tmp_path)
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 703
    assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK["light"]
    assert page.pdf(prefer_css_page_size=True, tagged=True)[:5] == b"%PDF-"


def test_hostile_strings_are_inert_in_the_browser(tab):
    page = tab(390)
    page.set_content("<!doctype html><title>x</title>" + "".join(hostile(text).to_html() for text in PAYLOADS))
    page.mouse.move(200, 300)
    found = page.evaluate(
        """() => [...document.querySelectorAll('*')].flatMap(e => [
            ...[...e.attributes].filter(a => /^on|^(href|src|action|srcdoc|xlink:href)$/.test(a.name)).map(a => a.name),
            ...[e.tagName].filter(n => /^(SCRIPT|IFRAME|A|FORM|INPUT|IMG|BASE|LINK|OBJECT|EMBED)$/i.test(n))])"""
    )
    assert found == [] and page.said == [] and page.asked == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_style_stays_inside_its_scope():
    from mlnb.core.render import filled

    style = str(filled("card.css"))
    assert len(style.encode()) <= 3_500 and not re.search(r"url\(|@import|http|expression", style)
    for selectors in re.findall(r"([^{}]+)\{", re.sub(r"@media[^{]+\{", "", style)):
        for selector in re.split(r",(?![^(]*\))", selectors):
            assert selector.strip().startswith(".mlnb.mlnb.card"), selector


def test_a_digest_in_the_report_is_that_of_the_file(lived):
    kept(build_card(now(), fields=TEXTS))
    run = now().cards[0]
    assert run.read_report().meta["card"] == digest(run.read_bytes(PLACE)) and run.model_run == now().run.id
