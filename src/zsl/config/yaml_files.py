"""YAML read as data: no tag makes an object, no alias grows without bounds, no key is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from zsl.config.base import LARGEST_NUMBER
from zsl.errors import BrokenFileError
from zsl.files import read_limited

LARGEST = 1 << 20
"""Bytes of a configuration; those that are shipped have a hundredth."""
NODES = 100_000
"""Keys, values and lists of a file, those that aliases repeat counted each time."""
MALFORMED = (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What PyYAML raises for text that is no YAML, for values that do not fit their tags, and for lists
nested too deeply."""


class _Loader(yaml.SafeLoader):
    """PyYAML's loader of plain values; aliases have bounds, and doubled keys are errors."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = 0
        self._sizes: dict[int, int] = {}
        self._seen: set[int] = set()

    def compose_node(self, parent: Any, index: Any) -> Any:
        alias, mark = self.check_event(yaml.AliasEvent), self.peek_event().start_mark
        before = self._nodes
        node = super().compose_node(parent, index)
        # An alias of what it is itself part of has no size yet, and no end.
        self._nodes += self._sizes.get(id(node), NODES) if alias else 1
        self._sizes.setdefault(id(node), self._nodes - before)
        self._bound(self._nodes <= NODES, f"more than {NODES:,} values, aliases written out", mark)
        return node

    def flatten_mapping(self, node: Any) -> None:
        if id(node) not in self._seen:  # a second time, keys that are merged in stand there, too
            self._seen.add(id(node))
            names: set[tuple[str, str]] = set()
            for key, _ in node.value:
                name = (key.tag, str(key.value))
                self._bound(name not in names, f"the key {key.value!r} a second time", key)
                names.add(name)
        super().flatten_mapping(node)

    def construct_yaml_int(self, node: Any) -> int:
        value: int = super().construct_yaml_int(node)
        self._bound(abs(value) <= LARGEST_NUMBER, "a number of more than 63 bits", node)
        return value

    @staticmethod
    def _bound(kept: bool, said: str, where: Any) -> None:
        if not kept:
            raise yaml.MarkedYAMLError(
                problem=f"found {said}", problem_mark=getattr(where, "start_mark", where)
            )


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
for _kind in ("binary", "omap", "pairs", "set"):  # no setting is one, and a set has no order
    _Loader.yaml_constructors.pop(f"tag:yaml.org,2002:{_kind}")


def read_values(path: str | Path, largest: int = LARGEST) -> Any:
    """The value of a YAML file of at most ``largest`` bytes.

    Raises BrokenFileError with the place where it is malformed or beyond a bound, and OSError
    where it cannot be read.
    """
    data = read_limited(path, largest)
    try:
        return _Loader(data.decode()).get_single_data()
    except MALFORMED as error:
        raise BrokenFileError(f"{path}: not a YAML file: {error}") from None
