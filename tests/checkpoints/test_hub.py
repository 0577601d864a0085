"""What the Hub holds, through ``huggingface_hub``, from a server that answers as it does."""

import json
import shutil

import pytest
from hub_server import git_blob

from zsl.checkpoints.errors import CheckpointError, MovedError, UnreachableError
from zsl.checkpoints.hub import Repository
from zsl.checkpoints.patterns import by_run, by_step
from zsl.errors import PassingError
from zsl.files import sha256

NAME = "authors/suite"
FILES = {"config.yaml": b"model: {}\n", "model.pt": b"weights" * 1000, "optim.pt": b"moments" * 500}


@pytest.fixture
def pins(tmp_path):
    return tmp_path / "pins.json"


@pytest.fixture
def pushed(hub):
    for step in (1, 2, 4):
        hub.push(NAME, f"OLMo-14M-step{step}", {**FILES, "model.pt": b"weights %d" % step})
    hub.push(NAME, "main", {"README.md": b"about"})
    return hub


def test_revisions_and_files_without_downloading(pushed):
    repository = Repository(NAME)
    steps = by_step("OLMo-14M-step{step}", repository.names())
    assert [*steps.items()] == [(t, f"OLMo-14M-step{t}") for t in (1, 2, 4)]
    assert repository.revisions() == pushed.revisions[NAME]
    revision = repository.revision(steps[2])
    assert revision.commit == pushed.revisions[NAME]["OLMo-14M-step2"]
    assert {name: file.size for name, file in revision.files.items()} == {
        **{name: len(data) for name, data in FILES.items()},
        "model.pt": 9,
    }
    assert revision.files["config.yaml"].digest == git_blob(FILES["config.yaml"])
    assert revision.files["config.yaml"].sha256 is None
    assert not pushed.times("resolve") and not pushed.times("cdn")


def test_fetched_files_are_those_of_the_listing(pushed, tmp_path):
    repository = Repository(NAME)
    revision = repository.revision("OLMo-14M-step4")
    found = repository.fetch(revision, ["config.yaml", "model.pt"], tmp_path / "step4")
    assert sorted(path.name for path in (tmp_path / "step4").iterdir()) == [*found]
    assert (tmp_path / "step4/model.pt").read_bytes() == b"weights 4"
    assert all(sha256(tmp_path / "step4" / name) == digest for name, digest in found.items())
    assert not list(tmp_path.glob(".*"))
    before = pushed.asked.total()
    assert repository.fetch(revision, [*found], tmp_path / "step4") == found
    assert pushed.asked.total() == before  # nothing is asked for twice


def test_what_was_damaged_here_is_fetched_again(pushed, tmp_path):
    repository = Repository(NAME)
    revision = repository.revision("OLMo-14M-step4")
    for _ in range(2):
        repository.fetch(revision, ["model.pt"], tmp_path / "step4")
        assert (tmp_path / "step4/model.pt").read_bytes() == b"weights 4"
        (tmp_path / "step4/model.pt").write_bytes(b"weights 5")


def test_a_branch_that_moves_is_said(pushed, pins):
    first = Repository(NAME, pins)
    seen = first.revision("OLMo-14M-step2")
    first.pin()
    assert json.loads(pins.read_text())[NAME]["OLMo-14M-step2"]["commit"] == seen.commit
    assert Repository(NAME, pins).revision("OLMo-14M-step2") == seen
    moved = pushed.push(NAME, "OLMo-14M-step2", {**FILES, "model.pt": b"others"})
    with pytest.raises(MovedError, match=f"was commit {seen.commit[:12]}.* is {moved[:12]} now"):
        Repository(NAME, pins).revision("OLMo-14M-step2")
    assert Repository(NAME, pins).revision(seen.commit).files == seen.files
    assert json.loads(pins.read_text())[NAME]["OLMo-14M-step2"]["commit"] == seen.commit


def test_pins_of_others_are_kept(pushed, pins):
    pushed.push("other/suite", "main", FILES)
    for name, revision in (("other/suite", "main"), (NAME, "main"), (NAME, "OLMo-14M-step1")):
        repository = Repository(name, pins)
        repository.revision(revision)
        repository.pin()
    known = json.loads(pins.read_text())
    assert {name: [*revisions] for name, revisions in known.items()} == {
        NAME: ["OLMo-14M-step1", "main"],
        "other/suite": ["main"],
    }


