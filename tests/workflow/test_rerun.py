"""What is made again after a change: that which the change can alter, and nothing else."""

from __future__ import annotations

import os
import re

import pytest

from zsl import registry

FIRST, LAST, NEW = "00000000-00000032", "00000032-00000064", "00000064-00000128"
SEGMENTS = (FIRST, LAST)
SETTINGS = {"tables/table3"}
"""The one target that is made from the configuration alone."""
SKETCH = {"figures/fig06"}
"""The one that is made from nothing."""


def targets(*kinds: str) -> set[str]:
    """The targets that read one of these kinds of files."""
    found = [target for target in registry.TARGETS if set(target.inputs) & set(kinds)]
    return {f"{target.kind}s/{target.id}" for target in found}


STEPPED = ("token_gradients", "single_step", "cross_section")
"""Measurements of the next step, whose training batches come after the last step of a run."""
OF_CROSS_SECTION = ("cross_section", "landscapes", "token_landscapes")
OF_GRADIENTS = ("gradient_opposition", "gradient_histograms", "token_gradients")
CLAIMED = ("delta_loss", "gradient_opposition", "token_gradients", "cross_section")
"""Kinds that are also needed of a run that is repeated with another seed."""
KINDS = (
    *("train_loss", "eval_loss", "delta_loss", "token_changes", *OF_GRADIENTS),
    *("single_step", *OF_CROSS_SECTION),
)
MEASUREMENTS = ("token_losses", "delta_loss", "gradient_opposition", *STEPPED)
TARGETS = targets(*KINDS, "fits")
"""Targets that are made from the runs."""
FIGURES = {target for target in TARGETS if target.startswith("figures/")}
FITTED = targets("fits")
AGAIN = "small_seed7"
"""The run that is repeated with another seed."""


def curves(run: str) -> set[str]:
    """A run's curves and its fit."""
    kinds = ("train_loss", *CLAIMED) if run == AGAIN else KINDS
    return {f"fits/main-{run}", *(f"curves/{kind}/main-{run}" for kind in kinds)}


def measured(
    run: str, segments: tuple[str, ...] = SEGMENTS, kinds: tuple[str, ...] = MEASUREMENTS
) -> set[str]:
    """A run's measurements."""
    kept = [kind for kind in kinds if not (run == AGAIN and kind == "single_step")]
    return {f"measurements/{kind}/main-{run}/{name}" for kind in kept for name in segments}


def trained(run: str, segments: tuple[str, ...] = SEGMENTS) -> set[str]:
    """A run's segments."""
    return {f"training/main-{run}/{name}" for name in segments}


def chain(run: str, segments: tuple[str, ...] = SEGMENTS) -> set[str]:
    """Everything about a run that starts with these segments."""
    return trained(run, segments) | measured(run, segments) | curves(run)


RUNS = ("small", "large", AGAIN)
BOTH = set.union(*map(chain, RUNS))


def following(*kinds: str) -> set[str]:
    """Curves of these kinds that there are, and the targets that read them."""
    made = {f"curves/{kind}/main-{run}" for kind in kinds for run in RUNS}
    return made & BOTH | targets(*kinds)


def measuring(*kinds: str) -> set[str]:
    """These measurements of all runs."""
    return set.union(*(measured(run, SEGMENTS, kinds) for run in RUNS))


FITS = {f"fits/main-{run}" for run in RUNS}
DELTA_LOSS = measuring("delta_loss") | following("delta_loss", "token_changes")
OPPOSITION = measuring("gradient_opposition") | following(
    "gradient_opposition", "gradient_histograms"
)
STEPS_AGAIN = measuring(*STEPPED)
EXTENDED = set.union(*(chain(run, (NEW,)) for run in RUNS)) | STEPS_AGAIN | TARGETS | SETTINGS


def test_the_jobs_of_the_matrix_are_those_of_the_experiment(finished):
    expected = BOTH | TARGETS | SETTINGS | SKETCH | {"data/invented/manifest"}
    assert set(finished.records()) == expected


def constant(project, module):
    """Add a constant to a module, which is a change of its code."""
    path = project.root / f"src/zsl/{module.replace('.', '/')}.py"
    path.write_text(path.read_text() + "\nADDED = 1\n")


@pytest.mark.parametrize("figure", ["fig02", "fig03", "fig06", "fig13", "fig20"])
def test_a_figures_module_makes_that_figure_again(project, figure):
    constant(project, f"figures.{figure}")
    assert project.planned() == {f"figures/{figure}"}


@pytest.mark.parametrize(
    ("module", "again"),
    [
        ("tables.table4", {"tables/table4"}),
        ("figures.doublings", {"figures/fig03", "figures/fig05"}),
        ("figures.style", FIGURES | SKETCH),
        ("fits.bnsl", FITS | FITTED),
        ("measurements.token_losses", measuring("token_losses", "single_step", "cross_section")
         | DELTA_LOSS | following("eval_loss", "single_step", *OF_CROSS_SECTION)),
        ("measurements.gradient_opposition", OPPOSITION | measuring("token_gradients")
         | following("token_gradients")),
        ("measurements.prefix_backward", measuring("token_gradients")
         | following("token_gradients")),
        ("measurements.chebyshev", measuring("cross_section") | following(*OF_CROSS_SECTION)),
        ("measurements.next_step", STEPS_AGAIN | following(*STEPPED, *OF_CROSS_SECTION)),
        ("training.segment", BOTH | TARGETS),
        ("data.packing", BOTH | TARGETS | {"data/invented/manifest"}),
        ("lineage.record", set()),
        ("progress", set()),
    ],
)  # fmt: skip
def test_a_module_makes_again_what_runs_it_and_what_follows(project, module, again):
    constant(project, module)
    assert project.planned() == again


