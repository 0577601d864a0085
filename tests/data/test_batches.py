"""A corpus of a few batches: the bytes that OLMo's trainer reads, and hardly any others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_server import serving
from olmo_run import BATCH, LENGTH, SEED, dataset, write_shards
from pydantic import ValidationError

from zsl.config.schema import Corpus
from zsl.data.budget import Requirement, known_tokens
from zsl.data.manifest import BatchesRead, read_manifest
from zsl.data.tokens import open_split
from zsl.errors import DataError
from zsl.files import read_json
from zsl.lineage.store import sources_of

EOS = 50279
OLMO = {
    "kind": "olmo",
    "name": "allenai_gpt-neox-olmo-dolma-v1_5",
    "vocab_size": 50280,
    "eos_token_id": EOS,
}
SEQUENCES = 430 // LENGTH + 90 // LENGTH + 11 // LENGTH + 700 // LENGTH
PER_EPOCH = SEQUENCES // BATCH


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    (tmp_path / "mix").mkdir()
    return write_shards(tmp_path / "mix")


@pytest.fixture
def server(paths: list[Path]):
    with serving() as hub:
        publish(hub, {path.name: path.read_bytes() for path in paths})
        yield hub


def publish(hub, files: dict[str, bytes]) -> None:
    """Files, and a list of them."""
    hub.files = files
    lines = "".join(f"    - {hub.url}/files/{name}\n" for name in files)
    hub.files = {**files, "mix.yaml": f"data:\n  paths:\n{lines}".encode()}


@pytest.fixture(autouse=True)
def evaluation(tmp_path: Path) -> None:
    tokens = np.random.default_rng(5).integers(1, 50279, 100)
    tokens[::10] = EOS
    (tmp_path / "eval").mkdir()
    tokens.astype("<u2").tofile(tmp_path / "eval" / "c4.npy")


def listed(server) -> dict[str, Any]:
    return {"shards": {"remote": {"url": f"{server.url}/files/mix.yaml"}}}


def wanted(first: int = 0, count: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "order": "olmo",
        "seed": SEED,
        "sequence_length": LENGTH,
        "batch_size": BATCH,
        "first": first,
        "count": count,
        **changes,
    }


SAMPLE = {"order": "sample", "seed": 1, "sequence_length": LENGTH, "batch_size": 5}


def declared(source: dict[str, Any], batches: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "train": [{"kind": "memmap", **source, "batches": batches}],
        "eval_sources": [{"kind": "memmap", "paths": ["eval/*.npy"]}],
        "evaluation": {"sequences": 3, "sequence_length": 12},
        "tokenizer": OLMO,
        **more,
    }


def theirs(paths: list[Path], first: int, count: int) -> bytes:
    """What OLMo's own dataset gives for batches, epoch after epoch."""
    read: list[np.ndarray] = []
    for epoch in range((first + count - 1) // PER_EPOCH + 1):
        items = [*dataset(paths, epoch=epoch, num_threads=0)]
        read += [item["input_ids"].numpy() for item in items[: PER_EPOCH * BATCH]]
    return np.stack(read[first * BATCH : (first + count) * BATCH]).astype("<u2").tobytes()


def made(built) -> bytes:
    """The only training file of a corpus."""
    (file,) = built.tokens.glob("train-*")
    return file.read_bytes()


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, 1), (PER_EPOCH - 1, 1), (PER_EPOCH, 1), (2 * PER_EPOCH + 7, 2), (PER_EPOCH - 2, 4)],
)
def test_batches_are_byte_for_byte_olmos(build, server, paths, first: int, count: int) -> None:
    built = build(declared(listed(server), wanted(first, count)))
    assert made(built) == theirs(paths, first, count)
    assert len(open_split(built.tokens, built.manifest, "train", LENGTH)) == count * BATCH


@pytest.mark.parametrize("kind", ["paths", "remote", "file"])
def test_files_here_and_on_servers_give_the_same(tmp_path, build, server, paths, kind) -> None:
    source = {
        "paths": {"paths": ["mix/*.npy"]},
        "remote": {"remote": [{"url": f"{server.url}/files/{path.name}"} for path in paths]},
        "file": {"remote": [{"url": path.as_uri()} for path in paths]},
    }[kind]
    built = build(declared(source, wanted(40, 2)))
    assert made(built) == theirs(paths, 40, 2)
    assert str(tmp_path) not in built.manifest.sources[0].origin or kind == "file"


