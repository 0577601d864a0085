"""Our tables and curves held against the paper's, value by value.

A comparison is a table with one row per value:

``source, row, quantity, step, ours, theirs, deviation, relative, rounding, comparable, remark``

``source`` is where the paper has it (``Table 1``, ``Fig. 3``), ``row`` the model, ``step`` the
optimizer step (empty for tables). ``deviation`` is ours less theirs, ``relative`` that over
theirs; ``rounding`` says whether it is within half a unit of the last digit that is printed
(empty for curves). Where ``comparable`` is ``no``, ``remark`` says why; values that exist are
shown all the same.
"""
