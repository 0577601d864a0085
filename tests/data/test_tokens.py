from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zsl.data.manifest import Manifest, TokenFile, read_manifest, write_manifest
from zsl.data.tokens import TokenFiles, open_split
from zsl.errors import DataError
from zsl.files import sha256


def write(folder: Path, sizes: list[int], dtype: str) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for number, size in enumerate(sizes):
        path = folder / f"train-{number:05d}.bin"
        rng.integers(0, 60_000, size).astype(dtype).tofile(path)
        paths.append(path)
    return paths


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
@pytest.mark.parametrize("length", [7, 16])
def test_sequences_are_those_of_olmo(tmp_path: Path, dtype: str, length: int) -> None:
    memmap_dataset = pytest.importorskip("olmo.data.memmap_dataset")
    paths = write(tmp_path, [100, 3, 64, 16, 333], dtype)
    paths.append(paths[0])  # a file listed twice is read twice
    ours = TokenFiles(paths, dtype, length)
    theirs = memmap_dataset.MemMapDataset(
        *paths, chunk_size=length, memmap_dtype=getattr(np, dtype)
    )
    assert len(ours) == len(theirs)
    rows = np.random.default_rng(1).permutation(len(ours))
    batch = ours.batch(rows)
    assert batch.dtype == np.int64 and batch.shape == (len(rows), length)
    expected = np.stack([theirs[int(row)]["input_ids"].numpy() for row in rows])
    np.testing.assert_array_equal(batch, expected)


def test_overlapping_sequences_start_at_every_token_of_a_file(tmp_path: Path) -> None:
    paths = write(tmp_path, [20, 3, 7, 8], "uint16")
    files = TokenFiles(paths, "uint16", 7, overlapping=True)
    windows = [
        tokens[start : start + 7]
        for path in paths
        for tokens in [np.fromfile(path, "<u2")]
        for start in range(len(tokens) - 6)
    ]
    assert len(files) == len(windows) == 14 + 0 + 1 + 2
    rows = np.random.default_rng(1).integers(len(files), size=50)
    np.testing.assert_array_equal(files.batch(rows), np.stack(windows)[rows])
    with pytest.raises(IndexError, match="there are 17"):
        files.batch([17])


def test_indices_out_of_range_are_refused(tmp_path: Path) -> None:
    files = TokenFiles(write(tmp_path, [32], "uint16"), "uint16", 16)
    assert files.batch([]).shape == (0, 16)
    for index in (-1, 2):
        with pytest.raises(IndexError, match="there are 2"):
            files.batch([0, index])


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    write(tmp_path, [100, 40], "uint16")
    files = tuple(
        TokenFile(name := f"train-{n:05d}.bin", size, sha256(tmp_path / name), "x")
        for n, size in [(0, 100), (1, 40)]
    )
    return Manifest(
        dtype="uint16",
        vocab_size=60_000,
        eos_token_id=0,
        sequences=1,
        sequence_length=16,
        train=files,
        eval=(),
        documents=3,
        sources=(),
        tokenizer_sha256="0" * 64,
        declaration="0" * 64,
    )


def test_a_split_is_checked_against_the_manifest(tmp_path: Path, manifest: Manifest) -> None:
    assert len(open_split(tmp_path, manifest, "train")) == 6 + 2
    assert len(open_split(tmp_path, manifest, "train", sequence_length=20)) == 5 + 2
    path = tmp_path / "train-00001.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match=r"train-00001\.bin has 78 bytes.*says 80 bytes"):
        open_split(tmp_path, manifest, "train")
    path.write_bytes(bytes(80))
    with pytest.raises(DataError, match=r"train-00001\.bin: damaged: SHA-256"):
        open_split(tmp_path, manifest, "train")
    path.unlink()
    with pytest.raises(DataError, match="is missing"):
        open_split(tmp_path, manifest, "train")


def test_a_manifest_survives_writing(tmp_path: Path, manifest: Manifest) -> None:
    path = tmp_path / "manifest.json"
    write_manifest(path, manifest)
    assert read_manifest(path) == manifest
    assert '"train_tokens": 140' in path.read_text()


@pytest.mark.parametrize(
    "change", [("140", "141"), ('"format": 1', '"format": 2'), ("dtype", "type"), ("{", "")]
)
def test_a_damaged_manifest_is_refused(
    tmp_path: Path, manifest: Manifest, change: tuple[str, str]
) -> None:
    path = tmp_path / "manifest.json"
    write_manifest(path, replace(manifest, train=manifest.train))
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(DataError, match="make the corpus again"):
        read_manifest(path)
