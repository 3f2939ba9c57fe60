"""A notebook as one HTML file: the records are there, nothing acts, nothing is loaded, nothing leaks."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path

import nbformat
import nbformat.v4 as v4
import pytest
from browsing import INK, findings
from bs4 import BeautifulSoup
from payloads import PAYLOADS
from report_samples import drift_report, evaluation_report
from test_render import expected, from_html

from mlnb.core.errors import ArgumentError, DataError, FileError, MLNBError
from mlnb.tracking.snapshot import snapshot
from mlnb.tracking.writing import log_files
from mlnb.ui.export import POLICY, WIDGET, export
from mlnb.ui.harmless import ATTRIBUTES, GONE, KEPT, harmless

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WIDGETS = """
import anywidget, ipywidgets, traitlets
class Counter(anywidget.AnyWidget):
    _esm = "export default { render({ model, el }) { el.textContent = 'alive' } }"
    value = traitlets.Int(3).tag(sync=True)
display(ipywidgets.IntSlider(value=3))
Counter()
"""
OTHERS = """
import base64, pandas as pd
from IPython.display import HTML, Image, Javascript, display
display(pd.DataFrame({"age": [39, 50]}), Image(data=base64.b64decode(%r)))
display(HTML("<p id=filled>waiting</p><script>document.getElementById('filled').textContent = 'filled'</script>"))
display(HTML("<table><tr><td>never closed <b>bold<iframe src='https://example.org/'></iframe>"))
display(Javascript("document.title = 'taken'"))
print("\\x1b[31mred\\x1b[0m & <b>not bold</b>")
1 / 0
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook that a kernel has run: two reports, two widgets with their state, and what libraries display."""
    from nbclient import NotebookClient

    folder = tmp_path_factory.mktemp("executed")
    for report in (drift_report(), evaluation_report()):
        (folder / f"{report.kind}.json").write_text(report.to_json(), encoding="utf-8")
    show = "from mlnb.core.result import Report\nReport.from_json(open({!r}).read())"
    sources = [
        show.format(f"{drift_report().kind}.json"),
        show.format(f"{evaluation_report().kind}.json"),
        WIDGETS,
        OTHERS % DOT,
    ]
    nb = v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# Flights\n\n$e^x$ and ![a dot](dot.png) and ![far](https://example.org/x.png)"),
            *(v4.new_code_cell(source) for source in sources),
        ]
    )
    client = NotebookClient(nb, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(folder)}})
    client.execute()
    assert client.nb.metadata.widgets and WIDGET in str(client.nb.cells)
    (folder / "dot.png").write_bytes(base64.b64decode(DOT))
    nbformat.write(client.nb, folder / "flights.ipynb")
    return folder / "flights.ipynb"


@pytest.fixture(scope="module")
def page(executed):
    return export(str(executed), to=str(executed.with_name("page.html")))


def write(path: Path, *cells, **metadata) -> Path:
    path.write_text(json.dumps(v4.new_notebook(cells=list(cells), metadata=metadata)), encoding="utf-8")
    return path


def shown(*kinds: tuple[str, object], **metadata):
    """A code cell whose output has these forms."""
    return v4.new_code_cell("x", outputs=[v4.new_output("display_data", dict(kinds), metadata=metadata)])


def said(call, *args, **options) -> MLNBError:
    """The error of ours that a call raises; it is one line."""
    with pytest.raises(MLNBError) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1_000 and caught.value.hint
    return caught.value


# --- what a kernel made ------------------------------------------------------------------------------------------


def test_every_result_of_the_reports_is_there(page, executed):
    text, before = page.path.read_text(encoding="utf-8"), executed.read_bytes()
    assert from_html(text) == expected(drift_report()) + expected(evaluation_report())
    assert page.left_out == {"frame": 1, "picture": 1, "script": 2, "widget": 2} and page.exit_status == 0
    assert page.size == page.path.stat().st_size == len(text.encode()) and str(page.path) in str(page)
    assert "Left out: 1 frame, 1 picture, 2 scripts, 2 widgets." in text and executed.read_bytes() == before
    soup = BeautifulSoup(text, "html.parser")
    outputs = " ".join(box.get_text() for box in soup.select(".jp-OutputArea"))
    assert "import anywidget" in soup.get_text() and "IntSlider" not in outputs and "Counter" not in outputs
    assert "ZeroDivisionError" in soup.get_text() and "red & <b>not bold</b>" in soup.get_text()
    assert "[picture: far]" in soup.get_text() and soup.select_one("td").get_text()
    assert soup.img["alt"] == "a dot" and all(img["alt"] for img in soup.select("img"))
    assert len(soup.select("table.dataframe")) == 1 and soup.title.get_text() == "flights"


def test_the_page_has_a_policy_before_anything_else_and_no_script(page):
    text = page.path.read_text(encoding="utf-8")
    head = text[: text.index("<style")]
    assert POLICY in BeautifulSoup(text, "html.parser").find("meta", {"http-equiv": True})["content"]
    assert "Content-Security-Policy" in head and "viewport" in head and 'charset="utf-8"' in head
    assert "script-src" not in POLICY and "'none'" in POLICY
    assert inert(text) == []
    assert not re.search(r"cdnjs|unpkg|mathjax|require\.js", text.partition("</head>")[0], re.IGNORECASE)


def inert(text: str) -> list[str]:
    """Whatever in a page could act or load something."""
    found = []
    for element in BeautifulSoup(text, "html.parser").find_all(True):
        found += [element.name] if element.name in GONE or element.name not in KEPT else []
        for name, value in element.attrs.items():
            value = " ".join(value) if isinstance(value, list) else value
            loads = name == "src" and not value.startswith("data:image/")
            leads = name in ("href", "xlink:href") and re.match(r"\s*(javascript|data|vbscript|file|//)", value, re.I)
            policy = element.name == "meta" and name in ("http-equiv", "content", "media", "name", "charset")
            if loads or leads or not (name in ATTRIBUTES or policy):
                found.append(f"{element.name} {name}={value[:60]}")
        css = element.get_text() if element.name == "style" else element.attrs.get("style", "")
        found += re.findall(r"@import[^;]*|url\(\s*['\"]?(?!data:|#|['\"])[^)]*", css)
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(tab, page, width, theme):
    opened = tab(width, theme)
    opened.goto(page.path.as_uri())
    assert opened.asked == [page.path.as_uri()] or all(url.startswith("data:") for url in opened.asked[1:])
    assert opened.said == []
    assert opened.title() == "flights" and opened.locator("#filled").inner_text() == "waiting"
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK[theme]
    opened.evaluate("for (const d of document.querySelectorAll('.mlnb details')) d.open = true")
    assert findings(opened, ".mlnb") == []
    assert from_html(opened.content()) == expected(drift_report()) + expected(evaluation_report())


def test_it_prints_whole_on_a4_in_light(tab, page):
    opened = tab(703, "dark")
    opened.goto(page.path.as_uri())
    opened.emulate_media(media="print")
    assert opened.evaluate("getComputedStyle(document.querySelector('.mlnb')).color") == INK["light"]
    assert opened.evaluate("document.documentElement.scrollWidth") <= 703
    assert opened.pdf(prefer_css_page_size=True)[:5] == b"%PDF-"


def test_an_export_that_kept_the_widgets_would_be_noticed(executed):
    """The reader of these tests sees what JupyterLab's own export leaves in."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter()
    exporter.log.disabled = True
    found = inert(exporter.from_filename(str(executed))[0])
    assert "script" in found and "iframe" in found and any("cdnjs" in str(x) or x == "script" for x in found)


