"""Debian's Chromium, driven by chromedriver over W3C WebDriver: plain HTTP and JSON, so no library stands between.

Law: a command that fails says why, with what the page has written to its console; nothing is waited for by time alone.
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from everlease.lab.processes import LabError, Place, Process, need, wait_until

PORT: Final = 9515
_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver, section 12.1
_KEYS: Final = {"Enter": "\ue007", "Escape": "\ue00c", "ArrowRight": "\ue014", "ArrowDown": "\ue015", "Tab": "\ue004"}
_FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars",
    "--force-color-profile=srgb", "--disable-background-networking", "--disable-component-update",
)  # fmt: skip


class Browser:
    """One window in a place. `close` it."""

    def __init__(self, place: Place, folder: Path, port: int = PORT) -> None:
        need("chromedriver", "chromium")
        self._place = place
        self._port = port
        profile = folder / f"profile-{place.name}"
        command = ["chromedriver", f"--port={port}", "--log-level=SEVERE"]
        self._driver = Process(place.command(command), folder / f"chromedriver-{place.name}.log", {"HOME": str(folder)})
        wait_until(self._is_up, 30, "chromedriver answers")
        options = {"binary": "/usr/bin/chromium", "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"

    # --- what a person does -------------------------------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Go there, and wait until it is loaded."""
        self._post("/url", {"url": url})

    def press(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is: "a", "/", "Enter", "ArrowRight"."""
        typed = [_KEYS.get(key, key) for key in keys]
        actions = [{"type": move, "value": key} for key in typed for move in ("keyDown", "keyUp")]
        self._post("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def type(self, text: str) -> None:
        """Write a text, wherever the focus is."""
        self.press(*text)

    def click(self, selector: str) -> None:
        """Click the first element that a CSS selector finds."""
        found = self._post("/element", {"using": "css selector", "value": selector})
        self._post(f"/element/{found[_ELEMENT]}/click", {})

    # --- what it sees -------------------------------------------------------------------------------------------------

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function's body of JavaScript returns; a promise is waited for."""
        return self._post("/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector: str) -> str:
        """What is to be read in the first element that a selector finds; "" if there is none."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        """Of all of them."""
        return list(self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector))

    def wait(self, condition: Callable[[], Any], what: str, timeout: float = 30.0) -> Any:
        """Until a condition is true; LabError with the page's own complaints."""
        try:
            return wait_until(condition, timeout, what, 0.1)
        except LabError as late:
            raise LabError(f"{late}; the page says: {self.complaints()}") from late

    def complaints(self) -> list[str]:
        """What the browser's console has: errors, refusals by policy."""
        return [each["message"] for each in self._post("/se/log", {"type": "browser"})]

    # --- how it is seen -----------------------------------------------------------------------------------------------

    def window(self, width: int, height: int, *, dark: bool = False, still: bool = True) -> None:
        """The size of the view in CSS pixels, and what the system prefers."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
        ]
        self._devtools("Emulation.setEmulatedMedia", features=features)

    def picture(self, path: Path, *, whole: bool = True) -> Path:
        """A PNG of the page: all of it, or what is in view."""
        shot = self._devtools(
            "Page.captureScreenshot",
            format="png",
            captureBeyondViewport=whole,
            optimizeForSpeed=False,
            **({"clip": self._extent()} if whole else {}),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def _extent(self) -> dict[str, float]:
        size = self._devtools("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

    def close(self) -> None:
        """The window, and all of its processes."""
        self._call("DELETE", self._session, None)
        self._driver.stop()

    # --- the wire -----------------------------------------------------------------------------------------------------

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self._post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._call("POST", self._session + path, body)

    def _is_up(self) -> bool:
        try:
            return bool(self._call("GET", "/status", None)["ready"])
        except OSError:
            return False

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        status, answer = self._place.call(lambda: self._exchange(method, path, body))
        value = json.loads(answer)["value"]
        if status != 200:
            raise LabError(f"{method} {path}: {value['error']}: {value['message']}")
        return value

    def _exchange(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
