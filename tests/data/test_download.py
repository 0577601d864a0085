import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from zsl.config.sources import Remote
from zsl.data.download import fetch, fetch_all, remote_sizes
from zsl.data.transfer import Patience
from zsl.errors import DataError

DATA = random.Random(0).randbytes(300_000)
DIGEST = hashlib.sha256(DATA).hexdigest()
Serve = Callable[..., "object"]


def test_a_file_is_fetched_once_and_recorded(tmp_path: Path, serve, hasty: Patience) -> None:
    server = serve(files={"a.bin": DATA})
    remote = Remote(url=server.url + "a.bin")
    first = fetch(remote, tmp_path, patience=hasty)
    again = fetch(remote, tmp_path, patience=hasty)
    assert first == again
    assert first.path.read_bytes() == DATA and first.sha256 == DIGEST
    assert len(server.gets("a.bin")) == 1
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("declared", [DIGEST, None])
def test_a_dropped_connection_goes_on_where_it_stopped(
    tmp_path: Path, serve, hasty: Patience, declared: str | None
) -> None:
    server = serve(files={"a.bin": DATA}, drop_after=70_000)
    found = fetch(Remote(url=server.url + "a.bin", sha256=declared), tmp_path, patience=hasty)
    assert found.path.read_bytes() == DATA
    assert server.gets("a.bin") == [None, *(f"bytes={n * 70_000}-" for n in range(1, 5))]
    assert server.sent == len(DATA)


def test_a_new_process_goes_on_with_the_part_that_is_here(
    tmp_path: Path, serve, hasty: Patience
) -> None:
    server = serve(files={"a.bin": DATA}, drop_after=100_000, die_after=2)
    remote = Remote(url=server.url + "a.bin")
    with pytest.raises(DataError, match="503"):
        fetch(remote, tmp_path, patience=hasty)
    server.die_after, server.drop_after = None, None
    assert fetch(remote, tmp_path, patience=hasty).sha256 == DIGEST
    assert server.gets("a.bin")[-1] == "bytes=200000-"
    assert server.sent == len(DATA)


def test_a_server_without_ranges_starts_over(tmp_path: Path, serve, hasty: Patience) -> None:
    server = serve(files={"a.bin": DATA}, ranges=False, drop_after=100_000, die_after=1)
    remote = Remote(url=server.url + "a.bin")
    with pytest.raises(DataError):
        fetch(remote, tmp_path, patience=hasty)
    server.drop_after, server.die_after = None, None
    assert fetch(remote, tmp_path, patience=hasty).path.read_bytes() == DATA
    assert server.sent == 100_000 + len(DATA)


def test_a_file_that_changed_on_the_server_is_not_mixed_with_its_former_part(
    tmp_path: Path, serve, hasty: Patience
) -> None:
    server = serve(files={"a.bin": DATA}, drop_after=100_000, die_after=1)
    remote = Remote(url=server.url + "a.bin")
    with pytest.raises(DataError):
        fetch(remote, tmp_path, patience=hasty)
    server.files["a.bin"] = DATA[::-1]
    server.drop_after, server.die_after = None, None
    assert fetch(remote, tmp_path, patience=hasty).path.read_bytes() == DATA[::-1]


def test_wrong_bytes_are_named_and_not_kept(tmp_path: Path, serve, hasty: Patience) -> None:
    server = serve(files={"a.bin": DATA[:-1] + b"?"})
    got = hashlib.sha256(server.files["a.bin"]).hexdigest()
    remote = Remote(url=server.url + "a.bin", sha256=DIGEST)
    with pytest.raises(DataError, match=f"expected sha256 {DIGEST} .declared.*got {got}"):
        fetch(remote, tmp_path, patience=hasty)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".bin", ".part")]
    server.files["a.bin"] = DATA
    assert fetch(remote, tmp_path, patience=hasty).sha256 == DIGEST


