"""The paper's experiment is planned at once, and is small enough to be."""

from __future__ import annotations

import re
from dataclasses import replace


def test_the_papers_experiment_is_planned_with_few_jobs(pristine):
    said = replace(pristine, config="config/paper.yaml").snakemake("-n", "--quiet", "rules")
    total = re.search(r"(?m)^total\s+(\d+)$", said)
    assert total and 0 < int(total[1]) <= 2000
