"""A server that runs for as long as a test visits it; not to be imported without aiohttp."""

import asyncio
from contextlib import asynccontextmanager

from aiohttp.test_utils import TestClient, TestServer


def meet(server, work):
    """Run `work(client)` while the server runs."""

    async def run():
        async with asyncio.timeout(30), TestClient(TestServer(server.app())) as client:
            return await work(client)

    return asyncio.run(run())


@asynccontextmanager
async def page(client, path="/ws", **options):
    """A socket that has been greeted; what it was sent is `page.hello`."""
    async with client.ws_connect(path, max_msg_size=0, **options) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        yield socket
