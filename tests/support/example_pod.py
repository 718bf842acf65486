"""An application of ``examples/consumers`` beside a release in real pods."""

import time
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import standardwebhooks
import yaml

from demo.console import until
from inpods import AUTHORITY
from support.pods import ROOT, SECONDS, Pods

EXAMPLE: Final = ROOT / "examples" / "consumers"
_NAMES: Final = {"feed": "feed", "webhook": "people"}
"""Of the objects in each manifest."""
_POLL_SECONDS: Final = 0.02
_SIGN_OUT_SECONDS: Final = 20.0
"""After which nobody waits any longer."""


class ExamplePod:
    """An example application, in the release's namespace.

    Args:
        pods: the release; it has a ScimToken ``entra`` with read and write access.
        image: of the API, in the node.
        program: ``feed`` or ``webhook``.

    Attributes:
        warnings: what the API server said to the manifest, beside taking it.
    """

    def __init__(self, pods: Pods, image: str, program: Literal["feed", "webhook"] = "feed") -> None:
        self._pods, self._image, self._program = pods, image, program
        self._name = _NAMES[program]
        self._http = httpx.Client(trust_env=False, timeout=5)
        self._url: str | None = None
        self.warnings = ""

    def apply(self) -> None:
        """What the manifest's first lines say, with the image and the certificate authority of the node."""
        self._pods.kubectl("create", "configmap", self._name, f"--from-file={EXAMPLE}/{self._program}.py")
        manifest = (EXAMPLE / f"{self._program}.yaml").read_text(encoding="utf-8")
        documents = list(
            yaml.safe_load_all(manifest.replace(".identity.svc", f".{self._pods.namespace}.svc"))
        )
        for document in documents:
            if document["kind"] == "Deployment":
                self._adapt(document["spec"]["template"]["spec"])
        done = self._pods.node.kubectl(
            "--namespace", self._pods.namespace, "apply", "-f", "-", input=yaml.safe_dump_all(documents)
        )
        self.warnings = done.stderr

    def remove(self) -> None:
        """End its pod, so that it does not follow what comes next; the ScimToken stays."""
        self._pods.kubectl("delete", "deployment", self._name, "--wait=false")
        self._http.close()

    def _adapt(self, pod: dict[str, Any]) -> None:
        (container,) = pod["containers"]
        container.update(image=self._image, imagePullPolicy="Never")
        container["env"].append({"name": "SSL_CERT_FILE", "value": "/authority/ca.crt"})
        container["volumeMounts"].append({"name": "authority", "mountPath": "/authority"})
        pod["volumes"].append({"name": "authority", "configMap": {"name": AUTHORITY}})
        if self._program == "webhook":
            self._add_library(pod)

    def _add_library(self, pod: dict[str, Any]) -> None:
        """The image of the API lacks what verifies messages."""
        self._pods.kubectl(
            "create", "configmap", "library", f"--from-file={Path(standardwebhooks.__file__).parent}"
        )
        (container,) = pod["containers"]
        container["env"].append({"name": "PYTHONPATH", "value": "/library"})
        container["volumeMounts"].append({"name": "library", "mountPath": "/library/standardwebhooks"})
        pod["volumes"].append({"name": "library", "configMap": {"name": "library"}})

    # -- the application
    def session(self, user_name: str) -> int:
        """The status of a person's session, by the Service; 503 when nobody answers there."""
        if self._url is None:
            address = self._pods.get("service", self._name)["spec"]["clusterIP"]
            self._url = f"http://{address}/session/"
        try:
            return self._http.get(self._url + user_name).status_code
        except httpx.TransportError:
            return 503

    def until_signed_in(self, user_name: str) -> None:
        """Wait until the application knows a person."""
        try:
            until(f"{user_name} is signed in", lambda: self.session(user_name) == 200, SECONDS)
        except Exception as error:
            pods = self._pods.kubectl(
                "describe", "pods", "-l", f"app.kubernetes.io/name={self._name}", check=False
            )
            raise AssertionError(f"{error}\n{pods[-3000:]}\n{self.log()}") from None

    def seconds_to_sign_out(self, scim: httpx.Client, person: str, user_name: str) -> float:
        """Disable a person as Entra does; seconds from the answer until the application has signed them out."""
        operation = {"op": "Replace", "path": "active", "value": "False"}
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
        answer = scim.patch(f"/Users/{person}", json=body)
        assert answer.status_code in (200, 204), answer.text
        began = time.monotonic()
        while self.session(user_name) != 401:
            assert time.monotonic() < began + _SIGN_OUT_SECONDS, self.log()
            time.sleep(_POLL_SECONDS)
        return time.monotonic() - began

    @staticmethod
    def provision(scim: httpx.Client, user_name: str) -> str:
        """Create a person over SCIM; their id."""
        body = {"userName": user_name, "emails": [{"type": "work", "value": f"{user_name}@feed.example"}]}
        answer = scim.post("/Users", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    # -- its pod
    def log(self) -> str:
        """All it wrote: a failed request is a line."""
        return self._pods.kubectl("logs", f"deployment/{self._name}", check=False)

    def wait_mounted(self, token: str) -> None:
        """Wait until the pod's file holds this token. A change of the pod has the kubelet look now, not in a minute."""
        name = self._pods.get("pods", "-l", f"app.kubernetes.io/name={self._name}")["items"][0]["metadata"][
            "name"
        ]

        def is_mounted() -> bool:
            self._pods.kubectl("annotate", "pod", name, f"looked-at={time.time()}", "--overwrite")
            return self._pods.kubectl("exec", name, "--", "cat", "/scim/token").strip() == token

        until("the file holds the new token", is_mounted, SECONDS)
