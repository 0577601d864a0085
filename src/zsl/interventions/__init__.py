"""Interventions: what a run changes between the losses of tokens and its optimizer.

A module builds one, by the name that its settings have: ``build(settings, model, optimizer)``
gives a :class:`zsl.training.step.Passes` that leaves the changed gradient where the plain step
leaves its own. Clipping and the optimizer come after it, and the loss that is logged is the plain
one. Another intervention is another module here and its settings in
:mod:`zsl.config.interventions`.
"""


def module_of(name: str) -> str:
    """Dotted name of the module of an intervention, such as ``zsl.interventions.agreement``."""
    return f"{__name__}.{name}"
