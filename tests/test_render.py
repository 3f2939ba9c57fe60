"""What a report looks like as HTML, Markdown and text: nothing lost, nothing forged, small enough."""

from __future__ import annotations

import html as entities
import json
import re
from collections import Counter
from functools import cache, lru_cache

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from payloads import PAYLOADS
from report_samples import drift_report, evaluation_report, flights_sample

from mlnb.core import layout, render
from mlnb.core.assets import static_text
from mlnb.core.result import Chart, Report, Result, Status, Table
from mlnb.core.wording import readable, shorten
from mlnb.drifting.engine import drift

SAMPLES = {"drift": drift_report, "evaluation": evaluation_report}
GLYPHS = {glyph: state for state, (glyph, _) in layout.STATES.items()}
WORDS = {f"{glyph} {word}": state for state, (glyph, word) in layout.STATES.items()}


def expected(report: Report, width: int = 28) -> Counter:
    """Each result as (code, subject, status, value), the way every surface has to show it."""
    return Counter(
        (r.code, "" if r.subject is None else layout.name_of(r.subject, width), str(r.status), layout.number_of(r))
        for r in report.results
    )


def from_html(text: str) -> Counter:
    """Read the results back from the list and the matrix."""
    soup, found = BeautifulSoup(text, "html.parser"), []
    for row in soup.select("table[data-t=list] tbody tr"):
        cells = row.find_all("td", recursive=False)
        subject = cells[1].get_text() if len(cells) == 4 else ""
        value = next(cells[-2].stripped_strings)
        found.append((row.th.small.get_text(), subject, row["data-s"], "" if value == "–" else value))
        assert WORDS[cells[0].get_text()] == row["data-s"]
    for table in soup.select("table[data-t=matrix]"):
        codes = [small.get_text() for small in table.select("thead small")]
        for row in table.select("tbody tr"):
            cells = row.find_all("td", recursive=False)[-len(codes) :]
            for code, cell in zip(codes, cells, strict=True):
                if cell.get("data-s"):
                    found.append((code, row.th.get_text(), cell["data-s"], _value(cell.get_text())))
    return Counter(found)


def _value(shown: str) -> str:
    """The value of a cell without the glyph before it; a cell without a value has a word there."""
    value = shown[2:] if shown[:1] in GLYPHS and shown[1:2] == " " else shown
    return "" if value in {"–", *(word for _, word in layout.STATES.values())} else value


def _grid(head: list[str], rows: list[list[str]]) -> list[tuple[str, str, str, str]]:
    """Results of one table of Markdown or text."""
    if "code" in head:
        named = [dict(zip(head, row, strict=True)) for row in rows]
        return [(r["code"], r.get("subject", ""), WORDS[r["status"]], _listed(r["value"])) for r in named]
    codes = [name.split()[-1] for name in head[2:]]
    cells = [(row[1], code, cell) for row in rows for code, cell in zip(codes, row[2:], strict=True)]
    return [(code, subject, GLYPHS[cell[0]], _value(cell)) for subject, code, cell in cells if cell]


def _listed(shown: str) -> str:
    return "" if shown == "–" else shown.split(" [")[0]


