"""What a run found: cells, ratios within each round, goals."""

import dataclasses
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bench.contenders import BARE, OURS, PEERS
from bench.load import Sample, histogram, percentile
from bench.workloads import NAMES

TIMES_BEST_PEER: Final = 2.0
OF_BARE: Final[Mapping[str, Mapping[str, float]]] = {
    "SQLite": dict.fromkeys(NAMES[:6], 1.0),
    "PostgreSQL": {**dict.fromkeys(NAMES[:3], 1.0), "list 100": 0.9, "patch": 0.8, "create": 0.9},
}
MIX_AT_THE_LARGEST: Final = 0.9
P99_AT_THE_LARGEST: Final = 1.2
MEMORY_BYTES: Final = 200 * 1024 * 1024
FIRST_ANSWER_SECONDS: Final = 1.5
_BEGIN: Final = "<!-- written by make bench -->"
_END: Final = "<!-- end -->"


@dataclasses.dataclass(frozen=True)
class Key:
    """Which contender, holding how many users, did what."""

    contender: str
    count: int
    workload: str


@dataclasses.dataclass
class Results:
    """All samples of a run, round by round.

    Attributes:
        saturated: of each cell, one sample per round, in the same order everywhere.
        paced: of each contender and size, at ``pace`` requests per second.
        generator: what the load generator reaches against a server that does nothing, per second.
        memory: bytes at the end, by contender and size.
        first_answer: seconds, likewise.
    """

    pace: float
    generator: float = 0.0
    saturated: dict[Key, list[Sample]] = dataclasses.field(default_factory=dict)
    paced: dict[Key, list[Sample]] = dataclasses.field(default_factory=dict)
    memory: dict[tuple[str, int], int] = dataclasses.field(default_factory=dict)
    first_answer: dict[tuple[str, int], float] = dataclasses.field(default_factory=dict)

    def rate(self, key: Key) -> float:
        """Requests per second: the median of the rounds."""
        return statistics.median(sample.rate for sample in self.saturated[key])

    def ratios(self, key: Key, other: Key) -> list[float]:
        """One contender's rate by another's, in each round."""
        pairs = zip(self.saturated[key], self.saturated[other], strict=True)
        return [one.rate / two.rate for one, two in pairs]

    def p(self, key: Key, share: float) -> float:
        """A percentile of the paced latencies, in seconds: the median of the rounds'."""
        return statistics.median(percentile(sample.latencies, share) for sample in self.paced[key])

    def sizes(self, contender: str) -> list[int]:
        """The sizes at which a contender ran."""
        return sorted({key.count for key in self.saturated if key.contender == contender})


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A goal, and what was found."""

    goal: str
    found: str
    met: bool

    def __str__(self) -> str:
        """One line."""
        return f"{'ok    ' if self.met else 'MISSED'} {self.goal}: {self.found}"


def spread(values: Sequence[float]) -> str:
    """The median, and from where to where."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def verdicts(results: Results) -> Iterator[Verdict]:
    """Each goal that the run can tell something about."""
    for ours, bare in zip(OURS, BARE, strict=True):
        sizes = results.sizes(ours)
        if not sizes:
            continue
        size, kind = sizes[0], ours.partition(", ")[2]
        for name in NAMES:
            mine = Key(ours, size, name)
            peers = [Key(peer, size, name) for peer in PEERS if Key(peer, size, name) in results.saturated]
            if peers:
                best = max(peers, key=results.rate)
                ratios = results.ratios(mine, best)
                yield Verdict(
                    f"{ours}, {name}, by {best.contender}: {TIMES_BEST_PEER} at least",
                    spread(ratios),
                    statistics.median(ratios) >= TIMES_BEST_PEER,
                )
            goal = OF_BARE[kind].get(name)
            if Key(bare, size, name) in results.saturated and goal is not None:
                ratios = results.ratios(mine, Key(bare, size, name))
                yield Verdict(
                    f"{ours}, {name}, by {bare}: {goal} at least",
                    spread(ratios),
                    statistics.median(ratios) >= goal,
                )
        yield from _flat(results, ours, sizes)
        for size in sizes:
            memory = results.memory[ours, size]
            yield Verdict(
                f"{ours}, memory with {size:,} users: under 200 MiB",
                f"{memory / 1024**2:.0f} MiB",
                memory < MEMORY_BYTES,
            )
            first = results.first_answer[ours, size]
            yield Verdict(
                f"{ours}, start to first answer with {size:,} users: under {FIRST_ANSWER_SECONDS} s",
                f"{first:.2f} s",
                first < FIRST_ANSWER_SECONDS,
            )