# --- hostile content ---------------------------------------------------------------------------------------------

MORE = [
    "<style><!--</style><img src=x onerror=alert(1)>-->",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'></xmp>",
    "<a href='jav&#x09;ascript:alert(1)'>x</a>",
    "<a href='\x01javascript:alert(1)'>x</a>",
    "<a href='//203.0.113.7/x'>x</a>",
    "<p style='background:u\\72l(//203.0.113.7/x)'>x</p>",
    "<p style='background:url(//203.0.113.7/x'>x</p>",
    "<style>a{background:image-set('//203.0.113.7/x' 1x)}</style>",
    "<style>@font-face{font-family:x;src:url(//203.0.113.7/x)}*{font-family:x}</style>",
    "<svg><use href='//203.0.113.7/x#a'/><rect fill='url(//203.0.113.7/x)'/></svg>",
    "<svg><animate attributeName=href values=javascript:alert(1) /></svg>",
    "<img srcset='//203.0.113.7/x 2x' src='//203.0.113.7/x'>",
    "<picture><source srcset=//203.0.113.7/x><img src=//203.0.113.7/y></picture>",
    "<body background=//203.0.113.7/x><table background=//203.0.113.7/x><tr><td>x",
    "<a ping=//203.0.113.7/x href=#x>x</a>",
    "<noscript><style></noscript><img src=x onerror=alert(1)></style>",
    "<template><style></template><img src=x onerror=alert(1)></style>",
    "<select><style></select><img src=x onerror=alert(1)></style></select>",
    "<form id=x><input formaction=javascript:alert(1) type=submit></form>",
    "<?xml-stylesheet href='//203.0.113.7/x.css'?><p>x",
    "<!DOCTYPE html [<!ENTITY x 'y'>]><p>x",
    "</main></body></html><script>alert(1)</script>",
    "<title></title><script>alert(1)</script>",
    "<script>" * 50,
    "<div>" * 1_000,
]


