"""Whom a client asks, whom it asks again, and what it says when it does not know: played by hand, no connection."""

from __future__ import annotations

import pytest

from client.played import Stage, failed
from everlease.client.calls import Ask, Call, Download, Follow, Kind, Pages, Upload, repeatable
from everlease.client.errors import Compacted, Conflict, Denied, NotFound, OutcomeUnknown, Refused, Unreachable
from everlease.client.servers import RESTING, Servers, read_servers
from everlease.client.talk import HEALTH, Pour, Send, Wait, answer_of, rows_of
from everlease.errors import ConfigError
from everlease.pb.admin.v1 import config_service_pb2, lease_service_pb2, reservation_service_pb2

READ = Ask(Call("S/Get", object), lease_service_pb2.GetLeaseRequest())
SETS = Ask(Call("S/Drain", object, Kind.SETS), lease_service_pb2.GetLeaseRequest())
CHANGE = Ask(Call("S/Add", object, Kind.CHANGE), lease_service_pb2.AddLeaseRequest())
GUARDED = Ask(Call("S/Add", object, Kind.CHANGE), lease_service_pb2.AddLeaseRequest(etag="7"))
LISTING = Pages(Call("S/List", object), lease_service_pb2.ListLeasesRequest(), "leases")
WATCH = Follow(
    Call("S/Watch", object),
    lease_service_pb2.WatchLeasesRequest(start_revision=5),
    lambda message: message.events,
    lambda request, message: setattr(request, "start_revision", message.revision + 1),
)
LIMITS = (10.0, 60.0)


def servers(*names: str) -> Servers:
    return Servers(names or ("a", "b", "c"))


def page(*addresses: str, more: str = "") -> lease_service_pb2.ListLeasesResponse:
    leases = [lease_service_pb2.Lease(address=address) for address in addresses]
    return lease_service_pb2.ListLeasesResponse(leases=leases, next_page_token=more)


def told(revision: int, *addresses: str) -> lease_service_pb2.WatchLeasesResponse:
    events = [lease_service_pb2.LeaseEvent(lease=lease_service_pb2.Lease(address=each)) for each in addresses]
    return lease_service_pb2.WatchLeasesResponse(events=events, revision=revision)


# --- one question -----------------------------------------------------------------------------------------------------


def test_a_read_goes_on_to_the_next_server_and_stays_there() -> None:
    known, stage = servers(), Stage(a=[failed()], b=["yes", "again"])
    assert stage.play(answer_of(known, READ, 10, 0)) == "yes"
    assert stage.play(answer_of(known, READ, 10, 0)) == "again"
    assert stage.asked() == ["a", "b", "b"]


def test_each_server_is_given_its_share_of_the_time_so_that_a_mute_one_does_not_use_up_all_of_it() -> None:
    stage = Stage(a=[(4.0, failed("DEADLINE_EXCEEDED"))], b=[(4.0, failed("DEADLINE_EXCEEDED"))], c=["yes"])
    assert stage.play(answer_of(servers(), READ, 12, 0)) == "yes"
    assert [step.within for step in stage.done if isinstance(step, Send)] == [4, 4, 4]


def test_a_server_that_did_not_answer_is_passed_over_for_a_while_and_asked_last_meanwhile() -> None:
    known = servers()
    known.failed("a", 0)
    assert known.order(1) == ["b", "c", "a"]
    assert known.order(RESTING) == ["a", "b", "c"]
    known.answered("c")
    assert known.order(RESTING) == ["c", "a", "b"]


def test_a_nodes_no_is_the_answer_and_nobody_else_is_asked() -> None:
    for code, kind in (("NOT_FOUND", NotFound), ("PERMISSION_DENIED", Denied), ("DATA_LOSS", Refused)):
        stage = Stage(a=[failed(code, answered=True)])
        with pytest.raises(kind) as caught:
            stage.play(answer_of(servers(), READ, 10, 0))
        assert (caught.value.code, stage.asked()) == (code, ["a"])


def test_when_nobody_answers_the_error_says_what_each_said() -> None:
    stage = Stage(a=[failed()], b=[failed("DEADLINE_EXCEEDED")])
    with pytest.raises(Unreachable, match="a: unavailable; b: deadline_exceeded") as caught:
        stage.play(answer_of(servers("a", "b"), READ, 10, 0))
    assert not caught.value.answered and not isinstance(caught.value, OutcomeUnknown)


