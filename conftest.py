"""Fixtures shared by all areas of the tests live in tests/support."""

pytest_plugins = ["support.cluster", "support.installed", "support.postgres", "support.stack"]
