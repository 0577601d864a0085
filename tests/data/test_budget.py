from pathlib import Path

import pytest

from zsl.config.schema import Corpus, Run
from zsl.data.budget import (
    Requirement,
    available_sequences,
    check_budget,
    known_tokens,
    requirement,
)
from zsl.errors import DataError

MEMMAPS = {
    "train": [{"kind": "memmap", "paths": ["*.bin"]}],
    "eval_sources": [{"kind": "memmap", "paths": ["*.bin"]}],
    "evaluation": {"sequences": 1, "sequence_length": 8},
    "tokenizer": {"kind": "olmo", "name": "x", "vocab_size": 100, "eos_token_id": 0},
}


def test_a_run_needs_steps_times_batch_size_or_one_sequence_to_draw_from() -> None:
    run = Run.model_validate(
        {
            "corpus": "c",
            "model": {"d_model": 8, "n_layers": 1, "n_heads": 1},
            "sequence_length": 64,
            "batch_size": 16,
            "steps": 1000,
            "optimizer": {"learning_rate": 1e-3},
            "schedule": {"warmup_steps": 1},
        }
    )
    assert requirement("main-1", run, unseen=5) == Requirement("main-1", 16_080, 64)
    drawn = requirement("main-1", run.model_copy(update={"sampling": "offsets"}), unseen=5)
    check_budget("c", [63, 64], [drawn])
    with pytest.raises(DataError, match="needs 1 sequences of 64 tokens, corpus c has 0"):
        check_budget("c", [63, 63], [drawn])


def test_remainders_of_files_are_not_available() -> None:
    assert available_sequences([63, 64, 130], 64) == 3
    check_budget("c", [63, 64, 130], [Requirement("r", 3, 64)])
    with pytest.raises(
        DataError,
        match="run r needs 4 sequences of 64 tokens, corpus c has 3; lower steps or batch_size, "
        "or add text",
    ):
        check_budget("c", [63, 64, 130], [Requirement("r", 4, 64), Requirement("s", 1, 64)])


def test_sizes_of_local_memmaps_are_known_at_once(tmp_path: Path) -> None:
    for name, size in [("a.bin", 20), ("b.bin", 200)]:
        (tmp_path / name).write_bytes(bytes(size))
    corpus = Corpus.model_validate(MEMMAPS)
    assert known_tokens(corpus, tmp_path / "manifest.json", tmp_path) == (10, 100)
    half = Corpus.model_validate(
        MEMMAPS | {"train": [{"kind": "memmap", "paths": ["*.bin"], "subset_tokens": 5}]}
    )
    assert known_tokens(half, tmp_path / "manifest.json", tmp_path) == (10,)


def test_text_is_known_from_the_manifest_of_the_same_declaration_only(
    tmp_path: Path, build, passages
) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(passages(60)))
    declared = {
        "train": [{"kind": "files", "paths": ["a.txt"]}],
        "evaluation": {"sequences": 4, "sequence_length": 16},
        "tokenizer": {"kind": "bpe", "vocab_size": 300},
    }
    corpus = Corpus.model_validate(declared)
    assert known_tokens(corpus, tmp_path / "out/data/manifest.json", tmp_path) is None
    built = build(declared)
    known = known_tokens(corpus, built.manifest_path, tmp_path)
    assert known == (built.manifest.train_tokens,)
    other = Corpus.model_validate(declared | {"shuffle_seed": 3})
    assert known_tokens(other, built.manifest_path, tmp_path) is None
