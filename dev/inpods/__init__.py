"""The chart in real pods of the local node: images of a checkout, a release of them, the way through the ingress.

``python -m inpods up`` does it by hand; the tests build on the same.
"""

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import httpx
import yaml

from localcluster.errors import ClusterError
from localcluster.node import Node
from localcluster.pki import SERVER, Authority

ROOT: Final = Path(__file__).resolve().parents[2]
HOST: Final = "scim.test"
"""The node's DNS answers names below ``.test`` with the ingress, for pods as well."""
GATEWAY_HOST: Final = "gateway.test"
KINDS: Final = ("scimtokens.scim-operator.io", "scimwebhooks.scim-operator.io")
CERTIFICATE: Final = "scim-tls"
AUTHORITY: Final = "scim-authority"
INGRESS: Final = ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}},)
"""Where the node's Ingress controller and Gateway run, as peers of a NetworkPolicy."""


def build_images(node: Node, tree: Path, tag: str) -> None:
    """Both images of a checkout, into the node."""
    for target in ("operator", "api"):
        node.build_image(tree, f"localhost/scim-{target}:{tag}", target=target, build_args={"VERSION": tag})


def load_release(node: Node, dist: Path, tag: str) -> Path:
    """The images of what `make release` made, into the node, by their digests and by a tag; its chart.

    Raises:
        ClusterError: there is no such release, or containerd does not take its images.
    """
    charts = sorted(dist.glob("scim-operator-*.tgz"))
    layouts = sorted(dist.glob("images/*.oci"))
    if len(charts) != 1 or not layouts:
        raise ClusterError(f"{dist} has no chart with images: `make release VERSION=...` makes them")
    for layout in layouts:
        node.load_image(layout, f"localhost/{layout.name.removesuffix('.oci')}", tag)
    return charts[0]


class ThroughIngress(httpx.HTTPTransport):
    """Sends what is meant for a host to the node's ingress, with that host's name in TLS and HTTP."""

    def __init__(self, authority: Path) -> None:
        super().__init__(verify=ssl.create_default_context(cafile=str(authority)), retries=0)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host="127.0.0.1")
        return super().handle_request(request)


class Release:
    """A release of the chart in a namespace of its own.

    Args:
        node: the running cluster.
        namespace: made here, with Pod Security "restricted" enforced.
        directory: private; the certificate authority and values files.
        values: for every install and upgrade.
        helm: the program that installs it, ``helm`` or ``helm3``.

    Attributes:
        charts: packed ones, with the digests of their images in them, by the tag that is installed; for any other tag the
            chart is the checkout's.
    """

    charts: Mapping[str, Path] = MappingProxyType({})

    def __init__(
        self, node: Node, namespace: str, directory: Path, values: Mapping[str, Any], helm: str = "helm"
    ) -> None:
        self.node, self.namespace, self.name, self._helm = node, namespace, "scim", helm
        self.directory = directory
        self.values: dict[str, Any] = {
            "host": HOST,
            "image": {"registry": "localhost", "pullPolicy": "Never"},
            "ingress": {"tls": {"secretName": CERTIFICATE}},
            "trustedCa": {"configMap": AUTHORITY},
            "networkPolicy": {"ingressFrom": [*INGRESS]},
            **values,
        }
        self.authority = directory / "authority.crt"

    def prepare(self) -> None:
        """Namespace, certificate, and the authority that operator and tests trust; harmless twice."""
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": self.namespace,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }
        self.node.kubectl("apply", "-f", "-", input=json.dumps(namespace))
        self._adopt_kinds()
        there = self.kubectl("get", "secret", CERTIFICATE, "--ignore-not-found", "-o", "name")
        if there and self.authority.exists():
            return
        self.kubectl("delete", "secret", CERTIFICATE, "--ignore-not-found")
        self.kubectl("delete", "configmap", AUTHORITY, "--ignore-not-found")
        authority = Authority.create(self.directory, "authority", key_identifiers=True)
        authority.issue("server", HOST, SERVER, names=(HOST, GATEWAY_HOST))
        self.kubectl(
            "create", "secret", "tls", CERTIFICATE,
            f"--cert={self.directory}/server.crt", f"--key={self.directory}/server.key",
        )  # fmt: skip
        self.kubectl("create", "configmap", AUTHORITY, f"--from-file=ca.crt={self.authority}")

    def _adopt_kinds(self) -> None:
        """Take the kinds over from a release of before, to which they belong in Helm's eyes."""
        for kind in KINDS:
            if self.node.kubectl("get", "crd", kind, "--ignore-not-found", "-o", "name").stdout:
                self.node.kubectl(
                    "annotate", "crd", kind, f"meta.helm.sh/release-name={self.name}",
                    f"meta.helm.sh/release-namespace={self.namespace}", "--overwrite",
                )  # fmt: skip

    # -- the release
    def install(self, tree: Path, tag: str, **values: Any) -> str:
        """``helm upgrade --install --wait`` of a checkout's chart, or of a packed one, with its images; what helm printed."""
        path = self.values_file(tag, **values)
        chart = self.charts.get(tag, tree / "charts" / "scim-operator")
        try:
            return self.helm(
                "upgrade", "--install", self.name, str(chart),
                "--values", str(path), "--wait", "--timeout", "150s", timeout=200,
            )  # fmt: skip
        except ClusterError as error:
            raise ClusterError(f"{error}\n{self.story()}") from None

    def remove(self) -> None:
        """Uninstall it, and remove what an uninstallation leaves in its namespace. The kinds stay."""
        if self.helm("list", "--short", "--filter", f"^{self.name}$").strip():
            self.helm("uninstall", self.name, "--wait", "--timeout", "120s", timeout=150)
        self.node.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=120s")

    def values_file(self, tag: str, **values: Any) -> Path:
        """The release's values with images of this tag; ``values`` win."""
        merged = {**self.values, **values}
        merged["image"] = {**self.values["image"], "tag": tag}
        path = self.directory / "values.yaml"
        path.write_text(yaml.safe_dump(merged), encoding="utf-8")
        return path

    def helm(self, *arguments: str, timeout: float = 120) -> str:
        """helm, in the release's namespace."""
        done = self.node.helm("--namespace", self.namespace, *arguments, timeout=timeout, program=self._helm)
        return done.stdout

    def kubectl(self, *arguments: str, **how: Any) -> str:
        """kubectl, in the release's namespace."""
        return self.node.kubectl("--namespace", self.namespace, *arguments, **how).stdout

    def get(self, *what: str) -> Any:
        """``kubectl get … -o json``, read."""
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def story(self) -> str:
        """What a person would look at first when it does not come up."""
        parts = [
            self.kubectl("get", "pods", "-o", "wide", check=False),
            self.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False)[-3000:],
        ]
        for component in ("operator", "api"):
            parts.append(
                self.kubectl(
                    "logs", "--all-containers", "--tail=30", "--prefix",
                    "-l", f"app.kubernetes.io/component={component}", check=False,
                )
            )  # fmt: skip
        return "\n".join(parts)
