"""The parts of an estimate add up, and its jobs are those that a target needs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zsl.cli import main
from zsl.config.flops import Flops, Sequences
from zsl.config.load import load
from zsl.config.measurements import Measurements
from zsl.gpus import GPUS, Gpu, gpu_hours
from zsl.planning import storage
from zsl.planning.estimate import Cost, estimate
from zsl.planning.jobs import Job, Jobs
from zsl.planning.text import as_text, hours, size

ROOT = Path(__file__).parents[2]
PAPER = str(ROOT / "config/paper.yaml")


@pytest.fixture(scope="module")
def plan():
    return load([PAPER])


@pytest.fixture(scope="module")
def found(plan):
    return estimate(plan, gpu="H100", utilisation=0.4)


def test_hours_are_operations_over_the_rate_that_is_reached():
    gpu = Gpu(bfloat16=200, float32=50)
    work = Flops(float32=50e12 * 3600, bfloat16=200e12 * 3600)
    assert gpu_hours(work, gpu, 1) == pytest.approx(2)
    assert gpu_hours(work * 3, gpu, 0.5) == pytest.approx(12)
    assert all(gpu.bfloat16 >= gpu.float32 for gpu in GPUS.values())


def test_training_takes_the_formula_times_the_tokens(plan, found):
    for suite in found.suites:
        for run in suite.runs:
            if run.imported:
                continue
            made = plan.runs[run.id]
            model, S = made.model, made.sequence_length
            a_token = 6 * run.multiplied + 12 * model.n_layers * model.d_model * S
            assert run.training.flops == pytest.approx(a_token * run.tokens, rel=1e-12)
            assert run.training.jobs == len(plan.layout(run.id).segments)
            assert (
                run.multiplied == Sequences(model, plan.corpus(run.id).tokenizer.rows, S).multiplied
            )


def test_runs_add_up_to_the_total(found):
    costs = [run.training for suite in found.suites for run in suite.runs]
    costs += [
        cost for suite in found.suites for run in suite.runs for cost in run.measurements.values()
    ]
    whole = sum(costs, Cost())
    for name in ("flops", "gpu_hours", "bytes"):
        assert getattr(whole, name) == pytest.approx(getattr(found.total, name), rel=1e-9)
    assert found.total.jobs == sum(found.rules.values())


def test_a_target_needs_its_runs_and_measurements_and_no_others(plan, found):
    targets = {target.id: target for target in found.targets}
    sizes = tuple(f"main-{name}" for name in ("14M", "37M", "78M", "144M", "285M", "472M"))
    figure = targets["fig05"]
    assert figure.trained == sizes
    assert figure.measurements == ("token_losses", "delta_loss")
    main = next(suite for suite in found.suites if suite.name == "main")
    assert figure.training == sum((run.training for run in main.runs), Cost())
    # A file of losses and one of their changes for each of the six segments of a run.
    assert figure.measuring.jobs == 6 * (6 + 6)
    assert targets["table1"].measurements == ()
    schematic = targets["fig06"]
    assert (schematic.jobs, schematic.trained, schematic.training) == (1, (), Cost())


def test_a_block_is_measured_after_the_segments_up_to_it(plan):
    needed = Jobs(plan).closure([Job("gradient_opposition", "main-14M", "step00016384")])
    assert needed == {
        Job("gradient_opposition", "main-14M", "step00016384"),
        Job("train", "main-14M", "00008192-00016384"),
        Job("train", "main-14M", "00000000-00008192"),
        Job("tokens", "olmo_mix"),
    }


def test_a_change_of_loss_is_made_after_the_losses_at_both_ends(plan):
    needed = Jobs(plan).closure([Job("delta_loss", "main-14M", "00008192-00016384")])
    losses = {job.part for job in needed if job.rule == "token_losses"}
    assert losses == {"00000000-00008192", "00008192-00016384"}


def test_every_checkpoint_of_a_block_is_measured_and_every_one_of_a_segment_kept():
    plan = load([ROOT / "config/config.yaml"])
    found = estimate(plan, gpu="H100", utilisation=0.4)
    main = next(suite for suite in found.suites if suite.name == "main")
    for made in main.runs:
        run, corpus = plan.runs[made.id], plan.corpus(made.id)
        rows, steps = corpus.tokenizer.rows, plan.layout(made.id).checkpoints
        kept = sum(storage.checkpoint(run, rows, step) for step in steps)
        assert made.training.bytes == pytest.approx(kept + storage.STEP_RECORD * run.steps)
        measured = made.measurements["gradient_opposition"]
        of_one = Measurements().of("gradient_opposition").flops(run, corpus)
        n = len(plan.layout(made.id).measured)
        assert (measured.jobs, measured.flops) == (1, pytest.approx(n * of_one.total))
        changes = made.measurements["delta_loss"].bytes
        of_one_interval = Measurements().of("delta_loss").stored(run, corpus)
        n_grids = sum(len(grid) - 1 for grid in plan.layout(made.id).grids.values())
        assert changes == pytest.approx((n - 2 + n_grids) * of_one_interval)


def test_a_half_utilised_gpu_takes_twice_as_long(plan, found):
    halved = estimate(plan, gpu="H100", utilisation=0.2)
    assert halved.total.gpu_hours == pytest.approx(2 * found.total.gpu_hours)
    assert (halved.total.flops, halved.total.bytes) == (found.total.flops, found.total.bytes)


def test_what_is_printed_names_every_suite_run_and_target(found):
    said = " ".join(as_text(found).split())
    for suite in found.suites:
        assert f"Suite {suite.name}: " in said
    for words in (
        *(target.id for target in found.targets),
        "OLMo-7B 6,888,095,744 imported",
        "H100",
    ):
        assert words in said
    assert f"Total: {found.total.jobs:,} jobs" in said


@pytest.mark.parametrize(
    ("number", "said"), [(0, ""), (1e-5, "< 0.01"), (0.25, "0.25"), (9.5, "9.5"), (1234.5, "1,234")]
)
def test_hours_in_words(number, said):
    assert hours(number) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, ""), (999, "999 B"), (1000, "1 kB"), (2.5e9, "2.5 GB"), (4e15, "4e+03 TB")],
)
def test_bytes_in_words(number, said):
    assert size(number) == said


def test_json_holds_what_the_text_says(plan, capsys):
    assert main(["plan", "--configfile", PAPER, "--gpu", "A100", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["gpu"], values["utilisation"]) == ("A100", 0.4)
    assert values["suites"][0]["runs"][0]["training"]["flops"] > 1e19
    assert values["rules"]["train"] == sum(len(plan.layout(id).segments) for id in plan.runs)


@pytest.mark.parametrize("share", ["0", "1.5", "-1", "much"])
def test_a_utilisation_is_a_share(share, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["plan", "--configfile", PAPER, "--utilisation", share])
    assert stopped.value.code == 2
    assert "--utilisation" in capsys.readouterr().err


def test_planning_imports_nothing_heavy():
    code = (
        "import sys; from zsl.cli import main; main(sys.argv[1:]);"
        "sys.exit(sum(name in sys.modules for name in ('torch', 'pandas', 'olmo', 'h5py')))"
    )
    command = [sys.executable, "-c", code, "plan", "--configfile", PAPER]
    assert subprocess.run(command, stdout=subprocess.DEVNULL).returncode == 0
