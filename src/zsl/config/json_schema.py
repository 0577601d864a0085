"""The JSON schema of configuration files, for editors; generated, never edited."""

from __future__ import annotations

from typing import Any

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
    definitions = {**schema.pop("$defs"), **run.pop("$defs"), "Run": run}
    suite = definitions["Suite"]["properties"]
    suite["defaults"] = {**suite["defaults"], **_reference("Run")}
    suite["runs"] = {**suite["runs"], "additionalProperties": _reference("Run")}
    optimizers = definitions["Run"]["properties"]["optimizer"]
    del optimizers["discriminator"]  # what a run gives need not have the name
    optimizers["anyOf"] = optimizers.pop("oneOf")
    kinds = [kind["$ref"].rsplit("/", 1)[-1] for kind in optimizers["anyOf"]]
    for definition in ("Run", "Model", "Schedule", *kinds):
        definitions[definition].pop("required", None)
    schema.pop("required", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "$defs": dict(sorted(definitions.items())),
    }


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}
