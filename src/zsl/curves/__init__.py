"""From measurements to tidy tables, one row per step."""
