"""Corpora of ready-made tokens, local and fetched, whole and in part."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zsl.data.budget import Requirement
from zsl.data.manifest import Eos
from zsl.data.tokens import open_split
from zsl.errors import DataError
from zsl.files import sha256

EOS = 50279
OLMO = {
    "kind": "olmo",
    "name": "allenai_gpt-neox-olmo-dolma-v1_5",
    "vocab_size": 50280,
    "eos_token_id": EOS,
}


def ids(count: int, seed: int, eos: int = EOS) -> np.ndarray:
    """Tokens with an end of document here and there, and neither id 0 nor 50279 otherwise."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 50279, count)
    tokens[::10] = eos
    return tokens


def declared(train: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "train": [{"kind": "memmap", **train}],
        "eval_sources": [{"kind": "memmap", "paths": ["eval/*.npy"]}],
        "evaluation": {"sequences": 3, "sequence_length": 16},
        "tokenizer": OLMO,
        **more,
    }


@pytest.fixture(autouse=True)
def evaluation(tmp_path: Path) -> np.ndarray:
    tokens = ids(100, 99)
    (tmp_path / "eval").mkdir()
    tokens.astype("<u2").tofile(tmp_path / "eval" / "c4.npy")
    return tokens


def written(folder: Path, sizes: list[int], dtype: str = "<u2") -> list[np.ndarray]:
    folder.mkdir(exist_ok=True)
    parts = [ids(size, seed) for seed, size in enumerate(sizes)]
    for number, part in enumerate(parts):
        part.astype(dtype).tofile(folder / f"part-{number}.npy")
    return parts


def test_local_memmaps_are_linked_and_never_joined(tmp_path: Path, build, evaluation) -> None:
    parts = written(tmp_path / "mix", [160, 75, 33])
    built = build(declared({"paths": ["mix/*.npy"]}))
    manifest = built.manifest
    assert [file.name for file in manifest.train] == [f"train-{n:05d}.bin" for n in range(3)]
    assert [file.tokens for file in manifest.train] == [160, 75, 33]
    assert [file.origin for file in manifest.train] == [f"mix/part-{n}.npy" for n in range(3)]
    for number in range(3):
        path = built.tokens / f"train-{number:05d}.bin"
        assert path.samefile(tmp_path / "mix" / f"part-{number}.npy")
        assert manifest.train[number].sha256 == sha256(path)
    train = open_split(built.tokens, manifest, "train")
    assert len(train) == 10 + 4 + 2
    np.testing.assert_array_equal(train.batch([10]), [parts[1][:16]])
    held = open_split(built.tokens, manifest, "eval")
    np.testing.assert_array_equal(held.batch([0, 1, 2]).reshape(-1), evaluation[:48])


def test_files_with_another_eos_or_dtype_are_converted(tmp_path: Path, build) -> None:
    tokens = ids(200, 1, eos=0)
    tokens[5] = EOS  # in the other vocabulary an ordinary id: the two are exchanged
    (tmp_path / "mix").mkdir()
    tokens.astype("<u4").tofile(tmp_path / "mix" / "a.npy")
    source = {"paths": ["mix/a.npy"], "eos_token_id": 0, "dtype": "uint32"}
    built = build(declared(source))
    expected = tokens.copy()
    expected[::10], expected[5] = EOS, 0
    assert built.manifest.dtype == "uint32"
    got = np.fromfile(built.tokens / "train-00000.bin", "<u4")
    np.testing.assert_array_equal(got, expected)
    assert np.fromfile(built.tokens / "eval-00000.bin", "<u4").max() < 50280


@pytest.mark.parametrize(
    ("tokens", "source", "said"),
    [
        (ids(50, 1, eos=0), {}, r"no token 50279 \(EOS\).*eos_token_id"),
        (np.append(ids(50, 1), 50280), {}, r"token 50 has an id \(50280\) not below vocab_size"),
        (ids(50, 1), {"dtype": "uint32"}, "declared as uint32, but .* look like uint16"),
    ],
)
def test_tokens_of_another_tokenizer_are_refused(
    tmp_path: Path, build, tokens: np.ndarray, source: dict, said: str
) -> None:
    (tmp_path / "mix").mkdir()
    tokens.astype("<u2").tofile(tmp_path / "mix" / "a.npy")
    with pytest.raises(DataError, match=said):
        build(declared({"paths": ["mix/a.npy"], **source}))


