"""`option-data` and `option-def` -> option codes and octets.

The law of this file: values are encoded here, once; nothing later looks at what the operator wrote.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from everlease.config import values
from everlease.config.problems import Path, Report, did_you_mean
from everlease.core.model import SEND_ALWAYS, SEND_NEVER, SEND_REQUESTED, OptionValue
from everlease.wire import kinds, options4
from everlease.wire.kinds import Kind
from everlease.wire.scalars import shown

if TYPE_CHECKING:
    from everlease.config.schema import OptionDefinition

_LONG_FORM: Final = {"value", "hex", "send"}
_SEND: Final = {"requested": SEND_REQUESTED, "always": SEND_ALWAYS, "never": SEND_NEVER}
_OWN: Final = {
    50: "clients send it",
    51: "write valid-lifetime",
    52: "it is set where a message needs it",
    53: "it is set for each message",
    54: "use the node's --server-identifier",
    55: "clients send it",
    56: "it is set for each message",
    57: "clients send it",
    58: "write renew-time",
    59: "write rebind-time",
    61: "clients send it",
    80: "write rapid-commit",
    82: "relay agents send it, and it is echoed",
}
"""Options that the server sets itself, and what to write instead."""


class OptionTable:
    """IANA's options and the operator's own, by name and code."""

    def __init__(self, broken: Collection[str] = ()) -> None:
        """broken: names whose definition is a finding already; what is said of them is no second one."""
        self.names: dict[int, str] = {}
        self.types: dict[int, str] = {}
        self._broken = set(broken)
        self._codes: dict[str, int] = {}
        self._kinds: dict[int, Kind] = {}

    @classmethod
    def of(cls, names: Mapping[int, str], types: Mapping[int, str]) -> OptionTable:
        """The table of a configuration that was compiled before: `Config.option_names`, `Config.option_types`."""
        table = cls()
        for code, name in names.items():
            table.names[code], table.types[code] = name, types[code]
            table._codes[name], table._kinds[code] = code, kinds.BY_NAME[types[code]]
        return table

    def define(self, definition: OptionDefinition, path: Path, report: Report) -> None:
        """Add one entry of `option-def`."""
        standard = options4.by_name.get(definition.name)
        if standard and standard.code != definition.code:
            report.add((*path, "name"), f'"{definition.name}" is option {standard.code}; choose another name')
        if definition.code in _OWN:
            report.add((*path, "code"), f"the server sets option {definition.code} itself: {_OWN[definition.code]}")
        if definition.name in self._codes or definition.code in self.names:
            report.add(path, f'"{definition.name}" or code {definition.code} is defined twice; keep one')
        kind = kinds.BY_NAME.get(_type(definition))
        if kind is None:
            known = ", ".join(sorted(kinds.BY_NAME))
            near = did_you_mean(definition.type, kinds.BY_NAME)
            report.add((*path, "type"), f'there is no type "{definition.type}"{near}; known are {known}')
            self._broken.add(definition.name)
            return
        self.names[definition.code] = definition.name
        self._codes[definition.name] = definition.code
        self.types[definition.code] = _type(definition)
        self._kinds[definition.code] = kind
        self._broken.discard(definition.name)

    def encode(self, data: Mapping[str, Any], path: Path, report: Report) -> dict[int, OptionValue]:
        """One level's `option-data`, by code."""
        found: dict[int, OptionValue] = {}
        for name, given in data.items():
            if name in self._broken:
                continue
            here = (*path, "option-data", name)
            with report.at(here):
                code = self.code(name)
                if code in found:
                    raise ValueError(f"option {code} is given twice, by name and by code; keep one")
                found[code] = self._value(code, given)
        return found

    def code(self, name: str) -> int:
        """The code of an option to send. `ValueError` if the server sets it itself, or nobody knows it."""
        code = self.known(name)
        if code in _OWN:
            raise ValueError(f"the server sets option {code} itself: {_OWN[code]}")
        return code

    def known(self, name: str) -> int:
        """The code of any option by its name or code. `ValueError` if nobody knows it."""
        if name.isdecimal():
            code = int(name)
            if not 1 <= code <= 254:
                raise ValueError(f"option codes go from 1 to 254, not {name}")
        elif name in self._codes:
            code = self._codes[name]
        elif name in options4.by_name:
            code = options4.by_name[name].code
        else:
            near = did_you_mean(name, [*options4.by_name, *self._codes])
            raise ValueError(f'there is no option "{name}"{near or "; use its code, or define it in option-def"}')
        return code

    def kind(self, code: int) -> Kind:
        """The kind of an option's value; octets for a code that nobody defined."""
        if code in self._kinds:
            return self._kinds[code]
        option = options4.by_code.get(code)
        return option.kind if option else kinds.BINARY

    def _value(self, code: int, given: Any) -> OptionValue:
        if not isinstance(given, dict) or not given or given.keys() - _LONG_FORM:
            return OptionValue(self._octets(code, given))
        send = given.get("send", "requested")
        if not isinstance(send, str) or send not in _SEND:
            raise ValueError(f"send is {shown(send)}; write {', '.join(_SEND)}")
        if "value" in given and "hex" in given:
            raise ValueError("value and hex exclude each other; keep one")
        if "hex" in given:
            octets = values.hex_octets(str(given["hex"]))
            if octets is None:
                raise ValueError(f"{shown(given['hex'])} is not hex; write pairs of digits like '0a:0b'")
            return OptionValue(octets, _SEND[send])
        if send == "never" and "value" not in given:
            return OptionValue(b"", SEND_NEVER)
        return OptionValue(self._octets(code, given.get("value")), _SEND[send])

    def _octets(self, code: int, given: Any) -> bytes:
        if given is None:
            raise ValueError("the value is missing; give one, or {send: never} to take an inherited one away")
        return self.kind(code).encode(given)


def _type(definition: OptionDefinition) -> str:
    """The name of the kind that a definition asks for: `array: true` makes a list of it."""
    return f"{definition.type}-list" if definition.array else definition.type
