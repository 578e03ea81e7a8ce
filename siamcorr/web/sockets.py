"""WebSocket of a page: one task reads messages, another answers them one after the other.

With two tasks, the server notices a page that does not wait for answers. Tracking runs in a thread
pool, so that no session blocks the sockets of others.
"""

import asyncio
from concurrent.futures import Executor
from contextlib import suppress

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMsgType, web

from siamcorr.web.limits import Limits, Pace
from siamcorr.web.messages import Message
from siamcorr.web.sessions import Session

HEARTBEAT = 20.0  # seconds; detects pages that left without closing the socket


def new_socket(limits: Limits) -> web.WebSocketResponse:
    """A socket that refuses large messages, and compressed ones, whose size is unknown."""
    return web.WebSocketResponse(
        max_msg_size=limits.message_bytes, compress=False, heartbeat=HEARTBEAT
    )


async def refuse(socket: web.WebSocketResponse, text: str, code: WSCloseCode) -> None:
    """Send the reason and close the socket."""
    with suppress(ClientConnectionResetError):
        await socket.send_json(error_message(text))
    await socket.close(code=code, message=text.encode()[:120])


async def talk(socket: web.WebSocketResponse, session: Session, pool: Executor) -> None:
    """Answer messages until the page closes the socket or exceeds the limits."""
    waiting = session.limits.waiting
    inbox: asyncio.Queue[str | bytes] = asyncio.Queue(waiting)
    async with asyncio.TaskGroup() as group:
        answering = group.create_task(_answer(socket, session, inbox, pool))
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            if inbox.full():
                text = f"flood: more than {waiting} messages sent without waiting for an answer"
                await refuse(socket, text, WSCloseCode.POLICY_VIOLATION)
                break
            inbox.put_nowait(message.data)
        answering.cancel()


async def _answer(
    socket: web.WebSocketResponse,
    session: Session,
    inbox: asyncio.Queue[str | bytes],
    pool: Executor,
) -> None:
    loop, pace = asyncio.get_running_loop(), Pace(session.limits.messages_per_second)
    while True:
        message = await inbox.get()
        await asyncio.sleep(pace.delay(loop.time()))
        answer = await loop.run_in_executor(pool, _safe_answer, session, message)
        with suppress(ClientConnectionResetError):  # the reading side ends the session
            await socket.send_json(answer)


def _safe_answer(session: Session, message: str | bytes) -> Message:
    """The answer, or an error message; torch raises RuntimeError when out of memory."""
    try:
        return session.answer(message)
    except (ValueError, OSError, RuntimeError) as error:
        return error_message(" ".join(str(error).split())[:300])


def error_message(text: str) -> Message:
    """An error as a message."""
    return {"type": "error", "text": text}
