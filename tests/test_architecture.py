"""The layout's promises hold, and each rule notices a breach that is planted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import architecture
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("rule", architecture.RULES, ids=lambda r: r.__name__)
def test_rule_holds(rule):
    assert rule(ROOT) == []


@pytest.fixture
def project(tmp_path):
    """A copy of what the rules read."""
    for name in ("nbs", "mlnb"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        )
    for name in ("settings.ini", "environment.yml", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_upward_import_is_noticed(project):
    append(project / "mlnb/core/files.py", "\nfrom ..drifting import stats\n")
    assert any("stands above" in f for f in architecture.order_of_rooms(project))


def test_upward_import_in_a_function_is_noticed(project):
    append(
        project / "mlnb/drifting/stats.py", "\ndef late():\n    from ..tracking.run import track\n    return track\n"
    )
    assert any("drifting.stats imports tracking.run" in f for f in architecture.order_of_rooms(project))


def test_import_of_the_bare_package_is_noticed(project):
    append(project / "mlnb/core/files.py", "\ndef late():\n    import mlnb\n    return mlnb\n")
    assert any("bare package" in f for f in architecture.order_of_rooms(project))


def test_cycle_is_noticed(project):
    append(project / "mlnb/core/errors.py", "\ndef late():\n    from .files import digest\n    return digest\n")
    assert any("core.errors" in f and "core.files" in f for f in architecture.cycles(project))


def test_eager_heavy_import_is_noticed(project):
    append(project / "mlnb/core/files.py", "\nimport pandas as pd\n")
    assert architecture.eager_heavy_imports(project) == ["core.files imports pandas when it is imported"]


def test_eager_import_of_compiled_functions_is_noticed(project):
    (project / "mlnb/drifting/kernels_cpu_more.py").write_text("from numba import njit\nimport scipy\n")
    append(project / "mlnb/drifting/stats.py", "\nfrom .kernels_cpu_more import count\n")
    assert [f for f in architecture.eager_heavy_imports(project) if "more" in f] == [
        "drifting.kernels_cpu_more imports scipy when it is imported",
        "drifting.stats imports mlnb.drifting.kernels_cpu_more.count when it is imported",
    ]


def test_stale_module_is_noticed(project):
    (project / "mlnb/core/left_over.py").write_text("")
    next(p for n, p in architecture.notebooks(project).items() if n == "core.files").rename(project / "gone.ipynb")
    assert architecture.stale_modules(project) == ["core.files has no notebook", "core.left_over has no notebook"]


def test_module_that_was_not_exported_is_noticed(project):
    (project / "mlnb/core/files.py").unlink()
    assert architecture.stale_modules(project) == ["core.files was not exported"]


def test_settings_out_of_step_are_noticed(project):
    ini = (project / "settings.ini").read_text().replace("psi_warn = 0.1\n", "psi_wran = 0.1\n")
    (project / "settings.ini").write_text(ini)
    assert len(architecture.settings_in_step(project)) == 2


def test_environment_out_of_step_is_noticed(project):
    append(project / "environment.yml", "  - pandas=2.2\n")
    lock = (project / "requirements.lock").read_text()
    (project / "requirements.lock").write_text(lock.replace("\npapermill==", "\nother=="))
    assert architecture.environment_in_step(project) == [
        "environment.yml names pandas=2.2",
        "requirements.lock does not pin papermill",
    ]


@pytest.mark.parametrize(
    "text, said",
    [
        ("exec('1')", "calls exec"),
        ("import subprocess\nsubprocess.run('ls', shell=True)", "starts a shell"),
        ("import mlflow\nmlflow.start_run()", "mlflow.start_run"),
    ],
)
def test_dangerous_call_is_noticed(project, text, said):
    append(project / "mlnb/core/files.py", f"\ndef late():\n    {text.replace(chr(10), chr(10) + '    ')}\n")
    assert any(said in f for f in architecture.dangerous_calls(project))


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LOADED = """
import sys, json
from importlib.metadata import packages_distributions
third = {n for n, d in packages_distributions().items() if any(x.lower() != "mlnb" for x in d)}
before = set(sys.modules)
%s
new = {m.partition(".")[0] for m in set(sys.modules) - before}
print(json.dumps(sorted(new & third)))
"""


def test_import_loads_no_third_party_module():
    assert json.loads(python(LOADED % "import mlnb; dir(mlnb)")) == []


def test_extension_loads_only_ipython():
    code = (
        "import IPython; from IPython.core.interactiveshell import InteractiveShell as S\nshell = S.instance()\n"
        + LOADED
    )
    assert set(json.loads(python(code % 'shell.run_line_magic("load_ext", "mlnb")'))) <= {"IPython"}


EVERY_NAME = """
import importlib, inspect, itertools, pkgutil, sys
import mlnb
from mlnb.core.names import HOME
names = sorted(HOME)
def fresh():
    for m in [m for m in sys.modules if m == "mlnb" or m.startswith("mlnb.")]:
        del sys.modules[m]
    return importlib.import_module("mlnb")
subpackages = [m.name for m in pkgutil.iter_modules(mlnb.__path__) if m.name != "__main__"]
assert len(names) >= 10 and len(subpackages) >= 6
for sub in subpackages:
    root = fresh()
    importlib.import_module("mlnb." + sub)
    for _ in range(2):
        for n in names:
            assert inspect.isfunction(getattr(root, n)), (sub, n)
one_a_room = {HOME[n].split(".")[1]: n for n in names}  # what shadows a name is a room that was imported
for a, b in itertools.permutations(%s, 2):
    root = fresh()
    for _ in range(2):
        assert inspect.isfunction(getattr(root, a)) and inspect.isfunction(getattr(root, b)), (a, b)
print("ok", len(names), len(subpackages))
"""


def test_every_root_name_is_a_function_after_every_room():
    assert python(EVERY_NAME % "one_a_room.values()").startswith("ok")


@pytest.mark.long
def test_every_root_name_is_a_function_in_every_order():
    assert python(EVERY_NAME % "names").startswith("ok")
