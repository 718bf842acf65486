"""``plan`` through years of simulated time, with everything that can happen to it on the way.

A simulated world executes its steps through the real reconcile on in-memory ports. Between two events time
passes or the clock jumps, specs change, tokens are revoked, answers to writes are lost, operators are killed in
the middle, Secrets are deleted or edited, and the API's database is thrown away. After every event the promises
are checked.
"""

import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scim_api.contract.admin import Connection, PutConnection
from scim_operator.api.scimtoken import (
    REVOKE_ANNOTATION,
    ROTATE_ANNOTATION,
    TOKENS_ANNOTATION,
    Key,
    ScimToken,
)
from scim_operator.controller.reconciler import Reconciler
from scim_operator.controller.workqueue import Result
from scim_operator.planning.planner import MAX_LIVE_TOKENS
from scim_operator.planning.ports import (
    KubernetesUnreachable,
    ScimApiUnreachable,
    SecretDraft,
    SecretSnapshot,
)
from support.operator_ports import FakeApi, FakeCluster, FakeVerifier
from support.operator_world import ENDPOINT, INSTALLATION, KEY, LEDGER_KEY, PLAINTEXTS, World

EXAMPLES = 100
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Thousands of rotations need no log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


class Killed(BaseException):
    """SIGKILL in the middle of a reconcile."""


async def no_pause(_seconds: float) -> None:
    """A lost write is followed by another reconcile at once."""


class LossyApi(FakeApi):
    """The write is done, and its answer may be lost."""

    def __init__(self, life: "Life") -> None:
        super().__init__(life.world, life.point)
        self._life = life

    async def put(self, key: Key, wanted: PutConnection, *, revision: str) -> Connection:
        answer = await super().put(key, wanted, revision=revision)
        if self._life.loses():
            raise ScimApiUnreachable("the answer was lost")
        return answer


class LossyCluster(FakeCluster):
    """The same with Kubernetes."""

    def __init__(self, life: "Life") -> None:
        super().__init__(life.world, life.point)
        self._life = life

    async def create_secret(self, owner: ScimToken, draft: SecretDraft) -> SecretSnapshot:
        view = await super().create_secret(owner, draft)
        self._answer()
        return view

    async def replace_secret(
        self, owner: ScimToken, draft: SecretDraft, *, resource_version: str
    ) -> SecretSnapshot:
        view = await super().replace_secret(owner, draft, resource_version=resource_version)
        self._answer()
        return view

    async def apply_status(self, owner: ScimToken, status: Mapping[str, object]) -> None:
        await super().apply_status(owner, status)
        self._answer()

    def _answer(self) -> None:
        if self._life.loses():
            raise KubernetesUnreachable("the answer was lost")


class Life:
    """One ScimToken's life, with an operator that comes and goes."""

    def __init__(self) -> None:
        self.world = World()
        self.numbers = iter(range(10**6))
        self.names = iter(range(10**6))
        self.kill_in: int | None = None
        self.lose_in: int | None = None

    async def point(self, label: str) -> None:
        """Each call of the outside: here the operator dies."""
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in < 0:
                self.kill_in = None
                raise Killed

    def loses(self) -> bool:
        """Whether the answer to the write that was just done is lost."""
        if self.lose_in is None:
            return False
        self.lose_in -= 1
        if self.lose_in >= 0:
            return False
        self.lose_in = None
        return True

    def reconcile(self) -> Result | None:
        """A fresh operator process reconciles it once; None when it was killed, or Kubernetes was not there."""
        point: Callable[[str], Awaitable[None]] = self.point
        one = Reconciler(
            api=LossyApi(self),
            cluster=LossyCluster(self),
            verifier=FakeVerifier(self.world, point),
            endpoint=ENDPOINT,
            ledger_key=LEDGER_KEY,
            installation_id=INSTALLATION,
            new_token=lambda kind: f"{PLAINTEXTS[kind]}-{next(self.numbers)}",
            new_id=lambda: f"id{next(self.names)}",
            pause=no_pause,
            clock=lambda: self.world.now,
        )
        going = one.reconcile(KEY)
        with contextlib.suppress(Killed, KubernetesUnreachable):
            try:
                going.send(None)  # the ports answer at once: there is nothing to wait for
            except StopIteration as end:
                outcome: Result = end.value
                return outcome
        return None

    def settle(self) -> None:
        """Reconcile until the operator asks for later only."""
        for _ in range(8):
            outcome = self.reconcile()
            if outcome is not None and not outcome.requeue and outcome.requeue_after != timedelta(0):
                return
        raise AssertionError(f"it does not settle: {outcome}")

    def sleep(self, duration: timedelta) -> None:
        """Time passes, and an operator that is there acts at each moment it asked for."""
        end = self.world.now + duration
        for _ in range(20_000):
            outcome = self.reconcile()
            assert outcome is not None
            rest = outcome.requeue_after if outcome.requeue_after is not None else duration
            if outcome.requeue:
                rest = timedelta(seconds=1)
            if self.world.now + rest >= end:
                self.check()
                break
            self.world.now += max(rest, timedelta(milliseconds=1))
            self.check_expired()
        self.world.now = end
        self.settle()
        self.check()

    def token(self) -> ScimToken:
        assert self.world.object is not None
        return ScimToken.from_object(self.world.object)

    def check(self) -> None:
        """The promises, at this instant."""
        secret = self.world.secret()
        if "token" in secret and secret["token"] in self.world.published:
            assert (
                self.world.accepts(secret["token"]) or self.world.now >= self.world.published[secret["token"]]
            )
        self.check_expired()
        assert self.world.live() <= MAX_LIVE_TOKENS

    def check_settled(self) -> None:
        """After a settled reconcile: what stands in the Secret is accepted, and nothing is half done."""
        secret = self.world.secret()
        assert self.world.accepts(secret["token"])
        assert [token for token in self.world.former if self.world.accepts(token)] == []
        assert "next-token" not in secret
        assert self.world.condition()["status"] == "True"

    def check_expired(self) -> None:
        for token, end in self.world.published.items():
            assert not (self.world.now >= end and self.world.accepts(token))