@pytest.mark.parametrize("text", [*PAYLOADS, *MORE])
def test_no_content_acts(text):
    clean = harmless(text)
    assert inert(clean) == []
    assert inert(harmless(clean)) == [] and harmless(harmless(clean)) == harmless(clean)


def hostile(folder: Path, texts: list[str]) -> Path:
    """A notebook with these strings in every place of it."""
    cells = []
    for text in texts:
        cells += [
            v4.new_markdown_cell(text),
            v4.new_raw_cell(text, metadata={"raw_mimetype": "text/html"}),
            v4.new_code_cell(
                text,
                outputs=[
                    v4.new_output("stream", text=text),
                    v4.new_output("error", ename=text, evalue=text, traceback=[text]),
                    *(
                        v4.new_output("display_data", {kind: text})
                        for kind in (
                            "text/html", "text/markdown", "text/plain", "text/latex", "image/svg+xml",
                            "text/vnd.mermaid", "application/javascript",
                        )
                    ),
                    v4.new_output(
                        "display_data", {"image/png": text}, metadata={"filenames": {"image/png": text}}
                    ),
                    v4.new_output("display_data", {"image/jpeg": DOT}, metadata={"image/jpeg": {"width": text}}),
                ],
            ),
        ]  # fmt: skip
        cells[-1].metadata["tags"] = [text.replace(",", ";") or "none"]  # the format knows no others
    return write(folder / "hostile.ipynb", *cells, title=texts[0], language_info={"name": texts[0]}, authors=texts)


@pytest.mark.parametrize("start", range(0, len(PAYLOADS) + len(MORE) - 2, 30))
def test_a_hostile_notebook_is_inert_in_the_browser(tab, tmp_path, start):
    texts = [*PAYLOADS, *MORE[:-2]][start : start + 30]
    made = export(str(hostile(tmp_path, texts)))
    text = made.path.read_text(encoding="utf-8")
    assert inert(text) == []
    opened = tab(390)
    opened.goto(made.path.as_uri())
    opened.mouse.move(200, 300)
    acts = opened.evaluate(
        """() => [...document.querySelectorAll('*')].flatMap(e => [
            ...[...e.attributes].filter(a => /^on|^(action|srcdoc|formaction)$/.test(a.name)).map(a => a.name),
            ...[e.tagName].filter(n => /^(SCRIPT|IFRAME|FORM|INPUT|BASE|LINK|OBJECT|EMBED)$/i.test(n))])"""
    )
    assert acts == [] and [url for url in opened.asked[1:] if not url.startswith("data:")] == []
    assert [line for line in opened.said if "ERR_INVALID_URL" not in line and "dialog" in line] == []
    assert not any("Content Security Policy" in line for line in opened.said), opened.said
    assert opened.locator("footer", has_text="Exported from hostile.ipynb").count() == 1


