"""What is free, read from folders as Linux makes them."""

import psutil
import pytest

from zsl.free_memory import free_bytes

MEMINFO = "MemTotal:       16000000 kB\nMemFree:  1000000 kB\nMemAvailable:    8000000 kB\n"
TASK = "slurm/job_7/step_0"


@pytest.fixture
def system(tmp_path):
    """A function that makes /proc and the folders of control groups, and reads them."""

    def read(of_process, files):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/meminfo").write_text(MEMINFO)
        (tmp_path / "proc/self/cgroup").write_text(of_process)
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return free_bytes(tmp_path / "proc", tmp_path / "groups")

    return read


def test_what_the_system_has(system):
    assert system("", {}) == 8_000_000 * 1024


def test_the_limit_of_a_group_above_counts(system):
    files = {
        f"{TASK}/memory.max": "max",
        f"{TASK}/memory.current": "100",
        f"{TASK}/memory.stat": "anon 7\ninactive_file 9",
        "slurm/job_7/memory.max": "4000000",
        "slurm/job_7/memory.current": "1000000",
        "slurm/job_7/memory.stat": "anon 7\ninactive_file 500000\nfile 3",
    }
    assert system(f"0::/{TASK}\n", files) == 3_500_000


def test_groups_of_version_1(system):
    files = {
        "memory/job/memory.limit_in_bytes": "5000",
        "memory/job/memory.usage_in_bytes": "3000",
        "memory/job/memory.stat": "total_inactive_file 1000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": "7",
        "memory/memory.stat": "total_inactive_file 0",
    }
    assert system("5:cpuset:/\n4:memory:/job\n0::/\n", files) == 3000


def test_a_container_that_does_not_see_its_group_s_folder(system):
    files = {"memory.max": "2000", "memory.current": "500", "memory.stat": "inactive_file 0"}
    assert system("0::/docker/0123abc\n", files) == 1500


def test_no_system_that_says_it(tmp_path):
    assert free_bytes(tmp_path) is None


def test_this_machine():
    free = free_bytes()
    assert free is not None
    assert 0 < free <= 1.1 * psutil.virtual_memory().available
