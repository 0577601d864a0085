"""Token files in every format that people write, read as every one that can be declared."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsl.config.schema import Corpus
from zsl.data.budget import known_tokens
from zsl.data.number_format import check_format, looks_like
from zsl.errors import DataError

EOS, SIZE = 50279, 50280
OLMO = {
    "kind": "olmo",
    "name": "allenai_gpt-neox-olmo-dolma-v1_5",
    "vocab_size": SIZE,
    "eos_token_id": EOS,
}


def ids(count: int = 400, seed: int = 0, vocab_size: int = SIZE) -> np.ndarray:
    """Ids as frequent as words are, a document ended every 20."""
    draw = np.random.default_rng(seed)
    tokens = np.minimum(draw.zipf(1.2, count) - 1, vocab_size - 2)
    tokens[::20] = vocab_size - 1
    return tokens


def declared(**train: Any) -> dict[str, Any]:
    return {
        "train": [{"kind": "memmap", "paths": ["a.bin"], **train}],
        "eval_sources": [{"kind": "memmap", "paths": ["eval.npy"]}],
        "evaluation": {"sequences": 3, "sequence_length": 16},
        "tokenizer": OLMO,
    }


@pytest.fixture(autouse=True)
def evaluation(tmp_path: Path) -> None:
    ids(seed=9).astype("<u2").tofile(tmp_path / "eval.npy")


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int32", "int64"])
@pytest.mark.parametrize("written", ["uint16", "uint32", "int32", "int64"])
def test_a_file_is_taken_in_its_own_format_and_refused_in_any_other(written: str, dtype: str):
    named = {"int32": "uint32"}.get(written, written)
    same = dtype == written or {dtype, written} == {"uint32", "int32"}
    for seed in range(5):
        found = looks_like(ids(seed=seed).astype(written).tobytes(), dtype, SIZE)
        assert found == (None if same else named)


@pytest.mark.parametrize("vocab_size", [8, 256, 50280, 65536, 100278])
@pytest.mark.parametrize("dtype", ["uint16", "uint32", "int64"])
def test_good_files_are_taken_whatever_the_vocabulary(dtype: str, vocab_size: int):
    for seed in range(20):
        tokens = np.minimum(ids(3000, seed, vocab_size), np.iinfo(dtype).max)
        assert looks_like(tokens.astype(dtype).tobytes(), dtype, vocab_size) is None


def test_one_id_too_large_is_no_sign_of_narrower_numbers():
    """Read as uint16, all numbers of a uint32 file are ids of a vocabulary beyond 65,536."""
    tokens = ids(vocab_size=100278)
    tokens[5] = 100278
    assert looks_like(tokens.astype("<u4").tobytes(), "uint32", 100278) is None


@pytest.mark.parametrize("dtype", ["uint32", "int32", "int64"])
def test_wide_numbers_are_written_into_the_corpus_as_small_as_they_fit(
    tmp_path: Path, build, dtype: str
):
    ids().astype(dtype).tofile(tmp_path / "a.bin")
    built = build(declared(dtype=dtype))
    assert built.manifest.dtype == ("uint32" if dtype == "uint32" else "uint16")
    got = np.fromfile(built.tokens / "train-00000.bin", built.manifest.dtype)
    np.testing.assert_array_equal(got, ids())


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "uint32", "int64"])
def test_the_padding_of_labels_is_named(tmp_path: Path, build, dtype: str):
    tokens = ids()
    tokens[5:9] = -100
    tokens.astype(dtype, casting="unsafe").tofile(tmp_path / "a.bin")
    said = r"token 5 has an id \(-?\d+\) that is -100, .*write input_ids"
    with pytest.raises(DataError, match=said):
        build(declared(dtype="uint16" if dtype == "int16" else dtype))


def test_another_negative_number_is_below_0(tmp_path: Path, build):
    tokens = ids()
    tokens[7] = -1
    tokens.astype("<i4").tofile(tmp_path / "a.bin")
    with pytest.raises(DataError, match=r"token 7 has an id \(-1\) below 0"):
        build(declared(dtype="int32"))


def test_uint16_cannot_hold_the_eos_of_a_large_vocabulary(tmp_path: Path, build):
    """Written as uint16, ids of 65,536 and more are others (princeton-nlp/LLM-Shearing#65)."""
    large = {"name": "allenai_dolma2", "vocab_size": 100278, "eos_token_id": 100257}
    (ids(vocab_size=100278) % (1 << 16)).astype("<u2").tofile(tmp_path / "a.bin")
    ids(vocab_size=100258).astype("<u4").tofile(tmp_path / "eval.npy")
    corpus = declared() | {"tokenizer": OLMO | large}
    corpus["eval_sources"] = [{"kind": "memmap", "paths": ["eval.npy"], "dtype": "uint32"}]
    with pytest.raises(DataError, match=r"uint16 holds no 100257: declare the dtype"):
        build(corpus)


def test_documents_separated_by_another_token_name_it(tmp_path: Path, build):
    """``dolma tokens`` writes BOS and no EOS where it is told one and not the other."""
    tokens = ids()
    tokens[::20] = 1  # <|padding|>
    tokens.astype("<u2").tofile(tmp_path / "a.bin")
    said = r"no token 50279 \(EOS\).*there are '<\|padding\|>' \(1\) \d+ times; .*eos_token_id"
    with pytest.raises(DataError, match=said):
        build(declared())


def llm_c(tokens: np.ndarray) -> bytes:
    """A shard as ``dev/data/data_common.py`` of llm.c writes it."""
    header = np.zeros(256, dtype=np.int32)
    header[:3] = 20240520, 1, len(tokens)
    return header.tobytes() + tokens.astype(np.uint16).tobytes()


POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
CONTAINERS = {
    "llm.c": (llm_c, r"a shard of llm\.c, with a header of 1024 bytes.*dtype: uint16"),
    "Megatron's index": (lambda _: b"MMIDIDX\0\0" + bytes(99), "the index of a Megatron data set"),
    "a pointer": (lambda _: POINTER, "a pointer of Git LFS.*git lfs pull"),
    "text": (lambda _: b'{"text": "ninety-nine luftballons"}\n' * 20, "a text file: declare it"),
    "numpy.savez": (lambda _: b"PK\x03\x04" + bytes(96), "a zip, such as torch.save, numpy"),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_what_holds_more_than_ids_is_named(tmp_path: Path, kind: str):
    make, said = CONTAINERS[kind]
    data = make(ids())
    (tmp_path / "a.bin").write_bytes(data + b"\n" * (len(data) % 2))
    with pytest.raises(DataError, match=rf"^a\.bin: {said}"):
        check_format(tmp_path / "a.bin", "a.bin", "uint16", SIZE)
    corpus = Corpus.model_validate(declared())
    with pytest.raises(DataError, match=said):  # when the DAG is built
        known_tokens(corpus, tmp_path / "none.json", tmp_path)
