"""A ScimToken's life for property tests: ports that lose answers, an operator that is killed, and all that may happen."""

import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from scim_api.contract.admin import Connection, PutConnection
from scim_operator.api.custom_object import ROTATE_ANNOTATION, Key
from scim_operator.api.scimtoken import REVOKE_ANNOTATION, TOKENS_ANNOTATION, ScimToken
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

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
OF_TOKENS = ("token", "next-token", "token-id", "annotation")
OF_ALL_TYPES = (*OF_TOKENS, "client-secret", "next-client-secret", "client-secret-id", "client-id")
"""What of a Secret is edited."""


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
        self, owner: ScimToken, draft: SecretDraft, present: SecretSnapshot
    ) -> SecretSnapshot:
        view = await super().replace_secret(owner, draft, present)
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

    def plaintext(self) -> str:
        """What the Secret publishes; empty when that is nothing secret."""
        secret = self.world.secret()
        return secret.get("client-secret", secret.get("token", ""))

    def published_id(self) -> str:
        """The public name of what it publishes."""
        assert self.world.object is not None
        listed = self.world.object["status"]["tokens"]
        return next((str(item["id"]) for item in listed if item["state"] == "Active"), "")

    def check(self) -> None:
        """The promises, at this instant."""
        plaintext = self.plaintext()
        if plaintext in self.world.published:
            assert self.world.accepts(plaintext) or self.world.now >= self.world.published[plaintext]
        self.check_expired()
        assert self.world.live() <= MAX_LIVE_TOKENS

    def check_settled(self) -> None:
        """After a settled reconcile: what stands in the Secret is accepted, and nothing is half done."""
        secret, wanted = self.world.secret(), self.token().understood_spec.auth
        if wanted.trust is None:
            assert self.world.accepts(self.plaintext())
        else:
            assert secret.keys() == {"endpoint", "token-endpoint", "client-id"}
            assert wanted.trust in {item.trust for item in self.world.accepted()}
        assert ("client-secret" in secret) is (wanted.kind == "ClientSecret")
        assert [token for token in self.world.former if self.world.accepts(token)] == []
        assert not {"next-token", "next-client-secret"} & secret.keys()
        assert self.world.condition()["status"] == "True"

    def check_expired(self) -> None:
        for token, end in self.world.published.items():
            assert not (self.world.now >= end and self.world.accepts(token))


duration = st.tuples(st.integers(60, 400), st.sampled_from("mhd")).map(lambda pair: f"{pair[0]}{pair[1]}")


IDENTITY = {
    "tenantID": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "audiences": ["api://app"],
}
trusts: st.SearchStrategy[dict[str, Any]] = st.lists(
    st.sampled_from(["s1", "s2", "s3"]), min_size=1, max_size=3, unique=True
).map(lambda subjects: {"type": "WorkloadIdentity", "workloadIdentity": IDENTITY | {"subjects": subjects}})
auths: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), st.just({"type": "OAuthClientCredentials"}), trusts
)


@st.composite
def specs(draw: st.DrawFn, auth: st.SearchStrategy[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A spec the CRD would accept, of a bearer token unless ``auth`` says otherwise."""
    lifetime = draw(duration)
    spec: dict[str, Any] = {"lifetime": lifetime}
    seconds = int(lifetime[:-1]) * SECONDS[lifetime[-1]]
    if draw(st.booleans()):
        spec["rotateBefore"] = f"{draw(st.integers(1, seconds // 2))}s"
    spec["overlap"] = draw(
        st.one_of(
            st.sampled_from(["untilExpiry", "untilInUse", "0s"]),
            st.integers(1, seconds).map(lambda n: f"{n}s"),
        )
    )
    spec["suspend"] = draw(st.sampled_from([False, False, False, True]))
    if auth is not None:
        spec["auth"] = draw(auth)
    return spec


def events(
    spec: st.SearchStrategy[dict[str, Any]], edited: tuple[str, ...] = OF_TOKENS
) -> st.SearchStrategy[tuple[str, Any]]:
    """What may happen; times in lifetimes."""
    return st.one_of(
        st.tuples(st.just("sleep"), st.floats(0.01, 6)),
        st.tuples(st.just("absent"), st.floats(0.01, 3)),
        st.tuples(st.just("spec"), spec),
        st.tuples(st.just("rotate"), st.text("abc", min_size=1, max_size=3)),
        st.tuples(st.just("kill"), st.integers(0, 12)),
        st.tuples(st.just("lose answer"), st.integers(0, 6)),
        st.tuples(st.just("clock"), st.floats(-120, 120)),
        st.tuples(st.just("revoke"), st.sampled_from(["all-superseded", "all-before", "active", "none"])),
        st.tuples(st.just("use"), st.integers(0, 5)),
        st.tuples(st.just("delete secret"), st.none()),
        st.tuples(st.just("edit secret"), st.sampled_from(edited)),
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
            named["active"] = life.published_id()
            world.annotate(REVOKE_ANNOTATION, named.get(value, value))
        case "use":
            good = [token for token in world.published if world.accepts(token)]
            if good:
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
                if good:
                    secret.version += 1
                    plaintext = good[value % len(good)]
                    key = "token" if plaintext.startswith(PLAINTEXTS["BearerToken"]) else "client-secret"
                    secret.data[key] = plaintext
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
