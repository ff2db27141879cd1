"""What is hidden in texts and what is not; no text takes long."""

import time
from base64 import b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quartapp.redact.collect import SecretCollector
from quartapp.redact.scrub import Scrubber, forms
from quartapp.redact.secret_names import HIDDEN, is_secret_name


@pytest.mark.parametrize(
    "name",
    [
        *("password", "PASSWORD_HASH", "confirm_password2", "passwd", "secret", "client-secret"),
        *("token", "csrf_token", "X-Auth-Token", "api_key", "apikey", "key", "Authorization"),
        *("cookie", "Set-Cookie", "session", "sessionid", "credentials", "sentry_dsn", "user_pass"),
        *("pin", "otp_1", "private", "jwt", "author_token", "authority_key"),
    ],
)
def test_is_the_name_of_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "author",
        "authors",
        "author_id",
        "keyboard",
        "keywords",
        "monkey",
        "username",
        "email",
        "pinned",
        "",
        "ü",
    ],
)
def test_is_not_the_name_of_a_secret(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=abcd1234 user=susan", f"password={HIDDEN} user=susan"),
        ('{"api_key": "ab cd", "page": 2}', f'{{"api_key": {HIDDEN}, "page": 2}}'),
        ("{'DB_PASSWORD': 'ab cd'}", f"{{'DB_PASSWORD': {HIDDEN}}}"),
        ('"{\\"token\\": \\"abcd1234\\"}"', f'"{{\\"token\\": {HIDDEN}}}"'),
        ("X-API-Key: abcd1234", f"X-API-Key: {HIDDEN}"),
        ("Authorization: Basic abcd\nnext", f"Authorization: {HIDDEN}\nnext"),
        ("http://u:p@h/x and https://h/y", f"http://{HIDDEN}@h/x and https://h/y"),
        ("https://abcd1234@github.com/x.git", f"https://{HIDDEN}@github.com/x.git"),
        ("bearer abcd.1234", f"bearer {HIDDEN}"),
        ("at eyJhbGciOiJI.eyJzdWIiOiIx.sig-x end", f"at {HIDDEN} end"),
        ("x\nDETAIL:  Key (a)=(b).\nHINT:  c\ny", "x\ny"),
        ("[SQL: x]\n[parameters: ('a', 1)]\ny", f"[SQL: x]\n[parameters: {HIDDEN}\ny"),
    ],
)
def test_hides_what_looks_like_a_secret(text: str, expected: str) -> None:
    assert Scrubber().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "UNIQUE constraint failed: users.username",
        "FOREIGN KEY (author_id) REFERENCES users (id)",
        "UPDATE users SET password_hash=?, token=$1, secret=:secret WHERE key = %s",
        "password: None, token: null, secret=''",
        "https://medium.com/@susan/post?next=a@b.example",
        "mail to susan@example.com: see http://localhost:5000/user/susan",
        "KeyError: 'username'",
        "AuthenticationError: no such person",
        "the session of the keyboard was lost",
        "a detail that matters; eyJ is no token",
        "100% of 5 < 7 > 3 & so on: [] {} () \\ '\"",
    ],
)
def test_leaves_what_does_not(text: str) -> None:
    assert Scrubber().text(text) == text


@pytest.mark.slow
@given(st.text(max_size=200))
def test_any_text_is_scrubbed_to_one_that_can_be_stored(text: str) -> None:
    clean = Scrubber(known=["geheim-ü"]).text(text)
    clean.encode()
    assert "\0" not in clean
    assert "geheim-ü" not in clean