def without_network(monkeypatch, how):
    from huggingface_hub import constants

    if how == "offline":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        from huggingface_hub.utils import close_session

        close_session()
    else:
        nowhere = "http://127.0.0.1:9"
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, nowhere)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", nowhere)


@pytest.fixture(autouse=True)
def new_session():
    from huggingface_hub.utils import close_session

    close_session()
    yield
    close_session()


@pytest.mark.parametrize("how", ["offline", "unplugged"])
def test_no_network(pushed, pins, tmp_path, monkeypatch, how):
    first = Repository(NAME, pins)
    for step in (2, 4):
        first.revision(f"OLMo-14M-step{step}")
    first.fetch(first.revision("OLMo-14M-step2"), [*FILES], tmp_path / "step2")
    first.pin()
    without_network(monkeypatch, how)
    said = "HF_HUB_OFFLINE" if how == "offline" else "ConnectError"
    with pytest.raises(UnreachableError, match=said) as error:
        Repository(NAME).revision("OLMo-14M-step2")
    assert isinstance(error.value, PassingError)

    again = Repository(NAME, pins)
    assert again.names() == ["OLMo-14M-step2", "OLMo-14M-step4"]
    warm, cold = (again.revision(name) for name in again.names())
    again.fetch(warm, [*FILES], tmp_path / "step2")
    with pytest.raises(UnreachableError, match=rf"step4: model\.pt: .*{said}"):
        again.fetch(cold, ["model.pt"], tmp_path / "step4")
    assert not (tmp_path / "step4").exists()


@pytest.mark.parametrize("damaged", [False, True])
def test_the_cache_of_huggingface_hub_is_used(pushed, pins, tmp_path, monkeypatch, damaged):
    from huggingface_hub import hf_hub_download

    first = Repository(NAME, pins)
    revision = first.revision("OLMo-14M-step2")
    first.pin()
    cached = hf_hub_download(NAME, "model.pt", revision="OLMo-14M-step2")
    without_network(monkeypatch, "unplugged")
    if damaged:
        blob = next((tmp_path / "cache").rglob("blobs/*"))
        blob.write_bytes(b"weights 5")
        with pytest.raises(CheckpointError, match=f"the copy in the cache, {cached}.*delete that"):
            first.fetch(revision, ["model.pt"], tmp_path / "step2")
        assert not (tmp_path / "step2").exists()
    else:
        first.fetch(revision, ["model.pt"], tmp_path / "step2")
        assert (tmp_path / "step2/model.pt").read_bytes() == b"weights 2"
        shutil.rmtree(tmp_path / "step2")
        assert sha256(cached)  # the cache keeps its own


def gate(hub):
    hub.gated = True


def busy(hub):
    hub.status["refs"] = (429, {"Retry-After": "37"})


def down(hub):
    hub.status["refs"] = (503, {})


def web_page(hub):
    hub.status["refs"] = (200, {"Content-Type": "text/html"})


def forbidden(hub):
    hub.status["refs"] = (403, {})


OF_LISTINGS = {
    "gated": (gate, NAME, "main", CheckpointError, "gated; accept its terms"),
    "no repository": (
        None,
        "authors/none",
        "main",
        CheckpointError,
        "no such repository, or a pri",
    ),
    "no name": (None, "a/b/c", "main", CheckpointError, "no name of a repository"),
    "no revision": (
        None,
        NAME,
        "step3",
        CheckpointError,
        r"no revision 'step3'; it has OLMo-14M-s",
    ),
    "no commit": (None, NAME, "0" * 40, CheckpointError, "the repository has no such revision"),
    "busy": (busy, NAME, "main", UnreachableError, r"\(429\); run again in 37 seconds"),
    "down": (down, NAME, "main", UnreachableError, "the server answered 503"),
    "forbidden": (forbidden, NAME, "main", CheckpointError, "the server answered 403"),
    "a web page": (web_page, NAME, "main", CheckpointError, "does not answer as the Hub does"),
}


