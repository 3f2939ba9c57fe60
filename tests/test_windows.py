"""Drift by segment and over time: which part, since when, judged together, and how a reader sees it."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from browsing import INK, findings
from bs4 import BeautifulSoup
from payloads import PAYLOADS

from mlnb.core import layout
from mlnb.core.charts import draw
from mlnb.core.errors import ArgumentError
from mlnb.core.result import Chart, Report, Result
from mlnb.core.settings import load_settings
from mlnb.data.flights import flights
from mlnb.drifting import drilldown, movers, segments, windows
from mlnb.drifting.engine import drift

SETTINGS = load_settings(environ={})
WATCHED = ["season", "weathersit", "temp", "hum", "windspeed", "cnt"]


def compare(reference: pd.DataFrame, current: pd.DataFrame, **asked: str) -> Report:
    return drift(reference, current, settings=SETTINGS, **asked)


def parts(report: Report, label: str | None = None) -> dict[tuple[str, str, str], Result]:
    """Judged results of parts by part, column and method."""
    found = [r for r in report.results if "column" in r.evidence and label in (None, r.evidence["part"])]
    return {(r.evidence["part"], r.evidence["column"], r.method): r for r in found}


@cache
def halves() -> tuple[pd.DataFrame, pd.DataFrame]:
    winter, july = (flights(w).drop(columns="time_hour").sample(4000, random_state=1) for w in ("", "july"))
    return winter, july


@cache
def by_origin() -> Report:
    return compare(*halves(), by="origin")


@pytest.fixture(scope="module")
def months(bike):
    """The second year of rented bikes by month, against the first."""
    first, second = (bike[bike["yr"] == y][["dteday", *WATCHED]] for y in (0, 1))
    return first, second, compare(first, second, over="month")


# Numbers


def test_a_segment_is_what_the_comparison_of_its_own_rows_says():
    winter, july = halves()
    report, seen = by_origin(), 0
    for origin in ("EWR", "JFK", "LGA"):
        own = compare(*(f[f["origin"] == origin].drop(columns="origin") for f in (winter, july)))
        judged = {(r.subject, r.method): r for r in own.results if r.subject and r.status in ("pass", "warn", "fail")}
        found = {key[1:]: r for key, r in parts(report, f"origin={origin}").items()}
        assert found.keys() == judged.keys() and len(found) > 25
        for key, r in found.items():
            assert (r.value, r.n, r.evidence["p"]) == (judged[key].value, judged[key].n, judged[key].evidence["p"])
        seen += len(found)
    assert seen == len(parts(report))
    assert not any(column == "origin" for _, column, _ in parts(report))


def test_ks_of_a_segment_by_hand():
    winter, july = (np.sort(f.loc[f["origin"] == "JFK", "humid"].dropna()) for f in halves())
    points = np.concatenate([winter, july])
    above = [np.searchsorted(side, points, side="right") / side.size for side in (winter, july)]
    value = parts(by_origin())["origin=JFK", "humid", "ks"].value
    assert value == pytest.approx(np.abs(above[0] - above[1]).max(), abs=1e-12)
    whole = next(r for r in by_origin().results if r.subject == "humid" and r.method == "ks")
    assert abs(whole.value - value) > 1e-3


def test_windows_of_text_dates_are_the_months_of_the_calendar(months):
    first, second, report = months
    march = second[second["dteday"].str.startswith("2012-03")]
    own = compare(first.drop(columns="dteday"), march.drop(columns="dteday"))
    for r in own.results:
        if r.subject and r.status in ("pass", "warn", "fail"):
            assert parts(report)["2012-03", r.subject, r.method].value == r.value
    listed = {row[0]: row[2] for row in report.tables[-1].rows}
    assert listed == second.groupby(second["dteday"].str[:7]).size().to_dict()
    assert "note" not in report.tables[-1].columns  # all twelve are whole


def _bh(p: list[float]) -> list[float]:
    """Benjamini and Hochberg, from the definition."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    least, found = 1.0, [0.0] * len(p)
    for rank in range(len(p), 0, -1):
        i = order[rank - 1]
        least = min(least, p[i] * len(p) / rank)
        found[i] = least
    return found


