"""Which tests ``make test`` leaves to ``make test-all``."""

from __future__ import annotations

SLOW: dict[str, tuple[str, ...]] = {
    "audit/test_copied.py": (),
    "audit/test_hidden.py::test_what_was_accepted_is_not_accepted": (),
    "audit/test_mended.py": ("kept code was deleted", "a record was edited"),
    "audit/test_project.py": ("changed_module", "changed_setting", "one_byte_in_a_corpus"),
    "audit/test_reproduce.py": ("names_are_those",),
    "benchmarks/test_gpu.py::test_training_agrees_with_both_loops": (),
    "benchmarks/test_verdicts.py": (),
    "crate/test_validator.py": (),
    "faults/": (),
    "figures/test_render.py::test_the_same_study_gives_the_same_bytes": ("fig03", "fig07"),
    "hostile/test_table.py": (),
    "interventions/test_identities.py::test_compiled_models": (),
    "slurm/test_bad_days.py": (),
    "slurm/test_one_machine.py": (),
    "slurm/test_profile.py": ("no_job_shares", "ends_", "table_names", "folder", "default_profile"),
    "slurm/test_site.py": ("shipped_table_says",),
    "training/test_parallel.py": ("steps_of_one[adamw shared out]", "nodes_need_a_command"),
    "training/test_step.py::test_a_compiled_model": (),
}
"""Files and tests that ``make test`` leaves to ``make test-all``, but for those whose names contain
one of these words: they start Snakemake or several processes again and again, or a process for each
of many rows. In tests/workflow they are marked where they stand."""


def is_slow(name: str) -> bool:
    """Whether a test, such as ``training/test_step.py::test_a_step[adamw]``, is one of these."""
    return any(
        name.startswith(start) and not any(word in name for word in but)
        for start, but in SLOW.items()
    )
