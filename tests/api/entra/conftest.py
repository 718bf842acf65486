"""Tenants to talk to as Entra does, in one service for each module."""

from support.shared_scim import by_name, connect, contoso, scim

__all__ = ["by_name", "connect", "contoso", "scim"]