def test_memmaps_alone_need_evaluation_sources(tmp_path: Path, build) -> None:
    written(tmp_path / "mix", [160])
    with pytest.raises(DataError, match="give eval_sources"):
        build(declared({"paths": ["mix/*.npy"]}, eval_sources=[]))
    with pytest.raises(DataError, match="kind bpe needs text"):
        build(declared({"paths": ["mix/*.npy"]}, tokenizer={"kind": "bpe", "vocab_size": 50280}))


def test_text_and_memmaps_make_one_corpus(tmp_path: Path, build, passages) -> None:
    parts = written(tmp_path / "mix", [160])
    (tmp_path / "a.txt").write_text("\n\n".join(passages(20)))
    text = {"kind": "files", "paths": ["a.txt"]}
    memmap = {"kind": "memmap", "paths": ["mix/*.npy"]}
    built = build(declared({}) | {"train": [memmap, text]})
    names = [file.name for file in built.manifest.train]
    assert names == ["train-00000.bin", "train-00001.bin"]
    got = np.fromfile(built.tokens / "train-00001.bin", "<u2")
    np.testing.assert_array_equal(got, parts[0])


GROUPS = {"web": [300, 200, 250, 250], "code": [100, 200, 100], "wiki": [80, 80]}


def served(server) -> dict[str, Any]:
    """A published mix of shards; the wiki is listed twice."""
    listed = []
    for group, sizes in GROUPS.items():
        for number, size in enumerate(sizes):
            name = f"{group}/part-{number}.npy"
            server.files[name] = ids(size, size + number).astype("<u2").tobytes()
            listed.append(name)
    listed += [name for name in listed if name.startswith("wiki")]
    lines = "".join(f"    - {server.url}{name}\n" for name in listed)
    server.files["mix.yaml"] = f"data:\n  paths:\n{lines}".encode()
    return {"shards": {"remote": {"url": server.url + "mix.yaml"}}}


def test_a_published_list_is_read_whole_with_its_repetitions(
    tmp_path: Path, build, serve, capfd
) -> None:
    server = serve()
    built = build(declared(served(server)))
    manifest = built.manifest
    assert len(manifest.train) == 11
    assert len(list(built.tokens.glob("train-*"))) == 9
    assert manifest.train[7:9] == manifest.train[9:11]
    assert manifest.train_tokens == manifest.facts.train.tokens == 1000 + 400 + 160 * 2
    assert manifest.train[0].origin == server.url + "web/part-0.npy"
    for file in manifest.train:
        name = file.origin.removeprefix(server.url)
        assert (built.tokens / file.name).read_bytes() == server.files[name]
    fetched = [n for m, n, _ in server.requests if m == "GET" and n.endswith("npy")]
    assert len(fetched) == len(set(fetched)) == 9
    assert "9 files to fetch, 3,120 bytes" in capfd.readouterr().err
    assert len(open_split(built.tokens, manifest, "train")) == sum(
        file.tokens // 16 for file in manifest.train
    )


def test_a_subset_is_recorded_with_its_shares(build, serve) -> None:
    server = serve()
    built = build(declared(served(server) | {"subset_tokens": 860}))
    report = built.manifest.sources[0]
    taken = {share.group.rpartition("/")[2]: share.tokens_taken for share in report.shares}
    assert 860 <= built.manifest.train_tokens == sum(taken.values()) < 860 + 300
    for group, whole in (("web", 1000), ("code", 400), ("wiki", 320)):
        assert abs(taken[group] - whole / 2) <= 300
        assert taken[group] > 0
    fetched = {n for m, n, _ in server.requests if m == "GET" and n.endswith("npy")}
    assert len(fetched) == len({file.name for file in built.manifest.train}) < 9


def test_a_corpus_too_small_is_refused_before_the_first_shard(build, serve) -> None:
    server = serve()
    need = [Requirement("main-14M", 1000, 16)]
    with pytest.raises(DataError, match=r"run main-14M needs 1,000 .*corpus small has 104"):
        build(declared(served(server)), requirements=need)
    assert {m for m, n, _ in server.requests if n.endswith("npy")} == {"HEAD"}


