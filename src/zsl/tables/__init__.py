"""The tables of the paper, from fits and curves."""
