"""The project around a package: its tests notice damage, its notebook, server, image and papers work."""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from mlnb.refactoring.convert import Conversion, convert, write_source
from mlnb.refactoring.needs import closure, modules_of
from mlnb.refactoring.notebook import read_notebook
from mlnb.refactoring.papers import code_of, text_of, toml_of
from mlnb.refactoring.project import project_files
from mlnb.refactoring.schema import breaches, schema_of
from mlnb.refactoring.served import metrics_of, served_model

CELLS = (
    ("md", '# Rides"]\n[x](y) by the hour | "quoted"'),
    (
        "code",
        "%matplotlib inline\nimport numpy as np\nimport pandas as pd\nimport matplotlib.pyplot as plt\n"
        "from sklearn.linear_model import Ridge\nfrom sklearn.metrics import mean_absolute_error\n"
        "from sklearn.model_selection import train_test_split",
    ),
    ("md", "## Load"),
    ("code", "rides = pd.read_csv('../data/rides.csv')\nrides.head()"),
    ("code", "rides = rides.dropna()\nrides['warm'] = rides['temperature'] > 12\nprint(len(rides), 'rows')"),
    ("md", "## Train"),
    (
        "code",
        "features = ['hour', 'temperature']\n"
        "X_train, X_test, y_train, y_test = train_test_split(rides[features], rides['riders'], random_state=4)",
    ),
    ("code", "model = Ridge(alpha=0.5)\nmodel.fit(X_train, y_train)"),
    ("code", "mae = mean_absolute_error(y_test, model.predict(X_test))\nmae"),
    ("md", "## Look"),
    ("code", "by_hour = rides.groupby('hour')['riders'].mean()\nby_hour.plot(title='Riders')\nplt.ylabel('riders')"),
    ("code", "by_hour.to_csv('by_hour.csv')\nlow, high = by_hour.min(), by_hour.max()"),
)


def make_notebook(folder: Path, cells=CELLS) -> Path:
    """A notebook in `work`, its data in `data` beside that."""
    (folder / "work").mkdir(parents=True)
    (folder / "data").mkdir()
    rows = [f"{i % 24},{10 + i % 7 + i / 100},{20 + 3 * (i % 24) + i % 5}" for i in range(120)]
    rows[7] = "7,,41"
    (folder / "data/rides.csv").write_text("hour,temperature,riders\n" + "\n".join(rows) + "\n")
    made = v4.new_notebook()
    made.cells = [v4.new_markdown_cell(t) if kind == "md" else v4.new_code_cell(t) for kind, t in cells]
    nbformat.write(made, folder / "work/rides.ipynb")
    return folder / "work/rides.ipynb"


def write_project(conversion: Conversion, folder: Path, **options) -> dict[str, str | bytes]:
    made = project_files(conversion, **options)
    write_source(conversion.source, folder / "src")
    for path, content in made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    return made


@pytest.fixture(scope="module")
def rides(tmp_path_factory) -> Conversion:
    made = convert(read_notebook(make_notebook(tmp_path_factory.mktemp("rides"))), name="rides", timeout=120)
    assert made.proof.ok, made.proof.wrong
    return made