def test_a_killed_job_goes_on_shard_by_shard(tmp_path: Path, build, serve, job) -> None:
    server = serve(hold_after=5)  # the list and four shards
    source = served(server)
    process = job(declared(source))
    downloads = tmp_path / "out/state/downloads"
    while len(list(downloads.glob("*.npy"))) < 4 and process.poll() is None:
        threading.Event().wait(0.01)
    process.kill()
    process.wait()
    kept = len(list(downloads.glob("*.npy")))
    assert kept == 4
    assert not (tmp_path / "out/data").exists()
    server.requests.clear()
    server.hold_after = None
    built = build(declared(source))
    fetched = [name for m, name, _ in server.requests if m == "GET" and name.endswith("npy")]
    assert len(set(fetched)) <= 9 - kept  # the killed job's last request may still be answered
    assert built.manifest.train_tokens == 1720
    for file in built.manifest.train:
        name = file.origin.removeprefix(server.url)
        assert (built.tokens / file.name).read_bytes() == server.files[name]


def test_a_shard_that_changed_on_its_server_is_refused_ever_after(
    tmp_path: Path, build, serve
) -> None:
    server = serve()
    source = served(server)
    build(declared(source))
    for path in (tmp_path / "out/state/downloads").glob("*part-0.npy"):
        path.unlink()
    server.files["web/part-0.npy"] = server.files["web/part-0.npy"][::-1]
    with pytest.raises(DataError, match=r"web/part-0\.npy.*recorded when it was first fetched"):
        build(declared(source))


def test_a_shard_of_half_a_token_is_refused(build, serve) -> None:
    server = serve()
    source = served(server)
    server.files["web/part-1.npy"] += b"x"
    with pytest.raises(DataError, match=r"web/part-1\.npy: 401 bytes are not a whole number"):
        build(declared(source))


def test_an_eos_that_is_kept_is_the_word_of_its_id(tmp_path: Path, build) -> None:
    """As the paper's authors scored: EOS 0 of the evaluation tokens is another word."""
    written(tmp_path / "mix", [160])
    tokens = ids(100, 1, eos=0)
    tokens[5] = EOS
    tokens.astype("<u2").tofile(tmp_path / "eval" / "c4.npy")
    kept = {"kind": "memmap", "paths": ["eval/c4.npy"], "eos_token_id": 0, "eos": "kept"}
    built = build(declared({"paths": ["mix/*.npy"]}, eval_sources=[kept]))
    scored = np.fromfile(built.tokens / "eval-00000.bin", "<u2")
    np.testing.assert_array_equal(scored, tokens[:48])
    assert built.manifest.sources[-1].eos == Eos(0, "kept")
    exchanged = {**kept, "eos": "exchanged"}
    built = build(declared({"paths": ["mix/*.npy"]}, eval_sources=[exchanged]))
    swapped = np.fromfile(built.tokens / "eval-00000.bin", "<u2")
    assert (swapped[:50:10] == EOS).all() and swapped[5] == 0
    assert built.manifest.sources[-1].eos == Eos(0, "exchanged")
    assert built.manifest.sources[0].eos is None


def test_an_eos_that_is_kept_has_to_occur(tmp_path: Path, build) -> None:
    written(tmp_path / "mix", [160])
    kept = {"kind": "memmap", "paths": ["eval/c4.npy"], "eos_token_id": 0, "eos": "kept"}
    with pytest.raises(DataError, match=r"no token 0 \(EOS\)"):
        build(declared({"paths": ["mix/*.npy"]}, eval_sources=[kept]))


def test_training_files_whose_eos_is_kept_are_linked(tmp_path: Path, build) -> None:
    (tmp_path / "mix").mkdir()
    ids(200, 1, eos=0).astype("<u2").tofile(tmp_path / "mix" / "a.npy")
    source = {"paths": ["mix/a.npy"], "eos_token_id": 0, "eos": "kept"}
    built = build(declared(source))
    assert (built.tokens / "train-00000.bin").samefile(tmp_path / "mix" / "a.npy")
