"""Tokenizers as other programs leave them: read, or named with what to do."""

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from tokenizers import (
    AddedToken,
    BertWordPieceTokenizer,
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


def transformers_folder(folder: Path, keep: tuple[str, ...] = ()) -> None:
    from transformers import PreTrainedTokenizerFast

    made = PreTrainedTokenizerFast(tokenizer_object=bpe()._tokenizer, eos_token="<|endoftext|>")
    made.save_pretrained(folder)
    for file in folder.iterdir():
        if keep and file.name not in keep:
            file.unlink()


def sentencepiece(path: Path) -> None:
    from transformers.utils import sentencepiece_model_pb2_new as pb

    model = pb.ModelProto()
    for number, piece in enumerate(["<unk>", "<s>", "</s>", "\u2581the", "\u2581", "t", "h", "e"]):
        kind = {0: 2, 1: 3, 2: 3}.get(number, 1)
        model.pieces.add(piece=piece, score=-float(number), type=kind)
    model.trainer_spec.model_type = 1
    path.write_bytes(model.SerializeToString())


def tiktoken(path: Path) -> None:
    """As ``tiktoken.load.dump_tiktoken_bpe`` writes ranks."""
    ranks = [bytes([n]) for n in range(256)] + [b"th", b"the"]
    lines = (base64.b64encode(token) + b" " + str(n).encode() for n, token in enumerate(ranks))
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def test_a_folder_that_transformers_saved_is_read(tmp_path: Path):
    transformers_folder(tmp_path / "saved")
    size = bpe().get_vocab_size()
    found = read(tmp_path, "saved", size)
    whole = read(tmp_path, "saved/tokenizer.json", size)
    assert found.to_str() == whole.to_str()
    assert encode(found, TEXTS)[0].ids == bpe().encode(TEXTS[0]).ids


FOLDERS = {
    "vocab.json and merges.txt": (
        lambda folder: bpe().save_model(str(folder)),
        r"but with vocab\.json and merges\.txt: ByteLevelBPETokenizer",
    ),
    "vocab.txt": (
        lambda folder: wordpiece().save_model(str(folder)),
        r"but with a vocabulary of WordPiece: BertWordPieceTokenizer",
    ),
    "spiece.model": (
        lambda folder: sentencepiece(folder / "spiece.model"),
        r"but with a SentencePiece model: AutoTokenizer\.from_pretrained",
    ),
    "ranks": (
        lambda folder: tiktoken(folder / "o200k_base.tiktoken"),
        "but with ranks of tiktoken.*convert_tiktoken_to_fast",
    ),
    "settings": (
        lambda folder: transformers_folder(folder, ("tokenizer_config.json",)),
        "but with settings without the tokenizer itself",
    ),
    "nothing": (lambda folder: None, r"folder without tokenizer\.json; correct tokenizer\.path"),
}


def wordpiece() -> BertWordPieceTokenizer:
    made = BertWordPieceTokenizer()
    made.train_from_iterator(TEXTS, vocab_size=60)
    return made


@pytest.mark.parametrize("what", FOLDERS)
def test_a_folder_without_tokenizer_json_says_what_it_holds(tmp_path: Path, what: str):
    make, said = FOLDERS[what]
    (tmp_path / "folder").mkdir()
    make(tmp_path / "folder")
    with pytest.raises(DataError, match=said):
        read(tmp_path, "folder", 300)
    corpus = Corpus.model_validate(
        {
            "train": [{"kind": "files", "paths": ["a.txt"]}],
            "evaluation": {"sequences": 1, "sequence_length": 4},
            "tokenizer": declared("folder", 300).model_dump(),
        }
    )
    with pytest.raises(DataError, match=said):  # when the DAG is built
        known_tokens(corpus, tmp_path / "none.json", tmp_path)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def saved(name: str):
    def make(path: Path) -> None:
        transformers_folder(path.parent / "saved")
        path.write_bytes((path.parent / "saved" / name).read_bytes())

    return make


def written(name: str, make: Any):
    def of(path: Path) -> None:
        make().save_model(str(path.parent))
        (path.parent / name).rename(path)

    return of


FILES = {
    "SentencePiece": (sentencepiece, "a SentencePiece model: AutoTokenizer"),
    "tiktoken": (tiktoken, "ranks of tiktoken"),
    "tokenizer_config": (saved("tokenizer_config.json"), r"tokenizer_config\.json of transformers"),
    "vocab.json": (written("vocab.json", bpe), "a vocabulary without the rules that use it"),
    "merges.txt": (written("merges.txt", bpe), "the merges of a BPE without its vocabulary"),
    "vocab.txt": (written("vocab.txt", wordpiece), "a vocabulary of WordPiece"),
    "a model's config.json": (
        lambda path: path.write_text('{"model_type": "llama"}'),
        r"config\.json of a model of transformers: give the tokenizer\.json beside it",
    ),
    "special tokens": (
        lambda path: path.write_text('{"eos_token": "</s>"}'),
        "special tokens of transformers alone",
    ),
    "a pointer": (lambda path: path.write_bytes(POINTER), "a pointer of Git LFS"),
    "nanoGPT's meta.pkl": (
        lambda path: path.write_bytes(pickle.dumps({"vocab_size": 65, "stoi": {"a": 0}})),
        "a pickle, which could execute anything",
    ),
    "a page": (
        lambda path: path.write_text("<!DOCTYPE html>\n<html><head>"),
        "a web page, such as servers send in place of a file",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_of_another_kind_is_named(tmp_path: Path, what: str):
    make, said = FILES[what]
    make(tmp_path / "given")
    with pytest.raises(DataError, match=f"given: not a tokenizers JSON file, but {said}"):
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
