"""Optimizers: a module holds the settings of one and builds it; its name is that of the module.

Another optimizer is another module and its place in the union of ``zsl.config.schema``.
"""


def module_of(name: str) -> str:
    """Dotted name of the module of an optimizer, such as ``zsl.optimizers.muon``."""
    return f"{__name__}.{name}"
