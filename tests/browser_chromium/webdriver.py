"""Chromium without a window, driven through chromedriver: the WebDriver protocol, as far as needed.

Chromedriver and all that it has started are stopped by their ids, and leave nothing behind but a
folder of the test's own.
"""

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx2
import psutil

MISSING: Final = (
    "This needs chromium and chromedriver, of the same version, on the PATH\n"
    "(Debian: apt-get install chromium chromium-driver)."
)
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 5.0
_FIND_SECONDS: Final = 5.0
_LEAVE_SECONDS: Final = 20.0
_IS_OTHER_PAGE: Final = "return !window.isFormer && document.readyState === 'complete'"
_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
"""By this name the protocol calls an element."""
_SWITCHES: Final = (
    "--headless=new",
    # Everything here is of this test, and containers let nobody make a sandbox.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-proxy-server",
)


class Programs(NamedTuple):
    browser: str
    driver: str


def find_programs() -> Programs | None:
    browsers = [found for found in map(shutil.which, _BROWSERS) if found]
    driver = shutil.which("chromedriver")
    return Programs(browsers[0], driver) if browsers and driver else None


@contextmanager
def driver_at(programs: Programs, folder: Path) -> Generator[str]:
    """The address of a chromedriver that runs for as long as entered."""
    log = folder / "chromedriver.log"
    # What a browser writes somewhere by itself goes into the folder as well.
    places = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder)}
    with log.open("wb") as output:
        process = psutil.Popen(
            [programs.driver, "--port=0"], stdout=output, stderr=subprocess.STDOUT, env=places
        )
    try:
        yield f"http://127.0.0.1:{_await_port(process, log)}"
    finally:
        _stop(process)


def _await_port(process: psutil.Popen, log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while process.is_running() and time.monotonic() < deadline:
        found = re.search(r"started successfully on port (\d+)", log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.02)
    raise RuntimeError(f"chromedriver does not start: {log.read_text()}")


def _stop(process: psutil.Popen) -> None:
    ours = [*process.children(recursive=True), process]
    for one in ours:
        _end(one, is_patient=True)
    _await_end(ours)


def _tree_of(process_id: int) -> list[psutil.Process]:
    process = psutil.Process(process_id)
    return [process, *process.children(recursive=True)]


def _await_end(ours: list[psutil.Process]) -> None:
    """Those that do not end by themselves are made to."""
    _, left = psutil.wait_procs(ours, timeout=_STOP_SECONDS)
    for one in left:
        _end(one, is_patient=False)
    psutil.wait_procs(left, timeout=_STOP_SECONDS)


def _end(process: psutil.Process, *, is_patient: bool) -> None:
    try:
        process.terminate() if is_patient else process.kill()
    except psutil.NoSuchProcess:
        return


@dataclass(frozen=True, slots=True)
class Element:
    window: "Window"
    id: str

    async def click(self) -> None:
        await self.window.tell("POST", f"/element/{self.id}/click", {})

    async def type(self, text: str) -> None:
        await self.window.tell("POST", f"/element/{self.id}/value", {"text": text})

    async def text(self) -> str:
        return str(await self.window.tell("GET", f"/element/{self.id}/text"))

    async def attribute(self, name: str) -> str | None:
        found = await self.window.tell("GET", f"/element/{self.id}/attribute/{name}")
        return None if found is None else str(found)


@dataclass(frozen=True, slots=True)
class Window:
    """A browser with a profile of its own."""

    client: httpx2.AsyncClient
    session: str

    async def tell(self, method: str, path: str, body: Any = None) -> Any:
        """Raises RuntimeError with what chromedriver says."""
        response = await self.client.request(method, f"/session/{self.session}{path}", json=body)
        return _value(response)

    async def goto(self, url: str) -> None:
        await self.tell("POST", "/url", {"url": url})

    async def find(self, css: str) -> Element:
        """The first, as soon as there is one. Raises RuntimeError."""
        found = await self.tell("POST", "/element", {"using": "css selector", "value": css})
        return Element(self, found[_ELEMENT])

    async def find_button(self, text: str) -> Element:
        """A button or a link, by what is written on it. Raises RuntimeError."""
        path = f"//*[(self::a or self::button) and normalize-space(.)={_quoted(text)}]"
        found = await self.tell("POST", "/element", {"using": "xpath", "value": path})
        return Element(self, found[_ELEMENT])

    async def click(self, css: str) -> None:
        """And wait for the page that it leads to."""
        await self._leave_by(await self.find(css))

    async def press(self, text: str) -> None:
        """As `click`, a button or link by what is written on it."""
        await self._leave_by(await self.find_button(text))

    async def _leave_by(self, element: Element) -> None:
        await self.run("window.isFormer = true")
        await element.click()
        deadline = time.monotonic() + _LEAVE_SECONDS
        while time.monotonic() < deadline:
            if await self._is_other_page():
                return
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{await self.current_url()} was not left.")

    async def _is_other_page(self) -> bool:
        try:
            return bool(await self.run(_IS_OTHER_PAGE))
        except RuntimeError:
            # Between two pages, there is none to ask.
            return False

    async def type(self, css: str, text: str) -> None:
        await (await self.find(css)).type(text)

    async def current_url(self) -> str:
        return str(await self.tell("GET", "/url"))

    async def title(self) -> str:
        return str(await self.tell("GET", "/title"))

    async def page_text(self) -> str:
        return await (await self.find("body")).text()

    async def cookies(self) -> dict[str, dict[str, Any]]:
        """Those of the page that is shown, by name: those for HTTP alone too."""
        return {cookie["name"]: cookie for cookie in await self.tell("GET", "/cookie")}

    async def run(self, script: str, *arguments: Any) -> Any:
        """What the script returns, or what its promise comes to."""
        body = {"script": script, "args": list(arguments)}
        return await self.tell("POST", "/execute/sync", body)

    async def again(self) -> None:
        await self.tell("POST", "/refresh", {})


def _quoted(text: str) -> str:
    assert '"' not in text
    return f'"{text}"'


def _value(response: httpx2.Response) -> Any:
    value = response.json()["value"]
    if response.is_error:
        raise RuntimeError(f"{value['error']}: {value['message']}")
    return value


@asynccontextmanager
async def window_of(
    driver_url: str, browser: str, folder: Path, *, hosts: Mapping[str, str] | None = None
) -> AsyncGenerator[Window]:
    """`hosts`: the addresses of names that are not in any directory."""
    rules = ", ".join(f"MAP {name} {address}" for name, address in (hosts or {}).items())
    switches = [*_SWITCHES, f"--user-data-dir={folder}", f"--host-resolver-rules={rules}"]
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": {"binary": browser, "args": switches},
        "timeouts": {"implicit": int(_FIND_SECONDS * 1000), "pageLoad": 30_000},
    }
    async with httpx2.AsyncClient(base_url=driver_url, timeout=60, trust_env=False) as client:
        body = {"capabilities": {"alwaysMatch": wanted}}
        opened = _value(await client.post("/session", json=body))
        window = Window(client, opened["sessionId"])
        try:
            yield window
        finally:
            processes = _tree_of(opened["capabilities"]["goog:processID"])
            await window.tell("DELETE", "")
            await asyncio.to_thread(_await_end, processes)
