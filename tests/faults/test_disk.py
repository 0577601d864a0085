"""A full disk and one that may not be written to: one clear line, and the next run completes.

The folder of results is a small file system in memory, which only root can mount.
"""

from __future__ import annotations

import os
import subprocess

import pytest

FIT = "results/tiny/fits/main-small.json"
FIRST = "00000000-00000016"
ROWS = {
    "tokens": "data/invented/manifest.json",
    "train": f"training/main-small/{FIRST}.manifest.json",
    "measurement": f"measurements/token_gradients/main-small/{FIRST}.h5",
    "curve": "curves/delta_loss/main-small.csv",
    "fit": "fits/main-small.json",
    "figure": "figures/fig03.csv",
    "table": "tables/table1.csv",
}


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture
def on_small_disk(project):
    """The project with its results on a disk of their own, and a function that leaves so many
    bytes free on it."""
    results = project.root / "results"
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    kept = project.root / "kept"
    results.rename(kept)
    results.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(results))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this root may not mount: {error.stderr}")
    subprocess.run(["cp", "-a", f"{kept}/.", str(results)], check=True)

    def leave(free: int) -> None:
        found = os.statvfs(results)
        filler = results / "filler"
        filler.write_bytes(bytes(found.f_bavail * found.f_frsize - free))

    yield project, leave
    subprocess.run(["umount", "--lazy", str(results)], check=True)


@pytest.mark.parametrize("made", ROWS.values(), ids=ROWS)
def test_a_full_disk(on_small_disk, fails, ends_as_undisturbed, made):
    project, leave = on_small_disk
    (project.results / made).unlink()
    leave(8192)
    said = fails(f"results/tiny/{made}")
    assert "No space left on device" in said and "bytes free" in said
    assert "make room" in said
    assert "Traceback" not in said
    assert not (project.results / made).exists()
    (project.root / "results/filler").unlink()
    ends_as_undisturbed(project, f"results/tiny/{made}")


def test_a_read_only_folder_of_results(on_small_disk, fails, ends_as_undisturbed):
    project, _ = on_small_disk
    (project.root / FIT).unlink()
    mount("-o", "remount,ro", str(project.root / "results"))
    said = fails(FIT)
    # Snakemake itself looks, before any job.
    assert "Write-protected output files" in said and FIT in said
    assert "Traceback" not in said
    mount("-o", "remount,rw", str(project.root / "results"))
    ends_as_undisturbed(project, FIT)
