"""The rows of the files that people have are read as they stand there."""

import ast
import json
import logging
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from zsl.config.imported import ImportedCurve
from zsl.curves.formats import read_rows
from zsl.errors import ZslError

HERE = Path(__file__).parent


def rows(path, name="14M", **settings):
    source = ImportedCurve.model_validate({"path": str(path), "values": "raw", **settings})
    return list(read_rows(path, source, name).rows)


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path


@pytest.fixture
def write(tmp_path):
    def written(name, text, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return written


CSV = {
    "commas": "step,loss\n1,3.5\n50,3.25\n",
    "windows": "step,loss\r\n1,3.5\r\n50,3.25\r\n",
    "old macintosh": "step,loss\r1,3.5\r50,3.25\r",
    "blanks after commas": "step, loss\n1, 3.5\n50, 3.25\n",
    "semicolons": "step;loss\n1;3.5\n50;3.25\n",
    "tabs and an index": "\tstep\tloss\n0\t1\t3.5\n1\t50\t3.25\n",
    "other columns": "Wall time,step,loss\n1.7e9,1,3.5\n1.7e9,50,3.25\n",
    "quotation marks": '"step","loss"\n"1","3.5"\n"50","3.25"\n',
    "a byte order mark": "\ufeffstep,loss\n1,3.5\n50,3.25\n",
}


@pytest.mark.parametrize("text", CSV.values(), ids=CSV)
def test_csv(write, text):
    read = [(step, loss) for _, step, loss in rows(write("a.csv", text))]
    assert read == [("1", "3.5"), ("50", "3.25")]


def test_csv_in_utf_16_as_spreadsheets_save_it(write):
    path = write("a.csv", "step\tloss\r\n1\t3.5\r\n", "utf-16")
    assert rows(path) == [(2, "1", "3.5")]


def test_places_are_lines_of_the_file_even_where_a_field_has_several(write):
    text = 'step,loss,text\n\n1,3.5,"two\nlines"\n2,3.25,one\n'
    assert [place for place, *_ in rows(write("a.csv", text))] == [4, 5]


def test_an_export_of_wandb():
    read = rows(HERE / "own.csv", columns={"step": "Step", "loss": "my-run - train/loss"})
    assert read[:2] == [(2, "0", "10.9000"), (3, "50", "6.0840")]
    assert len(read) == 411 and [step for _, step, loss in read if not loss][:2] == ["2000", "4000"]


def test_tensorboards_download(write):
    text = "Wall time,Step,Value\n1619761818.9,10,3.5\n"
    path = write("run-tag-loss.csv", text)
    assert rows(path, columns={"step": "Step", "loss": "Value"}) == [(2, "10", "3.5")]


def test_lightnings_metrics_have_rows_of_other_metrics(write):
    text = "epoch,step,train_loss,val_loss\n0,49,3.5,\n0,49,,3.6\n0,99,3.25,\n"
    read = rows(write("metrics.csv", text), columns={"loss": "train_loss"})
    assert read == [(2, "49", "3.5"), (3, "49", ""), (4, "99", "3.25")]


def test_headings_may_stand_again_where_a_run_was_resumed(write):
    """As CSV loggers of Keras, fastai and DeepLabCut appended them."""
    text = "step,loss\n1,3.5\nstep,loss\n1,3.5\n2,3.25\n"
    assert [place for place, *_ in rows(write("a.csv", text))] == [2, 4, 5]


def test_a_column_that_is_missing_is_named_with_those_there_are(write):
    path = write("a.csv", "Step,my-run - train/loss\n1,3\n")
    with pytest.raises(ZslError, match=r"no column 'step'; name one of these in columns\.step: 'S"):
        rows(path)
    with pytest.raises(ZslError, match=r"columns\.loss: 'Step', 'my-run - train/loss'"):
        rows(path, columns={"step": "Step"})
    with pytest.raises(ZslError, match="has 2 columns 'loss'; rename one"):
        rows(write("b.csv", "step,loss,loss\n1,3,4\n"))


@pytest.mark.parametrize("line", ["1,2", "1,2,5", "1,2,3,4"])
def test_a_line_of_another_number_of_columns_is_named(write, line):
    """Cut off, or with a decimal comma."""
    heading = "step,loss,lr,time" if line == "1,2,5" else "step,loss,lr"
    with pytest.raises(ZslError, match=r"a\.csv, line 2: has \d columns, the first line \d"):
        rows(write("a.csv", f"{heading}\n{line}\n"))


def test_what_is_no_text_is_refused(write):
    with pytest.raises(ZslError, match=r"a\.csv: not text in UTF-8 \(invalid"):
        rows(write("a.csv", "step,loss\n1,é\n", "latin-1"))


def test_json_lines(write):
    records = [
        {"step": 1, "train/loss": 3.5},
        {"step": 2, "val/loss": 3.6},
        {"step": 3, "train/loss": float("nan")},
    ]
    text = "\n\n".join(map(json.dumps, records))
    read = rows(write("a.jsonl", text), columns={"loss": "train/loss"})
    assert read[0] == (1, 1, 3.5) and read[1][:2] == (5, 3) and read[1][2] != read[1][2]
    with pytest.raises(ZslError, match=r"has no column 'loss'; name one of these .*'val/loss'"):
        rows(write("b.jsonl", json.dumps(records[1])))
    with pytest.raises(ZslError, match=r"c\.jsonl, line 2: not JSON"):
        rows(write("c.jsonl", '{"step": 1, "loss": 2}\n{"step": 2, "lo'))


def test_a_trainers_own_state():
    """2,048 steps with logging_steps 16, two evaluations and the summary at the end."""
    read = rows(HERE / "trainer_state.json")
    assert [step for _, step, _ in read] == list(range(16, 2049, 16))
    history = json.loads((HERE / "trainer_state.json").read_text())["log_history"]
    assert len(history) == 131 and all(
        history[place - 1]["loss"] == loss for place, _, loss in read
    )


def test_a_trainers_state_with_a_gradient_that_is_nan(tmp_path):
    from transformers import TrainerState

    history = [
        {"loss": 3.5, "grad_norm": float("nan"), "step": 8},
        {"eval_loss": 3.4, "step": 8},
        {"loss": float("nan"), "step": 16},
    ]
    path = tmp_path / "trainer_state.json"
    TrainerState(log_history=history).save_to_json(str(path))
    read = rows(path)
    assert read[0] == (1, 8, 3.5) and read[1][:2] == (3, 16) and len(read) == 2
    with pytest.raises(ZslError, match="has no log_history"):
        rows(write_json(tmp_path / "state.json", []), format="trainer_state")


NANOGPT = """\
step 0: train loss 10.9956, val loss 10.9941
iter 0: loss 10.9942, time 2513.15ms, mfu -100.00%
2023-03-22 09:30:39 iter 10: loss 9.1234, time 1099.34ms, mfu 15.34%
step 250: train loss 4.1000, val loss 4.2000
saving checkpoint to out
iter 250: loss nan, time 1019.95ms, mfu 14.12%
"""
MEGATRON = """\
 iteration        1/  250000 | consumed samples:  8 | elapsed time per iteration (ms): 4247.9 | \
learning rate: 2.999E-04 | global batch size: 8 | lm loss: 1.083E+01 | loss scale: 1.0 | \
grad norm: nan |
 validation loss at iteration 1 | lm loss value: 1.083E+01 | lm loss PPL: 5.0E+04 |
 iteration        2/  250000 | lm loss: 1.080E+01 |
"""
NANOTRON = """\
10/17/2025 16:31:56 [INFO|DP=0|PP=0|TP=0]: iteration: 327281 / 378950 | consumed_tokens: 85.8G | \
global_batch_size: 64 | lm_loss: 2.38 | lr: 1e-05 | grad_norm: 1.25
"""


def test_logs_of_other_trainers(write):
    said = [(step, loss) for _, step, loss in rows(write("a.log", NANOGPT))]
    assert said == [("0", "10.9942"), ("10", "9.1234"), ("250", "nan")]
    said = [(step, loss) for _, step, loss in rows(write("b.log", MEGATRON))]
    assert said == [("1", "1.083E+01"), ("2", "1.080E+01")]
    assert rows(write("c.out", NANOTRON)) == [(1, "327281", "2.38")]
    with pytest.raises(ZslError, match="no train losses as OLMo, nanoGPT"):
        rows(write("d.log", "epoch 1 loss 3\n"))


@pytest.fixture
def olmos_console(tmp_path):
    """OLMo's own method (the module of its trainer cannot be imported without W&B), and its log."""
    tree = ast.parse(Path(find_spec("olmo.train").origin).read_text())
    method = next(
        node for node in ast.walk(tree) if getattr(node, "name", "") == "log_metrics_to_console"
    )
    path = tmp_path / "olmo.log"
    handler = logging.FileHandler(path)
    said = "%(asctime)s\thost:0\tolmo.train:967\t%(levelname)s\t%(message)s"
    handler.setFormatter(logging.Formatter(said))
    logger = logging.Logger("olmo.train")
    logger.addHandler(handler)
    names = {"log": logger, "Dict": dict}
    exec(compile(ast.Module([method], []), "olmo/train.py", "exec"), names)
    yield partial(names["log_metrics_to_console"], None), logger, path
    handler.close()


@pytest.mark.parametrize("colours", [("", ""), ("\x1b[36m", "\x1b[0m")], ids=["file", "terminal"])
def test_what_olmo_prints(olmos_console, colours):
    log_metrics, logger, path = olmos_console
    for step, loss in ((1, 10.954321), (10, 9.5), (20, float("nan"))):
        metrics = {"optim/total_grad_norm": 1.0, "train/CrossEntropyLoss": loss,
                   "train/Perplexity": 57000.0, "throughput/total_tokens": 1024.0}  # fmt: skip
        log_metrics(f"[step={step}/1000,epoch=0]", metrics)
        logger.info(f"[step={step + 1}/1000,epoch=0]")
        log_metrics("c4_en", {"eval/c4/CrossEntropyLoss": 11.0})
    on, off = colours
    text = path.read_text().replace("step=", f"{on}step={off}")
    path.write_text(text.replace("Loss=", f"Loss{on}={off}"))
    said = [(step, loss) for _, step, loss in rows(path)]
    assert said == [("1", "10.95"), ("10", "9.500"), ("20", "nan")]


def test_the_authors_file(write):
    points = {"x": [10, 11], "y": [5.5, 5.25]}
    path = write("a.json", json.dumps({"14M": {"smoothed_loss": points}}))
    assert rows(path, format="authors") == [(1, 10, 5.5), (2, 11, 5.25)]
    with pytest.raises(ZslError, match="holds no model '37M'; it has 14M"):
        rows(path, "37M", format="authors")
