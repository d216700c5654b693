"""Every mistake is found in one run, with its path, its line and what to do."""

import pytest
from config_documents import problems

from everlease.config.load import InvalidDocument, load
from everlease.config.problems import MOST_KEPT


def test_everything_that_is_wrong_comes_at_once_in_the_texts_order() -> None:
    assert problems("""\
        schema: 1
        valid-lifetim: 1h
        rebind-time: 2h
        option-data: {routrs: [1.2.3.4], domain-name-servers: [1.2.3]}
        subnets:
          - id: 1
            prefix: 10.1.0.0/16
            pools:
              - {range: 10.2.0.0-10.2.0.99}
              - {range: 10.1.0.99-10.1.0.5}
              - {range: 10.1.0.0/24, clases: [x], classes: [y]}
              - {range: 10.1.0.7}
            id: 1
          - {id: 1, prefix: 10.3.0.0/24, stat: disabled, state: disabeld}
          - {id: x, prefix: 10.4.0.0/24}
          - id: 9
            prefix: 10.9.1.0/24
            reservations:
              - {hw-address: 1, client-id: a}
              - {hw-address: "02:00:00:00:00:01", address: 10.1.1.1}
              - {client-id: "01:02:00:00:00:00:01"}
        shared-networks: [{name: a, subnets: [9, 77]}, {name: b, subnets: [9]}]
    """) == [
        'valid-lifetim (line 2): unknown key "valid-lifetim"; did you mean "valid-lifetime"?',
        "rebind-time (line 3): rebind-time (2h) must be less than valid-lifetime (1h); change one of them",
        'option-data.routrs (line 4): there is no option "routrs"; did you mean "routers"?',
        "option-data.domain-name-servers (line 4): '1.2.3' is not an IPv4 address; "
        "write IPv4 addresses like [192.0.2.1, 192.0.2.2]",
        "subnets[0].pools[0].range (line 9): 10.2.0.0-10.2.0.99 is outside the prefix 10.1.0.0/16; "
        "move the pool or the prefix",
        "subnets[0].pools[1].range (line 10): '10.1.0.99-10.1.0.5' ends before it starts; write 10.1.0.5-10.1.0.99",
        'subnets[0].pools[2].clases (line 11): unknown key "clases"; did you mean "classes"?',
        'subnets[0].pools[2].classes[0] (line 11): there is no class "y"; define it under client-classes',
        "subnets[0].pools[3].range (line 12): 10.1.0.7 overlaps 10.1.0.0-10.1.0.255 of subnets[0].pools[2]; "
        "an address is in one pool",
        "subnets[0].id (line 13): given twice, first in line 6; keep one of them",
        "subnets[1].id (line 14): id 1 is subnets[0]'s already; take another",
        'subnets[1].stat (line 14): unknown key "stat"; did you mean "state"?',
        "subnets[1].state (line 14): 'disabeld' is not possible; write active or draining or disabled; "
        'did you mean "disabled"?',
        "subnets[2].id (line 15): 'x' does not fit; write a whole number",
        "subnets[3].reservations[0].hw-address (line 19): 1 is not a hardware address; "
        "write one like 02:00:00:00:00:01",
        "subnets[3].reservations[1].address (line 20): 10.1.1.1 is outside the prefix 10.9.1.0/24; move one of them",
        "subnets[3].reservations[2] (line 21): the same client is reserved at subnets[3].reservations[1] as well; "
        "keep one of them",
        "shared-networks[0].subnets[1] (line 22): there is no subnet 77; define it under subnets, or take it out",
        "shared-networks[1].subnets[0] (line 22): subnet 9 is in shared-networks[0] already; take it out of one",
    ]


def one(text: str) -> str:
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


SUBNET = "subnets: [{id: 1, prefix: 10.1.0.0/24, %s}]"


