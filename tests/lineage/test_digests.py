import hashlib

import h5py
import numpy as np
import pytest

from zsl.lineage.digests import (
    folder_sha256,
    logical_sha256,
    sha256_of_files,
    sha256_of_folder,
)
from zsl.lineage.errors import LineageError

LOSSES = np.arange(12, dtype=np.float32).reshape(4, 3)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write(path, *, reverse=False, losses=LOSSES, units="nats", extra=(), **layout):
    """A measurement file: groups, datasets and attributes made in one or the other order."""
    steps = ["step00000001", "step00000002"]
    with h5py.File(path, "w", track_order=reverse) as file:
        for step in reversed(steps) if reverse else steps:
            group = file.create_group(step)
            data = group.create_dataset("token_losses", data=losses, track_order=reverse, **layout)
            facts = [("units", units), ("D", 0.5), ("axes", ["sequences", "positions"])]
            for name, value in reversed(facts) if reverse else facts:
                data.attrs[name] = value
            group["run"] = "main-14M"
        for name in extra:
            file.create_group(name)
    return logical_sha256(path)


def test_files_and_folders(tmp_path):
    folder = tmp_path / "step00000001"
    (folder / "deep").mkdir(parents=True)
    (folder / "b.txt").write_bytes(b"b")
    (folder / "deep" / "a.txt").write_bytes(b"a")
    (folder / "link").symlink_to("/etc/hostname")
    (folder / "linked_folder").symlink_to(tmp_path)
    paths = [folder / "b.txt", folder / "deep" / "a.txt"]
    assert sha256_of_files(paths) == {paths[0]: sha(b"b"), paths[1]: sha(b"a")}
    digests = sha256_of_folder(folder)
    assert digests == {
        "b.txt": sha(b"b"),
        "deep/a.txt": sha(b"a"),
        "link": "symlink:" + sha(b"/etc/hostname"),
        "linked_folder": "symlink:" + sha(bytes(tmp_path)),
    }
    assert list(digests) == sorted(digests)
    (folder / ".snakemake_timestamp").touch()
    assert folder_sha256(sha256_of_folder(folder)) == folder_sha256(digests)
    (folder / "b.txt").rename(folder / "c.txt")
    assert folder_sha256(sha256_of_folder(folder)) != folder_sha256(digests)


@pytest.mark.parametrize(
    "layout",
    [
        {"reverse": True},
        {"compression": "gzip", "shuffle": True},
        {"chunks": (1, 2)},
        {"chunks": (2, 3), "compression": "lzf", "reverse": True, "maxshape": (None, 3)},
        {"track_times": True},
    ],
)
def test_layout_of_hdf5_does_not_count(tmp_path, layout):
    assert write(tmp_path / "a.h5", **layout) == write(tmp_path / "b.h5")


@pytest.mark.parametrize(
    "content",
    [
        {"losses": LOSSES + np.float32([0, 0, 1e-6])},
        {"losses": LOSSES.astype(np.float64)},
        {"losses": LOSSES.astype(">f4")},
        {"losses": LOSSES.view(np.int32)},
        {"losses": LOSSES.reshape(3, 4)},
        {"units": "bits"},
        {"extra": ["empty"]},
    ],
)
def test_content_of_hdf5_counts(tmp_path, content):
    assert write(tmp_path / "a.h5", **content) != write(tmp_path / "b.h5")


def test_slabs_do_not_show(tmp_path, monkeypatch):
    whole = write(tmp_path / "a.h5")
    monkeypatch.setattr("zsl.lineage.hdf5.SLAB", 1)
    assert write(tmp_path / "b.h5", chunks=(3, 2)) == whole


def test_kinds_of_hdf5_values(tmp_path):
    def digest(name, **changed):
        values = {
            "names": ["a", "bc"],
            "ragged": np.array([np.array([1]), np.array([2, 3])], dtype=object),
            "flags": np.array([True, False]),
            "fields": np.array([(1, 2.0)], dtype=[("x", "i4"), ("y", "f8")]),
            "scalar": 1.5,
            "none": np.zeros((0, 3)),
            **changed,
        }
        with h5py.File(tmp_path / name, "w") as file:
            for key, value in values.items():
                ragged = key == "ragged"
                dtype = h5py.vlen_dtype(np.int64) if ragged else None
                file.create_dataset(key, data=value, dtype=dtype)
            file["hard"] = file["flags"]
            file["soft"] = h5py.SoftLink("/nowhere")
            file["round"] = file["/"]
            file["outside"] = h5py.ExternalLink("other.h5", "/x")
            file.attrs["empty"] = h5py.Empty("f4")
        return logical_sha256(tmp_path / name)

    first = digest("a.h5")
    assert digest("b.h5") == first
    others = [
        digest("c.h5", names=["ab", "c"]),
        digest("d.h5", ragged=np.array([np.array([1, 2]), np.array([3])], dtype=object)),
        digest("e.h5", flags=np.array([1, 0], dtype=np.int8)),
        digest("f.h5", fields=np.array([(1, 2.0)], dtype=[("x", "i4"), ("z", "f8")])),
        digest("g.h5", none=np.zeros((0, 4))),
        digest("h.h5", scalar=np.float64(1.25)),
    ]
    assert len({first, *others}) == 7


def test_references_and_broken_files_are_errors(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["ref"] = file.create_group("g").ref
    with pytest.raises(LineageError, match=r"/@ref holds references"):
        logical_sha256(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(b"not HDF5")
    with pytest.raises(LineageError, match=r"b\.h5 cannot be read"):
        logical_sha256(tmp_path / "b.h5")


def test_of_other_kinds_the_bytes_will_do():
    assert logical_sha256("a.csv") is logical_sha256("a.pdf") is None