def test_an_output_that_is_not_closed_ends_where_it_stands(tmp_path):
    for text in ("<div><table><tr><td>", "<style>", "<!-- ", "<script>", "<svg><title>", "<textarea>", "<xmp>"):
        cells = [shown(("text/html", text)), v4.new_markdown_cell("still here"), shown(("text/plain", "and here"))]
        made = export(str(write(tmp_path / "open.ipynb", *cells)))
        soup = BeautifulSoup(made.path.read_text(encoding="utf-8"), "html.parser")
        assert "still here" in soup.main.get_text() and "and here" in soup.main.get_text(), text
        assert soup.find("p", string="still here").find_parent("table") is None


def test_a_picture_shows_where_only_a_script_could_fill_the_rest(tmp_path):
    cells = [
        shown(
            ("text/html", "<div id=plot></div><script>draw()</script>"), ("image/png", DOT), ("text/plain", "Figure")
        ),
        shown(("application/javascript", "alert(1)"), ("text/plain", "<Javascript>")),
        shown(("text/vnd.mermaid", "</pre><script>alert(1)</script>"), ("text/plain", "graph")),
        shown((WIDGET, {"model_id": "x"}), ("text/html", "<p>the record</p>"), ("text/plain", "View")),
    ]
    made = export(str(write(tmp_path / "nb.ipynb", *cells, widgets={"state": {}})))
    main = BeautifulSoup(made.path.read_text(encoding="utf-8"), "html.parser").main
    assert [img["src"][-9:] for img in main.select("img")] == [DOT[-9:]] and "the record" in main.get_text()
    assert "Javascript" not in main.get_text() and made.left_out == {"script": 3, "widget": 1}


def test_what_cannot_be_drawn_is_one_line(tmp_path, monkeypatch):
    from nbconvert import HTMLExporter

    def fail(*_):
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(HTMLExporter, "from_notebook_node", fail)
    error = said(export, str(write(tmp_path / "nb.ipynb")))
    assert isinstance(error, DataError) and error.message.endswith("nb.ipynb cannot be drawn: RecursionError")
    assert not (tmp_path / "nb.html").exists()


# --- pictures ----------------------------------------------------------------------------------------------------


def test_pictures_beside_the_notebook_are_taken_along(tmp_path):
    dot = base64.b64decode(DOT)
    for name in ("dot.png", "a b.jpg", "deep/ü.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(dot)
    text = (
        "![one](dot.png) ![two](a%20b.jpg) <img src='deep/ü.gif' alt='three'> ![four](attachment:x.png) ![five](no.png)"
    )
    cell = v4.new_markdown_cell(text, attachments={"x.png": {"image/png": DOT}})
    made = export(str(write(tmp_path / "nb.ipynb", cell, shown(("image/png", DOT), ("text/plain", "<Figure>")))))
    images = BeautifulSoup(made.path.read_text(encoding="utf-8"), "html.parser").select("img")
    assert [img["alt"][:20] for img in images] == ["one", "two", "three", "four", "No description has b"]
    assert all(img["src"].startswith("data:image/") and img["src"].endswith(DOT) for img in images)
    assert made.left_out == {"picture": 1}


OUTSIDE = [
    "../secret.png",
    "./../secret.png",
    "a/../../secret.png",
    "%2e%2e/secret.png",
    "%2e%2e%2fsecret.png",
    "..%2fsecret.png",
    "..\\secret.png",
    "..%5csecret.png",
    "%252e%252e/secret.png",
    "....//secret.png",
    "../secret.png?x=1",
    "../secret.png#x",
    "file:../secret.png",
    "file:///{0}",
    "file://localhost/{0}",
    "FILE:///{0}",
    "{0}",
    "/{0}",
    "//{0}",
    "////{0}",
    "\\\\{0}",
    "link.png",
    "linked/secret.png",
    "secret.png\0",
    "../secret.png\0.png",
    " ../secret.png",
    "../secret.png ",
    "\t../secret.png",
    "..//secret.png",
    ".././secret.png",
    "%00../secret.png",
    "~/../secret.png",
    "data:text/html,x",
    "http://127.0.0.1/secret.png",
    "https:secret.png",
    "ftp://x/secret.png",
    "blob:secret.png",
    "//127.0.0.1/x.png",
    "..;/secret.png",
    "..%00/secret.png",
    "%c0%ae%c0%ae/secret.png",
    "..%c0%afsecret.png",
    "\u2025/secret.png",
    "\uff0e\uff0e/secret.png",
    "nb/../../secret.png",
    "nb.ipynb",
    "../nb.ipynb",
    "deep/../../secret.png",
    "deep//..//..//secret.png",
    "%2E%2E/%2E%2E/secret.png",
    "view-source:../secret.png",
    "javascript:1",
    "jar:file:///{0}",
    "filesystem:../secret.png",
    "cid:secret.png",
    "attachment:../secret.png",
    "../../" * 20 + "{0}",
    "./" * 100 + "../secret.png",
    "..",
    ".",
    "",
    "secret.txt",
    "x" * 5_000 + ".png",
]


@pytest.mark.parametrize("address", OUTSIDE)
def test_no_picture_comes_from_outside_the_folder(tmp_path, address):
    folder = tmp_path / "nb"
    (folder / "deep").mkdir(parents=True)
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"CANARY" + base64.b64decode(DOT))
    (folder / "secret.txt").write_text("CANARY")
    (folder / "link.png").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    address = address.replace("{0}", str(secret))
    clean = harmless(f'<img src="{address}" alt=x>', folder)
    assert "<img" not in clean and base64.b64encode(b"CANARY").decode() not in clean
    assert "[picture: x]" in clean


