"""Broken neural scaling laws fitted to loss curves."""
