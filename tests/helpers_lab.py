"""JupyterLab as a person uses it: one server with folders of its own, notebooks opened in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from helpers_work import GENEROUS, free_port

TOKEN = "only-for-tests"
SETTINGS = {
    "apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false"},
    "docmanager-extension/plugin.jupyterlab-settings": {"autosave": False},
}
READY = """() => {
    const panel = window.jupyterapp?.shell.currentWidget, kernel = panel?.sessionContext?.session?.kernel;
    return Boolean(panel?.content?.widgets && kernel?.connectionStatus === "connected" && kernel.status === "idle");
}"""
DONE = """() => {
    const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter((c) => c.model.type === "code");
    return cells.every((c) => !c.model.sharedModel.source || (c.model.executionCount !== null && c.prompt !== "*"));
}"""
FORGET = """() => {
    for (const cell of window.jupyterapp.shell.currentWidget.content.widgets)
        if (cell.model.type === "code") cell.model.executionCount = null;
}"""

ITEM = """
[[items]]
code = "TEAM-{i}"
key = "question_{i}"
title = "Has somebody looked at question number {i} of this list?"
why = "A question that is not asked is not answered, and that shows only when the model serves somebody."
sign = true
"""
HUNDRED = 'title = "Hundred"\nversion = 1\n' + "".join(ITEM.format(i=i) for i in range(100))  # a checklist
ROUND_TRIP = """key => new Promise((done) => {
    const form = document.querySelector(".live form"), live = document.querySelector(".live > div");
    form.elements.namedItem("name").value = "Ada"; form.elements.namedItem("role").value = "QA";
    let drawn = 0;
    new MutationObserver((_, observer) => {
        drawn += 1;
        if (live.querySelector(`li[data-key=${key}]`)?.dataset.s !== "pass") return;
        observer.disconnect(); done(drawn);
    }).observe(live, { childList: true });
    form.querySelector("button").click();
})"""  # how often all is drawn from the click of an open form to the item that is signed


class Lab:
    """A server whose configuration, runtime files and notebooks lie in one folder."""

    def __init__(self, folder: Path, workspace: Path) -> None:
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir(parents=True)
        for name, values in SETTINGS.items():
            file = folder / "settings" / "@jupyterlab" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        places = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
            "MPLCONFIGDIR": "matplotlib",
            "XDG_CACHE_HOME": "cache",
        }
        own = {k: str(folder / v) for k, v in places.items()}
        self.environment = os.environ | own | {"MLNB_WORKSPACE": str(workspace)}
        self.start()

    def start(self) -> None:
        """Start the server on a port that nobody has."""
        self.port = free_port()
        argv = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
            f"--port={self.port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.notebooks}",
            f"--IdentityProvider.token={TOKEN}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.extension_manager=readonly",
            "--KernelManager.shutdown_wait_time=1",
        ]
        with (self.folder / "server.log").open("w") as log:
            self.process = subprocess.Popen(argv, env=self.environment, stdout=log, stderr=log, start_new_session=True)

    def wait(self, seconds: float = 4 * GENEROUS) -> None:
        """Until the server answers; where somebody took the port before it did, it is started on another."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._ask("status")
                return
            except OSError:
                ended, said = self.process.poll() is not None, (self.folder / "server.log").read_text()
                if time.monotonic() > deadline or (ended and f"port {self.port} is " not in said):
                    raise RuntimeError(said[-3000:]) from None
                if ended:
                    self.start()
                time.sleep(0.1)

    def stop(self) -> None:
        """End the server and the kernels that it started."""
        for kernel in self.kernels():
            _end(kernel, signal.SIGKILL)
        _end(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(GENEROUS)
        except subprocess.TimeoutExpired:
            _end(self.process.pid, signal.SIGKILL)
            self.process.wait(GENEROUS)

    def forget(self) -> None:
        """Shut all kernels down, so that none is left for the next notebook."""
        for session in json.loads(self._ask("sessions")):
            self._ask(f"sessions/{session['id']}", "DELETE")

    def _ask(self, what: str, how: str = "GET") -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/{what}?token={TOKEN}", method=how)
        with urllib.request.urlopen(request, timeout=GENEROUS) as reply:
            return reply.read()

    def kernels(self) -> list[int]:
        """Process ids of the kernels; each leads a group of its own."""
        import psutil

        found = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        return [p.pid for p in found if "ipykernel_launcher" in " ".join(_command(p))]

    def write(self, name: str, *cells: str) -> Path:
        """Write a notebook of code cells."""
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        content = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": kernel},
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{i}",
                    "metadata": {},
                    "source": text,
                    "outputs": [],
                    "execution_count": None,
                }
                for i, text in enumerate(cells)
            ],
        }
        path = self.notebooks / name
        path.write_text(json.dumps(content))
        return path

    def open(self, page, name: str, *, kernel: bool = True) -> None:
        """Open a notebook in a fresh JupyterLab and wait until it can be used."""
        page.goto(f"http://127.0.0.1:{self.port}/lab/tree/{name}?reset&token={TOKEN}")
        page.wait_for_function(
            READY if kernel else READY.partition("kernel?.")[0] + "true); }", timeout=3000 * GENEROUS
        )
        page.keyboard.press("Escape")

    def run(self, page, seconds: float = 3 * GENEROUS) -> None:
        """Run all cells and wait until the last has ended."""
        page.evaluate(FORGET)
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        page.wait_for_function(DONE, timeout=seconds * 1000)

    def restart(self, page) -> None:
        """Restart the kernel, as the menu does after its question."""
        page.evaluate(
            """() => { const s = window.jupyterapp.shell.currentWidget.sessionContext;
                window.restarted = false; s.restartKernel().then(() => { window.restarted = true; }); }"""
        )
        page.wait_for_function("() => window.restarted", timeout=1000 * GENEROUS)
        page.wait_for_function(READY, timeout=1000 * GENEROUS)

    def save(self, page) -> None:
        """Save the notebook."""
        page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")


def _command(process) -> list[str]:
    import psutil

    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _end(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(os.getpgid(pid), how)
