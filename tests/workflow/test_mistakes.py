"""Mistakes are found before anything is done, and said in clean lines."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import pytest

from zsl.config.load import resolve
from zsl.errors import ConfigError
from zsl.files import read_json


def files(root: Path) -> dict[Path, int]:
    """Time of every file but Snakemake's own."""
    paths = (path for path in root.rglob("*") if path.is_file())
    return {
        path: path.stat().st_mtime_ns
        for path in paths
        if not {".snakemake", "__pycache__"} & set(path.parts)
    }


def refused(project, *arguments: str) -> str:
    """What Snakemake says while it stops, changing nothing."""
    before = files(project.root)
    done = project.try_snakemake(*arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert files(project.root) == before
    return done.stdout


def main(config):
    return config["suites"]["main"]


def optimizer(config, run):
    return config["suites"]["optimizer"]["runs"][run]["optimizer"]


MISTAKES = {
    "unknown key": (
        lambda c: main(c)["defaults"].update(batchsize=4),
        "unknown key 'batchsize'; did you mean 'batch_size'?",
    ),
    "heads": (
        lambda c: main(c)["defaults"]["model"].update(n_heads=3),
        "suites.main.runs.small.model.n_heads = 3: does not divide d_model = 8",
    ),
    "checkpoint past the end": (
        lambda c: main(c)["defaults"]["checkpoints"].update(also=[100]),
        "checkpoints.also = [100]: not within the run's steps 0 to 64",
    ),
    "no distance between checkpoints": (
        lambda c: main(c)["defaults"]["checkpoints"].update(every=0),
        "suites.main.runs.small.checkpoints.every = 0: ",
    ),
    "checkpoints further apart than the run is long": (
        lambda c: c["suites"]["optimizer"]["runs"]["AdamW"]["checkpoints"].update(every=100),
        "suites.optimizer.runs.AdamW.checkpoints.every = 100: more than the run's steps, 32",
    ),
    "corpus": (
        lambda c: main(c)["defaults"].update(corpus="inventd"),
        "suites.main.runs.small.corpus = 'inventd': there is no such corpus; did you mean",
    ),
    "optimizer": (
        lambda c: optimizer(c, "Muon").update(name="moun"),
        "suites.optimizer.runs.Muon.optimizer: unknown name 'moun'; did you mean 'muon'?",
    ),
    "constant of another optimizer": (
        lambda c: optimizer(c, "C-AdamW").update(beta3=0.9),
        "suites.optimizer.runs.C-AdamW.optimizer: unknown key 'beta3'; did you mean 'betas'?",
    ),
    "constant out of range": (
        lambda c: optimizer(c, "AdEMAMix").update(betas=[0.9, 1]),
        "suites.optimizer.runs.AdEMAMix.optimizer.betas.1 = 1",
    ),
    "context shorter than what is evaluated": (
        lambda c: c["suites"]["batch_sequence"]["runs"]["2x-32"].update(sequence_length=8),
        "corpora.invented.evaluation.sequence_length = 16: longer than the context of "
        "batch_sequence-2x-32, 8 tokens",
    ),
    "run of Fig. 17": (
        lambda c: c["measurements"]["downstream"].update(runs=["smal"]),
        "measurements.downstream.runs = 'smal': suite main trains no such run; did you mean",
    ),
    "task of Fig. 17": (
        lambda c: c["measurements"]["downstream"].update(tasks=["picqa"]),
        "measurements.downstream.tasks.0 = 'picqa': ",
    ),
    "run that is repeated": (
        lambda c: main(c).update(repeat={"smal": [7]}),
        "suites.main.repeat.smal: there is no such run; did you mean 'small'?",
    ),
    "step of table 2": (
        lambda c: c["tables"].update(table2_steps=[5]),
        "tables.table2_steps = [5]: main-small keeps no checkpoint there",
    ),
}


@pytest.mark.parametrize(("change", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_configuration(pristine, change, message):
    values = pristine.configuration()
    change(values)
    with pytest.raises(ConfigError) as refused:
        resolve(values, environ={})
    assert message in str(refused.value).splitlines()[0]


def test_snakemake_stops_at_a_mistake(fresh):
    change, message = MISTAKES["unknown key"]
    fresh.configure(change)
    first = refused(fresh).partition("Error in the configuration:\n")[2].splitlines()[0]
    assert message in first


def test_snakemake_stops_at_too_few_tokens_in_a_corpus_that_is_made(project):
    project.configure(lambda c: main(c)["defaults"].update(batch_size=4096))
    said = refused(project)
    assert "run main-small needs 139,264 sequences of 16 tokens, corpus invented has " in said
    assert said.rstrip().endswith("lower steps or batch_size, or add text")


@pytest.mark.slow
def test_too_few_tokens_in_a_corpus_that_is_not_made_yet(fresh):
    fresh.configure(lambda c: main(c)["defaults"].update(batch_size=4096))
    done = fresh.try_snakemake("table1")
    assert done.returncode != 0
    assert "run main-small needs 270,336 sequences of 16 tokens, corpus invented" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (fresh.results / "training").exists()
    assert [path for path in (fresh.results / "data").rglob("*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "target", ["results/tiny/fits/main-nope.json", "results/tiny/figures/fig99.svg"]
)
def test_a_file_that_no_rule_makes(pristine, target):
    said = refused(pristine, target)
    assert said.count(target) <= 2 and said.count("Exception") == 1


@pytest.mark.slow
@pytest.mark.parametrize("words", [["fig5"], ["fig02", "fig5", "--dry-run"], ["--summary", "fig5"]])
def test_a_target_that_does_not_exist(pristine, words):
    """Among others, and whatever is to be done with it; what is said of which: tests/registry."""
    said = refused(pristine, *words)
    (line,) = said.partition("Error in the command:\n")[2].splitlines()
    assert line.startswith("target fig5: ") and "did you mean fig05?" in line


@pytest.mark.slow
def test_a_second_configfile_of_which_the_first_would_be_lost(pristine):
    said = refused(pristine, "--configfile", "config/paper.yaml")
    assert "--configfile: Snakemake takes the last of several" in said


@pytest.mark.slow
def test_two_experiments_merged(pristine, tmp_path):
    """A file that changes an experiment, and names the outcome, is meant to be merged."""
    changes = tmp_path / "changes.yaml"
    changes.write_text("experiment: other\nfits: {cut: 8}\n")
    for path, is_whole in (("config/paper.yaml", True), (str(changes), False)):
        command = pristine.command("--dry-run", "fig06")
        command.insert(command.index(pristine.configfile) + 1, path)
        done = pristine.run(command)
        assert ("are whole experiments; they are made one" in done.stdout) is is_whole


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_way_back(project):
    """What other jobs have made stays."""
    project.configure(lambda c: main(c)["runs"]["small"].update(optimizer={"learning_rate": 1e30}))
    before = project.artifacts()
    target = "results/tiny/training/main-small/00000000-00000016.manifest.json"
    done = project.try_snakemake(target)
    assert done.returncode != 0
    (failure,) = (project.results / "state/training/main-small").rglob("failure.json")
    facts = read_json(failure)
    loss, norm = facts["train_loss"], facts["grad_norm"]
    assert f"step {facts['step']}: the loss is {loss} and the gradient norm {norm}" in done.stdout
    assert not isfinite(float(loss) * float(norm))
    assert len(facts["sequences"]) == 4
    assert ", ".join(map(str, facts["sequences"])) in done.stdout
    assert f"the last good checkpoint is {facts['last_good_checkpoint']}" in done.stdout
    assert (project.root / facts["last_good_checkpoint"] / "model.safetensors").exists()
    assert "Traceback" not in done.stdout
    segment = "training/main-small/00000000-00000016"
    after = project.artifacts()
    assert [path for path in before if path not in after and not path.startswith(segment)] == []
