"""Where two artifacts differ is said."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from zsl.audit.different import where_different


@pytest.mark.parametrize(
    ("name", "before", "now", "said"),
    [
        ("a.csv", "x\n1\n2\n", "x\n1\n3\n", ["line 3: 2 -> 3", "1 lines differ in all"]),
        ("a.md", "a\n", "a\nb\n", ["line 2: (no line) -> b", "1 lines differ in all"]),
        ("a.json", '{"L_d": {"x": 1}}', '{"L_d": {"x": 2}}', ["value L_d.x: 1 -> 2"]),
        ("a.json", "[1, 2]", "[1, 3]", ["value : [1, 2] -> [1, 3]"]),
        (
            "a.pdf",
            "%PDF-1",
            "%PDF-2",
            ["the first different byte is number 5 of 6 and 6; 1 differ"],
        ),
        ("a.bin", "abc", "ab", ["the first different byte is number 2 of 3 and 2; 0 differ"]),
        ("a.csv", "same", "same", []),
    ],
)
def test_files(tmp_path, name, before, now, said):
    for folder, text in (("before", before), ("now", now)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    assert where_different(tmp_path / "before" / name, tmp_path / "now" / name) == said


def hdf5(path, **values):
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            file.create_dataset(f"step00000001/{name}", data=value)


def test_hdf5(tmp_path):
    values = np.arange(6.0).reshape(2, 3)
    other = values.copy()
    other[1, 2] += 0.5
    nan = np.array([np.nan, 1.0])
    hdf5(tmp_path / "a.h5", loss=values, same=nan, shape=np.zeros(2), old=1, text="a")
    hdf5(tmp_path / "b.h5", loss=other, same=nan, shape=np.zeros(3), new=1, text="b")
    assert where_different(tmp_path / "a.h5", tmp_path / "b.h5") == [
        "step00000001/new is only in one of them",
        "step00000001/old is only in one of them",
        "step00000001/loss: 1 of 6 values differ, the first at (1, 2), by at most 0.5",
        "step00000001/shape: float64 (2,) -> float64 (3,)",
        "step00000001/text: 1 of 1 values differ, the first at (0,)",
    ]


def test_folders(tmp_path):
    for folder, text in (("a", "1\n"), ("b", "2\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "steps.csv").write_text(text)
    (tmp_path / "b" / "more").write_text("")
    assert where_different(tmp_path / "a", tmp_path / "b") == [
        "more is only in one of them",
        "steps.csv: line 1: 1 -> 2",
    ]
