"""What all commands share: kubectl's own flags, errors as messages, and how results are printed."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from kubectl_scim.kubectl import Kubectl, KubectlError

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])
_WIDTH: Final = 200
"""Columns where there is no terminal."""
_FLAGS: Final = (
    ("--kubeconfig", "FILE", "As kubectl has it."),
    ("--context", "NAME", "Of the kubeconfig."),
    ("--as", "USER", "Impersonate somebody."),
    ("--as-group", "GROUP", "With --as: of this group; may be repeated."),
)


def kubernetes_options(command: F) -> F:
    """Kubectl's own flags; kubectl takes none before a plugin's name."""
    for flag, metavar, text in reversed(_FLAGS):
        command = click.option(
            flag, _parameter(flag), metavar=metavar, help=text, multiple=flag == "--as-group"
        )(command)
    return click.option("-n", "--namespace", metavar="NAME", help="Default: the context's.")(command)


def installation_option(command: F) -> F:
    """Where the SCIM API is, for who may not look for it."""
    return click.option(
        "--installation-namespace", "installation", metavar="NAME", envvar="KUBECTL_SCIM_INSTALLATION_NAMESPACE",
        show_envvar=True, help="Where the chart is installed. Default: what the cluster says, or scim-system.",
    )(command)  # fmt: skip


def kubectl_of(options: dict[str, Any]) -> Kubectl:
    """Calls kubectl with the flags that ``kubernetes_options`` took, which are gone from ``options`` then."""
    flags: list[str] = []
    for flag, _, _ in _FLAGS:
        given = options.pop(_parameter(flag))
        values = given if isinstance(given, tuple) else (given,)
        flags += [f"{flag}={value}" for value in values if value]
    return Kubectl(tuple(flags))


def _parameter(flag: str) -> str:
    """As click hands it over: ``as`` is no name in Python."""
    return f"flag_{flag.strip('-').replace('-', '_')}"


@contextlib.contextmanager
def told(kubectl: Kubectl) -> Iterator[None]:
    """Errors of kubectl as messages, with commands as the caller types them, and exit code 2."""
    try:
        yield
    except KubectlError as error:
        fail(kubectl.suggested(str(error)))


def fail(text: str) -> NoReturn:
    """Say why, and exit with 2."""
    from kubectl_scim.text import plain

    click.echo(f"Error: {plain(text)}", err=True)
    sys.exit(2)


def terminal() -> "Console":
    """Colours on a terminal alone; what others wrote is never read as markup."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    return Console(markup=False, highlight=False, emoji=False, width=None if is_terminal else _WIDTH)


def print_document(document: Any, output: str) -> None:
    """Print for programs, as ``json`` or ``yaml``."""
    if output == "json":
        import json

        click.echo(json.dumps(document, indent=2))
        return
    import yaml

    click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)
