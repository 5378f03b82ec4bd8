"""pycrdt-websocket as its documentation starts it, in memory, on uvicorn with uvloop.

python pycrdt_server.py PORT
"""

from __future__ import annotations

import asyncio
import sys

import uvicorn
import uvloop
from pycrdt.websocket import ASGIServer, WebsocketServer


async def serve(port: int) -> None:
    rooms = WebsocketServer()
    config = uvicorn.Config(ASGIServer(rooms), port=port, log_level="warning")
    async with rooms:
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
