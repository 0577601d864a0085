import hashlib
import os

import pytest

from zsl.files import link_or_copy, replacing, sha256, sha256_of_json, write_json


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_who_may_read_a_file_the_umask_says(tmp_path, umask):
    """Also what another library wrote, and renamed, privately; and an old file's mode is gone."""
    path, beside = tmp_path / "file.txt", tmp_path / "deep" / "other.txt"
    path.touch(mode=0o640)
    write_json(path, 1)
    with replacing(path.with_name("new.txt"), beside=beside) as temporary:
        private = temporary.with_name("private")
        private.touch(mode=0o600)
        private.replace(temporary)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("file.txt", "new.txt")]
    assert modes == [0o666 & ~umask] * 2


def test_json_has_one_form_and_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    write_json(tmp_path / "b.json", {"a": [1.5, None], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert sha256_of_json({"b": 1, "a": 2}) == sha256_of_json({"a": 2, "b": 1})
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_digest_is_that_of_the_bytes(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "x").write_bytes(content)
    assert sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()


def test_a_file_that_cannot_be_linked_is_copied(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.write_text("text")
    link_or_copy(source, tmp_path / "linked")
    assert (tmp_path / "linked").samefile(source)

    def refuse(*_):
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(source, tmp_path / "copied")
    assert (tmp_path / "copied").read_text() == "text"
    assert not (tmp_path / "copied").samefile(source)
