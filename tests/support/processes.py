"""The demo's process helpers, under the tests' roof."""

from demo.processes import (
    Api,
    ConfigMapMirror,
    Process,
    ProcessFailed,
    answers,
    start_api,
    start_operator,
)

__all__ = [
    "Api",
    "ConfigMapMirror",
    "Process",
    "ProcessFailed",
    "answers",
    "start_api",
    "start_operator",
]
