"""What is wrong with a suite is found and named, on a server and in a folder."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
import yaml
from olmo_run import STEPS, keyed_by_name

from zsl.checkpoints.convert import convert
from zsl.checkpoints.errors import CheckpointError
from zsl.checkpoints.hub import Repository
from zsl.checkpoints.members import as_text
from zsl.checkpoints.suite import folder_suite, hub_suite
from zsl.cli import main

NAME, PATTERN = "authors/suite", "OLMo-tiny-step{step}"
EXPECTED = list(STEPS)


@pytest.fixture
def folder(suite, tmp_path):
    return shutil.copytree(suite.folder, tmp_path / "OLMo-tiny")


def pushed_to(hub, folder):
    for step in STEPS:
        if (folder / f"step{step}").exists():
            hub.push_folder(NAME, PATTERN.format(step=step), folder / f"step{step}")
    return hub


def found_in(folder, **asked):
    suite = folder_suite(folder, "step{step}", **{"expected": EXPECTED, **asked})
    return {(fault.kind, fault.steps): fault.text for fault in suite.faults}


def found_on(hub, **asked):
    asked = {"expected": EXPECTED, **asked}
    suite = hub_suite(Repository(NAME), "{run}-step{step}", **asked)
    return {(fault.kind, fault.steps): fault.text for fault in suite.faults}


@pytest.mark.parametrize("weights", [False, True])
def test_nothing_is_wrong_with_what_olmo_wrote(hub, folder, weights):
    pushed_to(hub, folder)
    assert found_in(folder, weights=weights) == found_on(hub, weights=weights) == {}


def test_a_listing_fetches_no_weights(hub, folder):
    pushed_to(hub, folder)
    suite = hub_suite(Repository(NAME), "{run}-step{step}", expected=EXPECTED)
    assert [member.step for member in suite.members] == EXPECTED
    assert not hub.times("/cdn/")
    assert hub.times("/resolve/") == 1  # equal configurations are read once
    here = folder_suite(folder, "step{step}")
    assert [m.weights for m in here.members] == [m.weights for m in suite.members]
    text = as_text(suite)
    assert "OLMo-tiny (5 checkpoints)" in text and "Nothing wrong was found." in text
    assert f"        16  OLMo-tiny-step16  {suite.members[-1].commit[:8]}  olmo_pt" in text
    assert suite.members[-1].weights[0][:12] in text


def test_weights_are_dropped_after_they_were_looked_at(hub, folder, monkeypatch, tmp_path):
    import zsl.checkpoints.faults as module

    (tmp_path / "work").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "work"))
    most = []

    def look(place, step):
        most.append(len([*(tmp_path / "work").rglob("model.pt")]))
        return original(place, step)

    original = module.look
    monkeypatch.setattr(module, "look", look)
    assert found_on(pushed_to(hub, folder), weights=True) == {}
    assert most == [1] * len(STEPS)
    assert not [*(tmp_path / "work").iterdir()]
    assert hub.times("/cdn/") == 2 * len(STEPS)


def rewrite(folder, step, change, name="model.pt"):
    path = folder / f"step{step}" / name
    value = torch.load(path, weights_only=True)
    change(value)
    torch.save(value, path)


def reconfigure(folder, step, change):
    path = folder / f"step{step}/config.yaml"
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values))


def copy(folder, name, source, target):
    shutil.copy(folder / f"step{source}" / name, folder / f"step{target}" / name)


def exchange(folder, names, a, b):
    for name in names:
        first, second = (folder / f"step{step}" / name for step in (a, b))
        data = first.read_bytes()
        shutil.copy(second, first)
        second.write_bytes(data)


def no_optimizers(folder):
    for step in STEPS:
        (folder / f"step{step}/optim.pt").unlink()


def resave(folder, source, target):
    """The same weights in a file of other bytes."""
    state = torch.load(folder / f"step{source}/model.pt", weights_only=True)
    torch.save(dict(reversed(state.items())), folder / f"step{target}/model.pt")


def cut(folder, step):
    path = folder / f"step{step}/model.pt"
    path.write_bytes(path.read_bytes()[:-2000])


class Executed:
    def __reduce__(self):
        return (os.system, ("touch executed",))


def code(folder, step):
    torch.save({"a": Executed()}, folder / f"step{step}/model.pt")


WTE = "transformer.wte.weight"


def of_a_later_step(folder):
    no_optimizers(folder)
    rewrite(folder, 16, lambda w: [v.mul_(1.5) for v in w.values()])
    copy(folder, "model.pt", 16, 2)
    rewrite(folder, 2, lambda w: w[WTE][0].add_(1e-6))


def swapped_without_optimizers(folder):
    no_optimizers(folder)
    exchange(folder, ["model.pt"], 4, 8)


FAULTS = {
    "a missing step": (
        lambda f: shutil.rmtree(f / "step4"), ("missing step", (4,)), "there is none"),
    "equal weights": (
        lambda f: copy(f, "model.pt", 2, 4), ("equal weights", (2, 4)), "files of weights"),
    "equal optimizers": (
        lambda f: copy(f, "optim.pt", 2, 4), ("equal optimizers", (2, 4)), "optimizer"),
    "another architecture": (
        lambda f: reconfigure(f, 8, lambda c: c["model"].update(n_layers=3)),
        ("another architecture", (8,)), r"n_layers = 3 \(2\)"),
    "an unknown architecture": (
        lambda f: reconfigure(f, 8, lambda c: c["model"].update(moe=True)),
        ("unreadable", (8,)), "the key 'moe' = True"),
    "another tokenizer": (
        lambda f: reconfigure(f, 8, lambda c: c["tokenizer"].update(identifier="gpt2")),
        ("another tokenizer", (8,)), r"tokenizer = 'gpt2' \("),
    "another vocabulary": (
        lambda f: reconfigure(f, 8, lambda c: c["model"].update(vocab_size=21)),
        ("another tokenizer", (8,)), r"vocab_size = 21 \(20\)"),
    "no optimizer": (
        lambda f: (f / "step8/optim.pt").unlink(), ("other files", (8,)), "no optimizer"),
    "no weights": (
        lambda f: (f / "step8/model.pt").unlink(), ("unreadable", (8,)), "no checkpoint of OLMo"),
}  # fmt: skip
OF_WEIGHTS = {
    "a step that is not that of its name": (
        lambda f: exchange(f, ["model.pt", "optim.pt"], 4, 8),
        ("unreadable weights", (4,)), "is of step 8, not of step 4"),
    "equal weights in other files": (
        lambda f: resave(f, 4, 8), ("equal weights", (4, 8)), "all weights are the same"),
    "NaN": (
        lambda f: rewrite(f, 8, lambda w: w[WTE][0, 0].fill_(torch.nan)),
        ("unreadable weights", (8,)), "wte.weight is not finite"),
    "a truncated file": (lambda f: cut(f, 8), ("unreadable weights", (8,)), "damaged, cut off"),
    "code": (lambda f: code(f, 8), ("unreadable weights", (8,)), "asks for posix.system"),
    "a weight that does not change": (
        lambda f: rewrite(f, 8, lambda w: w[WTE].copy_(weights(f, 4)[WTE])),
        ("weights that do not change", (4, 8)), "1 of 9 weights are the same: transformer.wte"),
    "weights of a later step": (of_a_later_step, ("weights that jump", (2,)), "times as far"),
    "the first and the last exchanged": (
        lambda f: (no_optimizers(f), exchange(f, ["model.pt"], 1, 16)),
        ("weights that jump", (16,)), "closer to step 4 than to step 8"),
    "exchanged steps": (
        swapped_without_optimizers, ("exchanged steps", (4, 8)), "in the other order"),
    "weights of another vocabulary": (
        lambda f: rewrite(f, 8, lambda w: w.update({WTE: torch.zeros(32, 8)})),
        ("unreadable weights", (8,)), r"shape \(32, 8\)"),
}  # fmt: skip


def weights(folder, step):
    return torch.load(folder / f"step{step}/model.pt", weights_only=True)


@pytest.mark.parametrize("what", [*FAULTS, *OF_WEIGHTS])
def test_faults_are_found_here_and_on_the_server(hub, folder, what, monkeypatch):
    monkeypatch.chdir(folder.parent)
    harm, fault, said = {**FAULTS, **OF_WEIGHTS}[what]
    harm(folder)
    for found in (
        found_in(folder, weights=what in OF_WEIGHTS),
        found_on(pushed_to(hub, folder), weights=what in OF_WEIGHTS),
    ):
        assert fault in found, found
        assert re.search(said, found[fault])
        allowed = {"weights that jump", "exchanged steps", "unreadable weights"}
        if what == "another vocabulary":
            allowed.add("another architecture")
        assert {kind for kind, _ in found} <= {fault[0], *allowed}
    assert not (folder.parent / "executed").exists()


def test_one_commit_under_two_names(hub, folder):
    pushed_to(hub, folder)
    names = hub.revisions[NAME]
    names["OLMo-tiny-step4"] = names["OLMo-tiny-step2"]
    commit = names["OLMo-tiny-step2"][:12]
    assert found_on(hub) == {("one commit", (2, 4)): f"all stand for commit {commit}"}


def test_a_moved_branch_is_listed_as_such(hub, folder, tmp_path):
    pushed_to(hub, folder)
    pins = tmp_path / "pins.json"
    hub_suite(Repository(NAME, pins), PATTERN)
    hub.push(NAME, "OLMo-tiny-step4", {"config.yaml": b"", "model.pt": b""})
    suite = hub_suite(Repository(NAME, pins), PATTERN)
    assert [(fault.kind, fault.steps) for fault in suite.faults] == [("moved revision", (4,))]


def test_a_step_that_other_runs_have(hub, folder):
    pushed_to(hub, folder)
    for step in (1, 2, 8, 16):
        path = folder / f"step{step}"
        rewrite(folder, step, lambda w: [v.mul_(2) for v in w.values()])
        rewrite(folder, step, lambda o: o["param_groups"][0].update(eps=1.0), "optim.pt")
        hub.push_folder(NAME, f"OLMo-other-step{step}", path)
    suite = hub_suite(Repository(NAME), "{run}-step{step}")
    assert [*suite.runs()] == ["OLMo-other", "OLMo-tiny"]
    assert [(f.kind, f.run, f.steps) for f in suite.faults] == [
        ("missing step", "OLMo-other", (4,))
    ]


def test_a_map_of_steps(hub, folder):
    pushed_to(hub, folder)
    suite = hub_suite(
        Repository(NAME), {2: PATTERN.format(step=1), 4: PATTERN.format(step=4), 9: "none"},
        weights=True,
    )  # fmt: skip
    assert [(fault.kind, fault.steps) for fault in suite.faults] == [
        ("unreadable weights", (2,)),
        ("missing step", (9,)),
    ]
    with pytest.raises(CheckpointError, match="no name is 'step"):
        hub_suite(Repository(NAME), "step{step}")


def test_our_own_folders_and_states_by_name(folder, tmp_path):
    for step in STEPS:
        change = keyed_by_name(torch.load(folder / f"step{step}/optim.pt", weights_only=True))
        torch.save(change, folder / f"step{step}/optim.pt")
        convert(folder / f"step{step}", tmp_path / f"ours/step{step:08}", step=step)
    assert found_in(folder, weights=True) == found_in(tmp_path / "ours", weights=True) == {}


def said(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(["suite", *map(str, arguments)]))
    return ended.value.code, capsys.readouterr()


def test_the_command(hub, folder, tmp_path, capsys):
    pushed_to(hub, folder)
    asked = [NAME, "--pattern", "{run}-step{step}", "--pins", tmp_path / "pins.json"]
    code, text = said(capsys, *asked, "--steps", "2^0..2^4")
    assert code == 0 and "Nothing wrong was found." in text.out
    assert "--weights does" in text.out
    code, text = said(capsys, *asked, "--steps", "1", "2", "4..16:4")
    assert code == 1 and "OLMo-tiny, step 12: missing step: there is none" in text.out
    code, text = said(capsys, folder, "--steps", "2^0..2^4", "--json", "--weights")
    assert code == 0 and json.loads(text.out)["looked_at"] == len(STEPS)
    (tmp_path / "map.yaml").write_text("1: step1\n3: step3\n")
    code, text = said(capsys, folder, "--map", tmp_path / "map.yaml")
    assert code == 1 and "step 3: missing step: there is no 'step3'" in text.out
    hub.gated = True
    code, text = said(capsys, *asked)
    assert code == 1 and text.err.startswith(f"Error: {NAME}: gated") and not text.out


@pytest.mark.parametrize("written", ["x", "2^0..5", "0..9:0", "0..999999999999:1", "-1"])
def test_steps_that_are_none(capsys, written):
    with pytest.raises(SystemExit) as ended:
        main(["suite", "a/b", "--steps", "1", written])
    assert ended.value.code == 2
    capsys.readouterr()


@pytest.mark.parametrize("text", ["[]", "a: b", "{1: 2}", "{}", "1: a\n1: b", "{-1: a}"])
def test_maps_that_are_none(tmp_path, capsys, text):
    (tmp_path / "map.yaml").write_text(text)
    assert main(["suite", str(tmp_path), "--map", str(tmp_path / "map.yaml")]) == 1
    assert str(tmp_path / "map.yaml") in capsys.readouterr().err


def test_hf_endpoint_points_at_the_server(hub, folder, tmp_path):
    """In a process of its own, with nothing patched."""
    pushed_to(hub, folder)
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    environment |= {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    program = "import sys; from zsl.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "suite", NAME, "--pattern", PATTERN, "--weights"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "Nothing wrong was found." in shown.stdout
