"""A tiny OLMo, trained and saved by the classes of ai2-olmo: one process of gloo under DDP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
import yaml
from olmo.checkpoint import FullCheckpointer
from olmo.config import (
    ActivationType,
    DataConfig,
    InitFnType,
    LayerNormType,
    ModelConfig,
    OptimizerConfig,
    OptimizerType,
    SchedulerConfig,
    SchedulerType,
    TokenizerConfig,
    TrainConfig,
)
from olmo.data import IterableDataset, MemMapDataset
from olmo.model import OLMo
from olmo.optim import build_optimizer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch.nn.parallel import DistributedDataParallel as DDP

LENGTH, BATCH, VOCABULARY, ROWS, SEED = 12, 4, 20, 24, 6198
PEAK = 1e-2
STEPS = (1, 2, 4, 8, 16)


def model_config(**changes: Any) -> ModelConfig:
    values: dict[str, Any] = {
        "d_model": 8,
        "n_heads": 2,
        "n_layers": 2,
        "mlp_ratio": 8,
        "activation_type": ActivationType.swiglu,
        "rope": True,
        "attention_dropout": 0.0,
        "residual_dropout": 0.0,
        "embedding_dropout": 0.0,
        "layer_norm_type": LayerNormType.rms,
        "layer_norm_with_affine": False,
        "max_sequence_length": LENGTH,
        "include_bias": False,
        "vocab_size": VOCABULARY,
        "embedding_size": ROWS,
        "eos_token_id": 0,
        "pad_token_id": 1,
        "init_device": "cpu",
        "init_fn": InitFnType.mitchell,
    }
    return ModelConfig(**{**values, **changes})


def train_config(
    folder: Path, paths: Sequence[str] = (), steps: Sequence[int] = STEPS, **changes: Any
) -> TrainConfig:
    return TrainConfig(
        run_name="OLMo-tiny",
        seed=SEED,
        model=model_config(**changes),
        optimizer=OptimizerConfig(
            name=OptimizerType.adamw,
            learning_rate=PEAK,
            weight_decay=0.1,
            betas=(0.9, 0.95),
            eps=1e-5,
        ),
        scheduler=SchedulerConfig(name=SchedulerType.linear_with_warmup, t_warmup=3),
        data=DataConfig(paths=list(paths), drop_last=True),
        tokenizer=TokenizerConfig(identifier="tokenizers/of-the-authors.json"),
        save_folder=str(folder),
        global_train_batch_size=BATCH,
        device_train_batch_size=BATCH,
        device_train_microbatch_size=BATCH,
        max_grad_norm=1.0,
        max_duration=steps[-1],
    )


def write_shards(folder: Path, tokens: Sequence[int] = (430, 90, 11, 700)) -> list[Path]:
    """Files of uint16 without headers; none is a whole number of sequences long."""
    generator, paths = np.random.default_rng(3), []
    for number, n in enumerate(tokens):
        ids = np.minimum(generator.geometric(0.15, n), VOCABULARY) - 1
        paths.append(folder / f"part-{number}-00000.npy")
        ids.astype("<u2").tofile(paths[-1])
    return paths


def dataset(paths: Sequence[Path], **changes: Any) -> IterableDataset:
    """The sequences in the order in which OLMo's trainer reads them."""
    memmaps = MemMapDataset(*paths, chunk_size=LENGTH, memmap_dtype=np.uint16)
    values = {"seed": SEED, "drop_last": True, "world_size": 1, "rank": 0, "fs_local_rank": 0}
    return IterableDataset(memmaps, BATCH, **{**values, **changes})


@contextmanager
def one_process(folder: Path) -> Iterator[None]:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'rendezvous'}", rank=0, world_size=1
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def save_suite(
    folder: Path, shards: Sequence[Path], steps: Sequence[int], name: str
) -> dict[int, tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]]:
    """Train and save a checkpoint at each of ``steps`` below ``folder``, named by ``name``; the
    weights and the states of the optimizer by step, each by weight, as they were in memory."""
    kept = {}
    with one_process(folder.parent):
        run = OLMoRun(folder, shards, steps)
        while run.step < steps[-1]:
            run.train()
            if run.step in steps:
                run.save(folder / name.format(step=run.step))
                kept[run.step] = (run.weights(), run.states())
    return kept


