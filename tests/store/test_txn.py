"""A change as a transaction: what is compared, what is written, and that the bytes are protobuf's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from everlease.core.actions import CHECK, Change, Moved
from everlease.core.lifecycle import RELEASED
from everlease.pb.etcd.v1 import etcd_pb2 as pb
from everlease.store.keys import Keys, index_value
from everlease.store.txn import Batch, Fences, Leaf, Removal, names, plan, put, removal, single
from store.makers import ALICE, BOB, CAROL, NOW, fences, grant, lease, move, offer, release, renew, request

KEYS = Keys()
A, B = 0x0A4D0001, 0x0A4D0002
ADDRESS = "/everlease/v/leases/default/4/0a4d0001"


def compare(key: bytes, expected: int | bytes) -> pb.Compare:
    if isinstance(expected, bytes):
        return pb.Compare(target=pb.Compare.VALUE, key=key, value=expected)
    return pb.Compare(target=pb.Compare.MOD, key=key, mod_revision=expected)


def as_messages(leaf: Leaf) -> pb.RequestOp:
    """The same leaf, built of message objects."""
    puts = [pb.RequestOp(request_put=pb.PutRequest(key=key, value=value)) for key, value in leaf.puts]
    deletes = [pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=key)) for key in leaf.deletes]
    reads = [pb.RequestOp(request_range=pb.RangeRequest(key=key)) for key in leaf.expect]
    compares = [compare(key, expected) for key, expected in leaf.expect.items()]
    return pb.RequestOp(request_txn=pb.TxnRequest(compare=compares, success=puts + deletes, failure=reads))


def batch_as_messages(leaves: list[Leaf], fence: Fences) -> bytes:
    above = pb.Compare(result=pb.Compare.GREATER, key=fence.presence, version=fence.version - 1)
    below = pb.Compare(result=pb.Compare.LESS, key=fence.presence, version=fence.version + fence.window)
    reads = [pb.RequestOp(request_range=pb.RangeRequest(key=key)) for key in (fence.config_key, fence.presence)]
    compares = [compare(fence.config_key, fence.config), above, below]
    success = [as_messages(leaf) for leaf in leaves]
    return pb.TxnRequest(compare=compares, success=success, failure=reads).SerializeToString()


keys = st.binary(min_size=1, max_size=5000)
values = st.binary(min_size=1, max_size=20_000)
leaves = st.builds(
    Leaf,
    st.dictionaries(keys, st.integers(0, 2**63 - 1) | values, max_size=4),
    st.lists(st.tuples(keys, values), max_size=3),
    st.lists(keys, max_size=2),
)


@given(leaves)
def test_the_bytes_of_a_change_are_those_that_protobuf_writes(leaf: Leaf) -> None:
    assert single(leaf) == pb.TxnRequest(success=[as_messages(leaf)]).SerializeToString()


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 1000))
def test_the_bytes_of_a_batch_are_those_that_protobuf_writes(config: int, version: int, window: int) -> None:
    fence = fences(KEYS, config, version, window)
    changes = [grant(A, ALICE), renew(B, BOB, 77)]
    assert request(KEYS, *changes, fence=fence) == batch_as_messages([plan(KEYS, one) for one in changes], fence)


def everything() -> list[Change]:
    full = move(B, ALICE, A, 9)
    full.displaced = (BOB, 2)
    full.indexes = ((1, A), (3, 0))
    check = Change(CHECK, "default", A, 1, ALICE, 5, None, ((1, A),))
    return [grant(A), offer(A), renew(A, ALICE, 5), release(A, ALICE, 5), full, check]


def test_every_key_that_a_change_puts_or_deletes_is_compared() -> None:
    for change in everything():
        leaf = plan(KEYS, change)
        assert leaf.written() <= set(leaf.names()), change.kind
        assert names(KEYS, change) == leaf.names()


def test_a_check_writes_nothing() -> None:
    assert not plan(KEYS, everything()[-1]).written()


def test_a_grant_names_address_reservation_index_previous_address_and_previous_holder() -> None:
    leaf = plan(KEYS, everything()[4])
    client = KEYS.client("default", 1, ALICE)
    holder = KEYS.client("default", 2, BOB)
    assert leaf.expect == {
        KEYS.lease("default", B): 0,
        KEYS.reservation("default", B): 0,
        client: index_value(A),
        KEYS.client("default", 3, ALICE): 0,
        KEYS.lease("default", A): 9,
        holder: index_value(B),
    }
    assert leaf.written() == {KEYS.lease("default", B), client, KEYS.lease("default", A), holder}
    assert leaf.deletes == [holder]


def test_a_move_to_another_subnet_drops_the_index_of_the_one_that_is_left() -> None:
    change = grant(B, ALICE)
    change.indexes = ((1, 0), (2, A))
    change.moved = Moved(A, 2, 9, lease(ALICE, RELEASED))
    assert plan(KEYS, change).deletes == [KEYS.client("default", 2, ALICE)]


def test_an_index_that_names_yet_another_address_is_left_alone_by_a_move() -> None:
    change = grant(B, ALICE)
    change.indexes = ((1, 0), (2, A + 7))
    change.moved = Moved(A, 2, 9, lease(ALICE, RELEASED))
    assert plan(KEYS, change).deletes == []


def test_the_records_that_a_clients_other_index_entries_name_are_compared() -> None:
    change = grant(B, ALICE, held=A)
    change.seen = ((A, 7),)
    leaf = plan(KEYS, change)
    assert leaf.expect[KEYS.lease("default", A)] == 7
    assert KEYS.lease("default", A) not in leaf.written()


def test_a_key_that_one_change_writes_is_not_named_by_another_of_the_same_batch() -> None:
    batch = Batch(fences(KEYS))
    assert batch.add(plan(KEYS, grant(A, ALICE)))
    assert not batch.add(plan(KEYS, grant(A, BOB)))  # the same address
    assert not batch.add(plan(KEYS, grant(B, ALICE)))  # the same client
    assert not batch.add(plan(KEYS, Change(CHECK, "default", A, 1, BOB, 5)))  # compare-only
    assert batch.add(plan(KEYS, grant(B, CAROL)))
    assert len(batch) == 2


def test_a_key_that_is_only_read_may_be_named_by_many() -> None:
    batch = Batch(fences(KEYS))
    for _ in range(3):
        assert batch.add(plan(KEYS, Change(CHECK, "default", A, 1, BOB, 5)))


def test_a_batch_stops_where_etcd_would_refuse_it() -> None:
    batch = Batch(fences(KEYS), limit=10)
    taken = [batch.add(plan(KEYS, grant(A + n, b"\x01%d" % n))) for n in range(10)]
    assert taken.count(True) == 7  # three compares each: 7 + 3 = 10
    assert not batch.add(plan(KEYS, everything()[4]))


def test_a_batch_holds_a_hundred_changes_and_less_than_a_megabyte() -> None:
    batch = Batch(fences(KEYS))
    assert [batch.add(put(b"/%d" % n, b"x", 0)) for n in range(101)].count(True) == 100
    heavy = Batch(fences(KEYS))
    assert [heavy.add(put(b"/%d" % n, b"x" * 400_000, 0)) for n in range(4)].count(True) == 2


def test_a_removal_deletes_the_index_only_where_it_names_the_address() -> None:
    kept = removal(KEYS, Removal("default", A, 1, ALICE, 5, indexed=False))
    both = removal(KEYS, Removal("default", A, 1, ALICE, 5, indexed=True))
    assert kept.deletes == [ADDRESS.encode()]
    assert both.expect[KEYS.client("default", 1, ALICE)] == index_value(A)
    assert both.written() == {ADDRESS.encode(), KEYS.client("default", 1, ALICE)}


def test_records_are_readable_by_people() -> None:
    _, value = plan(KEYS, grant(A)).puts[0]
    assert b'"state":"bound"' in value and b'"hw":"02:00:00:00:00:01"' in value and str(NOW).encode() in value
