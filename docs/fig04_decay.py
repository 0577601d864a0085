"""Why gradient interference ends lower than it starts in mini (Fig. 4): the constant rate.

Continues mini's smallest run with a rate that decays to zero, on training text that no checkpoint
has seen, and prints the proxy D on other unseen text at the first checkpoint, at the last, and
after the decay. Needs results/mini; takes about a minute.
"""

from pathlib import Path

import torch

from zsl.config.load import load
from zsl.data.manifest import read_manifest
from zsl.data.tokens import open_split
from zsl.measurements.gradient_opposition import mean_D, opposition
from zsl.measurements.next_step import NextStep
from zsl.training.checkpoint import load_model
from zsl.training.device import device
from zsl.training.order import data_order

RUN, DECAY_STEPS = "main-19k", 800
SEQUENCES = (128, 512, 2048)
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Print D by number of sequences."""
    plan = load([ROOT / "config/config.yaml"])
    run, target = plan.runs[RUN], device(threads=1)
    results = ROOT / "results/mini"
    corpus = results / "data" / run.corpus
    manifest = read_manifest(corpus / "manifest.json")
    tokens = open_split(corpus / "tokens", manifest, "train", run.sequence_length)
    order = data_order(len(tokens), plan.experiment.data_seed)
    start = run.steps * run.batch_size
    end = start + DECAY_STEPS * run.batch_size
    unseen = torch.from_numpy(tokens.batch(order[end : end + max(SEQUENCES)])).to(target)

    def show(name: str, model: torch.nn.Module) -> None:
        values = [mean_D(opposition(model, unseen[:n], 32)) for n in SEQUENCES]
        print(f"{name:24}", *(f"{value:.4f}" for value in values))

    print(f"{'D of ' + RUN:24}", *(f"{n:6}" for n in SEQUENCES), "sequences")
    segments = plan.layout(RUN).segments
    first, last = (
        results / f"training/{RUN}/{segment.name}/step{step:08d}"
        for segment, step in ((segments[0], 1), (segments[-1], run.steps))
    )
    show("step 1", load_model(first).to(target).eval())
    step = NextStep(run, load_model(last).eval(), target)
    step.load(last)
    show(f"step {run.steps}", step.model)
    rate = run.optimizer.learning_rate
    for made in range(DECAY_STEPS):
        at = start + made * run.batch_size
        batch = torch.from_numpy(tokens.batch(order[at : at + run.batch_size])).to(target)
        step.train(batch, rate * (1 - made / DECAY_STEPS))
    show("and a decay to zero", step.model)


if __name__ == "__main__":
    main()
