"""What is built from Go modules for a release: kubectl for each architecture, and Syft and Helm for this machine."""

import dataclasses
from pathlib import Path

from localcluster.build import build_project
from localcluster.cache import Say
from localcluster.projects import HELM, KUBECTL, SYFT


def kubectl(architecture: str, say: Say) -> Path:
    """The kubectl for ``amd64`` or ``arm64``, of the Kubernetes that the tests run. Raises ``ClusterError``."""
    return build_project(dataclasses.replace(KUBECTL, architecture=architecture), say) / "kubectl"


def syft(say: Say) -> Path:
    """What finds the parts of an image. Raises ``ClusterError``."""
    return build_project(SYFT, say) / "syft"


def helm(say: Say) -> Path:
    """What the packed chart is tried with. Raises ``ClusterError``."""
    return build_project(HELM, say) / "helm"
