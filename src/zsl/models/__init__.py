"""Language models as measurements see them, and the families of checkpoints that are read.

:class:`zsl.models.base.LanguageModel` is all that measurements, curves and ``zsl measure`` know of
a model. Each family is a module of this package with an adapter, and stands in
:mod:`zsl.models.families`. Names of weights, and the library that makes the model, are known to its
adapter alone.
"""
