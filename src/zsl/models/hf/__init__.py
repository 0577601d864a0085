"""Causal language models of transformers, by whatever class of theirs a folder names.

:mod:`zsl.models.hf.folder` is the family; it imports neither torch nor transformers until a model
is loaded.
"""
