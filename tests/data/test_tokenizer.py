from pathlib import Path

import numpy as np
import pytest

from zsl.config.sources import FileTokenizer, OlmoTokenizer, TrainedTokenizer
from zsl.data.packing import pack, pack_until, token_dtype
from zsl.data.tokenizer import declared_tokenizer, save_tokenizer, train_bpe
from zsl.errors import DataError

OLMO = {"kind": "olmo", "name": "allenai_gpt-neox-olmo-dolma-v1_5"}


def test_the_papers_tokenizer_has_the_declared_vocabulary(tmp_path: Path) -> None:
    declared = OlmoTokenizer(**OLMO, vocab_size=50280, eos_token_id=50279)
    tokenizer = declared_tokenizer(declared, tmp_path, tmp_path)
    packed = pack(["Hello world", "a"], tokenizer, 50279)
    assert packed.lengths.tolist() == [3, 2]
    assert packed.tokens[[2, 4]].tolist() == [50279, 50279]
    assert tokenizer.decode(packed.tokens[:2].tolist()) == "Hello world"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"vocab_size": 50304}, r"has 50280 tokens.*vocab_size 50304.*embedding_size"),
        ({"eos_token_id": 0}, r"eos_token_id 0 is '\|\|\|IP_ADDRESS\|\|\|'.*is 50279"),
        ({"name": "nonsense"}, r"no tokenizer 'nonsense'; it has .*allenai_dolma2"),
    ],
)
def test_another_vocabulary_is_refused(tmp_path: Path, wrong: dict, said: str) -> None:
    declared = OlmoTokenizer(**{**OLMO, "vocab_size": 50280, "eos_token_id": 50279, **wrong})
    with pytest.raises(DataError, match=said):
        declared_tokenizer(declared, tmp_path, tmp_path)


def test_trained_bpe_is_exact_lossless_and_reloads(tmp_path: Path, passages) -> None:
    texts = [*passages(50), "Zoë 𝔸 \t tabs\n\nand control \x00"]
    declared = TrainedTokenizer(kind="bpe", vocab_size=300)
    tokenizer = train_bpe([texts[:20], texts[20:]], declared)
    assert tokenizer.get_vocab_size() == 300
    assert tokenizer.id_to_token(0) == "<|endoftext|>"
    save_tokenizer(tokenizer, tmp_path / "t.json")
    reloaded = declared_tokenizer(
        FileTokenizer(kind="file", path="t.json", vocab_size=300, eos_token_id=0),
        tmp_path,
        tmp_path,
    )
    packed = pack(texts, reloaded, 0)
    np.testing.assert_array_equal(packed.tokens, pack(texts, tokenizer, 0).tokens)
    starts = np.cumsum(packed.lengths) - packed.lengths
    for text, start, length in zip(texts, starts, packed.lengths, strict=True):
        assert reloaded.decode(packed.tokens[start : start + length - 1].tolist()) == text


def test_too_little_text_or_vocabulary_is_refused() -> None:
    with pytest.raises(DataError, match=r"vocabulary of 2\d\d tokens only.*vocab_size 5000"):
        train_bpe([["short text"]], TrainedTokenizer(kind="bpe", vocab_size=5000))
    with pytest.raises(DataError, match="at least 257"):
        train_bpe([["text"]], TrainedTokenizer(kind="bpe", vocab_size=256))


@pytest.mark.parametrize("tokens", [1, 5, 6, 7, 30])
def test_packing_stops_at_the_tokens_wanted(tokens: int, passages) -> None:
    texts = passages(6, 20)
    tokenizer = train_bpe([texts], TrainedTokenizer(kind="bpe", vocab_size=280))
    whole = pack(texts, tokenizer, 0)
    ids, used = pack_until(tokens, ([text] for text in texts), tokenizer, 0)
    np.testing.assert_array_equal(ids, whole.tokens[:tokens])
    ends = np.cumsum(whole.lengths)
    assert ends[used - 1] >= tokens and (used == 1 or ends[used - 2] < tokens)


def test_dtype_holds_the_largest_id() -> None:
    assert [token_dtype(n) for n in (2, 65536, 65537)] == ["uint16", "uint16", "uint32"]
