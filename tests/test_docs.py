"""The documentation speaks of what is there, and what it shows works."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mlnb.core.checks import all_checks
from mlnb.core.names import HOME
from mlnb.core.result import Result

ROOT = Path(__file__).resolve().parents[1]


def test_every_code_is_described():
    sources = [*(ROOT / "mlnb").rglob("*.py"), *(ROOT / "mlnb").rglob("*.toml")]
    used = {code for path in sources for code in re.findall(r"MLN-[A-Z]\d{3}", path.read_text())}
    described = set(re.findall(r"^### (MLN-[A-Z]\d{3})$", (ROOT / "docs/checks.md").read_text(), re.MULTILINE))
    assert used == described


def test_every_check_s_title_is_the_described_one():
    text = (ROOT / "docs/checks.md").read_text()
    for code, check in all_checks().items():
        assert f"### {code}\n**{check.title}.**" in text, code


def test_the_anchor_of_a_result_is_a_heading():
    page, anchor = Result(code="MLN-D001", title="x", status="pass").docs.split("#")
    headings = {h.lower() for h in re.findall(r"^### (.+)$", (ROOT / page).read_text(), re.MULTILINE)}
    assert anchor in headings


def test_every_setting_that_the_page_names_exists():
    from mlnb.core.settings import load_settings

    values = load_settings(environ={}).model_dump()
    page = (ROOT / "docs/checks.md").read_text()
    for section, key in re.findall(r"`(drift|evaluate|train|run|governance)\.(\w+)`", page):
        assert key in values[section], f"{section}.{key}"


def test_every_public_function_has_the_sections_of_a_full_docstring():
    from mlnb.core.names import find

    for name in HOME:
        doc = find(name).__doc__ or ""
        for section in ("Returns", "Examples"):
            assert f"{section}\n    {'-' * len(section)}" in doc or name in ("log",), f"{name} lacks {section}"


@pytest.mark.parametrize(
    "name",
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/checks.md", "docs/checklists.md", "dashboards/README.md"],
)
def test_links_lead_somewhere(name):
    path = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        assert target.startswith("https://") or (path.parent / target).exists(), target


def test_make_help_lists_what_the_readme_promises():
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "test-all", "lint", "export", "clean", "help"):
        assert re.search(rf"^{target}\s+\S", listed, re.MULTILINE), target


def test_the_map_of_the_refactoring_room_names_every_module():
    page = (ROOT / "docs/refactoring.md").read_text()
    table = page[page.index("## Inside") : page.index("## How it compares")]
    named = re.findall(r"`([a-z_]+)`", table.partition("|---|---|")[2])
    there = {path.stem for path in (ROOT / "mlnb/refactoring").glob("*.py")} - {"__init__"}
    assert there == set(named) and len(named) == len(there)
