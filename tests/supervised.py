"""A supervisor of a worker that is quick to start: what the tests of `collab.supervisor` run.

    python -m tests.supervised supervisor FOLDER WORKERS PATIENCE_S
    python -m tests.supervised worker FOLDER SOCKET

A worker answers each connection with its process ID, and keeps it until its own end. It notes what
happens to it in `FOLDER/notes`. A file of these names in the folder changes what workers do that
start afterwards:

    broken      they end at once, with exit code 7
    stubborn    SIGTERM does not end them
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path


def main(role: str, folder: Path, *others: str) -> int:
    if role == "supervisor":
        return asyncio.run(_supervise(folder, int(others[0]), float(others[1])))
    return asyncio.run(_work(folder, int(others[0])))


async def _supervise(folder: Path, workers: int, patience_s: float) -> int:
    from collab import logs  # which a worker need not wait for
    from collab.supervisor import Supervisor

    logs.set_up("info", sys.stderr)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        fd = listener.fileno()
        command = [sys.executable, "-m", "tests.supervised", "worker", str(folder), str(fd)]
        return await Supervisor(command, [fd], workers, patience_s).run()


async def _work(folder: Path, fd: int) -> int:
    def note(what: str) -> None:
        with (folder / "notes").open("a") as notes:
            notes.write(f"{os.getpid()} {what}\n")

    def told(number: signal.Signals) -> None:
        note(number.name)
        if not stubborn:
            stop.set()

    def accept() -> None:
        with suppress(BlockingIOError):  # another worker was faster
            client, _ = listener.accept()
            client.sendall(b"%d\n" % os.getpid())
            clients.append(client)

    note("began")
    if (folder / "broken").exists():
        print("what is wrong", file=sys.stderr)  # noqa: T201
        return 7
    stubborn = (folder / "stubborn").exists()
    stop = asyncio.Event()
    clients: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told, number)
    loop.add_reader(sys.stdin.fileno(), stop.set)
    listener = socket.socket(fileno=fd)
    listener.setblocking(False)
    listener.listen()
    loop.add_reader(fd, accept)
    note("serves")
    print("Listening on {} {}".format(*listener.getsockname()), flush=True)  # noqa: T201
    await stop.wait()
    note("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