def from_markdown(text: str) -> Counter:
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        lines = [[_unescaped(c.strip()) for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        if lines[0][0] == "status":
            found += _grid(lines[0], lines[2:])
    return Counter(found)


def _unescaped(text: str) -> str:
    return entities.unescape(re.sub(r"\\([^\w\s])", r"\1", text))


def from_text(text: str) -> Counter:
    found = []
    for block in text.split("\n\n"):
        lines = block.splitlines()
        if not lines[0].startswith("status "):
            continue
        starts = [m.start() for m in re.finditer(r"(?<=  )\S|^\S", lines[0])]
        rows = [[line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for line in lines]
        head, rows = (rows[0], rows[1:]) if "code" in rows[0] else ([*rows[0][:2], *rows[1][2:]], rows[2:])
        found += _grid(head, rows)
    return Counter(found)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_result_is_on_every_surface_exactly_once(name):
    report = SAMPLES[name]()
    assert from_html(report.to_html()) == from_html(report.to_page()) == expected(report)
    assert from_markdown(report.to_markdown()) == from_text(report.to_text()) == expected(report, 60)


results = st.lists(
    st.builds(
        Result,
        code=st.sampled_from(["MLN-D001", "MLN-D002", "MLN-E001"]),
        title=st.sampled_from(["KS", "PSI"]),
        subject=st.one_of(st.none(), st.sampled_from(["age", "sex", "", "a b", "x" * 90])),
        status=st.sampled_from(list(Status)),
        value=st.one_of(st.none(), st.floats(-1e9, 1e9)),
        unit=st.sampled_from(["", "points"]),
        method=st.sampled_from(["", "ks", "psi"]),
        exact=st.booleans(),
        advice=st.sampled_from(["", "Look upstream"]),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(results)
def test_no_result_is_lost_or_doubled_whatever_stands_in_the_report(results):
    report = Report(kind="any", title="Any", results=results)
    assert from_html(report.to_html()) == expected(report)
    assert from_markdown(report.to_markdown()) == expected(report, 60)
    assert render.to_text(report).splitlines()[0] == f"Any  {layout.badge(report.status)}"


def test_a_stored_report_looks_like_the_one_that_was_made():
    report = drift_report()
    again = Report.from_json(report.to_json())
    assert again.to_html() == report.to_html() and again.to_text() == report.to_text()


def test_twelve_columns_fit_20_kb_and_fifty_fit_100_kb_with_a_picture_each():
    twelve, fifty = drift_report(12), drift_report(50, poor=15)
    assert len({r.subject for r in fifty.results} - {None}) == len(fifty.charts) == 50
    assert len(twelve.charts) == 12 and len(twelve.results) > 60
    for report, most in ((twelve, 20_000), (fifty, 100_000)):
        text = report.to_html()
        assert len(text.encode()) <= most
        assert text.count("<svg") == len(report.charts) and "no data" not in text
        assert max(len(svg.encode()) for svg in re.findall("<svg.*?</svg>", text)) < 700


def test_twelve_columns_that_all_drifted_still_fit():
    july = flights_sample()[1].iloc[:, :12]
    moved = pd.DataFrame({c: july[c] * 3 + 50 if july[c].dtype.kind in "if" else july[c] + "*" for c in july})
    report = drift(july, moved.where(np.arange(moved.size).reshape(moved.shape) % 9 > 0))
    assert sum(r.status == "fail" for r in report.results) > 30
    assert len(report.to_html().encode()) <= 20_000


def test_nine_results_a_column_that_all_fail_still_fit():
    report, evidence = drift_report(12), {"warn": 0.1, "critical": 0.25, "p": 3.1e-7, "p_corrected": 4e-6}
    texts = [
        "Find out upstream what changed; if it stays, retrain",
        "Find out why values are missing",
        "Look at the source",
    ]
    results = [
        Result(
            code=f"MLN-D00{k}", title="Kolmogorov–Smirnov distance", subject=chart.subject, value=0.123 * k, n=4000,
            status=("fail", "warn", "fail", "skipped", "pass")[k % 5], threshold=0.2, method=f"method_{k}",
            evidence=evidence, advice=texts[k % 3] if k % 5 < 3 else "",
        )
        for chart in report.charts
        for k in range(9)
    ]  # fmt: skip
    full = report.model_copy(update={"results": tuple(results)})
    assert sum(r.status in ("fail", "warn") for r in results) == 72
    assert from_html(full.to_html()) == expected(full)
    assert len(full.to_html().encode()) <= 20_000


def test_the_worst_stands_first_and_the_summary_before_any_table():
    report = drift_report()
    soup = BeautifulSoup(report.to_html(), "html.parser")
    assert soup.find("p").get_text() == report.summary and soup.find("p").find_previous("table") is None
    states = [row.td["data-s"] for row in soup.select("[data-t=matrix] tbody tr")]
    assert states == sorted(states, key=list(layout.STATES).index) and states[0] == "fail"


def test_what_does_not_pass_says_threshold_evidence_and_what_to_do():
    temp = next(r for r in drift_report().results if r.subject == "temp" and r.method == "ks")
    soup = BeautifulSoup(drift_report().to_html(), "html.parser")
    details = next(d for d in soup.select("details[data-s]") if temp.advice in d.summary.get_text())
    assert f"ks {layout.number_of(temp)}, threshold 0.2" in details.get_text() and "temp" in details.summary.get_text()
    assert "direction\u202fhigher" in details.get_text() and "p\u202f" in details.get_text()


def test_reasons_why_nothing_was_judged_are_told():
    report = drift_report(50, poor=15)
    reasons = {r.advice for r in report.results if r.status == "not_applicable"}
    assert reasons and all(text in BeautifulSoup(report.to_html(), "html.parser").get_text() for text in reasons)
    assert all(render.inert(text) in report.to_markdown() for text in reasons)


def test_the_text_form_says_why_not_judged_once_and_bounded():
    none = drift(flights_sample()[0], flights_sample()[1].iloc[:0]).to_text()
    said = none.split("\n\nWhy not judged\n")[1].split("\n\n")[0]
    assert none.count("The current data has no rows") == 1 and "The current data has no rows (" in said
    assert none.splitlines()[-1].startswith("Next: Nothing was judged")
    assert "Why not judged\n- for regression only (R²)\n" in evaluation_report().to_text()
    assert evaluation_report().to_text().count("no column 'sex'") == 1
    poor = [
        Result(
            code="MLN-D001",
            title="KS",
            subject=f"c{i}",
            status="not_applicable",
            method="ks",
            advice=f"reason {i} " * 9,
        )
        for i in range(30)
    ]
    lines = render.to_text(Report(kind="x", title="x", results=poor), 80).split("Why not judged\n")[1].splitlines()
    assert "- 22 more reasons" in "\n".join(lines) and max(map(len, lines)) <= 80


def test_a_confusion_matrix_stands_once_in_html_and_stays_in_text():
    cells = {"matrix": [[5, 1], [2, 4]], "rows": ["no", "yes"], "columns": ["no", "yes"]}
    table = Table(title="Confusion matrix", columns=["actual", "no", "yes"], rows=[["no", 5, 1], ["yes", 2, 4]])
    chart = Chart(kind="heatmap", title="Confusion matrix (true classes down)", data=cells)
    both = Report(kind="evaluation", title="x", tables=[table], charts=[chart])
    alone = both.model_copy(update={"charts": ()})
    assert "<table" not in both.to_html() and "<svg" in both.to_html() and "<table" in alone.to_html()
    assert "Confusion matrix" in both.to_text() and "Confusion matrix" in both.to_markdown()


def test_the_text_form_ends_with_what_to_do_next():
    last = drift_report().to_text().split("\n\n")[-1]
    assert last.startswith("Next: ") and "retrain on recent data" in last and "temp" in last
    fine = Report(kind="x", title="x", results=[Result(code="MLN-D001", title="KS", status="pass", value=0.0)])
    assert fine.to_text().splitlines()[-1] == "Next: nothing to do"
    asked = fine.model_copy(update={"kind": "drift"}).to_text().splitlines()[-1]
    assert "report.save(" in asked and "--out" in asked
    assert "Nothing was judged" in Report(kind="x", title="x").to_text().splitlines()[-1]
    silent = Report(kind="x", title="x", results=[Result(code="MLN-D001", title="KS", status="fail", value=1.0)])
    assert "to_frame" in silent.to_text().splitlines()[-1]


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_lines_of_a_matrix_keep_to_the_width(width):
    report = drift_report().model_copy(update={"tables": ()})
    lines = render.to_text(report, width).split("\nNext:")[0].splitlines()
    assert max(map(len, lines)) <= max(width, 75)
    assert from_text(render.to_text(report, width)) == expected(report, 60)


def hostile(text: str) -> Report:
    """A report with one string in every place where data can stand."""
    kinds = {
        "histogram_pair": {"reference": [1, 2], "current": [2, 1], "labels": [text, text], "names": [text, text]},
        "lines": {"series": {text: [1, 2]}, "x": [text, text]},
        "bars": {"labels": [text], "values": [1]},
        "heatmap": {"matrix": [[1]], "rows": [text], "columns": [text]},
        "sparkline": {"values": [text, 1]},
        "graph": {
            "nodes": [dict.fromkeys(("name", "text", "group", "kind", "note"), text), {"name": "2", "out": True}],
            "edges": [{"source": text, "target": "2", "names": [text], "changed": [text]}],
        },
    }
    base = {"title": text, "unit": text, "advice": text, "evidence": {text: text, "list": [text], "map": {text: 1}}}
    names = [text, "other " + text]
    return Report(
        kind="any",
        title=text,
        summary=text,
        results=[
            Result(code="MLN-D001", subject=s, status=status, value=1.5, method=method, device=text, **base)
            for s in names
            for method, status in ((text, "fail"), ("ks", "skipped"), ("psi", "not_applicable"))
        ]
        + [Result(code="MLN-D002", subject=None, status="error", method=text, **base)],
        tables=[Table(title=text, columns=[text, "b"], rows=[[text, 1], [None, 2]], note=text)],
        charts=[
            *(Chart(kind=kind, title=text, data=data) for kind, data in kinds.items()),
            Chart(kind="histogram_pair", title=text, subject=text, data=kinds["histogram_pair"]),
        ],
        meta={text: text, "nested": {text: [text]}},
    )


ALLOWED = set(
    """article style h1 h2 h3 b p small i div table caption thead tbody tr th td details summary ul li br figure
    figcaption svg title path g rect circle text tspan html head meta body main""".split()  # noqa: SIM905
)
SAFE_ATTRIBUTES = set(
    """class data-s data-t role tabindex aria-label scope title viewBox viewbox width height d fill fill-opacity stroke
    stroke-width stroke-dasharray font-size font-family text-anchor x y cx cy r lang charset http-equiv content
    name""".split()  # noqa: SIM905
)


@cache
def _plain(form: str) -> str:
    return getattr(hostile("plain"), form)()


@pytest.mark.parametrize("form", ["to_html", "to_page"])
@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_no_string_becomes_markup_in_html(number, form):
    text = getattr(hostile(PAYLOADS[number]), form)()
    tags = BeautifulSoup(text, "html.parser").find_all(True)
    assert {t.name for t in tags} <= ALLOWED
    assert {a for t in tags for a in t.attrs} <= SAFE_ATTRIBUTES
    assert _skeleton(text) == _skeleton(_plain(form))
    assert all(c.isprintable() or c in "\n\u200c\u200d\u202f" for c in text)
    text.encode()


@lru_cache(maxsize=4)
def _skeleton(text: str) -> list[str]:
    """The tags that no data can add or take away, in order."""
    return re.findall(r"<(table|tr|td|svg|style|meta|figure|article)\b", text)


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_no_string_becomes_markup_in_markdown(number):
    text = hostile(PAYLOADS[number]).to_markdown()
    parsed = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    inline = [child.type for token in parsed for child in token.children or []]
    assert not set(inline) - {"text", "text_special", "softbreak"}, set(inline)
    blocks = {t.type.removesuffix("_open").removesuffix("_close") for t in parsed}
    assert blocks <= set("heading paragraph inline table thead tbody tr th td bullet_list list_item".split())  # noqa: SIM905
    if PAYLOADS[number].strip():  # a column in which nothing stands is left out
        assert sum(t.type == "td_open" for t in parsed) == _cells()
    shown = "".join(child.content for token in parsed for child in token.children or [])
    assert readable(" ".join(PAYLOADS[number].split()))[:40] in shown or len(PAYLOADS[number]) > 1000


@cache
def _cells() -> int:
    parsed = MarkdownIt("commonmark").enable("table").parse(_plain("to_markdown"))
    return sum(t.type == "td_open" for t in parsed)


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_no_string_steers_a_terminal(number):
    text = hostile(PAYLOADS[number]).to_text()
    assert all(c.isprintable() or c in "\n\u200c\u200d\u202f" for c in text)
    wide = [render.to_text(hostile(payload), 10_000).count("\n") for payload in (PAYLOADS[number], "plain")]
    assert wide[0] == wide[1] or not PAYLOADS[number].strip()


def test_markdown_links_itself_nowhere_in_the_flavours_of_jupyter_and_github():
    import mistune

    convert = mistune.create_markdown(plugins=["table", "url", "strikethrough", "footnotes", "task_lists", "math"])
    for payload in PAYLOADS:
        soup = BeautifulSoup(convert(hostile(payload).to_markdown()), "html.parser")
        assert not soup.find_all(["a", "img", "script", "iframe", "em", "strong", "code", "del", "hr"]), payload


def test_a_long_name_is_cut_and_told_whole_once():
    name = "visibility" * 40
    text = hostile(name).to_html()
    soup = BeautifulSoup(text, "html.parser")
    cell = next(th for th in soup.select("[data-t=matrix] tbody th") if not th.get_text().startswith("other"))
    assert cell.get_text() == shorten(name) and cell["title"] == name


def test_style_stays_inside_its_scope_and_asks_for_nothing():
    style = BeautifulSoup(drift_report().to_html(), "html.parser").style.get_text()
    assert len(style.encode()) <= 3_000 and not re.search(r"url\(|@import|http|expression", style)
    for selectors in re.findall(r"([^{}]+)\{", style):
        for selector in re.split(r",(?![^(]*\))", selectors):
            assert re.match(r'(\[data-jp-theme-light="false"\] )?\.mlnb\.mlnb(?![\w-])', selector.strip()), selector
    assert "\n" not in style and "/*" not in style and "{%" not in style


def test_the_page_forbids_scripts_and_addresses():
    soup = BeautifulSoup(drift_report().to_page(), "html.parser")
    policy = soup.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert "default-src 'none'" in policy and "style-src 'unsafe-inline'" in policy and "script-src" not in policy
    assert soup.title.get_text() == "Drift: January–March → July: ✗ fail" and soup.html["lang"] == "en"
    assert len(soup.find_all("style")) == 1 and len(soup.find_all("h1")) == 1
    assert not re.search(r"https?:|//\w", str(soup).replace("http-equiv", ""))


def test_templates_never_switch_the_guards_off():
    for name in ("report.html.j2", "page.html.j2"):
        assert not re.search(r"\|\s*safe|autoescape|<script|\bid=|https?:", static_text(name))


def test_tables_say_what_they_are():
    soup = BeautifulSoup(evaluation_report().to_html() + drift_report().to_html(), "html.parser")
    for table in soup.find_all("table"):
        assert table.caption.get_text() and all(th.get("scope") for th in table.find_all("th"))
        box = table.parent
        assert box["role"] == "region" and box["tabindex"] == "0" and box["aria-label"]


def test_a_long_table_is_cut_and_says_so():
    table = Table(title="Many", columns=["n"], rows=[[i] for i in range(500)])
    text = Report(kind="x", title="x", tables=[table]).to_html()
    assert text.count("<tr>") == render.MOST_ROWS + 1 and "300 more rows" in text


def test_evidence_of_any_shape_is_bounded():
    evidence = {"bins": list(range(10_000)), "text": "y" * 10_000, "deep": {"a": {"b": [1, {"c": None}]}}}
    result = Result(code="MLN-D001", title="KS", status="fail", value=1.0, evidence=evidence)
    text = Report(kind="x", title="x", results=[result]).to_html()
    assert "and 9,994 more" in text or "and 9994 more" in text
    assert len(text) < 5_000


def test_numbers_of_a_report_from_elsewhere_are_shown():
    stored = json.loads(evaluation_report().to_json())
    assert from_html(Report.from_dict(stored).to_html()) == expected(evaluation_report())


def test_an_estimate_is_marked_with_its_interval():
    rough = Result(code="MLN-D001", title="KS", status="warn", value=0.31, exact=False, interval=(0.3, 0.32))
    report = Report(kind="x", title="x", results=[rough])
    assert "≈0.31" in report.to_html() and "[0.3, 0.32]" in report.to_html()
    assert "≈0.31 [0.3, 0.32]" in report.to_text() and "≈0.31" in report.to_markdown()