# --- secrets -----------------------------------------------------------------------------------------------------


def test_secrets_are_masked_wherever_they_stand(tmp_path, monkeypatch):
    planted = ["ghp_" + "a1B2" * 9, "AKIA" + "ABCDEFGH12345678", "hunter2-Very-9-Secret", "s3cr3t-of-the-house-77"]
    monkeypatch.setenv("WAREHOUSE_PASSWORD", planted[3])
    text = " and ".join((planted[0], planted[1], f'password = "{planted[2]}"', planted[3]))
    cells = [
        v4.new_markdown_cell(text),
        v4.new_code_cell(text, outputs=[v4.new_output("stream", text=text)]),
        shown(("text/html", f"<p title='{planted[0]}'>{text}</p>"), ("text/plain", text)),
        v4.new_code_cell("x", outputs=[v4.new_output("error", ename="E", evalue=text, traceback=[text])]),
    ]
    made = export(str(write(tmp_path / "nb.ipynb", *cells, title=planted[0])))
    everything = made.path.read_text(encoding="utf-8")
    assert [secret for secret in planted if secret in everything] == [] and everything.count("‹masked›") > 12


KEY = "\n".join(
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        *(f"MIIEcanary{i:02}" + "aB3" * 18 for i in range(9)),
        "-----END RSA PRIVATE KEY-----",
    ]
)


def in_lines(key: str) -> list[dict]:
    """Cells that hold a text in every place where a notebook may keep it as a list of lines."""
    lines = key.splitlines(keepends=True)
    shown = {"text/html": ["<pre>", *lines, "</pre>"], "text/plain": lines}
    attached = {"key.txt": {"text/plain": lines}}
    pieces = [{"output_type": "stream", "name": "stdout", "text": [line]} for line in lines]
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": lines},
        *pieces,
        {"output_type": "display_data", "data": shown, "metadata": {}},
        {"output_type": "display_data", "data": {"text/markdown": ["~~~\n", *lines]}, "metadata": {}},
        {"output_type": "execute_result", "data": {"text/plain": lines}, "metadata": {}, "execution_count": 1},
        {"output_type": "error", "ename": "E", "evalue": key, "traceback": key.splitlines()},
    ]
    code = {"cell_type": "code", "source": lines, "outputs": outputs, "execution_count": 1, "metadata": {}}
    text = {"cell_type": "markdown", "source": ["~~~\n", *lines], "metadata": {}, "attachments": attached}
    return [code, text, {"cell_type": "raw", "source": lines, "metadata": {"format": "text/html"}}]


