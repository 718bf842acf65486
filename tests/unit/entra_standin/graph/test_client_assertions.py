"""ServiceAccounts' tokens and certificates in the place of a secret, and what is said of each wrong one."""

from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from entra_standin.graph import Caller, FederatedCredential, MicrosoftCloud, Tenant
from entra_standin.graph.registrations import EXCHANGE_AUDIENCE
from entra_standin.signing_keys import SigningKeys
from entra_standin.token_endpoint import ASSERTION_TYPE
from unit.entra_standin.graph.certified import Certified, certificate
from unit.entra_standin.graph.graph_client import Clock, GraphClient

ISSUER = "https://cluster.example"
SUBJECT = "system:serviceaccount:customers:entra"
Sign = Callable[..., str]


@pytest.fixture(scope="module")
def keys() -> SigningKeys:
    return SigningKeys()


@pytest.fixture
def cloud(clock: Clock, keys: SigningKeys) -> Iterator[MicrosoftCloud]:
    with MicrosoftCloud(clock=clock, jwks=keys.jwks) as cloud:
        yield cloud


@pytest.fixture
def caller(tenant: Tenant) -> Caller:
    return tenant.add_caller(federated=[FederatedCredential(ISSUER, SUBJECT)])


@pytest.fixture
def graph(cloud: MicrosoftCloud, caller: Caller) -> GraphClient:
    return GraphClient(cloud, caller)


def code_of(graph: GraphClient, assertion: str) -> int:
    """0 when it passes, else the number after AADSTS."""
    answer = graph.token(client_assertion=assertion, client_assertion_type=ASSERTION_TYPE)
    if answer.status_code == 200:
        return 0
    assert assertion not in answer.text
    [code] = answer.json()["error_codes"]
    return int(code)


# -- ServiceAccounts --------------------------------------------------------------------------------
@pytest.fixture
def projected(clock: Clock, keys: SigningKeys) -> Sign:
    """A ServiceAccount's token as Kubernetes projects it, with changes; None leaves a claim out."""

    def sign(**changes: Any) -> str:
        now = int(clock())
        claims = {
            "aud": [EXCHANGE_AUDIENCE],
            "exp": now + 3600,
            "iat": now,
            "iss": ISSUER,
            "jti": "6b1c0f5e",
            "kubernetes.io": {"namespace": "customers", "serviceaccount": {"name": "entra"}},
            "nbf": now,
            "sub": SUBJECT,
            **changes,
        }
        return keys.sign({name: value for name, value in claims.items() if value is not None})

    return sign


def test_a_service_accounts_token_signs_in(graph: GraphClient, projected: Sign) -> None:
    assert code_of(graph, projected()) == 0
    assert code_of(graph, projected(aud=EXCHANGE_AUDIENCE)) == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://other.example"}, 700211),
        ({"sub": "system:serviceaccount:customers:default"}, 700213),
        ({"sub": "system:serviceaccount:other:entra"}, 700213),
        ({"sub": SUBJECT.upper()}, 7002138),
        ({"aud": ["https://kubernetes.default.svc"]}, 700212),
        ({"aud": [EXCHANGE_AUDIENCE.lower()]}, 700212),
        ({"aud": [EXCHANGE_AUDIENCE, "another"]}, 700212),
    ],
    ids=["issuer", "name", "namespace", "letters", "audience", "letters-of-audience", "two-audiences"],
)
def test_a_token_for_which_there_is_no_federated_credential_is_told_what_differs(
    graph: GraphClient, projected: Sign, changes: dict[str, Any], code: int
) -> None:
    assert code_of(graph, projected(**changes)) == code


def test_without_any_federated_credential_all_is_told(
    graph: GraphClient, caller: Caller, projected: Sign
) -> None:
    caller.federated = []
    answer = graph.token(client_assertion=projected(), client_assertion_type=ASSERTION_TYPE)
    assert answer.json()["error_codes"] == [70021]
    for part in (ISSUER, SUBJECT, EXCHANGE_AUDIENCE):
        assert part in answer.json()["error_description"]


def test_a_new_federated_credential_takes_a_while(
    graph: GraphClient, caller: Caller, clock: Clock, projected: Sign
) -> None:
    caller.federated = [FederatedCredential(ISSUER, SUBJECT, works_from=clock() + 120)]
    assert code_of(graph, projected()) == 70021
    clock.advance(seconds=120)
    assert code_of(graph, projected()) == 0


def test_an_application_has_at_most_twenty_of_them(caller: Caller) -> None:
    caller.federate(*(FederatedCredential(ISSUER, f"{SUBJECT}-{number}") for number in range(19)))
    with pytest.raises(ValueError, match="at most 20"):
        caller.federate(FederatedCredential(ISSUER, "one more"))


@pytest.mark.parametrize(
    ("shift", "code"),
    [
        ({"exp": -299}, 0),
        ({"exp": -300}, 700024),
        ({"nbf": 300}, 0),
        ({"nbf": 301}, 700024),
    ],
    ids=["just-ended", "ended", "just-before", "before"],
)
def test_clocks_may_differ_by_five_minutes(
    graph: GraphClient, clock: Clock, projected: Sign, shift: dict[str, int], code: int
) -> None:
    assert code_of(graph, projected(**{name: int(clock()) + by for name, by in shift.items()})) == code


