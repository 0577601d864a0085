"""What captions say about runs."""

from zsl.config.load import resolve
from zsl.registry import BY_ID
from zsl.registry.facts import facts


def test_captions_say_how_small_the_runs_are():
    corpus = {
        "train": [{"kind": "files", "paths": ["text.txt"]}],
        "evaluation": {"sequences": 1024, "sequence_length": 32},
        "tokenizer": {"kind": "bpe", "vocab_size": 64},
    }
    defaults = {
        "corpus": "text", "sequence_length": 32, "batch_size": 64, "steps": 8192,
        "model": {"d_model": 32, "n_heads": 2, "n_layers": 1},
        "optimizer": {"learning_rate": 1e-3}, "schedule": {"warmup_steps": 4},
    }  # fmt: skip
    runs = {"2k-32": {}, "2k-64": {"sequence_length": 64, "batch_size": 32}, "x": {"steps": 4096}}
    suites = {"batch_sequence": {"defaults": defaults, "runs": runs}}
    values = {"experiment": "x", "corpora": {"text": corpus}, "suites": suites}
    said = facts(resolve(values, environ={}), BY_ID["fig24"])
    assert said["batches"] == "2,048"
    assert said["lengths"] == "32 and 64" and said["steps"] == "4,096 and 8,192"
    assert said["labels"] == "2k-32, 2k-64 and x"
    assert said["evaluation"] == "1,024 sequences of 32"
    assert said["final"] == said["every"] == "–", "no cosine schedule, no even checkpoints"
