"""The views that fail. They are written as an application's own code, and are shown as such."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, NoReturn

from quart import (
    Blueprint,
    Quart,
    Response,
    abort,
    current_app,
    render_template,
    request,
    websocket,
)

from quartapp.breakit.catalogue import offered

BLUEPRINT = "quartapp_break"


def install(app: Quart) -> None:
    """Add the views to an application that does not serve yet; a second call does nothing."""
    if BLUEPRINT in app.blueprints:
        return
    views = Blueprint(BLUEPRINT, __name__, template_folder="templates")
    views.before_request(open_shop)
    for failure in offered(app):
        function: Any = _FUNCTIONS[failure.name]
        if failure.method == "WEBSOCKET":
            views.add_websocket(failure.path, failure.name, function)
        else:
            views.add_url_rule(failure.path, failure.name, function, methods=[failure.method])
    app.register_blueprint(views)


async def open_shop() -> None:
    if request.path == "/break/hook/now":
        raise PermissionError("the shop opens at nine")


async def total() -> str:
    order = {"milk": {"cups": 1, "price": 3}, "tea": {"cups": 2}}
    coins = 0
    for item in order.values():
        coins += item["cups"] * item["price"]
    return f"{coins} coins"


async def receipt() -> str:
    return await render_template("breakit/receipt.html", order={"items": ["tea", "milk"]})


async def register() -> str:
    # Only here: an application without a database may have no SQLAlchemy.
    from quartapp.breakit.database import register_twice

    await register_twice("susan")
    return "both are registered"


async def slow() -> str:
    from quartapp.breakit.database import count_for_an_hour

    await count_for_an_hour()
    return "an hour later"


async def ask_two_services() -> str:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ask("the stock", seconds=0.01))
        tasks.create_task(ask("the till", seconds=0.01))
    return "both have answered"


async def ask(service: str, *, seconds: float) -> NoReturn:
    await asyncio.sleep(seconds)
    raise ConnectionError(f"{service} does not answer")


async def start_task() -> str:
    asyncio.create_task(ask("the till", seconds=0.1))  # noqa: RUF006  # the mistake to be shown
    return answered("the task fails in a moment")


async def forget_await() -> str:
    brew("tea")  # type: ignore[unused-coroutine]  # the mistake to be shown
    return answered("no tea was made")


async def brew(drink: str) -> str:
    return f"a cup of {drink}"


async def add_background_task() -> str:
    current_app.add_background_task(ask, "the mail server", seconds=0.1)
    return answered("the background task fails in a moment")


async def start_thread() -> str:
    threading.Thread(target=grind, args=("beans",), name="grinder").start()
    return answered("the thread fails in a moment")


def grind(what: str) -> NoReturn:
    time.sleep(0.1)
    raise RuntimeError(f"{what} are stuck")


async def stream() -> Response:
    return Response(lines(), content_type="text/plain; charset=utf-8")


async def lines() -> AsyncIterator[bytes]:
    yield b"This is the first part of the answer. The second one never comes.\n"
    await asyncio.sleep(0.1)
    raise OSError("the file ends too early")


async def talk() -> None:
    await websocket.accept()
    greeting = str(await websocket.receive())
    await websocket.send(f"{greeting} to you")
    words = str(await websocket.receive()).split()
    await websocket.send(words[2])


async def sleep_in_the_loop() -> str:
    time.sleep(2)  # noqa: ASYNC251  # the mistake to be shown
    return answered("for two seconds nobody else was served")


async def never_reached() -> str:
    return "the before_request function let it pass"


async def leave() -> NoReturn:
    sys.exit("the shop is closed")


async def refuse() -> NoReturn:
    abort(418)


async def look_up() -> str:
    customers: Mapping[str, str] = {}
    return customers["susan"]


def answered(what: str) -> str:
    """What a view answers whose failure comes later, or never."""
    name = request.path.split("/")[2]
    return (
        f"<!doctype html><html lang=en><title>Answered</title><p>This answer is fine: {what}."
        f'<p><a href="/break/{name}">See what came of it</a>'
    )


_FUNCTIONS = {
    "view": total,
    "template": receipt,
    "flush": register,
    "group": ask_two_services,
    "task": start_task,
    "coroutine": forget_await,
    "background": add_background_task,
    "thread": start_thread,
    "stream": stream,
    "slow": slow,
    "websocket": talk,
    "loop": sleep_in_the_loop,
    "hook": never_reached,
    "exit": leave,
    "abort": refuse,
    "reference": look_up,
}
