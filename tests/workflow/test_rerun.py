"""What is made again after a change: that which the change can alter, and nothing else.

A change is said to touch the jobs that run the code, or read the setting; what follows from them
is found in the graph of jobs that ``zsl plan`` counts, whatever suites and figures there are.
Held against that is what Snakemake compares, as it plans the changed project, in which nothing
is made; that it makes again what differs is seen at the end, where it is run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from job_graph import Graph, graph_of
from planner import Planner
from projects import Project

NEW = "00000064-00000128"
STEPPED = tuple(
    f"measurements/{kind}" for kind in ("token_gradients", "single_step", "cross_section")
)
"""Measurements of the next step, whose training batches come after the last step of a run."""
FITS = ("fits", "curves/sensitivity")
FORWARD = "measurements/token_losses"
EVALUATED = (FORWARD, "measurements/single_step", "measurements/cross_section")
"""What runs the code of token losses."""


CONFIG = "config/tiny.yaml"


@dataclass
class Changing:
    """A project that is changed, and planned before and after."""

    project: Project
    planner: Planner
    graph: Graph
    """The jobs of before."""
    before: dict[str, Any]
    """What Snakemake compares of each."""
    originals: dict[Path, str] = field(default_factory=dict)

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Change a text file."""
        file = self.project.root / path
        text = file.read_text()
        self.originals.setdefault(file, text)
        file.write_text(change(text))

    def constant(self, module: str) -> None:
        """Add a constant to a module, which is a change of its code."""
        self.edit(f"src/zsl/{module.replace('.', '/')}.py", lambda text: f"{text}\nADDED = 1\n")

    def configure(self, change: Callable[[dict[str, Any]], object]) -> Graph:
        """Change the configuration; the jobs of now."""
        values = self.project.configuration()
        change(values)
        self.edit(CONFIG, lambda _: yaml.safe_dump(values, sort_keys=False))
        return graph_of(values)

    def again(self) -> set[str]:
        """The jobs that Snakemake would run now, were all of before made."""
        now = self.planner.named()
        differ = {name for name, compared in now.items() if compared != self.before.get(name)}
        return graph_of(self.project.configuration()).after(differ)


@pytest.fixture(scope="module")
def planned_once(planner: tuple[Project, Planner]) -> Changing:
    project, asked = planner
    return Changing(project, asked, graph_of(project.configuration()), asked.named())


@pytest.fixture
def changing(planned_once: Changing) -> Iterator[Changing]:
    yield planned_once
    for path, text in planned_once.originals.items():
        path.write_text(text)
    planned_once.originals.clear()


def test_the_jobs_of_the_matrix_are_those_of_the_experiment(changing):
    assert set(changing.before) == changing.graph.names
    assert changing.again() == set()


def test_modules_of_figures_make_these_figures_again(changing):
    changed = ("fig02", "fig15", "fig20", "breakdown")
    for figure in changed:
        changing.constant(f"figures.{figure}")
    assert changing.again() == {*(f"figures/{figure}" for figure in changed), "provenance/root"}


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
def test_a_module_makes_again_what_runs_it_and_what_follows(changing, module, touched):
    changing.constant(module)
    assert changing.again() == changing.graph.after(touched(changing.graph))


def test_comments_and_docstrings_make_nothing_again(changing):
    def described(text):
        return re.sub(r"\A(\"\"\".*?)\"\"\"", r'\1 Changed."""', text, flags=re.S) + "# x\n"

    root = changing.project.root
    for path in root.glob("src/zsl/**/*.py"):
        changing.edit(path.relative_to(root).as_posix(), described)
    for path in [root / "Snakefile", *root.glob("workflow/**/*.*")]:
        if path.suffix in (".py", ".smk", ""):
            changing.edit(path.relative_to(root).as_posix(), lambda text: f"{text}\n# Said.\n")
    assert "Changed." in (root / "src/zsl/training/step.py").read_text()
    assert changing.again() == set()


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
def test_a_setting_makes_again_what_depends_on_it(changing, change, touched):
    changing.configure(change)
    assert changing.again() == changing.graph.after(touched(changing.graph))


