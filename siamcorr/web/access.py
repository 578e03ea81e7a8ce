"""Who may come in: by the name in the address, by the page that asks, by the token.

A page of a stranger can make a browser send requests here. It can not choose their Host and
Origin headers: the first is the name that the browser looked up, the second where the page came
from. So a name that somebody let point here (DNS rebinding) and a socket that a foreign page
opens are both told from our own.
"""

import hmac
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Access:
    """The rules for one server.

    host: the address that it is bound to.
    token: what every address must carry as ?token=…; None asks for none.
    """

    host: str
    token: str | None = None

    def check_host(self, header: str | None) -> None:
        """Refuse a request that was not sent to a name of this machine.

        Bound to the loopback interface only its names count. Bound elsewhere any numeric address
        does as well, since no name was looked up then, and what the machine calls itself.

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
        """Refuse a socket that another site's page opens; what is no browser sends no Origin.

        Raises:
            PermissionError: the page came from elsewhere.
        """
        if origin is None:
            return
        scheme, _, netloc = origin.partition("://")
        if scheme not in ("http", "https") or netloc.lower() != (host or "").lower():
            raise PermissionError(f"Origin must be this server, got {origin[:80]!r}")

    def check_token(self, given: str | None) -> None:
        """Refuse whoever does not know the token.

        Raises:
            PermissionError: it is missing or wrong.
        """
        if self.token is None:
            return
        # As bytes: of text compare_digest takes ASCII only.
        if not hmac.compare_digest((given or "").encode("utf-8", "replace"), self.token.encode()):
            raise PermissionError("token missing or wrong: open the address that the server told")


def host_name(header: str) -> str:
    """The name in a Host header, without the port; empty where there is none.

    Example:
        >>> host_name("LocalHost:8000"), host_name("[::1]:8000"), host_name("a]b")
        ('localhost', '::1', '')
    """
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def is_address(name: str) -> bool:
    """Whether it is a numeric address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(name: str) -> bool:
    """Whether it names this machine, for itself only."""
    return name == "localhost" or (is_address(name) and ipaddress.ip_address(name).is_loopback)