@pytest.mark.parametrize(
    ("text", "place", "fragment"),
    [
        # values that are no values
        ("schema: 2", "schema", "2 is not possible; write 1"),
        ("subnets: 3", "subnets", "write a list"),
        ("subnets: {id: 1}", "subnets", "write a list"),
        ("subnets: [3]", "subnets[0]", "write a mapping"),
        ("cluster: [1]", "cluster", "write a mapping"),
        ("subnets: [{prefix: 10.1.0.0/24}]", "subnets[0].id", '"id" is missing'),
        ("subnets: [{id: 1}]", "subnets[0].prefix", '"prefix" is missing'),
        ("subnets: [{id: 0, prefix: 10.1.0.0/24}]", "subnets[0].id", "greater than or equal to 1"),
        ("subnets: [{id: 1, prefix: 10.1.0.1/24}]", "subnets[0].prefix", "the prefix is 10.1.0.0/24"),
        ("subnets: [{id: 1, prefix: 224.0.0.0/8}]", "subnets[0].prefix", "not unicast"),
        ("subnets: [{id: 1, prefix: 127.0.0.0/8}]", "subnets[0].prefix", "not unicast"),
        ("authoritative: yes", "authoritative", "write true or false"),
        ("authoritative: 1", "authoritative", "write true or false"),
        ("valid-lifetime: soon", "valid-lifetime", "write one like"),
        ("next-server: boot.example.org", "next-server", "write one like 192.0.2.1"),
        ("server-hostname: " + "x" * 64, "server-hostname", "at most 63"),
        ("boot-file-name: " + "\u00fc" * 100, "boot-file-name", "it takes 200 octets; 127 fit"),
        ("offer-lifetime: 0s", "offer-lifetime", "greater than or equal to 1"),
        ("cluster: {grace: long}", "cluster.grace", "write one like"),
        ("cluster: {store-quota: big}", "cluster.store-quota", "write one like 8GB"),
        ("cluster: {on-quorum-loss: extend}", "cluster.on-quorum-loss", "extend-known or strict"),
        ("limits: {packets-per-client: many}", "limits.packets-per-client", "write one like 10/s"),
        ("limits: {declined-share: 101%}", "limits.declined-share", "write one like 25%"),
        (SUBNET % "space: Tenant", "subnets[0].space", "must match"),
        (SUBNET % "labels: {a: [1]}", "subnets[0].labels.a", "write text"),
        (SUBNET % "labels: {'': x}", "subnets[0].labels.", "at least one character"),
        (SUBNET % "link: 'a b'", "subnets[0].link", "must match"),
        (SUBNET % "relays: [x]", "subnets[0].relays[0]", "not an IPv4 address"),
        # keys in the wrong place
        (
            SUBNET % "pools: [{range: 10.1.0.9, client-identity: hw-address}]",
            "subnets[0].pools[0].client-identity",
            '"client-identity" has no meaning here; write it at the top of the document or under shared-networks',
        ),
        ("on-quorum-loss: strict", "on-quorum-loss", "write it under cluster"),
        ("ranges: 1", "ranges", "unknown key"),
        # lifetimes
        ("min-valid-lifetime: 2h", "min-valid-lifetime", "min-valid-lifetime (2h) must be at most valid-lifetime (1h)"),
        (
            "max-valid-lifetime: 90s",
            "max-valid-lifetime",
            "valid-lifetime (1h) must be at most max-valid-lifetime (90s)",
        ),
        ("renew-time: 1h", "renew-time", "renew-time (1h) must be less than valid-lifetime (1h)"),
        ("{renew-time: 40m, rebind-time: 30m}", "renew-time", "renew-time (40m) must be less than rebind-time (30m)"),
        (
            "max-valid-lifetime: 1h\n" + SUBNET % "valid-lifetime: infinite",
            "subnets[0].valid-lifetime",
            "valid-lifetime (infinite) must be at most max-valid-lifetime (1h)",
        ),
        (
            "min-valid-lifetime: 30m\n" + SUBNET % "pools: [{range: 10.1.0.9, valid-lifetime: 1m}]",
            "subnets[0].pools[0].valid-lifetime",
            "min-valid-lifetime (30m) must be at most valid-lifetime (1m)",
        ),
        (
            "rebind-time: 50m\n" + SUBNET % "reservations: [{hw-address: '02:00:00:00:00:01', valid-lifetime: 1m}]",
            "subnets[0].reservations[0].valid-lifetime",
            "rebind-time (50m) must be less than valid-lifetime (1m)",
        ),
        # pools, exclusions
        (SUBNET % "pools: [{range: 10.1.1.0-10.1.1.9}]", "subnets[0].pools[0].range", "move the pool or the prefix"),
        (SUBNET % "pools: [{range: 10.1.0.0}]", "subnets[0].pools[0].range", "no address is left of 10.1.0.0"),
        (
            SUBNET % "exclude: [10.1.0.0/24], pools: [{range: 10.1.0.9}]",
            "subnets[0].pools[0].range",
            "no address is left",
        ),
        (SUBNET % "exclude: [10.2.0.0/24]", "subnets[0].exclude[0]", "outside the prefix"),
        (
            SUBNET % "pools: [{range: 10.1.0.1-10.1.0.99}, {range: 10.1.0.90-10.1.0.100, classes: []}]",
            "subnets[0].pools[1].range",
            "overlaps 10.1.0.1-10.1.0.99 of",
        ),
        # reservations
        (SUBNET % "reservations: [{address: 10.1.0.9}]", "subnets[0].reservations[0]", "exactly one of hw-address"),
        (
            SUBNET % "reservations: [{client-id: a, remote-id: b}]",
            "subnets[0].reservations[0]",
            "given: client-id and remote-id",
        ),
        (
            SUBNET % "reservations: [{client-id: a, address: 10.1.0.255}]",
            "subnets[0].reservations[0].address",
            "network or broadcast",
        ),
        (
            SUBNET % "reservations: [{client-id: a, address: 10.1.0.9}, {client-id: b, address: 10.1.0.9}]",
            "subnets[0].reservations[1].address",
            "is reserved at subnets[0].reservations[0] as well",
        ),
        (
            SUBNET % "reservations: [{client-id: a}, {client-id: a}]",
            "subnets[0].reservations[1]",
            "the same client is reserved at subnets[0].reservations[0]",
        ),
        (
            SUBNET % "reservations: [{client-id: a, hostname: a_b}]",
            "subnets[0].reservations[0].hostname",
            "letters, digits",
        ),
        (
            SUBNET % ("reservations: [{client-id: '" + "0:" * 1100 + "0'}]"),
            "subnets[0].reservations[0].client-id",
            "1 to 255",
        ),
        # options
        ("option-data: {routers: 10}", "option-data.routers", "10 is not an IPv4 address"),
        ("option-data: {routers: []}", "option-data.routers", "the list is empty"),
        ("option-data: {routers: }", "option-data.routers", "the value is missing"),
        ("option-data: {'300': x}", "option-data.300", "from 1 to 254"),
        ("option-data: {dhcp-lease-time: 3600}", "option-data.dhcp-lease-time", "write valid-lifetime"),
        ("option-data: {'82': x}", "option-data.82", "it is echoed"),
        ("option-data: {routers: 10.0.0.1, '3': 10.0.0.1}", "option-data.3", "given twice, by name and by code"),
        (
            "option-data: {domain-name: {value: x, send: sometimes}}",
            "option-data.domain-name",
            "requested, always, never",
        ),
        ("option-data: {domain-name: {value: x, send: {a: b}}}", "option-data.domain-name", "requested, always, never"),
        ("option-data: {domain-name: {value: x, hex: '00'}}", "option-data.domain-name", "exclude each other"),
        ("option-data: {'224': {hex: xyz}}", "option-data.224", "pairs of digits"),
        ("option-data: [routers]", "option-data", "write a mapping"),
        ("option-def: [{name: routers, code: 230, type: ip}]", "option-def[0].name", '"routers" is option 3'),
        ("option-def: [{name: x, code: 230, type: ipp}]", "option-def[0].type", 'did you mean "ip"?'),
        ("option-def: [{name: x, code: 53, type: ip}]", "option-def[0].code", "sets option 53 itself"),
        (
            "option-def: [{name: x, code: 230, type: ip}, {name: x, code: 231, type: ip}]",
            "option-def[1]",
            "defined twice",
        ),
        ("option-def: [{name: X, code: 230, type: ip}]", "option-def[0].name", "must match"),
        # names
        (
            "client-classes: [{name: a, match: {htype: 1}}, {name: a, match: {htype: 1}}]",
            "client-classes[1].name",
            "exists already",
        ),
        ("client-classes: [{name: a}]", "client-classes[0].match", '"match" is missing'),
        ("client-classes: [{name: a, match: {htype: 1}, action: allow}]", "client-classes[0].action", "write drop"),
        ("shared-networks: [{name: a, subnets: []}]", "shared-networks[0].subnets", "name at least one"),
    ],
)
def test_a_mistake_is_named_by_its_path_and_says_what_to_do(text: str, place: str, fragment: str) -> None:
    found = one(text)
    assert found.startswith(f"{place} (line ")
    assert fragment in found


