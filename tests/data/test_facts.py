"""What is told of a corpus when it is made, and what is not believed."""

import json
import logging
import random
import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from zsl.config.schema import Corpus, Fact
from zsl.config.sources import OlmoTokenizer
from zsl.data.facts import Made, look
from zsl.data.limits import LIMITS
from zsl.data.manifest import SourceReport, read_manifest
from zsl.data.tokenizer import declared_tokenizer, unknown_id
from zsl.errors import DataError

EOS = 50279
OLMO = {
    "kind": "olmo",
    "name": "allenai_gpt-neox-olmo-dolma-v1_5",
    "vocab_size": 50280,
    "eos_token_id": EOS,
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def jsonl(path: Path, texts: list[str]) -> dict[str, Any]:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return {"kind": "files", "paths": [path.name], "fields": ["text"]}


@pytest.fixture
def memmap(tmp_path: Path, build):
    """Make a corpus of these ids; those of the evaluation set are plausible."""
    draw = np.random.default_rng(1)
    good = draw.integers(1, 50279, 200)
    good[::10] = EOS
    good.astype("<u2").tofile(tmp_path / "eval.npy")

    def made(tokens: np.ndarray, accept: tuple[str, ...] = (), **source: Any) -> Any:
        tokens.astype("<u2").tofile(tmp_path / "a.npy")
        declared = {
            "train": [{"kind": "memmap", "paths": ["a.npy"], **source}],
            "eval_sources": [{"kind": "memmap", "paths": ["eval.npy"]}],
            "evaluation": {"sequences": 3, "sequence_length": 16},
            "tokenizer": OLMO,
            "accept": list(accept),
        }
        return build(declared)

    return made


def warnings(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_facts_of_a_good_corpus_are_told_and_kept(tmp_path: Path, build, passages, caplog):
    caplog.set_level(logging.INFO, "zsl")
    texts = passages(120)
    source = jsonl(tmp_path / "a.jsonl", texts + texts[:5])
    built = build({"train": [source]})
    facts = built.manifest.facts
    assert read_manifest(built.manifest_path).facts == facts
    train = np.fromfile(built.tokens / "train-00000.bin", "<u2")
    held = np.fromfile(built.tokens / "eval-00000.bin", "<u2")
    assert facts is not None and facts.implausible == () and warnings(caplog) == []
    for split, ids in ((facts.train, train), (facts.eval, held)):
        counts = np.bincount(ids, minlength=300)
        assert (split.tokens, split.eos, split.unknown) == (len(ids), counts[0], 0)
        counts[0] = 0
        assert [of.count for of in split.frequent] == sorted(counts.tolist())[::-1][:10]
        assert all(counts[of.id] == of.count for of in split.frequent)
    assert facts.train.eos == built.manifest.documents
    tokenizer = Tokenizer.from_file(str(built.tokenizer))
    assert all(of.text == tokenizer.decode([of.id]) for of in facts.train.frequent)
    assert facts.lost == 0
    assert facts.sampled == sum(len("".join(text.split())) for text in texts)
    (screen,) = [r.getMessage() for r in caplog.records if "left out" in r.getMessage()]
    for told in (
        "corpus small: EOS is '<|endoftext|>' (0)",
        "125 read as text",
        f"{built.manifest.documents} packed",
        "5 duplicates, 0 for overlap, 0 broken, 0 empty",
        f"training    {len(train):,} tokens, {facts.train.eos / len(train):.2%} EOS, 0.00% unknown",
        f"0 of {facts.sampled:,} in a sample did not come back from decoding",
    ):
        assert told in screen
    assert len(screen.splitlines()) < 12 and screen.count("%") == 2 + 2 + 20


def padded(share: float) -> np.ndarray:
    """Documents of 20 tokens of which this share is token 1."""
    tokens = np.random.default_rng(0).integers(2, 50279, 4000)
    tokens[np.arange(4000) % 20 < round(20 * share)] = 1
    tokens[19::20] = EOS
    return tokens


HALF = np.random.default_rng(0).integers(1, 50279, 400)
HALF[::2] = EOS
SHORT = np.random.default_rng(0).integers(1, 50279, 400)
SHORT[::4] = EOS
STOPPED = {
    "zeros": (np.zeros(400), {"eos_token_id": 0}, "eos_share", "100.0% of the training tokens"),
    "half of them ends": (HALF, {}, "eos_share", "50.0% of the training tokens are EOS"),
    "one token": (padded(0.95), {}, "token_share", r"95.0% .*'<\|padding\|>' \(1\).*padding"),
}
WARNED = {
    "short documents": (SHORT, {}, "eos_share", "25.0% of the training tokens are EOS"),
    "padding": (padded(0.5), {}, "token_share", r"50.0% of .* are '<\|padding\|>' \(1\)"),
}


@pytest.mark.parametrize("what", STOPPED)
def test_ids_that_no_text_has_stop_the_job_unless_accepted(memmap, tmp_path, what, caplog):
    tokens, source, fact, said = STOPPED[what]
    with pytest.raises(DataError, match=rf"{said}.*set corpora\.small\.accept: \[{fact}\]"):
        memmap(tokens, **source)
    assert not (tmp_path / "out/data").exists()
    built = memmap(tokens, (fact,), **source)
    assert built.manifest.facts.implausible == (fact,)
    assert warnings(caplog) == []


@pytest.mark.parametrize("what", WARNED)
def test_ids_that_few_texts_have_are_warned_of(memmap, what, caplog):
    tokens, source, fact, said = WARNED[what]
    assert memmap(tokens, **source).manifest.facts.implausible == (fact,)
    (warning,) = warnings(caplog)
    assert "\n" not in warning and f"accept: [{fact}]" in warning
    assert re.search(said, warning)
    memmap(tokens, (fact,), **source)
    assert len(warnings(caplog)) == 1


def words_in(texts: list[str]) -> list[str]:
    return sorted({word for text in texts for word in text.split()})


def word_level(path: Path, words: list[str]) -> dict[str, Any]:
    vocabulary = {"<|endoftext|>": 0, "[UNK]": 1}
    vocabulary |= {word: n for n, word in enumerate(words, 2)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(path))
    size = len(vocabulary)
    return {"kind": "file", "path": path.name, "vocab_size": size, "eos_token_id": 0}


@pytest.mark.parametrize(("share", "stops"), [(0.0, False), (0.1, False), (0.6, True)])
def test_unknown_tokens(tmp_path: Path, build, passages, share, stops, caplog):
    texts = passages(100)
    known = words_in(texts)
    random.Random(0).shuffle(known)
    tokenizer = word_level(tmp_path / "t.json", known[round(share * len(known)) :])
    declared = {"train": [jsonl(tmp_path / "a.jsonl", texts)], "tokenizer": tokenizer}
    if stops:
        with pytest.raises(DataError, match=r"% of the \w+ tokens are unknown tokens;"):
            build(declared)
        return
    facts = build(declared).manifest.facts
    assert (facts.train.unknown == 0) == (share == 0)
    assert ("unknown_share" in facts.implausible) == (share > 0)
    assert any("are unknown tokens" in text for text in warnings(caplog)) == (share > 0)


def byte_level(path: Path, alphabet: list[str], texts: list[str]) -> dict[str, Any]:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=200, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet
    )
    made.train_from_iterator(texts, trainer)
    return saved(made, path)


def saved(made: Tokenizer, path: Path) -> dict[str, Any]:
    made.save(str(path))
    eos = made.token_to_id("<|endoftext|>")
    size = made.get_vocab_size()
    return {"kind": "file", "path": path.name, "vocab_size": size, "eos_token_id": eos}


def test_bytes_that_a_tokenizer_was_not_shown_are_missed(tmp_path, build, passages, caplog):
    """A byte-level BPE trained without its alphabet (huggingface/course#775)."""
    english = passages(100)
    greek = [text + " λόγος" for text in english]
    source = jsonl(tmp_path / "a.jsonl", greek)
    partly = byte_level(tmp_path / "t.json", [], english)
    facts = build({"train": [source], "tokenizer": partly}).manifest.facts
    assert facts.lost == 5 * len(greek) and facts.implausible == ("lost_share",)
    assert "do not come back from decoding; the tokenizer has no token for" in warnings(caplog)[0]
    with pytest.raises(DataError, match=r"do not come back.*byte-level one made with all 256"):
        other = jsonl(tmp_path / "b.jsonl", [f"{text} λόγος" * 3 for text in map(str, range(300))])
        build({"train": [other], "tokenizer": partly, "accept": ["token_share", "eos_share"]})
    whole = byte_level(tmp_path / "w.json", pre_tokenizers.ByteLevel.alphabet(), english)
    declared = {"train": [source], "tokenizer": {**whole}}
    assert build(declared).manifest.facts.lost == 0


def byte_fallback() -> Tokenizer:
    """As Llama's: pieces, and bytes for what they have not."""
    vocabulary = {"<unk>": 0, "<s>": 1, "<|endoftext|>": 2}
    vocabulary |= {f"<0x{byte:02X}>": byte + 3 for byte in range(256)}
    vocabulary |= {letter: n for n, letter in enumerate("▁" + LETTERS + "0123456789:", 259)}
    made = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return made


def unigram() -> Tokenizer:
    pieces = [("<unk>", 0.0), ("<|endoftext|>", -1.0)]
    pieces += [(letter, -2.0) for letter in "▁" + LETTERS + "0123456789:"]
    made = Tokenizer(models.Unigram(pieces, unk_id=0))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    return made


def lower() -> Tokenizer:
    """As BERT's: without case, pieces of words, ``[UNK]`` for words with anything else."""
    tokens = ["[UNK]", "<|endoftext|>", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokens += [*"0123456789:", *(f"##{digit}" for digit in "0123456789:")]
    vocabulary = {token: n for n, token in enumerate(tokens)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return made


def dropping() -> Tokenizer:
    """Letters, and nothing for what is none."""
    vocabulary = {
        token: n for n, token in enumerate(["<|endoftext|>", *LETTERS, " ", *"0123456789:"])
    }
    return Tokenizer(models.BPE(vocabulary, []))


@pytest.mark.parametrize(
    ("make", "unknown", "lost"),
    [(byte_fallback, 0, 0), (unigram, 1, 5), (lower, 1, 5), (dropping, 0, 5)],
)
def test_characters_lost_by_each_kind_of_tokenizer(tmp_path, build, passages, make, unknown, lost):
    """A word of five letters that no piece has, in a document of some 180 characters."""
    texts = [text.capitalize() if make is lower else text for text in passages(100)]
    texts = [f"{text} λογος" for text in texts]
    tokenizer = saved(make(), tmp_path / "t.json")
    declared = {"train": [jsonl(tmp_path / "a.jsonl", texts)], "tokenizer": tokenizer}
    built = build(declared)
    facts = built.manifest.facts
    assert facts.lost == lost * len(texts)
    per_document = facts.train.unknown / built.manifest.documents
    assert per_document == unknown if make is not unigram else per_document > 0


@pytest.mark.parametrize(("shared", "stops"), [(0, False), (60, False), (199, True)])
def test_evaluation_text_that_many_documents_share(
    tmp_path: Path, build, passages, shared, stops, caplog
):
    texts = passages(400)
    plain = build({"train": [jsonl(tmp_path / "a.jsonl", texts)]}, "plain")
    tokenizer = Tokenizer.from_file(str(plain.tokenizer))
    first = tokenizer.decode(np.fromfile(plain.tokens / "eval-00000.bin", "<u2").tolist())
    part = " ".join(first.split()[4:24])
    texts[:shared] = [f"{text} {part}" for text in texts[:shared]]
    held = [jsonl(tmp_path / "e.jsonl", [first])]
    declared = {
        "train": [jsonl(tmp_path / "b.jsonl", texts)],
        "eval_sources": held,
        "evaluation": {"sequences": 4, "sequence_length": 12},
    }
    caplog.clear()
    if stops:
        with pytest.raises(DataError, match=r"of the documents were left out for a window.*accept"):
            build(declared)
        build({**declared, "accept": ["overlap_share"]})
        return
    report = build(declared).manifest.sources[0]
    assert report.overlapping >= shared
    assert any("left out for a window" in text for text in warnings(caplog)) == (shared > 0)


def test_any_id_taken_for_eos_is_told(tmp_path: Path, build, passages, caplog):
    texts = [text.replace(" b", " , b") for text in passages(100)]
    known = [word for word in words_in(texts) if word != ","]
    made = {"[UNK]": 0, ",": 1} | {word: n for n, word in enumerate(known, 2)}
    tokenizer = Tokenizer(models.WordLevel(made, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "t.json"))
    source = jsonl(tmp_path / "a.jsonl", texts)
    declared = {"kind": "file", "path": "t.json", "vocab_size": len(made), "eos_token_id": 1}
    with pytest.raises(DataError, match=r"of the EOS in training text end no document.*another"):
        build({"train": [source], "tokenizer": declared})
    unused = {**made, "unused": len(made)}  # a word that never occurs, but a word
    other = Tokenizer(models.WordLevel(unused, unk_token="[UNK]"))
    other.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    other.save(str(tmp_path / "t.json"))
    declared |= {"vocab_size": len(unused), "eos_token_id": len(made)}
    caplog.clear()
    facts = build({"train": [source], "tokenizer": declared}).manifest.facts
    assert facts.implausible == ("eos_token",)
    (warning,) = warnings(caplog)
    assert f"eos_token_id {len(made)} is 'unused'; tokenizers mark the end" in warning


def test_duplicates_and_broken_records_in_numbers(tmp_path: Path, build, passages, caplog):
    texts = passages(60)
    source = jsonl(tmp_path / "a.jsonl", texts * 11)
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"body": "x"}\n' * 20)
    facts = build({"train": [source], "broken_records": "skip"}).manifest.facts
    assert set(facts.implausible) == {"duplicate_share", "broken_share"}
    told = " ".join(warnings(caplog))
    assert "90.9% of the documents came a second time" in told
    assert "2.9% of the records are broken" in told
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"body": "x"}\n' * 200)
    with pytest.raises(DataError, match=r"25\.0% of the records are broken"):
        build({"train": [source], "broken_records": "skip"})


def test_documents_of_millions_of_tokens_are_told(caplog, tmp_path: Path):
    corpus = Corpus.model_validate(
        {
            "train": [{"kind": "memmap", "paths": ["a"]}],
            "evaluation": {"sequences": 3, "sequence_length": 16},
            "tokenizer": OLMO,
        }
    )
    tokenizer = declared_tokenizer(OlmoTokenizer(**OLMO), tmp_path, tmp_path)
    counts = np.full(50280, 100)
    held = counts.copy()
    counts[EOS] = 1
    report = SourceReport("train", "memmap", "a", ())
    facts = look("x", corpus, tokenizer, Made(counts, held, 0, 0, None, [report]))
    assert facts.implausible == ("document_length",)
    assert "training documents have 2,513,950 tokens, the mean" in warnings(caplog)[0]


def test_each_fact_has_a_limit_with_its_reason():
    assert set(LIMITS) == set(get_args(Fact))
    assert all(limit.warn < limit.stop and limit.reason for limit in LIMITS.values())


@pytest.mark.parametrize("name", ["allenai_dolma2", "allenai_eleuther-ai-gpt-neox-20b-pii-special"])
def test_bundled_tokenizers_are_taken(tmp_path: Path, name: str):
    size, eos = (100278, 100257) if "dolma2" in name else (50280, 0)
    declared = OlmoTokenizer(kind="olmo", name=name, vocab_size=size, eos_token_id=eos)
    assert unknown_id(declared_tokenizer(declared, tmp_path, tmp_path)) is None
