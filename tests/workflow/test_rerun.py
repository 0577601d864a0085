"""What is made again after a change: that which the change can alter, and nothing else.

A change is said to touch the jobs that run the code, or read the setting; what follows from them
is found in the graph of jobs that ``zsl plan`` counts, whatever suites and figures there are.
"""

from __future__ import annotations

import os
import re

import pytest
from job_graph import Graph, graph_of

NEW = "00000064-00000128"
STEPPED = tuple(
    f"measurements/{kind}" for kind in ("token_gradients", "single_step", "cross_section")
)
"""Measurements of the next step, whose training batches come after the last step of a run."""
FITS = ("fits", "curves/sensitivity")
FORWARD = "measurements/token_losses"
EVALUATED = (FORWARD, "measurements/single_step", "measurements/cross_section")
"""What runs the code of token losses."""


@pytest.fixture(scope="module")
def graph(finished) -> Graph:
    return graph_of(finished.configuration())


def test_the_jobs_of_the_matrix_are_those_of_the_experiment(finished, graph):
    assert set(finished.records()) == graph.names


def constant(project, module):
    """Add a constant to a module, which is a change of its code."""
    path = project.root / f"src/zsl/{module.replace('.', '/')}.py"
    path.write_text(path.read_text() + "\nADDED = 1\n")


def test_modules_of_figures_make_these_figures_again(project):
    changed = ("fig02", "fig15", "fig20", "breakdown")
    for figure in changed:
        constant(project, f"figures.{figure}")
    assert project.planned() == {*(f"figures/{figure}" for figure in changed), "provenance/root"}


def figures(*names):
    return lambda g: {f"figures/{name}" for name in names}


@pytest.mark.parametrize(
    ("module", "touched"),
    [
        ("tables.table2", lambda g: {"tables/table2"}),
        ("figures.batch_sequence", figures("fig23", "fig24", "fig25")),
        ("fits.bnsl", lambda g: g.of(*FITS)),
        ("curves.breakdown", lambda g: g.of("curves/breakdown")),
        ("measurements.token_losses", lambda g: g.of(*EVALUATED)),
        ("measurements.gradient_opposition", lambda g: g.of(
            "measurements/gradient_opposition", "measurements/token_gradients")),
        ("measurements.next_step", lambda g: g.of(*STEPPED)),
        ("data.tasks", lambda g: g.of("measurements/downstream", "data")),
        ("optimizers.muon", lambda g: g.of("training", run="optimizer-Muon")),
        ("data.packing", lambda g: g.of("data")),
        ("lineage.record", lambda g: set()),
    ],
)  # fmt: skip
def test_a_module_makes_again_what_runs_it_and_what_follows(project, graph, module, touched):
    constant(project, module)
    assert project.planned() == graph.after(touched(graph))


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


def defaults(config, suite="main"):
    return config["suites"][suite]["defaults"]


def one_rate(config):
    config["suites"]["main"]["runs"]["small"]["optimizer"] = {"learning_rate": 2e-2}


def rate_of(suite):
    return lambda config: defaults(config, suite)["optimizer"].update(learning_rate=2e-2)


def trained(suite):
    return lambda g: g.of("training", suite=suite) | g.settings(suite)


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        (one_rate, lambda g: g.of("training", run="main-small")
         | g.of("training", run="main-small_seed7") | g.settings("main")),
        (rate_of("cosine"), trained("cosine")),
        (lambda c: c["suites"]["optimizer"]["runs"]["AdEMAMix"]["optimizer"].update(beta3=0.9),
         lambda g: g.of("training", run="optimizer-AdEMAMix")),
        (lambda c: c["tables"].update(table2_steps=[8, 32]), lambda g: {"tables/table2"}),
        (lambda c: c["fits"].update(cut=8), lambda g: g.of(*FITS)),
        (lambda c: c["fits"].update(seed=1), lambda g: g.of("fits")),  # as many as threads
        (lambda c: c["curves"].update(k=1.3), lambda g: g.of("curves/train_loss", *FITS)),
        (lambda c: c["curves"].update(resampling_seed=1),
         lambda g: g.of("measurements/delta_loss")),
        (lambda c: c["measurements"]["cross_section"].update(epsilon=0.1),
         lambda g: g.of("measurements/cross_section")),
        (lambda c: c["figures"].update(fig21_zoom=1.0), lambda g: {"figures/fig21"}),
        (lambda c: c.update(data_seed=1), lambda g: g.of("training")),  # as many as threads
        (lambda c: c.update(description="Other words."), lambda g: set()),
    ],
    ids=["rate of a run", "rate of cosine", "beta3", "table2_steps", "cut", "seed of fits", "k",
         "resampling_seed", "epsilon", "zoom", "data_seed", "words"],
)  # fmt: skip
def test_a_setting_makes_again_what_depends_on_it(project, graph, change, touched):
    project.configure(change)
    assert project.planned() == graph.after(touched(graph))


def steps(config):
    defaults(config)["steps"] = 128


def extended(before: Graph, after: Graph) -> set[str]:
    """What twice the steps touch: what is new, the next step after the last, and what is made from
    a grid of steps as a whole."""
    grid = {each for each in after.names if each.endswith("/decades")}
    return (after.names - before.names) | after.of(*STEPPED) | grid


def test_twice_the_steps_of_a_suite_leave_what_is_trained(project, graph):
    project.configure(steps)
    now = graph_of(project.configuration())
    assert now.of("training") - graph.names == {
        f"training/main-{run}/{NEW}" for run in ("small", "large", "small_seed7")
    }
    assert project.planned() == now.after(extended(graph, now) | now.settings("main"))


@pytest.mark.parametrize(
    ("package", "touched"),
    [
        ("matplotlib", lambda g: g.of("figures")),
        ("torch", lambda g: g.of("training")),
        ("ruff", lambda g: set()),
    ],
)
def test_a_pin_makes_again_what_the_package_makes(project, graph, package, touched):
    path = project.root / "requirements.lock"
    text, count = re.subn(rf"(?m)^{package}==\S+", f"{package}==99.0", path.read_text())
    assert count == 1
    path.write_text(text)
    assert project.planned() == graph.after(touched(graph))


def test_a_changed_text_makes_everything_of_its_corpus_again_from_the_tokens_on(project, graph):
    with (project.root / "text/3.txt").open("a") as file:
        file.write("\n\nbal bel bil bol bul bar ber bir bor bur")
    assert project.planned() == graph.after({"data/other/manifest"})


def test_a_figure_is_drawn_again_by_the_changed_code(project):
    drawn = "    figure.suptitle('Changed')\n    return figure\n"
    project.replace("src/zsl/figures/fig13.py", "    return figure\n", drawn)
    before = project.artifacts()
    assert project.made() == {"figures/fig13", "provenance/root"}
    after = project.artifacts()
    changed = {path for path in after if after[path] != before.get(path)}
    assert changed == {"figures/fig13.pdf", "figures/fig13.svg"}
    assert project.planned() == set()


def test_twice_the_steps_train_and_measure_only_what_is_new(project, graph):
    def kept():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes())
            for folder in ("training", "measurements", "data")
            for path in (project.results / folder).rglob("*")
            if path.is_file()
        }

    project.configure(steps)
    before = kept()
    now = graph_of(project.configuration())
    asked = now.before({"figures/fig05", "tables/table2"})
    assert project.made("fig05", "table2") == asked & now.after(extended(graph, now))
    after = kept()
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before.keys()} >= {"00000064-00000128.h5"}
    assert "t_128" not in (project.results / "tables/table2.csv").read_text()
