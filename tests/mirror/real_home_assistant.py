"""A real Home Assistant: the program itself in a folder of its own, spoken to as its page does.

Sources: developers.home-assistant.io, "REST API", "WebSocket API" and "Authentication API".
"""

from __future__ import annotations

import asyncio
import re
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp

from drivers.sim.loopback import HOST, free_port

# The first start of a new installation downloads what its integrations need.
START_S = 600.0
STOP_S = 60.0
ANSWER_S = 30.0
POLL_S = 0.1  # a start takes seconds
CONFIG = """
homeassistant:
  country: CN
  time_zone: Asia/Shanghai
  unit_system: metric
http:
  server_host: {host}
  server_port: {port}
config:
energy:
recorder:
logger:
  default: warning
"""
OWNER = {"name": "Owner", "username": "owner", "password": "of-this-test", "language": "en"}
COMPLAINT = re.compile(r"^\S+ \S+ (?:WARNING|ERROR|CRITICAL) \(.*?\) \[.*", re.MULTILINE)
# Where it would speak of what it is told by MQTT, and of states that it does not like.
OURS = re.compile(r"mqtt|hearth|sensor|event|recorder|statistics|energy|helpers|mirrored")
# That a broker or we went away, where the story let it.
EXPECTED = re.compile(r"Disconnected from MQTT|Failed to connect to MQTT|connection was lost")


class RealHomeAssistant:
    """`async with` starts it, makes its owner, and connects it with a broker."""

    def __init__(self, hass: str, folder: Path, broker_port: int) -> None:
        self.version = ""
        self._hass = hass
        self._folder = folder
        self._broker = {"broker": HOST, "port": broker_port}
        self._port = free_port()
        self._url = f"http://{HOST}:{self._port}"
        self._token = ""
        self._logged = ""  # by runs that are over
        self._process: asyncio.subprocess.Process | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> RealHomeAssistant:
        timeout = aiohttp.ClientTimeout(ANSWER_S)
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        self._stack.push_async_callback(self.stop)
        config = CONFIG.format(host=HOST, port=self._port)
        (self._folder / "configuration.yaml").write_text(config)
        try:
            await self._run()
            await self._make_owner()
            await self._until_running()
            await self._connect_broker()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def start(self) -> None:
        """Again, until it says that it runs."""
        await self._run()
        await self._until_running()

    async def stop(self) -> None:
        """SIGTERM; SIGKILL if it does not end."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        log = self._folder / "home-assistant.log"
        self._logged += log.read_text() if log.exists() else ""

    async def states(self) -> dict[str, dict[str, Any]]:
        """Every state, by entity id."""
        return {it["entity_id"]: it for it in await self._request("GET", "/api/states")}

    async def ask(self, command: str, **more: object) -> Any:
        """The result of a command of the WebSocket API."""
        async with (
            asyncio.timeout(ANSWER_S),
            self._http.ws_connect(f"{self._url}/api/websocket") as it,
        ):
            await it.receive_json()
            await it.send_json({"type": "auth", "access_token": self._token})
            assert (await it.receive_json())["type"] == "auth_ok"
            await it.send_json({"id": 1, "type": command, **more})
            answer = await it.receive_json()
            assert answer["success"], answer
            return answer["result"]

    def complaints(self) -> list[str]:
        """Warnings and errors, of all runs that are over, that may have to do with us."""
        found = COMPLAINT.findall(self._logged)
        return [it for it in found if OURS.search(it) and not EXPECTED.search(it)]

    async def _run(self) -> None:
        nowhere = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            self._hass, "--config", str(self._folder), stdin=nowhere, stdout=nowhere, stderr=nowhere
        )
        async with asyncio.timeout(START_S):
            while not await self._listens():
                assert self._process.returncode is None, "Home Assistant ended"
                await asyncio.sleep(POLL_S)

    async def _listens(self) -> bool:
        try:
            async with self._http.get(f"{self._url}/manifest.json") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def _until_running(self) -> None:
        async with asyncio.timeout(START_S):
            while (config := await self._request("GET", "/api/config"))["state"] != "RUNNING":
                await asyncio.sleep(POLL_S)
        self.version = config["version"]

    async def _make_owner(self) -> None:
        client = {"client_id": f"{self._url}/"}
        code = await self._request("POST", "/api/onboarding/users", json={**client, **OWNER})
        grant = {**client, "grant_type": "authorization_code", "code": code["auth_code"]}
        self._token = (await self._request("POST", "/auth/token", data=grant))["access_token"]

    async def _connect_broker(self) -> None:
        """As its owner does: settings, devices, MQTT, the broker's address."""
        flow = "/api/config/config_entries/flow"
        begun = await self._request("POST", flow, json={"handler": "mqtt"})
        done = await self._request("POST", f"{flow}/{begun['flow_id']}", json=self._broker)
        assert done["type"] == "create_entry", done

    async def _request(self, method: str, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with self._http.request(method, self._url + path, headers=headers, **body) as answer:
            assert answer.status < 300, f"{path}: {answer.status} {await answer.text()}"
            return await answer.json()
