"""The load's process: `python -m faults.client FOLDER INTERFACE`; reads plan.json there, writes diaries.jsonl.

Orders come by a socket in the folder, a JSON list on a line each, and are answered by one. SIGTERM ends it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import msgspec

from faults.client.crew import Crew
from faults.client.load import DIARIES, ORDERS, PLAN
from faults.client.plan import Plan
from faults.client.wire import LinkWire, RelayWire, Wire


def obey(crew: Crew, orders: socket.socket) -> None:
    """Carry out one order and answer it."""
    asking, _ = orders.accept()
    with asking, asking.makefile("rw") as lines:
        name, *arguments = json.loads(lines.readline())
        lines.write(json.dumps(answer_of(crew, name, arguments)) + "\n")


def answer_of(crew: Crew, name: str, arguments: list[float]) -> dict[str, int]:
    """Do it; what there is to say of it."""
    if name == "counts":
        return crew.counts()
    if name == "rate":
        crew.rate = arguments[0]
    elif name == "reboot":
        crew.reboot(time.time())
    elif name == "leave":
        crew.leave(time.time())
    return {}


def run(crew: Crew, wire: Wire, orders: socket.socket, ended: threading.Event) -> None:
    """Live until `ended`; it is looked at twice a second at least."""
    poll = select.poll()
    by_number = {sock.fileno(): sock for sock in wire.sockets}
    for number in (*by_number, orders.fileno()):
        poll.register(number, select.POLLIN)
    crew.start(time.time())
    while not ended.is_set():
        pause = crew.run_due(time.time())
        ready = [number for number, _ in poll.poll(max(pause, 0.0) * 1000)]
        for number in sorted(ready, key=orders.fileno().__eq__):  # orders last: what had come by then is known
            if number == orders.fileno():
                with contextlib.suppress(OSError, ValueError):  # whoever asked has gone
                    obey(crew, orders)
                continue
            for packet in wire.receive(by_number[number]):
                crew.hear(packet, time.time())


def main(folder: Path, interface: str) -> None:
    """The command line."""
    plan = msgspec.json.decode((folder / PLAN).read_bytes(), type=Plan)
    wire: Wire = RelayWire(plan.relayed) if plan.relayed is not None else LinkWire(interface)
    gc.freeze()
    os.chdir(folder)
    with Path(DIARIES).open("wb") as diaries, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as orders:
        orders.bind(ORDERS)
        orders.listen()
        crew = Crew(plan, wire, lambda diary: diaries.write(msgspec.json.encode(diary) + b"\n"))
        ended = threading.Event()  # an exception would be lost where it meets a finalizer
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        run(crew, wire, orders, ended)
        crew.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
