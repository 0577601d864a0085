import json
import math
import os
import socket
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from snakemake.iocontainers import InputFiles, OutputFiles, Params, Wildcards

from zsl.data.manifest import Manifest, TokenFile, write_manifest
from zsl.lineage.digests import folder_sha256, logical_sha256, sha256_of_folder
from zsl.lineage.errors import LineageError
from zsl.lineage.fingerprint import fingerprint
from zsl.lineage.record import recorded

SCRIPT = "workflow/scripts/fit.py"
RECORD = "results/mini/lineage/fits/main-14M.json"


def sha(data: bytes) -> str:
    return sha256(data).hexdigest()


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with one script, and a curve to read."""
    for name, text in {
        SCRIPT: "from zsl.fits import fit\n",
        "src/zsl/__init__.py": "",
        "src/zsl/fits.py": "def fit():\n    return 1\n",
        "requirements.lock": "numpy==1.26.4\n",
        "results/mini/curves/main-14M.csv": "step\n1\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    return tmp_path


def job(inputs=None, outputs=None, params=None):
    """What Snakemake hands to a script; tests change one thing of it."""
    inputs = {"curve": "results/mini/curves/main-14M.csv"} if inputs is None else inputs
    outputs = {"fit": "results/mini/fits/main-14M.json"} if outputs is None else outputs
    params = {"run": {"seed": 6198}, "cut": 100} if params is None else params
    return SimpleNamespace(
        rule="fit",
        input=InputFiles(fromdict=inputs),
        output=OutputFiles(fromdict={**outputs, "lineage": RECORD}),
        params=Params(fromdict=params),
        wildcards=Wildcards(fromdict={"run": "main-14M"}),
        threads=2,
        log=[],
        config={},
        resources={"tmpdir": "/tmp"},
    )


def write_fit(root) -> None:
    (root / "results/mini/fits").mkdir(exist_ok=True)
    (root / "results/mini/fits/main-14M.json").write_text("{}")


def record_of(root, script=SCRIPT, facts=None, **changed) -> dict:
    """The record of a job that writes a fit."""
    with recorded(job(**changed), root / script, root=root) as noted:
        write_fit(root)
        noted.update(facts or {})
    return json.loads((root / RECORD).read_text())


def test_a_record_says_what_was_read_written_and_run(root):
    record = record_of(root, facts={"resumed": 2})
    assert record["schema"] == 1
    assert record["rule"] == "fit"
    assert record["wildcards"] == {"run": "main-14M"}
    assert record["params"] == {"run": {"seed": 6198}, "cut": 100}
    assert record["seeds"] == {"run.seed": 6198}
    assert record["inputs"] == [
        {
            "kind": "file",
            "name": "curve",
            "path": "results/mini/curves/main-14M.csv",
            "sha256": sha(b"step\n1\n"),
            "size": 7,
        }
    ]
    assert [(item["name"], item["path"]) for item in record["outputs"]] == [
        ("fit", "results/mini/fits/main-14M.json")
    ]
    assert record["outputs"][0]["sha256"] == sha(b"{}")
    assert record["code"]["script"] == SCRIPT
    assert record["code"]["fingerprint"] == fingerprint(SCRIPT, root=root)
    assert list(record["code"]["modules"]) == [SCRIPT, "zsl", "zsl.fits"]
    assert record["environment"]["lock_sha256"] == sha(b"numpy==1.26.4\n")
    assert record["environment"]["packages"]["numpy"] == np.__version__
    assert record["threads"]["declared"] == 2
    assert record["scheduler"] == {"slurm_job_id": "17"}
    assert record["facts"] == {"resumed": 2}
    assert record["peak_memory_bytes"]["process"] > 1 << 20
    assert record["time"]["start"] < record["time"]["end"] < "9999"
    assert record["time"]["start"].endswith("Z")
    assert 0 <= record["time"]["seconds"] < 60


def test_unknown_is_left_out(root, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID")
    (root / "requirements.lock").unlink()
    record = record_of(root, script="../elsewhere.py", params={"cut": 100})
    assert not {"git", "scheduler", "facts", "code", "seeds"} & set(record)
    assert "lock_sha256" not in record["environment"]
    assert "null" not in (root / RECORD).read_text()


def test_no_record_of_a_failure(root):
    record_of(root)
    with pytest.raises(ValueError), recorded(job(), root / SCRIPT, root=root):
        write_fit(root)
        raise ValueError
    assert not (root / RECORD).exists()
    with pytest.raises(SystemExit), recorded(job(), root / SCRIPT, root=root):
        raise SystemExit(143)
    assert not (root / RECORD).exists()


def test_a_missing_output_or_input_is_an_error(root):
    with (
        pytest.raises(LineageError, match=r"not there: results/mini/gone\.csv"),
        recorded(job(outputs={"gone": "results/mini/gone.csv"}), root / SCRIPT, root=root),
    ):
        pass
    with (
        pytest.raises(LineageError, match=r"not there: gone\.csv"),
        recorded(job(inputs={"gone": "gone.csv"}), root / SCRIPT, root=root),
    ):
        pass
    assert not (root / RECORD).exists()


def test_a_rule_without_record_is_an_error(root):
    one = job()
    one.output = OutputFiles(fromdict={"fit": "a.json"})
    with pytest.raises(LineageError, match=r"0 outputs named lineage"), recorded(one, root=root):
        pass


def test_an_input_that_changes_during_the_job_leaves_no_record(root):
    with (
        pytest.raises(LineageError, match=r"main-14M\.csv changed while this job read it"),
        recorded(job(), root / SCRIPT, root=root),
    ):
        (root / "results/mini/curves/main-14M.csv").write_text("changed")
        write_fit(root)
    assert not (root / RECORD).exists()


def test_an_input_that_is_not_what_its_job_wrote_is_refused(root):
    record_of(root)
    (root / "results/mini/fits/main-14M.json").write_text("[]")
    table = {"table": "results/mini/tables/table1.csv"}
    fit = {"fit": "results/mini/fits/main-14M.json"}
    with (
        pytest.raises(LineageError, match=r"main-14M\.json is not what its job wrote"),
        recorded(other_job(fit, table), root / SCRIPT, root=root),
    ):
        raise AssertionError("the job ran")


def other_job(inputs, outputs):
    """A job whose record is another one."""
    made = job(inputs, outputs)
    made.output = OutputFiles(
        fromdict={**outputs, "lineage": "results/mini/lineage/tables/table1.json"}
    )
    return made


def test_neither_paths_of_the_machine_nor_its_name(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "tokens.bin"
    outside.write_bytes(b"1")
    record = record_of(
        root,
        inputs={"own": str(root / "requirements.lock"), "tokens": str(outside)},
        params={
            "path": str(outside),
            "nested": [{"own": root / SCRIPT}],
            "group": "/step00004096",
            "pattern": [f"{outside.parent}/*.bin", f"{root}/*.txt", outside.as_uri()],
            str(outside): 1,
        },
        facts={"state": root / "results/mini/state"},
    )
    own, tokens = record["inputs"]
    assert (own["path"], own.get("external")) == ("requirements.lock", None)
    assert (tokens["path"], tokens["external"], tokens["sha256"]) == ("tokens.bin", True, sha(b"1"))
    assert record["params"] == {
        "path": "external:tokens.bin",
        "nested": [{"own": SCRIPT}],
        "group": "/step00004096",
        "pattern": ["external:*.bin", "*.txt", "external:tokens.bin"],
        "external:tokens.bin": 1,
    }
    assert record["facts"] == {"state": "results/mini/state"}
    text = (root / RECORD).read_text()
    for private in (str(root), str(outside.parent), f"{Path.home()}/"):
        assert private not in text
    for name in {socket.gethostname(), os.uname().nodename} - {"localhost"}:
        assert f'"{name}"' not in text


def test_paths_are_relative_to_the_working_directory(root, tmp_path_factory, monkeypatch):
    work = tmp_path_factory.mktemp("work")
    monkeypatch.chdir(work)
    (work / "a.csv").touch()
    write = job(inputs={"a": str(work / "a.csv")}, outputs={})
    with recorded(write, root / SCRIPT, root=root):
        pass
    (entry,) = json.loads((work / RECORD).read_text())["inputs"]
    assert (entry["path"], "external" in entry) == ("a.csv", False)


def test_params_are_plain_values(root):
    record = record_of(root, params={"x": np.float32(0.5), "y": math.inf, "z": (1, None)})
    assert record["params"] == {"x": 0.5, "y": "inf", "z": [1, None]}
    with pytest.raises(LineageError, match=r"params of rule fit\.x\.y is of type object"):
        record_of(root, params={"x": {"y": object()}})


def test_hdf5_has_a_logical_digest(root):
    with h5py.File(root / "a.h5", "w") as file:
        file["x"] = np.arange(3)
    (entry,) = record_of(root, inputs={"x": "a.h5"})["inputs"]
    assert entry["logical_sha256"] == logical_sha256(root / "a.h5")


def segment(root) -> dict[str, str]:
    """A published segment with its manifest, as inputs of a job."""
    folder = root / "training/0-1"
    (folder / "step1").mkdir(parents=True)
    (folder / "step1/model.safetensors").write_bytes(b"weights")
    (folder / ".snakemake_timestamp").touch()
    manifest = folder.with_name("0-1.manifest.json")
    manifest.write_text(json.dumps({"files": sha256_of_folder(folder)}))
    return {"checkpoints": "training/0-1", "manifest": "training/0-1.manifest.json"}


def test_a_manifest_speaks_for_its_folder(root):
    inputs = segment(root)
    read, manifest = record_of(root, inputs={**inputs})["inputs"]
    with recorded(job(inputs=inputs), root / SCRIPT, trust=False, root=root):
        write_fit(root)
    hashed = json.loads((root / RECORD).read_text())["inputs"][0]
    assert read.pop("digest_from") == manifest["path"] == "training/0-1.manifest.json"
    assert "digest_from" not in manifest
    assert read == hashed
    assert hashed["files"] == {"step1/model.safetensors": sha(b"weights")}
    assert hashed["sha256"] == folder_sha256(hashed["files"])
    assert (hashed["kind"], hashed["size"]) == ("folder", 7)


def test_a_manifest_speaks_for_part_of_its_folder(root):
    inputs = segment(root) | {
        "checkpoints": "training/0-1/step1",
        "model": "training/0-1/step1/model.safetensors",
    }
    folder, _, model = record_of(root, inputs=inputs)["inputs"]
    assert folder["digest_from"] == model["digest_from"] == "training/0-1.manifest.json"
    assert folder["files"] == {"model.safetensors": sha(b"weights")}
    assert model["sha256"] == sha(b"weights")


def test_a_manifest_beside_its_files(root):
    (root / "train.bin").write_bytes(b"tokens")
    (root / "eval.bin").write_bytes(b"more")
    (root / "manifest.json").write_text(json.dumps({"files": {"train.bin": "cited"}}))
    names = {"train": "train.bin", "eval": "eval.bin", "manifest": "manifest.json"}
    train, other, _ = record_of(root, inputs=names)["inputs"]
    assert (train["sha256"], train["digest_from"]) == ("cited", "manifest.json")
    assert (other["sha256"], "digest_from" in other) == (sha(b"more"), False)


def test_a_corpus_manifest_speaks_for_its_tokens(root):
    (root / "data/tokens").mkdir(parents=True)
    for name in ("train.bin", "eval.bin"):
        (root / "data/tokens" / name).write_bytes(name.encode())
    file = TokenFile("train.bin", 4, sha(b"train.bin"), "here")
    manifest = Manifest(
        dtype="uint16",
        vocab_size=9,
        eos_token_id=0,
        sequences=1,
        sequence_length=4,
        train=(file, file),
        eval=(replace(file, name="eval.bin", sha256=sha(b"eval.bin")),),
        documents=1,
        sources=(),
        tokenizer_sha256="0" * 64,
        declaration="1" * 64,
    )
    write_manifest(root / "data/manifest.json", manifest)
    inputs = {"tokens": "data/manifest.json", "token_files": "data/tokens"}
    _, tokens = record_of(root, inputs=inputs)["inputs"]
    assert tokens["digest_from"] == "data/manifest.json"
    assert tokens["files"] == sha256_of_folder(root / "data/tokens")


@pytest.mark.parametrize("change", ["more", "fewer"])
def test_a_manifest_that_does_not_fit_is_not_cited(root, change):
    inputs = segment(root)
    if change == "more":
        (root / "training/0-1/step2").write_bytes(b"unlisted")
    else:
        (root / "training/0-1/step1/model.safetensors").unlink()
    entry = record_of(root, inputs=inputs)["inputs"][0]
    assert "digest_from" not in entry
    assert entry["files"] == sha256_of_folder(root / "training/0-1")


def test_outputs_are_always_read(root):
    outputs = segment(root)
    (root / "training/0-1/step1/model.safetensors").write_bytes(b"damaged")
    entry = record_of(root, outputs=outputs)["outputs"][0]
    assert entry["files"] == {"step1/model.safetensors": sha(b"damaged")}


def test_lists_of_inputs_keep_their_order_and_name(root):
    (root / "b").write_text("b")
    (root / "a").write_text("a")
    one = job()
    one.input = InputFiles(["b", "a"])
    one.input._set_name("curves", 0, end=2)
    one.input.append("requirements.lock")
    with recorded(one, root / SCRIPT, root=root):
        write_fit(root)
    entries = json.loads((root / RECORD).read_text())["inputs"]
    assert [(entry["path"], entry.get("name")) for entry in entries] == [
        ("b", "curves"),
        ("a", "curves"),
        ("requirements.lock", None),
    ]


def test_modules_that_no_fingerprint_counts_are_named(root, monkeypatch):
    def run(**named):
        monkeypatch.delitem(sys.modules, "zsl.late", raising=False)
        with recorded(job(), root / SCRIPT, root=root, **named):
            write_fit(root)
            monkeypatch.setitem(sys.modules, "zsl.late", SimpleNamespace())
        return json.loads((root / RECORD).read_text())["code"].get("undeclared")

    (root / "src/zsl/late.py").write_text("")
    assert run() == ["zsl.late"]
    assert run(modules=["zsl.late"]) is None


def test_the_revision_is_that_of_the_project(root):
    def git(*arguments):
        settings = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(root), *settings, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    assert "git" not in record_of(root)  # a repository that does not hold the library
    (root / ".gitignore").write_text("/results/\n")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    assert record_of(root)["git"] == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (root / "src/zsl/fits.py").write_text("# changed\n")
    assert record_of(root)["git"]["dirty"] is True


def test_devices_only_where_torch_is_imported(root, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert "cuda" not in record_of(root)["device"]
    assert "torch" not in sys.modules
    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        device_count=lambda: 1,
        get_device_name=lambda index: f"device {index}",
    )
    fake = SimpleNamespace(cuda=cuda, get_num_threads=lambda: 3)
    monkeypatch.setitem(sys.modules, "torch", fake)
    record = record_of(root)
    assert record["device"]["cuda"]["devices"] == ["device 0"]
    assert record["device"]["cuda"]["used"] is True
    assert record["threads"]["torch"] == 3
