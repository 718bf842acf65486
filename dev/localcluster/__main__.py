"""``python -m localcluster``: a Kubernetes API for trying things by hand."""

import shutil
from pathlib import Path

import click

from localcluster import ClusterError, ControlPlane, build_tools
from localcluster.build import cache_root


def _directory() -> Path:
    return cache_root().parent / "local"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A real Kubernetes API on loopback: etcd, kube-apiserver and kube-controller-manager, built from source.

    `up` starts it and leaves it running, `env` prints what to set, `down` ends it.
    """


@main.command()
def build() -> None:
    """Build the tools that are not in the cache yet (`up` does it, too)."""
    click.echo(f"tools: {build_tools(click.echo).directory}")


@main.command()
def up() -> None:
    """Start a control plane and leave it running."""
    tools, directory = build_tools(click.echo), _directory()
    if directory.exists():
        if ControlPlane.attach(directory).pids():
            raise ClusterError("it runs already; `python -m localcluster env` tells how to use it")
        shutil.rmtree(directory)
    plane = ControlPlane.detached(directory, tools)
    click.echo(
        f"{plane.url} is ready; to use it:\n  export KUBECONFIG={plane.kubeconfig} PATH={tools.directory}:$PATH"
    )


@main.command()
def env() -> None:
    """Print shell code that sets KUBECONFIG and PATH."""
    plane = ControlPlane.attach(_directory())
    click.echo(f"export KUBECONFIG={plane.kubeconfig} PATH={build_tools(click.echo).directory}:$PATH")


@main.command()
def status() -> None:
    """Show what runs."""
    for name, pid in ControlPlane.attach(_directory()).pids().items():
        click.echo(f"{name:<26}pid {pid}")


@main.command()
def down() -> None:
    """End it and remove its data."""
    ControlPlane.attach(_directory()).close()
    click.echo("stopped")


if __name__ == "__main__":
    try:
        main()
    except ClusterError as error:
        raise SystemExit(f"localcluster: {error}") from None
