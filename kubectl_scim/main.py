"""``kubectl scim``: look at ScimTokens, and do what their annotations do, with a look at when each was last used before.

Only what a command needs is imported: a plugin is started again and again.
"""

import importlib
from collections.abc import Mapping
from typing import Final

import click

CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
COMMANDS: Final[Mapping[str, str]] = {
    "status": "look",
    "credentials": "look",
    "console": "console",
    "users": "people",
    "groups": "people",
    "whois": "people",
    "log": "people",
    "simulate": "simulate",
    "doctor": "doctor",
    "rotate": "act",
    "revoke": "act",
    "suspend": "act",
    "resume": "act",
    "completion": "completion",
}
"""Each command, in the order of ``--help``, and the module of ``kubectl_scim.commands`` that has it."""


class Commands(click.Group):
    """Imports the module of the command that was typed, and no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's)
        """All names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's)
        """One of them; None: there is no such."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"kubectl_scim.commands.{COMMANDS[cmd_name]}")
        found: click.Command = getattr(module, cmd_name)
        return found


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(package_name="scim-operator", prog_name="kubectl scim")
def cli() -> None:
    """ScimTokens: how they are, what to paste into Entra, and what to do when something is wrong.

    \b
    Look first:
        kubectl scim status              all of this namespace, what is wrong first
        kubectl scim status entra        one, with the next command to type
        kubectl scim credentials entra   what to paste where
        kubectl scim console             all of that, and people, as pages in the browser
        kubectl scim doctor              everything that a support engineer would check
    Then at people:
        kubectl scim users entra lovelace            who is there
        kubectl scim whois entra ada@example.com     one user, their groups, and what happened to them
        kubectl scim log entra --follow              what happens, when, and by which credential
    Or try what Entra does, from here:
        kubectl scim simulate entra
    Then act; each waits until it is done:
        kubectl scim rotate entra
        kubectl scim revoke entra --all-superseded
        kubectl scim suspend entra; kubectl scim resume entra

    Everything is done by kubectl with your own rights.
    """  # noqa: D301 (click reads the backspace)


def main() -> None:
    """The console script."""
    cli(prog_name="kubectl scim")


if __name__ == "__main__":
    main()
