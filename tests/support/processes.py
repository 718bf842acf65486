"""The demo's process helpers, under the tests' roof."""

from demo.processes import (
    Api,
    ConfigMapMirror,
    Process,
    ProcessFailed,
    answers,
    mirror_config_map,
    start_api,
    start_operator,
)

__all__ = [
    "Api",
    "ConfigMapMirror",
    "Process",
    "ProcessFailed",
    "answers",
    "mirror_config_map",
    "start_api",
    "start_operator",
]
