"""``make torture``: run a campaign and print its table; exit code 1 when a promise was broken."""

import argparse
import sys
import time

from torture.campaign import campaign


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long faults go on (default 2)")
    parser.add_argument(
        "--seed", type=int, default=None, help="repeats a campaign's faults (default: a new one)"
    )
    parser.add_argument("--tokens", type=int, default=3, help="how many ScimTokens (default 3)")
    parser.add_argument(
        "--hand-over", action="store_true", help="all but the first hand their credentials to a played Entra"
    )
    chosen = parser.parse_args()
    if chosen.hand_over and chosen.tokens < 2:
        parser.error("--hand-over takes two ScimTokens or more: the first has no application in Entra")
    seed = chosen.seed if chosen.seed is not None else int(time.time())
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", flush=True)

    result = campaign(seed, chosen.minutes * 60, say, scimtokens=chosen.tokens, hand_over=chosen.hand_over)
    print(f"\n{result.table()}")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
