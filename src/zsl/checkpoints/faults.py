"""What is wrong with a suite, by its listing, its configurations and its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zsl.checkpoints.contents import Contents, look, oddities
from zsl.checkpoints.errors import CheckpointError, UnreachableError
from zsl.checkpoints.formats import TOKENIZERS, read_architecture, read_tokenizer
from zsl.checkpoints.members import Bring, Fault, Member, Suite
from zsl.errors import TrainingError


def of_listing(suite: Suite, expected: set[int]) -> Iterator[Fault]:
    """Steps, commits and digests, for which no file is read."""
    runs = suite.runs()
    of_all = {member.step for member in suite.members}
    faulty = {(fault.run, step) for fault in suite.faults for step in fault.steps}
    for run, members in runs.items():
        steps = {member.step for member in members}
        for step in sorted((expected | of_all) - steps):
            if (run, step) not in faulty:
                whose = "" if step in expected else "; other runs have it"
                yield Fault("missing step", run, (step,), f"there is none{whose}")
        if strange := sorted(steps - expected) if expected else []:
            yield Fault("unexpected step", run, tuple(strange), "was not asked for")
        by_commit = {m.step: m.commit for m in members if m.commit}
        for commit, same in _same(by_commit):
            yield Fault("one commit", run, same, f"all stand for commit {str(commit)[:12]}")
        for _, same in _same({m.step: m.weights for m in members}):
            if len({by_commit.get(step, step) for step in same}) > 1:
                yield Fault("equal weights", run, same, "their files of weights are the same")
        optimizers = {m.step: m.form.optimizer and m.files[m.form.optimizer] for m in members}
        for file, same in _same(optimizers):
            if file and len({by_commit.get(step, step) for step in same}) > 1:
                yield Fault("equal optimizers", run, same, "their files of the optimizer are")
        if len({(m.form.kind, m.form.optimizer) for m in members}) > 1:
            yield from _different_files(run, members)


def _different_files(run: str, members: list[Member]) -> Iterator[Fault]:
    forms: dict[tuple[str, str | None], list[int]] = {}
    for member in members:
        forms.setdefault((member.form.kind, member.form.optimizer), []).append(member.step)
    usual = max(forms, key=lambda form: len(forms[form]))
    for (kind, optimizer), steps in forms.items():
        if (kind, optimizer) != usual:
            said = f"{kind} with {optimizer or 'no optimizer'}, the others {usual[0]} with "
            yield Fault("other files", run, tuple(steps), said + (usual[1] or "no optimizer"))


def of_configs(suite: Suite, bring: Bring, work: Path) -> Iterator[Fault]:
    """Architectures and tokenizers, for which each distinct configuration is read once."""
    known: dict[str, tuple[Any, Any] | CheckpointError] = {}
    for run, members in suite.runs().items():
        architectures: dict[int, Any] = {}
        tokenizers: dict[int, Any] = {}
        for member in members:
            digest = member.files[member.form.config].digest
            if digest not in known:
                known[digest] = _config(member, bring, work)
            read = known[digest]
            if isinstance(read, CheckpointError):
                yield Fault("unreadable", run, (member.step,), str(read))
                continue
            architectures[member.step] = read[0]
            own = {n: member.files[n].digest for n in TOKENIZERS if n in member.files}
            tokenizers[member.step] = {**read[1], **own}
        yield from _changes("architecture", run, architectures)
        yield from _changes("tokenizer", run, tokenizers)


def _config(member: Member, bring: Bring, work: Path) -> tuple[Any, Any] | CheckpointError:
    name = member.form.config
    try:
        path = bring(member, (name,), work) / name
        return read_architecture(path), read_tokenizer(path)
    except UnreachableError:
        raise
    except CheckpointError as error:
        return error


def _changes(kind: str, run: str, values: dict[int, dict[str, Any]]) -> Iterator[Fault]:
    """Steps whose values are not those of most."""
    if not values:
        return
    each = [*values.values()]
    usual = max(each, key=each.count)
    for step, found in values.items():
        if found != usual:
            keys = [k for k in {**usual, **found} if usual.get(k) != found.get(k)]
            said = ", ".join(f"{k} = {found.get(k)!r:.60} ({usual.get(k)!r:.60})" for k in keys)
            yield Fault(f"another {kind}", run, (step,), f"{said[:400]}, of the others in brackets")


def of_weights(suite: Suite, bring: Bring, work: Path) -> Iterator[Fault]:
    """Weights, one checkpoint after another, and what they tell about one another."""
    for run, members in suite.runs().items():
        contents: list[Contents] = []
        equal = {f.steps for f in suite.faults if f.run == run}
        for member in members:
            try:
                folder = bring(member, member.form.files, work)
                contents.append(look(folder, member.step))
                suite.looked_at += 1
            except UnreachableError:
                raise
            except (CheckpointError, TrainingError) as error:
                yield Fault("unreadable weights", run, (member.step,), str(error))
            finally:
                _empty(work)
        for odd in oddities(contents):
            if odd.kind != "equal weights" or odd.steps not in equal:
                yield Fault(odd.kind, run, odd.steps, odd.text)


def _empty(work: Path) -> None:
    """Drop what was fetched."""
    for path in sorted(work.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def _same(values: Mapping[int, Any]) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Values that several steps have, with these."""
    steps: dict[Any, list[int]] = {}
    for step, value in values.items():
        steps.setdefault(value, []).append(step)
    yield from ((value, tuple(same)) for value, same in steps.items() if len(same) > 1)
