"""ConfigService: documents are checked aside, put in force by compare-and-put, and shown as they were written.

The law of this file: every revision that was ever in force can be told, and gone back to while its document is kept.
"""

from __future__ import annotations

from typing import Final

import grpc

from everlease.admin import audit
from everlease.admin.answers import answered, invalid, not_found
from everlease.admin.applying import Applying, Outcome, Wish, invalid_document
from everlease.admin.auth import author_of
from everlease.admin.convert import timestamp
from everlease.admin.pages import Token, filters_of, read_token, size_of, write_token
from everlease.config.aside import retire, run
from everlease.config.problems import InvalidDocument
from everlease.core.model import Config
from everlease.errors import ConfigError
from everlease.pb.admin.v1 import config_service_pb2 as pb
from everlease.pb.admin.v1 import config_service_pb2_grpc
from everlease.runtime.rooms import Rooms
from everlease.store.records import Current

_NOTHING_YET: Final = "the cluster has no configuration yet: `everlease config apply FILE`"


class ConfigService(config_service_pb2_grpc.ConfigServiceServicer):
    """Checks, applies, shows, compares, and goes back."""

    def __init__(self, rooms: Rooms, applying: Applying) -> None:
        self._rooms = rooms
        self._applying = applying

    @answered
    async def ValidateConfig(
        self, request: pb.ValidateConfigRequest, context: grpc.aio.ServicerContext
    ) -> pb.ValidateConfigResponse:
        """All problems of a document."""
        try:
            config = await self._applying.compiled(request.document)
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
        wish = Wish(
            request.document,
            author_of(context, request.author),
            request.comment,
            request.manager,
            request.expect_revision if request.HasField("expect_revision") else None,
            request.etag,
            dry=request.validate_only,
            force=request.force,
        )
        outcome = await self._applying.apply(wish)
        _record(context, outcome)
        answer = pb.ApplyConfigResponse()
        _tell(outcome, answer)
        return answer

    @answered
    async def RollbackConfig(
        self, request: pb.RollbackConfigRequest, context: grpc.aio.ServicerContext
    ) -> pb.RollbackConfigResponse:
        """An old document becomes a new revision."""
        if request.revision < 1:
            raise invalid("revision", "which one?")
        wish = Wish(
            await self._applying.text(await self._note(request.revision)),
            author_of(context, request.author),
            request.comment or f"back to revision {request.revision}",
            expected=request.expect_revision if request.HasField("expect_revision") else None,
            etag=request.etag,
            dry=request.validate_only,
            force=request.force,
        )
        outcome = await self._applying.apply(wish)
        _record(context, outcome)
        answer = pb.RollbackConfigResponse()
        _tell(outcome, answer)
        return answer

    @answered
    async def GetConfig(self, request: pb.GetConfigRequest, context: grpc.aio.ServicerContext) -> pb.Config:
        """A revision, or the one in force."""
        current, _ = await self._rooms.configuration.documents.current()
        if not request.revision and current is None:
            raise not_found(_NOTHING_YET)
        wanted = await self._note(request.revision) if request.revision or current is None else current
        message = config_message(wanted, current)
        message.document = await self._applying.text(wanted)
        return message

    @answered
    async def ListConfigRevisions(
        self, request: pb.ListConfigRevisionsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListConfigRevisionsResponse:
        """Newest first. What was added since the first page is on none: a page begins below the one before."""
        size, filters = size_of(request.page_size), filters_of(request)
        token = read_token(request.page_token, filters)
        documents = self._rooms.configuration.documents
        current, _ = await documents.current()
        rest = [note for note in reversed(await documents.history()) if token is None or note.revision < token.after]
        answer = pb.ListConfigRevisionsResponse(configs=[config_message(each, current) for each in rest[:size]])
        if len(rest) > size:
            answer.next_page_token = write_token(Token(0, rest[size - 1].revision, filters))
        return answer

    @answered
    async def DiffConfigs(
        self, request: pb.DiffConfigsRequest, context: grpc.aio.ServicerContext
    ) -> pb.DiffConfigsResponse:
        """As text, and in what it means."""
        start = await self._wanted(request.from_revision)
        end = None if request.WhichOneof("to") == "document" else await self._wanted(request.to_revision)
        old = await self._applying.text(start)
        new = request.document if end is None else await self._applying.text(end)
        names = (f"revision {start.revision}", f"revision {end.revision}" if end else "document")
        answer = pb.DiffConfigsResponse(from_revision=start.revision, to_revision=end.revision if end else 0)
        answer.text_diff = await self._applying.text_diff(old, new, names)
        lines, answer.change_count = await self._meaning(start, old, end, new)
        answer.changes.extend(lines)
        return answer

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _meaning(self, start: Current, old: str, end: Current | None, new: str) -> tuple[list[str], int]:
        """What the difference means. A document is checked; an old revision that is not read any more says so."""
        before = after = None
        try:
            before = await self._compiled(start, old)
            after = await self._compiled(end, new)
            return await self._applying.differences(before, after)
        except ConfigError as unreadable:
            return [f"what it means cannot be told: {str(unreadable).splitlines()[0]}"], 1
        finally:
            for config in (before, after):
                if config is not None:
                    await run(retire(config))

    async def _compiled(self, of: Current | None, text: str) -> Config:
        try:
            return await self._applying.compiled(text)
        except InvalidDocument as bad:
            if of is None:
                raise invalid_document(bad.problems) from bad
            raise ConfigError(f"revision {of.revision}: {bad}") from bad

    async def _wanted(self, revision: int) -> Current:
        """A revision's entry, 0 = that of the one in force. Raises Refusal."""
        if revision:
            return await self._note(revision)
        current, _ = await self._rooms.configuration.documents.current()
        if current is None:
            raise not_found(_NOTHING_YET)
        return current

    async def _note(self, revision: int) -> Current:
        note = await self._rooms.configuration.documents.note(revision)
        if note is None:
            raise not_found(f"there is no configuration revision {revision}")
        return note


def config_message(of: Current, current: Current | None) -> pb.Config:
    """A revision as a message, without its document."""
    return pb.Config(
        name=f"configs/{of.revision}",
        revision=of.revision,
        author=of.author,
        comment=of.comment,
        manager=of.manager,
        apply_time=timestamp(of.applied_at),
        current=current is not None and of.revision == current.revision,
        etag=of.digest,
        document_kept=of.chunks > 0,
    )


def _record(context: grpc.aio.ServicerContext, outcome: Outcome) -> None:
    if outcome.applied and outcome.after is not None:
        before = config_message(outcome.before, None) if outcome.before else None
        after = config_message(outcome.after, outcome.after)
        audit.record(context, after.name, before, after, outcome.after.revision)


def _tell(outcome: Outcome, answer: pb.ApplyConfigResponse | pb.RollbackConfigResponse) -> None:
    if outcome.after is not None:
        answer.config.CopyFrom(config_message(outcome.after, outcome.after))
    answer.changes.extend(outcome.lines)
    answer.change_count = outcome.count
    answer.orphans.extend(outcome.orphans.lines()[:200])
    answer.orphaned_leases.extend(outcome.orphans.messages()[:1000])
    answer.orphan_count = outcome.orphans.total
