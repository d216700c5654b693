"""Write values.schema.json and README.md of the chart; `--check` says whether they are as they would be written.

The law of this file: each fact has one source. The schema follows from `chart_values` and the configuration's own
model, the README from the comments of values.yaml, the version from the package.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from chart_values import Chart

CHART: Final = Path(__file__).parent / "everlease"
_KEY: Final = re.compile(r"^( *)([A-Za-z]+):(.*)$")
_HEAD: Final = """# Everlease, the chart

Generated from the comments of values.yaml by helm/generate.py. How the modes differ, what etcd needs and how upgrades
go is told in docs/kubernetes.md.

A smallest `values.yaml` for each mode:

```yaml
mode: broadcast
etcd: {endpoints: ["http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"]}
admin: {insecure: true}
broadcast: {groups: [{name: all, nodeSelector: {dhcp: "true"}, links: {office: eth1}}]}
```

```yaml
mode: relay
etcd: {endpoints: ["http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"]}
admin: {insecure: true}
relay: {addresses: [192.0.2.11, 192.0.2.12, 192.0.2.13]}
```

| value | default | what it is |
|---|---|---|
"""


def schema() -> str:
    """values.schema.json. Definitions of the configuration keep their names; references point to the root."""
    made = Chart.model_json_schema(by_alias=True, mode="validation")
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "Values of the Everlease chart"
    return json.dumps(_without_titles(made), indent=1, sort_keys=True) + "\n"


def _without_titles(value: Any) -> Any:
    """Titles that pydantic makes of names say nothing."""
    if isinstance(value, dict):
        return {
            key: _without_titles(each)
            for key, each in value.items()
            if key != "title" or not isinstance(each, str) or each.startswith("Values of")
        }
    return [_without_titles(each) for each in value] if isinstance(value, list) else value


def documented(text: str) -> Iterator[tuple[str, str, str]]:
    """Every key of values.yaml that has a comment: (path, default as JSON, comment)."""
    values = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.lstrip("# "))
        elif found := _KEY.match(line):
            depth = len(found[1])
            path = [*((at, key) for at, key in path if at < depth), (depth, found[2])]
            if comment:
                name = ".".join(key for _, key in path)
                yield name, json.dumps(_at(values, name)), " ".join(comment)
            comment = []
        else:
            comment = []


def _at(values: Any, name: str) -> Any:
    for key in name.split("."):
        values = values[key]
    return values


def readme() -> str:
    """README.md: a row for each value."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    body = text.partition("\n\n")[2]
    rows = "".join(f"| `{name}` | `{default}` | {words} |\n" for name, default, words in documented(body))
    return _HEAD + rows


def chart() -> str:
    """Chart.yaml with the package's version."""
    source = (CHART.parents[1] / "node" / "everlease" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "(.+)"', source)
    if version is None:
        raise SystemExit("node/everlease/__init__.py has no __version__")
    text = (CHART / "Chart.yaml").read_text(encoding="utf-8")
    text = re.sub(r"^version: .*$", f"version: {version[1]}", text, flags=re.MULTILINE)
    return re.sub(r"^appVersion: .*$", f'appVersion: "{version[1]}"', text, flags=re.MULTILINE)


FILES: Final = {"values.schema.json": schema, "README.md": readme, "Chart.yaml": chart}


def main(check: bool) -> int:
    """Write, or with `check` name what is out of date. Returns the exit code."""
    stale = [name for name, made in FILES.items() if not _is(CHART / name, made())]
    if check:
        for name in stale:
            sys.stderr.write(f"helm/everlease/{name} is not as helm/generate.py writes it: run it\n")
        return int(bool(stale))
    for name in stale:
        (CHART / name).write_text(FILES[name](), encoding="utf-8")
    return 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
