"""A small experiment of records that chain as those of the workflow do, without the workflow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zsl.files import read_json, sha256_of_json, write_json, write_text

MODEL = """
def loss(x):
    return x * 2


def width():
    return 3
"""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Jobs:
    """Writes files and their records; what a job writes follows from all that it is given."""

    results: Path
    made: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def start(self) -> str:
        return f"results/{self.results.name}/"

    def job(
        self,
        rule: str,
        name: str,
        inputs: dict[str, str] | None = None,
        outputs: dict[str, str] | None = None,
        *,
        text: str | None = None,
        salt: str = "",
        **content: Any,
    ) -> None:
        """Make one; ``inputs`` and ``outputs`` are paths by keyword, ``text`` what is written."""
        packages = content.setdefault("params", {}).setdefault("packages", {"numpy": "1.26.4"})
        modules = content.pop("modules", {"zsl.model": MODEL})
        entries = [self._input(path, key) for key, path in (inputs or {}).items()]
        given = [rule, content, modules, [e["sha256"] for e in entries], salt]
        written = text or sha256_of_json(given)
        made = [self._output(path, key, written) for key, path in (outputs or {}).items()]
        record = {
            "schema": 1,
            "path": f"{self.start}lineage/{name}.json",
            "rule": rule,
            "code": self._code(modules),
            "environment": {"python": "3.11.7", "packages": {**packages, "rich": "13.9.4"}},
            "device": {"machine": "x86_64", "cpu": "A CPU"},
            "threads": {"declared": 1},
            "git": {"commit": "0" * 40, "dirty": False},
            "time": {"start": "2026-01-02T03:04:05.000Z", "end": "2026-01-02T03:05:07.000Z"}
            | {"seconds": 62.0},
            "inputs": entries,
            "outputs": made,
            **content,
        }
        path = self.results / "lineage" / f"{name}.json"
        write_json(path, record)
        own = digest(path.read_text())
        write_text(self.results / "lineage" / "history" / f"{own}.json", path.read_text())
        for entry in made:
            self.made[entry["path"]] = {**entry, "record": own}

    def _input(self, path: str, key: str) -> dict[str, Any]:
        if not path.startswith("raw/"):
            return {**self.made[self.start + path], "name": key}
        return {"path": path, "name": key, "kind": "file", "size": 4, "sha256": digest(path)}

    def _output(self, path: str, key: str, text: str) -> dict[str, Any]:
        write_text(self.results / path, text)
        entry = {"path": self.start + path, "name": key, "kind": "file"}
        return {**entry, "size": len(text.encode()), "sha256": digest(text)}

    def _code(self, modules: dict[str, str]) -> dict[str, Any]:
        digests = {name: digest(text) for name, text in modules.items()}
        for name, text in modules.items():
            write_text(self.results / "lineage" / "code" / f"{digests[name]}.py", text)
        fingerprint = sha256_of_json(digests)
        return {"script": "x.py", "fingerprint": fingerprint, "modules": digests}


def manifest(text: str) -> dict[str, Any]:
    """A manifest of two sources, the first of three files."""
    files = [
        {"origin": f"pkg 1.0: a/{i}.arrow", "size": 10, "sha256": digest(f"{text}{i}")}
        for i in range(3)
    ]
    one = [{"origin": "pkg 1.0: b/0.arrow", "size": 5, "sha256": digest("b")}]
    return {
        "sources": [
            {"origin": "pkg 1.0: a/*.arrow", "files": files},
            {"origin": "pkg 1.0: b/*.arrow", "files": one},
        ]
    }


RUNS = ("main-1k", "main-2k", "other-1k")


def experiment(
    results: Path,
    *,
    runs: tuple[str, ...] = RUNS,
    corpus: str = "text",
    train: dict[str, Any] | None = None,
    rates: dict[str, float] | None = None,
    seeds: dict[str, int] | None = None,
    fit: dict[str, Any] | None = None,
) -> Path:
    """Corpus, runs of two segments, curves, fits, fig03 of suite main, and a table of settings.

    ``train`` and ``fit`` are more arguments of the jobs of these rules.
    """
    jobs, given = Jobs(results), train or {}
    write_json(results / "data/c/manifest.json", manifest(corpus))
    text = (results / "data/c/manifest.json").read_text()
    tokens = {"folder": "data/c/tokens.bin", "manifest": "data/c/manifest.json"}
    jobs.job("tokens", "data/c/manifest", {}, tokens, text=text, wildcards={"corpus": "c"})
    for run in runs:
        settings = {"steps": 64, "learning_rate": (rates or {}).get(run, 0.01)}
        seed = (seeds or {}).get(run, 0)
        before: dict[str, str] = {}
        for segment in ("00-32", "32-64"):
            name = f"training/{run}/{segment}"
            jobs.job(
                "train",
                name,
                {"tokens": "data/c/manifest.json", **before},
                {"checkpoints": f"{name}.bin", "steps": f"{name}.steps.csv"},
                **{
                    "params": {"run": {**settings, "seed": seed}},
                    "seeds": {"run.seed": seed},
                    "wildcards": {"run": run, "segment": segment},
                    **given,
                },
            )
            before = {"previous": f"{name}.bin"}
        curve, fitted = f"curves/train_loss/{run}", f"fits/{run}"
        steps = {"steps": f"training/{run}/32-64.steps.csv"}
        jobs.job("train_loss", curve, steps, {"csv": f"{curve}.csv"}, wildcards={"run": run})
        jobs.job(
            "fit",
            fitted,
            {"curve": f"{curve}.csv"},
            {"json": f"{fitted}.json"},
            **{"wildcards": {"run": run}, "params": {"settings": {"cut": 32}}, **(fit or {})},
        )
    shown = {f"fits{i}": f"fits/{run}.json" for i, run in enumerate(runs) if "main" in run}
    drawn = {"pdf": "figures/fig03.pdf", "svg": "figures/fig03.svg"}
    jobs.job("figure", "figures/fig03", shown, drawn, wildcards={"figure": "fig03"})
    jobs.job("table", "tables/table3", {}, {"csv": "tables/table3.csv"}, params={"study": {"n": 2}})
    return results


def rewrite(record: Path, **content: Any) -> None:
    """Give a record other content and keep it, as a job that ran again would."""
    write_json(record, read_json(record) | content)
    text = record.read_text()
    folder = next(parent for parent in record.parents if parent.name == "lineage")
    write_text(folder / "history" / f"{digest(text)}.json", text)
