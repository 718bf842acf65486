"""What the soak plays leaves nobody behind, so that it can be played for hours."""

import collections

import pytest

from entra_standin.__main__ import play
from entra_standin.client import EntraClient
from entra_standin.dialects import Dialect
from soak.traffic import everybody_leaves
from support.postgres import PostgresServer
from support.scim_service import service_on


def test_it_is_played_again_and_again(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> None:
    with service_on("sqlite", tmp_path_factory.mktemp("service"), postgres_server) as service:
        endpoint = service.connect("soak")
        lines: list[str] = []
        for dialect in [*Dialect, *Dialect]:
            with EntraClient(endpoint.url, endpoint.token, dialect) as client:
                assert play(client, lines.append), "\n".join(lines)
                assert everybody_leaves(client, lines.append), "\n".join(lines)
        told = collections.Counter(lines)
        assert told["initial cycle: created: 6"] == 2 * len(Dialect)
        assert told["the end: deleted: 5"] == 2 * len(Dialect)
