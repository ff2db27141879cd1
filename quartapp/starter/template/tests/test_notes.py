"""The pages of the board."""

import pytest
from quartapp.testing import Client


async def test_a_note_is_on_the_board(client: Client) -> None:
    response = await client.post("/", form={"text": "Buy <milk>"})
    assert response.status_code == 302
    page = await (await client.get("/")).get_data(as_text=True)
    assert "<li>Buy &lt;milk&gt;</li>" in page


@pytest.mark.parametrize("text", ["", " \0", "x" * 141])
async def test_a_note_that_is_empty_or_too_long_is_refused(
    client: Client,
    text: str,
) -> None:
    response = await client.post("/", form={"text": text})
    assert response.status_code == 422
    assert "A note has 1 to 140 characters." in await response.get_data(as_text=True)


async def test_an_unknown_address_has_a_page(client: Client) -> None:
    response = await client.get("/nothing")
    assert response.status_code == 404
    assert "<h1>Not Found</h1>" in await response.get_data(as_text=True)
