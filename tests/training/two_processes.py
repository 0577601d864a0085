"""What each process of ``test_two_processes_make_the_steps_of_one`` does under torchrun."""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from zsl.config.schema import Run
from zsl.config.sources import TrainedTokenizer
from zsl.files import read_json
from zsl.training.model import build_model, make_optimizer
from zsl.training.parallel import processes
from zsl.training.step import train_step, wrap

folder = Path(sys.argv[1])
run = Run.model_validate(read_json(folder / "run.json"))
tokenizer = TrainedTokenizer.model_validate(read_json(folder / "tokenizer.json"))
torch.set_num_threads(1)
with processes() as group:
    model = build_model(run, tokenizer).double().to(group.device)
    optimizer = make_optimizer(run, model)
    module = wrap(model, run, group)
    losses = []
    for batch in np.load(folder / "batches.npy"):
        mine = torch.from_numpy(group.share(batch, run.batch_size)).to(group.device)
        result = train_step(module, optimizer, mine, run, group, learning_rate=1e-2)
        losses.append(result.loss.cpu())
    if group.rank == 0:
        tensors = {f"{i:03}": p.detach().cpu() for i, p in enumerate(model.parameters(), 1)}
        save_file({"000": torch.stack(losses), **tensors}, folder / "two.safetensors")
