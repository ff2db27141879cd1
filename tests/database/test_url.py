"""Addresses of databases that people write."""

import pytest

from quartapp.database.url import async_url


@pytest.mark.parametrize("password", ["p@ss", "p@ss:w", "p@ss/w", "p:@w"])
def test_a_password_that_is_not_escaped_is_one_sentence(password: str) -> None:
    with pytest.raises(ValueError, match="are written as %40") as caught:
        async_url(f"postgresql://shop:{password}@127.0.0.1/shop")
    assert password not in str(caught.value)


def test_an_escaped_password_is_read() -> None:
    url = async_url("postgresql://shop:p%40s%2Fs@127.0.0.1/shop")
    assert (url.password, url.host, url.database) == ("p@s/s", "127.0.0.1", "shop")