def steps(config):
    defaults(config)["steps"] = 128


def extended(before: Graph, after: Graph) -> set[str]:
    """What twice the steps touch: what is new, the next step after the last, and what is made from
    a grid of steps as a whole."""
    grid = {each for each in after.names if each.endswith("/decades")}
    return (after.names - before.names) | after.of(*STEPPED) | grid


def test_twice_the_steps_of_a_suite_leave_what_is_trained(changing):
    before, now = changing.graph, changing.configure(steps)
    assert now.of("training") - before.names == {
        f"training/main-{run}/{NEW}" for run in ("small", "large", "small_seed7")
    }
    assert changing.again() == now.after(extended(before, now) | now.settings("main"))


@pytest.mark.parametrize(
    ("package", "touched"),
    [
        ("matplotlib", lambda g: g.of("figures")),
        ("torch", lambda g: g.of("training")),
        ("ruff", lambda g: set()),
    ],
)
def test_a_pin_makes_again_what_the_package_makes(changing, package, touched):
    other = re.compile(rf"(?m)^{package}==\S+")
    changing.edit("requirements.lock", lambda text: other.sub(f"{package}==99.0", text))
    assert f"{package}==99.0" in (changing.project.root / "requirements.lock").read_text()
    assert changing.again() == changing.graph.after(touched(changing.graph))


# From here on, Snakemake itself is asked about results that it has made.


@pytest.fixture
def graph(project) -> Graph:
    return graph_of(project.configuration())


def shown(project, jobs):
    """Those of the jobs that the project has records of."""
    return jobs & project.records().keys()


def test_new_times_make_nothing_again(project):
    """As after a fresh checkout."""
    for path in project.root.rglob("*"):
        if not {"results", ".snakemake"} & set(path.relative_to(project.root).parts):
            os.utime(path)
    assert project.planned() == set()


def test_a_setting_and_code_that_differ_are_seen_in_results(project, graph):
    project.configure(lambda config: config["fits"].update(cut=8))
    module = project.root / "src/zsl/curves/breakdown.py"
    module.write_text(module.read_text() + "\nADDED = 1\n")
    touched = graph.of(*FITS, "curves/breakdown")
    assert project.planned() == shown(project, graph.after(touched))


def test_a_changed_text_makes_everything_of_its_corpus_again_from_the_tokens_on(project, graph):
    with (project.root / "text/2.txt").open("a") as file:
        file.write("\n\nbal bel bil bol bul bar ber bir bor bur")
    assert project.planned() == shown(project, graph.after({"data/invented/manifest"}))


def test_a_figure_is_drawn_again_by_the_changed_code(project):
    drawn = "    figure.suptitle('Changed')\n    return figure\n"
    project.replace("src/zsl/figures/fig07.py", "    return figure\n", drawn)
    before = project.artifacts()
    assert project.made() == {"figures/fig07", "provenance/root"}
    after = project.artifacts()
    changed = {path for path in after if after[path] != before.get(path)}
    assert changed == {"figures/fig07.pdf", "figures/fig07.svg"}
    assert project.planned() == set()


@pytest.mark.slow
def test_twice_the_steps_train_and_measure_only_what_is_new(project, graph):
    def kept():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes())
            for folder in ("training", "measurements", "data")
            for path in (project.results / folder).rglob("*")
            if path.is_file()
        }

    project.configure(lambda config: defaults(config).update(steps=64))
    before = kept()
    now = graph_of(project.configuration())
    asked = now.before({"figures/fig03", "figures/fig07"})
    assert project.made("fig03", "fig07") == asked & now.after(extended(graph, now))
    after = kept()
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before.keys()} >= {"00000032-00000064.h5"}
