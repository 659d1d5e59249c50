"""A socket to serve on: bound before anything is loaded, open to others only behind a token."""

from __future__ import annotations

import ipaddress
import os
import socket

from gigafactory.errors import SpecError


def listening(host: str, port: int, *, has_token: bool) -> socket.socket:
    """Return a socket that is bound; beyond this machine only if clients must show a token.

    Raises:
        SpecError: No such address, it is taken, or it is open to others without a token.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if (
            not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback
            and not has_token
        ):
            raise SpecError(
                f"serve: host {host} can be reached from other machines; name the environment "
                "variable that holds the token clients must show: --token-env NAME",
                field="host",
            )
        return socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecError(f"serve: cannot listen on {host}:{port}: {reason}", field="port") from None


def url_of(bound: socket.socket) -> str:
    """Return where the API of a bound socket begins."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def token_in(variable: str | None, command: str, option: str = "--token-env") -> str:
    """Return the token that an environment variable holds, "" where none is named.

    Raises:
        SpecError: The variable is not set, or empty.
    """
    if variable is None:
        return ""
    token = os.environ.get(variable, "").strip()
    if not token:
        raise SpecError(
            f"{command}: {option} names {variable}, which is not set or empty",
            field=option.strip("-").replace("-", "_"),
        )
    return token
