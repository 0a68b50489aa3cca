"""The address that the server listens on, taken before anything heavy is imported: what is wrong with it is said at once."""

import errno
import os
import socket

from qwen_demo.errors import SettingsError
from qwen_demo.settings import Settings

BACKLOG = 2048  # uvicorn's


def refuse_open_door(settings: Settings) -> None:
    """Others than this machine are served only with keys and users, or when that was asked for.

    Raises:
        SettingsError: neither is so.
    """
    protected = settings.api_keys_file and settings.page_users_file
    if not (settings.on_loopback or settings.open or protected):
        raise SettingsError(
            f"--host {settings.host} can be reached by others. Give --api-keys-file and --page-users-file, or say "
            "--open (QWEN_DEMO_OPEN=true) if anybody may use it, as behind a proxy that asks for itself."
        )


def listening_socket(settings: Settings) -> socket.socket:
    """A socket that listens on `--host` and `--port`; who connects waits until the server accepts.

    Raises:
        SettingsError: the port is in use, or the address is not this machine's.
    """
    where = f"port {settings.port} of {settings.host}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise SettingsError(f"--host {settings.host}: there is no such address ({error.strerror})") from error
    listening = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two programs share the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # At once, as a second program could still bind a port that nobody listens on.
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsError(_why(error, settings, where)) from error
    return listening


def own_address(listening: socket.socket) -> str:
    """Where this machine reaches the socket, whatever name or address others know."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _why(error: OSError, settings: Settings, where: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use; choose another with --port, or 0 for any free one"
    if error.errno == errno.EACCES:
        return f"{where} may not be used by this user; choose one above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {settings.host} is no address of this machine; 127.0.0.1 is for itself alone, 0.0.0.0 for all"
    return f"{where} cannot be used: {error.strerror}"
