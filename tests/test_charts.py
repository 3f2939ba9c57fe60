"""The seven charts: drawn from anything, well-formed, small where they must be, and never an exception."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.core import charts
from mlnb.core.result import Chart
from mlnb.core.wording import format_number, readable, shorten

NAN = float("nan")
ODD = [
    [],
    [None],
    [NAN],
    [NAN, 1.0],
    [math.inf, -math.inf],
    [0, 0, 0],
    [5e-324, 0],
    [1e308, -1e308],
    ["a", None],
    None,
    3,
    "text",
    [[1]],
]


def parse(svg: str) -> ElementTree.Element:
    """A picture has to be XML, since it may be stored in a file; and its coordinates have to be numbers."""
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        for name in {"x", "y", "cx", "cy", "d", "width", "height", "viewBox", "fill-opacity"} & set(element.attrib):
            assert re.fullmatch(r"[MLHVchlvm\d.\- ]*", element.get(name)), (name, element.get(name))
    return root


DRAWN = {
    "histogram_pair": (
        {"reference": [1, 2, 3], "current": [3, 2, 1], "labels": ["a", "b", "c"]},
        "a: 17\u202f% → 50\u202f%",
    ),
    "lines": ({"series": {"loss": [3.0, 2.0, 1.5]}, "x": [1, 2, 3]}, "loss 3 → 1.5, 1.5 to 3"),
    "bars": ({"labels": ["AUC"], "values": [0.7], "low": [0.6], "high": [0.8], "baseline": 0.5}, "AUC: 0.7 [0.6, 0.8]"),
    "calibration": (
        {"predicted": [0.2], "observed": [0.3], "counts": [1200]},
        "predicted 0.2, observed 0.3, 1,200 cases",
    ),
    "heatmap": (
        {"matrix": [[12000, 3], [4, 5]], "rows": ["no", "yes"], "columns": ["no", "yes"]},
        "no, yes: 3 (<1\u202f% of the row)",
    ),
    "sparkline": ({"values": [1, 4, 2]}, "1 → 2, 1 to 4"),
    "graph": (
        {
            "nodes": [
                {"name": "1", "text": "df = read()", "group": "load", "kind": "load", "tone": 0},
                {"name": "2", "text": "df.head()", "out": True},
                {"name": "3", "text": "df['x'] = 1", "group": "clean", "kind": "clean", "tone": 9},
            ],
            "edges": [{"source": "1", "target": "3", "names": ["df"], "changed": ["df"]}],
        },
        "1 → 3: df; changed in place: df",
    ),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_every_kind_has_a_name_its_values_in_words_and_scales(kind):
    data, told = DRAWN[kind]
    svg = getattr(charts, kind)(**data, title="Title")
    root = parse(svg)
    assert root.get("role") == "img" and root.get("aria-label") == "Title"
    assert root.get("viewBox") and root[0].tag == "title" and root[0].text
    assert told in "".join(root.itertext())
    assert charts.draw(Chart(kind=kind, title="Title", data=data)) == svg


@pytest.mark.parametrize("kind", DRAWN)
def test_colours_have_a_fallback_in_every_use(kind):
    svg = getattr(charts, kind)(**DRAWN[kind][0])
    used = re.findall(r"var\([^)]*\)", svg)
    assert used and all(re.fullmatch(r"var\(--mlnb-[a-z0-9]+,#[0-9a-fA-F]{6}\)", u) for u in used)
    assert set(re.findall(r'(?:fill|stroke)="([^"v][^"]*)"', svg)) <= {"none", "transparent"}


def test_the_kinds_are_those_of_the_report_schema():
    assert set(charts.KINDS) == set(DRAWN) == set(Chart.model_fields["kind"].annotation.__args__)


@pytest.mark.parametrize("kind", DRAWN)
def test_whatever_is_no_data_gives_a_picture(kind):
    names = list(DRAWN[kind][0])
    for values in itertools.product(ODD, repeat=min(2, len(names))):
        data = {**DRAWN[kind][0], **dict(zip(names, values, strict=False))}
        for small in (False, True):
            parse(charts.draw(Chart.model_construct(kind=kind, title="t", subject="s", data=data), small=small))
    assert "no data" in charts.draw(Chart(kind=kind, title="t", data={n: [] for n in names[:2]}))
    assert "no data" in charts.draw(Chart(kind=kind, title="t", data={"unknown": 1}))


numbers = st.lists(st.one_of(st.none(), st.floats(), st.integers(-(10**20), 10**20)), max_size=30)


@given(a=numbers, b=numbers, labels=st.lists(st.text(max_size=20), max_size=31))
def test_no_numbers_and_no_names_raise(a, b, labels):
    for small in (True, False):
        parse(charts.histogram_pair(a, b, labels, small=small))
        parse(charts.histogram_pair(a, b, labels, pooled=1, small=small))
    parse(charts.lines({"a": a, "b": b}, labels))
    parse(charts.bars(labels, a, b, b, baseline=b[0] if b else None))
    parse(charts.calibration(a, b, a, b, a))
    parse(charts.heatmap([a, b], labels, labels))
    parse(charts.sparkline(a))


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=20),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=20),
    st.text(),
)
def test_the_small_pair_is_small_and_has_a_fixed_size(a, b, name):
    svg = charts.histogram_pair(a, b, [name] * len(a), title="x" * 28, small=True)
    assert len(svg.encode()) < 700 + 8 * len(name.encode("unicode_escape"))
    assert parse(svg).get("width") == "140"


def test_a_small_pair_of_twenty_bins_is_below_700_bytes():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = rng.integers(0, 5000, (2, 20))
        svg = charts.histogram_pair(
            a, b, list(np.linspace(-1e5, 1e5, 21)), title="visibility_at_dest…t_mean_24h", small=True
        )
        assert len(svg.encode()) < 700


def test_shares_make_frames_of_different_size_comparable():
    one = charts.histogram_pair([1, 2, 1], [30, 10, 10], small=True)
    assert one == charts.histogram_pair([100, 200, 100], [3, 1, 1], small=True)


def test_a_bar_of_many_labels_does_not_press_the_named_ones_flat():
    ref, cur, labels = [3, 2, 1, 94], [6, 2, 1, 91], ["a", "b", "c", "other (40 labels)"]

    def tallest(svg):
        """How far the filled shape goes up from its base, bar by bar."""
        steps = re.findall(r"v(-?[\d.]+)", re.search(r'fill-opacity=".3"[^>]*d="([^"]+)"', svg)[1])
        return np.cumsum([-float(s) for s in steps])

    flat, cut = (charts.histogram_pair(ref, cur, labels, pooled=pooled) for pooled in (None, 3))
    assert tallest(flat)[0] == 5 and tallest(cut)[0] == round(154 * 3 / 7.5) and max(tallest(cut)) == 154
    assert "is cut off: 94" in cut and "--mlnb-bg" in cut and "--mlnb-bg" not in flat
    assert "10\u202f%" not in cut and "other (40 labels)" in cut  # the axis ends where the named bars do
    small = charts.histogram_pair(ref, cur, labels, pooled=3, small=True)
    assert "other (40 labels) is cut off" in small and "--mlnb-bg" in small and len(small) < 700
    shared = charts.histogram_pair([5, 4], [5, 4], ["a", "other (2 labels)"], pooled=1)
    assert "cut off" not in shared  # no taller than the named ones: nothing to cut


def test_drawn_heights_are_the_shares():
    root = parse(charts.histogram_pair([1, 3], [2, 2], small=True))
    heights = [[int(v) for v in re.findall(r"v(-?\d+)", p.get("d"))] for p in root.iter("path")]
    assert heights == [[-12, -22, 34], [-22, 22]]  # of 34, in steps of two: a third, all; two thirds twice


def test_bins_are_named_by_labels_or_by_edges_that_may_be_open():
    told = lambda labels: re.findall(r"<title>([^<]*):", charts.histogram_pair([1, 2, 3], [3, 2, 1], labels))[1:]  # noqa: E731
    assert told(np.array([0.0, 0.5, 1.0, 2.5])) == ["0–0.5", "0.5–1", "1–2.5"]
    assert told([None, 0.5, 1.0, None]) == ["&lt; 0.5", "0.5–1", "≥ 1"]
    assert told(["EWR", None, 3]) == ["EWR", "–", "3"] and told([]) == ["1", "2", "3"]


def test_lines_break_at_gaps_and_only_four_are_drawn():
    svg = charts.lines({f"s{i}": [1, None, 2, 3] for i in range(6)})
    paths = [p.get("d") for p in parse(svg).iter("path") if p.get("stroke-width") == "2"]
    assert len(paths) == 4 and all(p.count("M") == 2 for p in paths)
    assert len({p.get("stroke-dasharray") for p in parse(svg).iter("path") if p.get("stroke-width") == "2"}) == 4
    assert "2 more not drawn" in svg


@pytest.mark.parametrize("scale", [1, 1_000, 1_000_000, 1e8, 1e-9])
@pytest.mark.parametrize("bins", [4, 5, 10, 20, 30])
def test_names_under_the_bins_never_cover_each_other_nor_are_numbers_cut(bins, scale):
    edges = [scale * (i - bins / 3) for i in range(bins + 1)]
    drawn = charts.histogram_pair(range(bins), range(bins), edges)
    found = re.findall(r'<text x="([\d.]+)" y="201"(?: text-anchor="(\w+)")?[^>]*>([^<]*)<', drawn)
    wide = [(float(x), 7.5 * len(text), anchor or "start") for x, anchor, text in found]
    starts = {"start": 0.0, "middle": 0.5, "end": 1.0}
    spans = [(x - starts[anchor] * w, x + (1 - starts[anchor]) * w) for x, w, anchor in wide]
    assert len(found) >= 3 and "…" not in "".join(text for *_, text in found)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))


def test_end_labels_never_cover_each_other():
    root = parse(charts.lines({"a": [1, 2.001], "b": [1, 2.0], "c": [1, 1.999], "d": [1, 0]}))
    ys = sorted(float(t.get("y")) for t in root.iter("text") if t.text in list("abcd"))
    assert all(b - a >= 15 for a, b in itertools.pairwise(ys))


def test_text_of_data_is_escaped_everywhere():
    evil = "<script>alert(1)</script>\"'&\x1b\u202e"
    for svg in (
        charts.histogram_pair([1], [2], [evil], title=evil, names=[evil, evil]),
        charts.histogram_pair([1], [2], [evil], title=evil, small=True),
        charts.lines({evil: [1, 2]}, [evil, evil], title=evil),
        charts.bars([evil], [1], title=evil),
        charts.calibration([0.5], [0.5], title=evil),
        charts.heatmap([[1]], [evil], [evil], title=evil),
        charts.sparkline([1], title=evil),
    ):
        assert {e.tag for e in parse(svg).iter()} <= {"svg", "title", "path", "text", "rect", "circle", "g"}
        assert "<script" not in svg and "\x1b" not in svg and "\u202e" not in svg


@given(st.floats(-1e308, 1e308))
def test_a_shown_number_is_the_number_to_three_digits(value):
    shown = format_number(value)
    back = float(shown.replace(",", "").replace("−", "-"))
    assert math.isclose(back, value, rel_tol=5.1e-3, abs_tol=1e-323)
    assert "nan" not in shown and "-" not in shown


@pytest.mark.parametrize(
    "value, shown",
    [
        (True, "1"),
        (np.float32(0.5), "0.5"),
        (np.int64(1234567), "1,234,567"),
        (999.96, "1,000.0"),
        (0.0001, "0.0001"),
        (-0.25, "−0.25"),
        (1e15, "1.00e15"),
        (float("-inf"), "−∞"),
        ("x", "–"),
        (10**400, "–"),
        (0.99999, "1.000"),
    ],
)
def test_numbers_at_the_edges(value, shown):
    assert format_number(value) == shown


@given(st.text())
def test_readable_text_is_one_line_without_hidden_characters(text):
    shown = readable(text)
    assert all(c.isprintable() or c in "\u200c\u200d\u202f" for c in shown)
    assert readable(shown) == shown and isinstance(shown.encode(), bytes)


@given(st.text(max_size=80), st.integers(1, 60))
def test_shortened_text_keeps_both_ends(text, width):
    shown = shorten(text, width)
    assert len(shown) <= max(width, 1) and (shown == readable(text) or "…" in shown)
