"""The corpus as a whole, checked on the files it writes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from zsl.data.budget import Requirement
from zsl.data.manifest import read_manifest
from zsl.errors import DataError
from zsl.files import sha256

EOS = 0


def jsonl(path: Path, texts: list[str], **extra: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text, **extra}) + "\n" for text in texts))
    return path.name


def files(*names: str, **extra: Any) -> dict[str, Any]:
    return {"kind": "files", "paths": list(names), "fields": ["text"], **extra}


def stream(built, split: str) -> np.ndarray:
    return np.fromfile(built.tokens / f"{split}-00000.bin", built.manifest.dtype)


def decoded(built, split: str) -> list[str]:
    """Documents of a stream; the last one of the evaluation set may be cut."""
    ids = stream(built, split)
    tokenizer = Tokenizer.from_file(str(built.tokenizer))
    parts = np.split(ids, np.flatnonzero(ids == EOS) + 1)
    return [
        tokenizer.decode(part.tolist(), skip_special_tokens=True) for part in parts if len(part)
    ]


@pytest.fixture
def texts(tmp_path: Path, passages) -> list[str]:
    found = passages(120)
    jsonl(tmp_path / "a.jsonl", found[:60])
    jsonl(tmp_path / "b.jsonl", found[60:])
    return found


def test_every_passage_is_in_exactly_one_split_and_files_are_as_recorded(
    tmp_path: Path, texts: list[str], build
) -> None:
    built = build({"train": [files("*.jsonl")]})
    manifest = read_manifest(built.manifest_path)
    assert manifest == built.manifest
    assert sorted(path.name for path in built.tokens.iterdir()) == [
        "eval-00000.bin",
        "train-00000.bin",
    ]
    for file in (*manifest.train, *manifest.eval):
        path = built.tokens / file.name
        assert (path.stat().st_size, sha256(path)) == (file.tokens * 2, file.sha256)
    assert manifest.tokenizer_sha256 == sha256(built.tokenizer)
    assert manifest.eval_tokens == 4 * 16
    (report,) = manifest.sources
    assert report.documents == 120 and report.overlapping == report.duplicates == 0
    train, held = decoded(built, "train"), decoded(built, "eval")
    assert len(held) == report.held_out and len(train) == manifest.documents
    assert train == [text for text in texts if text in set(train)]  # in order, whole
    for text in set(texts) - set(train):
        assert any(text.startswith(part) for part in held)
    assert len(train) + len(held) == 120
    assert stream(built, "train")[-1] == EOS and stream(built, "train")[0] != EOS
    assert not (tmp_path / "out/state/build").exists()


def test_evaluation_passages_do_not_depend_on_the_order_of_sources(
    tmp_path: Path, texts: list[str], build
) -> None:
    forward = build({"train": [files("a.jsonl"), files("b.jsonl")]}, "forward")
    back = build({"train": [files("b.jsonl"), files("a.jsonl")]}, "back")
    other = build({"train": [files("*.jsonl")], "shuffle_seed": 1}, "other")
    assert decoded(forward, "eval") == decoded(back, "eval") != decoded(other, "eval")
    assert sorted(decoded(forward, "train")) == sorted(decoded(back, "train"))


def test_duplicates_are_dropped_over_all_sources(tmp_path: Path, texts: list[str], build) -> None:
    jsonl(tmp_path / "c.jsonl", texts[50:70] + texts[:5] + ["one more passage"])
    built = build({"train": [files("a.jsonl"), files("b.jsonl"), files("c.jsonl")]})
    assert [report.duplicates for report in built.manifest.sources] == [0, 0, 25]
    assert [report.documents for report in built.manifest.sources] == [60, 60, 26]
    kept = sum(report.characters for report in built.manifest.sources)
    assert kept == sum(map(len, texts)) + len("one more passage")
    again = build({"train": [files("*.jsonl")], "deduplicate": False}, "again")
    assert again.manifest.sources[0].duplicates == 0


def test_no_window_of_the_evaluation_tokens_is_in_the_training_tokens(
    tmp_path: Path, build, passages
) -> None:
    """Near duplicates, and documents so short that windows span several of them."""
    long = passages(80, 60)
    near = [text.replace("passage", "Passage") + " end" for text in long]
    short = [f"{a}{b}" for a in "abcdefgh" for b in "uvwxyz"]
    jsonl(tmp_path / "a.jsonl", long + near + short)
    split = {"sequences": 30, "sequence_length": 32, "window": 5}
    accept = ["overlap_share"]  # windows of five tokens, which are a word
    built = build({"train": [files("a.jsonl")], "evaluation": split, "accept": accept})
    train, held = stream(built, "train").tolist(), stream(built, "eval").tolist()
    windows = {tuple(held[i : i + 5]) for i in range(len(held) - 4)}
    assert not [i for i in range(len(train) - 4) if tuple(train[i : i + 5]) in windows]
    (report,) = built.manifest.sources
    assert report.overlapping >= report.held_out / 4 > 0
    assert built.manifest.documents == 208 - report.held_out - report.overlapping


def test_bytes_do_not_depend_on_threads_or_repetition(tmp_path, texts, job) -> None:
    declared = {
        "train": [files("*.jsonl")],
        "evaluation": {"sequences": 4, "sequence_length": 16},
        "tokenizer": {"kind": "bpe", "vocab_size": 300},
    }
    for threads in (1, 3):  # the number of threads is fixed at a process' first use
        assert job(declared, f"out{threads}", threads).wait() == 0
    one, three = tmp_path / "out1/data", tmp_path / "out3/data"
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(names) == 4
    for name in names:
        assert (one / name).read_bytes() == (three / name).read_bytes()


def test_the_name_of_the_end_token_inside_a_text_is_text(
    tmp_path: Path, texts: list[str], build
) -> None:
    jsonl(tmp_path / "c.jsonl", ["before <|endoftext|> after"])
    built = build({"train": [files("*.jsonl")]})
    assert "before <|endoftext|> after" in decoded(built, "train")
    assert (stream(built, "train") == EOS).sum() == built.manifest.documents


def test_a_broken_record_stops_or_is_counted(tmp_path: Path, texts: list[str], build) -> None:
    lines = ['{"text": "good"}', '{"body": "other field"}', '{"text": "\\ud800"}', '{"text": ']
    lines += ['{"text": "  "}', '{"text": null}']
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"c\.jsonl, line 2: no field 'text'.*broken_records"):
        build({"train": [files("*.jsonl")]})
    built = build({"train": [files("*.jsonl")], "broken_records": "skip"})
    (report,) = built.manifest.sources
    assert (report.broken, report.empty, report.documents) == (3, 2, 121)


def test_evaluation_sources_fill_the_evaluation_set_in_order(
    tmp_path: Path, texts: list[str], build, passages
) -> None:
    own = passages(40, seed=5)
    jsonl(tmp_path / "held" / "e.jsonl", own)
    declared = {"train": [files("*.jsonl")], "eval_sources": [files("held/e.jsonl")]}
    built = build(declared)
    held = decoded(built, "eval")
    assert held[:-1] == own[: len(held) - 1] and own[len(held) - 1].startswith(held[-1])
    training, evaluation = built.manifest.sources
    assert (training.held_out, evaluation.held_out) == (0, len(held))
    assert (training.use, evaluation.use) == ("train", "eval")


def test_too_little_evaluation_text_is_refused(tmp_path: Path, texts: list[str], build) -> None:
    split = {"sequences": 4000, "sequence_length": 16}
    with pytest.raises(DataError, match=r"needs 4000 sequences of 16 tokens \(64,000\).*have"):
        build({"train": [files("*.jsonl")], "evaluation": split})


def test_nothing_is_published_when_runs_need_more(tmp_path: Path, texts: list[str], build) -> None:
    need = [Requirement("main-14M", 10_000, 16), Requirement("main-37M", 5, 16)]
    with pytest.raises(
        DataError, match=r"run main-14M needs 10,000 .*corpus small has [\d,]+;"
    ) as e:
        build({"train": [files("*.jsonl")]}, requirements=need)
    assert "main-37M" not in str(e.value)
    assert not (tmp_path / "out/data").exists()


def test_an_earlier_corpus_is_replaced(tmp_path: Path, texts: list[str], build) -> None:
    first = build({"train": [files("a.jsonl")]})
    second = build({"train": [files("*.jsonl")]})
    assert second.tokens == first.tokens
    assert (
        stream(second, "train").size == second.manifest.train_tokens > first.manifest.train_tokens
    )


def test_two_jobs_do_not_share_a_state_folder(tmp_path: Path, texts: list[str], build) -> None:
    import fcntl

    (tmp_path / "out/state").mkdir(parents=True)
    with (tmp_path / "out/state/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process"):
            build({"train": [files("*.jsonl")]})


def test_text_files_are_downloaded_and_checked(
    tmp_path: Path, serve, texts: list[str], build
) -> None:
    server = serve(files={"a.jsonl": (tmp_path / "a.jsonl").read_bytes()})
    remote = {"url": server.url + "a.jsonl", "sha256": sha256(tmp_path / "a.jsonl")}
    fetched = {"kind": "files", "remote": [remote], "fields": ["text"]}
    built = build({"train": [fetched]})
    local = build({"train": [files("a.jsonl")]}, "local")
    assert built.manifest.train == local.manifest.train
    assert built.manifest.sources[0].files[0].sha256 == remote["sha256"]
    build({"train": [fetched]})
    assert len(server.gets("a.jsonl")) == 1


def test_text_that_the_tokenizer_does_not_know_is_no_overlap(
    tmp_path: Path, build, passages
) -> None:
    """Words of another script are all one token, in the evaluation text as in any other."""
    texts = passages(200)
    vocabulary = {"<|endoftext|>": 0, "[UNK]": 1}
    for word in " ".join(texts).split():
        vocabulary.setdefault(word, len(vocabulary))
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "words.json"))
    foreign = [
        f"{text} {' '.join(f'слово{n}.{m}' for m in range(20))}" for n, text in enumerate(texts)
    ]
    jsonl(tmp_path / "a.jsonl", foreign)
    declared = {"kind": "file", "path": "words.json", "eos_token_id": 0}
    corpus = {
        "train": [files("a.jsonl")],
        "tokenizer": declared | {"vocab_size": len(vocabulary)},
        "accept": ["unknown_share", "token_share", "lost_share"],
    }
    (report,) = build(corpus).manifest.sources
    assert report.overlapping == 0 and report.held_out > 0
    jsonl(tmp_path / "a.jsonl", [*foreign, f"again {foreign[0]}"])
    again = build(corpus | {"eval_sources": [files("a.jsonl")]})
    assert again.manifest.sources[0].overlapping == 2  # what is evaluated on, and its copy
