"""Two jobs never train one segment: on one machine, and on two that share a file system."""

from __future__ import annotations

import errno
import fcntl
import json
import subprocess
import sys
import threading

import pytest

from zsl.errors import TrainingError
from zsl.training import lock as module
from zsl.training.lock import Lock, locked


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.02)
    monkeypatch.setattr(module, "PATIENCE", 0.4)


def as_another_machine(path, **holder):
    """Leave in the file what a job on another machine writes."""
    path.write_text(json.dumps({"host": "node17", "pid": 4, "job": "1234", "beat": 3, **holder}))


HOLD = """
import sys
from pathlib import Path
from zsl.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_of_this_machine_is_refused_and_may_enter_afterwards(tmp_path, caplog):
    path, pipe = tmp_path / "lock", subprocess.PIPE
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        refused = pytest.raises(TrainingError, match=rf"process {holder.pid} on .* is training")
        with refused, locked(path):
            pass
        holder.kill()  # leaves its name behind, but not the system's lock
    assert json.loads(path.read_text())["pid"] == holder.pid
    with locked(path):
        pass
    assert path.read_text() == ""
    assert "watching" not in caplog.text


def test_a_living_job_on_another_machine_is_left_alone(tmp_path):
    path, beats, done = tmp_path / "lock", iter(range(10**6)), threading.Event()

    def live():
        while not done.wait(0.02):
            as_another_machine(path, beat=next(beats))

    as_another_machine(path)
    other = threading.Thread(target=live)
    other.start()
    refused = pytest.raises(TrainingError, match=r"SLURM job 1234 on node17 is training this seg")
    with refused, locked(path):
        pass
    done.set()
    other.join()


@pytest.mark.parametrize("text", [None, '{"host": "node17", "pi'], ids=["silent", "cut off"])
def test_one_that_is_silent_is_gone(tmp_path, caplog, text):
    path = tmp_path / "lock"
    as_another_machine(path)
    if text:
        path.write_text(text)
    with locked(path) as lock:
        assert json.loads(path.read_text())["pid"] == lock.owner["pid"]
    assert "gave no sign of life; taking over" in caplog.text


def test_the_holder_shows_signs_of_life(tmp_path):
    path = tmp_path / "lock"
    with locked(path):
        first = json.loads(path.read_text())
        while (later := json.loads(path.read_text() or "{}")) == first:
            pass
        assert later == {**first, "beat": later["beat"]} and later["beat"] > first["beat"]


def test_one_that_was_taken_over_stops_and_leaves_the_other_alone(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    lock = Lock(path)
    lock.sign()
    lock.beat()
    lock.check()
    as_another_machine(path)
    lock.beat()
    with pytest.raises(TrainingError, match="another job took this segment over"):
        lock.check()
    lock.release()
    assert json.loads(path.read_text())["host"] == "node17"


def test_without_the_systems_locks_signs_of_life_count(tmp_path, monkeypatch):
    def refuse(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = tmp_path / "lock"
    with locked(path):
        pass
    as_another_machine(path)
    with locked(path):
        assert json.loads(path.read_text())["beat"] >= 1
