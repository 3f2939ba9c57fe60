"""The command line: the third twin. Its report is the function's, its exit status the report's."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from test_magics import without_time

import mlnb
from mlnb import cli
from mlnb.core.names import find
from mlnb.core.result import Report
from mlnb.core.twins import describe


@pytest.fixture
def files(bare_workspace):
    rng = np.random.default_rng(0)
    winter = pd.DataFrame({"temp": rng.normal(2, 5, 400), "sky": rng.choice(["clear", "rain"], 400)})
    winter.to_csv("winter.csv", index=False)
    winter.assign(temp=winter["temp"] + 20).to_csv("july.csv", index=False)
    winter.sample(frac=1, random_state=0).to_csv("again.csv", index=False)
    return bare_workspace


def ends(argv, capsys):
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    shown = capsys.readouterr()
    return ended.value.code, shown.out, shown.err


def test_drift_is_the_function_s(files, capsys):
    code, out, err = ends(["drift", "winter.csv", "july.csv", "--columns", "temp", "--format", "json"], capsys)
    assert (code, err) == (1, "")
    assert without_time(Report.from_json(out)) == without_time(mlnb.drift("winter.csv", "july.csv", columns="temp"))


def test_options_of_every_kind(files, capsys):
    assert ends(["drift", "winter.csv", "again.csv"], capsys)[0] == 0
    lax = ["-p", "ks_critical=1", "-p", "psi_critical=99", "-p", "drifted_share=0.9"]
    assert ends(["drift", "winter.csv", "july.csv", *lax], capsys)[0] == 0
    assert ends(["drift", "winter.csv", "july.csv", "--methods=js"], capsys)[0] == 1
    code, out, _ = ends(
        ["check", "MLN-D001", "winter.csv", "july.csv", "--columns", "temp", "--format", "json"], capsys
    )
    assert code == 1 and {r["code"] for r in json.loads(out)["results"]} == {"MLN-D001"}
    code, out, _ = ends(["check"], capsys)
    assert code == 0 and "MLN-E001" in out
    code, out, _ = ends(["runs", "--limit", "3"], capsys)
    assert code == 0 and "No runs" in out


@pytest.mark.parametrize("suffix", [".html", ".json", ".md", ".txt"])
def test_out_writes_the_report_whole(suffix, files, capsys):
    code, out, _ = ends(["drift", "winter.csv", "july.csv", "--out", f"deep/er/report{suffix}"], capsys)
    text = (files.root / "deep" / "er" / f"report{suffix}").read_text()
    assert code == 1 and "MLN-D001" in text and "drifted" in out
    assert [p.name for p in (files.root / "deep" / "er").iterdir()] == [f"report{suffix}"]


def test_a_form_that_a_profile_does_not_have_is_one_line(files, capsys):
    code, out, err = ends(["profile", "winter.csv", "--format", "md"], capsys)
    assert (code, out) == (2, "") and err == "mlnb: a profile is not printed as md. --out NAME.json keeps it\n"
    code, out, _ = ends(["profile", "winter.csv", "--format", "json"], capsys)
    assert code == 0 and out.startswith('{"format":"mlnb-profile"')


@pytest.mark.parametrize("name", cli.VERBS)
def test_help_explains_every_parameter(name, capsys):
    code, out, err = ends([name, "--help"], capsys)
    assert (code, err) == (0, "")
    for p in describe(find(name)):
        assert p.kind in ("several", "extra") or p.name.replace("_", "-") in out.replace("_", "-"), p.name


def test_python_m_mlnb_and_its_status(files):
    done = subprocess.run(
        [sys.executable, "-m", "mlnb", "drift", "winter.csv", "nope.csv"], capture_output=True, text=True
    )
    assert done.returncode == 3 and done.stdout == "" and len(done.stderr.splitlines()) == 1


def test_a_crash_is_one_line_and_can_be_looked_into(files, capsys, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("mlnb.drifting.engine.open_side", broken)
    code, _, err = ends(["drift", "winter.csv", "july.csv"], capsys)
    assert code == 3 and err == "mlnb: ZeroDivisionError: division by zero. Set MLNB_DEBUG=1 to see where\n"
    monkeypatch.setenv("MLNB_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["drift", "winter.csv", "july.csv"])


def test_a_closed_pipe_is_no_error(files):
    line = [sys.executable, "-m", "mlnb", "drift", "winter.csv", "july.csv"]
    reader = subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    writer = subprocess.run(line, stdout=reader.stdin, stderr=subprocess.PIPE, text=True)
    assert "Traceback" not in writer.stderr and "BrokenPipe" not in writer.stderr
    reader.communicate()


def test_every_form_of_what_is_no_report(lived, capsys):
    code, out, _ = ends(["runs", "--limit", "2", "--format", "json"], capsys)
    listed = json.loads(out)
    assert (
        code == 0
        and [set(row) >= {"run_id", "name", "kind", "started", "status", "metrics"} for row in listed] == [True] * 2
    )
    whole = mlnb.runs(limit=2)
    assert [row["run_id"] for row in listed] == [row.run_id for row in whole]
    assert listed[0]["metrics"] == whole[0].metrics and listed[0]["started"] == whole[0].started.isoformat()
    _, out, _ = ends(["runs", "--format", "md"], capsys)
    assert out.startswith("## 4 runs") and out.count("\n| ") == 6
    _, out, _ = ends(["runs", "--format", "html"], capsys)
    assert out.lower().startswith("<!doctype html>") and "<table" in out
    for line in (["check"], ["checklist"], ["checklist", "rigour"], ["card"], ["doctor"], ["audit"]):
        _, out, err = ends([*line, "--format", "json"], capsys)
        assert json.loads(out), (line, err)
    _, out, _ = ends(["publish", "--to", "pages", "--format", "json"], capsys)
    assert json.loads(out)["folder"].endswith("pages")
    code, out, err = ends(["publish", "--to", "pages", "--format", "md"], capsys)
    assert (code, out) == (2, "") and err == "mlnb: the result is not printed as md. Leave --format away\n"
