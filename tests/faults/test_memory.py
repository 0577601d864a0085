"""A GPU that runs out of memory: fewer sequences at once, recorded, and the same numbers.

The GPU's memory is imagined: the model of the copy has room for so many sequences only.
"""

from __future__ import annotations

import json

import pytest

FIRST = "00000000-00000016"
ROOM = """

_forward = OLMo.forward


def _in_little_memory(self, input_ids, *arguments, **named):
    if len(input_ids) > {room}:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
    return _forward(self, input_ids, *arguments, **named)


OLMo.forward = _in_little_memory
"""
MODEL = "src/zsl/training/model.py"
MEASURE = "src/zsl/measurements/token_losses.py"
"""What training does not read, so that the weights stay those of the undisturbed run."""
TRAINED = f"training/main-small/{FIRST}"
MEASURED = f"measurements/token_losses/main-small/{FIRST}"


def facts(project, artifact: str) -> dict:
    record = (project.results / "lineage" / artifact).with_suffix(".json")
    return json.loads(record.read_text())["facts"]


@pytest.mark.parametrize(
    ("made", "suffix", "asked", "module"),
    [(TRAINED, ".manifest.json", 4, MODEL), (MEASURED, ".h5", 2, MEASURE)],
    ids=["training", "a measurement"],
)
def test_a_gpu_without_room_for_the_batch(project, made, suffix, asked, module):
    target = f"results/tiny/{made}{suffix}"
    before = (project.root / target).read_bytes()
    assert facts(project, made)["micro_batch_size"] == asked
    original = (project.root / module).read_text()
    (project.root / module).write_text(original + ROOM.format(room=1))
    said = project.snakemake(target)
    assert "out of memory: going on with 1 sequences at once" in said
    assert facts(project, made)["micro_batch_size"] == 1

    # What the memory held is what was computed: as if so many sequences had been asked for.
    (project.root / module).write_text(original)
    if made == TRAINED:

        def ask(config):
            config["suites"]["main"]["defaults"]["precision"] = {"micro_batch_size": 1}
    else:

        def ask(config):
            config["measurements"]["micro_batch_size"] = 1

    halved = (project.root / target).read_bytes()
    configured = (project.root / project.config).read_text()
    project.configure(ask)
    project.snakemake(target)
    assert (project.root / target).read_bytes() == halved
    (project.root / project.config).write_text(configured)
    project.snakemake(target)
    assert (project.root / target).read_bytes() == before


def test_a_gpu_without_room_for_one_sequence(project, fails):
    path = project.root / MEASURE
    path.write_text(path.read_text() + ROOM.format(room=0))
    said = fails(f"results/tiny/{MEASURED}.h5")
    assert "does not hold one sequence" in said
