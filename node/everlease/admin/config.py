"""ConfigService: documents are checked aside, put in force by compare-and-put, and shown as they were written.

The law of this file: a document with a problem changes nothing and is told all of its problems; nothing is applied over
a revision that its author did not mean.
"""

from __future__ import annotations

import asyncio
from typing import Final

import grpc
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure

from everlease.admin.answers import DOMAIN, Refusal, answered, await_view, not_found
from everlease.admin.changes import MOST_LINES, Orphans, changes, orphans
from everlease.admin.convert import timestamp
from everlease.admin.managed import Verdict, judge, refusal
from everlease.config.aside import compile_aside, retire, run
from everlease.config.problems import InvalidDocument, Problem
from everlease.core.model import Config
from everlease.pb.admin.v1 import config_service_pb2 as pb
from everlease.pb.admin.v1 import config_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.configuration import Conflict, digest_of
from everlease.store.records import BadRecord, Current, decode_current

DETAIL_BYTES: Final = 4096
"""gRPC takes 8 KB of metadata by default, and details are metadata."""

LONGEST_WORDS: Final = 500
"""Characters of an author and of a comment."""


class ConfigService(config_service_pb2_grpc.ConfigServiceServicer):
    """Applies one document at a time: compiling takes a process of its own."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._compiling = asyncio.Lock()

    @answered
    async def ValidateConfig(
        self, request: pb.ValidateConfigRequest, context: grpc.aio.ServicerContext
    ) -> pb.ValidateConfigResponse:
        """All problems of a document."""
        try:
            config = await self._compile(request.document)
        except InvalidDocument as bad:
            return pb.ValidateConfigResponse(
                problems=[
                    pb.ConfigProblem(path=each.path, line=each.line, message=each.message) for each in bad.problems
                ]
            )
        await run(retire(config))
        return pb.ValidateConfigResponse()

    @answered
    async def ApplyConfig(
        self, request: pb.ApplyConfigRequest, context: grpc.aio.ServicerContext
    ) -> pb.ApplyConfigResponse:
        """Compare-and-put, or a dry run."""
        before, _ = await self._rooms.configuration.documents.current()
        expected = self._expected(request, before)
        keep = await self._managed(request)
        if before is not None:
            await_view(self._rooms)  # whose leases it would orphan
        try:
            config = await self._compile(request.document)
        except InvalidDocument as bad:
            raise _invalid(bad.problems) from bad
        answer = await self._compare(config)
        await run(retire(config))
        if request.validate_only or keep or await self._in_force(request, before):
            if before:
                answer.config.CopyFrom(_message(before, before))
            return answer
        if answer.orphan_count and not request.force:
            raise _orphaning(answer)
        after = await self._publish(request, expected)
        answer.config.CopyFrom(_message(after, after))
        return answer

    @answered
    async def GetConfig(self, request: pb.GetConfigRequest, context: grpc.aio.ServicerContext) -> pb.Config:
        """A revision, or the one in force."""
        current, _ = await self._rooms.configuration.documents.current()
        if not request.revision and current is None:
            raise not_found("the cluster has no configuration yet: `everlease config apply FILE`")
        wanted = await self._note(request.revision) if request.revision else current
        if wanted is None:
            raise not_found(f"there is no configuration revision {request.revision}")
        message = _message(wanted, current)
        message.document = await self._text(wanted)
        return message

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _compile(self, document: str) -> Config:
        async with self._compiling:
            return await compile_aside(document)

    def _expected(self, request: pb.ApplyConfigRequest, before: Current | None) -> int:
        """The revision that must still be in force when the document goes there."""
        present = before.revision if before else 0
        for name in ("author", "comment", "manager"):
            if len(getattr(request, name)) > LONGEST_WORDS:
                raise Refusal(Code.INVALID_ARGUMENT, f"{name}: at most {LONGEST_WORDS} characters")
        if request.HasField("expect_revision") and request.expect_revision != present and not request.force:
            raise _conflict(present)
        return present

    async def _managed(self, request: pb.ApplyConfigRequest) -> bool:
        """Whether a manager's document is to be left as it is. Raises Refusal."""
        if not request.manager:
            return False
        history = await self._rooms.configuration.documents.history()
        verdict = judge(request.manager, digest_of(request.document), history, force=request.force)
        if verdict is Verdict.REFUSE:
            raise Refusal(Code.ABORTED, refusal(request.manager, history[-1]))
        return verdict is Verdict.KEEP

    async def _in_force(self, request: pb.ApplyConfigRequest, before: Current | None) -> bool:
        """Whether it is the very text in force already, and as good as the caller's own."""
        if before is None or not before.revision or request.manager not in {"", before.manager}:
            return False
        return await self._text(before) == request.document

    async def _compare(self, new: Config) -> pb.ApplyConfigResponse:
        """What it would change, for whom."""
        answer = pb.ApplyConfigResponse()
        old = self._rooms.configuration.current
        for line in changes(old, new):
            if line is None:
                await asyncio.sleep(0)
            elif len(answer.changes) < MOST_LINES:
                answer.changes.append(line)
        found = Orphans()
        for _ in orphans(old, new, self._rooms.view, found):
            await asyncio.sleep(0)
        answer.orphans.extend(found.lines()[:MOST_LINES])
        answer.orphan_count = found.total
        return answer

    async def _publish(self, request: pb.ApplyConfigRequest, expected: int) -> Current:
        rooms = self._rooms
        try:
            return await rooms.configuration.documents.publish(
                request.document,
                expected,
                request.author,
                request.comment,
                rooms.clock.now(),
                manager=request.manager,
            )
        except Conflict as other:
            raise _conflict(other.revision) from other

    async def _note(self, revision: int) -> Current | None:
        key = self._rooms.keys.config_note(revision)
        page = await self._rooms.store.get_range(key, key + b"\0", limit=1)
        return decode_current(page.records[0].value or b"") if page.records else None

    async def _text(self, of: Current) -> str:
        try:
            return await self._rooms.configuration.documents.fetch(of.revision)
        except BadRecord as bad:
            raise Refusal(Code.DATA_LOSS, str(bad)) from bad


