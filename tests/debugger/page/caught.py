"""An exception with its traceback."""


def caught(function: object) -> BaseException:
    try:
        function()  # type: ignore[operator]  # each test's own
    except BaseException as error:  # noqa: BLE001 a test of any exception
        return error
    raise AssertionError("nothing was raised")
