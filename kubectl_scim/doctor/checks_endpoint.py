"""What ``doctor`` makes of the endpoint, asked from this machine without a credential. Pure."""

from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from kubectl_scim.doctor.facts import Answer, Failure, failed, not_checkable, passed
from kubectl_scim.scimtoken import pods_command
from kubectl_scim.text import seen, stamp
from scim_console.model import Check

SOON: Final = timedelta(days=21)
"""Before its end a certificate should have been renewed; of one that lasts less than nine weeks a third of its time."""
_ELSEWHERE: Final = frozenset({Failure.DNS, Failure.REFUSED, Failure.TIMEOUT, Failure.OTHER})
"""Failures that can be this machine's alone."""
_STATUS: Final = {
    403: (
        "403 before the SCIM API is asked: a firewall or a list of allowed addresses",
        "let Entra's addresses in (service tag AzureActiveDirectory)",
    ),
    404: (
        "404: host and TLS are right, the path is not",
        "let the Ingress pass /scim/v2 and all below it to the SCIM API without rewriting it",
    ),
    429: ("429: something in front of the SCIM API limits requests", "exempt /scim/v2 from that limit"),
}
_TRUSTED: Final = (
    "serve a certificate of a public authority, in its time, for this name, with its whole chain; Entra takes no other. "
    "If only this machine distrusts it: SSL_CERT_FILE names the authorities"
)
_FAILURES: Final = {
    Failure.CERTIFICATE: (
        "its certificate is not trusted",
        _TRUSTED,
    ),
    Failure.TLS: ("no TLS", "does that port speak HTTPS, TLS 1.2 or newer?"),
    Failure.DNS: (
        "its name does not resolve",
        "make its DNS record, or correct host or endpointUrl in the chart",
    ),
    Failure.REFUSED: (
        "it refuses connections",
        "nothing listens there: look at the Ingress controller and its Service",
    ),
    Failure.TIMEOUT: ("no answer in time", "look for a firewall between here and there"),
    Failure.OTHER: ("the connection failed", "look at the Ingress controller and at proxies in between"),
}


def reached(answer: Answer, *, inside_says_so: bool) -> Check:
    """Whether the SCIM API answers there.

    Args:
        answer: what a request came to.
        inside_says_so: the operator reaches it. Then it can be this machine alone that does not.
    """
    name, url = "endpoint from here", answer.url
    if answer.failure is not None:
        what, remedy = _FAILURES[answer.failure]
        text = f"{url}: {what} ({answer.detail})"
        if inside_says_so and answer.failure in _ELSEWHERE:
            return not_checkable(
                name, f"{text}; the operator reaches it", "ask from a machine outside of both networks"
            )
        return failed(name, text, remedy)
    status = answer.status or 0
    if status == 401 and answer.is_scim_error:
        return passed(name, f"{url} answers as a SCIM API and asks for a token")
    if status == 403 and inside_says_so:
        return not_checkable(
            name,
            f"{url} answers {_STATUS[403][0]}; the operator reaches it",
            "ask from a machine that is allowed",
        )
    if status in _STATUS:
        what, remedy = _STATUS[status]
        return failed(name, f"{url} answers {what}", remedy)
    if 300 <= status < 400:
        aim = urlsplit(answer.location or "")
        where = f"{aim.scheme}://{aim.netloc}" if aim.netloc else "another address"
        return failed(
            name,
            f"{url} answers {status} and sends on to {where}",
            "let endpointUrl in the chart be the final address: Entra follows no redirect",
        )
    if status in {401, 407}:
        return failed(
            name,
            f"{url} answers {status}, but not as a SCIM API: a proxy in front of it asks for a login of its own",
            "exempt /scim/v2 from it: Entra brings only its token",
        )
    if status >= 500:
        return failed(
            name,
            f"{url} answers {status}: the Ingress is there, the SCIM API behind it is not",
            pods_command("api"),
        )
    return failed(
        name, f"{url} answers {status} where a SCIM API asks for a token", "correct where the Ingress leads"
    )


def certificate(answer: Answer, now: datetime) -> Check:
    """Its certificate is for this host, trusted from here, and does not end soon.

    Args:
        answer: what a request came to.
        now: the time.
    """
    name, (scheme, _, rest) = "endpoint's certificate", answer.url.partition("://")
    host = rest.partition("/")[0]
    if scheme != "https":
        return failed(
            name, f"{answer.url} is without TLS", "serve it by https: Entra takes nothing else as Tenant URL"
        )
    if answer.failure is Failure.CERTIFICATE:
        return failed(name, f"{host}: {answer.detail}", _TRUSTED)
    found = answer.certificate
    if found is None:
        return not_checkable(name, f"{host} was not reached from here")
    names = ", ".join(found.names[:3]) + (", …" if len(found.names) > 3 else "")
    text = f"for {names}, ends at {stamp(found.not_after)} ({seen(found.not_after, now)})"
    if found.not_after - now < min(SOON, (found.not_after - found.not_before) / 3):
        return failed(
            name,
            text,
            "renew it: what renews it by itself (cert-manager: kubectl get certificate -A) has not done so",
        )
    return passed(name, text)
