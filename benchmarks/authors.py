"""What a checkpoint of the paper's authors costs to fetch and to measure, beside ``zsl plan``.

``python benchmarks/authors.py [--model 14M] [--kinds token_losses single_step ...]`` makes a model
of that size with random weights and moments in the authors' format, and runs the jobs of
``config/authors_laptop.yaml`` on it, one after another, with the cores that are there. It prints
minutes and the most memory of each job, and the minutes that ``zsl plan`` estimates for so many
cores (``--gpu cores`` is for four). Text is random tokens: no time depends on which.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from olmo.config import OptimizerConfig, OptimizerType, TrainConfig
from olmo.model import OLMo
from olmo.optim import build_optimizer

from zsl.config.load import Plan, load, read_yaml
from zsl.config.measurements import MEASUREMENTS
from zsl.files import read_json
from zsl.gpus import GPUS, gpu_hours
from zsl.models.olmo.build import model_config

ROOT = Path(__file__).parents[1]
STEPS = (1, 2)
KINDS = tuple(name for name, kind in MEASUREMENTS.items() if kind.reads == "tokens")
CORES = 4
"""Of the estimate."""


def write_checkpoints(plan: Plan, run: str, folder: Path) -> None:
    """Checkpoints of ``STEPS`` as OLMo's FullCheckpointer writes them."""
    made = plan.runs[run]
    config = TrainConfig(
        model=model_config(made.model, made.sequence_length, plan.corpus(run).tokenizer),
        optimizer=OptimizerConfig(name=OptimizerType.adamw, betas=(0.9, 0.95), eps=1e-5),
    )
    torch.manual_seed(0)
    model = OLMo(config.model)
    optimizer = build_optimizer(config, model)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    for step in STEPS:
        for weight in model.parameters():
            weight.grad = torch.randn_like(weight) * 1e-3
        optimizer.step()
        here = folder / f"step{step}"
        here.mkdir(parents=True)
        torch.save(model.state_dict(), here / "model.pt")
        torch.save(optimizer.state_dict(), here / "optim.pt")
        config.save(here / "config.yaml")


def configuration(model: str, folder: Path) -> dict[str, Any]:
    """That of the laptop, with checkpoints and tokens in ``folder``."""
    values = read_yaml(ROOT / "config/authors_laptop.yaml")
    corpus = values["corpora"]["olmo_mix"]
    tokens = {"kind": "memmap", "dtype": "uint16"}
    corpus["train"] = [{**tokens, "paths": [str(folder / "train.npy")]}]
    corpus["eval_sources"] = [{**tokens, "paths": [str(folder / "eval.npy")]}]
    main = values["suites"]["main"]
    main["runs"] = {model: main["runs"][model]}
    del main["runs"][model]["source"], main["defaults"]["source"]["repository"], main["imported"]
    main["defaults"]["source"] |= {"folder": str(folder / "theirs"), "steps": [*STEPS]}
    threads = len(os.sched_getaffinity(0))
    return {
        **values,
        "experiment": "authors_bench",
        "threads": threads,
        "tables": {"table2_steps": [1]},
    }


def write_tokens(folder: Path) -> None:
    """Random ids with ends of documents, as many as are read."""
    generator = np.random.default_rng(0)
    for name in ("train", "eval"):
        ids = generator.integers(0, 50279, 64 * 1024).astype("<u2")
        ids[::500] = 50279
        ids.tofile(folder / f"{name}.npy")


def main() -> None:
    """Run the jobs and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="14M", help="14M or 37M")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    asked = parser.parse_args()
    run = f"main-{asked.model}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump(configuration(asked.model, folder), sort_keys=False))
        plan = load([config])
        write_checkpoints(plan, run, folder / "theirs")
        write_tokens(folder)
        results = ROOT / "results" / plan.experiment.experiment
        block = plan.layout(run).segments[-1].name
        jobs = [f"measurements/{kind}/{run}/{block}" for kind in asked.kinds]
        command = [sys.executable, "-m", "snakemake", "--cores", str(plan.experiment.threads)]
        targets = [str(results.relative_to(ROOT) / f"{job}.h5") for job in jobs]
        subprocess.run(
            [*command, "--forceall", *targets, "--configfile", str(config)], cwd=ROOT, check=True
        )
        made, corpus = plan.runs[run], plan.corpus(run)
        made = made.model_copy(update={"batch_size": made.update_batch_size})
        rows = []
        for job in (f"checkpoints/{run}/{block}", *jobs):
            record = read_json(results / "lineage" / f"{job}.json")
            kind, planned = job.split("/")[1 if job in jobs else 0], ""
            if job in jobs:
                flops = plan.experiment.measurements.of(kind).flops(made, corpus)
                minutes = 60 * gpu_hours(flops, GPUS["cores"], 0.4) * CORES
                planned = f"{minutes / plan.experiment.threads:.2f}"
            took, memory = record["time"]["seconds"] / 60, record["peak_memory_bytes"]["process"]
            rows.append((kind, f"{took:.2f}", planned, f"{memory / 1e9:.2f}"))
    print(f"{asked.model}, {plan.experiment.threads} threads")
    for row in (("job of a checkpoint", "minutes", "planned", "GB"), *rows):
        print(f"{row[0]:22}{row[1]:>9}{row[2]:>9}{row[3]:>8}")


if __name__ == "__main__":
    main()
