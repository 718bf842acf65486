"""The kubelet is started again while containerd is not ready for it."""

from pathlib import Path
from typing import Any, cast

import pytest

from localcluster.errors import ClusterError
from localcluster.node import runtime
from localcluster.node.layout import Layout
from localcluster.projects import NodeTools

LAYOUT, TOOLS = cast("Layout", None), NodeTools(Path("/tools"), {})


class Kubelet:
    """One that ends, or hangs, so many times before it is healthy."""

    def __init__(self, failures: int, *, hangs: bool = False) -> None:
        self.left, self.running, self.starts = failures, hangs, 0

    def start(self, *_: Any) -> "Kubelet":
        self.starts += 1
        return self

    def wait(self, _missing: Any, _seconds: float) -> None:
        if self.left:
            self.left -= 1
            raise ClusterError("kubelet ended at once")


def test_a_kubelet_that_ends_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet = Kubelet(failures=2)
    monkeypatch.setattr(runtime, "_start_kubelet", kubelet.start)
    assert runtime._healthy_kubelet(LAYOUT, TOOLS) is cast("Any", kubelet)
    assert kubelet.starts == 3


def test_one_that_hangs_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet = Kubelet(failures=1, hangs=True)
    monkeypatch.setattr(runtime, "_start_kubelet", kubelet.start)
    with pytest.raises(ClusterError, match="ended at once"):
        runtime._healthy_kubelet(LAYOUT, TOOLS)
    assert kubelet.starts == 1


def test_one_that_ends_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    kubelet = Kubelet(failures=10**9)
    monkeypatch.setattr(runtime, "_start_kubelet", kubelet.start)
    monkeypatch.setattr(runtime, "READY_SECONDS", 0.05)
    with pytest.raises(ClusterError, match="ended at once"):
        runtime._healthy_kubelet(LAYOUT, TOOLS)
