"""Optimizers: a module builds one, by the name that its settings have.

Another optimizer is another module here and its settings in :mod:`zsl.config.optimizers`.
"""


def module_of(name: str) -> str:
    """Dotted name of the module of an optimizer, such as ``zsl.optimizers.muon``."""
    return f"{__name__}.{name}"
