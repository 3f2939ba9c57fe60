"""Steps with real kernels: every way to end, each told apart, nothing left behind, the run's state true."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest
from helpers_work import GENEROUS, until

from mlnb.core.errors import ArgumentError, DataError, FileError, RefusedError, StepError
from mlnb.core.result import Report, Result, Status
from mlnb.core.workspace import Workspace
from mlnb.pipelines.processes import kill_orphans, marked, new_cookie
from mlnb.pipelines.run import run

PARAMETERS = "status: str = 'pass'\nplace: str = ''"
REPORT = """
from mlnb.core.result import Report, Result
from mlnb.pipelines.step import hand_over
found = Result(code="MLN-D001", title="KS distance", subject="temp", status=status, value=0.03, n=500, method="ks")
hand_over(Report(kind="drift", title="Temperature", summary="1 column", results=[found]))
"""
HAND = """
import os
from pathlib import Path
from mlnb.core.result import Report, Result
found = Result(code="MLN-D001", title="KS distance", subject="temp", status=status, value=0.03, n=500, method="ks")
Path(os.environ["MLNB_RESULT"]).write_text(Report(kind="drift", title="Temperature", results=[found]).to_json())
"""  # what `hand_over` leaves for the runner, without the seconds that MLflow takes to import
SWALLOW = """
import time
for _ in range(2):
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        pass
"""
START = """
import os, subprocess, sys
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"], start_new_session=True)
Path(place).with_suffix(".tmp").write_text(f"{os.getpid()} {child.pid} {os.getppid()}")
Path(place).with_suffix(".tmp").rename(place)
"""


def notebook(path: Path, *cells: str) -> Path:
    """A template; cells that begin with `#` are text."""
    nb = nbformat.v4.new_notebook()
    nb.cells = [nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
    for source in cells:
        make = nbformat.v4.new_markdown_cell if source.startswith("#") else nbformat.v4.new_code_cell
        nb.cells.append(make(textwrap.dedent(source).strip()))
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nb, path)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    from mlnb.core.workspace import make
    from mlnb.tracking.store import ensure_store

    workspace = make(tmp_path_factory.mktemp("run") / "ws")
    ensure_store(workspace)
    return workspace


def stored(home: Workspace, run_id: str):
    from mlnb.tracking.store import client

    return client(home).get_run(run_id)


def artifacts(home: Workspace, run_id: str) -> set[str]:
    from mlnb.tracking.store import client

    api = client(home)
    return {item.path for folder in ("notebook", "report", "error") for item in api.list_artifacts(run_id, folder)}


def statuses(path: Path) -> list[str]:
    cells = nbformat.read(path, 4).cells
    return [c.metadata.papermill.status for c in cells if c.cell_type == "code"]


def leftovers(home: Workspace) -> list[int]:
    """Processes of steps of this workspace."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MLNB_RESULT", "").startswith(str(home.folder)):
                found.append(process.pid)
        except psutil.Error:
            pass
    return found


LIMIT = {"timeout": 30}  # time enough for a kernel to start, four at once
CASES = {  # name → cells, options
    "good": (["# Look", REPORT], {"params": {"status": "pass"}}),
    "fail": ([HAND], {"status": "fail"}),
    "exit": (["# Leave", "import sys; sys.exit(0)", HAND], {}),
    "exit at the end": ([HAND, "exit()"], {}),
    "quit before": (["quit()", "import time; time.sleep(5)", HAND], {}),
    "died": (["# Fit", "import os; os._exit(0)", HAND], {}),
    "segmentation fault": (["import ctypes; ctypes.string_at(0)", HAND], {}),
    "no report": (["x = 1"], {}),
    "torn report": ([HAND, "Path(os.environ['MLNB_RESULT']).write_text('{')"], {}),
    "error": (["# Divide", "1 / 0", HAND], {}),
    "error after the report": ([REPORT, "raise ValueError('late')"], {}),
    "data error": (["from mlnb.core.errors import DataError\nraise DataError('no column x', 'Did you mean y?')"], {}),
    "refused": (["from mlnb.core.errors import RefusedError\nraise RefusedError('a lambda', 'Name it')"], {}),
    "own subclass": (
        ["from mlnb.core.errors import RefusedError\nclass Mine(RefusedError): pass\nraise Mine('no', 'Go')"],
        {},
    ),
    "time": (["# Wait", "import time; time.sleep(600)", HAND], LIMIT),
    "swallowed": (["# Wait", SWALLOW, HAND], LIMIT),
    "swallowed once": (["try:\n    __import__('time').sleep(600)\nexcept KeyboardInterrupt: pass", HAND], LIMIT),
    "locked": (["# Count", "sum(range(10**12))", HAND], LIMIT),
    "flood": (["for i in range(40): print('y' * 100_000, flush=True)", HAND], {}),
    "daemon": ([START, HAND], {}),
    "killed": (["# Wait", START, "import time; time.sleep(600)", HAND], {}),
}


