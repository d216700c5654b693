"""A free address for a client that has none: its own bucket > a bucket that this node owns > common ones > any.

Each client walks the blocks and bits of a pool in an order of its own, so that two nodes that answer it meet at the
same address, and two clients rarely at one. The law of this file: the work is bounded whatever the pool's size and
filling; and what is picked is only a candidate, because the commit decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import msgspec

from everlease.core.lifecycle import is_declined
from everlease.core.model import Pool, Subnet
from everlease.core.plan import PoolPlan, plan_of
from everlease.core.query import REUSABLE, TAKEN, UNTOUCHED, Query, availability, is_on_offer
from everlease.core.situation import ALL_BUCKETS, BUCKETS

ORDERED = "ordered"

OWN_BUCKET_BLOCKS = 16
"""Blocks searched for the client's own bucket: at nine tenths full, one client in five looks further."""

BLOCKS = 512
"""Blocks searched per pool: a /16 twice over; about 0.3 ms at the worst."""

LOOKS = 32
"""Addresses looked at for one without a record, before the first with a past one is taken: former holders come back."""

MOST_LOOKS = 1024
"""Addresses looked at per pool when all turn out taken (on offer, or ended less than the clock margin ago)."""

LOOKS_BACK = 64
"""The same while a rollback is lived down, when nearly everything is kept for who may hold it: 1,024 looks cost a node
several ms for each DISCOVER, of which the new clients, who get none, send more and more."""

COMMON = tuple(sum(1 << bit for bit in range(turn, BUCKETS, 8)) for turn in range(8))
"""One address in eight, by block number modulo 8, is nobody's: it is offered after a commit only. So a node that has
nothing left of its own finds addresses that no other node has on offer in its memory; without them it would take what
others have just offered, and at a mass start in a nearly full pool one client in fifty was refused what it had been
offered (measured: 1,000 clients at once, 98 % full afterwards)."""

SCARCE = 10
"""An offer is committed when less than one address in ten is free: nodes with nothing left take from each other."""


class Spot(msgspec.Struct, gc=False):
    """A free address. alone: nobody else offers it now, so an offer may stay in memory."""

    subnet: Subnet
    pool: Pool
    address: int
    alone: bool


def allocate(query: Query, subnets: Iterable[Subnet]) -> Spot | None:
    """A free address in the pools that the client may use, subnets and pools in their order; None if there is none."""
    pools = [
        (subnet, plan)
        for subnet in subnets
        for plan in plan_of(query.situation.config, subnet).pools
        if query.allows(plan.pool)
    ]
    for subnet, plan in pools:
        if subnet.allocator == ORDERED:
            address = first_free(query, ordered(query, plan), 0)
            if address:
                return Spot(subnet, plan.pool, address, alone=False)
        else:
            address = first_free(query, preferred(query, plan), LOOKS)
            if address:
                alone = not is_scarce(query, subnet, plan, address) and not was_declined(query, address)
                return Spot(subnet, plan.pool, address, alone)
    if query.situation.peers.owned == ALL_BUCKETS:
        return None
    for candidates in (common, any_bucket) if query.situation.peers.settled else (common,):
        for subnet, plan in pools:
            address = first_free(query, candidates(query, plan), LOOKS)
            if address:
                return Spot(subnet, plan.pool, address, alone=False)
    return None


def first_free(query: Query, candidates: Iterator[int], looks: int) -> int:
    """The first candidate without a record among `looks` of them, else the first that is free, else 0."""
    past = 0
    most = MOST_LOOKS if query.situation.restored is None else LOOKS_BACK
    for count, address in enumerate(islice(candidates, most), 1):
        state = availability(query, address)
        if state == UNTOUCHED:
            return address
        if state == TAKEN and was_declined(query, address) and not is_on_offer(query, address):
            state = REUSABLE
        if state != TAKEN and not past:
            past = address
        if past and count >= looks:
            break
    return past


