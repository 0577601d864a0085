"""The JSON schema of configuration files, for editors; generated, never edited."""

from __future__ import annotations

from typing import Any

from zsl.config.imported import ImportedCurve
from zsl.config.schema import Experiment, Run

SCHEMA_FILE = "config/schema.json"
"""Where the generated schema is kept, relative to the project's root."""


def json_schema() -> dict[str, Any]:
    """JSON schema of a configuration file.

    A file may hold a part of an experiment, as several are merged, and a run gives only what
    differs from its suite's defaults: so nothing is required.
    """
    schema = Experiment.model_json_schema()
    run = Run.model_json_schema(ref_template="#/$defs/{model}")
    curve = ImportedCurve.model_json_schema(ref_template="#/$defs/{model}")
    definitions = {
        **{name: part for each in (schema, run, curve) for name, part in each.pop("$defs").items()},
        "Run": run,
        "ImportedCurve": curve,
    }
    for name, kind in (("Suite", "Run"), ("Imported", "ImportedCurve")):
        runs = definitions[name]["properties"]
        runs["defaults"] = {**runs["defaults"], **_reference(kind)}
        runs["runs"] = {**runs["runs"], "additionalProperties": _reference(kind)}
    optimizers = definitions["Run"]["properties"]["optimizer"]
    del optimizers["discriminator"]  # what a run gives need not have the name
    optimizers["anyOf"] = optimizers.pop("oneOf")
    kinds = [kind["$ref"].rsplit("/", 1)[-1] for kind in optimizers["anyOf"]]
    for definition in ("Run", "Model", "Schedule", "ImportedCurve", *kinds):
        definitions[definition].pop("required", None)
    schema.pop("required", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "$defs": dict(sorted(definitions.items())),
    }


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}
