"""Notebook-native MLOps: one check, shown the same in a notebook, a job and a dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlnb.core.names import HOME, find

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from mlnb.core.checks import check as check
    from mlnb.drifting.calibration import calibrate as calibrate
    from mlnb.drifting.engine import drift as drift
    from mlnb.drifting.profiling import profile as profile
    from mlnb.evaluation.report import evaluate as evaluate
    from mlnb.governance.audit import audit as audit
    from mlnb.pipelines.run import run as run
    from mlnb.pipelines.step import hand_over as hand_over
    from mlnb.pipelines.template import check_parameters as check_parameters
    from mlnb.refactoring.lint import lint as lint
    from mlnb.tracking.records import runs as runs
    from mlnb.tracking.run import log as log, track as track
    from mlnb.tracking.setup import doctor as doctor, init as init, state as state
    from mlnb.ui.cards import card as card
    from mlnb.ui.checklists import checklist as checklist
    from mlnb.ui.dashboard import dashboard as dashboard
    from mlnb.ui.demo import demo as demo
    from mlnb.ui.export import export as export
    from mlnb.ui.publish import publish as publish
    from mlnb.ui.walk import refactor as refactor

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public function when it is first asked for (PEP 562)."""
    if name not in HOME:
        raise AttributeError(f"module 'mlnb' has no attribute {name!r}")
    globals()[name] = find(name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *HOME})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics: `%load_ext mlnb`."""
    from mlnb.magics import register

    register(shell)
