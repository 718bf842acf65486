"""Fixtures shared by all areas of the tests live in tests/support."""

import os

import pytest

pytest_plugins = ["support.cluster", "support.installed", "support.postgres", "support.stack"]
NODE = ("test_localcluster_node", "test_pods")
"""Files in operator and e2e whose names begin so need the one node that a machine can have. The first end it."""
LONGEST_FIRST = ("node", "e2e", "operator", "chart", "api", "unit")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With ``-n 2 --dist loadgroup``: a file stays together, as do all that need the node; the long ones begin."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    for item in items:
        together = "node" if _area(item) == "node" else str(item.path)
        item.add_marker(pytest.mark.xdist_group(together))
    # Stable: what ends the node stays before what runs on it.
    items.sort(key=lambda item: (LONGEST_FIRST.index(_area(item)), not item.path.stem.startswith(NODE[0])))


def _area(item: pytest.Item) -> str:
    area = item.path.relative_to(item.config.rootpath / "tests").parts[0]
    return "node" if area in ("operator", "e2e") and item.path.stem.startswith(NODE) else area
