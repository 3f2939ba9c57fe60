"""A tracking store for each test without its migrations: built once, copied, and told where it lies now."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

from mlnb.core.workspace import Workspace, make
from mlnb.tracking.store import artifact_folder

STORE = "mlflow.db"


def copy_store(built: Path, root: Path) -> Workspace:
    """Make `root` a workspace with a copy of the store of the workspace `built`, which no process has open."""
    workspace = make(root)
    target = workspace.folder / STORE
    shutil.copyfile(Path(built) / ".mlnb" / STORE, target)
    with contextlib.closing(sqlite3.connect(target)) as connection:
        for (name,) in connection.execute("SELECT name FROM experiments").fetchall():
            place = str(artifact_folder(workspace, name))
            connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", (place, name))
        connection.commit()
    return workspace
