"""Access checks: the Host header, the Origin header, the token.

A foreign page can make a browser send requests to this server, but it cannot choose their Host and
Origin headers: Host is the name that the browser looked up, Origin is where the page came from. So
the checks refuse DNS rebinding (a foreign name that points to this server) and sockets opened by
foreign pages.
"""

import hmac
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Access:
    """The access rules of a server.

    host: the address that the server is bound to.
    token: required in every URL as ?token=…; None requires no token.
    """

    host: str
    token: str | None = None

    def check_host(self, header: str | None) -> None:
        """Refuse a request that was not sent to a name of this machine.

        If the server is bound to the loopback interface, only loopback names are accepted.
        Otherwise also the machine's own name, and numeric addresses, which need no DNS lookup.

        Raises:
            PermissionError: another name, or none.
        """
        name = host_name(header or "")
        if is_loopback(name):
            return
        own = socket.gethostname().lower()
        known = name in (self.host.lower(), own, f"{own}.local") or is_address(name)
        if not name or is_loopback(self.host) or not known:
            raise PermissionError(f"Host must be this machine, got {(header or '')[:80]!r}")

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """Refuse a socket opened by another site's page; only browsers send an Origin.

        Raises:
            PermissionError: the page is from another server.
        """
        if origin is None:
            return
        scheme, _, netloc = origin.partition("://")
        if scheme not in ("http", "https") or netloc.lower() != (host or "").lower():
            raise PermissionError(f"Origin must be this server, got {origin[:80]!r}")

    def check_token(self, given: str | None) -> None:
        """Refuse a request without the token.

        Raises:
            PermissionError: the token is missing or wrong.
        """
        if self.token is None:
            return
        # As bytes, since compare_digest accepts only ASCII text.
        if not hmac.compare_digest((given or "").encode("utf-8", "replace"), self.token.encode()):
            raise PermissionError("token missing or wrong: open the URL that the server printed")


def host_name(header: str) -> str:
    """The name in a Host header, without the port; empty if there is none.

    Example:
        >>> host_name("LocalHost:8000"), host_name("[::1]:8000"), host_name("a]b")
        ('localhost', '::1', '')
    """
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def is_address(name: str) -> bool:
    """Whether a name is a numeric address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(name: str) -> bool:
    """Whether a name is localhost or a loopback address."""
    return name == "localhost" or (is_address(name) and ipaddress.ip_address(name).is_loopback)
