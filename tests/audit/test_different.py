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
            ["the first different byte, counted from 1, is number 6 of 6 and 6; 1 differ"],
        ),
        (
            "a.bin",
            "abc",
            "ab",
            ["the first different byte, counted from 1, is number 3 of 3 and 2; 0 differ"],
        ),
        (
            "long.csv",
            f"{'1,' * 60}1\n",
            f"{'1,' * 60}2\n",
            [f"line 1: ...{'1,' * 10}1 -> ...{'1,' * 10}2", "1 lines differ in all"],
        ),
        (
            "end.csv",
            "x\n1\n",
            "x\n1",
            ["the lines are the same, only how they end (or whether the last one does) differs"],
        ),
        (
            "end.json",
            '{"x": 1}\n',
            '{"x": 1}',
            ["the values are the same, written otherwise"],
        ),
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
        "step00000001/text: b'a' -> b'b'",
    ]


def both(folder, write):
    """A pair of HDF5 files, each written by ``write`` with its number."""
    for number in (0, 1):
        with h5py.File(folder / f"{number}.h5", "w") as file:
            write(file, number)
    return where_different(folder / "0.h5", folder / "1.h5")


def test_attributes_of_hdf5(tmp_path):
    def write(file, number):
        file.attrs["steps"] = 5
        file.attrs["run"] = ["main-1k", "main-2k"][number]
        file.create_group("group").attrs["grid"] = [1.0, 2.0 + number]
        file.create_dataset("group/values", data=[1]).attrs[["old", "new"][number]] = 1

    assert both(tmp_path, write) == [
        "attribute new of group/values is only in one of them",
        "attribute old of group/values is only in one of them",
        "attribute run of the file: main-1k -> main-2k",
        "attribute grid of group: 1 of 2 values differ, the first at (1,), by at most 1",
    ]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            np.array([[1, 5], [2, 5]], np.uint8),
            "1 of 2 values differ, the first at (0,), by at most 1",
        ),
        (
            np.array([[0, 5], [2**63 + 2, 5]], np.uint64),
            "1 of 2 values differ, the first at (0,), by at most 9.22e+18",
        ),
        (
            np.array([[1.0, np.nan], [np.nan, np.nan]]),
            "1 of 2 values differ, the first at (0,), by NaN or infinity",
        ),
        (
            np.array([[1.0, np.nan], [2.0, np.inf]]),
            "2 of 2 values differ, the first at (0,), by NaN or infinity",
        ),
        (np.array([[1, 1j], [1, 2j]]), "1 of 2 values differ, the first at (1,), by at most 1"),
        (np.array([0.0, 1.0]), "0.0 -> 1.0"),
    ],
)
def test_values_of_hdf5(tmp_path, values, words):
    def write(file, number):
        file["x"] = values[number]

    assert both(tmp_path, write) == [f"x: {words}"]


def test_hdf5_of_the_same_values(tmp_path):
    def write(file, number):
        file.create_dataset("x", data=np.zeros(8), chunks=(8 >> number,))

    assert both(tmp_path, write) == ["the values are the same, written otherwise"]


def test_folders(tmp_path):
    for folder, text in (("a", "1\n"), ("b", "2\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "steps.csv").write_text(text)
    (tmp_path / "b" / "more").write_text("")
    assert where_different(tmp_path / "a", tmp_path / "b") == [
        "more is only in one of them",
        "steps.csv: line 1: 1 -> 2",
    ]
