"""What a watch's thread does before it reaches a server."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from scim_operator.controller.watch import login
from support.handshake import is_strict, make_defaults_strict, plain_authority, shake_hands

_LOG_IN: Final = """
import sys, threading
from kubernetes.config import kube_config
from scim_operator.controller.watch import login

sys.setswitchinterval(1e-6)
make = kube_config.tempfile.mkstemp
begin = threading.Barrier(8)

def mkstemp(**arguments):
    made = make(**arguments)
    threading.Event().wait(0.02)  # as long as a slow disk takes
    return made

kube_config.tempfile.mkstemp = mkstemp

def run():
    begin.wait()
    login()

threads = [threading.Thread(target=run) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_log_in_at_the_same_moment_leave_no_file_behind(tmp_path: Path) -> None:
    data = base64.b64encode(b"content").decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [
            {"name": "c", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority-data": data}}
        ],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    kubeconfig, temporary = tmp_path / "kubeconfig", tmp_path / "tmp"
    kubeconfig.write_text(json.dumps(config))
    temporary.mkdir()
    environment = {"KUBECONFIG": str(kubeconfig), "TMPDIR": str(temporary), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", _LOG_IN], env=environment, check=True, timeout=60)
    assert list(temporary.iterdir()) == []


def test_the_watch_asks_kubernetes_for_no_better_certificate_than_kubectl_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_defaults_strict(monkeypatch)
    authority = plain_authority(tmp_path)
    cluster = {"server": "https://scim.test", "certificate-authority": str(authority)}
    config = {
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": {"token": "t"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    (tmp_path / "config").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    context = login().as_ssl_context()
    assert not is_strict(context)
    shake_hands(context, tmp_path)
