"""Downloads that break off, change and lie: resumed, checked, or refused by their address."""

import hashlib
import random

import pytest

from zsl.config.sources import Remote
from zsl.data.download import fetch, fetch_all, remote_sizes
from zsl.errors import DataError

DATA = random.Random(0).randbytes(300_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def get(tmp_path):
    """``get(url, **more)`` fetches a file into ``tmp_path/kept``."""
    return lambda url, **more: fetch(Remote(url=url, **more), tmp_path / "kept")


def broken_off(serve, get, **faults):
    """A server of which 100,000 bytes of a file came before it went away, and then came back."""
    server = serve(files={"a.bin": DATA}, drop_after=100_000, die_after=1, **faults)
    with pytest.raises(DataError, match="503"):
        get(server.url + "a.bin")
    server.die_after, server.drop_after = None, None
    return server


def test_a_file_is_fetched_once_and_recorded(tmp_path, serve, get):
    server = serve(files={"a.bin": DATA})
    first, again = (get(server.url + "a.bin") for _ in range(2))
    assert first == again
    assert first.path.read_bytes() == DATA and first.sha256 == DIGEST
    assert len(server.gets("a.bin")) == 1
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize("declared", [DIGEST, None])
def test_a_dropped_connection_goes_on_where_it_stopped(serve, get, declared):
    server = serve(files={"a.bin": DATA}, drop_after=70_000)
    assert get(server.url + "a.bin", sha256=declared).path.read_bytes() == DATA
    assert server.gets("a.bin") == [None, *(f"bytes={n * 70_000}-" for n in range(1, 5))]
    assert server.sent == len(DATA)


def test_a_new_process_goes_on_with_the_part_that_is_here(serve, get):
    server = broken_off(serve, get)
    assert get(server.url + "a.bin").sha256 == DIGEST
    assert server.gets("a.bin")[-1] == "bytes=100000-" and server.sent == len(DATA)


def test_a_server_without_ranges_starts_over(serve, get):
    server = broken_off(serve, get, ranges=False)
    assert get(server.url + "a.bin").path.read_bytes() == DATA
    assert server.sent == 100_000 + len(DATA)


def test_a_file_that_changed_is_not_mixed_with_its_former_part(serve, get):
    server = broken_off(serve, get)
    server.files["a.bin"] = DATA[::-1]
    assert get(server.url + "a.bin").path.read_bytes() == DATA[::-1]


def test_a_part_that_is_whole_is_taken_and_one_that_is_too_long_is_not(tmp_path, serve, get):
    server = broken_off(serve, get)
    (part,) = (tmp_path / "kept").glob("*.part")
    for data in (DATA, DATA + b"more"):
        part.write_bytes(data)
        path = get(server.url + "a.bin").path
        assert path.read_bytes() == DATA
        path.rename(part)
        part.with_name(part.name + ".json").write_text(f'{{"url": "{server.url}a.bin"}}')


def test_wrong_bytes_are_named_and_not_kept(tmp_path, serve, get):
    server = serve(files={"a.bin": DATA[:-1] + b"?"})
    got = hashlib.sha256(server.files["a.bin"]).hexdigest()
    with pytest.raises(DataError, match=f"expected sha256 {DIGEST} .declared.*got {got}"):
        get(server.url + "a.bin", sha256=DIGEST)
    assert not [*tmp_path.rglob("*.bin"), *tmp_path.rglob("*.part")]
    server.files["a.bin"] = DATA
    assert get(server.url + "a.bin", sha256=DIGEST).sha256 == DIGEST


@pytest.mark.parametrize("fault", ["absent", "wrong", "dead", "half"])
def test_a_mirror_is_used_when_the_first_address_fails(serve, get, fault):
    faults = {"drop_after": 100_000, "die_after": 1} if fault == "half" else {}
    first = serve(files={} if fault == "absent" else {"a.bin": DATA[::-1]}, **faults)
    url = "http://127.0.0.1:9/a.bin" if fault == "dead" else first.url + "a.bin"
    mirrors = [serve(files={"b.bin": DATA}).url + "b.bin"]
    declared = None if fault == "half" else DIGEST  # the halves of two files are not joined
    assert get(url, mirrors=mirrors, sha256=declared).path.read_bytes() == DATA


def test_a_damaged_copy_is_fetched_again_and_a_changed_original_refused(serve, get):
    server = serve(files={"a.bin": DATA})
    path = get(server.url + "a.bin").path
    path.write_bytes(DATA[:-1] + b"?")
    assert get(server.url + "a.bin").path.read_bytes() == DATA
    path.unlink()
    server.files["a.bin"] = DATA[::-1]
    with pytest.raises(DataError, match=f"{DIGEST} .recorded when it was first fetched"):
        get(server.url + "a.bin")


def test_no_answer_at_all_names_the_address(get):
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/a\.bin.*gave up after 3"):
        get("http://127.0.0.1:9/a.bin")


def test_total_size_is_said_before_the_first_byte(tmp_path, serve, capfd):
    server = serve(files={f"{n}.bin": DATA[: 1000 * n] for n in range(1, 5)})
    remotes = [Remote(url=f"{server.url}{n}.bin") for n in (1, 2, 3, 2, 4)]
    found = fetch_all(remotes, tmp_path, what="shards")
    assert [file.size for file in found] == [1000, 2000, 3000, 2000, 4000]
    said = capfd.readouterr().err
    assert "shards: 4 files to fetch, 10,000 bytes" in said.splitlines()[0]
    assert len(server.gets("2.bin")) == 1
    assert [method for method, _, _ in server.requests][:4] == ["HEAD"] * 4


def test_a_disk_too_small_is_said_before_the_first_byte(serve, get, monkeypatch):
    server = serve(files={"a.bin": DATA})
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("zsl.data.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"300,000 bytes to fetch.*1,000"):
        get(server.url + "a.bin")
    assert server.gets("a.bin") == []


def test_a_server_that_tells_no_size(serve, get):
    server = serve(files={"a.bin": DATA}, head=False)
    assert remote_sizes([Remote(url=server.url + "a.bin")]) == [None]
    assert get(server.url + "a.bin").sha256 == DIGEST


def test_file_addresses_are_copied(tmp_path, get):
    (tmp_path / "a b.bin").write_bytes(DATA)
    assert get((tmp_path / "a b.bin").as_uri(), sha256=DIGEST).path.read_bytes() == DATA
    with pytest.raises(DataError, match="no such file"):
        get((tmp_path / "gone").as_uri())
