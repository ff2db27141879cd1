"""Secrets in sentences, addresses and elements, tokens of vendors, numbers with check digits."""

from typing import NamedTuple

import pytest

from quartapp.redact.collect import SecretCollector
from quartapp.redact.scrub import Scrubber
from quartapp.redact.secret_names import ADDRESS, EVERYTHING, HIDDEN, NOTHING, hides
from quartapp.redact.values import shown
from tests.costs import TOLERATED, growth

TOKEN = "abcdEFGH0123456789"

HIDES = [
    ("GET /x?key=abcd1234&a=1", f"GET /x?key={HIDDEN}&a=1"),
    ("/x?a=1&amp;sig=ab%2Fcd", f"/x?a=1&amp;sig={HIDDEN}"),
    ("/callback?code=4/0AY0e-g7abcdef&x=1", f"/callback?code={HIDDEN}&x=1"),
    ("the password is hunter2, sorry", f"the password is {HIDDEN}, sorry"),
    ("Das Kennwort lautet geheim99.", f"Das Kennwort lautet {HIDDEN}"),
    ("passphrase -> correct-horse-1", f"passphrase -> {HIDDEN}"),
    ("api_token \N{RIGHTWARDS ARROW} 'abcd'", f"api_token \N{RIGHTWARDS ARROW} {HIDDEN}"),
    ("pw: swordfish", f"pw: {HIDDEN}"),
    ("userpw=swordfish", f"userpw={HIDDEN}"),
    ("<password>swordfish</password>", f"<password>{HIDDEN}</password>"),
    ('<a:apiKey x="y">abcd</a:apiKey>', f'<a:apiKey x="y">{HIDDEN}</a:apiKey>'),
    (r"password='it\'s long' next", f"password={HIDDEN} next"),
    (r'"{\"token\": \"ab\\\"cd\", \"a\": 1}"', rf'"{{\"token\": {HIDDEN}, \"a\": 1}}"'),
    ("email=susan@example.com, a=1", f"email={HIDDEN}, a=1"),
    ('{"mail": "susan@example.com"}', f'{{"mail": {HIDDEN}}}'),
    *((f"with {start}{TOKEN}{TOKEN} it", f"with {HIDDEN} it") for start in (
        "AIza", "ghp_", "gho_", "github_pat_", "glpat-", "npm_", "hf_", "xoxb-", "sk_live_", "sk-",
        "sk-proj-", "rk_live_",
    )),
    ("id AKIAIOSFODNN7EXAMPLE, x", f"id {HIDDEN}, x"),
    (f"SG.{TOKEN}.{TOKEN}-x", HIDDEN),
    (f"https://hooks.slack.com/services/T0/{TOKEN}", f"https://hooks.slack.com/services/{HIDDEN}"),
    (f"discord.com/api/webhooks/12/{TOKEN} x", f"discord.com/api/webhooks/12/{HIDDEN} x"),
    ("card 4111 1111 1111 1111, 12/30", f"card {HIDDEN}, 12/30"),
    ("card 4111-1111-1111-1111", f"card {HIDDEN}"),
    ("card=5555555555554444;", f"card={HIDDEN};"),
    ("amex 3782 822463 10005.", f"amex {HIDDEN}."),
    ("IBAN DE89 3704 0044 0532 0130 00 EUR 12", f"IBAN {HIDDEN} EUR 12"),
    ("from GB29NWBK60161331926819!", f"from {HIDDEN}!"),
    ("from NL91 ABNA 0417 1643 00", f"from {HIDDEN}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), HIDES)
def test_hides(text: str, expected: str) -> None:
    assert Scrubber().text(text) == expected


LEFT = [
    "sorted(rows, key=lambda row: row.id) and WHERE key = 'user'",
    "/errors?code=404&sort=key&key=id",
    "the password is too short, the password is incorrect, password is required",
    "the token is invalid: the session is over; 'password' is missing",
    "def read(token: str) -> Token: ...",
    "token -> Token, key -> value, pass -> fail",
    "seed: done, creds: none, credentials: wrong, pin: unknown",
    '<td>4</td><label for="password">Password</label><password></password>',
    "npm_config_registry is set, hf_model_for_sequence_classification too",
    "task-scheduler-with-a-long-name and risk-assessment-of-everything",
    "<sklearn.pipeline.Pipeline> SG.small and asia-northeast1",
    "at 1764312345678901234 ns, 1764312345678 ms, 2026-11-28 10:00:00",
    "segment 01764312345678901234-4711-0123456789abcdef",
    "0.4111111111111111, 4111111111111112, 550e8400-e29b-41d4-a716-446655440000",
    "GB29NWBK60161331926818, order DE12345678901234567890",
    "quartapp/reporting/hooks/mechanisms.py and /api/webhooks/",
    "mail: the server refused it; mail=smtp.example.com:25; email: none",
    "pwned, upward, stopwatch, topsword=x, seeded=1234567",
    "susan@example.com wrote: key (email) exists",
]


@pytest.mark.parametrize("text", LEFT)
def test_leaves(text: str) -> None:
    assert Scrubber().text(text) == text


@pytest.mark.parametrize(
    ("hidden", "names"),
    [
        (
            EVERYTHING,
            "pw pw2 userpw pwhash creds passcode pincode psw pswd userpass conn_str seed totp sig "
            "iban "
            "recovery_codes kennwort mot_de_passe DB_PW X-Sig backup_codes connection_string",
        ),
        (ADDRESS, "email e_mail E-Mail user_email mail email2 email_address EmailAddr"),
        (
            NOTHING,
            "mail_server mail_port mail_from mailer mails gmail_id seeded design signal upward "
            "sigma spin passenger compass emails_sent",
        ),
    ],
)
def test_what_a_name_hides(hidden: int, names: str) -> None:
    assert {name: hides(name) for name in names.split()} == dict.fromkeys(names.split(), hidden)


class Issued(NamedTuple):
    token: str
    life: int
    email: str = "susan@example.com"


def test_the_fields_of_a_named_tuple_have_names() -> None:
    assert shown(Issued("abcd1234", 3)) == f"Issued (token={HIDDEN}, life=3, email={HIDDEN})"
    assert shown(("token", "abcd1234")) == f"('token', {HIDDEN})"
    collector = SecretCollector()
    collector.named("result", [Issued("abcd1234", 3, "unknown")])
    assert collector.secrets == {"abcd1234"}


def test_a_mail_address_is_hidden_wherever_it_is() -> None:
    collector = SecretCollector()
    collector.pairs([("email", ["susan@example.com"]), ("mail", "daily"), ("to", "a@b.example")])
    collector.url("http://localhost/?email=john%40example.com&mail=weekly")
    assert collector.secrets == {"susan@example.com", "john@example.com", "john%40example.com"}


@pytest.mark.parametrize(
    "piece",
    [
        "?key=", "&sig=abcd", ";code=", "password is ", "token -> ", "pw is", "<password>",
        "<password ",
        "<a:password>x", "</", "password='\\'", "token=\\\"\\\\", 'secret="\\', "AKIA",
        "ghp_a", "sk-", "sk-a1", "SG.a", "hooks.slack.com/a/", "/api/webhooks/1/", "4111 ", "4-",
        "1234567890", "DE12 ", "DE12A", "GB29NWBK60161331926819", "email=", "a@b", "mail: ",
        "token\N{RIGHTWARDS ARROW}", "email=a.", "token->a",
    ],
)  # fmt: skip
@pytest.mark.lenient("blocks")
async def test_what_a_client_repeats_costs_no_more_than_its_size(piece: str) -> None:
    async def scrub(size: int) -> None:
        Scrubber().text(piece * (size // len(piece)))

    assert await growth(scrub, 4_000) < TOLERATED
