"""The whole suite in one command: every stage runs, each says how it went, and the last line counts.

Stages: export in sync, notebooks clean, notebooks' own examples, branch coverage of what handles paths, parameters,
settings and the ledger, pytest (with templates, browser and architecture), ruff, pyright. `--long` adds the long runs.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


@dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    said: str = ""


def sh(*argv: str, show: bool = False, **environment: str) -> tuple[int, str]:
    """Exit status and output of a command; long ones show their lines as they come."""
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if show:
            print(line, end="", flush=True)
    return process.wait(), "".join(lines)


def digests(*folders: str) -> dict[Path, str]:
    files = [
        p for f in folders for p in (ROOT / f).rglob("*") if p.suffix in (".py", ".ipynb", ".json") and p.is_file()
    ]
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def unchanged(folders: tuple[str, ...], *commands: tuple[str, ...]) -> Outcome:
    """Run commands that write; nothing may change."""
    before = digests(*folders)
    for argv in commands:
        code, said = sh(*argv)
        if code:
            return Outcome(failed=1, said=said)
    after = digests(*folders)
    moved = sorted(str(p.relative_to(ROOT)) for p in {*before, *after} if before.get(p) != after.get(p))
    return (
        Outcome(
            failed=1, said="out of step, written anew now (run `make export` before committing): " + ", ".join(moved)
        )
        if moved
        else Outcome(passed=1)
    )


def export() -> Outcome:
    report = (sys.executable, "-c", "from mlnb.core.result import write_schema; write_schema()")
    card = (sys.executable, "-c", "from mlnb.governance.card import write_card_schema; write_card_schema()")
    return unchanged(("mlnb",), ("nbdev-export",), report, card)


def clean() -> Outcome:
    others = (("nbdev-clean", "--fname", name) for name in ("templates", "dashboards", "mlnb/static/start.ipynb"))
    return unchanged(("nbs", "templates", "dashboards", "mlnb/static"), ("nbdev-clean",), *others)


def notebooks() -> Outcome:
    """The examples in the notebooks, in a workspace that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        code, said = sh("nbdev-test", "--n-workers", "2", MLNB_WORKSPACE=folder)
    failed = re.findall(r"^\t(\S+\.ipynb)$", said, re.MULTILINE)
    if code and not failed:
        return Outcome(failed=1, said=said)
    return Outcome(passed=len(NOTEBOOKS) - len(failed), failed=len(failed), said=said if failed else "")


def pytest(long: bool) -> Outcome:
    argv = [sys.executable, "-m", "pytest", "--durations=15", "-p", "no:cacheprovider"]
    argv += [] if long else ["-m", "not long", "-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile"]
    code, said = sh(*argv, show=True)
    counts = {
        word: int(n)
        for n, word in re.findall(
            r"(\d+) (passed|failed|errors?|skipped|deselected)", said.splitlines()[-1] if said else ""
        )
    }
    if counts.get("deselected"):
        print(f"{counts['deselected']} long runs are left to `make test-all`")
    failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    return Outcome(counts.get("passed", 0), failed or int(code != 0), counts.get("skipped", 0))


def command(*argv: str) -> Callable[[], Outcome]:
    def stage() -> Outcome:
        code, said = sh(*argv)
        return Outcome(passed=int(code == 0), failed=int(code != 0), said=said if code else "")

    return stage


def installed(package: str, programs: tuple[str, ...], needed: str) -> Outcome:
    """A program that tests drive: found, or installed where apt and the right to use it are there."""
    if any(shutil.which(program) for program in programs):
        return Outcome(passed=1)
    apt = ["apt-get"] if os.geteuid() == 0 else ["sudo", "-n", "apt-get"]
    if shutil.which(apt[0]):
        sh(*apt, "update", "-qq")
        sh(*apt, "install", "-y", "-qq", "--no-install-recommends", package, DEBIAN_FRONTEND="noninteractive")
    if any(shutil.which(program) for program in programs):
        return Outcome(passed=1, said=f"installed Debian's {package}\n")
    missing = f"no {package} here, and it could not be installed by apt: {needed} cannot run"
    return Outcome(failed=1, said=missing) if os.environ.get("CI") else Outcome(skipped=1, said=missing)


def browser() -> Outcome:
    """Chromium, for the browser tests."""
    return installed("chromium", ("chromium", "chromium-browser", "google-chrome"), "the browser tests")


def compiler() -> Outcome:
    """A C++ compiler, by which the kernels of the GPU are tested where there is none."""
    return installed("g++", ("g++", "c++", "clang++"), "the tests of the GPU's kernels on the host")


def main() -> int:
    long = "--long" in sys.argv
    stages: dict[str, Callable[[], Outcome]] = {
        "export in sync": export,
        "notebooks clean": clean,
        "ruff check": command("ruff", "check", "nbs", "mlnb", "templates", "dashboards", "tests", "benchmarks"),
        "ruff format": command(
            "ruff", "format", "--check", "-q", "nbs", "templates", "dashboards", "tests", "benchmarks"
        ),
        "pyright": command("pyright"),
        "browser": browser,
        "compiler": compiler,
        "notebooks' examples": notebooks,
        "coverage of paths, parameters, settings, ledger": command(sys.executable, "tests/coverage_gate.py"),
        "pytest": lambda: pytest(long),
    }
    total = Outcome()
    for name, stage in stages.items():
        print(f"{name} …", flush=True)
        began = time.monotonic()
        outcome = stage()
        if outcome.said:
            print(outcome.said.rstrip(), flush=True)
        counts = f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped"
        print(f"{name}: {counts} in {time.monotonic() - began:.0f} s\n", flush=True)
        total = Outcome(total.passed + outcome.passed, total.failed + outcome.failed, total.skipped + outcome.skipped)
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return int(total.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
