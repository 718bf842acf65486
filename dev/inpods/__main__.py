"""``python -m inpods up``: from a checkout to the chart running in real pods, with one ScimToken."""

import base64
import json
import shutil
from pathlib import Path

import click

from inpods import HOST, ROOT, Release, build_images
from localcluster.cache import cache_root
from localcluster.errors import ClusterError
from localcluster.node import Node

NAMESPACE = "scim-system"
TAG = "checkout"


def _directory() -> Path:
    """The certificate authority, for requests by hand."""
    return cache_root().parent / "inpods"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The chart in real pods, on this machine alone, without a container engine. Needs root."""


@main.command()
def up() -> None:
    """Start the node, build the images, install the chart, apply a ScimToken. Safe to run twice."""
    node = Node.up(click.echo)
    click.echo("building the images of operator and API")
    build_images(node, ROOT, TAG)
    directory = _directory()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    release = Release(node, NAMESPACE, directory, {"endpointCheck": True})
    release.prepare()
    click.echo("helm upgrade --install")
    release.install(ROOT, TAG)
    # What runs already was started from images of the same name.
    release.kubectl("rollout", "restart", "deployment")
    for name in release.kubectl("get", "deployment", "-o", "name").split():
        release.kubectl("rollout", "status", name, "--timeout=120s")
    node.kubectl("apply", "-f", str(ROOT / "examples" / "scimtoken.yaml"))
    node.kubectl("wait", "-n", "default", "--for=condition=Ready", "sct/entra", "--timeout=90s")
    secret = node.kubectl("get", "secret", "entra-scim-token", "-n", "default", "-o", "json").stdout
    entries = json.loads(secret)["data"]
    endpoint = base64.b64decode(entries["endpoint"]).decode()
    click.echo(
        f"""
{endpoint} is served by pods, through the ingress on 127.0.0.1:443. To look around:

  export KUBECONFIG={node.kubeconfig} PATH={node.tools}:$PATH
  kubectl get sct; kubectl get pods -n {NAMESPACE}
  helm test {release.name} -n {NAMESPACE}
  TOKEN=$(kubectl get secret entra-scim-token -o jsonpath='{{.data.token}}' | base64 -d)
  curl --resolve {HOST}:443:127.0.0.1 --cacert {release.authority} -H "Authorization: Bearer $TOKEN" {endpoint}/Users

make e2e-down ends it."""
    )


@main.command()
def down() -> None:
    """End the node and remove all that was in it; tools and images stay in the cache."""
    Node.attach().down()
    shutil.rmtree(_directory(), ignore_errors=True)
    click.echo("stopped")


if __name__ == "__main__":
    try:
        main()
    except ClusterError as error:
        raise SystemExit(f"inpods: {error}") from None
