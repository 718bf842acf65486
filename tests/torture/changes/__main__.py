"""``make torture-changes``: run a campaign and print its table; exit code 1 when a promise was broken."""

import argparse
import sys
import time

from torture.changes.campaign import Plan, campaign


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="torture.changes", description=__doc__)
    parser.add_argument("--changes", type=int, default=1_000_000, help="how many (default 1,000,000)")
    parser.add_argument("--minutes", type=float, default=8.0, help="how long at most (default 8)")
    parser.add_argument(
        "--crowd", type=int, default=10_000, help="members of a group at most (default 10,000)"
    )
    parser.add_argument(
        "--seed", type=int, default=None, help="repeats a campaign's faults (default: a new one)"
    )
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else int(time.time())
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", flush=True)

    plan = Plan(seed, chosen.changes, chosen.minutes * 60, chosen.crowd, chosen.database)
    result = campaign(plan, say)
    print(f"\n{result.table()}")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
