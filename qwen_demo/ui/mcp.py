"""Lets MCP in where the page has a login.

Gradio answers an MCP call by asking its own server over HTTP, as a client that has not logged in.
Who may call MCP at all is decided before, at the door (`api/page_door.py`).
"""

import secrets
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr
    from gradio.routes import App

# No user can have this name, so nobody's log-out takes the pass away.
NAME = "mcp:"


def give_pass(demo: "gr.Blocks", app: "App") -> None:
    """Gradio's client of its own server gets a login of its own.

    The door has put this server's own address in the place of the caller's `Host`, and taken his cookies away.
    """
    from gradio_client import Client

    server = demo.mcp_server_obj
    assert server is not None and hasattr(server, "_get_or_create_client"), "another Gradio: find its loop-back"
    token = secrets.token_urlsafe(32)
    app.tokens[token] = NAME
    headers = {"x-gradio-user": "mcp", "cookie": f"access-token-unsecure-{app.cookie_id}={token}"}
    alone = threading.Lock()

    def client() -> Client:
        with alone:
            if server._client_instance is None:
                own = server.mcp_server.request_context.request.headers["host"]
                server._client_instance = Client(
                    f"http://{own}/",
                    headers=headers,
                    download_files=False,
                    verbose=False,
                    analytics_enabled=False,
                    _skip_components=False,
                )
            return server._client_instance

    server._get_or_create_client = client