@given(st.text(min_size=4, max_size=80), st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_is_found_in_every_form(secret: str, before: str, after: str) -> None:
    """Only secrets of printable characters; others are shown as escapes anyway."""
    written = [
        secret,
        repr(secret),
        repr(secret.encode("utf-8", "surrogatepass")),
        b64encode(secret.encode("utf-8", "surrogatepass")).decode(),
        secret.encode("utf-8", "surrogatepass").hex(),
    ]
    if not forms(secret):
        return
    for form in written:
        clean = Scrubber(known=[secret]).clean([before, form, after])
        assert len(clean) == 3
        assert form not in clean[1] or form in HIDDEN or "\0" in form or not _storable(form)


def test_a_secret_is_found_in_a_long_text_too() -> None:
    written = b64encode(b"x:the-password-of-all").decode()
    line = "word " * 1000 + written
    (clean,) = Scrubber().clean([line], secrets=["the-password-of-all"])
    assert clean.endswith(HIDDEN)
    assert written[4:20] not in clean


def _storable(text: str) -> bool:
    return text == text.encode("utf-8", "replace").decode()


HOSTILE = [
    *("://a:", "://a", "://", "eyJaaaaaa.", "eyJ", "bearer ", "-----BEGIN PRIVATE KEY-----"),
    *("-----begin rsa ", "DETAIL: ", "detail: \\n", "[parameters: ", "query argument $1: "),
    *("cookie: ", "authorization:", "password=", "password", "key:", "token='", "pw_key_"),
    *('secret: "', "a", "\\", 'cookie"   ', "password   ", "keykeykey", "-key", "x_key=[hidden]"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_quadratic_time(piece: str) -> None:
    text = (piece * 40_000)[:40_000]
    start = time.thread_time()
    Scrubber().text(text)
    # a tenth of a second at most; a pattern that starts again at each position takes a minute
    assert time.thread_time() - start < 2


def test_no_secret_takes_exponential_time() -> None:
    secret = "aaa!" * 15 + "aab!"
    text = "aaa!?" * 4000
    start = time.thread_time()
    Scrubber(known=[secret]).clean([text] * 10)
    assert time.thread_time() - start < 2


def test_what_is_read_for_secrets_is_bounded() -> None:
    leaves: list[object] = [["x"] * 200] * 200
    collector = SecretCollector()
    start = time.thread_time()
    collector.named("body", [leaves] * 200)
    collector.pairs([(f"token_{number}", f"value-{number}") for number in range(1000)])
    assert time.thread_time() - start < 0.5
    assert len(collector.secrets) <= 50


@pytest.mark.slow
@given(
    st.text(min_size=4, max_size=90)
    | st.text("abcXYZ019+/-_ =%&'\"\\é\0\udcff", min_size=4, max_size=90)
)
@example("+".join("abcdefgh") * 5 + "+a-longer-run-beyond-the-beginning0123456789")
def test_a_secret_is_looked_for_as_thoroughly_as_one_that_is_always_known(secret: str) -> None:
    written = [form.text for form in forms(secret)]
    for text in (*written, repr(repr(secret)), b64encode(f"x:{secret}".encode(errors="replace"))):
        line = f"before {text!s} after"
        always = Scrubber(known=[secret])
        assert Scrubber().clean([line], secrets=[secret]) == always.clean([line])
        found = Scrubber().clean_with_source([], [line], secrets=[secret])
        assert found == always.clean_with_source([], [line])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('PASSWORD: str | None = "abcd1234"', f"PASSWORD: str | None = {HIDDEN}"),
        ('if password == "abcd1234":', f"if password == {HIDDEN}:"),
        ('if (token := "abcd1234"):', f"if (token := {HIDDEN}):"),
        ('susan.set_password("abcd1234")', f"susan.set_password({HIDDEN})"),
        ('password = f"abcd{1234}"', f"password = f{HIDDEN}"),
        ('raise KeyError("username")', 'raise KeyError("username")'),
        ('request.cookies.get("session")', 'request.cookies.get("session")'),
        ("password = form.password.data", "password = form.password.data"),
    ],
)
def test_hides_the_literal_that_a_line_of_source_assigns_to_a_secret(
    line: str, expected: str
) -> None:
    assert Scrubber().clean_with_source([], [line]) == ([], [expected])


@pytest.mark.parametrize(
    "text",
    [
        "auth: failed for susan, pin: unknown",
        "basic authentication is off",
        "a --verbose option",
        "('password', 'username', 'email') are missing",
        "the password is too short",
    ],
)
def test_prose_about_secrets_is_left(text: str) -> None:
    assert Scrubber().text(text) == text


@pytest.mark.parametrize(
    "piece",
    [
        "('token','",
        "(\"token\",\"('token','",
        "--",
        "--token ",
        "password '",
        "=basic ",
        "auth_",
        "(b'",
    ],
)
def test_what_a_client_repeats_takes_linear_time(piece: str) -> None:
    began = time.thread_time()
    Scrubber().text(piece * (40_000 // len(piece)))
    assert time.thread_time() - began < 0.5
