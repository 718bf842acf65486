"""HTTP without TLS, for what is polled: ``httpx.get`` reads all authorities first, for 20 milliseconds of a core."""

from typing import Any

import httpx


def client(**options: Any) -> httpx.Client:
    """A client of loopback, whatever proxy the environment names."""
    return httpx.Client(verify=False, trust_env=False, **options)


def get(url: str, **options: Any) -> httpx.Response:
    """``httpx.get``."""
    with client() as one:
        return one.get(url, **options)


def post(url: str, **options: Any) -> httpx.Response:
    """``httpx.post``."""
    with client() as one:
        return one.post(url, **options)
