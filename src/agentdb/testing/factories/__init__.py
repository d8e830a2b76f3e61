"""Factories: valid rows of all 46 tables for the tests of a host, or for data to try out with."""

from agentdb.testing.factories.factory import Factory
from agentdb.testing.factories.makers import Maker

__all__ = ["Factory", "Maker"]
