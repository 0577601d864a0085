"""Folders as people have them: hidden files, archives' leftovers, links, other formats."""

import logging
from pathlib import Path

import pytest

from zsl.config.sources import FileSource
from zsl.data.patterns import matching, text_files
from zsl.data.sources import Place, Reading, documents
from zsl.errors import DataError

FILES = [
    "texts/b.txt",
    "texts/a/z.TXT",
    "texts/a/notes.md",
    "texts/.DS_Store",
    "texts/._b.txt",
    "texts/.git/c.txt",
    "texts/__MACOSX/._b.txt",
    "texts/Thumbs.db",
    "texts/scan.pdf",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"in {name}")
    return tmp_path


def test_a_folder_is_its_text_files(root: Path, caplog) -> None:
    (root / "texts/a/loop").symlink_to(root / "texts")
    for pattern in ("texts", "texts/"):
        named = text_files(root, [pattern], "here")
        assert [*named.files] == ["texts/a/notes.md", "texts/a/z.TXT", "texts/b.txt"]
        assert named.left_out == ["texts/Thumbs.db", "texts/a/loop", "texts/scan.pdf"]
    source = FileSource(kind="files", paths=["texts"])
    reading = Reading("")
    with caplog.at_level(logging.WARNING):
        found = [*documents(source, Place(root, root, root), reading)]
    assert found == ["in texts/a/notes.md", "in texts/a/z.TXT", "in texts/b.txt"]
    assert [file.origin for file in reading.files] == [*named.files]
    (record,) = caplog.records
    assert "texts: 3 files in folders are of no format that is read, left out" in record.message


def test_hidden_files_are_matched_by_their_dot_alone(root: Path) -> None:
    def names(pattern: str) -> list[str]:
        return [path.relative_to(root).as_posix() for path in matching(root, pattern)]

    assert names("**/*.txt") == ["texts/b.txt"]
    assert names("texts/.git/*.txt") == ["texts/.git/c.txt"]
    assert names("texts/._*.txt") == ["texts/._b.txt"]
    assert names("texts/a/../*.txt") == ["texts/a/../b.txt"]


def test_absolute_paths_and_folders(root: Path) -> None:
    for pattern in (root / "texts", root / "texts/**/*.[tm]*"):
        named = text_files(root / "elsewhere", [str(pattern)], "here")
        assert str(root / "texts/b.txt") in named.files
    assert [*text_files(root, ["texts/b.txt", "texts/b*"], "").files] == ["texts/b.txt"]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("none", "'none' matches no file in here"),
        ("texts/.git/../empty", "is a folder without a file of text in here"),
        ("/nowhere/*.txt", "'/nowhere/\\*.txt' matches no file; correct"),
    ],
)
def test_patterns_that_name_nothing(root: Path, pattern: str, said: str) -> None:
    (root / "texts/empty").mkdir()
    (root / "texts/empty/.DS_Store").touch()
    with pytest.raises(DataError, match=said):
        text_files(root, [pattern], "here")