@pytest.fixture(scope="module")
def project(rides, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_project(rides, folder)
    return folder


def own_tests(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a project's tests as somebody would who has it; nothing of this suite's settings goes along."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COVERAGE", "MPLBACKEND"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", *arguments]
    return subprocess.run(
        command, cwd=project, env=plain | environment, capture_output=True, text=True, check=False, timeout=300
    )


def test_own_tests_pass_without_mlnb_and_ruff_finds_nothing(project):
    done = own_tests(project)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "skipped" not in done.stdout, done.stdout[-500:]
    assert "mlnb" not in {m for p in project.rglob("*.py") for m in imports(p)}
    for arguments in ((), ("--isolated",)):
        found = subprocess.run([sys.executable, "-m", "ruff", "check", *arguments, "."], cwd=project, check=False)
        assert found.returncode == 0


def imports(path: Path) -> list[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [n.module or "" for n in nodes if isinstance(n, ast.ImportFrom) and not n.level]


def damaged(project: Path, folder: Path, old: str, new: str) -> Path:
    """A copy of a project with one change in its Python."""
    shutil.copytree(project, folder)
    files = [p for p in (folder / "src").rglob("*.py") if old in p.read_text()]
    assert files, f"{old!r} stands nowhere"
    files[0].write_text(files[0].read_text().replace(old, new, 1))
    ast.parse(files[0].read_text())
    return folder


MUTANTS = {
    "other threshold": ("> 12", "> 13"),
    "other order of features": ('["hour", "temperature"]', '["temperature", "hour"]'),
    "other default of a setting": ("alpha: float = 0.5", "alpha: float = 0.6"),
    "other seed": ("random_state: int = 4", "random_state: int = 5"),
    "rows are kept": ("rides = rides.dropna()", "rides = rides"),
    "another statistic": ('["riders"].mean()', '["riders"].max()'),
    "nothing is printed": ("print(len(rides), ", "len(str(rides)[:9] + "),
    "another title": ('title="Riders"', 'title="Rider"'),
    "nothing is shown": ("show(head_shown)", "head_shown"),
    "swapped results": ("by_hour.min(), by_hour.max()", "by_hour.max(), by_hour.min()"),
    "another file": ('"by_hour.csv"', '"by_hours.csv"'),
    "another place of the data": ('"../data/rides.csv"', '"../data/ride.csv"'),
}
IMPORTING = {
    "reads when imported": 'import pandas as pd\n\npd.read_csv("../data/rides.csv")\n',
    "seeds when imported": "import random\n\nrandom.seed(1)\n",
    "draws when imported": "import matplotlib.pyplot as plt\n\nplt.figure()\n",
    "prints when imported": "print('hello')\n",
}


@pytest.mark.parametrize("name", ["swapped results", "nothing is shown"])
def test_damage_is_noticed(project, tmp_path, name):
    done = own_tests(damaged(project, tmp_path / "p", *MUTANTS[name]), "tests/test_golden.py", "-k", "not importing")
    assert done.returncode == 1, done.stdout[-2000:]


@pytest.mark.long
@pytest.mark.parametrize("name", MUTANTS)
def test_every_damage_is_noticed(project, tmp_path, name):
    done = own_tests(damaged(project, tmp_path / "p", *MUTANTS[name]), "tests/test_golden.py", "-k", "not importing")
    assert done.returncode == 1, done.stdout[-2000:]


@pytest.mark.long
@pytest.mark.parametrize("name", IMPORTING)
def test_work_at_import_is_noticed(project, tmp_path, name):
    shutil.copytree(project, tmp_path / "p")
    module = tmp_path / "p/src/rides/settings.py"
    module.write_text(module.read_text() + "\n" + IMPORTING[name])
    done = own_tests(tmp_path / "p", "tests/test_golden.py", "-k", "importing")
    assert done.returncode == 1 and "importing rides" in done.stdout


def test_other_data_is_checked_by_its_schema_and_not_by_golden_values(project, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "data").mkdir()
    rows = [f"{i % 24},,many" for i in range(300)]
    (tmp_path / "data/rides.csv").write_text("hour,temperature,riders\n" + "\n".join(rows))
    chosen = ("tests/test_golden.py", "tests/test_data.py", "-k", "value or table")
    done = own_tests(project, *chosen, RIDES_DATA_DIR=str(tmp_path / "work"))
    assert "is not the file that the notebook read" in done.stdout and "1 failed" in done.stdout
    for said in ("lacks 100%", "holds text where it held", "300 rows where there were 120"):
        assert said in done.stdout, said


def test_stepwise_notebook_runs_with_papermill(project, tmp_path):
    held = nbformat.read(project / "notebooks/rides.ipynb", as_version=4)
    nbformat.validate(held)
    code = [c for c in held.cells if c.cell_type == "code"]
    assert [c.metadata.get("tags") for c in code].count(["parameters"]) == 1
    body = ast.parse(code[0].source).body
    assert all(isinstance(n, ast.AnnAssign) and ast.literal_eval(n.value) is not None for n in body)
    assert {n.target.id for n in body} == {"data_dir", "alpha", "random_state"}
    out = tmp_path / "out.ipynb"
    command = [
        sys.executable,
        "-m",
        "papermill",
        "notebooks/rides.ipynb",
        str(out),
        "-k",
        "python3",
        "-p",
        "alpha",
        "0.5",
    ]
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"} | {"PYTHONPATH": str(project / "src")}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outputs = [o for c in nbformat.read(out, as_version=4).cells for o in c.get("outputs", ())]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 1
    shown = [o for o in outputs if o.output_type == "display_data" and "image/png" not in o.data]
    assert (
        len([o for o in shown if not o.data["text/plain"].startswith("Text(")]) == 3
    )  # the head, the fitted model, the error
    assert any("119 rows" in o.get("text", "") for o in outputs)


def test_image_and_workflow_are_valid(project):
    folder = Path(sys.executable).parent
    commands = (
        [folder / "hadolint", "Dockerfile"],
        [folder / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/ci.yml"],
    )
    for command in commands:
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    image = (project / "Dockerfile").read_text()
    assert image.count("FROM ") == 2 and "USER 10001" in image and "HEALTHCHECK" in image and "curl" not in image


def test_papers_take_no_orders_from_the_notebook(project, rides):
    held = tomllib.loads((project / "pyproject.toml").read_text())
    assert set(held) == {"build-system", "project", "tool"} and set(held["project"]["scripts"]) == {"rides"}
    names = {text.split(">=")[0] for text in held["project"]["dependencies"]}
    assert names == {"matplotlib", "numpy", "pandas", "scikit-learn"} or names == {
        "matplotlib",
        "pandas",
        "scikit-learn",
    }
    pinned = (project / "requirements.txt").read_text()
    assert "scipy==" in pinned and "pytest==" in pinned and "://" not in pinned and "--" not in pinned
    readme = (project / "README.md").read_text()
    assert readme.startswith("# ") and "[x](y)" not in readme.splitlines()[0]
    for step in rides.steps:
        assert f"| `{step.name}` |" in readme
    assert "\nfinal values" not in readme and "| final values | " in readme


def test_card_and_server_come_from_the_run(project, rides):
    model = served_model(rides)
    assert model is not None and (model.name, model.kind) == ("model", "Ridge") and len(model.rows) == 12
    assert [m.name for m in metrics_of(rides)] == ["mae"]
    card = (project / "model_card.md").read_text()
    assert f"{rides.trace.pictures['mae'].value:.6g}" in card and "data/rides.csv" in card
    assert (project / "serving/app.py").read_text().count('"model"') >= 1


def test_large_data_stays_and_its_tests_are_skipped(rides, tmp_path, monkeypatch):
    monkeypatch.setattr("mlnb.refactoring.tests_of.LARGEST_FILE", 100)
    made = write_project(rides, tmp_path / "p")
    assert not any(path.endswith(".csv") for path in made)
    done = own_tests(tmp_path / "p", "tests/test_golden.py", "-k", "value")
    assert done.returncode == 0 and "RIDES_DATA_DIR can name a folder" in done.stdout
    assert "too large to travel" in str(made["README.md"])


def test_nbdev_exports_the_same_modules(rides, tmp_path):
    made = write_project(rides, tmp_path, nbdev=True)
    names = [Path(p).stem for p in made if p.startswith("nbs/")]
    assert names[0] == "00_settings" and names[-2].endswith("pipeline") and names[-1].endswith("main")
    source = tmp_path / "src/rides"
    for path in source.glob("*.py"):
        if path.name != "__init__.py":
            path.unlink()
    export = Path(sys.executable).parent / "nbdev-export"
    done = subprocess.run([export], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, text in rides.source.files.items():
        assert meaning((source / name).read_text()) == meaning(text), name
    assert subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=tmp_path, check=False).returncode == 0
    done = own_tests(tmp_path, "tests/test_golden.py", "-k", "value")
    assert done.returncode == 0, done.stdout[-2000:]


def meaning(text: str) -> list[str]:
    """The statements of a module, without its docstring and what nbdev adds."""
    body = ast.parse(text).body
    return [ast.dump(n) for n in body if "__all__" not in ast.unparse(n) and not is_text(n)]


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_what_source_imports_is_needed_and_nothing_else():
    files = {
        "a.py": "import numpy.linalg as la\nfrom . import b\nfrom os import path\n\ndef f():\n    import yaml",
        "b.py": "import pandas as pd\n\ndef f(x):\n    return pd.read_excel(x)",
    }
    assert modules_of(files) == ["numpy", "openpyxl", "pandas", "yaml"]
    assert set(closure(["pytest"])) >= {"pytest", "pluggy", "iniconfig"} and closure(["no-such-thing-here"]) == {}


def test_text_of_strangers_stays_text():
    hostile = 'a"\n[tool.x]\ny = 1 `c` | <b> \x1b[31m \u202e'
    assert tomllib.loads(f"x = {toml_of(hostile)}").keys() == {"x"}
    assert "\n" not in text_of(hostile) and "\x1b" not in text_of(hostile) and "\\|" in text_of(hostile)
    assert "`" not in code_of(hostile) and "|" not in code_of(hostile)


def test_schema_tells_each_breach(tmp_path):
    good, bad = tmp_path / "a.csv", tmp_path / "b.csv"
    good.write_text("x,y,z\n" + "1,a,2020-01-01\n" * 10)
    bad.write_text("x,z\n" + "q,\n" * 3)
    found = list(breaches(schema_of(good), schema_of(bad)))
    assert [text.split("'")[1] for text in found[:3]] == ["x", "y", "z"] and "3 rows where there were 10" in found
    assert list(breaches(schema_of(good), schema_of(good))) == []


@pytest.mark.long
@pytest.mark.net
def test_run_lines_of_the_image_work_in_a_fresh_environment(project, tmp_path):
    """There is no container engine in the suite: each RUN line is executed, with the image's folders replaced."""
    build = tmp_path / "build"
    build.mkdir()
    for line in (project / "Dockerfile").read_text().split("\nFROM ")[1].splitlines():
        words = shlex.split(line.replace("/opt/venv", str(tmp_path / "venv")), comments=True)
        if words[:1] == ["COPY"]:
            for name in words[1:-1]:
                copy = shutil.copytree if (project / name).is_dir() else shutil.copy
                copy(project / name, build / name)
        elif words[:1] == ["RUN"]:
            done = subprocess.run(words[1:], cwd=build, capture_output=True, text=True, check=False, timeout=900)
            assert done.returncode == 0, done.stderr[-2000:]
    python = tmp_path / "venv/bin/python"
    data = project / "tests/data/work"
    done = subprocess.run(
        [python, "-m", "rides", "--data-dir", "."], cwd=data, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "values: " in done.stdout, done.stderr[-2000:]
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:]
