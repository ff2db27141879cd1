"""docs/examples/handler: the tutorial's lines with one class name changed."""

from collections.abc import Callable
from contextlib import closing

import pytest

from tests.examples.conftest import Example
from tests.post_office import PostOffice

FIFTY_ERRORS = """
import asyncio
from app import app

async def main():
    for number in range(50):
        assert (await app.test_client().get(f"/boom/{number}")).status_code == 500

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_burst_is_at_most_three_mails_one_of_which_is_exact(
    example: Callable[[str], Example],
) -> None:
    with closing(PostOffice()) as post:
        post.start()
        example("handler").run(
            "-c",
            FIFTY_ERRORS,
            QUART_MAIL_SERVER="127.0.0.1",
            QUART_MAIL_PORT=str(post.address[1]),
        )
        assert 1 <= len(post.counts) <= 3
        assert post.counts[-1] == "50 times"
        text = post.server.mails[0].text
        assert post.server.mails[0].message["Subject"].startswith("Microblog Failure NEW Runtime")
        assert "RuntimeError: order 0 was refused with [hidden]" in text
        assert "hunter2" not in "".join(mail.text for mail in post.server.mails)