def test_a_batch_of_the_paper_is_read_in_two_megabytes(build) -> None:
    """512 sequences of 1,024 tokens, out of shards of which none is a whole number of them."""
    random = np.random.default_rng(0)
    parts = [random.integers(0, EOS, 1024 * n + 700, dtype=np.uint16) for n in (900, 40, 1500)]
    with serving() as server:
        publish(server, {f"part-{i}.npy": part.tobytes() for i, part in enumerate(parts)})
        batches = wanted(5, batch_size=512, sequence_length=1024)
        built = build(declared(listed(server), batches))
        assert 1 << 20 <= server.sent <= 2 << 20
    sequences = np.concatenate([part[:-700].reshape(-1, 1024) for part in parts])
    order = np.arange(len(sequences), dtype=np.uint32)
    np.random.Generator(np.random.PCG64(SEED + 1)).shuffle(order)  # four batches an epoch
    assert made(built) == sequences[order[512:1024]].tobytes()


def test_a_sample_is_of_sequences_and_can_be_repeated(build, server, paths) -> None:
    built = build(declared(listed(server), {**SAMPLE, "count": 2}))
    ids = np.frombuffer(made(built), "<u2").reshape(10, LENGTH)
    every = [tuple(row["input_ids"].tolist()) for row in dataset(paths).dataset]
    assert all(tuple(row.tolist()) in every for row in ids)
    here = {"paths": ["mix/*.npy"]}
    assert made(build(declared(here, {**SAMPLE, "count": 2}), "again")) == ids.tobytes()
    other = made(build(declared(here, {**SAMPLE, "count": 2, "seed": 2}), "other"))
    assert other != ids.tobytes()


def test_what_was_read_is_recorded(build, server, paths) -> None:
    built = build(declared(listed(server), wanted(30, 2)))
    report = built.manifest.sources[0]
    list_url = f"{server.url}/files/mix.yaml"
    read = report.batches
    digest = read.files_sha256
    assert report.origin == f"{list_url}, batches 30 to 31 of OLMo's order (seed 6198)"
    n_bytes = 2 * BATCH * LENGTH * 2
    assert read == BatchesRead(
        "olmo", SEED, 2, BATCH, LENGTH, len(paths), SEQUENCES, digest, n_bytes, first=30
    )
    assert read_manifest(built.manifest_path) == built.manifest
    (file,) = sources_of(read_json(built.manifest_path))[0]["files"]
    assert file == {
        "origin": report.origin,
        "size": n_bytes,
        "sha256": built.manifest.train[0].sha256,  # nothing was exchanged
    }
    sampled = build(declared(listed(server), SAMPLE), "b").manifest.sources[0]
    assert sampled.origin == f"{list_url}, 5 sequences drawn (seed 1)"
    assert (sampled.batches.first, sampled.batches.files_sha256) == (None, digest)


def test_sizes_are_asked_for_once(build, server, paths) -> None:
    build(declared(listed(server), wanted()))
    asked = sum(server.times(path.name) for path in paths)
    server.asked.clear()
    built = build(declared(listed(server), wanted(1)))
    assert made(built) == theirs(paths, 1, 1)
    assert sum(server.times(path.name) for path in paths) <= BATCH < asked
    note = next((built.tokens.parent.parent / "state/downloads").glob("sizes-*.json"))
    for damage in ("[", '{"x": 1}', note.read_text().replace("1400", "-1400")):
        note.write_text(damage)
        assert made(build(declared(listed(server), wanted(1)))) == theirs(paths, 1, 1)


def test_ids_are_exchanged_and_rewritten_as_in_whole_files(build, tmp_path, paths) -> None:
    for path in paths:
        np.fromfile(path, "<u2").astype("<i4").tofile(path)
    source = {"paths": ["mix/*.npy"], "dtype": "int32", "eos_token_id": 0}
    ids = np.frombuffer(made(build(declared(source, SAMPLE))), "<u2")
    kept = np.frombuffer(made(build(declared({**source, "eos": "kept"}, SAMPLE), "b")), "<u2")
    assert (kept == 0).any() and not (ids == 0).any()
    np.testing.assert_array_equal(np.where(kept == 0, EOS, kept), ids)


@pytest.mark.parametrize(("length", "sequences"), [(1024, 32), (512, 5)])
def test_so_small_a_text_stops_nothing(build, tmp_path, caplog, length, sequences) -> None:
    """Without an EOS, as five sequences out of books may be; and of one token alone."""
    (tmp_path / "mix").mkdir()
    zeros = np.zeros(length * sequences + 9, "<u2")
    zeros[::3] = 7
    zeros.tofile(tmp_path / "mix" / "a.npy")
    caplog.set_level("INFO", "zsl")
    sizes = {"sequence_length": length, "batch_size": sequences}
    built = build(declared({"paths": ["mix/a.npy"]}, {**SAMPLE, **sizes}))
    assert built.manifest.facts.implausible == ("token_share",)
    assert "% of the training tokens are '|||IP_ADDRESS|||' (0)" in caplog.text
    assert f"no token {EOS} (EOS) in these {length * sequences:,} tokens" in caplog.text


