"""Each unhandled error of an exception group is recorded once."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import pytest
from quart import abort
from quart.typing import TestClientProtocol as Client

from quartapp.flasklike import App
from quartapp.reporting.report import Report
from tests.reporting.hooks.conftest import Records


class Timer(Exception):
    """One of many errors with names of their own, so that each has its own group of reports."""


KINDS = [type(f"Error{number}", (Timer,), {}) for number in range(6)]


def raising(app: App, make: Callable[[], Sequence[Exception]]) -> None:
    @app.get("/group")
    async def fail() -> str:
        async def raise_it(error: Exception) -> None:
            raise error

        async with asyncio.TaskGroup() as tasks:
            for error in make():
                tasks.create_task(raise_it(error))
        return "never"


def reports(records: Records) -> list[list[str]]:
    """The names of the exceptions that each report shows."""
    found = []
    for entry in records():
        assert isinstance(entry, Report)
        found.append([info.type.rpartition(".")[2] for info in entry.exceptions])
    return found


async def test_a_group_is_one_report_with_its_members(
    app: App, client: Client, records: Records
) -> None:
    raising(app, lambda: [KeyError("a"), ValueError("b")])
    assert (await client.get("/group")).status_code == 500
    assert reports(records) == [["ExceptionGroup", "KeyError", "ValueError"]]


async def test_members_for_which_the_report_has_no_room_have_their_own(
    app: App, client: Client, records: Records
) -> None:
    raising(app, lambda: [kind() for kind in KINDS])
    assert (await client.get("/group")).status_code == 500
    assert reports(records) == [
        ["ExceptionGroup", "Error0", "Error1", "Error2", "Error3"],
        ["Error4"],
        ["Error5"],
    ]


async def test_an_error_that_its_task_has_logged_is_not_recorded_again(
    app: App, client: Client, records: Records
) -> None:
    @app.get("/logged")
    async def fail() -> str:
        async def log_and_raise() -> None:
            try:
                raise KeyError("logged")
            except KeyError:
                logging.getLogger("quartapp").exception("It failed")
                raise

        async def miss() -> None:
            abort(404)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(log_and_raise())
            tasks.create_task(miss())
        return "never"

    response = await client.get("/logged")
    assert response.status_code == 500
    assert reports(records) == [["KeyError"]]


async def test_an_error_of_a_recorded_group_is_not_recorded_again(
    app: App, client: Client, records: Records
) -> None:
    @app.after_request
    async def log_again(response: object) -> object:
        logging.getLogger("quartapp").error("once more", exc_info=error)
        return response

    error = KeyError("a")
    raising(app, lambda: [error])
    assert (await client.get("/group")).status_code == 500
    assert reports(records) == [["ExceptionGroup", "KeyError"]]


@pytest.mark.parametrize(
    ("codes", "status", "recorded"),
    [([404], 404, []), ([404, 403], 404, []), ([503], 503, [[]])],
)
async def test_http_errors_are_recorded_as_without_a_group(
    app: App,
    client: Client,
    records: Records,
    codes: list[int],
    status: int,
    recorded: list[list[str]],
) -> None:
    @app.get("/abort")
    async def fail() -> str:
        errors = []
        for code in codes:
            try:
                abort(code)
            except Exception as error:  # noqa: BLE001  # it is raised in a group
                errors.append(error)
        raise ExceptionGroup("", errors)

    assert (await client.get("/abort")).status_code == status
    assert reports(records) == recorded


async def test_several_server_errors_are_recorded_once_each(
    app: App, client: Client, records: Records
) -> None:
    async def give_up(code: int) -> None:
        abort(code)

    @app.get("/abort")
    async def fail() -> str:
        async with asyncio.TaskGroup() as tasks:
            for code in (502, 404, 503):
                tasks.create_task(give_up(code))
        return "never"

    assert (await client.get("/abort")).status_code == 502
    assert reports(records) == [["BadGateway"], ["ServiceUnavailable"]]
