"""What each process of the float64 comparison in ``test_parallel.py`` does under torchrun."""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from zsl.config.schema import Run
from zsl.config.sources import TrainedTokenizer
from zsl.files import read_json
from zsl.models.olmo.build import build_model
from zsl.training.checkpoint import TrainingState, save_checkpoint
from zsl.training.model import make_optimizer, make_passes
from zsl.training.parallel import processes
from zsl.training.sharding import gather, shared_out
from zsl.training.step import train_step, wrap

folder, shared = Path(sys.argv[1]), sys.argv[2] == "shared"
run = Run.model_validate(read_json(folder / "run.json"))
tokenizer = TrainedTokenizer.model_validate(read_json(folder / "tokenizer.json"))
torch.set_num_threads(1)
with processes() as group:
    model = build_model(run, tokenizer).double().to(group.device)
    torch.manual_seed(run.seed)
    optimizer = make_optimizer(run, model)
    if shared:
        optimizer = shared_out(optimizer)
    module, passes = wrap(model, run, group), make_passes(run, model, optimizer)
    losses, read = [], []
    for batch in np.load(folder / "batches.npy"):
        mine = group.share(batch, run.batch_size)
        read.append(torch.from_numpy(mine))
        result = train_step(
            module, optimizer, read[-1], run, group, learning_rate=1e-2, passes=passes
        )
        losses.append(result.loss.cpu())
    save_file({"read": torch.stack(read)}, folder / f"read{group.rank}.safetensors")
    gather(optimizer)
    if group.rank == 0:
        save_file({"losses": torch.stack(losses)}, folder / "losses.safetensors")
        save_checkpoint(folder / "checkpoint", model, optimizer, TrainingState(0, 0, 0))
