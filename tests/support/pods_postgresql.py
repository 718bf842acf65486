"""A PostgreSQL beside the node that pods reach, and the release's way to it."""

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from inpods import INGRESS
from localcluster.node.layout import NODE_IP
from localcluster.ports import free_port
from support.pods import Pods
from support.postgres import PostgresServer, execute, own_server

_SECRET: Final = "scim-database"


@dataclasses.dataclass(frozen=True)
class PodsDatabase:
    """An empty database with its owner, at an address that pods reach."""

    server: PostgresServer
    port: int
    url: str = dataclasses.field(repr=False)

    def values(self, **network_policy: Any) -> dict[str, Any]:
        """Of a release with two replicas of the API on it; ``network_policy`` has more of that."""
        return {
            "api": {
                "replicas": 2,
                "database": {"type": "postgresql", "existingSecret": {"name": _SECRET, "key": "url"}},
            },
            "networkPolicy": {
                "ingressFrom": [*INGRESS],
                "databasePort": self.port,
                "database": [{"ipBlock": {"cidr": f"{NODE_IP}/32"}}],
                **network_policy,
            },
        }

    def give(self, release: Pods) -> None:
        """Prepare a release's namespace, with the Secret that its values name."""
        release.prepare()
        url = release.directory / "url"
        url.write_text(self.url)
        release.kubectl("create", "secret", "generic", _SECRET, f"--from-file=url={url}")
        url.unlink()


@contextlib.contextmanager
def database_for_pods(
    settings: Mapping[str, str] = MappingProxyType({}), *, on_disk: bool = False
) -> Iterator[PodsDatabase]:
    """One of its own server, which ends with the block; ``settings`` and ``on_disk`` are ``own_server``'s."""
    port, password = free_port(), secrets.token_hex(16)
    with own_server((NODE_IP, port), settings, on_disk=on_disk) as server:
        role = f"CREATE ROLE scim LOGIN PASSWORD '{password}'"
        asyncio.run(execute(server.url, role, "CREATE DATABASE scim OWNER scim"))
        yield PodsDatabase(server, port, f"postgresql://scim:{password}@{NODE_IP}:{port}/scim")
