"""DHCPv4 options, one row each: IANA's registry "BOOTP Vendor Extensions and DHCP Options".

The law of this file: an option is registered by its row and nowhere else. Names are Kea's where Kea has one; other
names in use are aliases. What has no row passes through as octets: 0 and 255 (framing), the codes that IANA has as
unassigned or "Removed/Unassigned" (84, 96, 102-107, 110, 111, 115, 126, 127 by RFC 3679; 149; 160, moved to 114 by
RFC 8910; 163-174, 178-207, 214-219, 222, 223), and private use (224-254 by RFC 3942) but for two that Windows made
everybody's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from everlease.errors import WireError
from everlease.wire import kinds
from everlease.wire.kinds import Kind, Value


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its code, its name in configuration, what its value looks like, and the RFC that defines it."""

    code: int
    name: str
    kind: Kind
    rfc: int
    aliases: tuple[str, ...] = ()

    @property
    def repeatable(self) -> bool:
        """The value is a list of equal parts; parts from a repeated option are one list (RFC 3396)."""
        return self.kind.many

    def show(self, data: bytes) -> Value:
        """The value for people; octets as `0a:0b` if they are no value of this kind. Never raises."""
        try:
            return self.kind.decode(data)
        except WireError:
            return data.hex(":")


_ROWS: Final = (
    Option(1, "subnet-mask", kinds.IP, 2132),
    Option(2, "time-offset", kinds.INT32, 2132),
    Option(3, "routers", kinds.IP_LIST, 2132),
    Option(4, "time-servers", kinds.IP_LIST, 2132),
    Option(5, "name-servers", kinds.IP_LIST, 2132, ("ien116-name-servers",)),
    Option(6, "domain-name-servers", kinds.IP_LIST, 2132),
    Option(7, "log-servers", kinds.IP_LIST, 2132),
    Option(8, "cookie-servers", kinds.IP_LIST, 2132, ("quotes-servers",)),
    Option(9, "lpr-servers", kinds.IP_LIST, 2132),
    Option(10, "impress-servers", kinds.IP_LIST, 2132),
    Option(11, "resource-location-servers", kinds.IP_LIST, 2132),
    Option(12, "host-name", kinds.STRING, 2132, ("hostname",)),
    Option(13, "boot-size", kinds.UINT16, 2132),
    Option(14, "merit-dump", kinds.STRING, 2132),
    Option(15, "domain-name", kinds.STRING, 2132),
    Option(16, "swap-server", kinds.IP, 2132),
    Option(17, "root-path", kinds.STRING, 2132),
    Option(18, "extensions-path", kinds.STRING, 2132),
    Option(19, "ip-forwarding", kinds.BOOLEAN, 2132),
    Option(20, "non-local-source-routing", kinds.BOOLEAN, 2132),
    Option(21, "policy-filter", kinds.IP_PAIR_LIST, 2132),
    Option(22, "max-dgram-reassembly", kinds.UINT16, 2132),
    Option(23, "default-ip-ttl", kinds.UINT8, 2132),
    Option(24, "path-mtu-aging-timeout", kinds.UINT32, 2132),
    Option(25, "path-mtu-plateau-table", kinds.UINT16_LIST, 2132),
    Option(26, "interface-mtu", kinds.UINT16, 2132),
    Option(27, "all-subnets-local", kinds.BOOLEAN, 2132),
    Option(28, "broadcast-address", kinds.IP, 2132),
    Option(29, "perform-mask-discovery", kinds.BOOLEAN, 2132),
    Option(30, "mask-supplier", kinds.BOOLEAN, 2132),
    Option(31, "router-discovery", kinds.BOOLEAN, 2132),
    Option(32, "router-solicitation-address", kinds.IP, 2132),
    Option(33, "static-routes", kinds.IP_PAIR_LIST, 2132),
    Option(34, "trailer-encapsulation", kinds.BOOLEAN, 2132),
    Option(35, "arp-cache-timeout", kinds.UINT32, 2132),
    Option(36, "ieee802-3-encapsulation", kinds.BOOLEAN, 2132),
    Option(37, "default-tcp-ttl", kinds.UINT8, 2132),
    Option(38, "tcp-keepalive-interval", kinds.UINT32, 2132),
    Option(39, "tcp-keepalive-garbage", kinds.BOOLEAN, 2132),
    Option(40, "nis-domain", kinds.STRING, 2132),
    Option(41, "nis-servers", kinds.IP_LIST, 2132),
    Option(42, "ntp-servers", kinds.IP_LIST, 2132),
    Option(43, "vendor-encapsulated-options", kinds.ENCAPSULATED, 2132, ("vendor-specific-information",)),
    Option(44, "netbios-name-servers", kinds.IP_LIST, 2132),
    Option(45, "netbios-dd-server", kinds.IP_LIST, 2132),
    Option(46, "netbios-node-type", kinds.UINT8, 2132),
    Option(47, "netbios-scope", kinds.STRING, 2132),
    Option(48, "font-servers", kinds.IP_LIST, 2132),
    Option(49, "x-display-manager", kinds.IP_LIST, 2132, ("x-display-managers",)),
    Option(50, "dhcp-requested-address", kinds.IP, 2132, ("requested-address",)),
    Option(51, "dhcp-lease-time", kinds.UINT32, 2132, ("lease-time",)),
    Option(52, "dhcp-option-overload", kinds.UINT8, 2132),
    Option(53, "dhcp-message-type", kinds.UINT8, 2132),
    Option(54, "dhcp-server-identifier", kinds.IP, 2132, ("server-identifier",)),
    Option(55, "dhcp-parameter-request-list", kinds.UINT8_LIST, 2132, ("parameter-request-list",)),
    Option(56, "dhcp-message", kinds.STRING, 2132),
    Option(57, "dhcp-max-message-size", kinds.UINT16, 2132),
    Option(58, "dhcp-renewal-time", kinds.UINT32, 2132, ("renewal-time",)),
    Option(59, "dhcp-rebinding-time", kinds.UINT32, 2132, ("rebinding-time",)),
    # Text by every client that matters, though RFC 2132 says octets: classes match it as text.
    Option(60, "vendor-class-identifier", kinds.STRING, 2132),
    Option(61, "dhcp-client-identifier", kinds.BINARY, 2132, ("client-identifier",)),
    Option(62, "nwip-domain-name", kinds.STRING, 2242),
    Option(63, "nwip-suboptions", kinds.ENCAPSULATED, 2242),
    Option(64, "nisplus-domain-name", kinds.STRING, 2132),
    Option(65, "nisplus-servers", kinds.IP_LIST, 2132),
    Option(66, "tftp-server-name", kinds.STRING, 2132),
    Option(67, "boot-file-name", kinds.STRING, 2132, ("bootfile-name",)),
    Option(68, "mobile-ip-home-agent", kinds.IP_LIST, 2132),
    Option(69, "smtp-server", kinds.IP_LIST, 2132),
    Option(70, "pop-server", kinds.IP_LIST, 2132),
    Option(71, "nntp-server", kinds.IP_LIST, 2132),
    Option(72, "www-server", kinds.IP_LIST, 2132),
    Option(73, "finger-server", kinds.IP_LIST, 2132),
    Option(74, "irc-server", kinds.IP_LIST, 2132),
    Option(75, "streettalk-server", kinds.IP_LIST, 2132),
    Option(76, "streettalk-directory-assistance-server", kinds.IP_LIST, 2132),
    # RFC 3004 asks for counted strings, iPXE and Windows send plain text; as text, `contains` matches both.
    Option(77, "user-class", kinds.STRING, 3004),
    Option(78, "slp-directory-agent", kinds.SLP_AGENTS, 2610),
    Option(79, "slp-service-scope", kinds.SLP_SCOPE, 2610),
    Option(80, "rapid-commit", kinds.EMPTY, 4039),
    Option(81, "fqdn", kinds.CLIENT_FQDN, 4702, ("client-fqdn",)),
    Option(82, "dhcp-agent-options", kinds.SUBOPTIONS, 3046, ("relay-agent-information",)),
    Option(83, "isns", kinds.BINARY, 4174),
    Option(85, "nds-servers", kinds.IP_LIST, 2241),
    Option(86, "nds-tree-name", kinds.STRING, 2241),
    Option(87, "nds-context", kinds.STRING, 2241),
    Option(88, "bcms-controller-names", kinds.FQDN_LIST, 4280),
    Option(89, "bcms-controller-address", kinds.IP_LIST, 4280),
    Option(90, "authenticate", kinds.BINARY, 3118, ("authentication",)),
    Option(91, "client-last-transaction-time", kinds.UINT32, 4388),
    Option(92, "associated-ip", kinds.IP_LIST, 4388),
    Option(93, "client-architecture", kinds.UINT16_LIST, 4578, ("client-system", "pxe-system-type")),
    Option(94, "client-ndi", kinds.CLIENT_NDI, 4578),
    Option(95, "ldap", kinds.STRING, 3679, ("ldap-url",)),
    Option(97, "uuid-guid", kinds.MACHINE_ID, 4578),
    Option(98, "uap-servers", kinds.STRING, 2485),
    Option(99, "geoconf-civic", kinds.BINARY, 4776),
    Option(100, "pcode", kinds.STRING, 4833, ("posix-timezone",)),
    Option(101, "tcode", kinds.STRING, 4833, ("tzdb-timezone",)),
    Option(108, "v6-only-preferred", kinds.UINT32, 8925),
    Option(109, "dhcp4o6-s46-saddr", kinds.IPV6, 8539),
    Option(112, "netinfo-server-address", kinds.IP_LIST, 3679),
    Option(113, "netinfo-server-tag", kinds.STRING, 3679),
    Option(114, "v4-captive-portal", kinds.STRING, 8910, ("captive-portal",)),
    Option(116, "auto-config", kinds.UINT8, 2563),
    Option(117, "name-service-search", kinds.UINT16_LIST, 2937),
    Option(118, "subnet-selection", kinds.IP, 3011),
    Option(119, "domain-search", kinds.FQDN_LIST, 3397),
    Option(120, "sip-servers", kinds.SIP_SERVERS, 3361),
    Option(121, "classless-static-route", kinds.ROUTES, 3442, ("classless-static-routes",)),
    Option(122, "ccc", kinds.SUBOPTIONS, 3495, ("cablelabs-client-configuration",)),
    Option(123, "geoconf", kinds.BINARY, 6225),
    Option(124, "vivco-suboptions", kinds.VENDOR_CLASSES, 3925),
    Option(125, "vivso-suboptions", kinds.VENDOR_OPTIONS, 3925),
    # RFC 4578 leaves 128 to 135 to PXE vendors; older uses of the same codes are telephones' and boot loaders'.
    Option(128, "pxe-vendor-128", kinds.BINARY, 4578),
    Option(129, "pxe-vendor-129", kinds.BINARY, 4578),
    Option(130, "pxe-vendor-130", kinds.BINARY, 4578),
    Option(131, "pxe-vendor-131", kinds.BINARY, 4578),
    Option(132, "pxe-vendor-132", kinds.BINARY, 4578),
    Option(133, "pxe-vendor-133", kinds.BINARY, 4578),
    Option(134, "pxe-vendor-134", kinds.BINARY, 4578),
    Option(135, "pxe-vendor-135", kinds.BINARY, 4578),
    Option(136, "pana-agent", kinds.IP_LIST, 5192),
    Option(137, "v4-lost", kinds.FQDN, 5223),
    Option(138, "capwap-ac-v4", kinds.IP_LIST, 5417),
    Option(139, "mos-address", kinds.SUBOPTIONS, 5678),
    Option(140, "mos-fqdn", kinds.SUBOPTIONS, 5678),
    Option(141, "sip-ua-cs-domains", kinds.FQDN_LIST, 6011),
    Option(142, "v4-andsf", kinds.IP_LIST, 6153),
    Option(143, "v4-sztp-redirect", kinds.URIS, 8572),
    Option(144, "geoloc", kinds.BINARY, 6225),
    Option(145, "forcerenew-nonce-capable", kinds.UINT8_LIST, 6704),
    Option(146, "rdnss-selection", kinds.RDNSS, 6731),
    Option(147, "v4-dots-ri", kinds.FQDN, 8973),
    Option(148, "v4-dots-address", kinds.IP_LIST, 8973),
    Option(150, "tftp-server-address", kinds.IP_LIST, 5859),
    Option(151, "status-code", kinds.STATUS, 6926),
    Option(152, "base-time", kinds.UINT32, 6926),
    Option(153, "start-time-of-state", kinds.UINT32, 6926),
    Option(154, "query-start-time", kinds.UINT32, 6926),
    Option(155, "query-end-time", kinds.UINT32, 6926),
    Option(156, "dhcp-state", kinds.UINT8, 6926),
    Option(157, "data-source", kinds.UINT8, 6926),
    Option(158, "v4-pcp-server", kinds.PCP_SERVERS, 7291),
    Option(159, "v4-portparams", kinds.PORT_PARAMETERS, 7618),
    Option(161, "v4-mud-url", kinds.STRING, 8520),
    Option(162, "v4-dnr", kinds.RESOLVERS, 9463),
    # 175 to 177 are tentatively assigned (RFC 3942 section 4): iPXE's sub-options, Avaya's text, CableLabs.
    Option(175, "etherboot", kinds.ENCAPSULATED, 3942),
    Option(176, "ip-telephone", kinds.STRING, 3942),
    Option(177, "packetcable", kinds.BINARY, 3942),
    Option(208, "pxelinux-magic", kinds.BINARY, 5071),
    Option(209, "pxelinux-config-file", kinds.STRING, 5071, ("configuration-file",)),
    Option(210, "pxelinux-path-prefix", kinds.STRING, 5071, ("path-prefix",)),
    Option(211, "pxelinux-reboot-time", kinds.UINT32, 5071, ("reboot-time",)),
    Option(212, "option-6rd", kinds.SIXRD, 5969),
    Option(213, "v4-access-domain", kinds.FQDN, 5986),
    Option(220, "subnet-allocation", kinds.BINARY, 6656),
    Option(221, "virtual-subnet-selection", kinds.BINARY, 6607),
    # Not IANA's, but every Windows client since XP asks for it and some ask for nothing else.
    Option(249, "ms-classless-static-routes", kinds.ROUTES, 3442),
    Option(252, "web-proxy-auto-discovery", kinds.STRING, 3942, ("wpad",)),
)

by_code: Final[dict[int, Option]] = {option.code: option for option in _ROWS}
by_name: Final[dict[str, Option]] = {name: option for option in _ROWS for name in (option.name, *option.aliases)}


def show(code: int, data: bytes) -> Value:
    """An option's value for people; unknown codes, and octets that do not fit their kind, as `0a:0b`."""
    option = by_code.get(code)
    return option.show(data) if option else data.hex(":")