@pytest.mark.parametrize("fault", ["absent", "wrong", "dead"])
def test_a_mirror_is_used_when_the_first_address_fails(
    tmp_path: Path, serve, hasty: Patience, fault: str
) -> None:
    first = serve(files={} if fault == "absent" else {"a.bin": DATA[::-1]})
    url = "http://127.0.0.1:9/a.bin" if fault == "dead" else first.url + "a.bin"
    mirror = serve(files={"b.bin": DATA})
    remote = Remote(url=url, mirrors=[mirror.url + "b.bin"], sha256=DIGEST)
    assert fetch(remote, tmp_path, patience=hasty).path.read_bytes() == DATA


def test_the_part_of_one_address_is_not_continued_from_another_unchecked(
    tmp_path: Path, serve, hasty: Patience
) -> None:
    first = serve(files={"a.bin": DATA}, drop_after=100_000, die_after=1)
    mirror = serve(files={"a.bin": DATA[::-1]})
    remote = Remote(url=first.url + "a.bin", mirrors=[mirror.url + "a.bin"])
    assert fetch(remote, tmp_path, patience=hasty).path.read_bytes() == DATA[::-1]


def test_a_damaged_copy_is_fetched_again_and_a_changed_original_refused(
    tmp_path: Path, serve, hasty: Patience
) -> None:
    server = serve(files={"a.bin": DATA})
    remote = Remote(url=server.url + "a.bin")
    path = fetch(remote, tmp_path, patience=hasty).path
    path.write_bytes(DATA[:-1] + b"?")
    assert fetch(remote, tmp_path, patience=hasty).path.read_bytes() == DATA
    path.unlink()
    server.files["a.bin"] = DATA[::-1]
    with pytest.raises(DataError, match=f"{DIGEST} .recorded when it was first fetched"):
        fetch(remote, tmp_path, patience=hasty)


def test_no_answer_at_all_names_the_address(tmp_path: Path, hasty: Patience) -> None:
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/a\.bin.*gave up after 3"):
        fetch(Remote(url="http://127.0.0.1:9/a.bin"), tmp_path, patience=hasty)


def test_total_size_is_said_before_the_first_byte(
    tmp_path: Path, serve, hasty: Patience, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(files={f"{n}.bin": DATA[: 1000 * n] for n in range(1, 5)})
    remotes = [Remote(url=f"{server.url}{n}.bin") for n in (1, 2, 3, 2, 4)]
    found = fetch_all(remotes, tmp_path, what="shards", patience=hasty)
    assert [file.size for file in found] == [1000, 2000, 3000, 2000, 4000]
    said = capfd.readouterr().err
    assert "shards: 4 files to fetch, 10,000 bytes" in said.splitlines()[0]
    assert len(server.gets("2.bin")) == 1
    methods = [method for method, _, _ in server.requests]
    assert methods[:4] == ["HEAD"] * 4


def test_a_disk_too_small_is_said_before_the_first_byte(
    tmp_path: Path, serve, hasty: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(files={"a.bin": DATA})
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("zsl.data.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"300,000 bytes to fetch.*1,000"):
        fetch(Remote(url=server.url + "a.bin"), tmp_path, patience=hasty)
    assert server.gets("a.bin") == []


def test_a_server_that_tells_no_size(tmp_path: Path, serve, hasty: Patience) -> None:
    server = serve(files={"a.bin": DATA}, head=False)
    remote = Remote(url=server.url + "a.bin")
    assert remote_sizes([remote], patience=hasty) == [None]
    assert fetch(remote, tmp_path, patience=hasty).sha256 == DIGEST


def test_file_addresses_are_copied(tmp_path: Path, hasty: Patience) -> None:
    (tmp_path / "a b.bin").write_bytes(DATA)
    remote = Remote(url=(tmp_path / "a b.bin").as_uri(), sha256=DIGEST)
    assert fetch(remote, tmp_path / "kept", patience=hasty).path.read_bytes() == DATA
    gone = Remote(url=(tmp_path / "gone").as_uri())
    with pytest.raises(DataError, match="no such file"):
        fetch(gone, tmp_path / "kept", patience=hasty)
