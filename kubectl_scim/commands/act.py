"""``rotate``, ``revoke``, ``suspend`` and ``resume``: what annotations and spec do, with a look at when each was last used before."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from kubectl_scim.commands.common import fail, kubectl_of, kubernetes_options, told
from kubectl_scim.kubectl import Kubectl
from kubectl_scim.scimtoken import KIND, ScimToken

if TYPE_CHECKING:
    from kubectl_scim.changes import Change

_CLOCKS: Final = 0.5
"""Seconds by which this clock may be ahead of the database's."""
_LONGEST_WAIT: Final = 2.0


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask, even where requests are rejected.")
@click.option("--timeout", "seconds", type=float, default=120.0, show_default=True, help="Seconds to wait.")
@kubernetes_options
def rotate(name: str, yes: bool, seconds: float, namespace: str | None, **options: Any) -> None:
    """Issue a new credential now.

    The one before stays valid for the overlap.
    """
    from kubectl_scim import changes

    now = datetime.now(UTC)
    _carry_out(
        kubectl_of(options), name, namespace, lambda token: changes.rotate(token, now), seconds, yes=yes
    )


@click.command()
@click.argument("name")
@click.argument("id", required=False)
@click.option("--all-superseded", is_flag=True, help="All that were replaced; the one in the Secret stays.")
@click.option("--leaked", is_flag=True, help="All that there are; another one is issued.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--timeout", "seconds", type=float, default=120.0, show_default=True, help="Seconds to wait.")
@kubernetes_options
def revoke(
    name: str, id: str | None, all_superseded: bool, leaked: bool, yes: bool, seconds: float, namespace: str | None, **options: Any
) -> None:  # fmt: skip
    """Revoke credentials immediately.

    Whoever comes with them is rejected at once. `kubectl scim status NAME` lists the ids.
    """
    from kubectl_scim import changes
    from kubectl_scim.text import stamp

    if [id is not None, all_superseded, leaked].count(True) != 1:
        raise click.UsageError("name one ID, or give --all-superseded, or --leaked")
    now, kubectl = datetime.now(UTC), kubectl_of(options)

    def chosen(token: ScimToken) -> "Change":
        live = [one for one in token.credentials if one.state != "Revoked"]
        if leaked:
            limit = changes.leak_limit(token, now)
            time.sleep(min(max((limit - now).total_seconds() + _CLOCKS, 0.0), _LONGEST_WAIT))
            return changes.revoke(token, [one.id for one in live], f"all-before/{stamp(limit)}", now)
        if all_superseded:
            ids = [one.id for one in live if one.state == "Superseded"]
            return changes.revoke(
                token, _some(ids, "no credential is superseded: nothing to revoke"), "all-superseded", now
            )
        found = [one.id for one in live if one.id == id]
        return changes.revoke(
            token,
            _some(
                found,
                kubectl.suggested(
                    f"{token.name} has no credential {id}; kubectl scim status {token.name} -n {token.namespace}"
                ),
            ),
            str(id),
            now,
        )

    _carry_out(kubectl, name, namespace, chosen, seconds, yes=yes)


def _some(ids: Sequence[str], otherwise: str) -> Sequence[str]:
    if not ids:
        fail(otherwise)
    return ids


@click.command()
@click.argument("name")
@click.option("--timeout", "seconds", type=float, default=120.0, show_default=True, help="Seconds to wait.")
@kubernetes_options
def suspend(name: str, seconds: float, namespace: str | None, **options: Any) -> None:
    """Suspend rotation.

    What is accepted stays accepted to its end.
    """
    from kubectl_scim import changes

    _carry_out(kubectl_of(options), name, namespace, changes.suspend, seconds, yes=True)


@click.command()
@click.argument("name")
@click.option("--timeout", "seconds", type=float, default=120.0, show_default=True, help="Seconds to wait.")
@kubernetes_options
def resume(name: str, seconds: float, namespace: str | None, **options: Any) -> None:
    """Resume rotation.

    What is overdue is done at once.
    """
    from kubectl_scim import changes

    _carry_out(kubectl_of(options), name, namespace, changes.resume, seconds, yes=True)


def _carry_out(
    kubectl: Kubectl,
    name: str,
    namespace: str | None,
    change_of: "Callable[[ScimToken], Change]",
    seconds: float,
    *,
    yes: bool,
) -> None:
    from kubectl_scim.text import plain
    from kubectl_scim.waiting import carry_out

    with told(kubectl):
        token = ScimToken(kubectl.get(KIND, name, "-n", namespace or kubectl.namespace()))
        change = change_of(token)
        if change.warning is not None:
            click.echo(plain(change.warning), err=True)
            if not yes and not click.confirm("Continue?", err=True):
                raise click.Abort
        done = carry_out(
            kubectl, token, change, seconds, lambda text: click.echo(f"  {plain(text)}", err=True)
        )
    click.echo(plain(change.done(done)))
