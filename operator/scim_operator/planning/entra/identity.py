"""As whom the operator signs in at Microsoft's login, from ``spec.entra.signIn`` and the Secret that it names. Pure."""

from collections.abc import Mapping

from scim_operator.api.custom_object import Key
from scim_operator.api.entra import EntraSignInSpec
from scim_operator.planning.entra.ports import (
    CertificateIdentity,
    ClientSecretIdentity,
    EntraError,
    Identity,
    Obstacle,
    ServiceAccountIdentity,
)

TLS_KEYS = ("tls.crt", "tls.key")
"""Of a Secret of type kubernetes.io/tls."""


def secret_name(sign_in: EntraSignInSpec) -> str | None:
    """The Secret that has to be read first; None when none has to be."""
    reference = sign_in.client_secret_ref or sign_in.certificate_ref
    return None if reference is None else reference.name


def identity_of(key: Key, sign_in: EntraSignInSpec, data: Mapping[str, str] | None) -> Identity:
    """The identity.

    Args:
        key: of the ScimToken, in whose namespace everything is.
        sign_in: from its spec.
        data: of the Secret that ``secret_name`` names; None when there is none of that name.

    Raises:
        EntraError: the Secret is missing, or a key of it.
    """
    if sign_in.service_account_ref is not None:
        return ServiceAccountIdentity(sign_in.client_id, key.namespace, sign_in.service_account_ref.name)
    name = secret_name(sign_in)
    if data is None:
        raise EntraError(
            Obstacle.IDENTITY_NOT_READABLE,
            f"spec.entra.signIn names Secret {name}, and there is none in namespace {key.namespace}: create it there",
        )
    if sign_in.client_secret_ref is not None:
        value = _value(data, sign_in.client_secret_ref.key, key, name)
        return ClientSecretIdentity(sign_in.client_id, value.strip())
    certificate, private_key = (_value(data, part, key, name) for part in TLS_KEYS)
    return CertificateIdentity(sign_in.client_id, certificate, private_key)


def _value(data: Mapping[str, str], part: str, key: Key, name: str | None) -> str:
    value = data.get(part, "")
    if not value.strip():
        raise EntraError(
            Obstacle.IDENTITY_NOT_READABLE,
            f"Secret {key.namespace}/{name}, which spec.entra.signIn names, has no key {part}, or an empty one; "
            f"kubectl describe secret {name} -n {key.namespace} lists its keys",
        )
    return value
