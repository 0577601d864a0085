"""Which errors another attempt may not meet, and that a job on a cluster says which it will."""

from __future__ import annotations

import pytest

from zsl.disk import DiskError
from zsl.errors import FOR_GOOD, DataError, TrainingError, may_pass
from zsl.job import _say_for_good
from zsl.training.launch import ProcessesError
from zsl.training.lock import HeldError

PASSING = [
    MemoryError(),
    OSError(5, "Input/output error"),
    DiskError("results: No space left on device; make room and run again"),
    HeldError("state/lock: SLURM job 7 on node1 is training this segment"),
    ProcessesError("main-a: training in 4 processes ended with code 1"),
    TrainingError("step 7: out of memory; the next attempt goes on with 2 sequences at once"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("NCCL communicator was aborted"),
]
FINAL = [
    TrainingError("step 7: the loss is nan"),
    DataError("text.txt: no UTF-8"),
    KeyError("curves"),
    ValueError("shapes do not match"),
]


@pytest.mark.parametrize("error", PASSING + FINAL, ids=str)
def test_a_job_of_a_cluster_says_that_it_would_fail_again(error, caplog, monkeypatch):
    assert may_pass(error) is (error in PASSING)
    _say_for_good(error)
    assert not caplog.records
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    _say_for_good(error)
    said = [record.message for record in caplog.records]
    assert said == ([] if error in PASSING else [FOR_GOOD])
