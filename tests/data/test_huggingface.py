"""Datasets of the hub, loaded by the ``datasets`` library from a folder instead of the network."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from zsl.errors import DataError


@pytest.fixture
def dataset(tmp_path: Path, passages, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A dataset as files, which ``load_dataset`` finds under its folder's name."""
    texts = passages(90)
    folder = tmp_path / "hub" / "c4"
    for split, some in (("train", texts[:60]), ("validation", texts[60:])):
        (folder / "en").mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"text": text, "url": "x"}) + "\n" for text in some]
        (folder / "en" / f"{split}.jsonl").write_text("".join(lines))
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: en\n  data_files:\n"
        "  - split: train\n    path: en/train.jsonl\n"
        "  - split: validation\n    path: en/validation.jsonl\n---\n"
    )
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path / "hub")
    return texts


def source(**more: Any) -> dict[str, Any]:
    return {
        "kind": "huggingface",
        "dataset": "./c4",
        "name": "en",
        "revision": "1588ec4",
        "fields": ["text"],
        **more,
    }


def test_a_split_is_streamed_whole_or_in_part(dataset: list[str], build) -> None:
    declared = {"train": [source()], "eval_sources": [source(split="validation")]}
    built = build(declared)
    training, evaluation = built.manifest.sources
    assert training.documents == 60 and evaluation.documents == 30
    assert training.characters == sum(map(len, dataset[:60]))
    assert training.origin == "Hugging Face: ./c4 en train at 1588ec4"
    some = build({"train": [source(max_documents=25)]}, "some")
    assert some.manifest.sources[0].documents == 25


def test_revision_and_streaming_reach_the_library(
    build, passages, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple] = []

    def load(*names: str, **options: Any) -> datasets.IterableDataset:
        asked.append((*names, options))
        return datasets.Dataset.from_dict({"text": passages(60)}).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load)
    build({"train": [source(dataset="allenai/c4", split="validation")]})
    options = {"split": "validation", "revision": "1588ec4", "streaming": True}
    assert asked == [("allenai/c4", "en", options)]


def test_records_and_failures_are_named(dataset: list[str], build) -> None:
    with pytest.raises(DataError, match=r"\./c4, train record 1: no field 'body'"):
        build({"train": [source(fields=["body"])]})
    with pytest.raises(DataError, match=r"dataset \./c4 at revision 1588ec4.*check dataset"):
        build({"train": [source(split="test")]})
    with pytest.raises(DataError, match=r"allenai/nonsense-zsl"):
        build({"train": [source(dataset="allenai/nonsense-zsl")]})
