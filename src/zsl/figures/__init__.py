"""The figures of the paper, from fits and curves."""
