"""What strangers send is bounded before it is processed: the cost grows with the size at most."""

import unicodedata

import pytest

from quartapp.flasklike import App
from quartapp.microblog.testing import LogIn
from quartapp.reporting import Report
from quartapp.testing import Client
from tests.costs import TOLERATED, growth, marks
from tests.microblog.web.conftest import Submit, text_of, token_of
from tests.microblog.web.test_bad_input import FIELDS, FORMS


def multipart(fields: dict[str, str]) -> dict[str, object]:
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(part.format(name, value) for name, value in fields.items()) + "--x--\r\n"
    return {
        "data": body.encode(),
        "headers": {"Content-Type": "multipart/form-data; boundary=x"},
    }


@pytest.mark.parametrize(("path", "field"), FIELDS)
@pytest.mark.parametrize("token", ["missing", "right"])
async def test_runs_of_marks_cost_no_more_than_their_size(
    app: App, log_in: LogIn, path: str, field: str, token: str
) -> None:
    client = app.test_client() if path in {"/login", "/register"} else await log_in("susan")
    sent = {"csrf_token": await token_of(client, path)} if token == "right" else {}

    async def post(size: int) -> None:
        fields = sent | FORMS[path] | {field: marks(size)}
        answer = await client.post(path, **multipart(fields))
        assert answer.status_code == (422 if sent else 400)

    assert await growth(post, 3_000) < TOLERATED


@pytest.mark.parametrize(("path", "field"), FIELDS)
async def test_a_text_that_is_too_long_is_never_normalized(
    app: App, log_in: LogIn, monkeypatch: pytest.MonkeyPatch, path: str, field: str
) -> None:
    client = app.test_client() if path in {"/login", "/register"} else await log_in("susan")
    token = await token_of(client, path)
    seen: list[str] = []

    def normalize(form: str, text: str) -> str:
        seen.append(text)
        return text

    monkeypatch.setattr(unicodedata, "normalize", normalize)
    await client.post(path, form=FORMS[path] | {field: marks(5_000)})
    assert marks(5_000) not in seen
    fields = {"csrf_token": token} | FORMS[path] | {field: marks(5_000)}
    await client.post(path, form=fields)
    assert marks(5_000) not in seen


async def test_a_text_that_is_too_long_is_shown_again_with_its_length(
    client: Client, submit: Submit
) -> None:
    answer = await submit(client, "/login", username=marks(24_000), password="cat")
    assert answer.status_code == 422
    assert "Please use at most 64 characters; these are 24001." in await text_of(answer)


async def test_white_space_around_a_text_is_not_counted(client: Client, submit: Submit) -> None:
    fields = FORMS["/register"] | {"username": " " * 90 + "mary" + " " * 90}
    assert (await submit(client, "/register", **fields)).status_code == 302


@pytest.mark.parametrize("token", ["2", "20990101000000##"])
async def test_a_token_longer_than_tokens_are_is_refused(client: Client, token: str) -> None:
    await token_of(client, "/login")
    fields = FORMS["/login"] | {"csrf_token": token + "a" * 400_000}
    assert (await client.post("/login", form=fields)).status_code == 400


@pytest.mark.parametrize("referer", ["http://[::1", "//[", "http://a]b/", "\xff"])
async def test_a_link_from_an_impossible_address_is_no_error(
    client: Client, captured_reports: list[Report], referer: str
) -> None:
    answer = await client.get("/nothing", headers={"Referer": referer})
    assert (answer.status_code, "<nav" in await text_of(answer)) == (404, True)
    assert captured_reports == []
