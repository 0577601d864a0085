"""Files of another user, which may not be read: said so, and never answered by making them again.

The modes are real; root, which reads everything, goes without that privilege.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from unprivileged import unprivileged

from zsl.audit.roots import Held
from zsl.cli import main

SEGMENT = "training/main-small/00000000-00000016"
STEP = f"{SEGMENT}/step00000004"
LATER = "training/main-small/00000016-00000032"
OUTPUTS, LATER_OUTPUTS = (
    {folder, f"{folder}.manifest.json", f"{folder}.steps.csv"} for folder in (SEGMENT, LATER)
)
RECORD = f"lineage/{SEGMENT}.json"


@pytest.fixture
def audited(tree, typed):
    """The exit code of an audit, what it finds, and its command."""

    def audit():
        with unprivileged():
            code, out, err = typed("audit", "--json")
        assert not err
        found = json.loads(out)
        wrong = [f for f in found["findings"] if f["status"] not in ("verified", "imported")]
        assert all(f["details"][0].startswith(ask(tree)) for f in wrong), wrong
        assert found["command"].startswith(f"# {ask(tree)}")
        return code, {(f["path"], f["status"]) for f in wrong}

    return audit


def ask(tree):
    mine = subprocess.check_output(["id", "-un"], text=True).strip()
    return f"not readable by you: ask its owner, {mine} (chmod -R a+rX {tree.results})"


def weights(tree):
    return sorted((tree / "training").rglob("*.safetensors"))


def unreadable(*paths):
    return 1, {(path, "unreadable") for path in paths}


def test_private_checkpoints(tree, audited, close):
    close(*weights(tree))
    assert audited() == unreadable(SEGMENT, LATER)


def test_a_private_file_of_each_kind(tree, audited, close):
    files = {"fits/main-small.json", "figures/fig02.svg", f"{SEGMENT}.steps.csv"}
    close(*(tree / path for path in files))
    assert audited() == unreadable(*files)


def test_a_damaged_checkpoint_beside_private_ones(tree, typed, close):
    tree.flip(f"{STEP}/model.safetensors")
    close(tree / STEP / "optim.safetensors")
    with unprivileged():
        found = json.loads(typed("audit", "--json")[1])
    said = {f["path"]: f["details"] for f in found["findings"] if f["status"] == "altered"}
    assert said == {
        SEGMENT: [
            "step00000004/model.safetensors differs",
            "step00000004/optim.safetensors cannot be read: Permission denied",
        ]
    }


def test_a_private_folder_of_checkpoints(tree, audited, close):
    close(tree / SEGMENT)
    assert audited() == unreadable(SEGMENT)


def test_a_private_folder_of_a_run(tree, audited, close):
    close(tree / "training/main-small")
    assert audited() == unreadable(*OUTPUTS, *LATER_OUTPUTS)


def test_a_private_record_of_a_training(tree, audited, close):
    """What it is of is known from the history."""
    close(tree / RECORD)
    assert audited() == unreadable(RECORD)


def test_a_private_record_and_its_copy(tree, audited, close):
    copy = tree.kept(RECORD)
    close(tree / RECORD, tree / copy)
    assert audited() == unreadable(RECORD, copy, *OUTPUTS)


def test_a_private_folder_of_records(tree, audited, close):
    close(tree / "lineage/training")
    assert audited() == unreadable("lineage/training")


def test_a_private_history(tree, audited, close):
    close(tree / "lineage/history")
    assert audited() == unreadable("lineage/history")


def test_a_private_record_and_the_whole_history(tree, audited, close):
    close(tree / "lineage/training", tree / "lineage/history")
    private = ("lineage/training", "lineage/history")
    assert audited() == unreadable(*private, *OUTPUTS, *LATER_OUTPUTS)


def test_private_code(tree, audited, close):
    path = min((tree / "lineage/code").iterdir())
    close(path)
    assert audited() == unreadable(f"lineage/code/{path.name}")


def test_all_is_private(tree, typed, close):
    for folder in ("lineage", ""):
        close(tree / folder)
        with unprivileged():
            code, out, err = typed("audit")
        assert (code, out) == (1, "")
        assert err.startswith(f"Error: {tree / folder}"), err
        assert "not readable by you: ask its owner" in err


def test_nobody_has_the_name_of_the_owner(tree, audited, close):
    """As with the numbers of another cluster."""
    if os.geteuid():
        pytest.skip("only root gives files away")
    path = tree / "fits/main-small.json"
    os.chown(path, 54321, 54321)
    path.chmod(0o600)
    with unprivileged():
        found = tree.audit(held=Held(tree.held.root, "a root"))
    said = {f.path: f.details[0] for f in found.of("unreadable")}
    assert said == {"fits/main-small.json": ask(tree).replace("root (", "user 54321 (")}
    assert not found.root_differences


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"{STEP}/model.safetensors", ["measure", "token_losses", "--checkpoint", STEP]),
        (f"{STEP}/config.yaml", ["measure", "token_losses", "--checkpoint", STEP]),
        (STEP, ["measure", "token_losses", "--checkpoint", STEP]),
        ("lineage/figures/fig02.json", ["lineage", "fig02"]),
        ("lineage/figures", ["lineage", "fig02"]),
        ("lineage/figures/fig02.json", ["explain", "fig02", "fig03"]),
        ("lineage/figures/fig02.json", ["reproduce", "fig02"]),
        ("fits/main-small.json", ["reproduce", "fig02"]),
        ("lineage/figures", ["root"]),
        ("lineage/history", ["root"]),
    ],
)
def test_other_commands_say_so(tree, close, capsys, monkeypatch, tmp_path, path, words):
    if words[0] == "measure":
        monkeypatch.chdir(tree.results)
        (tmp_path / "tokens.npy").touch()
        words += ["--tokens", str(tmp_path / "tokens.npy"), "--out", str(tmp_path / "out.h5")]
    else:
        monkeypatch.chdir(tree.project.root)
        words += ["--configfile", str(tree.project.config), "--results", str(tree.results)]
    close(tree / path)
    with unprivileged():
        try:
            code = main(words)
        except SystemExit as left:
            code = left.code
    said = capsys.readouterr().err
    assert code == 1, said
    assert str(tree / path) in said or path in said, said
    assert "not readable by you: ask its owner" in said, said
    assert "again" not in said, said


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(tree, close):
    from zsl.errors import ZslError
    from zsl.models.olmo.architecture import load_model
    from zsl.training.checkpoint import is_sound

    copy = Path(shutil.copytree(tree / STEP, tree.results.parent / "copy"))
    close(copy / "model.safetensors")
    with unprivileged():
        with pytest.raises(PermissionError):
            is_sound(copy)
        with pytest.raises(ZslError, match=r"not readable by you: ask its owner.*chmod a\+r"):
            load_model(copy)


def test_a_crate_of_private_results(changed, close, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(changed.root)
    close(changed.results / "figures/fig02.svg")
    with unprivileged():
        code = main(["crate", str(tmp_path / "out.zip"), "--configfile", "config/tiny.yaml"])
    said = capsys.readouterr().err
    assert (code, "figures/fig02.svg: not readable by you: ask its" in said) == (1, True), said