def test_p_values_are_corrected_over_all_parts_and_columns_together():
    from mlnb.drifting.policy import METHODS

    raw: dict[tuple, dict[str, float]] = {}
    for (part, column, method), r in parts(by_origin()).items():
        raw.setdefault((part, column), {})[METHODS[method].test] = r.evidence["p"]
    for test in ("distance", "missing", "new_categories"):
        keys = [k for k, tests in raw.items() if test in tests]
        wanted = dict(zip(keys, _bh([min(1, len(raw[k]) * raw[k][test]) for k in keys]), strict=True))
        for (part, column, method), r in parts(by_origin()).items():
            if METHODS[method].test == test:
                assert r.evidence["p_corrected"] == pytest.approx(wanted[part, column], rel=1e-12)


def test_the_state_follows_effect_and_corrected_chance():
    states = set()
    for r in parts(by_origin()).values():
        warn, critical, p = (r.evidence[k] for k in ("warn", "critical", "p_corrected"))
        real = p < 0.05
        state = "fail" if real and r.value > critical else "warn" if real and r.value > warn else "pass"
        assert (str(r.status), r.threshold) == (state, critical if state == "fail" else warn)
        assert bool(r.advice) == (state != "pass")
        states.add(state)
    assert states == {"pass", "warn", "fail"}


def test_judging_again_with_the_same_chance_changes_nothing():
    judged = [r for r in compare(*halves()).results if r.evidence.get("p_corrected") is not None]
    assert {str(r.status) for r in judged} == {"pass", "warn", "fail"} and len(judged) > 25
    for r in judged:
        again = drilldown.rejudged(r, r.evidence["p_corrected"], SETTINGS.drift.significance)
        assert again == r
        if r.status != "pass":
            by_chance = drilldown.rejudged(r, 0.06, 0.05)
            assert (by_chance.status, by_chance.advice, by_chance.evidence["explained_by_chance"]) == ("pass", "", True)
            assert drilldown.rejudged(by_chance, 0.01, 0.05).status == r.status


def test_chance_does_not_alarm_among_forty_segments_where_each_alone_would():
    rng, alone, together = np.random.default_rng(5), 0, 0
    for _ in range(3):
        sides = [
            pd.DataFrame({"shop": np.arange(3200) % 40, "x": rng.normal(size=3200), "y": rng.exponential(size=3200)})
            for _ in range(2)
        ]
        cut = segments.segments(*sides, "shop")
        alone_in = {
            p.label: compare(sides[0].iloc[p.reference][["x", "y"]], sides[1].iloc[p.current][["x", "y"]]).results
            for p in cut.parts
        }
        found = drilldown.found_in(cut, lambda part, said=alone_in: said[part.label])
        together += sum(len(f.drifted) for f in found)
        alone += sum(r.status in ("warn", "fail") for said in alone_in.values() for r in said if r.subject)
    assert together == 0 < alone


def test_one_moved_segment_is_found_among_many():
    rng = np.random.default_rng(5)
    sides = [pd.DataFrame({"shop": np.arange(6000) % 20, "x": rng.normal(size=6000)}) for _ in range(2)]
    sides[1].loc[sides[1]["shop"] == 7, "x"] += 0.7
    report = compare(*sides, by="shop")
    assert [r.evidence["part"] for r in parts(report).values() if r.status != "pass"] == ["shop=7"] * 2
    assert report.summary.endswith("1 of 20 segments drifted, most shop=7")
    assert next(r for r in report.results if r.subject == "x" and r.method == "ks").status == "pass"
    assert report.status == "fail" and report.tables[-1].rows[0][0] == "shop=7"


# Cuts


def test_windows_and_segments_together_leave_the_times_out(bike):
    first, second = (bike[bike["yr"] == y][["dteday", "holiday", "temp"]] for y in (0, 1))
    report = drift(first, second, by="holiday", over="quarter", settings=SETTINGS)
    columns = {r.evidence.get("column", r.subject) for r in report.results if r.code != "MLN-D090"} - {None}
    assert columns == {"holiday", "temp"} and {k[0] for k in parts(report)} >= {"holiday=0", "2012-Q4"}
    assert [c.kind for c in report.charts if c.subject is None] == ["heatmap", "lines", "heatmap"]