def was_declined(query: Query, address: int) -> bool:
    """Whether the record of an address is an offer whose client has taken another since: two nodes had offered to it.

    In a nearly full pool these are what the last clients wait for. Only another commit ends such a record.
    """
    row = query.row(address)
    if row is None or row.client == query.client or query.situation.restored is not None:
        return False
    named = query.situation.view.address_of(query.space, row.subnet, row.client)
    return is_declined(row, query.row(named)) if named else False


def ordered(query: Query, plan: PoolPlan) -> Iterator[int]:
    """The pool's free addresses, lowest first."""
    space = query.space
    for block in plan.open_blocks(query.situation.view, space, plan.first):
        yield from _addresses(block, free_mask(query, plan, block), 0)


def preferred(query: Query, plan: PoolPlan) -> Iterator[int]:
    """The pool's free addresses in buckets that this node owns, the client's own bucket first; no common ones."""
    owned = query.situation.peers.owned
    view, space = query.situation.view, query.space
    start = plan.first + (query.hash >> 8) % plan.count
    bit = 1 << (query.hash & 255)
    if owned & bit:
        # Nearly always the first block has it: a walk through all of them is not begun (3 us a DISCOVER).
        if free_mask(query, plan, start) & own_mask(query, start) & bit:
            yield start << 8 | query.hash & 255
        for block in islice(plan.open_blocks(view, space, start), OWN_BUCKET_BLOCKS):
            if block != start and free_mask(query, plan, block) & own_mask(query, block) & bit:
                yield block << 8 | query.hash & 255
    yield from _walk(query, plan, own_mask)


def common(query: Query, plan: PoolPlan) -> Iterator[int]:
    """The pool's free addresses that are nobody's."""
    yield from _walk(query, plan, lambda _, block: COMMON[block & 7])


def any_bucket(query: Query, plan: PoolPlan) -> Iterator[int]:
    """The pool's free addresses, whoever owns their buckets."""
    yield from _walk(query, plan, lambda _query, _block: ALL_BUCKETS)


def own_mask(query: Query, block: int) -> int:
    """The addresses of a block that this node alone offers."""
    owned = query.situation.peers.owned
    return owned if owned == ALL_BUCKETS else owned & ~COMMON[block & 7]


def _walk(query: Query, plan: PoolPlan, mask: Callable[[Query, int], int]) -> Iterator[int]:
    start = plan.first + (query.hash >> 8) % plan.count
    blocks = plan.open_blocks(query.situation.view, query.space, start)
    for block in islice(blocks, BLOCKS):
        yield from _addresses(block, free_mask(query, plan, block) & mask(query, block), query.hash >> 16 & 255)


def _addresses(block: int, free: int, start: int) -> Iterator[int]:
    """The addresses of a mask, from bit `start` on and round to it again."""
    late = free >> start << start
    yield from _bits(block, late)
    yield from _bits(block, free ^ late)


def _bits(block: int, mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield block << 8 | lowest.bit_length() - 1
        mask ^= lowest


def free_mask(query: Query, plan: PoolPlan, block: int) -> int:
    """The addresses of a block that the pool may hand out afresh."""
    view, space = query.situation.view, query.space
    return plan.mask(block) & ~(view.taken(space, block) | view.reserved(space, block))


def is_scarce(query: Query, subnet: Subnet, plan: PoolPlan, address: int) -> bool:
    """Whether less than a tenth of this node's share is free, judged by the subnet and by the address's own block.

    Hashing fills blocks evenly, so one block tells about its pool without a walk over all of them.
    """
    size = plan_of(query.situation.config, subnet).size
    if (size - query.situation.view.used(subnet.id)) * SCARCE < size:
        return True
    block = address >> 8
    share = plan.mask(block) & own_mask(query, block)
    view, space = query.situation.view, query.space
    free = share & ~(view.taken(space, block) | view.reserved(space, block))
    return free.bit_count() * SCARCE < share.bit_count()
