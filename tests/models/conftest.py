"""Fixtures of these tests."""

from model_fixtures import gradients_by_token, in_float64, random_update

__all__ = ["gradients_by_token", "in_float64", "random_update"]