def test_segments_small_new_lost_and_pooled_are_told_and_not_judged():
    n = 3000
    reference = pd.DataFrame({"k": ["a"] * n + ["few"] * 40 + ["lost"] * 50, "x": 0.0})
    current = pd.DataFrame({"k": ["a"] * n + ["few"] * 29 + ["new"] * 60 + [None] * 40, "x": 0.0})
    report = compare(reference, current, by="k")
    said = {r.subject: r.advice for r in report.results if r.code == "MLN-D090"}
    assert set(said) == {"k=few", "k=new", "k=lost", "k=(missing)"}
    assert "only 29 rows" in said["k=few"] and "new:" in said["k=new"] and "lost:" in said["k=lost"]
    assert all(
        r.status == "not_applicable" and r.evidence["part"] == r.subject for r in report.results if r.code == "MLN-D090"
    )
    assert "4 segments not judged" in report.summary
    rows = {row[0]: row for row in report.tables[-1].rows}
    assert rows["k=new"][1:4] == ("not judged", 0, 60) and rows["k=a"][1] == "✓ pass"


def test_at_most_fifty_segments_and_the_rest_as_one():
    sizes = np.concatenate([np.repeat(np.arange(40), 100), np.repeat(np.arange(40, 100), 10)])
    frame = pd.DataFrame({"k": sizes, "x": np.arange(len(sizes)) % 7})
    cut = segments.segments(frame, frame, "k")
    assert len(cut.parts) == segments.MAX_SEGMENTS + 1 and cut.parts[-1].label == "other (50 segments)"
    every = np.sort(np.concatenate([p.current for p in cut.parts]))
    assert (every == np.arange(len(frame))).all() and len(cut.parts[-1].current) == 500


def test_a_value_is_one_segment_whatever_its_type_and_columns_combine():
    whole, gap = (
        pd.DataFrame({"k": [1, 2] * 50, "s": ["u"] * 100}),
        pd.DataFrame({"k": [1.0, np.nan] * 50, "s": ["u"] * 100}),
    )
    assert {p.label: p.lacking[:4] for p in segments.segments(whole, gap, "k").parts} == {
        "k=1": "", "k=2": "lost", "k=(missing)": "new:",
    }  # fmt: skip
    both = segments.segments(whole, whole.astype("category"), ["k", "s"])
    assert [p.label for p in both.parts] == ["k=1, s=u", "k=2, s=u"] and both.by == ("k", "s")
    assert segments.segments(whole, whole, "k, s").parts[0].label == "k=1, s=u"


@pytest.mark.parametrize(
    "by, said",
    [("kk", "no column 'kk'"), ("x", "segments, most of them tiny"), ("only", "reference has no column"),
     ("", "names no"), ("twice", "2 columns named"), ("lists", "cannot be grouped")],
)  # fmt: skip
def test_a_cut_that_cannot_be_made_says_why(by, said):
    frame = pd.DataFrame({"k": [0] * 200, "x": np.arange(200), "twice": 0, "more": 0, "lists": [[1]] * 200})
    current = frame.assign(only=1)
    frame.columns = ["k", "x", "twice", "twice", "lists"]
    current.columns = ["k", "x", "twice", "twice", "lists", "only"]
    with pytest.raises(ArgumentError, match=said) as told:
        segments.segments(frame, current, by)
    assert told.value.hint


def test_weeks_are_those_of_iso_and_every_row_is_in_one(bike):
    times = pd.to_datetime(bike["dteday"])
    cut = windows.windows(bike, "week")
    iso = times.dt.isocalendar()
    wanted = (iso["year"].astype(str) + "-W" + iso["week"].astype(str).str.zfill(2)).to_numpy()
    assert cut.by == ("dteday",) and len(cut.parts) == len(set(wanted)) == 106
    for part in cut.parts:
        assert set(wanted[part.current]) == {part.label}
    assert sum(len(p.current) for p in cut.parts) == len(bike)
    assert cut.parts[0].label == "2010-W52" and "incomplete" in cut.parts[0].note
    assert "incomplete" in cut.parts[-1].note and not any(p.note for p in cut.parts[1:-1])