def test_another_key_than_the_issuers_is_refused(
    graph: GraphClient, cloud: MicrosoftCloud, projected: Sign
) -> None:
    cloud.issuers[ISSUER] = SigningKeys().jwks()
    assert code_of(graph, projected()) == 7000272


def test_another_key_under_the_issuers_name_is_refused(
    graph: GraphClient, clock: Clock, keys: SigningKeys
) -> None:
    now = int(clock())
    claims = {"aud": EXCHANGE_AUDIENCE, "exp": now + 60, "iss": ISSUER, "sub": SUBJECT}
    assert code_of(graph, SigningKeys().sign(claims, kid=keys.kid)) == 7000272
    assert code_of(graph, keys.sign(claims)) == 0


def test_keys_are_fetched_for_each_exchange(graph: GraphClient, keys: SigningKeys, projected: Sign) -> None:
    assert code_of(graph, projected()) == 0
    keys.rotate()
    assert code_of(graph, projected()) == 0


def test_an_issuer_that_cannot_be_reached_is_told(
    graph: GraphClient, cloud: MicrosoftCloud, projected: Sign
) -> None:
    def down() -> dict[str, Any]:
        raise OSError("unreachable")

    cloud.issuers[ISSUER] = down
    assert code_of(graph, projected()) == 50166


def test_an_issuer_without_keys_is_told(clock: Clock, projected: Sign) -> None:
    with MicrosoftCloud(clock=clock) as cloud:
        caller = cloud.add_tenant().add_caller(federated=[FederatedCredential(ISSUER, SUBJECT)])
        assert code_of(GraphClient(cloud, caller), projected()) == 50166


@pytest.mark.parametrize("assertion", ["x", "a.b.c", "ey.ey.ey"])
def test_what_is_no_jwt_is_told(graph: GraphClient, assertion: str) -> None:
    answer = graph.token(client_assertion=assertion, client_assertion_type=ASSERTION_TYPE)
    assert answer.json()["error_codes"] == [50027]


def test_an_assertion_needs_its_type(graph: GraphClient, projected: Sign) -> None:
    assert graph.token(client_assertion=projected()).json()["error_codes"] == [900144]


# -- certificates -----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def certified() -> Certified:
    return Certified(Clock().now)


@pytest.fixture
def holder(tenant: Tenant, certified: Certified) -> Caller:
    return tenant.add_caller(certificate_pem=certified.pem)


@pytest.fixture
def signing(cloud: MicrosoftCloud, holder: Caller) -> GraphClient:
    return GraphClient(cloud, holder)


@pytest.fixture
def own(clock: Clock, cloud: MicrosoftCloud, holder: Caller, certified: Certified) -> Sign:
    """An application's own JWT, with changes; None leaves one out."""

    def sign(algorithm: str = "PS256", header: dict[str, str] | None = None, **changes: Any) -> str:
        now = int(clock())
        claims = {
            "aud": cloud.token_url(holder.home),
            "exp": now + 600,
            "iss": holder.client_id,
            "jti": "1",
            "nbf": now,
            "sub": holder.client_id,
            **changes,
        }
        sent = {name: value for name, value in claims.items() if value is not None}
        head = {"x5t#S256": certified.thumbprint} if header is None else header
        return jwt.encode(sent, certified.key, algorithm=algorithm, headers=head)

    return sign


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_a_registered_certificate_signs_in(signing: GraphClient, own: Sign, algorithm: str) -> None:
    assert code_of(signing, own(algorithm)) == 0


def test_microsofts_own_url_may_be_the_audience(signing: GraphClient, own: Sign) -> None:
    url = f"https://login.microsoftonline.com/{signing.tenant_id}/oauth2/v2.0/token"
    assert code_of(signing, own(aud=url)) == 0


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://graph.microsoft.com"}, 700023),
        ({"sub": "somebody-else"}, 700021),
        ({"jti": None}, 50027),
        ({"exp": 1}, 700024),
        ({"algorithm": "RS512"}, 700027),
        ({"header": {}}, 50027),
        ({"header": {"x5t#S256": "unknown"}}, 700027),
    ],
    ids=["audience", "subject", "no-jti", "ended", "algorithm", "no-thumbprint", "thumbprint"],
)
def test_an_assertion_that_is_not_exactly_right_is_refused(
    signing: GraphClient, own: Sign, changes: dict[str, Any], code: int
) -> None:
    assert code_of(signing, own(**changes)) == code


def test_another_key_than_the_certificates_is_refused(
    signing: GraphClient, own: Sign, certified: Certified, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certified, "key", rsa.generate_private_key(65537, 2048))
    assert code_of(signing, own()) == 700027


def test_a_renewed_certificate_must_be_registered_and_the_old_one_can_go(
    signing: GraphClient, holder: Caller, own: Sign, certified: Certified, clock: Clock
) -> None:
    renewed = Certified(clock())
    holder.add_certificate(renewed.pem)
    assert code_of(signing, own()) == 0
    holder.remove_certificate(certified.thumbprint)
    assert code_of(signing, own()) == 700027


def test_an_expired_certificate_is_refused(signing: GraphClient, own: Sign, clock: Clock) -> None:
    clock.advance(days=1, seconds=1)
    assert code_of(signing, own()) == 700027


def test_only_rsa_certificates_can_be_registered(holder: Caller, clock: Clock) -> None:
    pem = certificate(ec.generate_private_key(ec.SECP256R1()), clock()).public_bytes(Encoding.PEM)
    with pytest.raises(TypeError, match="RSA"):
        holder.add_certificate(pem)
