"""What the operator and the API import, imported once for all that a test starts; see ``forked``."""

import gc

import scim_api.cli.console.command
import scim_api.server.serve
import scim_operator.app

__all__ = ["scim_api", "scim_operator"]
# No process that is forked searches these modules for garbage, which writes to each object and so copies its page.
gc.freeze()
