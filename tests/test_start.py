"""The notebook that a newcomer opens first runs from its first cell to its last, and shows what it promises."""

from __future__ import annotations

import json
import os

import pytest

from mlnb.core.assets import asset


@pytest.fixture(scope="module")
def executed(lived_in, tmp_path_factory):
    """`start.ipynb`, executed in a copy of a workspace that has the demo's runs."""
    import nbformat
    from helpers_lived import copy_lived
    from nbclient import NotebookClient

    workspace = copy_lived(lived_in, tmp_path_factory.mktemp("start") / "ws")
    notebook = nbformat.read(asset("static") / "start.ipynb", as_version=4)
    environment = {**os.environ, "MLNB_WORKSPACE": str(workspace.root)}
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(workspace.root)}})
    client.execute(env=environment)
    return workspace, notebook


def test_every_cell_runs_and_shows(executed):
    _, notebook = executed
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs and not [o for o in cell.outputs if o.output_type in ("error", "stream")], cell.source


def outputs(notebook, start: str) -> list[dict[str, str]]:
    [cell] = [c for c in notebook.cells if c.cell_type == "code" and start in c.source]
    return [o.data for o in cell.outputs if "data" in o]


def test_it_shows_reports_records_and_live_views(executed):
    workspace, notebook = executed
    [drifted] = outputs(notebook, "%drift")
    assert "✗ fail" in drifted["text/html"] and "temp" in drifted["text/html"]
    for start in ("%checklist", "%card"):
        record, view = outputs(notebook, start)
        assert "mlnb" in record["text/html"] and "application/vnd.jupyter.widget-view+json" in view
        assert "text/html" not in view, "the record would stand twice"
        assert "<svg" not in record["text/html"], "an untrusted notebook drops drawings, and keeps pictures"
    assert "first try" in outputs(notebook, "%runs")[0]["text/plain"]
    assert (
        "no events yet" in json.dumps(outputs(notebook, "%audit")).lower()
        or "✓" in outputs(notebook, "%audit")[0]["text/html"]
    )
    assert not list(workspace.folder.glob("*.partial"))