@pytest.fixture(scope="module")
def outcomes(home, tmp_path_factory):
    """Each case is run once, four at a time."""
    folder = tmp_path_factory.mktemp("templates")
    events: dict[str, list] = {name: [] for name in CASES}

    def go(name):
        cells, options = CASES[name]
        marker = folder / f"{name}.pids"

        def progress(event):
            events[name].append(event)
            if name == "killed" and event["event"] == "cell" and event["cell"] == 4:
                step = int(marker.read_text().split()[2])
                os.kill(step, signal.SIGKILL)

        options = {"place": str(marker), **options} if "params" not in options else options
        return run(notebook(folder / f"{name}.ipynb", *cells), workspace=home, progress=progress, **options)

    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(CASES, pool.map(go, CASES), strict=True))
    return found, events, folder


EXPECTED = {  # name → exit status, beginning of the error, statuses of the code cells; the second is papermill's
    "good": (0, None, "ccc"),
    "fail": (1, None, "ccc"),
    "exit": (3, "the kernel was told to exit in cell 3 (Leave)", "ccfp"),
    "exit at the end": (0, None, "cccc"),
    "quit before": (3, "the kernel died in cell ", None),
    "died": (3, "the kernel died in cell 3 (Fit)", "ccfp"),
    "segmentation fault": (3, "the kernel died in cell 3", "ccfp"),
    "no report": (3, "no report handed over no report", "ccc"),
    "torn report": (3, "not a report:", "cccc"),
    "error": (3, "ZeroDivisionError in cell 3 (Divide): division by zero", "ccfp"),
    "error after the report": (3, "ValueError in cell 4: late", "cccf"),
    "data error": (3, "no column x. Did you mean y?", "ccf"),
    "refused": (5, "a lambda. Name it", "ccf"),
    "own subclass": (5, "Mine in cell 3: no. Go", "ccf"),
    "time": (3, "time ran out in cell 3 (Wait)", "ccfp"),
    "swallowed": (3, "time ran out in cell 3 (Wait)", "ccrp"),
    "swallowed once": (3, "time ran out in cell 4", "cccp"),
    "locked": (3, "time ran out in cell 3 (Count)", "ccrp"),
    "flood": (0, None, "cccc"),
    "daemon": (0, None, "cccc"),
    "killed": (3, "the step was killed in cell 4 (Wait)", None),
}


