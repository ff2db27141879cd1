"""A test that fails because it is strict: `pytest slow_fault.py`."""

from quartapp.testing import Client


async def test_a_slow_page(client: Client) -> None:
    response = await client.get("/slow")
    assert response.status_code == 200
