"""Hundreds of generated applications behave as on Flask; `make parity` runs many more."""

import pytest

from tests.system.parity.campaign import campaign
from tests.system.parity.compare import compare
from tests.system.parity.specification import Function, Hook, Scope, Spec, Step

SPECIFICATIONS = 500


async def test_flasklike_behaves_as_flask() -> None:
    result = await campaign(range(SPECIFICATIONS))
    assert not result.failures, str(result.failures[0])
    assert result.specifications == SPECIFICATIONS


@pytest.mark.parametrize("what", ["none", "str", "int"])
async def test_an_after_request_function_without_a_response_fails_as_on_flask(what: str) -> None:
    hook = Hook("after_request", Function((Step("return", what),)))
    comparison = await compare(Spec(scopes=(Scope(hooks=(hook,)),)))
    assert not comparison.differs, comparison.report()


async def test_the_smallest_application_behaves_as_flask() -> None:
    comparison = await compare(Spec())
    assert not comparison.differs, comparison.report()
    assert ("left behind", 0) in comparison.subject
