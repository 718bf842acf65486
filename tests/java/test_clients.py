"""Java clients end to end, on both databases. Run by ``make test-java``: it needs a JDK and Maven."""

import os
import subprocess
from pathlib import Path

import pytest

from support.postgres import PostgresServer
from support.scim_service import service_on

HERE = Path(__file__).parent


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_unboundids_sdk_finds_nothing_that_it_does_not_understand(
    kind: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    with service_on(kind, tmp_path, postgres_server) as service:
        endpoint = service.connect("java", matching="userName")
        done = subprocess.run(
            ["mvn", "--batch-mode", "--no-transfer-progress", f"-DbuildDirectory={tmp_path}/target", "test"],
            cwd=HERE,
            env={**os.environ, "SCIM_URL": endpoint.url, "SCIM_TOKEN": endpoint.token},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Tests run: 10, Failures: 0, Errors: 0, Skipped: 0" in done.stdout
