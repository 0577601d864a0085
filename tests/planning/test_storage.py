"""Bytes are those that are written."""

import pytest
import torch

from zsl.config.measurements import Measurements
from zsl.config.schema import Corpus
from zsl.measurements.checkpoints import measure_checkpoints, of_weights
from zsl.measurements.next_step import NextStep, of_steps
from zsl.measurements.token_losses import measure
from zsl.memory import MicroBatch
from zsl.models.olmo.build import build_model
from zsl.planning import storage
from zsl.training.checkpoint import TrainingState, save_checkpoint

OPTIMIZERS = [{"name": name} for name in ("adamw", "muon", "ademamix", "c_adamw")]


@pytest.mark.parametrize("settings", OPTIMIZERS, ids=lambda settings: settings["name"])
@pytest.mark.parametrize("step", [0, 1])
def test_a_checkpoint_is_as_large_as_its_files(
    settings, step, make_run, make_corpus, one_process, tmp_path
):
    model_settings = {"d_model": 128, "n_layers": 2, "n_heads": 2}
    run = make_run(
        model=model_settings, optimizer={"learning_rate": 1e-3, **settings}, batch_size=2
    )
    corpus = make_corpus(1, 12, 500)
    model = build_model(run, corpus.tokenizer)
    made = NextStep(run, model, one_process.device)
    if step:
        made.train(torch.randint(500, (2, 12)), 1e-3)
    save_checkpoint(tmp_path / "checkpoint", model, made.optimizer, TrainingState(step, 0, 0))
    files = (tmp_path / "checkpoint").iterdir()
    written = sum(path.stat().st_size for path in files)
    # Names, shapes and configuration are a few thousand bytes more.
    assert storage.checkpoint(run, 500, step) == pytest.approx(written, 0.01)


@pytest.fixture
def measured(make_run, make_corpus, one_process, tmp_path):
    """Run, corpus, step, checkpoint, evaluation tokens and batches."""
    run = make_run(
        model={"d_model": 32, "n_layers": 2, "n_heads": 2}, sequence_length=64, batch_size=16
    )
    corpus = make_corpus(256, 64, 300)
    model = build_model(run, corpus.tokenizer)
    step = NextStep(run, model, one_process.device)
    save_checkpoint(tmp_path / "0", model, step.optimizer, TrainingState(0, 0, 0))
    generator = torch.Generator().manual_seed(0)
    input_ids = torch.randint(300, (256, 64), generator=generator)
    batches = torch.randint(300, (2, 16, 64), generator=generator)
    return run, corpus, step, tmp_path / "0", input_ids, batches


@pytest.mark.parametrize("name", ["token_losses", "single_step", "cross_section"])
def test_a_measurement_is_as_large_as_its_file(name, measured, tmp_path):
    run, corpus, step, folder, input_ids, batches = measured
    settings = Measurements.model_validate({"single_step": {"batches": 2}})
    chosen = input_ids[: settings.cross_section.sequences]
    each = {
        "token_losses": of_weights(measure, step.model, input_ids),
        "single_step": of_steps(settings.single_step, run, step.model, batches, input_ids),
        "cross_section": of_steps(settings.cross_section, run, step.model, batches, chosen),
    }[name]
    measure_checkpoints(name, each, {0: folder}, tmp_path / "made.h5", MicroBatch(8), run="run")
    written = (tmp_path / "made.h5").stat().st_size
    assert settings.of(name).stored(run, corpus) == pytest.approx(written, 0.15)


SHARDS = {"kind": "memmap", "remote": [{"url": "https://host/a.npy"}], "subset_tokens": 1000}
LOCAL = {"kind": "memmap", "paths": ["a.npy"], "subset_tokens": 500}
BATCHES = {"seed": 1, "sequence_length": 64, "batch_size": 10, "first": 7, "count": 2}
FEW = {"kind": "memmap", "dtype": "int32", "remote": [{"url": "https://host/a.npy"}]}
TEXT = {"kind": "files", "remote": [{"url": "https://host/a.txt"}]}
HUB = {"kind": "huggingface", "dataset": "a/b", "revision": "c"}


@pytest.mark.parametrize(
    ("sources", "kept", "downloaded"),
    [
        ([SHARDS], 1000, 2000),
        ([{**SHARDS, "dtype": "uint32"}, LOCAL], 1500, 4000),
        ([LOCAL], 500, 0),
        ([{**FEW, "batches": BATCHES}], 1280, 5120),
        ([{**SHARDS, "subset_tokens": None}], None, None),
        ([SHARDS, TEXT], None, None),
        ([HUB], None, None),
        ([{"kind": "files", "paths": ["a.txt"]}], None, 0),
    ],
)
def test_only_sizes_that_are_declared_are_told(sources, kept, downloaded):
    corpus = Corpus.model_validate(
        {
            "train": sources,
            "evaluation": {"sequences": 1, "sequence_length": 2},
            "tokenizer": {"kind": "bpe", "vocab_size": 20},
        }
    )
    assert storage.tokens_of(corpus) == kept
    assert storage.downloaded(corpus) == downloaded