def text_of(page: Path) -> str:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").get_text()


@pytest.mark.parametrize("end", [True, False])
def test_a_key_of_many_lines_is_masked_as_a_whole(tmp_path, end):
    key = KEY if end else KEY.rpartition("\n")[0]
    nb = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": in_lines(key)}
    (tmp_path / "nb.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    everything = text_of(export(str(tmp_path / "nb.ipynb")).path)
    assert "canary" not in everything and everything.count("BEGIN RSA") == everything.count("‹masked›") >= 8
    old = {"cell_type": "code", "language": "python", "input": key.splitlines(keepends=True), "collapsed": False}
    old |= {"outputs": [{"output_type": "stream", "stream": "stdout", "text": key.splitlines(keepends=True)}]}
    sheet = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": [old]}]}
    (tmp_path / "old.ipynb").write_text(json.dumps(sheet), encoding="utf-8")
    everything = text_of(export(str(tmp_path / "old.ipynb")).path)
    assert "canary" not in everything and everything.count("BEGIN RSA") == 2


# --- which notebook, where to ------------------------------------------------------------------------------------


def test_the_notebook_of_a_run(lived, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = snapshot(lived).run("Train on January to March")
    assert "has no notebook" in said(export, "latest").message
    source = write(tmp_path / "source.ipynb", v4.new_markdown_cell("from the run"))
    for one in (run.id, snapshot(lived).run("latest").id):
        log_files(one, {"notebook/train.ipynb": source}, workspace=lived)
    before = sorted(lived.folder.rglob("*"))
    for reference in ("latest", run.short, run.id, run.name, f"runs:/{run.id}"):
        made = export(reference)
        assert made.path.parent == tmp_path and re.fullmatch(r"train-[0-9a-f]{8}\.html", made.path.name)
        soup = BeautifulSoup(made.path.read_text(encoding="utf-8"), "html.parser")
        assert "from the run" in soup.main.get_text() and soup.title.get_text() == "train"
        assert "Exported from train.ipynb of run " in soup.footer.get_text()
    assert sorted(p for p in lived.folder.rglob("*") if "mlflow.db-" not in p.name) == [
        p for p in before if "mlflow.db-" not in p.name
    ]
    assert isinstance(said(export, "Trian on January"), DataError)
    assert isinstance(said(export, "train.ipynb"), FileError)


def test_where_the_page_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = write(tmp_path / "nb.ipynb", v4.new_markdown_cell("hello"))
    assert export("nb.ipynb").path == tmp_path / "nb.html"
    assert export(Path("nb.ipynb"), to="new/deep/page.HTML").path == tmp_path / "new/deep/page.HTML"
    before = source.read_bytes()
    (tmp_path / "trap.html").symlink_to(source)
    export("nb.ipynb", to="trap.html")
    assert source.read_bytes() == before and not (tmp_path / "trap.html").is_symlink()
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").write_text("")
    refused = [
        "page.pdf",
        "page",
        "nb.ipynb",
        ".html",
        "page.html/",
        "folder.html",
        "",
        " ",
        "a\0.html",
        "a\n.html",
        "~no-such-user/x.html",
    ]
    for to in refused:
        if to in ("", "page.html/"):
            continue
        assert isinstance(said(export, "nb.ipynb", to=to), ArgumentError | FileError), to
    assert isinstance(said(export, "nb.ipynb", to="file/page.html"), FileError)
    assert isinstance(said(export, "nb.ipynb", to="x" * 300 + ".html"), FileError)
    for to in (None, 3, ["page.html"], b"page.html"):
        assert isinstance(said(export, "nb.ipynb", to=to), ArgumentError), to
    assert source.read_bytes() == before
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


def test_a_page_is_whole_or_absent(tmp_path, monkeypatch):
    source = write(tmp_path / "nb.ipynb", v4.new_markdown_cell("hello"))
    made = export(str(source))
    old = made.path.read_bytes()
    monkeypatch.setattr("mlnb.core.files.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    assert "No space left" in said(export, str(source)).message
    assert made.path.read_bytes() == old and sorted(p.name for p in tmp_path.iterdir()) == ["nb.html", "nb.ipynb"]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"3", b'"x"', b"\xff\xfe\x00", b"not json \x00", b'{"cells": []}',
        b'{"nbformat": 4}',
        b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}',
        b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [3]}',
        b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}',
        b'{"nbformat": 4, "nbformat_minor": 5, "metadata": [], "cells": []}',
        b'{"nbformat": "4", "nbformat_minor": 5, "metadata": {}, "cells": []}',
        b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": {"a": 1}}',
        b"[" * 100_000,
        json.dumps(v4.new_notebook(cells=[v4.new_code_cell("x")])).encode()[:-20],
        b"secret-looking text root:x:0:0",
    ],
)  # fmt: skip
def test_a_malformed_notebook_is_one_line(tmp_path, content):
    path = tmp_path / "bad.ipynb"
    path.write_bytes(content)
    error = said(export, str(path))
    assert isinstance(error, DataError) and "bad.ipynb" in error.message and "root:x" not in str(error)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.ipynb"]


