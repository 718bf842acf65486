"""TLS towards the endpoint, the same under every supported Python."""

import ssl


def without_strict_profile(context: ssl.SSLContext) -> ssl.SSLContext:
    """A context that takes the authorities of companies that kubectl takes: from 3.13 on Python's default ones ask for
    RFC 5280's profile to the letter, such as an authority key identifier, which many lack.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
