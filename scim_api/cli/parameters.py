"""Arguments and options that several commands of ``scim-api connection`` have."""

import re
from datetime import timedelta
from typing import Any, Final

import click

from scim_api.contract.admin import ACCESS_TOKEN_BOUNDS
from scim_api.contract.durations import LONGEST, SHORTEST, parse_duration


class Duration(click.ParamType[timedelta, Any]):
    """``90d``, within bounds.

    Args:
        shortest: the least.
        longest: the most.
        bounds: what is said of any other.
    """

    name = "duration"

    def __init__(self, shortest: timedelta, longest: timedelta, bounds: str) -> None:
        self._shortest, self._longest, self._bounds = shortest, longest, bounds

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read ``90d``."""
        if isinstance(value, timedelta):
            return value
        try:
            duration = parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not self._shortest <= duration <= self._longest:
            self.fail(self._bounds, param, ctx)
        return duration


class ConnectionName(click.ParamType[tuple[str, str], Any]):
    """``NAMESPACE/NAME``, as Kubernetes would take both."""

    name = "namespace/name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Read ``NAMESPACE/NAME``."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([a-z0-9][-a-z0-9.]{0,251})/([a-z0-9][-a-z0-9.]{0,251})", str(value))
        if match is None or match[1].endswith(("-", ".")) or match[2].endswith(("-", ".")):
            self.fail(f"{value!r}: write NAMESPACE/NAME in lower case, such as demo/entra", param, ctx)
        return match[1], match[2]


LIFETIME: Final = click.option(
    "--lifetime",
    type=Duration(SHORTEST, LONGEST, "a token lives between 60s and 3650d"),
    help="How long the token or client secret is valid: 90d, 12h.  [default: 90d]",
)
ACCESS_TOKEN_LIFETIME: Final = click.option(
    "--access-token-lifetime",
    type=Duration(
        timedelta(seconds=ACCESS_TOKEN_BOUNDS[0]),
        timedelta(seconds=ACCESS_TOKEN_BOUNDS[1]),
        "Microsoft takes access tokens that live from 1h to 6h",
    ),
    help="How long what the token endpoint issues is valid: 1h to 6h.  [default: 1h]",
)
JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
NAME: Final = click.argument("connection_name", metavar="NAMESPACE/NAME", type=ConnectionName())
PUBLIC_URL: Final = click.option(
    "--public-url", metavar="URL", help="Endpoint to print.  [default: what `serve` announces]"
)
