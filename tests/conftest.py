"""Fixtures that tests of every kind share."""

pytest_plugins = ["support.index", "support.program", "support.real", "support.tiny"]
