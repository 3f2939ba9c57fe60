"""A notebook with our own magics, in a project with folders of its own: converted, proved, and nothing else touched."""

from __future__ import annotations

import gzip
import sqlite3

import nbformat
import pandas as pd
import pytest
from nbformat import v4

import mlnb
from mlnb.core.errors import RefusedError
from mlnb.core.workspace import make
from mlnb.refactoring.notebook import read_notebook

CELLS = [
    "%load_ext mlnb\nimport json\nimport pandas as pd\nfrom sklearn.linear_model import Ridge",
    "homes = pd.read_csv('../data/homes.csv')\nhomes.head()",
    "old = homes[homes.year < 2010]\nnew = homes[homes.year >= 2010]",
    "%drift old new --columns rooms,price -o report",
    "small = %drift {old[old.rooms < 4]} {new[new.rooms < 4]} --columns price",
    "%%track 'Ridge on rooms' --seed 3\nmodel = Ridge(alpha=0.5).fit(old[['rooms']], old['price'])\n{'r2': 1}",
    "score = model.score(new[['rooms']], new['price'])\nscore",
    "with open('../models/score.json', 'w') as sink:\n    json.dump({'r2': score}, sink)",
    "new.to_csv('new.csv.gz')",
    "%runs",
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project as many lay it out: data and models beside the folder of the notebooks."""
    root = tmp_path_factory.mktemp("project")
    for name in ("data", "models", "notebooks"):
        (root / name).mkdir()
    rows = [(1990 + i % 40, 2 + i % 7, 100 + 31 * (i % 7) + i % 13) for i in range(400)]
    pd.DataFrame(rows, columns=["year", "rooms", "price"]).to_csv(root / "data/homes.csv", index=False)
    (root / "models/score.json").write_text("mine")
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in CELLS]), root / "notebooks/homes.ipynb")
    return root


@pytest.fixture(scope="module")
def converted(project):
    """Converted in a workspace of the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLNB_WORKSPACE", str(make(project / "workspace").root))
        with mlnb.track("Mine"):
            pass
        yield mlnb.refactor(project / "notebooks/homes.ipynb", to=project / "homes")


def test_the_package_calls_the_functions_and_does_the_same(project, converted):
    source = "\n".join(path.read_text() for path in sorted((project / "homes/src/homes").glob("*.py")))
    assert "mlnb.drift(old, new, columns=['rooms', 'price'])" in source.replace('"', "'")
    assert "mlnb.track('Ridge on rooms', seed=3)" in source.replace('"', "'") and "tracked_run.model(model)" in source
    assert "get_ipython" not in source and "%" not in source.replace("%(message)s", "")
    rows = {(row[0], row[1]): row[2] for table in converted.tables if table.title == "Proof" for row in table.rows}
    assert all(
        rows["binding", name] == "equal" for name in ("homes", "old", "new", "report", "small", "model", "score")
    )
    assert rows["file", "../models/score.json"] == rows["file", "new.csv.gz"] == "equal"


def test_neither_the_users_files_nor_his_record_are_touched(project, converted):
    assert converted.ok and (project / "models/score.json").read_text() == "mine"
    assert not (project / "notebooks/new.csv.gz").exists()
    [store] = (project / "workspace").rglob("mlflow.db")
    with sqlite3.connect(store) as connection:
        assert connection.execute("SELECT name FROM runs").fetchall() == [("Mine",)]


def test_an_archive_is_compared_by_what_is_in_it(project, converted):
    [path] = [path for path in (project / "homes/tests").rglob("golden.json")]
    assert "new.csv.gz" not in path.read_text()  # its bytes hold a time, so no test asks for them
    assert gzip.compress(b"a", mtime=1) != gzip.compress(b"a", mtime=2)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%drift old", "cannot become part of a package: the following arguments are required: current"),
        ("found = %runs -o table", "%runs cannot become part of a package"),
        ("%%track\nx = 1", "%%track cannot become part of a package"),
        ("%drift old new --colums price", "--colums"),
    ],
)
def test_a_line_that_is_wrong_is_refused_by_its_cell(tmp_path, cell, said):
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell("x = 1"), v4.new_code_cell(cell)]), tmp_path / "a.ipynb")
    with pytest.raises(RefusedError) as caught:
        read_notebook(tmp_path / "a.ipynb").require_plain()
    assert str(caught.value).startswith("cell 2: %") and said in str(caught.value)
