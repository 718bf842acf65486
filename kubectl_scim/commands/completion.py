"""``completion``: what a shell has to source so that Tab completes."""

import shutil

import click

_LINES = {
    "bash": "source <(kubectl completion bash)",
    "zsh": "source <(kubectl completion zsh)",
    "fish": "kubectl completion fish | source",
}
PROGRAM = "kubectl_complete-scim"


@click.command()
@click.argument("shell", type=click.Choice(list(_LINES)))
def completion(shell: str) -> None:
    """Print the shell completion script.

    It completes subcommands, names of ScimTokens, ids of credentials and flags.

    \b
    bash:  source <(kubectl scim completion bash)
    zsh:   source <(kubectl scim completion zsh)
    fish:  kubectl scim completion fish | source
    """  # noqa: D301 (click reads the backspace)
    if shutil.which(PROGRAM) is None:
        click.echo(f"{PROGRAM} is not on PATH: nothing after kubectl scim is completed until it is", err=True)
    click.echo(
        f"# kubectl completes its plugins itself (1.26 and newer), and asks {PROGRAM}.\n{_LINES[shell]}"
    )
