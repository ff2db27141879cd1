import pytest
from werkzeug.exceptions import HTTPException

from tests.system.parity.campaign import campaign, main
from tests.system.parity.oracle import Oracle
from tests.system.parity.sides import FLASK, FlaskSide


class SwallowingFlask(Oracle):
    """Hides the error from teardown functions."""

    def do_teardown_request(self, exc: object = None) -> None:
        super().do_teardown_request(None)


class BlindFlask(Oracle):
    def handle_http_exception(self, e: HTTPException) -> HTTPException:
        return e


class Spoiled(FlaskSide):
    def __init__(self, app_class: type[Oracle]) -> None:
        self.app_class = app_class


async def test_finds_no_difference_between_flask_and_flask() -> None:
    result = await campaign(range(100), FLASK, FLASK)
    assert (result.specifications, result.failures) == (100, [])


@pytest.mark.parametrize("app_class", [SwallowingFlask, BlindFlask])
async def test_finds_and_shrinks_what_is_wrong(app_class: type[Oracle]) -> None:
    result = await campaign(range(300), FLASK, Spoiled(app_class))
    [failure] = result.failures
    assert len(failure.spec.scopes) <= 2
    assert len(failure.spec.requests) == 1
    assert f"seed {failure.seed}" in str(failure)
    assert repr(failure.spec) in str(failure)


def test_says_the_seed_before_it_starts(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--seed", "11", "--count", "0"])
    assert "from seed 11" in capsys.readouterr().out
