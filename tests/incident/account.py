"""Who asked, who answered, and when: the account of a run, made from a packet capture alone.

Law: a question belongs to the second in which the client asked it first, and counts as answered only if its ACK came
before the client would have had to ask again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.capture import frames
from lab.capture import Captured, read

PATIENCE_S = 4.0
"""RFC 2131 section 4.1: the first retransmission, without its jitter."""


@dataclass(slots=True)
class Question:
    """What one client wants. asked: its first message, UTC s; by: the server whose ACK came first, after so many s."""

    client: bytes
    asked: float
    renewal: bool
    by: int = 0
    after: float = math.inf

    @property
    def answered(self) -> bool:
        """In time."""
        return self.after <= PATIENCE_S


@dataclass
class Account:
    """All questions of a run by time; naks: negative answers; twice: addresses that two clients were given."""

    questions: list[Question] = field(default_factory=list)
    naks: int = 0
    twice: int = 0

    def between(self, start: float, end: float) -> list[Question]:
        """Those first asked from `start` until before `end`, UTC s."""
        return [question for question in self.questions if start <= question.asked < end]


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a run, 0 beginning with the fault: how many asked, and how many were answered by each server."""

    number: int
    asked: int
    answered: Counter[int]

    @property
    def silent(self) -> int:
        """Questions that nobody answered in time."""
        return self.asked - self.answered.total()


def share(questions: Sequence[Question]) -> float:
    """The answered part, 0 to 1; NaN of no question."""
    return sum(question.answered for question in questions) / len(questions) if questions else math.nan


def by_second(account: Account, zero: float, numbers: range) -> list[Second]:
    """The account, second by second, for the seconds of these numbers counted from `zero` (UTC s)."""
    asked: Counter[int] = Counter()
    answered: dict[int, Counter[int]] = {number: Counter() for number in numbers}
    for question in account.questions:
        number = math.floor(question.asked - zero)
        if number in answered:
            asked[number] += 1
            answered[number][question.by] += question.answered
    return [Second(number, asked[number], +answered[number]) for number in numbers]


def captured(file: Path) -> Iterator[Captured]:
    """The DHCP messages of a pcap file."""
    for at, frame in frames(file.read_bytes()):
        message = read(frame, at, sent=False)
        if message is not None and message.packet is not None:
            yield message


class Accountant:
    """Takes packets in order of time, as a load client's interface sees them."""

    def __init__(self) -> None:
        self.account = Account()
        self._starting: dict[bytes, Question] = {}  # by client
        self._waiting: dict[tuple[int, bytes], Question] = {}  # by transaction: what an ACK answers
        self._holders: dict[int, bytes] = {}

    def take(self, packets: Iterable[Captured]) -> Account:
        """Read them all and return the account."""
        for packet in packets:
            match packet.kind:
                case "DISCOVER":
                    self._discover(packet)
                case "REQUEST":
                    self._request(packet)
                case "ACK" | "NAK":
                    self._reply(packet)
        return self.account

    def _discover(self, captured: Captured) -> None:
        client = _client(captured)
        if client not in self._starting:
            self._starting[client] = self._open(captured, renewal=False)

    def _request(self, captured: Captured) -> None:
        packet = captured.packet
        if packet is None:
            return
        client = _client(captured)
        question = self._open(captured, renewal=True) if packet.ciaddr else self._starting.get(client)
        if question is not None:
            self._waiting.setdefault((packet.xid, client), question)

    def _open(self, captured: Captured, *, renewal: bool) -> Question:
        question = Question(_client(captured), captured.time, renewal)
        self.account.questions.append(question)
        return question

    def _reply(self, captured: Captured) -> None:
        packet = captured.packet
        if packet is None:
            return
        client = _client(captured)
        if captured.kind == "NAK":
            self.account.naks += 1
        elif (question := self._waiting.get((packet.xid, client))) is not None and not question.by:
            question.by, question.after = captured.source, captured.time - question.asked
            self.account.twice += self._holders.setdefault(packet.yiaddr, client) != client


def _client(captured: Captured) -> bytes:
    return captured.packet.chaddr if captured.packet else b""
