"""TLS towards others, the same under every supported Python."""

import ssl


def without_strict_profile(context: ssl.SSLContext) -> ssl.SSLContext:
    """A context that verifies chain, times and names as Go's clients, kubectl and libpq do, and no more.

    From 3.13 on Python's default contexts ask for RFC 5280's profile to the letter (``VERIFY_X509_STRICT``). Authorities of
    clusters and of companies often lack what it wants, such as an authority key identifier or a key usage, and everybody
    else takes them.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