duration = st.tuples(st.integers(60, 400), st.sampled_from("mhd")).map(lambda pair: f"{pair[0]}{pair[1]}")


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A spec the CRD would accept."""
    lifetime = draw(duration)
    spec: dict[str, Any] = {"lifetime": lifetime}
    seconds = int(lifetime[:-1]) * SECONDS[lifetime[-1]]
    if draw(st.booleans()):
        spec["rotateBefore"] = f"{draw(st.integers(1, seconds // 2))}s"
    spec["overlap"] = draw(
        st.one_of(st.just("untilExpiry"), st.just("0s"), st.integers(1, seconds).map(lambda n: f"{n}s"))
    )
    spec["suspend"] = draw(st.sampled_from([False, False, False, True]))
    return spec


events = st.one_of(  # times in lifetimes
    st.tuples(st.just("sleep"), st.floats(0.01, 6)),
    st.tuples(st.just("absent"), st.floats(0.01, 3)),
    st.tuples(st.just("spec"), specs()),
    st.tuples(st.just("rotate"), st.text("abc", min_size=1, max_size=3)),
    st.tuples(st.just("kill"), st.integers(0, 12)),
    st.tuples(st.just("lose answer"), st.integers(0, 6)),
    st.tuples(st.just("clock"), st.floats(-120, 120)),
    st.tuples(st.just("revoke"), st.sampled_from(["all-superseded", "all-before", "active", "none"])),
    st.tuples(st.just("use"), st.integers(0, 5)),
    st.tuples(st.just("delete secret"), st.none()),
    st.tuples(st.just("edit secret"), st.sampled_from(["token", "next-token", "token-id", "annotation"])),
    st.tuples(st.just("restore secret"), st.integers(0, 5)),
    st.tuples(
        st.just("edit record"), st.sampled_from(["id", "digest", "issuedAt", "expiresAt", "supersededAt"])
    ),
    st.tuples(st.just("lose database"), st.none()),
    st.tuples(st.just("make anew"), st.integers(2, 9)),
    st.tuples(st.just("api down"), st.floats(0.01, 2)),
)


def happen(life: Life, kind: str, value: Any) -> None:
    world = life.world
    match kind:
        case "sleep":
            life.sleep(life.token().lifetime * value)
        case "absent":  # no operator for so long
            world.now += life.token().lifetime * value
            life.check_expired()
        case "spec":
            world.apply(**value)
        case "rotate":
            world.annotate(ROTATE_ANNOTATION, value)
        case "kill":
            life.kill_in = value
            life.reconcile()
            life.kill_in = None
        case "lose answer":
            life.lose_in = value
            life.reconcile()
            life.lose_in = None
        case "clock":  # the database's: it is set, or a replica with another one takes over
            world.now += timedelta(seconds=value)
        case "revoke":
            named = {"all-before": f"all-before/{world.now.isoformat()}", "none": ""}
            named["active"] = world.secret()["token-id"]
            world.annotate(REVOKE_ANNOTATION, named.get(value, value))
        case "use":
            good = [token for token in world.published if world.accepts(token)]
            world.use(good[value % len(good)])
        case "delete secret":
            world.secrets.clear()
        case "edit secret":
            for secret in world.secrets.values():
                secret.version += 1
                if value == "annotation":
                    secret.annotations.clear()
                else:
                    secret.data[value] = "garbage"
        case "restore secret":  # with a superseded token that is still good: it stays from then on
            good = [token for token in world.published if world.accepts(token)]
            for secret in world.secrets.values():
                secret.version += 1
                secret.data["token"] = good[value % len(good)]
        case "edit record":
            for secret in world.secrets.values():
                record = json.loads(secret.annotations.get(TOKENS_ANNOTATION, "{}"))
                for item in record.get("tokens", ()):
                    item[value] = "9999-12-31T23:59:59-01:00"
                secret.version += 1
                secret.annotations[TOKENS_ANNOTATION] = json.dumps(record)
        case "lose database":
            # A lost database together with a Secret that nobody has reconciled since it was damaged is a loss
            # of both records: nothing could know those tokens then.
            life.settle()
            world.lose_database()
            life.settle()
        case "make anew":  # deleted and created before anybody looked
            world.recreate(uid=f"{world.uid}.{value}")
        case "api down":
            world.api_down = True
            world.now += life.token().lifetime * value
            life.reconcile()
            world.api_down = False


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs(), st.lists(events, max_size=12))
def test_the_token_in_the_secret_is_accepted_whatever_happens_and_none_past_its_expiry(
    spec: dict[str, Any], history: list[tuple[str, Any]]
) -> None:
    life = Life()
    life.world.apply(**spec)
    life.settle()
    life.check_settled()
    for kind, value in history:
        if life.world.live() > MAX_LIVE_TOKENS - 3:
            break  # on-demand rotations have a bound of their own, tested elsewhere
        happen(life, kind, value)
        life.check()
        life.settle()
        life.check()
        life.check_settled()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    specs().filter(lambda spec: not spec["suspend"]),
    st.floats(0.1, 20),
    st.lists(st.integers(0, 12), max_size=6),
    st.lists(st.floats(-120, 120), max_size=6),
)
def test_at_most_three_tokens_live_through_years_and_none_of_those_published_is_ever_rejected_in_its_time(
    spec: dict[str, Any], lifetimes: float, kills: list[int], jumps: list[float]
) -> None:
    spec = {**spec, "overlap": "untilExpiry"}
    life = Life()
    life.world.apply(**spec)
    life.settle()
    lifetime = life.token().lifetime
    end = life.world.now + lifetime * lifetimes
    killing, jumping, latest = iter(kills), iter(jumps), life.world.now
    while life.world.now < end:
        life.kill_in = next(killing, None)
        life.reconcile()
        life.kill_in = None
        outcome = life.reconcile()
        assert outcome is not None
        assert life.world.live() <= 3
        refused = [
            token
            for token, until in life.world.published.items()
            if latest < until and not life.world.accepts(token)
        ]
        assert refused == []
        life.check_expired()
        assert outcome.requeue_after is not None
        life.world.now += max(outcome.requeue_after, timedelta(seconds=1))
        life.world.now += timedelta(seconds=next(jumping, 0.0))
        latest = max(latest, life.world.now)


@settings(max_examples=EXAMPLES, deadline=None)
@given(specs().filter(lambda spec: not spec["suspend"]))
def test_a_rotation_comes_rotate_before_the_expiry_and_not_earlier(spec: dict[str, Any]) -> None:
    life = Life()
    life.world.apply(**spec)
    life.settle()
    first, token = life.world.secret()["token"], life.token()
    due = life.world.published[first] - token.rotate_before
    life.world.now = due - timedelta(seconds=1)
    life.settle()
    assert life.world.secret()["token"] == first
    life.world.now = due
    life.settle()
    assert life.world.secret()["token"] != first


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(specs(), st.floats(0.01, 1.5)), min_size=2, max_size=6))
def test_no_change_of_lifetime_or_rotation_ends_an_issued_token_sooner_or_later(
    history: list[tuple[dict[str, Any], float]],
) -> None:
    """Each token lives exactly as long as it said when it was published, whatever the spec says afterwards."""
    life = Life()
    for spec, lifetimes in history:
        life.world.apply(**{**spec, "overlap": "untilExpiry"})
        life.settle()
        if life.world.live() > MAX_LIVE_TOKENS - 3:
            break
        told = dict(life.world.published)
        life.sleep(life.token().lifetime * lifetimes)
        assert {token for token in told if life.world.accepts(token)} == {
            token for token, end in told.items() if life.world.now < end
        }
        assert all(life.world.published[token] == end for token, end in told.items())
