"""Machine code on disk: whatever processes do at the same time, nobody runs the code of something else."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core.caching import IndexDataCacheFile

from mlnb import drifting
from mlnb.data import kernels_cpu
from mlnb.data.kernels_cpu import _Kept


def overtaken(kind: type, folder: Path) -> IndexDataCacheFile:
    """Two processes that saw an empty index save two layouts at the same time."""

    class Late(kind):
        def _load_index(self):
            return {}

    class First(kind):
        def _save_index(self, overloads):
            super()._save_index(overloads)
            Late(str(folder), "loop", "stamp").save("int8", "code for int8")

    First(str(folder), "loop", "stamp").save("int64", "code for int64")
    return kind(str(folder), "loop", "stamp")


def test_two_processes_that_save_at_the_same_time(tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    assert overtaken(IndexDataCacheFile, plain).load("int8") == "code for int64"  # what happens without
    kept = overtaken(_Kept, tmp_path)
    assert kept.load("int8") == "code for int8" and kept.load("int64") in (None, "code for int64")
    kept.save("int64", "code for int64")
    assert [kept.load(key) for key in ("int8", "int64")] == ["code for int8", "code for int64"]


def test_new_source_never_runs_old_code(tmp_path):
    old, new = (_Kept(str(tmp_path), "loop", stamp) for stamp in ("old", "new"))
    old.save("int8", "old code")
    assert new.load("int8") is None
    new.save("int8", "new code")
    assert new.load("int8") == "new code" and old.load("int8") is None


def test_code_of_older_sources_is_removed_in_time(tmp_path):
    for i, stamp in enumerate(("old", "new", "newer")):
        _Kept(str(tmp_path), "loop", stamp).save("int8", f"{stamp} code")
        assert len(list(tmp_path.glob("*.nbc"))) == (1, 2, 1)[i]
        if i == 1:
            for file in tmp_path.glob("*.nbc"):
                os.utime(file, (0, 0))


@pytest.mark.parametrize("ending", [".nbc", ".nbi"])
def test_damaged_files_are_compiled_again(tmp_path, ending):
    kept = _Kept(str(tmp_path), "loop", "stamp")
    kept.save("int8", "code")
    (file,) = tmp_path.glob(f"*{ending}")
    whole = file.read_bytes()
    for content in (b"", whole[:-3], b"x" + whole[1:], whole[:-2] + b"x."):
        file.write_bytes(content)
        assert kept.load("int8") is None
    file.unlink()
    assert kept.load("int8") is None
    kept.save("int8", "code")
    assert kept.load("int8") == "code"


def test_a_full_disk_is_no_reason_to_stop(tmp_path, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_Kept, "_open_for_write", full)
    _Kept(str(tmp_path), "loop", "stamp").save("int8", "code")
    assert not list(tmp_path.iterdir())
    assert _Kept(str(tmp_path / "gone"), "loop", "stamp").load("int8") is None


def test_every_loop_is_kept_so():
    folders = Path(drifting.__file__).parent.glob("kernels_cpu*.py")
    modules = [kernels_cpu, *(importlib.import_module(f"mlnb.drifting.{file.stem}") for file in folders)]
    found = [loop for module in modules for loop in vars(module).values() if getattr(loop, "_cache", None)]
    kept = [loop for loop in found if hasattr(loop._cache, "_cache_file")]
    assert len(kept) > 8 and all(type(loop._cache._cache_file) is _Kept for loop in kept)
    assert all(module.compiled is kernels_cpu.compiled for module in modules if hasattr(module, "compiled"))


LOOPS = """
import sys
import numpy as np
from mlnb.data.kernels_cpu import count_codes, sealed
turn = int(sys.argv[1])
types = [np.int8, np.int16, np.int32, np.int64]
for dtype in types[turn:] + types[:turn]:
    top = 100 * (1 + types.index(dtype)) % 127
    codes = (np.arange(1000) % (top + 1)).astype(dtype)
    found = count_codes(sealed(codes), top + 1)
    assert found.tolist() == [0, *np.bincount(codes, minlength=top + 1)], dtype
print(sum(count_codes.stats.cache_hits.values()))
"""


def test_cold_processes_started_together(tmp_path):
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", LOOPS]

    def start(turn: int) -> subprocess.Popen[str]:
        return subprocess.Popen([*command, str(turn)], env=environ, stdout=subprocess.PIPE, text=True)

    for turns in (range(4), [0], [1]):
        runs = [start(turn) for turn in turns]
        told = [run.communicate(timeout=120)[0].strip() for run in runs]
        assert [run.returncode for run in runs] == [0] * len(runs)
    assert told == ["4"]  # what was lost in the race was compiled by the first after it


def test_code_is_made_anew_when_a_loop_it_contains_changes(tmp_path):
    """A loop of one module is compiled into those of another, whose own file stays as it was."""
    for name in ("", "low", "high"):
        (tmp_path / "rooms" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "rooms" / name / "__init__.py").touch()
    head = "from mlnb.data.kernels_cpu import compiled\n"
    outer = "from rooms.low.kernels_cpu import inner\n@compiled\ndef outer(x):\n    return inner(x)\n"
    (tmp_path / "rooms/high/kernels_cpu.py").write_text(head + outer)
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    environ["PYTHONDONTWRITEBYTECODE"] = "1"  # Python tells its own by length and whole seconds: they may be the same
    code = "from rooms.high.kernels_cpu import outer; print(outer(1))"
    for number in (10, 20):
        (tmp_path / "rooms/low/kernels_cpu.py").write_text(f"{head}@compiled\ndef inner(x):\n    return x + {number}\n")
        run = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == str(1 + number)
