"""What a release promised to the next ones (docs/stability.md), compared with what the next one has."""
