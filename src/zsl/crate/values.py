"""Settings of jobs as property values, and the parameters that they are values of.

A value is one entity however many jobs have it. A setting that is a dict is a property value of
property values, named with dots; a list is given as its JSON, since JSON-LD has no order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rocrate.rocrate import ROCrate

from zsl.crate.entities import add, all_to, fragment, short, to

NOT_SET = ("packages",)
"""Parameters of rules that are no settings: the packages are among a tool's requirements."""


def add_settings(crate: ROCrate, rule: str, params: Mapping[str, Any]) -> list[str]:
    """Add the settings of a job and the parameters of its rule; the identifiers of the values."""
    values = []
    for name, value in sorted(params.items()):
        if name in NOT_SET or (id := add_value(crate, name, value)) is None:
            continue
        add_parameter(crate, parameter(rule, name), name, kind_of(value), id)
        values.append(id)
    return values


def add_value(crate: ROCrate, name: str, value: Any) -> str | None:
    """Add a value under its name; None where there is nothing to say (``null``, an empty dict)."""
    if value is None:
        return None
    if isinstance(value, dict):
        parts = [add_value(crate, f"{name}.{key}", item) for key, item in sorted(value.items())]
        known = [id for id in parts if id is not None]
        content: Any = all_to(known)
        if not known:
            return None
    else:
        content = plain(value)
    id = fragment("value", name, short(value))
    # Not with add: false, 0 and "" are values.
    if crate.get(id) is None:
        entity = {"@id": id, "@type": "PropertyValue", "name": name, "value": content}
        crate.add_jsonld(entity)
    return id


def plain(value: Any) -> Any:
    """A value as JSON-LD keeps it: a list as its JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def parameter(rule: str, name: str) -> str:
    """Identifier of a parameter of a rule."""
    return fragment("rule", rule, "param", name)


def slot(rule: str, direction: str, name: str | None) -> str:
    """Identifier of an input or output of a rule; those without a keyword are one."""
    return fragment("rule", rule, direction, name or direction)


def add_parameter(crate: ROCrate, id: str, name: str, kind: str, example: str) -> None:
    """Add a parameter, or a kind of value that it also takes, and say what is an example of it."""
    add(crate, id, "FormalParameter", name=name, additionalType=kind)
    kinds = _listed(crate.get(id)["additionalType"])
    if kind not in kinds:
        crate.get(id)["additionalType"] = sorted([*kinds, kind])
    realized = crate.get(example)
    known = [item["@id"] for item in _listed(realized.properties().get("exampleOfWork", []))]
    if id not in known:
        realized["exampleOfWork"] = all_to([*known, id])


def connect(crate: ROCrate, source: str, target: str, reader: str) -> None:
    """Say that what one parameter holds is passed on to another, in the step ``reader``."""
    id = fragment("connection", f"{source[1:]}--{target[1:]}")
    if crate.get(id) is None:
        add(
            crate,
            id,
            "ParameterConnection",
            sourceParameter=to(source),
            targetParameter=to(target),
        )
        crate.get(reader).append_to("connection", to(id))


def kind_of(value: Any) -> str:
    """The type of a value, by its name in schema.org."""
    if isinstance(value, bool):
        return "Boolean"
    names: Iterator[tuple[type, str]] = iter(
        [(int, "Integer"), (float, "Float"), (dict, "PropertyValue")]
    )
    return next((name for type, name in names if isinstance(value, type)), "Text")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
