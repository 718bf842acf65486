"""People for the console: each tenant's way to the SCIM API is opened once, and errors are those that pages understand."""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kubectl_scim.kubectl import Forbidden, Kubectl, KubectlError, NotFound
from kubectl_scim.scimtoken import ScimToken
from scim_console import model

_GOES_ON: Final = "The page goes on by itself when the cluster answers"
_ADVICE: Final = (
    (
        r"logged in|unauthorized|credential plugin|getting credentials",
        f"Sign in again in a terminal. {_GOES_ON}",
    ),
    (r"refused|unable to connect|no such host|timeout|did not answer", f"Is the VPN up? {_GOES_ON}"),
)
"""Patterns of what kubectl says, and what to add."""


@contextlib.contextmanager
def translated(kubectl: Kubectl) -> Iterator[None]:
    """What kubectl said, as the console's errors, with commands as the caller types them."""
    try:
        yield
    except (model.Denied, model.Missing, model.Unreachable) as error:
        raise type(error)(kubectl.suggested(str(error))) from None
    except Forbidden as error:
        raise model.Denied(f"{error}. Whoever administers the cluster can grant it") from None
    except NotFound as error:
        raise model.Missing(kubectl.suggested(str(error))) from None
    except KubectlError as error:
        raise model.Unreachable(kubectl.suggested(_with_advice(str(error)))) from None


def _with_advice(said: str) -> str:
    """What kubectl says, and what to do about it where it gives no advice itself."""
    for pattern, advice in _ADVICE:
        if re.search(pattern, said, re.IGNORECASE):
            return f"{said.rstrip('.')}{'' if said.endswith('?') else '.'} {advice}"
    return said


class TranslatedDirectory:
    """A directory whose errors are the console's.

    Args:
        directory: whose may be kubectl's.
        kubectl: of the caller.
    """

    def __init__(self, directory: model.Directory, kubectl: Kubectl) -> None:
        self._directory, self._kubectl = directory, kubectl

    def users(self, filter: str | None, start_index: int, count: int) -> model.ResourcePage:
        """Users whom a SCIM filter matches."""
        with translated(self._kubectl):
            return self._directory.users(filter, start_index, count)

    def groups(self, filter: str | None, start_index: int, count: int) -> model.ResourcePage:
        """Groups likewise."""
        with translated(self._kubectl):
            return self._directory.groups(filter, start_index, count)

    def user(self, id: str) -> Mapping[str, Any]:
        """One user."""
        with translated(self._kubectl):
            return self._directory.user(id)

    def group(self, id: str) -> Mapping[str, Any]:
        """One group with its members."""
        with translated(self._kubectl):
            return self._directory.group(id)

    def history(self, query: model.HistoryQuery) -> model.HistoryPage:
        """What happened, the newest first."""
        with translated(self._kubectl):
            return self._directory.history(query)

    def follow(self, stop: threading.Event) -> Iterator[Mapping[str, Any]]:
        """Changes from this call on, until ``stop`` is set."""
        with translated(self._kubectl):
            coming = self._directory.follow(stop)
        return self._translated(coming)

    def _translated(self, coming: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        with translated(self._kubectl):
            yield from coming


class Directories:
    """What leads to the tenants, opened when it is first asked for. A search as one types has no time for a port-forward.

    Args:
        kubectl: with the caller's rights.
        installation: namespace of the installation; None: it is searched for.
        say: told when people are read over the network, and why.
    """

    def __init__(self, kubectl: Kubectl, installation: str | None, say: Callable[[str], object]) -> None:
        self._kubectl, self._installation, self._say = kubectl, installation, say
        self._opening = threading.Lock()
        self._opened: dict[tuple[str, str, str], model.Directory] = {}
        self._stack = contextlib.ExitStack()

    def close(self) -> None:
        """End all of them."""
        with self._opening:
            self._opened.clear()
            self._stack.close()

    def of(self, token: ScimToken) -> model.Directory:
        """That of a ScimToken's tenant. Raises the console's errors; what failed is tried anew the next time."""
        key = (token.namespace, token.name, token.secret_name)
        with self._opening:
            if key not in self._opened:
                from kubectl_scim.reading import reading

                with translated(self._kubectl):
                    found = self._stack.enter_context(
                        reading(self._kubectl, token, self._installation, self._say)
                    )
                self._opened[key] = TranslatedDirectory(found, self._kubectl)
            return self._opened[key]
