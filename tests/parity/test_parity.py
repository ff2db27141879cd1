"""Some hundreds of generated applications behave as on Flask; `make parity` runs many more."""

from tests.parity.campaign import campaign
from tests.parity.compare import compare
from tests.parity.specification import Spec

SPECIFICATIONS = 500


async def test_flasklike_behaves_as_flask() -> None:
    result = await campaign(range(SPECIFICATIONS))
    assert not result.failures, str(result.failures[0])
    assert result.specifications == SPECIFICATIONS


async def test_the_smallest_application_behaves_as_flask() -> None:
    comparison = await compare(Spec())
    assert not comparison.differs, comparison.report()
    assert ("left behind", 0) in comparison.subject
