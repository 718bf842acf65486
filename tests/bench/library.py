"""scim2-server as a contender: its own ASGI application, its in-memory storage, one uvicorn worker."""

import argparse
from typing import Any

import uvicorn
from scim2_server.applications.asgi import ASGIApplication
from scim2_server.memory import AsyncInMemoryStorage
from scim2_server.utils import load_default_provider


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    app = ASGIApplication(AsyncInMemoryStorage(), load_default_provider())

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        scope["root_path"] = "/scim"
        await app(scope, receive, send)

    uvicorn.run(mounted, host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
