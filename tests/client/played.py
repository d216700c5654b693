"""A conversation played by hand: what happens at each server is written down, and what was done is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from google.rpc.error_details_pb2 import ErrorInfo

from everlease.client.errors import Failure
from everlease.client.talk import HEALTH, Give, Open, Outcome, Pour, Read, Send, Step, Talk, Wait


def failed(code: str = "UNAVAILABLE", *, reason: str = "", answered: bool = False, **metadata: str) -> Failure:
    return Failure(code, code.lower(), answered or bool(reason), info=ErrorInfo(reason=reason, metadata=metadata))


class Stage:
    """servers: for each what it answers, call after call: a value or a Failure; connect: who cannot be reached.

    Time is 0 at first and passes as the script says: (seconds, answer).
    """

    def __init__(self, connect: dict[str, Failure] | None = None, **servers: Iterable[Any]) -> None:
        self.connect = connect or {}
        self.answers = {name: iter(answers) for name, answers in servers.items()}
        self.now = 0.0
        self.done: list[Step] = []
        self.given: list[Any] = []
        self.requests: list[Any] = []
        self._streaming = iter(())

    def play(self, talk: Talk[Any], until: Callable[[], bool] = lambda: False) -> Any:
        """Its answer, or what it raises."""
        try:
            step = next(talk)
            while not until():
                self.done.append(step)
                step = talk.send(self._outcome(step))
        except StopIteration as done:
            return done.value

    def asked(self) -> list[str]:
        """Servers that were sent something, in order."""
        sent = [step for step in self.done if isinstance(step, Send | Open | Pour)]
        return [step.server for step in sent if step.call is not HEALTH]

    def _outcome(self, step: Step) -> Outcome:
        value: Any = None
        match step:
            case Send(server, call) if call is HEALTH:
                value = self.connect.get(server)
            case Send(server) | Pour(server):
                value = next(self.answers[server])
            case Open(server, _, request):
                self.requests.append(type(request).FromString(request.SerializeToString()))
                value = next(self.answers[server])
                if not isinstance(value, Failure):
                    self._streaming, value = iter(value), None
            case Read():
                value = next(self._streaming, None)
            case Give(rows):
                self.given.extend(rows)
            case Wait(seconds):
                self.now += seconds
        if isinstance(value, tuple):
            self.now += value[0]
            value = value[1]
        if isinstance(value, Failure):
            return Outcome(self.now, failure=value)
        return Outcome(self.now, value)


def names(steps: Sequence[Step]) -> list[str]:
    return [type(step).__name__ for step in steps]
