"""A local Kubernetes from Go modules: for the demo, the tests and the benchmarks alike.

``build`` makes the tools, ``pki`` the certificates, ``daemon`` starts and ends processes, and
``control_plane`` puts them together. ``python -m localcluster --help`` is the same by hand.
"""

from localcluster.build import Tools, build_tools
from localcluster.control_plane import ControlPlane
from localcluster.errors import ClusterError

__all__ = ["ClusterError", "ControlPlane", "Tools", "build_tools"]
