"""What the operator and the API import, imported once for all that a test starts; see ``forked``."""

import gc

# A process that is forked reads these modules; the garbage collector would write to each object, and so copy it.
gc.disable()

import scim_api.cli.console.command  # noqa: E402
import scim_api.server.serve  # noqa: E402
import scim_operator.app  # noqa: E402

gc.freeze()
gc.enable()
__all__ = ["scim_api", "scim_operator"]
