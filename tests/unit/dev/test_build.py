"""What names a build, and what it is told about its version."""

import pytest

from localcluster.build import MODULE, cache_key, kubernetes_version
from localcluster.errors import ClusterError


def test_any_change_of_what_is_built_gives_another_place_in_the_cache() -> None:
    keys = {
        cache_key(b"mod", b"sum", "go1.26"),
        cache_key(b"mod2", b"sum", "go1.26"),
        cache_key(b"mod", b"sum2", "go1.26"),
        cache_key(b"mod", b"sum", "go1.27"),
        cache_key(b"modsum", b"", "go1.26"),
    }
    assert len(keys) == 5
    assert cache_key(b"mod", b"sum", "go1.26") in keys


def test_the_version_comes_from_go_mod() -> None:
    assert kubernetes_version("require (\n\tk8s.io/api v0.1.0\n\tk8s.io/kubernetes v1.2.3\n)") == "v1.2.3"
    assert kubernetes_version((MODULE / "go.mod").read_text()).startswith("v1.37.")


def test_a_go_mod_without_kubernetes_is_told() -> None:
    with pytest.raises(ClusterError, match="does not require"):
        kubernetes_version("module x")
