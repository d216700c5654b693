"""What is fuzzed of DHCPv4: the parser, then every reader that a parsed packet meets. Run by hand for longer:

python -m fuzz.v4 [--seconds 60] [--seed 1]   (in tests/) keeps inputs with outcomes not seen before in corpus4/
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from everlease.errors import WireError
from everlease.wire import hostname, options4, relay4, v4
from fuzz.mutate import mutants
from wire.hexfile import VECTORS, read_hex

CORPUS = Path(__file__).parent / "corpus4"


def load() -> list[bytes]:
    """The stored inputs, and the packets of real clients, in an order that every machine has."""
    return [read_hex(path) for folder in (CORPUS, VECTORS) for path in sorted(folder.glob("*.hex"))]


def outcome(data: bytes) -> str:
    """Feed one input; says in a few words what became of it. Anything that is raised here is a finding."""
    try:
        packet = v4.parse(data)
    except WireError as problem:
        return _kind_of(problem)
    _check_promises(packet)
    said = [_read(relay4.parse, packet, 82), _read(hostname.parse_fqdn, packet, 81)]
    hostname.clean_hostname(packet.options.get(12, b""))
    json.dumps({code: options4.show(code, value) for code, value in packet.options.items()})
    return " | ".join(["BOOTP" if packet.bootp else "DHCP", *filter(None, said)])


def _kind_of(problem: WireError) -> str:
    return re.sub(r"\b(0x[0-9a-f]*|[0-9a-f]*\d[0-9a-f]*)\b", "N", str(problem))


def _read(reader: Callable[[bytes], object], packet: v4.Packet, code: int) -> str:
    if code not in packet.options:
        return ""
    try:
        reader(packet.options[code])
    except WireError as problem:
        return f"{code}: {_kind_of(problem)}"
    return f"{code}: read"


def _check_promises(packet: v4.Packet) -> None:
    """What `Packet` says of itself, and that what was parsed can be written and parsed again."""
    assert len(packet.chaddr) == packet.hlen <= 16
    assert (len(packet.sname), len(packet.file)) == (64, 128)
    assert not packet.options.keys() & {v4.PAD, v4.OVERLOAD, v4.END}
    assert packet.message_type == packet.options.get(53, b"\0")[0]
    assert v4.parse(v4.build(packet, maximum=v4.LONGEST)) == packet


def fuzz(seed: int, inputs: int) -> dict[str, bytes]:
    """So many mutants of the corpus; one input for each outcome seen."""
    found: dict[str, bytes] = {}
    for data, _ in zip(mutants(load(), seed), range(inputs), strict=False):
        found.setdefault(outcome(data), data)
    return found


def _keep(found: dict[str, bytes], known: set[str]) -> None:
    for said, data in found.items():
        if said not in known:
            name = hashlib.sha256(said.encode()).hexdigest()[:10]
            text = re.sub(r"(.{96})", r"\1\n", data.hex())
            (CORPUS / f"{name}.hex").write_text(f"# {said}\n{text}\n")
            known.add(said)
            print(f"new: {said}")


def main() -> None:
    """Fuzz for a while; an exception ends it with the input's round and seed on the last line before it."""
    arguments = argparse.ArgumentParser(description="Fuzz the DHCPv4 parser.")
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    known = {outcome(data) for data in load()}
    end, seed = time.monotonic() + given.seconds, given.seed
    while time.monotonic() < end:
        print(f"seed {seed}", flush=True)
        _keep(fuzz(seed, 20_000), known)
        seed += 1


if __name__ == "__main__":
    main()
