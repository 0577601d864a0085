"""The figures and tables of the ablation suites (Appendix C), and those over several suites."""

from __future__ import annotations

from zsl.registry.target import Target

ABLATIONS: tuple[Target, ...] = ()
