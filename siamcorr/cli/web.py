"""`siamcorr web`: serve a web page for tracking; the network runs on this machine."""

import argparse
import secrets
import socket
from urllib.parse import quote

from siamcorr.adaptors.backends import DEFAULT
from siamcorr.cli.device import choose_device
from siamcorr.cli.validation import check_counts


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser("web", help="track in a web page")
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    add("--port", type=int, default=8000, metavar="N", help="0 picks a free one (default: 8000)")
    add("--model", default=DEFAULT, metavar="NAME", help=f"model at the start (default: {DEFAULT})")
    add("--device", default="auto", metavar="auto|cpu|cuda[:N]")
    add(
        "--token", metavar="TEXT", help="token for the URL (default: random if --host is not local)"
    )
    add("--max-sessions", type=int, default=4, metavar="N", help="limit of open pages (default: 4)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check all input and build the first network, then serve until Ctrl-C."""
    try:
        from siamcorr.web import server
    except ModuleNotFoundError as error:
        if error.name != "aiohttp":
            raise
        raise ValueError("web: aiohttp is missing: pip install 'siamcorr[web]'") from None
    from siamcorr.web.access import Access, is_loopback
    from siamcorr.web.limits import Limits
    from siamcorr.web.networks import Networks, offered_devices, offered_models

    if args.token == "":
        raise ValueError("--token must not be empty")
    if not 0 <= args.port <= 65535:
        raise ValueError(f"--port must be 0 to 65535, got {args.port}")
    check_counts(args, "max_sessions")
    device = _offered_name(str(choose_device(args.device)))
    networks = Networks(list(dict.fromkeys([args.model, *offered_models()])), offered_devices())
    networks.get(args.model, device)
    alone = is_loopback(args.host)
    token = args.token or (None if alone else secrets.token_urlsafe(16))
    limits = Limits(sessions=args.max_sessions)
    with server.bind(args.host, args.port) as listening:
        port = listening.getsockname()[1]
        print(address(args.host, port, token), flush=True)
        if not alone:
            print(f"webcams need localhost: ssh -L {port}:localhost:{port} {socket.gethostname()}")
            print(address("localhost", port, token), flush=True)
        access = Access(args.host, token)
        server.run(server.Server(networks, access, args.model, device, limits), listening)
    return 130  # as after any Ctrl-C


def address(host: str, port: int, token: str | None) -> str:
    """Return the URL to open in the browser.

    Example:
        >>> address("::1", 8000, "a b")
        'http://[::1]:8000/?token=a%20b'
    """
    if host in ("0.0.0.0", "::"):  # every address of this machine
        host = socket.gethostname()
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={quote(token, safe='')}" if token else "")


def _offered_name(device: str) -> str:
    return "cuda:0" if device == "cuda" else device
