"""Write the pages of docs/reference: each from the commands, the client, or what `sources` names.

    .venv/bin/python docs/reference/generate.py

`tests/cli/test_reference.py` fails where a file and its source differ.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from everlease.cli.main import COMMANDS, app
from everlease.client import errors
from everlease.client.api import Api
from everlease.client.methods import rows, unary

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))

from sources import api_page, configuration_page, metrics_page  # noqa: E402  (beside this file, wherever it is run)

CONNECTION = "Connection"

CLI_HEAD = """# The command line

Made from the commands themselves by `docs/reference/generate.py`; `everlease COMMAND --help` says the same.

Exit codes: 0 done, 1 refused, 2 usage (also: a question that there was nobody to ask, say `--yes`), 3 nobody reachable.
Lists come as tables for people and, with `--output json`, `yaml` or `csv`, for programs: whole, without colours, row
after row as they come. On a narrow terminal columns are left out; where the output is no terminal nothing is.

`everlease --install-completion` sets up Tab for your shell. It offers subnets, nodes and revisions of the cluster that
`EVERLEASE_SERVER` names.

## Which cluster

Every command that asks a cluster takes these. Several servers are tried in turn: one that does not answer is passed
over.

"""

CLIENT_HEAD = """# The Python client's methods

Made from the client itself by `docs/reference/generate.py`; [client.md](../client.md) is the manual. Each method is the
same for `Client`, which returns what stands here, and for `AsyncClient`, which returns an awaitable of it (for an
`Iterator`: an `AsyncIterator`). Messages are those of `everlease.pb.admin.v1`.
"""


def cli_page() -> str:
    """docs/reference/cli.md."""
    found = list(commands("", get_command(app)))
    connection = next(command for name, command in found if name == "lease list")
    parts = [CLI_HEAD, _options(each for each in connection.params if each.rich_help_panel == CONNECTION)]
    group = ""
    for name, command in found:
        if name.split()[0] != group:
            group = name.split()[0]
            parts.append(f"\n## everlease {group}\n\n{COMMANDS[group]}\n" if " " in name else "")
        parts.append(_command(name, command))
    return "".join(parts)


def commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """("lease list", the command) of each, in the order of `--help`."""
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    context = command.make_context(path or "everlease", [], resilient_parsing=True)
    for name in command.list_commands(context):
        yield from commands(f"{path} {name}".strip(), command.get_command(context, name))


def _command(name: str, command: Any) -> str:
    own = [each for each in command.params if each.name != "help" and each.rich_help_panel != CONNECTION]
    arguments = [each for each in own if not each.opts[0].startswith("-")]
    options = [each for each in own if each.opts[0].startswith("-")]
    asks = any(each.rich_help_panel == CONNECTION for each in command.params)
    usage = " ".join(["everlease", name, *map(_argument, arguments), *["[OPTION...]"] * bool(options or asks)])
    level = "###" if " " in name else "##"
    help_text = " ".join(inspect.cleandoc(command.help or "").split())
    lines = [f"\n{level} everlease {name}\n\n{help_text}\n\n    {usage}\n"]
    if arguments or options:
        lines.append("\n" + _options([*arguments, *options]))
    return "".join(lines)


def _argument(parameter: Any) -> str:
    text = _metavar(parameter)
    return text if parameter.required else f"[{text}]"


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _options(parameters: Any) -> str:
    head = "| | | |\n|---|---|---|\n"
    return head + "".join(
        f"| `{_signature(each)}` | {_default(each)} | {_cell(each.help or '')} |\n" for each in parameters
    )


def _signature(parameter: Any) -> str:
    if not parameter.opts[0].startswith("-"):
        return _metavar(parameter)
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {_value(parameter)}".replace("|", "\\|")


def _value(parameter: Any) -> str:
    """What a value may be: the words of a choice, else its name."""
    members = getattr(parameter.type_descriptor.annotation, "__members__", None)
    if members:
        return "|".join(str(member.value) for member in members.values())
    return _metavar(parameter)


def _default(parameter: Any) -> str:
    value = getattr(parameter.default, "value", parameter.default)
    shown = "" if value in (None, "", False, 0, [], ()) or callable(value) else f"`{value}`"
    variable = parameter.envvar
    named = variable if isinstance(variable, str) else next(iter(variable or ()), "")
    parts = ("required" if parameter.required else shown, f"`{named}`" if named else "")
    return ", ".join(part for part in parts if part)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def client_page() -> str:
    """docs/reference/client.md."""
    parts = [CLIENT_HEAD]
    for service in Api.__mro__[1:-1]:
        module = inspect.getmodule(service)
        assert module is not None and module.__doc__ is not None
        parts.append(f"\n## {module.__doc__.splitlines()[0]}\n")
        methods = [(name, value) for name, value in vars(service).items() if isinstance(value, unary | rows)]
        parts += [_method(name, value) for name, value in methods]
    assert errors.__doc__ is not None
    return "".join([*parts, f"\n## Errors\n\n{errors.__doc__}"])


def _method(name: str, method: Any) -> str:
    signature = inspect.signature(method.__wrapped__)
    given = [each.replace(annotation=_plain(each.annotation)) for each in list(signature.parameters.values())[1:]]
    words = ", ".join(_parameter(each) for each in _starred(given))
    returned = re.sub(r"^(Pages|Follow|Download)\[", "Iterator[", signature.return_annotation)
    returned = re.sub(r"^(Ask|Upload)\[(.*)\]$", r"\2", returned)
    text = " ".join(inspect.cleandoc(method.__doc__ or "").split())
    return f"\n### {name}\n\n    {name}({words}) -> {_plain(returned)}\n\n{text}\n"


def _starred(parameters: list[inspect.Parameter]) -> Iterator[inspect.Parameter | None]:
    """None stands where the names begin that must be named."""
    named = False
    for each in parameters:
        if each.kind is inspect.Parameter.KEYWORD_ONLY and not named:
            named = True
            yield None
        yield each


def _parameter(parameter: inspect.Parameter | None) -> str:
    if parameter is None:
        return "*"
    default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {parameter.annotation}{default}"


def _plain(annotation: str) -> str:
    return annotation.replace("pb.", "")


PAGES = {
    "cli.md": cli_page,
    "client.md": client_page,
    "configuration.md": configuration_page,
    "metrics.md": metrics_page,
    "api.md": api_page,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())
