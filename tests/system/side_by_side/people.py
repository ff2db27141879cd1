"""People who use whichever servers are there, without a pause, and what they were answered."""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

PASSWORD = "cat-on-the-mat"
_PAGES = ("/index", "/explore", "/sessions", "/security", "/edit_profile", "/nowhere", "/ready")
_HIDDEN = re.compile(r'<input[^>]*type="hidden"[^>]*>')
_ATTRIBUTE = re.compile(r'(name|value)="([^"]*)"')


@dataclass
class Traffic:
    """The servers in use, and what became of the requests in each phase."""

    urls: list[str] = field(default_factory=list)
    phase: str = ""
    answers: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    longest: dict[str, float] = field(default_factory=dict)
    is_over: bool = False


class Person:
    """Somebody with one set of cookies and one token, who goes from server to server."""

    def __init__(self, number: int, traffic: Traffic) -> None:
        self.name = f"person{number}"
        self.random = random.Random(number)
        self.traffic = traffic
        self.client = httpx.AsyncClient(timeout=30.0)
        self.token = ""
        self.number = 0

    async def begin(self) -> None:
        """Register, log in, and issue a token."""
        email = f"{self.name}@example.com"
        names = {"username": self.name, "email": email, "password": PASSWORD}
        await self.submit("/register", **names, password2=PASSWORD)
        await self.log_in()

    async def log_in(self) -> None:
        self.client.cookies.clear()
        await self.submit("/login", username=self.name, password=PASSWORD)
        basic = httpx.BasicAuth(self.name, PASSWORD)
        response = await self.send("POST", "/api/tokens", 201, auth=basic)
        if response is not None and response.status_code == 201:
            self.token = response.json()["token"]

    async def act_until_over(self) -> None:
        while not self.traffic.is_over:
            await self.act()
            await asyncio.sleep(0.01)
        await self.client.aclose()

    async def act(self) -> None:
        """Do one of what people do, on a server of their choice."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        dice = self.random.random()
        self.number += 1
        text = f"{self.name} says {self.number}"
        if dice < 0.02:
            await self.log_in()
        elif dice < 0.12:
            if await self.submit("/index", post=text):
                self.traffic.acknowledged.add(text)
        elif dice < 0.22:
            sent = await self.send("POST", "/api/posts", 201, headers=bearer, json={"body": text})
            if sent is not None and sent.status_code == 201:
                self.traffic.acknowledged.add(text)
        elif dice < 0.27:
            await self.submit("/edit_profile", username=self.name, about_me=text)
        elif dice < 0.40:
            await self.send("GET", "/api/posts", 200, headers=bearer)
        elif dice < 0.50:
            await self.send("GET", f"/user/{self.name}", 200)
        else:
            path = self.random.choice(_PAGES)
            await self.send("GET", path, 404 if path == "/nowhere" else 200)

    async def submit(self, path: str, **fields: str) -> bool:
        """Fill and send the form of a page; returns whether it was accepted."""
        page = await self.send("GET", path, 200)
        if page is None or page.status_code != 200:
            return False
        hidden = {}
        for element in _HIDDEN.findall(page.text):
            attributes = dict(_ATTRIBUTE.findall(element))
            hidden[attributes["name"]] = attributes.get("value", "")
        sent = await self.send("POST", path, 302, data={**hidden, **fields})
        return sent is not None and sent.status_code == 302

    async def send(
        self, method: str, path: str, expected: int, **given: object
    ) -> httpx.Response | None:
        traffic = self.traffic
        loop = asyncio.get_running_loop()
        url, phase, began = self.random.choice(traffic.urls), traffic.phase, loop.time()
        what = f"{method} {re.sub(r'[0-9]+', 'N', path)} of {urlsplit(url).port} ({phase})"
        try:
            response = await self.client.request(method, url + path, **given)  # type: ignore[arg-type]  # passed on
        except httpx.HTTPError as error:
            traffic.unexpected[f"{error!r} for {what}"] += 1
            return None
        traffic.longest[phase] = max(traffic.longest.get(phase, 0.0), loop.time() - began)
        traffic.answers[phase] += 1
        if response.status_code != expected:
            traffic.unexpected[f"{response.status_code} for {what}"] += 1
        return response
