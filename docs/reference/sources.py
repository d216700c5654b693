"""The pages on configuration, metrics and API, each from what the program itself goes by.

The law of this file: nothing is told here that is not told where it is defined; what has no words there shows as a gap.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2 as descriptors

ROOT = Path(__file__).resolve().parents[2]

CONFIGURATION_HEAD = """# The keys of the configuration

Made from the schema by `docs/reference/generate.py`; [configuration.md](../configuration.md) is the manual, and
`everlease config schema` prints the JSON Schema. Every key may be left out unless it is required.
"""

METRICS_HEAD = """# Metrics

Made from a node's own exposition by `docs/reference/generate.py`; [observe.md](../observe.md) tells how to use them.
Counters exist from the start, at zero, for the labels that are known.

| metric | type | labels | |
|---|---|---|---|
"""

API_HEAD = """# The admin API

Made from the .proto files by `docs/reference/generate.py`; [api.md](../api.md) is the manual.
"""


# --- configuration ----------------------------------------------------------------------------------------------------


def configuration_page() -> str:
    """docs/reference/configuration.md."""
    from everlease.config.schema import json_schema  # noqa: PLC0415

    schema = json_schema()
    parts = [CONFIGURATION_HEAD, _object("The document", schema)]
    for name, each in schema["$defs"].items():
        if "properties" in each:
            parts.append(_object(name, each))
    return "".join(parts)


def _object(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        f"| `{key}` | {_type(each)} | {'required' if key in required else _default(each)} | {_words(each)} |\n"
        for key, each in schema["properties"].items()
    ]
    head = f"\n## {name}\n\n{_words(schema)}\n\n| key | value | default | |\n|---|---|---|---|\n"
    return head + "".join(rows)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        kinds = [_type(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_type(schema['additionalProperties'])}"
    if schema.get("type") == "string" and "description" in schema and "title" not in schema:
        return _words(schema)
    return str(schema.get("type", "any value"))


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    shown = {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value
    return "" if value in (None, "", [], {}, ()) and value is not False else f"`{shown}`"


def _words(schema: dict[str, Any]) -> str:
    return " ".join(schema.get("description", "").split()).replace("|", "\\|")


# --- metrics ----------------------------------------------------------------------------------------------------------


def metrics_page() -> str:
    """docs/reference/metrics.md. The labels are those that a test holds against a node."""
    sys.path.insert(0, str(ROOT / "tests"))
    from admin.test_metrics import PROMISED, everything  # noqa: PLC0415

    families = asyncio.run(everything())
    return METRICS_HEAD + "".join(_metric(families[name], labels) for name, labels in PROMISED.items())


def _metric(family: Any, labels: str) -> str:
    shown = f"{family.name}_total" if family.type == "counter" else family.name
    named = " ".join(f"`{label}`" for label in labels.split())
    return f"| `{shown}` | {family.type} | {named} | {' '.join(family.documentation.split())} |\n"


# --- the API ----------------------------------------------------------------------------------------------------------


def api_page() -> str:
    """docs/reference/api.md."""
    return API_HEAD + "".join(part for file in _files() for part in _services(file))


def _files() -> Iterator[descriptors.FileDescriptorProto]:
    """The files of the admin API with their comments."""
    from grpc_tools import _proto, protoc  # noqa: PLC0415  (a build-time tool)

    folder = ROOT / "proto"
    names = sorted(str(path.relative_to(folder)) for path in (folder / "everlease" / "admin" / "v1").glob("*.proto"))
    with tempfile.NamedTemporaryFile() as out:
        include = next(iter(_proto.__path__))
        flags = [f"-I{folder}", f"-I{include}", "--include_source_info", f"--descriptor_set_out={out.name}"]
        if protoc.main(["protoc", *flags, *names]) != 0:
            raise SystemExit("protoc failed: see its message above")
        found = descriptors.FileDescriptorSet.FromString(Path(out.name).read_bytes())
    yield from found.file


def _services(file: descriptors.FileDescriptorProto) -> Iterator[str]:
    told = {tuple(each.path): " ".join(each.leading_comments.split()) for each in file.source_code_info.location}
    for number, service in enumerate(file.service):
        yield f"\n## {service.name}\n\n{told.get((6, number), '')}\n"
        yield "\n| method | takes | answers | |\n|---|---|---|---|\n"
        for place, method in enumerate(service.method):
            words = told.get((6, number, 2, place), "").replace("|", "\\|")
            asked = _message(method.input_type, streams=method.client_streaming)
            answered = _message(method.output_type, streams=method.server_streaming)
            yield f"| `{method.name}` | {asked} | {answered} | {words} |\n"
    for number, message in enumerate(file.message_type):
        yield f"\n### {message.name}\n\n{told.get((4, number), '')}\n"
        if message.field:
            yield "\n| field | type | |\n|---|---|---|\n"
        for place, field in enumerate(message.field):
            words = told.get((4, number, 2, place), "").replace("|", "\\|")
            yield f"| `{field.name}` | {_kind(field)} | {words} |\n"


def _message(name: str, *, streams: bool) -> str:
    short = name.rsplit(".", 1)[-1]
    return f"{'stream of ' if streams else ''}[{short}](#{short.lower()})" if "everlease" in name else f"`{short}`"


def _kind(field: descriptors.FieldDescriptorProto) -> str:
    name = field.type_name.rsplit(".", 1)[-1] or field.Type.Name(field.type).removeprefix("TYPE_").lower()
    return f"repeated {name}" if field.label == field.LABEL_REPEATED else name