@pytest.mark.parametrize(
    "unit, form", [("hour", "%Y-%m-%d %H:00"), ("day", "%Y-%m-%d"), ("month", "%Y-%m"), ("year", "%Y")]
)
def test_windows_of_real_flights_in_their_own_zone(unit, form):
    frame = flights("july").head(4000)
    cut = windows.windows(frame, unit, "time_hour")
    local = frame["time_hour"].dt.strftime(form).to_numpy()
    judged = [p for p in cut.parts if len(p.current)]
    assert [p.label for p in judged] == sorted(set(local))
    assert all(set(local[p.current]) == {p.label} for p in judged)


def test_quarters_gaps_and_rows_without_a_time():
    times = pd.to_datetime(pd.Series(["2023-11-05"] * 40 + ["2024-01-01"] * 40 + [None] * 3 + ["2024-08-02"] * 40))
    cut = windows.windows(pd.DataFrame({"t": times, "x": 1.0}), "quarter")
    told = [(p.label, len(p.current), p.lacking) for p in cut.parts]
    assert told[:4] == [("2023-Q4", 40, ""), ("2024-Q1", 40, ""), ("2024-Q2", 0, "no rows"), ("2024-Q3", 40, "")]
    assert told[4] == ("without a time", 3, "t is missing or unreadable")


@pytest.mark.parametrize("kind", ["date", "arrow", "zoned", "text", "period"])
def test_times_come_in_every_dress(kind):
    days = pd.date_range("2024-01-29", periods=14, freq="D").repeat(40)
    dressed = {
        "date": pd.Series(days.date),
        "arrow": pd.Series(days).astype("timestamp[ns][pyarrow]"),
        "zoned": pd.Series(days.tz_localize("Asia/Tokyo")),
        "text": pd.Series(days.strftime("%d.%m.%Y")),
        "period": pd.Series(days.to_period("D")),
    }[kind]
    cut = windows.windows(pd.DataFrame({"t": dressed, "x": 1.0}), "week", "t")
    assert [(p.label, len(p.current), p.note) for p in cut.parts] == [("2024-W05", 280, ""), ("2024-W06", 280, "")]


@pytest.mark.parametrize(
    "over, time, said",
    [("wek", None, "'wek' is no window"), (10, None, "too few rows"), ("week", None, "several columns hold times"),
     ("week", "x", "holds no times"), ("week", "tt", "no column 'tt'"), ("hour", "a", "windows, 400 are the most")],
)  # fmt: skip
def test_a_window_that_cannot_be_made_says_why(over, time, said):
    hours = pd.date_range("2024-01-01", periods=500, freq="h")
    frame = pd.DataFrame({"a": hours, "b": hours, "x": 1.0})
    with pytest.raises(ArgumentError, match=said) as told:
        windows.windows(frame, over, time)
    assert told.value.hint


def test_windows_of_rows_follow_the_times():
    frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=100, freq="D")[::-1], "x": range(100)})
    parts = windows.windows(frame, "40").parts
    assert [p.label for p in parts] == ["rows 1–40", "rows 41–80", "rows 81–100"] and parts[2].note == "incomplete"
    assert parts[0].current.tolist() == list(range(60, 100)) and parts[2].lacking


def test_a_comparison_that_breaks_in_one_part_leaves_the_others():
    from mlnb.core.errors import DataError

    frame = pd.DataFrame({"k": ["a"] * 100 + ["b"] * 200, "x": np.arange(300.0)})
    cut = segments.segments(frame, frame, "k")

    def moody(part):
        if len(part.current) == 100:
            raise DataError("this part is unlucky", "Try another")
        return compare(frame.iloc[part.reference][["x"]], frame.iloc[part.current][["x"]]).results

    report = drilldown.extended(compare(frame, frame), cut, drilldown.found_in(cut, moody))
    assert {r.subject: r.advice for r in report.results if r.code == "MLN-D090"} == {
        "k=a": "This segment was not judged: this part is unlucky. Try another"
    }
    assert parts(report).keys() == {("k=b", "x", "ks"), ("k=b", "x", "psi")}


# Movers