def _message(of: Current, current: Current | None) -> pb.Config:
    return pb.Config(
        name=f"configs/{of.revision}",
        revision=of.revision,
        author=of.author,
        comment=of.comment,
        manager=of.manager,
        apply_time=timestamp(of.applied_at),
        current=current is not None and of.revision == current.revision,
        etag=of.digest,
    )


def _invalid(problems: list[Problem]) -> Refusal:
    """As many violations as the details take; the message says how many there are."""
    detail = BadRequest()
    for each in problems:
        detail.field_violations.add(field=each.path, description=f"line {each.line}: {each.message}")
        if detail.ByteSize() > DETAIL_BYTES:
            del detail.field_violations[-1]
            break
    count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
    return Refusal(Code.INVALID_ARGUMENT, f"the document has {count}; nothing was changed", [detail])


def _conflict(revision: int) -> Refusal:
    info = ErrorInfo(reason="CONFLICT", domain=DOMAIN, metadata={"revision": str(revision)})
    words = f"revision {revision} is in force" if revision else "no configuration is in force yet"
    return Refusal(Code.ABORTED, f"{words}, which is not the one that was expected; nothing was changed", [info])


def _orphaning(answer: pb.ApplyConfigResponse) -> Refusal:
    detail = PreconditionFailure()
    for line in answer.orphans[:20]:
        detail.violations.add(type="ORPHANS", subject="", description=line)
    words = f"{answer.orphan_count} live leases would lie outside every pool; nothing was changed"
    return Refusal(Code.FAILED_PRECONDITION, f"{words} (apply it with force to do it all the same)", [detail])
