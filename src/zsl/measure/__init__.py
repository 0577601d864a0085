"""``zsl measure``: one measurement of a checkpoint of one's own, without a workflow.

What is given is looked at first (:mod:`zsl.measure.given`), without torch, whose import alone
takes longer than an answer should; then it is measured (:mod:`zsl.measure.run`).
"""
