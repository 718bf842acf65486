"""The people of a small company, as Entra's own directory knows them."""

import dataclasses
from typing import Final

_DOMAIN: Final = "contoso.example"


@dataclasses.dataclass(frozen=True)
class Person:
    """A user in Entra ID; ``None`` is an attribute without a value.

    Attributes:
        key: Entra's object id, sent as ``externalId``.
        user_principal_name: the sign-in name.
        mail: the work e-mail.
        display_name: the name as shown.
        given_name: the first name.
        family_name: the last name.
        job_title: the job title.
        department: the department.
        country: the country of the office.
        active: false when soft-deleted in Entra.
        manager: ``key`` of the manager.
    """

    key: str
    user_principal_name: str
    mail: str | None
    display_name: str
    given_name: str | None = None
    family_name: str | None = None
    job_title: str | None = None
    department: str | None = None
    country: str | None = None
    active: bool = True
    manager: str | None = None


@dataclasses.dataclass(frozen=True)
class Team:
    """A group in Entra ID.

    Attributes:
        key: Entra's object id, sent as ``externalId``.
        display_name: its name, which it is looked for by.
        members: ``key`` of each member.
    """

    key: str
    display_name: str
    members: frozenset[str] = frozenset()


def three_teams() -> tuple[Team, ...]:
    """Three groups of the six people: one with all, one with some and a name full of signs, one empty."""
    everybody = frozenset(person.key for person in six_people())
    return (
        Team("team-all", "All of Contoso", everybody),
        Team(
            "team-compilers", "Compilers (R&D) and friends @ home", frozenset({"grace", "edsger", "konrad"})
        ),
        Team("team-empty", "Nobody yet"),
    )


def six_people() -> tuple[Person, ...]:
    """Six people of whom one has no job title, one is soft-deleted, and four have a manager."""
    return (
        _person("ada", "Ada", "Lovelace", "Analyst", "Engines", "GB"),
        _person("grace", "Grace", "Hopper", "Rear Admiral", "Compilers", "US", manager="ada"),
        _person("edsger", "Edsger", "Dijkstra", None, "Algorithms", "NL", manager="ada"),
        _person("katherine", "Katherine", "Johnson", "Mathematician", "Trajectories", "US", manager="grace"),
        _person("konrad", "Konrad", "Zuse", "Engineer", "Relays (Z3)", "DE", active=False),
        _person("radia", "Radia", "O'Perlman", "Fellow", "Networks", "US", manager="grace"),
    )


def _person(
    name: str,
    given: str,
    family: str,
    title: str | None,
    department: str,
    country: str,
    *,
    active: bool = True,
    manager: str | None = None,
) -> Person:
    address = f"{name}@{_DOMAIN}"
    return Person(
        key=name,
        user_principal_name=address,
        mail=address,
        display_name=f"{given} {family}",
        given_name=given,
        family_name=family,
        job_title=title,
        department=department,
        country=country,
        active=active,
        manager=manager,
    )