def test_a_store_without_an_answer_is_told_as_that() -> None:
    stage = Stage(a=[failed(reason="UNAVAILABLE")], b=[failed()])
    with pytest.raises(Unreachable) as caught:
        stage.play(answer_of(servers("a", "b"), READ, 10, 0))
    assert caught.value.answered


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_change_goes_to_the_first_server_that_answers_and_is_sent_once() -> None:
    stage = Stage(connect={"a": failed()}, b=["done"])
    assert stage.play(answer_of(servers(), CHANGE, 10, 0)) == "done"
    assert stage.asked() == ["b"]


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN", "INTERNAL"])
def test_a_change_whose_answer_was_lost_is_not_sent_again_and_called_unknown(code: str) -> None:
    stage = Stage(a=[failed(code)], b=["done twice"])
    with pytest.raises(OutcomeUnknown, match="may have been done"):
        stage.play(answer_of(servers(), CHANGE, 10, 0))
    assert stage.asked() == ["a"]


def test_a_node_that_is_joining_has_not_begun_and_the_change_goes_to_another() -> None:
    stage = Stage(a=[failed(reason="JOINING")], b=["done"])
    assert stage.play(answer_of(servers(), CHANGE, 10, 0)) == "done"


def test_a_store_that_did_not_confirm_a_change_leaves_it_unknown() -> None:
    with pytest.raises(OutcomeUnknown):
        Stage(a=[failed(reason="UNAVAILABLE")]).play(answer_of(servers(), CHANGE, 10, 0))


@pytest.mark.parametrize("question", [SETS, GUARDED])
def test_a_change_that_asking_twice_cannot_make_twice_is_asked_again(question: Ask[object]) -> None:
    stage = Stage(a=[failed()], b=["done"])
    assert stage.play(answer_of(servers(), question, 10, 0)) == "done"
    assert stage.asked() == ["a", "b"]


def test_a_conflict_after_a_lost_answer_may_be_our_own_doing_and_is_told_so() -> None:
    stage = Stage(a=[failed()], b=[failed("ABORTED", answered=True)])
    with pytest.raises(OutcomeUnknown, match="the first time had succeeded"):
        stage.play(answer_of(servers(), GUARDED, 10, 0))
    with pytest.raises(Conflict):
        Stage(a=[failed("ABORTED", answered=True)]).play(answer_of(servers(), GUARDED, 10, 0))
    declined = Stage(a=[failed(reason="JOINING")], b=[failed("ABORTED", answered=True)])
    with pytest.raises(Conflict):
        declined.play(answer_of(servers(), GUARDED, 10, 0))


def test_a_change_that_was_sent_and_that_nobody_answered_is_unknown_also_where_it_may_be_repeated() -> None:
    for question in (SETS, GUARDED):
        with pytest.raises(OutcomeUnknown, match="may have been done"):
            Stage(a=[failed()], b=[failed()]).play(answer_of(servers("a", "b"), question, 10, 0))
        with pytest.raises(Unreachable) as caught:
            Stage(connect={"a": failed()}).play(answer_of(servers("a"), question, 10, 0))
        assert not isinstance(caught.value, OutcomeUnknown)


def test_what_may_be_asked_twice() -> None:
    apply = Call("ConfigService/ApplyConfig", object, Kind.CHANGE)
    request = config_service_pb2.ApplyConfigRequest
    assert repeatable(apply, request(expect_revision=0))
    assert repeatable(apply, request(validate_only=True, force=True))
    assert repeatable(apply, request(etag="x"))
    assert not repeatable(apply, request())
    assert not repeatable(apply, request(expect_revision=3, force=True))
    assert not repeatable(Call("S/Create", object, Kind.CHANGE), reservation_service_pb2.CreateReservationRequest())


def test_what_was_poured_out_is_not_poured_again() -> None:
    upload = Upload(Call("S/Restore", object, Kind.CHANGE), [b"1", b"2"])
    stage = Stage(connect={"a": failed()}, b=[failed()])
    with pytest.raises(OutcomeUnknown):
        stage.play(answer_of(servers(), upload, 10, 0))
    assert [step.server for step in stage.done if isinstance(step, Pour)] == ["b"]
    nobody = Stage(connect={"a": failed(), "b": failed()})
    with pytest.raises(Unreachable) as caught:
        nobody.play(answer_of(servers("a", "b"), upload, 10, 0))
    assert not isinstance(caught.value, OutcomeUnknown)


# --- lists and streams ------------------------------------------------------------------------------------------------


def test_a_list_goes_on_at_another_server_with_the_same_token() -> None:
    stage = Stage(a=[page("10.0.0.1", more="t"), failed()], b=[page("10.0.0.2")])
    stage.play(rows_of(servers(), LISTING, LIMITS, 0))
    assert [lease.address for lease in stage.given] == ["10.0.0.1", "10.0.0.2"]
    assert [step.request.page_token for step in stage.done if isinstance(step, Send)][-1] == "t"
    assert LISTING.request.page_token == ""


