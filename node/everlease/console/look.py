"""One look at the cluster as this node sees it: the facts that the timeline compares."""

from __future__ import annotations

from everlease.console.timeline import Facts, NodeFacts
from everlease.runtime.rooms import Rooms


def look(rooms: Rooms) -> Facts:
    """As of now."""
    condition, configuration = rooms.condition, rooms.configuration
    config, store = configuration.current, rooms.store
    members = {member: store.is_up(member) for member in store.rank()}
    reports = ((member, store.report(member)) for member in members)
    return Facts(
        nodes=_nodes(rooms),
        members=members,
        alarms=frozenset((member, alarm) for member, report in reports if report for alarm in report.alarms),
        keeper=condition.keeper,
        trouble=condition.trouble,
        config=config.revision if config else 0,
        config_error=configuration.error,
        rogues=dict(rooms.counters.rogues),
    )


def _nodes(rooms: Rooms) -> dict[str, NodeFacts]:
    membership, now, time = rooms.membership, rooms.clock.boot(), rooms.clock.now()
    found = {}
    for name, member in list(membership.members.items()):
        skips = frozenset((each.node, each.link) for each in member.presence.takeovers if each.until > time)
        fresh = membership.is_fresh(member, now)
        found[name] = NodeFacts(member.presence.state, member.presence.reason, fresh, member.links - {""}, skips)
    published, lifeline = rooms.view.nodes.get(rooms.name), rooms.lifeline
    own = published.presence.takeovers if published else ()
    skips = frozenset((each.node, each.link) for each in own if each.until > time)
    links = frozenset(membership.links) - {""}
    found[rooms.name] = NodeFacts(lifeline.state, lifeline.reason, True, links, skips)
    return found