def test_a_reference_to_something_broken_is_no_second_mistake() -> None:
    text = """\
        subnets:
          - {id: 1, prefix: 10.1.0.1/16, pools: [{range: 10.1.0.9, classes: [c]}]}
          - {id: 2, prefix: 10.2.0.0/16, pools: [{range: 10.2.0.9, classes: [c]}]}
        shared-networks: [{name: a, subnets: [1, 2]}]
        client-classes: [{name: c}]
    """
    assert [line.split()[0] for line in problems(text)] == ["subnets[0].prefix", "client-classes[0].match"]


@pytest.mark.parametrize("definition", ["code: 230, type: ipp", "code: 999, type: ip", "type: ip"])
def test_a_value_of_a_broken_option_is_no_second_mistake(definition: str) -> None:
    assert one(f"{{option-def: [{{name: x, {definition}}}], option-data: {{x: 1.2}}}}").startswith("option-def[0].")


def test_the_number_of_problems_is_bounded() -> None:
    with pytest.raises(InvalidDocument) as refused:
        load("subnets:\n" + "- {}\n" * 5000)
    assert len(refused.value.problems) <= 2 * MOST_KEPT
    assert str(refused.value).splitlines()[-1].startswith("... and ")


def test_a_problem_has_line_and_column() -> None:
    with pytest.raises(InvalidDocument) as refused:
        load("schema: 1\ncluster: {grace: x}\n")
    problem = refused.value.problems[0]
    assert (problem.path, problem.line, problem.column) == ("cluster.grace", 2, 11)
    assert refused.value.reason == "config"