def _flat(results: Results, ours: str, sizes: Sequence[int]) -> Iterator[Verdict]:
    if len(sizes) < 2:
        return
    small, large = Key(ours, sizes[0], "Entra mix"), Key(ours, sizes[-1], "Entra mix")
    ratios = results.ratios(large, small)
    yield Verdict(
        f"{ours}, Entra mix at {large.count:,} by that at {small.count:,}: {MIX_AT_THE_LARGEST} at least",
        spread(ratios),
        statistics.median(ratios) >= MIX_AT_THE_LARGEST,
    )
    pairs = zip(results.paced[large], results.paced[small], strict=True)
    slower = [percentile(one.latencies, 0.99) / percentile(two.latencies, 0.99) for one, two in pairs]
    yield Verdict(
        f"{ours}, p99 of the mix at {large.count:,} by that at {small.count:,}: {P99_AT_THE_LARGEST} at most",
        spread(slower),
        statistics.median(slower) <= P99_AT_THE_LARGEST,
    )


def table(results: Results) -> str:
    """Requests per second, one line per contender and size."""
    rows = [["requests/s", *NAMES]]
    cells = sorted(
        {(key.contender, key.count) for key in results.saturated}, key=lambda one: (one[1], one[0])
    )
    for contender, count in cells:
        keys = [Key(contender, count, name) for name in NAMES]
        rates = [results.rate(key) if key in results.saturated else None for key in keys]
        rows.append([f"{contender} ({count:,})", *map(_shown, rates)])
    return aligned(rows)


def _shown(rate: float | None) -> str:
    """A rate with as many digits as say something; a dash where there is no such workload."""
    if rate is None:
        return "–"
    return f"{rate:.0f}" if rate >= 20 else f"{rate:.1f}"


def latencies(results: Results) -> str:
    """Paced latencies of the mix, one line per contender and size."""
    rows = [[f"Entra mix at {results.pace:.0f}/s", "p50", "p90", "p99", "p99.9"]]
    for key in sorted(results.paced, key=lambda key: (key.count, key.contender)):
        found = [f"{results.p(key, share) * 1000:.1f} ms" for share in (0.5, 0.9, 0.99, 0.999)]
        rows.append([f"{key.contender} ({key.count:,})", *found])
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if position == 0 else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(lines)


def raw(results: Results) -> dict[str, Any]:
    """Everything, for JSON: rates of every round, and latencies as histograms."""

    def cell(key: Key, samples: Sequence[Sample], *, paced: bool) -> dict[str, Any]:
        together = [latency for sample in samples for latency in sample.latencies]
        found: dict[str, Any] = {
            "contender": key.contender,
            "users": key.count,
            "workload": key.workload,
            "answers": len(together),
            "generatorShareOfACore": round(
                sum(sample.client for sample in samples) / sum(sample.seconds for sample in samples), 3
            ),
        }
        if paced:
            found["requestsPerSecond"] = results.pace
            found["p99Milliseconds"] = [
                round(percentile(sample.latencies, 0.99) * 1000, 2) for sample in samples
            ]
        else:
            found["perSecond"] = [round(sample.rate, 1) for sample in samples]
        found["microsecondsToCount"] = histogram(together)
        return found

    return {
        "generatorAlonePerSecond": round(results.generator),
        "saturated": [cell(key, samples, paced=False) for key, samples in results.saturated.items()],
        "paced": [cell(key, samples, paced=True) for key, samples in results.paced.items()],
        "memoryBytes": [
            {"contender": who, "users": count, "bytes": size} for (who, count), size in results.memory.items()
        ],
        "firstAnswerSeconds": [
            {"contender": who, "users": count, "seconds": round(seconds, 3)}
            for (who, count), seconds in results.first_answer.items()
        ],
        "goals": [dataclasses.asdict(verdict) for verdict in verdicts(results)],
    }


def markdown(found: dict[str, Any]) -> str:
    """The tables of a page, from what ``raw`` gave."""
    cells = {
        (cell["users"], cell["contender"], cell["workload"]): statistics.median(cell["perSecond"])
        for cell in found["saturated"]
    }
    names = [name for name in NAMES if any(name == measured for _, _, measured in cells)]
    lines = [f"| requests/s | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for users, who in dict.fromkeys((users, who) for users, who, _ in sorted(cells)):
        shown = [_shown(cells.get((users, who, name))) for name in names]
        lines.append(f"| {who}, {users:,} users | {' | '.join(shown)} |")
    lines += ["", "| goal | found (from, to) | |", "|---|---|---|"]
    lines += [
        f"| {goal['goal']} | {goal['found']} | {'met' if goal['met'] else '**missed**'} |"
        for goal in found["goals"]
    ]
    return "\n".join(lines)


def inserted(page: str, found: dict[str, Any]) -> str:
    """A page with the tables between its two marks made anew."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{markdown(found)}\n{_END}{after}"
