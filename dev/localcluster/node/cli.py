"""``python -m localcluster node``: the node by hand."""

from pathlib import Path

import click

from localcluster.node import Node, remove
from localcluster.node.machine import prepare
from localcluster.projects import build_node_tools


@click.group()
def node() -> None:
    """A real single-node Kubernetes: pods, volumes, Ingress, images from a Dockerfile. Needs root."""


@node.command()
def packages() -> None:
    """Print the Debian packages that are needed (`up` installs them)."""
    click.echo(" ".join(Node.packages()))


@node.command()
def build() -> None:
    """Build the tools that are not in the cache yet (`up` does it, too)."""
    prepare(click.echo)
    click.echo(f"tools: {build_node_tools(click.echo).directory}")


@node.command()
def up() -> None:
    """Start whatever does not run, and leave it running."""
    found = Node.up(click.echo)
    click.echo(f"the node is ready; to use it:\n  {_shell(found)}")


@node.command()
def down() -> None:
    """End it and remove all of it; tools, images and logs stay."""
    remove(click.echo)
    click.echo("removed")


@node.command()
def status() -> None:
    """Show components, memory and pods; exit code 1 unless everything runs."""
    found = Node.attach(click.echo)
    components = found.components()
    for name, state in components.items():
        click.echo(f"{name:<26}" + (f"pid {state[0]:<8}{state[1] >> 20:6} MiB" if state else "stopped"))
    if None in components.values():
        raise SystemExit(1)
    click.echo(found.kubectl("get", "pods", "--all-namespaces").stdout, nl=False)


@node.command()
def env() -> None:
    """Print shell code that sets KUBECONFIG and PATH."""
    click.echo(_shell(Node.attach(click.echo)))


@node.command()
@click.argument("context", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("tag")
@click.option("--target", help="Stage of the Dockerfile; by default the last.")
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Another Dockerfile."
)
@click.option("--build-arg", multiple=True, metavar="NAME=VALUE", help="BASE_IMAGE is ours unless given.")
def image(context: Path, tag: str, target: str | None, file: Path | None, build_arg: tuple[str, ...]) -> None:
    """Build the Dockerfile in CONTEXT into an image that pods can run as TAG."""
    given = dict(pair.partition("=")[::2] for pair in build_arg)
    archive = Node.attach(click.echo).build_image(context, tag, target=target, build_args=given, file=file)
    click.echo(f"{tag}: {archive.stat().st_size >> 20} MiB, {archive}")


def _shell(found: Node) -> str:
    return f"export KUBECONFIG={found.kubeconfig} PATH={found.tools}:$PATH"