def test_comments_and_docstrings_make_nothing_again(project):
    for path in project.root.glob("src/zsl/**/*.py"):
        text = path.read_text()
        path.write_text(
            re.sub(r"\A(\"\"\".*?)\"\"\"", r'\1 Changed."""', text, flags=re.S) + "# x\n"
        )
    for path in [project.root / "Snakefile", *project.root.glob("workflow/**/*.*")]:
        if path.suffix in (".py", ".smk", ""):
            path.write_text(path.read_text() + "\n# A comment.\n")
    assert "Changed." in (project.root / "src/zsl/training/step.py").read_text()
    assert project.planned() == set()


def test_new_times_make_nothing_again(project):
    """As after a fresh checkout."""
    for path in project.root.rglob("*"):
        if not {"results", ".snakemake"} & set(path.relative_to(project.root).parts):
            os.utime(path)
    assert project.planned() == set()


def one_rate(config):
    config["suites"]["main"]["runs"]["small"]["optimizer"] = {"learning_rate": 2e-2}


def common_rate(config):
    config["suites"]["main"]["defaults"]["optimizer"]["learning_rate"] = 2e-2


def steps(config):
    config["suites"]["main"]["defaults"]["steps"] = 128


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (one_rate, chain("small") | chain(AGAIN) | TARGETS | SETTINGS),
        (common_rate, BOTH | TARGETS | SETTINGS),
        (steps, EXTENDED),
        (lambda c: c["tables"].update(table2_steps=[8, 32]), {"tables/table2"}),
        (lambda c: c["fits"].update(cut=8), FITS | FITTED),
        (lambda c: c["measurements"]["cross_section"].update(epsilon=0.1),
         measuring("cross_section") | following(*OF_CROSS_SECTION)),
        (lambda c: c["figures"].update(fig21_zoom=1.0), {"figures/fig21"}),
        (lambda c: c["figures"].update(landscape_seed=1), following("token_landscapes")),
        (lambda c: c.update(data_seed=1), BOTH | TARGETS),  # 1 is also the number of threads
        (lambda c: c.update(description="Other words."), set()),
    ],
    ids=["rate of a run", "rate of a suite", "steps", "table2_steps", "cut", "epsilon", "zoom",
         "landscape_seed", "data_seed", "words"],
)  # fmt: skip
def test_a_setting_makes_again_what_depends_on_it(project, change, again):
    project.configure(change)
    assert project.planned() == again


@pytest.mark.parametrize(
    ("package", "again"),
    [
        ("matplotlib", FIGURES | SKETCH),
        ("torch", BOTH | TARGETS),
        ("tokenizers", BOTH | TARGETS | {"data/invented/manifest"}),
        ("ruff", set()),
    ],
)
def test_a_pin_makes_again_what_the_package_makes(project, package, again):
    path = project.root / "requirements.lock"
    text, count = re.subn(rf"(?m)^{package}==\S+", f"{package}==99.0", path.read_text())
    assert count == 1
    path.write_text(text)
    assert project.planned() == again


def test_a_changed_text_makes_everything_again_from_the_tokens_on(project):
    with (project.root / "text/1.txt").open("a") as file:
        file.write("\n\nbal bel bil bol bul bar ber bir bor bur")
    assert project.planned() == BOTH | TARGETS | {"data/invented/manifest"}


def test_a_figure_is_drawn_again_by_the_changed_code(project):
    drawn = "    figure.suptitle('Changed')\n    return figure\n"
    project.replace("src/zsl/figures/fig13.py", "    return figure\n", drawn)
    before = project.artifacts()
    assert project.made() == {"figures/fig13"}
    after = project.artifacts()
    changed = {path for path in after if after[path] != before.get(path)}
    assert changed == {"figures/fig13.pdf", "figures/fig13.svg"}
    assert project.planned() == set()


NOT_NEEDED = ("gradient", "landscapes", "cross_section", "single_step")


def test_twice_the_steps_train_and_measure_only_what_is_new(project):
    def kept():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes())
            for folder in ("training", "measurements", "data")
            for path in (project.results / folder).rglob("*")
            if path.is_file()
        }

    project.configure(steps)
    before = kept()
    needed = {job for run in ("small", "large") for job in chain(run, (NEW,))}
    needed = {job for job in needed if not any(kind in job for kind in NOT_NEEDED)}
    assert project.made("fig05", "table2") == needed | {"figures/fig05", "tables/table2"}
    after = kept()
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before.keys()} >= {"00000064-00000128.h5"}
    assert "t_128" not in (project.results / "tables/table2.csv").read_text()