@pytest.mark.parametrize("name", CASES)
def test_how_it_ended(name, outcomes, home):
    outcome, (status, error, cells) = outcomes[0][name], EXPECTED[name]
    assert (str(outcome.error)[: len(error)] if error else outcome.error) == error
    assert outcome.exit_status == status
    assert (outcome.report is None) == (error is not None)
    kept = stored(home, outcome.run_id)
    assert kept.info.status == ("FAILED" if error else "FINISHED")
    options = CASES[name][1]
    assert kept.data.params["status"] == options.get("status", "pass") and set(kept.data.params) == {"status", "place"}
    if cells is not None:
        assert "".join(s[0] for s in statuses(outcome.notebook)) == cells
    if error:
        assert str(outcome.error) in kept.data.tags["mlnb.error"] and kept.data.tags["mlnb.status"] == "error"
        assert "\n" not in str(outcome.error) and outcome.error.hint


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_left_behind(name, outcomes, home):
    outcome = outcomes[0][name]
    whole = outcome.error is None or name not in ("swallowed", "locked", "killed")
    allowed = {"notebook.ipynb" if whole else "notebook.partial.ipynb", "step.log"}
    if outcome.error is None:
        allowed = {"notebook.ipynb", "report.json", "report.html"}
    assert {p.name for p in outcome.folder.iterdir()} <= allowed
    assert outcome.folder.is_relative_to(home.runs)
    assert not leftovers(home)


def test_files_hold_the_same_report(outcomes, home):
    from mlnb.tracking.store import client

    outcome = outcomes[0]["good"]
    assert Report.from_json((outcome.folder / "report.json").read_text()) == outcome.report
    place = client(home).download_artifacts(outcome.run_id, "report/report.json")
    assert Report.from_json(Path(place).read_text()) == outcome.report
    assert "0.03" in (outcome.folder / "report.html").read_text()
    assert artifacts(home, outcome.run_id) == {"notebook/good.ipynb", "report/report.json", "report/report.html"}
    shown = nbformat.read(outcome.notebook, 4).cells[-1].outputs[0].data["text/html"]
    assert "KS distance" in shown and "KS distance" in outcome._repr_html_()


def test_a_failure_shows_itself(outcomes, home):
    outcome = outcomes[0]["error"]
    assert "division by zero" in repr(outcome) and "division by zero" in outcome._repr_html_()
    assert str(outcome.notebook) in repr(outcome) and outcome.status is Status.ERROR
    from mlnb.tracking.store import client

    trace = Path(client(home).download_artifacts(outcome.run_id, "error/traceback.txt")).read_text()
    assert "1 / 0" in trace and "\x1b" not in trace
    assert artifacts(home, outcome.run_id) >= {"notebook/error.ipynb", "error/traceback.txt"}


def test_errors_keep_their_class_and_hint(outcomes):
    found = outcomes[0]
    assert type(found["data error"].error) is DataError and found["data error"].error.hint == "Did you mean y?"
    assert type(found["refused"].error) is RefusedError
    assert isinstance(found["own subclass"].error, RefusedError)
    assert type(found["died"].error) is StepError and found["died"].error.fields["cause"] == "died"


def test_a_limit_cuts_off_the_cell_that_runs(outcomes):
    for name in ("time", "swallowed", "locked"):
        begun = [event["cell"] for event in outcomes[1][name] if event["event"] == "cell"]
        done = [event["cell"] for event in outcomes[1][name] if event.get("status") == "completed"]
        assert begun == [1, 2, 3] and done == [1, 2], name
        assert outcomes[0][name].error.fields["cause"] == "timeout", name


def test_events_name_cells_and_headings(outcomes):
    events = outcomes[1]["good"]
    begun = [(event["cell"], event["cells"], event["heading"]) for event in events if event["event"] == "cell"]
    assert begun == [(1, 3, ""), (2, 3, ""), (3, 3, "Look")]
    assert all(event["status"] == "completed" for event in events if event["event"] == "done")


def test_metadata_tells_neither_paths_nor_values(outcomes, home):
    for name in ("good", "error", "swallowed"):
        outcome = outcomes[0][name]
        metadata = json.dumps(nbformat.read(outcome.notebook, 4).metadata)
        assert str(home.root.parent) not in metadata and str(outcomes[2]) not in metadata
        assert set(json.loads(metadata)["papermill"]) >= {"parameters_digest", "start_time", "exception"}
        assert not {"parameters", "default_parameters", "input_path", "output_path", "environment_variables"} & set(
            json.loads(metadata)["papermill"]
        )


