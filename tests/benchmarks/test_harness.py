from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import run
from harness import Disagreement, Result, alternate, check, spread
from memory import peak_memory

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULT = Result("a", "b", "c", "x", 2.0, 1.5, 3.0, ">= 2", "equal", "note", "Some CPU, threads: 2")


def test_peer_and_ours_alternate():
    called: list[str] = []
    functions = [lambda: called.append("peer"), lambda: called.append("ours")]
    seconds = alternate(functions, rounds=3)
    assert seconds.shape == (3, 2) and (seconds > 0).all()
    assert called == ["peer", "ours"] * 4  # one round warms up


def test_spread_is_median_and_quartiles():
    assert spread(np.array([5.0, 1.0, 2.0, 4.0, 3.0])) == {"ratio": 3.0, "q1": 2.0, "q3": 4.0}


@pytest.mark.parametrize(
    ("target", "met"), [(">= 2", True), (">= 2.1", False), ("<= 2", True), ("<= 1.9", False)]
)
def test_target_is_compared_with_the_median(target, met):
    result = replace(RESULT, target=target)
    assert result.met == met
    assert ("MISSED" in str(result)) == (not met)


def test_what_does_not_agree_has_no_speed():
    assert check("difference", 1e-9, 1e-8) == "difference 1.0e-09"
    for bad in (2e-8, float("nan")):
        with pytest.raises(Disagreement, match="expected at most 1e-08"):
            check("difference", bad, 1e-8)


def test_peak_memory_is_of_the_work_alone(tmp_path, monkeypatch):
    (tmp_path / "allocating.py").write_text(
        "import numpy as np\n"
        "def allocate(before, during):\n"
        "    dropped = [bytearray(1 << 16) for _ in range(before >> 16)]\n"
        "    held = np.ones(before, np.uint8)\n"
        "    pins = [bytearray(1 << 16) for _ in range(9)]\n"
        "    return lambda: len(held) + len(pins) + np.ones(during, np.uint8).sum()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from allocating import allocate

    assert peak_memory(allocate, 1 << 26, 1 << 25) == pytest.approx(1 << 25, rel=0.05)


def test_a_script_runs_alone_and_its_table_is_made_of_what_it_writes(tmp_path):
    script = tmp_path / "tiny.py"
    script.write_text(
        "import os, torch\n"
        "from harness import main, Result\n"
        "def measure(device):\n"
        "    assert torch.get_num_threads() == 1 and os.environ['OMP_NUM_THREADS'] == '1'\n"
        "    return [Result('tiny', 'p', 'o', 'x', 9., 8., 10., '>= 3', 'equal', 'n', 'CPU')]\n"
        "if __name__ == '__main__':\n"
        "    main(measure)\n"
    )
    out = tmp_path / "results.json"
    command = [sys.executable, str(script), "--threads=1", f"--json={out}"]
    environ = {"PYTHONPATH": str(BENCHMARKS), "OMP_NUM_THREADS": "2"}
    said = subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout
    assert said.startswith("tiny: 9 x (quartiles 8 to 10; target >= 3: met)")
    (result,) = json.loads(out.read_text())
    assert (result["ratio"], result["met"]) == (9.0, True)
    *_, row, _, stopped = run.table([result], ["other"]).splitlines()
    assert row == "| **tiny**: `o` against p | 9 | 8 to 10 | x | ≥ 3 | yes | equal | n |"
    assert stopped == "Stopped without a result: other."


def test_a_script_that_stops_has_no_result(tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text("raise SystemExit('they do not agree')")
    monkeypatch.setattr(run, "HERE", tmp_path)
    assert run.run("wrong", 1) == []


def test_every_quick_script_is_there():
    assert all((BENCHMARKS / f"{name}.py").is_file() for name in run.QUICK)
