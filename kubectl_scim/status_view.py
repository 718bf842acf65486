"""How ScimTokens are shown: one as a tree, several as a table, what is wrong first."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from kubectl_scim.scimtoken import Credential, Problem, ScimToken
from kubectl_scim.scimwebhook import ScimWebhook
from kubectl_scim.text import moment, plain, seen, stamp

_BAR: Final = 24
"""Characters of a credential's life."""
_COLOURS: Final = {"error": "red", "warning": "yellow"}
_MARKS: Final = {"error": "✗", "warning": "!"}
_STAGES: Final = (
    ("Registered", "SCIM API"),
    ("Published", "Secret"),
    ("EndpointReachable", "Endpoint"),
    ("HandedOver", "Entra has it"),
    ("Provisioning", "Entra's job"),
)
"""Conditions, and what they are about in a person's words."""
_FINE: Final = "True"
Suggested = Callable[[str], str]
"""A command as whoever looks has to type it."""


def _as_it_is(command: str) -> str:
    return command


def show_one(
    console: Console,
    token: ScimToken,
    secret: Problem | str | None,
    now: datetime,
    webhooks: Sequence[ScimWebhook] = (),
    suggested: Suggested = _as_it_is,
) -> None:
    """One ScimToken.

    Args:
        console: where.
        token: which.
        secret: what is wrong with its Secret, or why that is not known; None: it is there.
        now: the time.
        webhooks: of its tenant.
        suggested: for the next commands.
    """
    found = [*_problems(token, secret, now), *(problem for one in webhooks for problem in one.problems)]
    problems = sorted(found, key=lambda one: one.severity != "error")
    parts: list[Any] = [_problem(one, suggested) for one in problems]
    tree = _tree(token, secret, problems, now)
    for one in webhooks:
        tree.add(_webhook(one))
    parts.append(tree)
    console.print(Group(*parts))


def show_all(console: Console, tokens: Sequence[ScimToken], now: datetime, *, all_namespaces: bool) -> None:
    """Several, those with something wrong first."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    names = ("NAMESPACE",) if all_namespaces else ()
    for name in (*names, "NAME", "", "ENDS", "NEXT ROTATION", "LAST USED", "WHAT IS WRONG"):
        table.add_column(name, overflow="fold")
    for token in sorted(tokens, key=lambda one: (_rank(one, now), one.namespace, one.name)):
        problems, active = token.problems(now), token.active
        last = max((one.last_used_at for one in token.credentials if one.last_used_at), default=None)
        first = problems[0] if problems else None
        mark = _mark(first.severity) if first is not None else Text("✓", "green")
        cells: list[Any] = [Text(plain(token.namespace))] if all_namespaces else []
        cells += [
            Text(plain(token.name)),
            mark,
            seen(active.expires_at if active is not None else None, now, "-"),
            _rotation(token, now),
            seen(last, now),
            Text(plain(_summary(first, len(problems)))),
        ]
        table.add_row(*cells)
    console.print(table)


def show_webhooks(
    console: Console,
    webhooks: Sequence[ScimWebhook],
    now: datetime,
    *,
    all_namespaces: bool,
    suggested: Suggested = _as_it_is,
) -> None:
    """ScimWebhooks, those with something wrong first."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    names = ("NAMESPACE",) if all_namespaces else ()
    for name in (*names, "WEBHOOK", "", "TENANT", "WAITING", "DELIVERED", "FAILING SINCE", "WHAT IS WRONG"):
        table.add_column(name, overflow="fold")
    for one in sorted(webhooks, key=lambda one: (not one.problems, one.namespace, one.name)):
        problems = one.problems
        first = problems[0] if problems else None
        cells: list[Any] = [Text(plain(one.namespace))] if all_namespaces else []
        cells += [
            Text(plain(one.name)),
            _mark(first.severity) if first is not None else Text("✓", "green"),
            Text(plain(one.tenant)),
            "-" if one.waiting is None else f"{one.waiting:,}",
            seen(one.last_delivered_at, now),
            seen(one.failing_since, now, "-"),
            Text(plain(_summary(first, len(problems)))),
        ]
        table.add_row(*cells)
    console.print(table)
    for one in webhooks:
        for problem in one.problems:
            if problem.command:
                console.print(
                    Text.assemble(
                        f"next for {plain(one.name)}: ", (plain(suggested(problem.command)), "bold")
                    )
                )


def webhook_document(one: ScimWebhook, suggested: Suggested = _as_it_is) -> dict[str, Any]:
    """A ScimWebhook for programs."""
    return {
        "namespace": one.namespace,
        "name": one.name,
        "tenant": one.tenant,
        "problems": [_problem_document(problem, suggested) for problem in one.problems],
        "status": dict(one.status),
    }


