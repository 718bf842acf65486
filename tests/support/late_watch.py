"""A way to Kubernetes on which watches are opened late, so that something can happen before."""

import contextlib
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from support.stack import Stack, until

SECONDS = 1.5
"""How late."""


@contextlib.contextmanager
def late_watches(stack: Stack, directory: Path) -> Iterator[Path]:
    """A kubeconfig with an administrator's rights for the time of the block."""
    kubectl = stack.control_plane.tools.path("kubectl")
    proxied = _proxy(kubectl, stack.control_plane.kubeconfig)
    with proxied as port, socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, port), daemon=True).start()
        kubeconfig = directory / "late.kubeconfig"
        server = f"http://127.0.0.1:{listening.getsockname()[1]}"
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "late",
            "clusters": [{"name": "late", "cluster": {"server": server}}],
            "contexts": [{"name": "late", "context": {"cluster": "late", "user": ""}}],
        }  # fmt: skip
        kubeconfig.write_text(json.dumps(config), encoding="utf-8")
        yield kubeconfig


@contextlib.contextmanager
def _proxy(kubectl: str, kubeconfig: Path) -> Iterator[int]:
    command = [kubectl, "--kubeconfig", str(kubeconfig), "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = process.stdout
            assert said is not None
            found = until(
                "kubectl proxy says its port", lambda: re.search(r":(\d+)$", said.readline().strip())
            )
            yield int(found[1])
        finally:
            process.kill()


def _accept(listening: socket.socket, port: int) -> None:
    with contextlib.suppress(OSError):  # closed in the end
        while True:
            near, _ = listening.accept()
            far = socket.create_connection(("127.0.0.1", port))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if b"watch=true" in data.partition(b"\r\n")[0]:
                time.sleep(SECONDS)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
