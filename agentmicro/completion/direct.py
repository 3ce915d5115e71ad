"""The direct transport: servers that speak the OpenAI protocol, over aiohttp, without LiteLLM."""

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from agentmicro.completion.adapting import Memory, adapted
from agentmicro.completion.protocol import LARGEST, failed, key_of, lost, too_large, unreadable
from agentmicro.completion.routes import Route
from agentmicro.completion.seam import Reply, Request

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession


class Direct:
    """One session with a bounded number of connections to the server of one model.

    It belongs to the event loop that it first sends on. The key is read from the environment for each call and kept
    nowhere. Redirects are not followed, and of a body no more is read than an answer can have.
    """

    def __init__(self, route: Route, connections: int = 256) -> None:
        self.route = route
        self.connections = connections
        self._memory = Memory()
        self._session: ClientSession | None = None

    async def send(self, request: Request, seconds: float) -> Reply:
        """The reply to one request within so many seconds; raises CallError when there is none."""
        return await adapted(request, self.route, seconds, self._memory, self._exchange)

    async def close(self) -> None:
        """Closes the connections; another call would open new ones."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(self, body: dict[str, Any]) -> object:
        from aiohttp import ClientError

        self._session = self._session or _session(self.route.base_url or "", self.connections)
        key = key_of(self.route)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        url, sent = f"{self.route.base_url}/chat/completions", json.dumps(body).encode()
        try:
            async with self._session.post(url, data=sent, headers=headers, allow_redirects=False) as response:
                raw = await _read(response)
        except TimeoutError:
            raise
        except (ClientError, OSError):
            raise lost(self.route) from None
        if not response.ok or response.status >= 300:
            raise failed(response.status, response.headers, raw, self.route)
        if len(raw) > LARGEST:
            raise too_large(self.route)
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            raise unreadable(self.route, "no JSON") from None


def _session(base_url: str, connections: int) -> "ClientSession":
    """A session that keeps no cookies; proxies are the environment's, asked for once and not for every call."""
    from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

    parts = urlsplit(base_url)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    return ClientSession(
        connector=TCPConnector(limit=connections, ttl_dns_cache=300),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None),  # `adapted` keeps the time of all calls together
        proxy=proxy,
    )


async def _read(response: "ClientResponse") -> bytes:
    """The body; of one that is too large a little more than the largest, and its connection is dropped."""
    raw = bytearray()
    async for piece in response.content.iter_any():
        raw += piece
        if len(raw) > LARGEST:
            response.close()
            break
    return bytes(raw)