@pytest.mark.parametrize("what", OF_LISTINGS)
def test_what_a_listing_is_refused_for_is_said(pushed, what):
    harm, name, revision, kind, said = OF_LISTINGS[what]
    if harm:
        harm(pushed)
    with pytest.raises(CheckpointError, match=said) as error:
        Repository(name).revision(revision)
    assert type(error.value) is kind and "\n" not in str(error.value)


def gone(hub):
    for files in hub.commits.values():
        files.pop("model.pt", None)


def of_transfer(word, status, headers):
    return lambda hub: hub.status.update({word: (status, headers)})


def shorter(hub):
    hub.cut["/cdn/"] = 0


def other_bytes(hub):
    digest = sha256_of(b"weights 4")
    hub.served[digest] = b"weights 5"


def fewer_bytes(hub):
    hub.served[sha256_of(b"weights 4")] = b"weights"


def sha256_of(data):
    import hashlib

    return hashlib.sha256(data).hexdigest()


OF_TRANSFERS = {
    "gated since": (gate, "gated; accept"),
    "gone since": (gone, r"model\.pt: no such file"),
    "busy": (of_transfer("/cdn/", 429, {"Retry-After": "0"}), r"\(429\); run again in 0 seconds"),
    "busy at the head": (of_transfer("/resolve/", 429, {"Retry-After": "0"}), r"\(429\); run aga"),
    "down": (of_transfer("/cdn/", 500, {}), "the server answered 500"),
    "a connection that closes": (shorter, "RemoteProtocolError"),
    "truncated": (fewer_bytes, "the server's answer ended before the file did"),
    "other bytes": (other_bytes, "what came has 9 bytes and another digest than the 9 bytes"),
}


@pytest.mark.parametrize("what", OF_TRANSFERS)
def test_what_a_transfer_fails_for_is_said_and_nothing_is_left(pushed, tmp_path, what):
    repository = Repository(NAME)
    revision = repository.revision("OLMo-14M-step4")
    harm, said = OF_TRANSFERS[what]
    harm(pushed)
    with pytest.raises(CheckpointError, match=said) as error:
        repository.fetch(revision, ["config.yaml", "model.pt"], tmp_path / "step4")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "step4/model.pt").exists()


def test_a_file_that_a_revision_lacks(pushed, tmp_path):
    repository = Repository(NAME)
    with pytest.raises(CheckpointError, match=r"no file train\.pt; it has config\.yaml, model\.pt"):
        repository.fetch(repository.revision("OLMo-14M-step4"), ["train.pt"], tmp_path / "step4")


def test_patterns():
    names = ["a-step1", "a-step2", "b-step16", "main", "a-step03-tokens4B"]
    assert by_run("{run}-step{step}", names, run="") == {
        "a": {1: "a-step1", 2: "a-step2"},
        "b": {16: "b-step16"},
    }
    assert by_step("a-step{step}-tokens*", names) == {3: "a-step03-tokens4B"}
    assert by_step({4: "main", 1: "a-step1"}, names) == {1: "a-step1", 4: "main"}
    with pytest.raises(CheckpointError, match="'a-step01' and 'a-step1' are both of step 1"):
        by_step("a-step{step}", ["a-step1", "a-step01"])
    with pytest.raises(CheckpointError, match=r"no name is of the pattern 'x\{step\}'"):
        by_step("x{step}", names)
    with pytest.raises(CheckpointError, match="there is no c; there are a-step1"):
        by_step({4: "c"}, names)
    for pattern in ("step", "{step}{step}", "{run}{run}{step}"):
        with pytest.raises(CheckpointError, match=r"needs \{step\} once"):
            by_step(pattern, names)


@pytest.mark.parametrize("text", ["[]", '{"authors/suite": {"main": {}}}', '{"authors/suite": 3}'])
def test_pins_that_are_none(pushed, pins, text):
    from zsl.errors import BrokenFileError

    pins.write_text(text)
    with pytest.raises(BrokenFileError, match="delete it to pin anew"):
        Repository(NAME, pins).revision("main")
