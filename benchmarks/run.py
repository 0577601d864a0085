"""Run scripts of this folder one after another and write their results as a table.

``python benchmarks/run.py`` runs the quick ones, ``python benchmarks/run.py lsma proxy`` those.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from zsl.files import write_json, write_text

HERE = Path(__file__).parent
QUICK = (
    *("lsma", "bnsl", "proxy", "tokenising", "jvp", "cross_section"),
    *("exact_gradients", "layer_gradients", "sampling", "plan", "hashing", "interventions"),
)
COLUMNS = ("what", "ratio", "quartiles", "unit", "target", "met", "agreement", "note")


def run(script: str, threads: int) -> list[dict[str, Any]]:
    """Results of one script, in a process of its own; none if it stops."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results.json"
        options = [f"--threads={threads}", f"--json={out}"]
        done = subprocess.run([sys.executable, str(HERE / f"{script}.py"), *options])
        return [] if done.returncode else json.loads(out.read_text())


def file_of(folder: Path, device: str) -> Path:
    """Where results of a device are kept, without the ending."""
    return folder / re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def table(results: list[dict[str, Any]], failed: list[str], script: str = "run") -> str:
    """Results as a page of Markdown, with the names of the scripts that have ``failed``."""
    devices = ", ".join(dict.fromkeys(result["device"] for result in results))
    lines = [
        f"Measured on: {devices}. Made by `benchmarks/{script}.py`.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for result in results:
        cells = (
            f"**{result['name']}**: `{result['ours']}` against {result['peer']}",
            f"{result['ratio']:.3g}",
            f"{result['q1']:.3g} to {result['q3']:.3g}",
            result["unit"],
            result["target"].replace(">=", "≥").replace("<=", "≤"),
            "yes" if result["met"] else "**no**",
            result["agreement"],
            result["note"],
        )
        lines.append(f"| {' | '.join(cells)} |")
    if failed:
        lines += ["", f"Stopped without a result: {', '.join(failed)}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scripts", nargs="*", default=QUICK)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    options = parser.parse_args()
    by_script = {name: run(name, options.threads) for name in options.scripts}
    failed = [name for name, results in by_script.items() if not results]
    results = [result for results in by_script.values() for result in results]
    if not results:
        sys.exit("no script has given a result")
    devices = sorted({result["device"] for result in results})
    # With a GPU the scripts that do not use it name the CPU; the file is the GPU's.
    device = next((name for name in devices if "threads" not in name), devices[0])
    path = file_of(options.results, device)
    write_json(path.with_suffix(".json"), results)
    write_text(path.with_suffix(".md"), table(results, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
