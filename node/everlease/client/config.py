"""ConfigService: one document, one revision in force on every node."""

from __future__ import annotations

from everlease.client.calls import COMPILING, Ask, Call, Kind
from everlease.client.methods import unary
from everlease.pb.admin.v1 import config_service_pb2 as pb

_VALIDATE = Call("ConfigService/ValidateConfig", pb.ValidateConfigResponse, least=COMPILING)
_APPLY = Call("ConfigService/ApplyConfig", pb.ApplyConfigResponse, Kind.CHANGE, COMPILING)
_GET = Call("ConfigService/GetConfig", pb.Config)


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
        validate_only: bool = False,
        force: bool = False,
        comment: str = "",
        author: str = "",
    ) -> Ask[pb.ApplyConfigResponse]:
        """Put a document in force, or (`validate_only`) say what would change. expect_revision: only if this one is in
        force (0 = none yet); force: although leases are orphaned, and whatever revision is in force.
        """
        request = pb.ApplyConfigRequest(
            document=document, validate_only=validate_only, force=force, comment=comment, author=author
        )
        if expect_revision is not None:
            request.expect_revision = expect_revision
        return Ask(_APPLY, request)

    @unary
    def get_config(self, revision: int = 0) -> Ask[pb.Config]:
        """A document as it was written; 0 = the one in force."""
        return Ask(_GET, pb.GetConfigRequest(revision=revision))
