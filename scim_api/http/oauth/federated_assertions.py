"""Client assertions that Entra signs for a workload identity, against the trusts of one client.

Stock verifiers of RFC 7523 refuse them: ``sub`` is not the client, ``aud`` not this server, and there is no ``jti``.
What a trust names takes their place.
"""

from scim_api.contract.admin import WorkloadIdentityTrust
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.oauth.claims import check_claims
from scim_api.http.oauth.issuer_keys import IssuerKeyCache
from scim_api.http.oauth.jwt_form import UnverifiedJwt, decode_claims, take_apart
from scim_api.http.oauth.key_set import has_signed
from scim_api.store.protocol import ClientCredential, TokenClient


class FederatedAssertions:
    """Verifies assertions: an ``AssertionVerifier``.

    The signature comes before the claims, for it can be verified whatever they are; so what a refusal tells of claims
    is what the issuer signed.

    Args:
        keys: of the issuers.
    """

    def __init__(self, keys: IssuerKeyCache) -> None:
        self._keys = keys

    async def verify(self, client: TokenClient, assertion: str, now: float) -> ClientCredential:
        """The newest trust that it meets, among those of the client that are accepted now.

        Args:
            client: by the ``client_id`` that came with it.
            assertion: a JWT, as sent; of any length and content.
            now: the database's clock, as a POSIX time in seconds.

        Raises:
            AssertionRefused: it meets none; the reason is that of the newest.
            Unavailable: the database had to be asked for keys and did not answer.
        """
        refusals: list[AssertionRefused] = []
        jwt: UnverifiedJwt | None = None
        for credential in client.credentials:
            if credential.trust is None or credential.is_revoked or now >= credential.ends_at:
                continue
            jwt = jwt or take_apart(assertion)
            try:
                await self._check(jwt, credential.trust, now)
            except AssertionRefused as refusal:
                refusals.append(refusal)
            else:
                return credential
        raise refusals[0] if refusals else AssertionRefused("trust", "a trust that has not ended")

    async def _check(self, jwt: UnverifiedJwt, trust: WorkloadIdentityTrust, now: float) -> None:
        key = await self._keys.find(trust.keys_url, jwt.kid, now)
        if not has_signed(key, jwt.signing_input, jwt.signature):
            raise AssertionRefused("signature", f"that of a key which is published at {trust.keys_url}")
        check_claims(decode_claims(jwt.payload), trust, now)
