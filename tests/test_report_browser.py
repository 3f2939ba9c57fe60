"""A report in a real browser, with the network cut: accessible, silent, inert, inside its scope, in both themes."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

import pytest
from browsing import INK, findings
from payloads import PAYLOADS
from report_samples import drift_report, evaluation_report
from test_render import hostile


def show(page, text: str, folder: Path) -> None:
    """Open a standalone file the way a reader does."""
    file = folder / "report.html"
    file.write_text(text, encoding="utf-8")
    page.goto(file.as_uri())
    assert page.asked.pop(0) == file.as_uri()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("sample", [drift_report, evaluation_report])
def test_the_page_is_accessible_silent_and_fits(tab, tmp_path, sample, width, theme):
    page = tab(width, theme)
    show(page, sample().to_page(), tmp_path)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert findings(page) == []
    assert page.said == [] and page.asked == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK[theme]
    boxes = page.locator("[role=region]")
    assert boxes.count() and all(boxes.nth(i).get_attribute("aria-label") for i in range(boxes.count()))


def test_everything_opens_and_scrolls_by_keyboard(tab, tmp_path):
    page = tab(390)
    show(page, drift_report().to_page(), tmp_path)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
        if reached[-1] == "How this was made":
            break
    assert "Results by subject" in reached and reached[-1] == "How this was made"
    page.keyboard.press("Enter")
    assert page.locator("details[open]").last.inner_text().startswith("How this was made")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_pictures_have_names_and_status_is_told_in_words(tab, tmp_path):
    page = tab()
    show(page, drift_report().to_page(), tmp_path)
    assert page.get_by_role("img").count() == 12
    assert page.get_by_role("img", name="temp").count() == 1
    assert page.get_by_role("row", name="fail temp").count() == 1
    assert page.get_by_role("heading", level=1).inner_text() == "Drift: January–March → July ✗ fail"


def test_the_page_prints_whole_on_a4_in_light(tab, tmp_path):
    page = tab(703, "dark")
    show(page, drift_report().to_page(), tmp_path)
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 703
    assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK["light"]
    hidden = page.evaluate(
        "[...document.querySelectorAll('li')].filter(e => !e.checkVisibility({contentVisibilityAuto: true})).length"
    )
    assert hidden == 0
    assert page.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"


@pytest.mark.parametrize("start", range(0, len(PAYLOADS), 30))
def test_hostile_strings_are_inert(tab, tmp_path, start):
    page, texts = tab(390), PAYLOADS[start : start + 30]
    page.set_content("<!doctype html><title>x</title>" + "".join(hostile(text).to_html() for text in texts))
    _inert(page)
    for text in texts[::5]:
        show(page, hostile(text).to_page(), tmp_path)
        _inert(page)


def _inert(page) -> None:
    page.mouse.move(200, 300)
    found = page.evaluate(
        """() => [...document.querySelectorAll('*')].flatMap(e => [
            ...[...e.attributes].filter(a => /^on|^(href|src|action|srcdoc|xlink:href)$/.test(a.name)).map(a => a.name),
            ...[e.tagName].filter(n => /^(SCRIPT|IFRAME|A|FORM|INPUT|IMG|BASE|LINK|OBJECT|EMBED)$/i.test(n))])"""
    )
    assert found == [] and page.said == [] and page.asked == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_policy_stops_a_script_that_got_in(tab, tmp_path):
    page = tab()
    forged = drift_report().to_page().replace("</main>", "<script>document.title = 'forged'</script></main>")
    show(page, forged, tmp_path)
    assert page.title() != "forged" and "Content Security Policy" in page.said[0]


@cache
def notebook_rules() -> str:
    """The rules of the installed JupyterLab that reach into an output."""
    bundle = next((Path(sys.prefix) / "share/jupyter/lab/static").glob("jlab_core.*.js")).read_text(encoding="utf-8")
    rules = [part.rpartition("*/")[2] + "}" for part in bundle.replace("\\n", "\n").split("}") if _reaches(part)]
    assert len(rules) > 40 and any("nth-child(odd)" in rule for rule in rules)
    values = (
        ":root{--jp-ui-font-size1:13px;--jp-content-font-size5:2em;--jp-layout-color2:#eee;--jp-ui-font-family:Arial;"
    )
    return f"{values}--jp-rendermime-table-row-hover-background:red}}{''.join(rules)}"


def _reaches(part: str) -> bool:
    selector, brace, body = part.partition("{")
    return (
        bool(brace)
        and ".jp-RenderedHTMLCommon" in selector
        and "{" not in body
        and "`" not in part
        and len(part) < 3000
    )


SIBLINGS = """<div class="jp-RenderedHTMLCommon jp-RenderedHTML"><h1>a</h1><h2>b <b>c</b></h2>
<p>d <small>e</small> <i>f</i></p><table><caption>g</caption><thead><tr><th class=w>h</th></tr></thead>
<tbody><tr><th scope=row>i</th><td class=s data-s=fail><b>j</b></td></tr></tbody></table>
<details><summary>k</summary><ul><li>l</li></ul></details><svg width=9 height=9></svg>
<div role=region class=t data-t=list tabindex=0>m</div><figure><figcaption>n</figcaption></figure></div>"""
STYLES = """selector => [...document.querySelectorAll(selector)].map(e => {
    const s = getComputedStyle(e);
    return [e.tagName, ...[...s].filter(n => !n.startsWith('--')).map(n => n + ':' + s[n])].join(';'); })"""
LOOK = """() => [...document.querySelectorAll('.mlnb, .mlnb :not(style, thead, tr)')].map(e => {
    const s = getComputedStyle(e), sides = ['marginTop', 'marginBottom', 'paddingTop', 'paddingLeft'];
    const text = ['textAlign', 'fontSize', 'fontWeight', 'fontStyle', 'lineHeight', 'whiteSpace', 'listStyleType'];
    const box = ['backgroundColor', 'color', 'verticalAlign', 'borderTopWidth', 'borderBottomWidth'];
    const names = [...sides, ...text, ...box, 'borderBottomColor', 'tableLayout'];
    return [e.tagName, ...names.map(n => n + ':' + s[n])].join(';'); })"""
# rows and heads are left out: their cells have all of this of their own


def _notebook(fragment: str, rules: str, light: str = "true") -> str:
    return (
        f"<!doctype html><style>{rules}</style><body data-jp-theme-light={light} class=jp-ThemedContainer>{SIBLINGS}"
        f'<div class="jp-RenderedHTMLCommon jp-RenderedHTML jp-OutputArea-output">{fragment}</div>'
    )


def test_nothing_outside_the_scope_changes(tab):
    page = tab()
    page.set_content(_notebook("", notebook_rules()))
    siblings = "html, body, .jp-RenderedHTML:first-of-type, .jp-RenderedHTML:first-of-type *"
    before = page.evaluate(STYLES, siblings)
    page.set_content(_notebook(drift_report().to_html() + evaluation_report().to_html(), notebook_rules()))
    after = page.evaluate(STYLES, siblings)
    sized = re.compile(r"(height|block-size|perspective-origin|transform-origin|inline-size|width):[^;]*")
    assert len(before) > 25 and [sized.sub("", s) for s in after] == [sized.sub("", s) for s in before]


@pytest.mark.parametrize("light", ["true", "false"])
def test_the_rules_of_the_notebook_cannot_change_the_report(tab, light):
    page, looks = tab(), []
    for rules in (":root{--jp-ui-font-family:Arial}", notebook_rules()):
        page.set_content(_notebook(drift_report().to_html() + evaluation_report().to_html(), rules, light))
        looks.append(page.evaluate(LOOK))
    assert len(looks[0]) > 200
    assert [pair for pair in zip(*looks, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize("system", ["light", "dark"])
def test_in_a_notebook_the_theme_is_the_notebook_s(tab, system):
    page = tab(theme=system)
    for light, ink in (("true", INK["light"]), ("false", INK["dark"])):
        page.set_content(_notebook(drift_report().to_html(), notebook_rules(), light))
        assert page.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == ink
        if (light == "true") == (system == "dark"):
            assert findings_inside(page) == []


def findings_inside(page) -> list[str]:
    """What axe finds in our part; the host's page is not ours."""
    from axe_playwright_python.sync_playwright import Axe

    return [v["id"] for v in Axe().run(page, context=".mlnb").response["violations"]]


def test_without_style_everything_is_still_told(tab):
    """An untrusted notebook strips style and pictures; words and glyphs stay."""
    page = tab()
    text = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", drift_report().to_html())
    page.set_content(text)
    row = page.get_by_role("row", name="fail temp").inner_text()
    assert "✗ fail" in row and "✗ 0.99" in row
    assert page.locator("i").first.evaluate("e => getComputedStyle(e).fontStyle") == "italic"