def test_notebooks_of_earlier_formats_and_without_anything(tmp_path):
    old = {
        "nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""},
        "worksheets": [{"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["old but *gold*"]}]}],
    }  # fmt: skip
    (tmp_path / "old.ipynb").write_text(json.dumps(old))
    assert "<em>gold</em>" in export(str(tmp_path / "old.ipynb")).path.read_text()
    write(tmp_path / "empty.ipynb")
    made = export(str(tmp_path / "empty.ipynb"))
    assert "Nothing was left out." in made.path.read_text() and made.left_out == {}


def test_what_is_no_notebook_is_refused(tmp_path, monkeypatch, lived):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "churn.ipynb")
    (tmp_path / "churn.txt").write_text("{}")
    assert said(export, "chrun.ipynb").hint == "Did you mean 'churn.ipynb'?"
    assert "'churn.ipynb'" in said(export, ".").hint
    assert isinstance(said(export, "churn.txt"), ArgumentError)
    for wrong in (
        None,
        3,
        "",
        " ",
        b"x",
        ["churn.ipynb"],
        "a\0b.ipynb",
        "a\nb.ipynb",
        "x" * 5_000,
        "~no-such-user/x.ipynb",
    ):
        assert isinstance(said(export, wrong), ArgumentError), wrong
    assert isinstance(said(export, "x" * 300 + ".ipynb"), FileError)
    monkeypatch.setattr("mlnb.ui.export.LARGEST", 10)
    assert "more than 10 bytes" in said(export, "churn.ipynb").message


@pytest.mark.parametrize(
    "spelling", [*OUTSIDE, "/etc/passwd", "../../etc/passwd", "/proc/self/environ", "/dev/zero", "/dev/stdin"]
)
def test_no_spelling_reads_or_writes_anything_else(tmp_path, monkeypatch, lived, spelling):
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    (tmp_path / "secret.png").write_text("CANARY")
    source = write(tmp_path / "nb.ipynb", v4.new_markdown_cell("hello"))
    spelling = spelling.replace("{0}", str(tmp_path / "secret.png"))
    if spelling != "../nb.ipynb":
        assert isinstance(said(export, spelling), ArgumentError | DataError | FileError)
    if spelling:
        assert isinstance(said(export, str(source), to=spelling), ArgumentError | FileError)
    assert {p.name for p in tmp_path.rglob("*") if p.is_file() and "ws" not in p.parts} <= {"secret.png", "nb.ipynb"}


def test_the_command_line_gives_the_same(tmp_path):
    import subprocess
    import sys

    write(tmp_path / "nb.ipynb", v4.new_markdown_cell("hello"))
    done = subprocess.run(
        [sys.executable, "-m", "mlnb", "export", "nb.ipynb", "--to", "page.html"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, env={**os.environ, "MLNB_WORKSPACE": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'page.html'} (") and (tmp_path / "page.html").is_file()
