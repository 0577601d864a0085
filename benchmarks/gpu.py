"""Training and measurements on one GPU, at the paper's sizes, without a network.

    python benchmarks/gpu.py                writes benchmarks/results/gpu-<device>.json and .md

Training is compared with a plain loop over OLMo, eager and compiled; the proxy and the gradients
of tokens with the paper's own procedures, at the real vocabulary. Beside the ratios stand facts:
tokens per second and model FLOP utilisation, peaks of memory, how far bfloat16 moves D and M, and
whether a resumed run is the same. Without a GPU everything is small and runs on the CPU to show
that it runs; such figures say nothing about a GPU and are not kept.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import exact_gradients
import numpy as np
import proxy
import torch
import torch.nn.functional as F
from harness import ROUNDS, Result, alternate, check, describe, spread
from inputs import LARGE, SMALL
from run import file_of, table
from torch import Tensor, nn

from zsl.config.load import load
from zsl.config.schema import Run
from zsl.config.sources import Tokenizer
from zsl.files import write_json, write_text
from zsl.measurements.interference import interference
from zsl.memory import MicroBatch
from zsl.models.olmo.adapter import Olmo
from zsl.models.olmo.build import build_model
from zsl.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from zsl.training.device import device as compute_device
from zsl.training.micro_batch import first_size
from zsl.training.model import make_optimizer
from zsl.training.parallel import Processes
from zsl.training.speed import peak_tokens_per_second
from zsl.training.step import token_losses, train_step, wrap

HERE = Path(__file__).parent
EAGER, COMPILED = "a plain eager loop over OLMo", "the same loop, compiled"


@dataclass(frozen=True)
class Size:
    """How large everything is."""

    models: tuple[str, ...]
    """Runs of the paper's main suite."""
    layers: int | None
    """Blocks of each model; None: all."""
    batch: int
    """Sequences of a step."""
    peer_micro_batch: int
    """Sequences that the plain loop reads at once, as the authors' did."""
    positions: int
    """Tokens of a sequence."""
    vocabulary: int
    """Rows of the embedding."""


PAPER = Size(("main-14M", "main-144M"), None, 64, 16, 1024, LARGE)
REDUCED = Size(("main-14M",), 1, 4, 2, 32, SMALL)


def run_of(name: str, size: Size) -> tuple[Run, Tokenizer]:
    """A run of the paper with the batch of the benchmark, and the paper's tokenizer."""
    plan = load([HERE.parent / "config/paper.yaml"])
    run, tokenizer = plan.runs[name], plan.corpus(name).tokenizer
    layers = size.layers or run.model.n_layers
    rows = {"vocab_size": size.vocabulary, "embedding_size": size.vocabulary, "eos_token_id": 0}
    changed = {
        "batch_size": size.batch,
        "sequence_length": size.positions,
        "loss": "mean",  # as the plain loop's
        "model": run.model.model_copy(update={"n_layers": layers}),
    }
    return run.model_copy(update=changed), tokenizer.model_copy(update=rows)


def random_tokens(run: Run, size: Size, device: torch.device, seed: int = 0) -> Tensor:
    """A batch of ``run``, (sequences, positions)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (run.batch_size, run.sequence_length)
    return torch.randint(size.vocabulary, shape, generator=generator).to(device)


def plain_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, input_ids: Tensor, size: int
) -> Tensor:
    """A step as a researcher writes it first: autocast, torch's loss, clipping, AdamW."""
    n, total = input_ids[:, 1:].numel(), torch.zeros((), device=input_ids.device)
    for part in input_ids.split(size):
        with torch.autocast(part.device.type, torch.bfloat16):
            logits = model(part).logits[:, :-1]
        loss = F.cross_entropy(logits.float().flatten(0, 1), part[:, 1:].flatten(), reduction="sum")
        (loss / n).backward()
        total += loss.detach() / n
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total


def training(
    name: str, size: Size, device: torch.device, rounds: int = ROUNDS
) -> tuple[list[Result], dict[str, Any]]:
    """Our step against both loops; also what it reaches of the GPU's peak."""
    run, tokenizer = run_of(name, size)
    input_ids, group = random_tokens(run, size, device), Processes(0, 1, device)
    steps: list[Callable[[], Tensor]] = []
    for compiled in (False, True):
        model: nn.Module = build_model(run, tokenizer).to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1)
        if compiled:
            model.compile()
        steps.append(
            lambda m=model, o=optimizer: plain_step(m, o, input_ids, size.peer_micro_batch)
        )
    ours = build_model(run, tokenizer).to(device)
    optimizer, module = make_optimizer(run, ours), wrap(ours, run, group)
    micro_batch = MicroBatch(first_size(run, ours, run.batch_size))
    steps.append(
        lambda: (
            train_step(
                module,
                optimizer,
                input_ids,
                run,
                group,
                learning_rate=1e-4,
                micro_batch=micro_batch,
            ).loss
        )
    )
    first = [float(step()) for step in steps]
    agreement = check("first loss", abs(first[2] - first[0]) / first[0], 2e-2)
    seconds = alternate(steps, rounds)
    speed = run.batch_size * run.sequence_length / np.median(seconds, axis=0)
    peak = peak_tokens_per_second(run, tokenizer.rows, group)
    facts = {
        "tokens per second": [round(value) for value in speed.tolist()],
        "of": [EAGER, COMPILED, "ours"],
        "sequences at once, ours": micro_batch.size,
        "model FLOP utilisation, ours": round(float(speed[2]) / peak, 3) if peak else None,
    }
    results = [
        Result(
            name=f"training {name.removeprefix('main-')}, {size.positions} tokens a sequence",
            peer=peer,
            ours="zsl.training.step.train_step",
            unit="x the peer's tokens per second",
            **spread(seconds[:, column] / seconds[:, 2]),
            target=target,
            agreement=agreement,
            note=f"{speed[2]:,.0f} tokens/s against {speed[column]:,.0f}"
            + (f", {speed[2] / peak:.0%} of the peak" if peak else ""),
            device=describe(device),
        )
        for column, (peer, target) in enumerate(((EAGER, ">= 1.8"), (COMPILED, ">= 1.1")))
    ]
    return results, facts


