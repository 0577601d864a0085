"""``zsl audit``, ``zsl root`` and ``zsl accept`` as they are typed, and their exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace

import pytest

from zsl.audit.findings import STATUSES

CURVE, FIT = "curves/train_loss/main-small.csv", "fits/main-small.json"
CURVE_RECORD = "lineage/curves/train_loss/main-small.json"
ROOT_COMMAND = (
    "find . -type f ! -path './provenance/*' ! -name '.*' -printf '%P\\0' | LC_ALL=C sort -z "
    "| xargs -0 sha256sum | sha256sum"
)


def make_stale(tree, **settings):
    """Let the project fit with other settings now."""
    record = "results/tiny/lineage/fits/main-small.json"
    job = tree.planned.jobs[record]
    params = {**job.params, "settings": {**job.params["settings"], **settings}}
    jobs = {**tree.planned.jobs, record: replace(job, params=params)}
    tree.planned = replace(tree.planned, jobs=jobs)


def test_an_untouched_tree(typed):
    code, out, err = typed("audit")
    assert (code, err) == (0, "")
    assert "\nVerified: " in out
    assert "would not be seen." in out
    assert "Mend it with" not in out


def test_a_tree_that_was_tampered_with(tree, typed):
    tree.flip(CURVE)
    code, out, err = typed("audit")
    assert (code, err) == (1, "")
    assert f"altered ({STATUSES['altered']}):\n  {CURVE}\n      SHA-256 " in out
    assert "Not verified: 1 altered." in out
    assert out.rstrip().endswith(
        f"# Snakemake makes nothing in {tree.results}/: bring a new copy of {CURVE}"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--root", "no such file"],
        ["--root", ""],
        ["fig99"],
        ["--root", "f" * 63],
        ["--signature", "x"],
        ["--signers", "x"],
        ["--public-key", "x"],
    ],
)
def test_a_question_that_cannot_be_answered(tree, typed, arguments):
    if arguments == ["fig99"]:
        (tree / "lineage").rename(tree / "other")
    code, out, err = typed("audit", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert "Traceback" not in err


def test_strict_takes_no_source_that_is_elsewhere(tree, typed, monkeypatch, tmp_path):
    assert typed("audit", "--strict")[0] == 0
    tree.project = type(tree.project)(tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    code, out, _ = typed("audit")
    assert code == 0
    assert "2 more are not on this machine" in out
    assert typed("audit", "--strict")[0] == 1


def test_json(tree, typed):
    tree.flip(CURVE)
    code, out, _ = typed("audit", "--json")
    assert code == 1
    said = json.loads(out)
    assert said["passed"] is False
    assert said["counts"]["altered"] == 1
    assert set(said["counts"]) == set(STATUSES)
    (wrong,) = [f for f in said["findings"] if f["status"] == "altered"]
    assert (wrong["path"], wrong["kind"]) == (CURVE, "artifact")
    assert len(said["root"]) == 64
    assert said["held_against"] is None
    assert said["command"].endswith(f": bring a new copy of {CURVE}")


def test_fast_reads_what_looks_changed(tree, typed):
    assert "from the cache" not in typed("audit", "--fast")[1]
    code, out, _ = typed("audit", "--fast")
    assert code == 0
    n_files = json.loads(typed("audit", "--json")[1])["files"]
    assert f"{n_files} digests from the cache" in out
    tree.flip(CURVE)
    code, out, _ = typed("audit", "--fast", "--json")
    said = json.loads(out)
    assert code == 1
    assert [f["path"] for f in said["findings"] if f["status"] == "altered"] == [CURVE]
    assert said["digests_from_cache"] == said["files"] - 1


def test_a_full_audit_does_not_believe_the_cache(tree, typed, tmp_path):
    typed("audit")
    (cache,) = (tmp_path / "cache/zsl").iterdir()
    entries = json.loads(cache.read_text())
    entries[str(tree / CURVE)][-1] = "0" * 64
    cache.write_text(json.dumps(entries))
    assert typed("audit", "--fast")[0] == 1
    assert typed("audit")[0] == 0


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{"])
def test_a_damaged_cache_is_no_cache(typed, tmp_path, text):
    typed("audit")
    (cache,) = (tmp_path / "cache/zsl").iterdir()
    cache.write_text(text)
    assert typed("audit", "--fast")[0] == 0


def test_the_root_is_that_of_coreutils(tree, typed):
    code, out, _ = typed("root")
    folder = tree / "lineage"
    done = subprocess.run(["bash", "-c", ROOT_COMMAND], cwd=folder, capture_output=True, text=True)
    assert code == 0
    assert out.split()[0] == done.stdout.split()[0]
    assert json.loads(typed("audit", "--json")[1])["root"] == out.split()[0]


def test_the_root_of_a_copy_elsewhere_is_the_same(tree, typed, tmp_path):
    before = typed("root")[1]
    tree.results = shutil.copytree(tree.results, tmp_path / "other" / "name")
    assert typed("root")[1] == before


def test_the_root_of_the_report_is_that_of_then(tree, typed):
    assert typed("root")[1].strip() in (tree / "provenance/root.html").read_text()


def test_a_root_as_digits_and_as_a_file(tree, typed, tmp_path):
    held = tmp_path / "root.sha256"
    root = typed("root", "--out", held)[1].strip()
    assert (
        subprocess.run(
            ["sha256sum", "--check", "--quiet", str(held)], cwd=tree / "lineage"
        ).returncode
        == 0
    )
    for given in (root, root.upper(), held):
        code, out, _ = typed("audit", "--root", given)
        assert code == 0
        assert "The records were held against " in out
    (tree / CURVE_RECORD).write_bytes((tree / CURVE_RECORD).read_bytes() + b"\n")
    new = tree.forge(CURVE_RECORD).removeprefix("lineage/")
    assert typed("audit")[0] == 0
    code, out, _ = typed("audit", "--root", root)
    assert code == 1
    assert "a root alone does not tell which" in out
    code, out, _ = typed("audit", "--root", held)
    assert code == 1
    assert f"  {CURVE_RECORD} is another\n  lineage/{new} is new" in out


def test_a_listing_that_was_edited(typed, tmp_path):
    held = tmp_path / "root.sha256"
    typed("root", "--out", held)
    held.write_text(held.read_text().replace("  ", " ", 1))
    code, _, err = typed("audit", "--root", held)
    assert code == 2
    assert "line 1: no line of sha256sum" in err


def test_an_acceptance(tree, typed, tmp_path):
    make_stale(tree, cut=6)
    code, out, _ = typed("audit")
    assert code == 1
    assert "setting settings.cut: 4 -> 6" in out
    code, out, _ = typed("accept", "fits/main-small.json", "--reason", "the cut is of no matter")
    assert code == 0
    assert "lineage/accepted/0001.json: " in out
    code, out, _ = typed("audit")
    assert code == 0
    assert "the cut is of no matter (lineage/accepted/0001.json)" in out
    assert typed("audit", "--strict")[0] == 1

    make_stale(tree, cut=6, seed=5)
    code, out, _ = typed("audit")
    assert code == 1
    assert "setting settings.seed: 0 -> 5" in out


def test_an_acceptance_is_of_the_record_that_was_there(tree, typed):
    make_stale(tree, cut=6)
    typed("accept", "fits/main-small.json", "--reason", "of no matter")
    record = "lineage/fits/main-small.json"
    tree.rewrite(record, lambda content: content["time"].update(seconds=0))
    tree.forge(record)
    code, out, _ = typed("audit")
    assert code == 1
    assert "setting settings.cut: 4 -> 6" in out


def test_a_deleted_acceptance(tree, typed, tmp_path):
    make_stale(tree, cut=6)
    typed("accept", "fits/main-small.json", "--reason", "of no matter")
    held = tmp_path / "root.sha256"
    typed("root", "--out", held)
    assert typed("audit", "--root", held)[0] == 0
    (tree / "lineage/accepted/0001.json").unlink()
    code, out, _ = typed("audit", "--root", held)
    assert code == 1
    assert "  lineage/accepted/0001.json is gone" in out


def test_an_edited_acceptance_is_seen_by_the_root(tree, typed, tmp_path):
    make_stale(tree, cut=6)
    typed("accept", "fits/main-small.json", "--reason", "of no matter")
    held = tmp_path / "root.sha256"
    typed("root", "--out", held)
    tree.replace("lineage/accepted/0001.json", "of no matter", "approved by all")
    assert typed("audit")[0] == 0  # nothing but a root holds an acceptance
    code, out, _ = typed("audit", "--root", held)
    assert code == 1
    assert "  lineage/accepted/0001.json is another" in out


def test_one_acceptance_of_several_that_is_gone(tree, typed):
    for cut in (6, 7):
        make_stale(tree, cut=cut)
        typed("accept", "fits/main-small.json", "--reason", "of no matter")
    (tree / "lineage/accepted/0001.json").unlink()
    code, out, _ = typed("audit")
    assert code == 1
    assert "acceptances are numbered, and this one is gone" in out


def test_what_is_altered_cannot_be_accepted(tree, typed):
    tree.flip(CURVE)
    code, _, err = typed("accept", "fits/main-small.json", "--reason", "of no matter")
    assert code == 1
    assert "curves/train_loss/main-small.csv is altered, which cannot be accepted" in err
    assert not (tree / "lineage/accepted").exists()


def test_an_acceptance_needs_a_reason(tree, typed):
    make_stale(tree, cut=6)
    code, _, err = typed("accept", "fits/main-small.json", "--reason", " ")
    assert code == 1
    assert "--reason is empty" in err


needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")


def make_key(folder, name):
    path = folder / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
    subprocess.run(command, check=True)
    signers = folder / f"{name}.signers"
    signers.write_text(f"{name} {path.with_suffix('.pub').read_text()}")
    return path, signers


@needs_ssh
def test_a_signature(tree, typed, tmp_path):
    key, signers = make_key(tmp_path, "author")
    _, others = make_key(tmp_path, "other")
    held = tmp_path / "root.sha256"
    assert typed("root", "--out", held, "--sign", key)[0] == 0
    signature = tmp_path / "root.sha256.sig"
    signed = ["--root", held, "--signature", signature]
    code, out, _ = typed("audit", *signed, "--signers", signers)
    assert code == 0
    assert "the digests in root.sha256, signed by author." in out

    code, _, err = typed("audit", *signed, "--signers", others)
    assert (code, "ssh-keygen refused" in err) == (2, True)
    code, _, err = typed("audit", *signed)
    assert (code, "name the key with --signers" in err) == (2, True)

    held.write_text(held.read_text().replace("0", "1", 1))
    code, _, err = typed("audit", *signed, "--signers", signers)
    assert (code, "ssh-keygen refused" in err) == (2, True)


@needs_ssh
def test_signing_again_replaces_the_signature(tree, typed, tmp_path):
    key, signers = make_key(tmp_path, "author")
    held = tmp_path / "root.sha256"
    typed("root", "--out", held, "--sign", key)
    (tree / CURVE_RECORD).write_bytes((tree / CURVE_RECORD).read_bytes() + b"\n")
    tree.forge(CURVE_RECORD)
    assert typed("root", "--out", held, "--sign", key)[0] == 0
    signed = ["--root", held, "--signature", tmp_path / "root.sha256.sig", "--signers", signers]
    assert typed("audit", *signed)[0] == 0


def test_signing_without_a_file_or_a_key(typed, tmp_path):
    assert "--sign needs --out FILE" in typed("root", "--sign", "key")[2]
    code, _, err = typed("root", "--out", tmp_path / "root", "--sign", tmp_path / "none")
    assert (code, "no such key" in err) == (1, True)