class OLMoRun:
    """Makes the steps of OLMo's trainer and saves as it does."""

    def __init__(self, folder: Path, shards: Sequence[Path], steps: Sequence[int] = STEPS) -> None:
        self.config = train_config(folder, [str(path) for path in shards], steps)
        self.steps = steps
        torch.manual_seed(1)
        self.model = OLMo(self.config.model)
        self.ddp = DDP(self.model)
        self.optimizer = build_optimizer(self.config, self.ddp.module)
        for group in self.optimizer.param_groups:
            group["max_grad_norm"], group["initial_lr"] = self.config.max_grad_norm, PEAK
        self.batches = [item["input_ids"] for item in dataset(shards, num_threads=0)]
        self.step = 0

    def batch(self, step: int) -> torch.Tensor:
        """What the update making ``step`` reads, (sequences, positions)."""
        return torch.stack(self.batches[(step - 1) * BATCH : step * BATCH])

    def rate(self, step: int) -> float:
        return 0.0 if step == self.steps[-1] else PEAK * min(step, 3) / 3

    def train(self, rate: float | None = None) -> None:
        """One update, as ``olmo.train.Trainer.train_step`` makes it."""
        self.step += 1
        ids = self.batch(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.ddp(input_ids=ids).logits[:, :-1].flatten(0, 1)
        (F.cross_entropy(logits, ids[:, 1:].flatten(), reduction="sum") / ids.numel()).backward()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step) if rate is None else rate
        self.optimizer.clip_grads_and_collect_metrics(self.step, collect_param_metrics=False)
        self.optimizer.step()

    def save(self, folder: Path) -> None:
        state = {
            "global_step": self.step,
            "rng": {"numpy": np.random.default_rng(0).bit_generator.state},
        }
        FullCheckpointer(self.config).save_checkpoint(folder, self.ddp, self.optimizer, state)
        as_theirs(folder / "config.yaml")

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: weight.clone() for name, weight in self.model.state_dict().items()}

    def states(self) -> dict[str, dict[str, torch.Tensor]]:
        return {
            name: {key: value.clone() for key, value in self.optimizer.state[weight].items()}
            for name, weight in self.model.named_parameters()
        }


def write_tokenizer(path: Path) -> None:
    """A word for each id of the shards."""
    words = {"<eos>": 0, **{f"w{id}": id for id in range(1, VOCABULARY)}}
    tokenizer = Tokenizer(WordLevel(words, unk_token="w1"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(path))


def as_theirs(path: Path) -> None:
    """What a fork and a cluster leave in config.yaml."""
    values = yaml.safe_load(path.read_text())
    values["model"] |= {"flash_attention": True, "init_device": "meta", "precision": "amp_bf16"}
    values["scheduler"] |= {"name": "trapezoidal", "t_decay": "${scheduler.t_warmup}"}
    values["save_interval_unsharded_log2"] = True
    values["fsdp"] = {"wrapping_strategy": "by_block", "precision": "mixed"}
    values["compile"] = {"mode": "default"}
    values["data"]["paths"] += ["/network/scratch/somebody/part-00.npy"] * 5000
    path.write_text(yaml.safe_dump(values))


def keyed_by_name(optimizer: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A state of DDP's as FSDP's full state is: keyed by the names of the weights."""
    names, groups = {}, []
    for group in optimizer["param_groups"]:
        written = [prefix + name for name in group["param_names"]]
        names |= dict(zip(group["params"], written, strict=True))
        groups.append({**group, "params": written, "param_names": written})
    state = {names[index]: value for index, value in optimizer["state"].items()}
    return {"state": state, "param_groups": groups}
