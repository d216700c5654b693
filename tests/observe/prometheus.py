"""A real Prometheus on the backbone of a site, with the configuration and the rules as they are delivered, only faster.

Law: nothing of the rules is changed but their durations. They are divided, all by the same number, and so are the times
between two scrapes and two evaluations: what takes minutes on a real site takes seconds here.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any

import yaml

from checkout import ROOT
from everlease.lab.processes import LabError, need, wait_until
from lab.site import Site

DELIVERED = ROOT / "deploy" / "prometheus"
DIVISOR = 30
"""Two minutes are four seconds; a scrape every 15 s is one every 0.5 s."""

ADDRESS, PORT, METRICS = "10.99.0.240/24", 9090, 9167
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def scaled(text: str, divisor: float = DIVISOR) -> str:
    """Rules or configuration with every duration divided: `[5m]`, `[1h:1m]`, `for: 2m`, `scrape_interval: 15s`."""

    def shorter(match: re.Match[str]) -> str:
        milliseconds = int(match[1]) * _UNITS[match[2]] * 1000 / divisor
        return f"{round(milliseconds)}ms"

    def inside(match: re.Match[str]) -> str:
        return match[1] + re.sub(r"(\d+)([smhd])\b", shorter, match[2]) + match[3]

    text = re.sub(r"(\[)([\d:smhd]+)(\])", inside, text)
    return re.sub(r"^(\s*(?:for|\w+_interval): *)(\d+[smhd])( *)$", inside, text, flags=re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """One element of a query's answer."""

    labels: dict[str, str]
    value: float


class Prometheus:
    """`Prometheus(site)` before the site is started, so that nodes show their metrics on the backbone; then `start`."""

    def __init__(self, site: Site, divisor: float = DIVISOR) -> None:
        need("prometheus")
        self._site = site
        self._divisor = divisor
        self._folder = site.lab.folder / "prometheus"
        self._folder.mkdir()
        self._place = site.lab.namespace("prometheus")
        site.backbone.connect(self._place, "eth0", address=ADDRESS)
        for node in site.nodes:
            node.arguments[node.arguments.index("--metrics") + 1] = f"0.0.0.0:{METRICS}"

    def start(self) -> Prometheus:
        """Start it, and wait until it has scraped every node, and has rates."""
        for file in ("recording.yaml", "alerts.yaml"):
            (self._folder / file).write_text(scaled((DELIVERED / file).read_text(), self._divisor))
        config = self._folder / "prometheus.yaml"
        config.write_text(self._configuration())
        flags = [f"--config.file={config}", f"--storage.tsdb.path={self._folder / 'data'}"]
        listen = f"--web.listen-address=127.0.0.1:{PORT}"
        self._process = self._site.lab.start(self._place, "prometheus", *flags, listen, log="prometheus")
        nodes = len(self._site.nodes)
        wait_until(lambda: self._ended() or len(self.query("up == 1")) == nodes, 20, "Prometheus scrapes every node")
        return self

    def _configuration(self) -> str:
        """The delivered one with this site's nodes."""
        document = yaml.safe_load(scaled((DELIVERED / "prometheus.yaml").read_text(), self._divisor))
        targets = [f"10.99.0.{number + 1}:{METRICS}" for number in range(len(self._site.nodes))]
        document["scrape_configs"][0]["static_configs"][0]["targets"] = targets
        return yaml.safe_dump(document)

    def _ended(self) -> bool:
        if self._process.returncode is not None:
            raise LabError(f"Prometheus ended:\n{self._process.tail()}")
        return False

    # --- asking -------------------------------------------------------------------------------------------------------

    def query(self, expression: str) -> list[Sample]:
        """The answer to an instant query; [] also while nobody answers. LabError for an expression that is refused."""
        answer = self._get("/api/v1/query", query=expression)
        if answer is None:
            return []
        if answer["status"] != "success":
            raise LabError(f"{expression}: {answer['error']}")
        result = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return [Sample({}, float(result[1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in result]

    def firing(self, severity: str = ".*") -> set[str]:
        """The alerts that fire now."""
        found = self.query(f'ALERTS{{alertstate="firing", severity=~"{severity}"}}')
        return {each.labels["alertname"] for each in found}

    def fired(self, since: float, severity: str = ".*") -> set[str]:
        """The alerts that fired at any time since then, seconds UTC."""
        window = f"[{max(int(1000 * (time.time() - since)), 1)}ms]"
        found = self.query(f'count_over_time(ALERTS{{alertstate="firing", severity=~"{severity}"}}{window})')
        return {each.labels["alertname"] for each in found}

    def alerts(self) -> list[dict[str, Any]]:
        """Every alert that is pending or fires, with its annotations as people read them."""
        answer = self._get("/api/v1/alerts")
        return answer["data"]["alerts"] if answer else []

    def wait_firing(self, name: str, timeout: float) -> None:
        """Wait until an alert fires; LabError with what fires instead."""
        try:
            wait_until(lambda: name in self.firing(), timeout, f"{name} fires", every=0.3)
        except LabError as late:
            raise LabError(f"{late}; these do: {sorted(self.firing())}") from late

    def wait_silent(self, severity: str, timeout: float) -> None:
        """Wait until no alert of a severity fires."""
        try:
            wait_until(lambda: not self.firing(severity), timeout, f"no {severity}", every=0.3)
        except LabError as late:
            raise LabError(f"{late}; these do: {sorted(self.firing(severity))}") from late

    def wait_over(self, names: set[str], timeout: float) -> None:
        """Wait until none of these alerts fires."""
        try:
            wait_until(lambda: not names & self.firing(), timeout, "their end", every=0.3)
        except LabError as late:
            raise LabError(f"{late}: {sorted(names & self.firing())}") from late

    def _get(self, path: str, **query: str) -> dict[str, Any] | None:
        return self._place.call(lambda: _get(f"{path}?{urllib.parse.urlencode(query)}"))


def _get(target: str) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        connection.request("GET", target)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    return None
