"""The goals of ``make bench``: what has to be reached, and what a run found on each database."""

import dataclasses
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bench.contenders import BARE, COMPILED, INTERPRETED, OURS
from bench.load import percentile
from bench.results import Key, Results, aligned
from bench.workloads import NAMES

MIX: Final = "Entra mix"
DATABASES: Final = tuple(name.partition(", ")[2] for name in OURS)
TIMES_INTERPRETED: Final = 2.0
AHEAD: Final[Mapping[str, float]] = dict.fromkeys(
    ("filter userName", "filter e-mail", "list 100", "patch", MIX), 1.0
)
TIMES_COMPILED: Final[Mapping[str, Mapping[str, float]]] = {
    **dict.fromkeys(COMPILED, AHEAD),
    "elimity-com/scim": {**AHEAD, "get": 0.75, "create": 0.6},
}
TIMES_BARE: Final[Mapping[str, Mapping[str, float]]] = {
    "filter userName": {"SQLite": 1.0, "PostgreSQL": 1.0},
    "filter e-mail": {"SQLite": 1.0, "PostgreSQL": 1.0},
    "get": {"SQLite": 1.0, "PostgreSQL": 1.0},
    "list 100": {"SQLite": 1.2, "PostgreSQL": 1.2},
    "patch": {"SQLite": 1.0, "PostgreSQL": 0.9},
    "create": {"SQLite": 1.2, "PostgreSQL": 1.2},
}
MIX_AT_THE_LARGEST: Final = 0.95
P99_AT_THE_LARGEST: Final = 1.15
MEMORY_BYTES: Final = 80 * 1024**2
FIRST_ANSWER_SECONDS: Final = 0.8


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A goal on one database, and what was found.

    Attributes:
        goal: the line of the table, the same for both databases.
        wanted: what has to be reached.
        database: one of ``DATABASES``.
        found: the median of the rounds, and from where to where; or a single figure.
        met: whether it was reached.
    """

    goal: str
    wanted: str
    database: str
    found: str
    met: bool


def verdicts(results: Results) -> Iterator[Verdict]:
    """Each goal that the run can tell something about, database by database."""
    for ours, bare, database in zip(OURS, BARE, DATABASES, strict=True):
        sizes = results.sizes(ours)
        if not sizes:
            continue
        yield from _by_interpreted(results, ours, sizes[0], database)
        for peer, wanted in TIMES_COMPILED.items():
            yield from _by(results, ours, peer, sizes[0], database, f"times {peer}", wanted)
        of_bare = {name: wanted[database] for name, wanted in TIMES_BARE.items()}
        yield from _by(results, ours, bare, sizes[0], database, "times bare", of_bare)
        if len(sizes) > 1:
            yield from _flat(results, ours, sizes, database)
        for size in sizes:
            memory, first = results.memory[ours, size], results.first_answer[ours, size]
            yield Verdict(
                f"memory with {size:,} users",
                f"< {MEMORY_BYTES // 1024**2} MiB",
                database,
                f"{memory / 1024**2:.0f} MiB",
                memory < MEMORY_BYTES,
            )
            yield Verdict(
                f"start to first answer with {size:,} users",
                f"< {FIRST_ANSWER_SECONDS} s",
                database,
                f"{first:.2f} s",
                first < FIRST_ANSWER_SECONDS,
            )


def _by_interpreted(results: Results, ours: str, size: int, database: str) -> Iterator[Verdict]:
    """One goal for all workloads: the one that is closest to being missed."""
    least: dict[str, float] = {}
    for name in NAMES:
        peers = [Key(peer, size, name) for peer in INTERPRETED]
        ran = [key for key in peers if key in results.saturated]
        if ran:
            best = max(ran, key=results.rate)
            least[name] = statistics.median(results.ratios(Key(ours, size, name), best))
    if least:
        name = min(least, key=least.__getitem__)
        yield Verdict(
            f"every workload, times the better of {' and '.join(INTERPRETED)}",
            f"≥ {TIMES_INTERPRETED}",
            database,
            f"{least[name]:.2f} ({name}), the others more",
            least[name] >= TIMES_INTERPRETED,
        )


def _by(
    results: Results,
    ours: str,
    other: str,
    size: int,
    database: str,
    how: str,
    wanted: Mapping[str, float],
) -> Iterator[Verdict]:
    for name in NAMES:
        key = Key(other, size, name)
        if name in wanted and key in results.saturated:
            ratios = results.ratios(Key(ours, size, name), key)
            met = statistics.median(ratios) >= wanted[name]
            yield Verdict(f"{name}, {how}", f"≥ {wanted[name]}", database, spread(ratios), met)


def _flat(results: Results, ours: str, sizes: Sequence[int], database: str) -> Iterator[Verdict]:
    small, large = Key(ours, sizes[0], MIX), Key(ours, sizes[-1], MIX)
    ratios = results.ratios(large, small)
    yield Verdict(
        f"{MIX} at {large.count:,} users, times that at {small.count:,}",
        f"≥ {MIX_AT_THE_LARGEST}",
        database,
        spread(ratios),
        statistics.median(ratios) >= MIX_AT_THE_LARGEST,
    )
    pairs = zip(results.paced[large], results.paced[small], strict=True)
    slower = [percentile(one.latencies, 0.99) / percentile(two.latencies, 0.99) for one, two in pairs]
    yield Verdict(
        f"p99 of {MIX} at {large.count:,} users, times that at {small.count:,}",
        f"≤ {P99_AT_THE_LARGEST}",
        database,
        spread(slower),
        statistics.median(slower) <= P99_AT_THE_LARGEST,
    )


def spread(values: Sequence[float]) -> str:
    """The median, and from where to where."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def rows(goals: Sequence[Mapping[str, Any]], missed: str) -> list[list[str]]:
    """A table with one line per goal and a column for each database, from verdicts as JSON has them.

    What is wanted is told once, or for SQLite / PostgreSQL where it differs. ``missed`` is the format of what was
    found where a goal was missed.
    """
    lines: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one in goals:
        lines.setdefault(one["goal"], {})[one["database"]] = one
    table = [["goal", "wanted", *DATABASES]]
    for goal, verdict in lines.items():
        wanted = dict.fromkeys(one["wanted"] for one in verdict.values())
        cells = [
            (one["found"] if one["met"] else missed.format(one["found"])) if one else "–"
            for one in map(verdict.get, DATABASES)
        ]
        table.append([goal, " / ".join(wanted), *cells])
    return table


def shown(found: Sequence[Verdict]) -> str:
    """The goals for a terminal."""
    return aligned(rows([dataclasses.asdict(one) for one in found], "MISSED {}"))


def markdown(goals: Sequence[Mapping[str, Any]]) -> str:
    """The goals for a page."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows(goals, "**{}**, missed")]
    return "\n".join([head, "|---|---|" + "---|" * len(DATABASES), *body])
