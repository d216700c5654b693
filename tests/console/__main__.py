"""The pictures of docs/console.md, from a real cluster under load that has met a fault: `./tests/run.sh pictures`.

Law: nothing is drawn by hand; what a picture shows has happened during the minutes before it was taken.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from cluster.crowd import Crowd
from console.browser import Browser
from console.stage import Stage
from everlease.lab.netns import Lab
from everlease.lab.processes import wait_until

FOLDER = Path(__file__).parents[2] / "docs" / "console"
LARGEST = 150_000
GUESTS = 900
SUBNETS = (
    ("printers", "10.80.0.0/24"),
    ("phones", "10.81.0.0/22"),
    ("guests", "10.82.0.0/23"),
    ("laboratory", "10.83.0.0/20"),
)


def _subnet(number: int, subnet: tuple[str, str]) -> str:
    name, prefix = subnet
    start = prefix.rpartition(".")[0]
    return f"  - {{id: {number}, name: {name}, prefix: {prefix}, pools: [{{range: {start}.10-{start}.250}}]}}\n"


class Scenery(Stage):
    """An office of its own size, and more subnets beside it."""

    def document(self) -> str:
        """Names as operators give them."""
        more = "".join(map(_subnet, range(2, 2 + len(SUBNETS)), SUBNETS))
        office = self.site.simple().replace("10.77.16.0-10.77.255.250", "10.77.16.0-10.77.31.250")
        return office.replace("  - id: 1\n", "  - id: 1\n    name: office\n") + more


def main() -> None:
    """Some three minutes."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    with tempfile.TemporaryDirectory() as scratch, Lab(Path(scratch)) as lab:
        stage = Scenery(lab).start()
        _live(stage)
        browser = stage.browser(0)
        try:
            _pictures(browser, folder)
        finally:
            browser.close()


def _live(stage: Stage) -> None:
    """A morning in short: everybody comes, a node and a member fail and come back, some ask again."""
    crowd = Crowd(stage.talker, GUESTS, 2)
    crowd.boot(within=50.0)
    crowd.run(crowd.all_bound, 90)
    stopped = stage.site.nodes[2]
    stopped.kill()
    crowd.reboot(within=30.0, guests=crowd.guests[:500])
    crowd.run(crowd.all_bound, 60)
    stopped.start().wait_ready(30)
    member = stage.site.etcd.members[1].process
    assert member is not None
    member.pause()
    crowd.reboot(within=15.0, guests=crowd.guests[300:])
    crowd.run(crowd.all_bound, 60)
    member.resume()
    crowd.reboot(within=30.0, guests=crowd.guests[::3])
    crowd.run(crowd.all_bound, 60)
    stage.site.wait_agreed()
    wait_until(lambda: stage.node.metric("everlease_view_leases", state="leased") >= GUESTS, 20, "the view has it all")


def _pictures(browser: Browser, folder: Path) -> None:
    for name, width, height, dark in (
        ("light", 1280, 1060, False),
        ("dark", 1280, 1060, True),
        ("narrow", 400, 860, False),
    ):
        browser.window(width, height, dark=dark)
        browser.open("http://127.0.0.1:9167/")
        browser.wait(lambda: browser.text("#map-words").startswith("One square"), "the page is drawn")
        browser.wait(lambda: any(map(str.isdigit, "".join(browser.texts("#figures dd")[4:5]))), "its figures too")
        _keep(browser, folder / f"{name}.png")
    browser.window(1280, 930)
    browser.run(
        "document.documentElement.style.scrollBehavior = 'auto'; document.getElementById('pools').scrollIntoView()"
    )
    _keep(browser, folder / "pools.png")
    browser.run("document.getElementById('timeline').scrollIntoView()")
    _keep(browser, folder / "timeline.png")


def _keep(browser: Browser, path: Path) -> None:
    """With a palette of 256 colours, which are all that the page needs."""
    browser.picture(path, whole=False)
    Image.open(path).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    size = path.stat().st_size
    print(f"{path.name}: {size // 1000} kB")
    assert size < LARGEST, f"{path}: {size} bytes"


if __name__ == "__main__":
    main()
