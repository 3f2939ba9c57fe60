"""A workspace with real runs of the demo's model, made without kernels, and copies of it that know where they lie."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
from pathlib import Path

from mlnb.core.workspace import Workspace, make

TABLES = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location"}


@contextlib.contextmanager
def current_is(root: Path):
    """Make a folder the current workspace for a while."""
    before = os.environ.get("MLNB_WORKSPACE")
    os.environ["MLNB_WORKSPACE"] = str(root)
    try:
        yield
    finally:
        os.environ.pop("MLNB_WORKSPACE")
        if before is not None:
            os.environ["MLNB_WORKSPACE"] = before


def build(root: Path) -> Workspace:
    """Train, evaluate and monitor as the demo does: what the templates call, in this process."""
    from mlnb.data.frames import read_frame
    from mlnb.pipelines.known import reference_profile
    from mlnb.pipelines.trained import choose_columns, recall, report_training
    from mlnb.pipelines.watching import report_evaluation, report_window
    from mlnb.tracking.run import track
    from mlnb.training.fit import fit
    from mlnb.training.importance import permuted

    workspace = make(root)
    with current_is(workspace.root):
        data = "demo:flights"
        frame = read_frame(data)
        target, time = choose_columns(frame, target="")
        with track("Train on January to March", kind="train", params={"data": data}) as run:
            run.data(frame, name="flights", source=data, target=target)
            trained = fit(frame, target=target, time=time)
            run.model(trained.pipeline, example=trained.train.head())
            leaned = permuted(trained, metric="log_loss", seed=0)
            run.profile(reference_profile(trained, frame, data=data, importances=leaned))
            run.log(report_training(trained, frame, data=data, metric="log_loss", importances=leaned))
        model = recall()
        with track("Evaluate on the weeks that were held out", kind="evaluate") as run:
            run.data(frame, name="flights", context="evaluation", source=data, target=target)
            run.log(report_evaluation(model, frame, data=data))
        for title, name in (("Monitor a quiet window", f"{data}/quiet"), ("Monitor July", f"{data}/july")):
            with track(title, kind="monitor", params={"data": name}) as run:
                window = read_frame(name)
                run.data(window, name=name.rpartition("/")[2], context="monitoring", source=name)
                run.log(report_window(model, frame, window, names=(data, name)))
    return workspace


def copy_lived(made: Workspace, root: Path) -> Workspace:
    """Copy a workspace that no process has open; the store keeps absolute paths, which are told anew."""
    shutil.copytree(made.root, root)
    with contextlib.closing(sqlite3.connect(root / ".mlnb" / "mlflow.db")) as connection:
        for table, column in TABLES.items():
            connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(made.root), str(root)))
        connection.commit()
    forget_places()
    return make(root)


def forget_places() -> None:
    """MLflow remembers where a run's files are by its id alone: of two workspaces with the same runs, the wrong one."""
    utils = sys.modules.get("mlflow.tracking._tracking_service.utils")
    if utils is not None:
        utils._artifact_repos_cache.clear()
