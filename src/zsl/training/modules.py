"""The modules that a run's steps depend on by the names in its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zsl import interventions, optimizers


def stepping_modules(run: Mapping[str, Any]) -> list[str]:
    """Dotted names of the modules of a run's optimizer and intervention, if it has one.

    ``run`` are its settings as plain values.
    """
    intervention = run.get("intervention")
    changed = [interventions.module_of(intervention["name"])] if intervention else []
    return [optimizers.module_of(run["optimizer"]["name"]), *changed]
