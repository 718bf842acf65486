"""``make soak``: run it and print its report; exit code 1 when somebody was rejected, something restarted or grows."""

import argparse
import sys
import time

from localcluster.errors import ClusterError
from soak.run import soak


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument(
        "--hours", type=float, default=1.0, help="how long, after everything is up (default 1)"
    )
    chosen = parser.parse_args()
    if chosen.hours < 0.05:
        parser.error("--hours takes 0.05, which is three minutes, or more: fewer measurements say nothing")
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", flush=True)

    try:
        result = soak(chosen.hours * 3600, say)
    except ClusterError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    print(f"\n{result.report()}")
    return 0 if result.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
