"""HTTP server: the page's files, the built-in clip, and a WebSocket per session."""

import asyncio
import socket as sockets_of_the_system
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from aiohttp import WSCloseCode, web

from siamcorr.web.access import Access
from siamcorr.web.clip import Clip
from siamcorr.web.limits import Limits
from siamcorr.web.networks import Networks
from siamcorr.web.sessions import Session
from siamcorr.web.sockets import error_message, new_socket, refuse, talk

PAGE = Path(__file__).parent / "page"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FILES = {path.name: path for path in PAGE.iterdir() if path.suffix in TYPES}
# Only our own scripts, styles and images; no other site may embed the page in a frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",  # the address may hold the token
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(self), microphone=()",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """State shared by all requests.

    Args:
        networks: offered to the pages.
        access: rules for requests.
        model: first model of a session.
        device: first device of a session.
        limits: see `Limits`.
        clip: the built-in clip.
    """

    def __init__(
        self,
        networks: Networks,
        access: Access,
        model: str,
        device: str,
        limits: Limits | None = None,
        clip: Clip | None = None,
    ) -> None:
        self.networks, self.access = networks, access
        self.model, self.device = model, device
        self.limits, self.clip = limits or Limits(), clip or Clip()
        self.open: set[web.WebSocketResponse] = set()
        # One thread per session, and one for the clip, so that no session waits for another.
        self.pool = ThreadPoolExecutor(self.limits.sessions + 1, "siamcorr-web")

    def app(self) -> web.Application:
        """The application; its cleanup shuts down the thread pool."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._index)
        app.router.add_get("/page/{name}", self._file)
        app.router.add_get(r"/clip/{index:\d{1,6}}.jpg", self._picture)
        app.router.add_get("/ws", self._session)
        app.on_response_prepare.append(_add_headers)
        app.on_shutdown.append(self._hang_up)
        app.on_cleanup.append(self._end)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self.access.check_host(request.headers.get("Host"))
            if not request.path.startswith("/page/"):  # public files of the package
                self.access.check_token(request.query.get("token"))
            if request.path == "/ws":
                origin, host = request.headers.get("Origin"), request.headers.get("Host")
                self.access.check_origin(origin, host)
        except PermissionError as error:
            return web.Response(status=403, text=f"{error}\n")
        return await handler(request)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / "index.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = FILES.get(request.match_info["name"])
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path, headers={"Content-Type": TYPES[path.suffix]})

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        loop, index = asyncio.get_running_loop(), int(request.match_info["index"])
        try:
            picture = await loop.run_in_executor(self.pool, self.clip.picture, index)
        except IndexError:
            raise web.HTTPNotFound from None
        frames = {"Clip-Frames": str(self.clip.config.frames)}
        return web.Response(body=picture, content_type="image/jpeg", headers=frames)

    async def _session(self, request: web.Request) -> web.StreamResponse:
        socket = new_socket(self.limits)
        await socket.prepare(request)
        if len(self.open) >= self.limits.sessions:
            text = f"full: all {self.limits.sessions} sessions are taken, try again later"
            await refuse(socket, text, WSCloseCode.TRY_AGAIN_LATER)
            return socket
        self.open.add(socket)
        try:
            await self._serve(socket)
        except ExceptionGroup:  # a bug of the server: aiohttp logs it
            await refuse(socket, "the server failed, see its log", WSCloseCode.INTERNAL_ERROR)
            raise
        finally:
            self.open.discard(socket)
        return socket

    async def _serve(self, socket: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        first = (self.networks, self.limits, self.model, self.device)
        try:
            session = await loop.run_in_executor(self.pool, Session, *first)
        except (ValueError, OSError, RuntimeError) as error:
            await socket.send_json(error_message(str(error)))
            return
        with suppress(ConnectionResetError):  # the page was closed
            await socket.send_json(session.hello())
            await talk(socket, session, self.pool)

    async def _hang_up(self, app: web.Application) -> None:
        for socket in [*self.open]:
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server ended")

    async def _end(self, app: web.Application) -> None:
        self.pool.shutdown(cancel_futures=True)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def bind(host: str, port: int) -> sockets_of_the_system.socket:
    """Open a listening socket; port 0 takes any free port.

    Raises:
        OSError: the port is in use, or the address is unknown or not of this machine.
    """
    family = sockets_of_the_system.AF_INET6 if ":" in host else sockets_of_the_system.AF_INET
    try:
        return sockets_of_the_system.create_server((host, port), family=family)
    except OSError as error:
        # Python appends the address to the system's message; we put it first instead.
        text = str(error.strerror or error).partition(" (while attempting")[0]
        raise OSError(error.errno, text, f"{host}:{port}") from None


def run(server: Server, listening: sockets_of_the_system.socket) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    web.run_app(server.app(), sock=listening, print=None, access_log=None, shutdown_timeout=5.0)
