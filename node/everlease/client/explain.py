"""ExplainService: what a client would get, and why."""

from __future__ import annotations

from collections.abc import Mapping

from everlease.client.calls import Ask, Call
from everlease.client.methods import unary
from everlease.pb.admin.v1 import explain_service_pb2 as pb

_EXPLAIN = Call("ExplainService/Explain", pb.ExplainResponse)


class Explain:
    """The operator's daily question."""

    @unary
    def explain(
        self,
        hardware_address: str,
        *,
        client_id: str = "",
        link: str = "",
        relay: str = "",
        options: Mapping[int, bytes] | None = None,
    ) -> Ask[pb.ExplainResponse]:
        """What this client would get, from whom, and why; nothing is written or sent. It is heard on a link (its label)
        or through a relay (its address); options: what else it sends, by code, as on the wire.
        """
        request = pb.ExplainRequest(hardware_address=hardware_address, client_id=client_id, options=options or {})
        if link:
            request.link = link
        if relay:
            request.relay = relay
        return Ask(_EXPLAIN, request)
