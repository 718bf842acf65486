"""A local Kubernetes from Go modules: for the demo, the tests and the benchmarks alike.

``cache`` keeps the tools, ``build`` makes them, ``envtest`` downloads the least of them (``essentials``), ``pki`` makes the
certificates, ``daemon`` starts and ends processes, and ``control_plane`` puts them together; ``kind`` has a cluster in a
container instead. ``python -m localcluster --help`` is the same by hand.
"""

from localcluster.build import build_tools
from localcluster.cache import Tools
from localcluster.control_plane import ControlPlane
from localcluster.errors import ClusterError

__all__ = ["ClusterError", "ControlPlane", "Tools", "build_tools"]
