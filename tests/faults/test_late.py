"""A network file system that shows late what another machine wrote."""

from __future__ import annotations

import shutil

FIRST = "00000000-00000016"
FIT = "results/tiny/fits/main-small.json"
LATER = """
import subprocess
from pathlib import Path

hide, show = "mv {0} {0}.unseen", "mv {0}.unseen {0}"
late = f"{hide}; touch hidden; sleep 2; {show}".format(snakemake.output.json)
subprocess.Popen(["sh", "-c", late])
while not Path("hidden").exists():
    pass
"""


def test_an_output_that_is_seen_late(project, ends_as_undisturbed):
    """Snakemake waits for it (latency-wait)."""
    (project.root / FIT).unlink()
    script = project.root / "workflow/scripts/fit.py"
    original = script.read_text()
    script.write_text(original + LATER)
    said = project.snakemake(FIT)
    assert (project.root / FIT).exists(), said
    script.write_text(original)
    ends_as_undisturbed(project, FIT)


def test_a_manifest_that_is_seen_before_its_checkpoints(project, fails, ends_as_undisturbed):
    made = f"results/tiny/measurements/token_losses/main-small/{FIRST}.h5"
    checkpoint = project.results / f"training/main-small/{FIRST}/step00000016"
    hidden = project.root / "hidden"
    (project.root / made).unlink()
    shutil.move(checkpoint, hidden)
    said = fails(made)
    assert "network file system" in said and "run again" in said
    shutil.move(hidden, checkpoint)
    ends_as_undisturbed(project, made)