def as_document(
    token: ScimToken, secret: Problem | str | None, now: datetime, suggested: Suggested = _as_it_is
) -> dict[str, Any]:
    """One for programs; ``secret`` as ``show_one`` has it."""
    return {
        "namespace": token.namespace,
        "name": token.name,
        "tenant": token.tenant,
        "secret": token.secret_name,
        "secretError": secret if isinstance(secret, str) else None,
        "problems": [_problem_document(one, suggested) for one in _problems(token, secret, now)],
        "status": dict(token.status),
    }


def _problems(token: ScimToken, secret: Problem | str | None, now: datetime) -> list[Problem]:
    """The worst first."""
    return [*([secret] if isinstance(secret, Problem) else ()), *token.problems(now)]


def _problem_document(one: Problem, suggested: Suggested) -> dict[str, Any]:
    command = one.command and suggested(one.command)
    return {"severity": one.severity, "subject": one.subject, "message": one.message, "command": command}


def _webhook(one: ScimWebhook) -> Text:
    """A line of the tree."""
    delivering = one.condition("Delivering")
    text = Text.assemble("ScimWebhook ", (plain(one.name), "bold"), "  ")
    if delivering is None:
        return text.append("no status yet", "dim")
    colour = "green" if delivering.status == _FINE else "yellow"
    return text.append(plain(delivering.reason), colour).append("  " + plain(delivering.message), "dim")


def _tree(token: ScimToken, secret: Problem | str | None, problems: Sequence[Problem], now: datetime) -> Tree:
    worst = problems[0].severity if problems else None
    head = Text.assemble(
        "ScimToken ", (plain(f"{token.namespace}/{token.name}"), "bold"), "  ",
        _mark(worst) if worst else Text(f"✓ nothing is wrong{' so far' * token.is_in_progress}", "green"),
    )  # fmt: skip
    head.append(
        plain(
            f"  tenant {token.tenant}, {token.auth_type}, {'read only' if token.is_read_only else 'read and write'}"
        )
    )
    tree = Tree(head, guide_style="dim")
    node = tree.add(Text.assemble("Secret ", (plain(token.secret_name), "bold")))
    if isinstance(secret, str):
        node.add(Text(plain(secret), "dim"))
    for one in token.credentials:
        node.add(_credential(one, now))
    if not token.credentials:
        node.add(Text("no credential yet", "dim"))
    tree.add(Text(f"next rotation  {_rotation(token, now)}"))
    for kind, name in _STAGES:
        found = token.condition(kind)
        if found is not None:
            colour = "green" if found.status == _FINE else "yellow"
            tree.add(
                Text.assemble(
                    f"{name}  ", (plain(found.reason), colour), ("  " + plain(found.message), "dim")
                )
            )
    return tree


def _rotation(token: ScimToken, now: datetime) -> str:
    if token.is_suspended:
        return "suspended"
    return seen(moment(token.status.get("nextRotation")), now, "-")


def _credential(one: Credential, now: datetime) -> Text:
    """A line with the life of a credential as a bar."""
    text = Text.assemble(
        f"{plain(one.id)}  ", (f"{plain(one.state):<10}", "bold" if one.state == "Active" else "dim"), "  "
    )
    if one.state == "Revoked":
        text.append("is rejected")
    elif one.issued_at is not None and one.expires_at is not None and one.kind != "WorkloadIdentity":
        life = (one.expires_at - one.issued_at).total_seconds()
        spent = 1.0 if life <= 0 else min(max((now - one.issued_at).total_seconds() / life, 0.0), 1.0)
        filled = round(spent * _BAR)
        colour = "green" if spent < 2 / 3 else "yellow" if spent < 1 else "red"
        text.append("█" * filled, colour).append("░" * (_BAR - filled), "dim")
        text.append(f"  ends {stamp(one.expires_at)} ({seen(one.expires_at, now)})")
    else:
        text.append("has no end")
    text.append(f", used {seen(one.last_used_at, now)}")
    if one.last_inspected_at is not None:
        text.append(f", looked at by a person {seen(one.last_inspected_at, now)}")
    return text


def _problem(one: Problem, suggested: Suggested) -> Text:
    text = Text.assemble(
        _mark(one.severity), " ", (plain(one.subject), _COLOURS[one.severity]), "  ", plain(one.message)
    )
    if one.command:
        text.append("\n  next: ").append(plain(suggested(one.command)), "bold")
    return text.append("\n")


def _mark(severity: str) -> Text:
    return Text(_MARKS[severity], _COLOURS[severity])


def _rank(token: ScimToken, now: datetime) -> int:
    """0 for an error, 1 for a warning, 2 for neither."""
    problems = token.problems(now)
    return 2 if not problems else ("error", "warning").index(problems[0].severity)


def _summary(first: Problem | None, number: int) -> str:
    if first is None:
        return ""
    text = f"{first.subject}: {first.message}"
    short = text if len(text) <= 80 else text[:79] + "…"
    return short if number == 1 else f"{short} (and {number - 1} more)"
