"""An OCI registry on loopback that programs, and a node, ask by the name that a release gives it."""

import contextlib
import dataclasses
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from demo.processes import Process
from localcluster.node.layout import NODE_IP
from localcluster.ports import free_port
from support.tunnel_proxy import TunnelProxy, tunnel_proxy


@dataclasses.dataclass(frozen=True)
class Registry:
    """One that runs, in memory and empty at first. It takes every password.

    Attributes:
        host: its name, as those of images begin.
        url: where it listens on loopback, without TLS.
        environment: for a program that asks it by its name: the way there, and the authority of its certificate.
    """

    host: str
    url: str
    environment: Mapping[str, str]
    _process: Process
    _proxy: TunnelProxy

    @property
    def asked(self) -> set[str]:
        """The hosts that programs with ``environment`` wanted to reach."""
        return set(self._proxy.asked)

    @property
    def fetched(self) -> set[str]:
        """The digests of the blobs that somebody got from it."""
        return set(
            re.findall(
                r"GET /v2/\S+/blobs/(sha256:[0-9a-f]{64})(?:\?\S*)?$", self._process.log_text(), re.MULTILINE
            )
        )


@contextlib.contextmanager
def running_registry(program: Path, host: str, directory: Path) -> Iterator[Registry]:
    """One that runs until the end of the block.

    Args:
        program: the registry.
        host: the name by which it is asked.
        directory: for its log and its certificate.
    """
    port, log = free_port(), directory / "registry.log"
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        popen = subprocess.Popen([program, f"-port={port}"], stdout=output, stderr=subprocess.STDOUT)
    process = Process("the registry", popen, log, f"{url}/v2/")
    try:
        process.wait_ready()
        with tunnel_proxy(("127.0.0.1", port), (host.partition(":")[0],), directory) as proxy:
            environment = {
                "HTTPS_PROXY": proxy.url,
                "NO_PROXY": NODE_IP,  # A node's API server.
                "SSL_CERT_FILE": str(proxy.authority),
            }
            yield Registry(host, url, environment, process, proxy)
    finally:
        process.stop()
