"""``scim-api connection`` on a database of its own, and what is in that afterwards."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from scim_api.cli.main import main
from scim_api.contract.admin import Connection
from scim_api.contract.tokens import digest
from scim_api.store.factory import create_store
from scim_api.store.protocol import Store


class ConnectionCommand:
    """The command on one SQLite file."""

    def __init__(self, directory: Path) -> None:
        self.url = f"sqlite:///{directory / 'scim.db'}"

    def run(self, *arguments: str) -> Result:
        environment = {"SCIM_API_DATABASE_URL": self.url}
        return CliRunner().invoke(main, ["connection", *arguments], env=environment)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def ask(self, question: Callable[[Store], Any]) -> Any:
        """What the database answers."""

        async def asked() -> Any:
            store = create_store(self.url)
            await store.open()
            try:
                return await question(store)
            finally:
                await store.close()

        return asyncio.run(asked())

    def held(self) -> Connection:
        answer: Connection = self.ask(lambda store: store.connection("demo", "entra"))
        return answer

    def opens(self, token: str) -> bool:
        return self.ask(lambda store: store.access(digest(token))) is not None
