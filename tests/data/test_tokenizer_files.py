"""Tokenizers as other programs leave them: read, or named with what to do."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from tokenizers import (
    AddedToken,
    ByteLevelBPETokenizer,
    Tokenizer,
    models,
    pre_tokenizers,
)

from zsl.config.schema import Corpus
from zsl.config.sources import FileTokenizer
from zsl.data.budget import known_tokens
from zsl.data.tokenizer import declared_tokenizer, encode, is_end_token, load_tokenizer
from zsl.errors import DataError

TEXTS = ["the cat sat on the mat", "a dog, a log and a frog"] * 20


def bpe(**options: Any) -> ByteLevelBPETokenizer:
    made = ByteLevelBPETokenizer(**options)
    made.train_from_iterator(TEXTS, vocab_size=300, special_tokens=["<|endoftext|>"])
    return made


def declared(path: str, size: int, eos: int = 0) -> FileTokenizer:
    return FileTokenizer(kind="file", path=path, vocab_size=size, eos_token_id=eos)


def read(folder: Path, path: str, size: int, eos: int = 0) -> Tokenizer:
    return declared_tokenizer(declared(path, size, eos), folder, folder)


def transformers_folder(folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    made = PreTrainedTokenizerFast(tokenizer_object=bpe()._tokenizer, eos_token="<|endoftext|>")
    made.save_pretrained(folder)


def test_a_folder_that_transformers_saved_is_read(tmp_path: Path):
    transformers_folder(tmp_path / "saved")
    size = bpe().get_vocab_size()
    found = read(tmp_path, "saved", size)
    whole = read(tmp_path, "saved/tokenizer.json", size)
    assert found.to_str() == whole.to_str()
    assert encode(found, TEXTS)[0].ids == bpe().encode(TEXTS[0]).ids


SAVED = {
    "merges.txt": r"vocab\.json and merges\.txt: ByteLevelBPETokenizer",
    "vocab.json": r"vocab\.json and merges\.txt: ByteLevelBPETokenizer",
    "vocab.txt": "a vocabulary of WordPiece: BertWordPieceTokenizer",
    "spiece.model": r"a SentencePiece model: AutoTokenizer\.from_pretrained",
    "o200k_base.tiktoken": "ranks of tiktoken.*convert_tiktoken_to_fast",
    "tokenizer_config.json": "settings without the tokenizer itself",
    "config.json": r"config\.json of a model: give the tokenizer\.json beside it",
}


@pytest.mark.parametrize("name", [*SAVED, "none"])
def test_what_lies_beside_a_tokenizer_is_named(tmp_path: Path, name: str):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_text('{"a": 1}')
    said = SAVED.get(name)
    with pytest.raises(DataError, match=f"but with {said}" if said else "correct tokenizer.path"):
        read(tmp_path, "folder", 300)
    with pytest.raises(DataError, match=f"but {said}" if said else "give another file"):
        read(tmp_path, f"folder/{name}", 300)
    corpus = Corpus.model_validate(
        {
            "train": [{"kind": "files", "paths": ["a.txt"]}],
            "evaluation": {"sequences": 1, "sequence_length": 4},
            "tokenizer": declared("folder", 300).model_dump(),
        }
    )
    with pytest.raises(DataError, match=said or "correct"):  # when the DAG is built
        known_tokens(corpus, tmp_path / "none.json", tmp_path)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FILES = {
    "a pointer": (POINTER, "but a pointer of Git LFS and not the file itself: run git lfs"),
    "a pickle": (pickle.dumps({"a": 1}), "but a pickle, which could execute anything"),
    "a page": (b"<!DOCTYPE html>\n<html>", "but a web page, such as servers send in place"),
    "another JSON": (b"{}", r"\('model'\); give another file"),
}


@pytest.mark.parametrize(("data", "said"), FILES.values(), ids=FILES)
def test_a_file_of_another_kind_is_named(tmp_path: Path, data: bytes, said: str):
    (tmp_path / "given").write_bytes(data)
    with pytest.raises(DataError, match=f"given: not a tokenizers JSON file.*{said}"):
        read(tmp_path, "given", 300)


def words(**ids: int) -> Tokenizer:
    made = Tokenizer(models.WordLevel({"<|endoftext|>": 0, **ids}, unk_token="<|endoftext|>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


def test_ids_with_holes_count_up_to_the_largest(tmp_path: Path):
    """camembert-base, ConvBERT and cl100k have ids without a token (huggingface/tokenizers#900)."""
    ids = {f"w{n}": n for n in range(1, 40) if n != 7}
    words(**ids).save(str(tmp_path / "t.json"))
    assert read(tmp_path, "t.json", 40).id_to_token(7) is None
    said = "has 39 tokens and 1 ids without one, .* vocab_size 39; correct vocab_size to 40"
    with pytest.raises(DataError, match=said):
        read(tmp_path, "t.json", 39)


def test_mostly_holes_are_refused(tmp_path: Path):
    words(b=5).save(str(tmp_path / "t.json"))
    for size in (2, 6):
        with pytest.raises(DataError, match="has 2 tokens and the id 5; not more than a tenth"):
            read(tmp_path, "t.json", size)


def test_two_tokens_with_one_id_are_refused(tmp_path: Path):
    words(a=1, b=1, c=2).save(str(tmp_path / "t.json"))
    values = json.loads((tmp_path / "t.json").read_text())
    values["model"]["vocab"] = {"<|endoftext|>": 0, "a": 1, "b": 1, "c": 2}
    (tmp_path / "t.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"one id for 'a' and 'b' \(1\)"):
        read(tmp_path, "t.json", 4)


def test_added_tokens_beyond_a_hole_are_refused(tmp_path: Path):
    """tokenizers numbers them anew, in silence (huggingface/transformers#48446)."""
    made = words(a=1, b=2)
    made.add_special_tokens([AddedToken("[PAD]", special=True)])
    values = json.loads(made.to_str())
    values["added_tokens"][-1]["id"] = 255
    (tmp_path / "t.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match=r"gives '\[PAD\]' the id 255, to which tokenizers gives 3"):
        load_tokenizer(tmp_path / "t.json")


def test_dropout_is_taken_out(tmp_path: Path, caplog):
    """With it, a text has other tokens each time (huggingface/tokenizers#644)."""
    bpe().save_model(str(tmp_path))
    made = ByteLevelBPETokenizer.from_file(
        str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"), dropout=0.5
    )
    made.save(str(tmp_path / "t.json"))
    assert len({tuple(made.encode(TEXTS[0]).ids) for _ in range(20)}) > 1
    found = read(tmp_path, "t.json", made.get_vocab_size(), 0)
    assert {tuple(encode(found, TEXTS[:1])[0].ids) for _ in range(20)} == {
        tuple(bpe().encode(TEXTS[0]).ids)
    }
    assert "BPE-dropout (0.5) is not used" in caplog.text


def test_no_token_is_added_to_a_text(tmp_path: Path):
    from tokenizers.processors import BertProcessing

    made = words(a=1, b=2)
    made.post_processor = BertProcessing(("a", 1), ("b", 2))
    made.save(str(tmp_path / "t.json"))
    assert encode(read(tmp_path, "t.json", 3), ["b a"])[0].ids == [2, 1]


def test_what_may_end_a_document():
    made = words(**{",": 1, "[SEP]": 2, "eot": 3})
    made.add_tokens(["eot"])
    assert [is_end_token(made, id) for id in range(4)] == [True, False, True, True]
