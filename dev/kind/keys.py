"""Write a ConfigMap's entries (JSON on standard input) as files into a directory, as a mount would."""

import argparse
import json
import sys
from pathlib import Path


def main() -> None:
    """``kubectl get configmap … -o json | python3 dev/kind/keys.py DIRECTORY``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="made when missing")
    directory: Path = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in json.load(sys.stdin)["data"].items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
