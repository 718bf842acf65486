"""The chart as helm renders it, for tests that look at what comes out."""

import dataclasses
import functools
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from localcluster import ControlPlane

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/scim-operator"
RELEASE, NAMESPACE = "scim-operator", "scim-system"
VALUES_FILES = sorted((CHART / "ci").glob("*.yaml")) + sorted((ROOT / "examples").glob("values-*.yaml"))
EVERYTHING = CHART / "ci/everything-values.yaml"
NAMESPACED = CHART / "ci/namespaced-values.yaml"
CONTROLLER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
HOST: dict[str, Any] = {"host": "scim.example.com", "networkPolicy": {"ingressFrom": [CONTROLLER]}}

Object = dict[str, Any]
Values = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Rendered:
    """The objects of one rendering."""

    objects: list[Object]

    def of_kind(self, kind: str) -> list[Object]:
        return [item for item in self.objects if item["kind"] == kind]

    def one(self, kind: str, name: str, namespace: str | None = None) -> Object:
        found = [
            item
            for item in self.of_kind(kind)
            if item["metadata"]["name"] == name and namespace in (None, item["metadata"].get("namespace"))
        ]
        assert len(found) == 1, f"{len(found)} of {kind} {name}"
        return found[0]

    def has(self, kind: str, name: str) -> bool:
        return any(item["metadata"]["name"] == name for item in self.of_kind(kind))

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Kind and name of what makes pods, and their spec."""
        for item in self.objects:
            if item["kind"] in ("Deployment", "Job"):
                yield f"{item['kind']}/{item['metadata']['name']}", item["spec"]["template"]["spec"]

    def containers(self) -> Iterator[tuple[str, Object]]:
        for owner, pod in self.pods():
            for container in (*pod.get("initContainers", ()), *pod["containers"]):
                yield f"{owner}/{container['name']}", container


@dataclasses.dataclass(frozen=True)
class Helm:
    """The real helm, with a home of its own."""

    binary: str
    home: Path

    def run(
        self, *arguments: str, check: bool = True, kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
            "KUBECONFIG": str(kubeconfig or self.home / "none"),
        }
        done = subprocess.run(
            [self.binary, *arguments], capture_output=True, text=True, timeout=120, env=environment
        )
        assert not check or done.returncode == 0, f"helm {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def text(self, *values: Values | Path, release: str = RELEASE) -> str:
        return self._template(release, *self.options(values))

    @functools.cache  # noqa: B019 (one Helm for the session)
    def _template(self, release: str, *options: str) -> str:
        return self.run("template", release, str(CHART), "-n", NAMESPACE, *options).stdout

    def render(self, *values: Values | Path, release: str = RELEASE) -> Rendered:
        documents = yaml.load_all(self.text(*values, release=release), Loader=yaml.CSafeLoader)
        return Rendered([document for document in documents if document is not None])

    def refusal(self, values: Values) -> str:
        """What helm says when it refuses; fails the test when it does not."""
        done = self.run("template", RELEASE, str(CHART), *self.options([values]), check=False)
        assert done.returncode != 0, f"accepted: {values}"
        return done.stderr

    def notes(self, *values: Values | Path) -> str:
        """What a person reads after the installation."""
        arguments = ("install", RELEASE, str(CHART), "-n", NAMESPACE, "--dry-run=client")
        return self.run(*arguments, *self.options(values)).stdout.split("\nNOTES:\n")[1]

    def options(self, values: Sequence[Values | Path]) -> list[str]:
        """Each as an option: a file, or values given with the test."""
        return [
            argument
            for item in values
            for argument in (
                ("-f", str(item)) if isinstance(item, Path) else ("--set-json", json.dumps(dict(item)))
            )
        ]


def accepted_by_the_api_server(plane: ControlPlane, objects: str) -> None:
    """See that a dry run takes rendered objects, with strict validation and without a warning."""
    done = plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-",
        input=objects, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