def test_what_moved_most_is_what_counting_says(adult):
    old, young = adult[adult["age"] >= 40], adult[adult["age"] < 40]
    for name in ("relationship", "education", "age", "hours-per-week"):
        found = movers.mover(name, old[name], young[name])
        assert found.after == pytest.approx(found.rows.mean())
        if old[name].dtype == object:
            shares = [side[name].value_counts(normalize=True) for side in (old, young)]
            change = shares[1].sub(shares[0], fill_value=0)
            assert found.where == change.abs().idxmax() and found.before == pytest.approx(shares[0].get(found.where, 0))
            assert (young[name][found.rows] == found.where).all()


def test_rows_are_shown_only_on_request_and_never_more_than_five():
    winter, july = halves()
    found = movers.movers(winter, july, movers.drifted(compare(winter, july)))
    assert movers.example_table(july, found, 0) is None and "Rows of" not in compare(winter, july).to_html()
    shown = movers.example_table(july, found, 100)
    assert len(shown.rows) == 5 and len(shown.columns) <= 9
    names = list(shown.columns)[1:]
    for row in shown.rows:
        assert found[0].rows[row[0]] and row[1] == str(july.iloc[row[0]][names[0]])


# What a reader sees


def _texts(report: Report) -> tuple[str, str, str]:
    return report.to_html(), report.to_markdown(), report.to_text()


def test_a_stored_report_is_shown_alike_and_nothing_is_said_twice(months):
    for report in (by_origin(), months[2]):
        again = Report.from_json(report.to_json())
        assert again == report and _texts(again) == _texts(report)
        keys = [(r.subject, r.method) for r in report.results]
        assert len(keys) == len(set(keys))
        assert len(report.to_html().encode()) <= 100_000
        assert report.to_html().count("<svg") == len(report.charts)


def test_the_strip_has_a_row_a_column_worst_first_and_words_for_all(months):
    chart = next(c for c in months[2].charts if c.kind == "heatmap")
    assert chart.data["columns"] == [f"2012-{m:02d}" for m in range(1, 13)]
    for name, row in zip(chart.data["rows"], chart.data["states"], strict=True):
        for label, state in zip(chart.data["columns"], row, strict=True):
            own = {str(r.status) for (p, c, _), r in parts(months[2]).items() if (p, c) == (label, name)}
            assert state == next(s for s in ("fail", "warn", "pass") if s in own)
    fails = [row.count("fail") for row in chart.data["states"]]
    assert fails == sorted(fails, reverse=True) and fails[0] > 6
    picture = draw(chart)
    assert picture.count("✗") == sum(fails) and f"{chart.data['rows'][0]}: {fails[0]} fail" in picture


def test_a_strip_of_forty_columns_over_sixty_weeks_stays_small():
    rng = np.random.default_rng(0)
    states = rng.choice(["pass", "warn", "fail"], (60, 80), p=[0.6, 0.2, 0.2]).tolist()
    chart = Chart(kind="heatmap", title="x", data={"matrix": rng.random((60, 80)).tolist(), "states": states})
    picture = draw(chart)
    assert picture.count("<g><title>") == 40 and len(picture.encode()) < 70_000
    calm = [["pass"] * 50 + ["fail"] * 10] * 40
    assert (
        len(draw(Chart(kind="heatmap", title="x", data={"matrix": [[2.0] * 60] * 40, "states": calm})).encode())
        < 20_000
    )
    assert "no data" in draw(Chart(kind="heatmap", title="x", data={"matrix": [], "states": [[]]}))


def _wide(columns: int) -> Report:
    """A report of many columns, made of the results of fourteen."""
    whole = compare(*halves())
    groups = layout.by_subject(r for r in whole.results if r.subject)
    pictures, names = {c.subject: c for c in whole.charts}, list(groups)
    results, charts = [r for r in whole.results if not r.subject], []
    for i in range(columns):
        name = f"{names[i % len(names)]}_{i}"
        results += [r.model_copy(update={"subject": name}) for r in groups[names[i % len(names)]]]
        charts.append(pictures[names[i % len(names)]].model_copy(update={"subject": name}))
    return whole.model_copy(update={"results": tuple(results), "charts": tuple(charts)})