def test_a_flood_is_cut(outcomes):
    assert 900_000 < outcomes[0]["flood"].notebook.stat().st_size < 1_300_000


def test_what_a_cell_left_running_is_ended(outcomes):
    for name in ("daemon", "killed"):
        pids = [int(pid) for pid in (outcomes[2] / f"{name}.pids").read_text().split()]
        assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)


BAD = [
    ({"status": 5}, "parameter 'status' must be str"),
    ({"staus": "x"}, "Did you mean 'status'?"),
    ({"params": {"status": "pass"}, "status": "fail"}, "given twice"),
    ({"params": {"x = 1\nopen('pwned', 'w')\ny": 1}}, "not a parameter's name"),
    ({"params": ["status"]}, "not a dictionary"),
    ({"timeout": 0}, "not a number of seconds"),
    ({"timeout": float("nan")}, "not a number of seconds"),
    ({"timeout": "5"}, "not a number of seconds"),
    ({"out": "x.ipynb"}, "not a folder"),
    ({"out": "a\0b"}, "not a folder"),
    ({"name": "a\nb"}, "cannot be a run's name"),
    ({"name": "x" * 300}, "cannot be a run's name"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[m for _, m in BAD])
def test_wrong_use_records_nothing(options, message, home, tmp_path):
    from mlnb.tracking.store import client, experiment_id

    def count():
        return len(client(home).search_runs([experiment_id(client(home), home)]))

    before, folders = count(), sorted(home.runs.glob("*")) if home.runs.exists() else []
    with pytest.raises(ArgumentError, match=message) as e:
        run(notebook(tmp_path / "x.ipynb", REPORT), workspace=home, **options)
    assert e.value.exit_status == 2 and "\n" not in str(e.value)
    assert count() == before and (sorted(home.runs.glob("*")) if home.runs.exists() else []) == folders


def test_out_and_strange_names(home, tmp_path):
    path = notebook(tmp_path / "{status} a'b;é\n.ipynb", REPORT)
    outcome = run(path, workspace=home, out=tmp_path / "{x} out", name="Nightly")
    assert outcome.folder == tmp_path / "{x} out" and outcome.error is None
    assert {p.name for p in outcome.folder.iterdir()} == {"notebook.ipynb", "report.html", "report.json"}
    assert stored(home, outcome.run_id).info.run_name == "Nightly"


def test_a_folder_that_cannot_be_written_fails_the_run(home, tmp_path):
    (tmp_path / "file").write_text("")
    outcome = run(notebook(tmp_path / "x.ipynb", REPORT), workspace=home, out=tmp_path / "file" / "below")
    assert isinstance(outcome.error, FileError) and outcome.exit_status == 3 and outcome.notebook is None
    assert stored(home, outcome.run_id).info.status == "FAILED"


def test_a_template_that_changes_meanwhile_is_not_run(home, tmp_path, monkeypatch):
    from mlnb.pipelines import run as module

    path, execute = notebook(tmp_path / "x.ipynb", REPORT), module.execute
    monkeypatch.setattr(module, "execute", lambda *a: (path.write_text(path.read_text() + "\n"), execute(*a))[1])
    outcome = run(path, workspace=home)
    assert "was changed" in str(outcome.error) and stored(home, outcome.run_id).info.status == "FAILED"


def test_a_progress_function_that_breaks_ends_the_run(home, tmp_path):
    def progress(event):
        raise RuntimeError("broken bar")

    with pytest.raises(RuntimeError, match="broken bar"):
        run(notebook(tmp_path / "x.ipynb", "import time; time.sleep(60)"), workspace=home, progress=progress)
    assert not leftovers(home)


def runner(home: Workspace, path: Path, **options) -> subprocess.Popen:
    code = f"from mlnb.pipelines.run import run; raise SystemExit(run({str(path)!r}, **{options!r}).exit_status)"
    env = {**os.environ, "MLNB_WORKSPACE": str(home.root), "TMPDIR": str(path.parent), "MLNB_RUN__SAVE_EVERY": "0.2"}
    env = {name: value for name, value in env.items() if not name.startswith(("IPYTHON", "JUPYTER"))}
    env["HOME"] = str(path.parent)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=path.parent,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore Ctrl-C
    )