def measurements(size: Size, device: torch.device) -> list[Result]:
    """The proxy, and the exact sums of the gradients of tokens."""
    model = run_of(size.models[-1], size)[0].model
    shape = {key: getattr(model, key) for key in ("d_model", "n_layers", "n_heads")}
    positions = {"positions": size.positions}
    return [
        proxy.measure(device, size.vocabulary, 0.30, sequences=2, **positions, **shape),
        *exact_gradients.measure(
            device, size.vocabulary, 15, n_peer=32, sequences=1, **positions, **shape
        ),
    ]


def formats(size: Size, device: torch.device) -> dict[str, Any]:
    """D and M of the change of the losses over a few steps, in float32 and in bfloat16."""
    run, tokenizer = run_of(size.models[0], size)
    input_ids, group = random_tokens(run, size, device), Processes(0, 1, device)
    model = build_model(run, tokenizer).to(device)
    optimizer, module = make_optimizer(run, model), wrap(model, run, group)
    evaluated = random_tokens(run, size, device, seed=1)[: size.peer_micro_batch]
    before = {wide: losses(model, evaluated, wide) for wide in (True, False)}
    for _ in range(4):
        train_step(module, optimizer, input_ids, run, group, learning_rate=1e-4)
    changes = {
        wide: interference((losses(model, evaluated, wide) - before[wide]).cpu().numpy())
        for wide in (True, False)
    }
    return {
        "D": {"float32": changes[True].D, "bfloat16": changes[False].D},
        "M": {"float32": changes[True].M, "bfloat16": changes[False].M},
    }


@torch.no_grad()
def losses(model: Olmo, input_ids: Tensor, wide: bool) -> Tensor:
    """Losses of all predictions, in float32 or with bfloat16 products."""
    with torch.autocast(input_ids.device.type, torch.bfloat16, enabled=not wide):
        return token_losses(model(input_ids).logits, input_ids)


def resume(size: Size, device: torch.device) -> dict[str, Any]:
    """Largest difference of the weights of a run that was interrupted from one that was not."""
    run, tokenizer = run_of(size.models[0], size)
    input_ids, group = random_tokens(run, size, device), Processes(0, 1, device)

    def steps(model: Olmo, optimizer: torch.optim.Optimizer) -> None:
        module = wrap(model, run, group)
        for _ in range(4):
            train_step(module, optimizer, input_ids, run, group, learning_rate=1e-4)

    whole = build_model(run, tokenizer).to(device)
    optimizer = make_optimizer(run, whole)
    steps(whole, optimizer)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder) / "kept", whole, optimizer, TrainingState(4, 0, 0))
        resumed = build_model(run, tokenizer).to(device)
        again = make_optimizer(run, resumed)
        load_checkpoint(Path(folder) / "kept", resumed, again)
    steps(whole, optimizer)
    steps(resumed, again)
    pairs = zip(whole.parameters(), resumed.parameters(), strict=True)
    return {
        "largest difference of a weight": max(float((a - b).detach().abs().max()) for a, b in pairs)
    }


def peak_of(work: Callable[[], Any], device: torch.device) -> tuple[Any, float | None]:
    """What ``work`` gives, and the most memory in use meanwhile, in GiB."""
    if device.type != "cuda":
        return work(), None
    torch.cuda.reset_peak_memory_stats(device)
    value = work()
    return value, round(torch.cuda.max_memory_allocated(device) / 2**30, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    device = compute_device(options.threads)
    size = PAPER if device.type == "cuda" else REDUCED
    if size is REDUCED:
        print("No GPU: everything is small and runs on the CPU; its figures are not kept.")
    results: list[Result] = []
    facts: dict[str, Any] = {}
    for name in size.models:
        (made, facts[name]), peak = peak_of(lambda n=name: training(n, size, device), device)
        facts[name]["peak memory of all three, GiB"] = peak
        results += made
    made, facts["peak memory of the measurements, GiB"] = peak_of(
        lambda: measurements(size, device), device
    )
    results += made
    facts["four steps in float32 and bfloat16"] = formats(size, device)
    facts["resumed after four steps"] = resume(size, device)
    for result in results:
        print(result)
    for key, value in facts.items():
        print(f"{key}: {value}")
    if size is PAPER:
        path = file_of(options.results, f"gpu {describe(device)}")
        rows = [{**asdict(result), "met": result.met} for result in results]
        write_json(path.with_suffix(".json"), {"results": rows, "facts": facts})
        said = "\n".join(f"- {key}: {value}" for key, value in facts.items())
        write_text(path.with_suffix(".md"), f"{table(rows, [], 'gpu')}\n{said}\n")


if __name__ == "__main__":
    main()