def test_a_watch_goes_on_behind_the_last_message_wherever_somebody_answers() -> None:
    stage = Stage(a=[[told(7, "x"), told(9), failed()]], b=[[told(12, "y"), failed("UNIMPLEMENTED", answered=True)]])
    with pytest.raises(Refused):
        stage.play(rows_of(servers(), WATCH, LIMITS, 0))
    assert [event.lease.address for event in stage.given] == ["x", "y"]
    assert [request.start_revision for request in stage.requests] == [5, 10]
    assert WATCH.request.start_revision == 5


def test_a_watch_tells_of_a_gap_only_by_the_error_that_says_where_to_go_on() -> None:
    gone = failed("OUT_OF_RANGE", reason="COMPACTED", restart_revision="40")
    stage = Stage(a=[[told(7, "x"), failed()]], b=[[gone]])
    with pytest.raises(Compacted) as caught:
        stage.play(rows_of(servers("a", "b"), WATCH, LIMITS, 0))
    assert caught.value.restart_revision == 40


def test_a_watch_that_nobody_begins_ends_at_once_and_one_that_began_is_patient() -> None:
    with pytest.raises(Unreachable):
        Stage(a=[failed()], b=[failed()]).play(rows_of(servers("a", "b"), WATCH, LIMITS, 0))
    stage = Stage(a=[[told(7, "x")], *[failed()] * 50])
    with pytest.raises(Unreachable):
        stage.play(rows_of(servers("a"), WATCH, LIMITS, 0))
    waits = [step.seconds for step in stage.done if isinstance(step, Wait)]
    assert waits[0] == 0.1 and max(waits) == 5.0 and 60 < sum(waits) <= 65 + 5


def test_a_watch_from_now_on_knows_its_place_before_the_first_message() -> None:
    def place(request: lease_service_pb2.WatchLeasesRequest, message: object) -> None:
        request.start_revision = message if isinstance(message, int) else 0

    empty = lease_service_pb2.WatchLeasesRequest()
    stream = Follow(WATCH.call, empty, WATCH.rows, place, READ)
    stage = Stage(a=[41, [failed()]], b=[[failed("UNIMPLEMENTED", answered=True)]])
    with pytest.raises(Refused):
        stage.play(rows_of(servers("a", "b"), stream, LIMITS, 0))
    assert [request.start_revision for request in stage.requests] == [41, 41]


def test_a_node_with_too_many_watches_sends_the_next_one_elsewhere() -> None:
    full = failed("RESOURCE_EXHAUSTED", reason="TOO_MANY_WATCHES")
    stage = Stage(a=[[full]], b=[[told(7, "x"), failed("UNIMPLEMENTED", answered=True)]])
    with pytest.raises(Refused):
        stage.play(rows_of(servers("a", "b"), WATCH, LIMITS, 0))
    assert [event.lease.address for event in stage.given] == ["x"]


def test_a_reader_that_was_too_slow_goes_on_at_the_same_server() -> None:
    slow = failed("RESOURCE_EXHAUSTED", reason="SLOW_READER", resume_revision="8")
    stage = Stage(a=[[told(7, "x"), slow], [told(8, "y"), failed("UNIMPLEMENTED", answered=True)]])
    with pytest.raises(Refused):
        stage.play(rows_of(servers("a"), WATCH, LIMITS, 0))
    assert [event.lease.address for event in stage.given] == ["x", "y"]


def test_a_download_ends_well_or_is_said_to_be_broken() -> None:
    save = Download(Call("S/Save", object), lease_service_pb2.GetLeaseRequest())
    stage = Stage(a=[failed()], b=[["one", "two"]])
    stage.play(rows_of(servers("a", "b"), save, LIMITS, 0))
    assert stage.given == ["one", "two"]
    broken = Stage(a=[["one", failed()]], b=[["never"]])
    with pytest.raises(Unreachable, match="start again"):
        broken.play(rows_of(servers("a", "b"), save, LIMITS, 0))
    assert broken.given == ["one"]


# --- names ------------------------------------------------------------------------------------------------------------


def test_servers_are_read_with_their_default_port() -> None:
    assert read_servers("10.0.0.1, n2:9000,[fd00::1],[fd00::2]:9001,10.0.0.1") == (
        "10.0.0.1:9067", "n2:9000", "[fd00::1]:9067", "[fd00::2]:9001",
    )  # fmt: skip
    for wrong in ("", " , ", "n1:", ":9067", "n1:x", "n1:99999", "fd00::1", "http://n1:9067"):
        with pytest.raises(ConfigError):
            read_servers(wrong)


def test_a_server_proves_that_it_is_there_before_a_change_and_any_answer_proves_it() -> None:
    stage = Stage(connect={"a": failed(), "b": failed("UNAUTHENTICATED", answered=True)}, b=["done"])
    assert stage.play(answer_of(servers("a", "b"), CHANGE, 10, 0)) == "done"
    proofs = [step for step in stage.done if isinstance(step, Send) and step.call is HEALTH]
    assert [step.within for step in proofs] == [3, 10]
