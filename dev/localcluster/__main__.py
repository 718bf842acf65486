"""``python -m localcluster``: a Kubernetes API for trying things by hand."""

import contextlib
import shutil
from pathlib import Path

import click

from localcluster import ClusterError, ControlPlane, build_tools
from localcluster.cache import cache_root
from localcluster.control_plane import COMPONENTS
from localcluster.node import Node, machine
from localcluster.node.cli import node
from localcluster.projects import build_chart_tools, build_node_tools, build_oldest_tools


def _directory() -> Path:
    return cache_root().parent / "local"


def _running() -> bool:
    with contextlib.suppress(ClusterError):
        return bool(ControlPlane.attach(_directory()).pids())
    return False


def _remove() -> None:
    """End what runs, and remove what is left, of one that did not come up as well."""
    with contextlib.suppress(ClusterError):
        ControlPlane.attach(_directory()).close()
    shutil.rmtree(_directory(), ignore_errors=True)


def _shell(plane: ControlPlane) -> str:
    return f"export KUBECONFIG={plane.kubeconfig} PATH={plane.tools.directory}:$PATH"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A real Kubernetes API on loopback: etcd, kube-apiserver and kube-controller-manager, built from source.

    `up` starts it and leaves it running, `env` prints what to set, `down` ends it. `node` is the same with a node,
    on which pods run.
    """


@main.command()
@click.option("--oldest", is_flag=True, help="Also those of the oldest Kubernetes that is supported.")
def build(*, oldest: bool) -> None:
    """Build the tools that are not in the cache yet (`up` does it, too)."""
    click.echo(f"tools: {build_tools(click.echo).directory}")
    if oldest:
        click.echo(f"tools of the oldest Kubernetes: {build_oldest_tools(click.echo).directory}")


@main.command()
def everything() -> None:
    """Build what all the tests need: the oldest Kubernetes and the chart's tools as well, and a node's where this
    machine can be one.
    """
    build_tools(click.echo)
    click.echo(f"tools of the oldest Kubernetes: {build_oldest_tools(click.echo).directory}")
    click.echo(f"tools for the chart: {build_chart_tools(click.echo).directory}")
    obstacle = Node.obstacle()
    if obstacle is not None:
        click.echo(f"no tools for a node, and no tests in pods: {obstacle}")
        return
    machine.prepare(click.echo)
    click.echo(f"tools for a node: {build_node_tools(click.echo).directory}")


@main.command()
def up() -> None:
    """Start a control plane and leave it running."""
    tools, directory = build_tools(click.echo), _directory()
    if _running():
        raise ClusterError("it runs already; `python -m localcluster env` tells how to use it")
    _remove()
    click.echo("starting etcd, kube-apiserver and kube-controller-manager")
    plane = ControlPlane.detached(directory, tools)
    click.echo(f"{plane.url} is ready; to use it:\n  {_shell(plane)}")


@main.command()
def env() -> None:
    """Print shell code that sets KUBECONFIG and PATH."""
    plane = ControlPlane.attach(_directory())
    if not plane.pids():
        raise ClusterError("it does not run any more: `python -m localcluster up` starts it")
    click.echo(_shell(plane))


@main.command()
def status() -> None:
    """Show what runs; exit code 1 unless everything does."""
    plane = ControlPlane.attach(_directory())
    pids = plane.pids()
    for name in COMPONENTS:
        click.echo(f"{name:<26}" + (f"pid {pids[name]}" if name in pids else "stopped"))
    click.echo(f"{plane.url}  {plane.directory}")
    if len(pids) < len(COMPONENTS):
        raise SystemExit(1)


@main.command()
def down() -> None:
    """End it and remove its data."""
    if not _directory().exists():
        raise ClusterError("there is no control plane to end")
    _remove()
    click.echo("stopped")


main.add_command(node)

if __name__ == "__main__":
    try:
        main()
    except ClusterError as error:
        raise SystemExit(f"localcluster: {error}") from None
