"""The operator's proof, by which its own sign-ins are known: how it is sent. ``signing`` makes and verifies it.

Apart from that module, because every request is searched for a proof, and few services need what verifies one.
"""

from typing import Final

PROOF_AGENT: Final = "scim-operator-proof"
"""User-Agent of the operator's own sign-ins. Anybody can write it, so nothing depends on it: see ``sign_proof``."""
PROOF_HEADER: Final = "Scim-Operator-Proof"
"""Carries ``signing.sign_proof``: this sign-in is the operator's own, and no use of the credential."""