def test_a_thousand_columns_stay_under_150_kb_and_none_is_lost():
    report = _wide(1000)
    text = report.to_html()
    assert len(text.encode()) < 150_000 and text.count("<svg") == 50
    soup = BeautifulSoup(text, "html.parser")
    rows = [row.th.get_text() for row in soup.select("table[data-t=matrix]")[0].select("tbody tr")]
    more = next(d for d in soup.find_all("details") if d.summary.get_text().startswith("950 more"))
    states = [row.status for row in layout.arrange(report).rows]
    for state in ("fail", "warn", "pass"):
        left = states[50:].count(state)
        assert not left or f"{left} {state}" in more.summary.get_text()
    shown = set(rows) | set(re.findall(r"[a-z_]+_\d+", more.get_text(" ")))
    assert shown == {r.subject for r in report.results if r.subject}


def test_rows_say_kind_change_chance_limits_and_why_not():
    whole = compare(*halves())
    named = [
        r.model_copy(update={"evidence": {**r.evidence, "kind": "numeric"}})
        if (r.subject, r.method) == ("temp", "ks")
        else r
        for r in whole.results
    ]
    ks = {"code": "MLN-D001", "title": "Kolmogorov–Smirnov distance", "method": "ks"}
    note = Result(**ks, subject="notes", status="not_applicable", advice="Free text is not compared")
    known = {"exact": False, "interval": (0.04, 0.06), "evidence": {"warn": 0.1, "critical": 0.2}}
    bounded = Result(**ks, subject="profiled", status="pass", value=0.05, **known)
    report = whole.model_copy(update={"results": (*named, note, bounded)})
    soup = BeautifulSoup(report.to_html(), "html.parser")
    rows = {row.th.get_text(): row.get_text(" ") for row in soup.select("table[data-t=matrix]")[0].select("tbody tr")}
    assert re.search(r"number .*higher: \d\d\.?\d* → \d\d\.?\d* <0.001", rows["temp"])
    assert "Free text is not compared" in rows["notes"] and "≈0.05 [0.04, 0.06]" in rows["profiled"]
    heads = [th.get_text(" ") for th in soup.select("table[data-t=matrix]")[0].select("thead th")]
    assert any("Kolmogorov–Smirnov distance MLN-D001 ▲ 0.1 ✗ 0.2" in h for h in heads)
    states = [row.td["data-s"] for row in soup.select("table[data-t=matrix]")[0].select("tbody tr")]
    assert states == sorted(states, key=list(layout.STATES).index)


def _hostile() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng, texts = np.random.default_rng(0), [p for p in PAYLOADS if p.strip() and "\udcff" not in p][:45]
    sides = []
    for shift in (0.0, 3.0):
        values = {"x": rng.normal(size=40 * len(texts)) + shift, texts[0]: rng.choice(texts[:6], 40 * len(texts))}
        sides.append(pd.DataFrame({"<b>by</b>": np.repeat(texts, 40), **values}))
    return sides[0], sides[1]


@cache
def hostile() -> Report:
    first, second = _hostile()
    report = compare(first, second, by="<b>by</b>")
    shown = movers.example_table(second, movers.movers(first, second, movers.drifted(report)))
    return report.model_copy(update={"tables": (*report.tables, shown)})


def test_hostile_names_stay_text():
    soup = BeautifulSoup(hostile().to_page(), "html.parser")
    assert not soup.find_all(["script", "a", "img", "iframe", "form", "input", "object", "embed", "base", "b>"])
    assert not [a for t in soup.find_all(True) for a in t.attrs if a.startswith("on") or a in ("href", "src", "srcdoc")]
    assert "<script>alert(1)</script>" in soup.get_text() and "<script>alert" not in hostile().to_markdown()


@pytest.mark.parametrize("theme, width", [("light", 1280), ("dark", 390)])
def test_the_pages_are_accessible_and_fit(tab, tmp_path, months, theme, width):
    for report in (by_origin(), months[2]) if theme == "light" else (months[2], _wide(60), hostile()):
        page = tab(width, theme)
        (tmp_path / "r.html").write_text(report.to_page(), encoding="utf-8", errors="backslashreplace")
        page.goto((tmp_path / "r.html").as_uri())
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        assert findings(page) == []
        assert page.said == [] and len(page.asked) == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK[theme]
        strips = page.locator("figure.h [role=region]")
        assert strips.count() == sum(c.kind == "heatmap" for c in report.charts)
        assert all(strips.nth(i).get_attribute("tabindex") == "0" for i in range(strips.count()))
        page.close()
