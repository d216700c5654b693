"""ConfigService: one document, one revision in force on every node."""

from __future__ import annotations

from everlease.client.calls import COMPILING, Ask, Call, Kind, Pages
from everlease.client.methods import rows, unary
from everlease.pb.admin.v1 import config_service_pb2 as pb

_VALIDATE = Call("ConfigService/ValidateConfig", pb.ValidateConfigResponse, least=COMPILING)
_APPLY = Call("ConfigService/ApplyConfig", pb.ApplyConfigResponse, Kind.CHANGE, COMPILING)
_GET = Call("ConfigService/GetConfig", pb.Config)
_HISTORY = Call("ConfigService/ListConfigRevisions", pb.ListConfigRevisionsResponse)
_DIFF = Call("ConfigService/DiffConfigs", pb.DiffConfigsResponse, least=COMPILING)
_ROLLBACK = Call("ConfigService/RollbackConfig", pb.RollbackConfigResponse, Kind.CHANGE, COMPILING)


class Configs:
    """Methods on the configuration."""

    @unary
    def validate_config(self, document: str) -> Ask[pb.ValidateConfigResponse]:
        """Everything that is wrong with a document."""
        return Ask(_VALIDATE, pb.ValidateConfigRequest(document=document))

    @unary
    def apply_config(
        self,
        document: str,
        *,
        expect_revision: int | None = None,
        etag: str = "",
        validate_only: bool = False,
        force: bool = False,
        comment: str = "",
        author: str = "",
        manager: str = "",
    ) -> Ask[pb.ApplyConfigResponse]:
        """Put a document in force, or (`validate_only`) say what would change. expect_revision, etag: only if this one
        is in force (revision 0 = none yet); force: although leases are orphaned, and whatever revision is in force;
        manager: the name of a program that applies its document again and again, and not over somebody else's.
        """
        request = pb.ApplyConfigRequest(
            document=document,
            etag=etag,
            validate_only=validate_only,
            force=force,
            comment=comment,
            author=author,
            manager=manager,
        )
        if expect_revision is not None:
            request.expect_revision = expect_revision
        return Ask(_APPLY, request)

    @unary
    def get_config(self, revision: int = 0) -> Ask[pb.Config]:
        """A document as it was written; 0 = the one in force."""
        return Ask(_GET, pb.GetConfigRequest(revision=revision))

    @rows
    def list_config_revisions(self, *, page_size: int = 0) -> Pages[pb.Config]:
        """The history, newest first, without the documents: who applied what, when and why."""
        return Pages(_HISTORY, pb.ListConfigRevisionsRequest(page_size=page_size), "configs")

    @unary
    def diff_configs(
        self, from_revision: int = 0, *, to_revision: int = 0, document: str | None = None
    ) -> Ask[pb.DiffConfigsResponse]:
        """What is different between two revisions (0 = the one in force), or a revision and a document."""
        request = pb.DiffConfigsRequest(from_revision=from_revision)
        if document is None:
            request.to_revision = to_revision
        else:
            request.document = document
        return Ask(_DIFF, request)

    @unary
    def rollback_config(
        self,
        revision: int,
        *,
        expect_revision: int | None = None,
        etag: str = "",
        validate_only: bool = False,
        force: bool = False,
        comment: str = "",
        author: str = "",
    ) -> Ask[pb.RollbackConfigResponse]:
        """Put the document of an old revision in force, as a new revision. The rest as for `apply_config`."""
        request = pb.RollbackConfigRequest(
            revision=revision, etag=etag, validate_only=validate_only, force=force, comment=comment, author=author
        )
        if expect_revision is not None:
            request.expect_revision = expect_revision
        return Ask(_ROLLBACK, request)
