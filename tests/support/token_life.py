"""A ScimToken's life in memory: the real reconciler over a world whose clock the test moves."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from scim_api.contract.tokens import PREFIXES, TokenKind
from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.controller.deletions import Deletions
from scim_operator.controller.reconciler import Reconciler
from scim_operator.controller.workqueue import Result
from support.operator_ports import FakeApi, FakeCluster, FakeVerifier
from support.operator_world import ENDPOINT, INSTALLATION, KEY, LEDGER_KEY, World

SECRET = "entra-scim-token"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@dataclasses.dataclass
class Life:
    """A world and an operator in it."""

    world: World
    steps: list[str] = dataclasses.field(default_factory=list)
    made: int = 0
    named: int = 0
    deletions: Deletions | None = None

    def _token(self, kind: TokenKind) -> str:
        self.made += 1
        return f"{PREFIXES[kind]}plaintext{self.made}"

    def _id(self) -> str:
        self.named += 1
        return f"id{self.named}"

    async def reconcile(self) -> Result:
        """One reconcile by a fresh operator."""
        self.steps.clear()

        async def at_once(_seconds: float) -> None:
            return

        one = Reconciler(
            api=FakeApi(self.world),
            cluster=FakeCluster(self.world),
            verifier=FakeVerifier(self.world),
            endpoint=ENDPOINT,
            ledger_key=LEDGER_KEY,
            installation_id=INSTALLATION,
            new_token=self._token,
            new_id=self._id,
            trace=self.steps.append,
            pause=at_once,
            clock=lambda: self.world.now,
            deletions=self.deletions,
            secret_names=lambda _key: self.world.secrets.keys(),
        )
        return await one.reconcile(KEY)

    def states(self) -> list[str]:
        assert self.world.object is not None
        return [item["state"] for item in self.world.object["status"]["tokens"]]


@pytest.fixture
def life() -> Life:
    return Life(World())


async def begun(life: Life, **spec: Any) -> str:
    """Apply and reconcile; the first token."""
    life.world.apply(**spec)
    await life.reconcile()
    return life.world.secret()["token"]


async def rotated(life: Life, value: str = "now") -> str:
    life.world.annotate(ROTATE_ANNOTATION, value)
    await life.reconcile()
    return life.world.secret()["token"]