def newest(home: Workspace):
    from mlnb.tracking.store import client, experiment_id

    return client(home).search_runs([experiment_id(client(home), home)], order_by=["attributes.start_time DESC"])[0]


def test_nothing_is_printed_and_nothing_left_in_the_temporary_folder(home, tmp_path):
    (tmp_path / "papermill.py").write_text("raise SystemExit('imported from the working directory')")
    process = runner(home, notebook(tmp_path / "x.ipynb", "import warnings; warnings.warn('w')", REPORT))
    assert process.communicate(timeout=120) == ("", "") and process.returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "__pycache__") == ["papermill.py", "x.ipynb"]


@pytest.mark.parametrize(("number", "returned"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_a_signal_to_the_runner_fails_the_run(home, tmp_path, number, returned):
    waits = "import time; Path(place).with_suffix('.waits').touch(); time.sleep(600)"
    process = runner(home, notebook(tmp_path / "x.ipynb", START, waits, REPORT), place=str(tmp_path / "pids"))
    until((tmp_path / "pids.waits").exists)
    process.send_signal(number)
    process.communicate(timeout=GENEROUS)
    assert process.returncode == returned and not leftovers(home)
    kept = newest(home)
    assert kept.info.status == "FAILED" and "stopped by" in kept.data.tags["mlnb.error"]
    assert artifacts(home, kept.info.run_id) == {"notebook/x.partial.ipynb", "error/traceback.txt"}
    assert not list(tmp_path.glob("mlnb-*"))


def partial_of(home: Workspace) -> Path:
    """The unfinished notebook of the newest run."""
    [found] = home.runs.glob(f"*_{newest(home).info.run_id[:8]}/.*.notebook.partial.ipynb")
    return found


def kill_runner(home: Workspace, folder: Path, ready) -> None:
    """Kill a runner without warning; everything it started goes, and its run is reaped."""
    from mlnb.tracking.writing import reap

    path = notebook(folder / "x.ipynb", START, "sum(range(10**12))", REPORT)
    process = runner(home, path, place=str(folder / "pids"))
    until((folder / "pids").exists)
    ready()
    kept = home.runs.glob(f"*_{newest(home).info.run_id[:8]}/.*.notebook.partial.ipynb")
    process.kill()
    process.communicate()
    until(lambda: not leftovers(home))
    assert newest(home).info.status == "RUNNING"
    reap(home)
    assert newest(home).info.status == "KILLED"
    assert all(len(nbformat.read(partial, 4).cells) == 5 for partial in kept)


def test_a_killed_runner_leaves_nothing_alive(home, tmp_path):
    seen = ["completed", "completed", "completed", "running", "pending"]
    kill_runner(home, tmp_path, lambda: until(lambda: statuses(partial_of(home)) == seen))
    assert statuses(partial_of(home)) == seen


@pytest.mark.long
@pytest.mark.parametrize("attempt", range(20))
def test_runners_killed_at_any_moment(home, tmp_path, attempt):
    kill_runner(home, tmp_path, lambda: time.sleep(attempt * 0.05))
    outcome = run(notebook(tmp_path / "y.ipynb", REPORT), workspace=home)
    assert outcome.error is None and not leftovers(home)


def test_orphans_are_told_from_the_living(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", "from mlnb.pipelines.processes import new_cookie; print(new_cookie('a')['MLNB_OWNER'])"],
        capture_output=True,
        text=True,
        check=True,
    )
    mine, theirs = new_cookie("b" * 32), {**new_cookie("c" * 32), "MLNB_OWNER": ended.stdout.strip()}
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    living, orphan = (subprocess.Popen(sleep, env={**os.environ, **cookie}) for cookie in (mine, theirs))
    until(lambda: marked(mine["MLNB_RUN"]) and marked(theirs["MLNB_RUN"]))
    assert kill_orphans() == 1 and orphan.wait(GENEROUS) == -signal.SIGKILL and living.poll() is None
    living.kill()
    living.wait()


def test_plain_papermill_with_our_engine(tmp_path):
    """What a user gets who never heard of `mlnb run`."""
    check = "from mlnb.pipelines.template import check_parameters\ncheck_parameters()"
    path = notebook(tmp_path / "x.ipynb", check, REPORT)
    papermill = [str(Path(sys.executable).with_name("papermill")), "--engine", "mlnb", "--no-progress-bar"]
    env = {**os.environ, "MLNB_WORKSPACE": str(tmp_path)}

    def go(*options):
        command = [*papermill, str(path), str(tmp_path / "out.ipynb"), *options]
        return subprocess.run(command, env=env, capture_output=True, text=True, cwd=tmp_path)

    good = go("-p", "status", "warn")
    assert good.returncode == 0 and statuses(tmp_path / "out.ipynb") == ["completed"] * 4
    for options, message in ((("-p", "staus", "x"), "Did you mean 'status'?"), (("-p", "status", "5"), "must be str")):
        bad = go(*options)
        assert bad.returncode != 0 and message in bad.stderr
        assert statuses(tmp_path / "out.ipynb") == ["completed", "completed", "failed", "pending"]
    assert not list(tmp_path.glob(".*partial*"))


def test_engine_ends_a_cell_at_papermills_own_limit(tmp_path):
    path = notebook(tmp_path / "x.ipynb", "import time; time.sleep(600)", "x = 1")
    papermill = [str(Path(sys.executable).with_name("papermill")), "--engine", "mlnb", "--no-progress-bar"]
    command = [*papermill, "--execution-timeout", "10", str(path), str(tmp_path / "out.ipynb")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert ended.returncode != 0 and "time ran out in cell 2" in ended.stderr
    assert statuses(tmp_path / "out.ipynb") == ["completed", "failed", "pending"]


def test_a_kernel_that_does_not_start_is_tried_once_more(monkeypatch):
    from mlnb.pipelines import engine

    start, tried = engine._start, []

    async def fragile(manager, seconds):
        tried.append(manager)
        if len(tried) == 1:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return await start(manager, seconds)

    async def use():
        async with engine.kernel("python3") as (manager, _):
            assert manager.transport == ("ipc" if os.name == "posix" else "tcp")
            return Path(manager.connection_file).parent, await manager.is_alive()

    monkeypatch.setattr(engine, "_start", fragile)
    folder, alive = asyncio.run(use())
    assert alive and len(tried) == 2 and not folder.parent.exists()


def test_four_runners_in_a_fresh_workspace(bare_workspace, tmp_path):
    from mlnb.tracking.store import client, experiment_id

    processes = [runner(bare_workspace, notebook(tmp_path / f"x{i}.ipynb", REPORT), status="pass") for i in range(4)]
    assert [p.communicate(timeout=240) for p in processes] == [("", "")] * 4
    api = client(bare_workspace)
    runs = api.search_runs([experiment_id(api, bare_workspace)])
    assert [r.info.status for r in runs] == ["FINISHED"] * 4
    assert all(len(artifacts(bare_workspace, r.info.run_id)) == 3 for r in runs)


def test_reports_are_made_of_failures_too():
    from mlnb.pipelines.run import StepOutcome

    outcome = StepOutcome("x", "0" * 32, Path(), None, None, StepError("<b>died</b>", "Try again"), 1.0)
    assert outcome.shown.status is Status.ERROR and "<b>died" not in outcome._repr_html_() and not outcome.ok
    found = Result(code="MLN-D001", title="KS", status=Status.TODO)
    outcome = StepOutcome("x", "0" * 32, Path(), None, Report(kind="drift", title="T", results=(found,)), None, 1.0)
    assert outcome.exit_status == 4 and outcome.status is Status.TODO