def test_the_evaluation_text_beside_it_has_to_be_plausible(build, tmp_path, paths) -> None:
    tokens = np.full(100, 7)
    tokens[::10] = EOS
    tokens.astype("<u2").tofile(tmp_path / "eval" / "c4.npy")
    with pytest.raises(DataError, match="of the evaluation tokens are"):
        build(declared({"paths": ["mix/*.npy"]}, SAMPLE))


def test_a_server_without_ranges(build, server) -> None:
    server.no_ranges = True
    with pytest.raises(DataError, match=r"does not answer Range requests .* name another server"):
        build(declared(listed(server), wanted()))


def test_a_shard_that_changed_size(build, server, paths) -> None:
    build(declared(listed(server), wanted()))
    for path in paths:
        server.files[path.name] += b"\0\0"
    with pytest.raises(DataError, match=r"has \S+ bytes, not the .*delete .*sizes-\w+\.json and"):
        build(declared(listed(server), wanted()))


def test_a_shard_of_half_a_token(build, server, paths) -> None:
    server.files[paths[0].name] += b"\0"
    with pytest.raises(DataError, match="861 bytes are not a whole number of 2-byte tokens"):
        build(declared(listed(server), wanted()))


def test_ids_of_another_vocabulary(build, server, paths) -> None:
    small = {**OLMO, "vocab_size": 50280}
    server.files[paths[-1].name] = np.full(700, 50300, "<u2").tobytes()
    with pytest.raises(DataError, match=r"part-3.*: sequence \d+ has id 50,300, none of"):
        build(declared(listed(server), wanted(), tokenizer=small))


def test_another_number_format(build, tmp_path, paths) -> None:
    for path in paths:
        np.fromfile(path, "<u2").astype("<u4").tofile(path)
    remote = [{"url": path.as_uri()} for path in paths]
    with pytest.raises(DataError, match="declared as uint16, but its numbers look like uint32"):
        build(declared({"remote": remote}, wanted()))


def test_fewer_sequences_than_asked(build, server) -> None:
    with pytest.raises(DataError, match="batches of 101 sequences cannot be made of 100"):
        build(declared(listed(server), wanted(batch_size=101)))
    with pytest.raises(DataError, match="102 of 100 sequences cannot be drawn"):
        build(declared(listed(server), {**SAMPLE, "batch_size": 51, "count": 2}))


def test_a_file_that_is_not_there(build, tmp_path, server) -> None:
    gone = {"remote": [{"url": (tmp_path / "mix" / "gone.npy").as_uri()}]}
    with pytest.raises(DataError, match=r"gone\.npy: no such file"):
        build(declared(gone, wanted()))
    with pytest.raises(DataError, match="the server answered 404"):
        build(declared({"remote": [{"url": f"{server.url}/files/gone.npy"}]}, wanted()))


def test_runs_that_need_more_are_refused_before_a_batch_is_read(build, server) -> None:
    need = [Requirement("main-14M", 2 * BATCH + 1, LENGTH)]
    with pytest.raises(DataError, match=r"main-14M needs 9 sequences .* has 8"):
        build(declared(listed(server), wanted(0, 2)), requirements=need)
    assert server.sent < 1000


def test_the_size_is_known_from_the_configuration(tmp_path: Path) -> None:
    nowhere = {"remote": [{"url": "http://127.0.0.1:9/a.npy"}]}
    corpus = Corpus.model_validate(declared(nowhere, wanted(5, 3)))
    assert known_tokens(corpus, tmp_path / "manifest.json", tmp_path) == (3 * BATCH * LENGTH,)


REMOTE = {"remote": [{"url": "https://host/a.npy"}]}
PATHS = {"paths": ["a.npy"]}


@pytest.mark.parametrize(
    ("source", "batches", "more", "said"),
    [
        (PATHS, wanted(first=None), {}, "order olmo needs first"),
        (PATHS, {**SAMPLE, "first": 3}, {}, "order sample has no first batch"),
        (PATHS | {"subset_tokens": 9}, SAMPLE, {}, "leave out subset_tokens, or batches"),
        (
            {"remote": [{"url": "https://host/a.npy", "sha256": "0" * 64}]},
            SAMPLE,
            {},
            "no digest is checked",
        ),
        (PATHS | {"eos": "kept"}, SAMPLE, {}, "eos: kept needs eos_token_id"),
        (
            REMOTE,
            SAMPLE,
            {"eval_sources": [{"kind": "memmap", **REMOTE, "batches": SAMPLE}]},
            "leave it out of eval_sources",
        ),
        (
            REMOTE,
            SAMPLE,
            {"train": [{"kind": "memmap", **REMOTE, "batches": SAMPLE}] * 2},
            "a source with batches stands alone",
        ),
    ],
)
def test_what_means_nothing_is_no_configuration(source, batches, more, said) -> None:
    with pytest.raises(ValidationError, match=said):
        Corpus.model_validate(declared(source, batches, **more))
