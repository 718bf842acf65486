"""A store for the console, whose calls block: the store's event loop runs in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, Final, TypeVar

from scim_api.core.errors import ScimError
from scim_api.store.errors import ChangesGone, StoreError, TooSlow, Unavailable
from scim_api.store.migrate import REQUIRED_VERSION
from scim_api.store.protocol import Store
from scim_console.model import Unreachable

T = TypeVar("T")
ANSWER_SECONDS: Final = 30.0
"""How long the console waits for a database that does not even refuse."""


class Database:
    """Asks a store from any thread.

    Args:
        store: open, and of the loop.
        loop: where it was opened, which runs.
        endpoint: SCIM base URL, without a slash at the end.
    """

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop, endpoint: str) -> None:
        self.store, self._loop, self.endpoint = store, loop, endpoint

    def ask(self, question: Coroutine[Any, Any, T]) -> T:
        """What the store answers.

        Raises:
            Unreachable: the database does not answer, or a search took too long.
            ValueError: a filter cannot be read.
            ChangesGone: a reader of the log can't go on where it was.
        """
        asked = asyncio.run_coroutine_threadsafe(question, self._loop)
        try:
            return asked.result(ANSWER_SECONDS)
        except ChangesGone:
            raise
        except TooSlow:
            raise Unreachable(
                "The search took too long; type more of the name, or the whole e-mail."
            ) from None
        except (Unavailable, TimeoutError) as error:
            asked.cancel()
            raise Unreachable(f"The database can't be used: {error or 'it does not answer'}.") from None
        except StoreError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from None
        except ScimError as error:
            raise ValueError(error.detail) from None


@contextlib.contextmanager
def opened(store: Store, endpoint: str | None) -> Iterator[Database]:
    """Open a store for a console, and close it. Nothing is migrated.

    Args:
        store: not yet opened.
        endpoint: SCIM base URL; None: what ``serve`` announces, else the path alone.

    Raises:
        Unreachable: the database does not answer, or has no schema of this release.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="console-database", daemon=True)
    thread.start()
    database = Database(store, loop, endpoint or "/scim/v2")
    try:
        database.ask(store.open())
        if database.ask(store.schema_version()) < REQUIRED_VERSION:
            raise Unreachable("The database has no schema of this release yet: run `scim-api migrate` first.")
        if endpoint is None:
            database.endpoint = database.ask(store.public_url()) or database.endpoint
        yield database
    finally:
        with contextlib.suppress(Unreachable):
            database.ask(store.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(ANSWER_SECONDS)
        loop.close()
