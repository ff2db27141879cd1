"""A secret is planted in every place from which secrets are known to leak.

Each planting fails in another way, with `CANARY` somewhere in its data, and returns what a
mechanism would pass on: the exception or log record, and the context.
"""

import json
import logging
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel, SecretStr, ValidationError, field_validator
from sqlalchemy.exc import IntegrityError
from wtforms import Form, PasswordField

from quartapp.redact.context import Context

CORE = "7f3a9b5Qx2"
NUMBER = 739515
CANARY = f"C4n'ry é&{CORE}"

Planted = tuple[BaseException | logging.LogRecord, Context]
FOLDER = TemporaryDirectory()
PLANTINGS: dict[str, Callable[[], Planted]] = {}


def leaks(text: str) -> bool:
    """Whether the secret can be read from a text, as it is or decoded."""
    data = CORE.encode()
    if str(NUMBER) in text:
        return True
    if CORE in text or data.hex() in text.lower():
        return True
    # in one of three alignments only its first and last characters depend on what is around it
    inner = (b64encode(bytes(offset) + data).decode()[2 + offset : -4] for offset in range(3))
    return any(len(part) >= 6 and part in text for part in inner)


@dataclass(slots=True)
class Token:
    secret: str


@dataclass
class Account:
    secret_key: str


class Registration(BaseModel):
    address: str

    @field_validator("address")
    @classmethod
    def is_short(cls, value: str) -> str:
        raise ValueError("this is no address")


class Name(str):
    """A subclass of str, as libraries have for the names of headers."""

    __slots__ = ()


class Session:
    def __init__(self, number: str) -> None:
        self.id = number


class RefusedError(Exception):
    def __init__(self, password: str) -> None:
        super().__init__("refused")
        self.password = password
        del password  # from the frame: only the exception has it

    def __str__(self) -> str:
        return f"refused: {self.password}"


def planting(function: Callable[[], None]) -> Callable[[], None]:
    """Register a function that raises, its context in the exception's `context`."""

    def planted() -> Planted:
        try:
            function()
        except Exception as error:  # noqa: BLE001 - each raises another exception
            return error, getattr(error, "context", Context())
        raise AssertionError(f"{function.__name__} did not fail")

    PLANTINGS[function.__name__] = planted
    return function


class Broken(Exception):
    """An exception with the context that a mechanism would have found."""

    def __init__(self, message: str = "broken", **context: Any) -> None:
        super().__init__(message)
        self.context = Context(**context)


@planting
def a_local() -> None:
    password = CANARY
    raise Broken(f"{len(password)} characters")


@planting
def a_local_of_bytes() -> None:
    token = CANARY.encode()
    body = b"grant=" + token
    raise Broken(f"{len(body)} bytes")


@planting
def a_key_of_a_dict() -> None:
    settings = {"debug": False, "MAIL_PASSWORD": CANARY}
    raise Broken(f"{len(settings)} settings")


@planting
def a_nested_key() -> None:
    accounts = [{"name": "susan", "api_key": CANARY}]
    raise Broken(f"{len(accounts)} accounts")


@planting
def a_pair_of_bytes() -> None:
    scope = [(b"host", b"localhost"), (b"authorization", CANARY.encode())]
    raise Broken(f"{len(scope)} headers")


@planting
def another_local() -> None:
    secret = CANARY
    line = f"login as susan with {secret}"
    raise Broken(f"{len(line)} characters")


@planting
def the_message() -> None:
    token = CANARY
    raise Broken(f"no session for {token}")


@planting
def the_cause() -> None:
    try:
        the_message()
    except Broken as error:
        raise ValueError("login failed") from error


@planting
def a_note() -> None:
    csrf_token = CANARY
    error = RuntimeError("broken")
    error.add_note(f"while comparing {csrf_token}")
    raise error


@planting
def deeper_than_is_shown() -> None:
    tree = {"a": {"b": {"password": CANARY}}}
    raise Broken(f"cannot merge {tree['a']['b']['password']}")


@planting
def an_attribute() -> None:
    account = Account(CANARY)
    raise Broken(f"wrong: {account.secret_key}")


@planting
def a_slot() -> None:
    held = Token(CANARY)
    raise Broken(f"wrong: {held.secret}")


@planting
def a_field_of_a_form() -> None:
    class Login(Form):
        password = PasswordField()

    form = Login(data={"password": CANARY})
    raise Broken(f"wrong: {form.password.data}")


@planting
def a_secret_of_pydantic() -> None:
    settings = SimpleNamespace(secret_key=SecretStr(CANARY))
    raise Broken(f"wrong: {settings.secret_key.get_secret_value()}")


@planting
def an_argument_of_the_url() -> None:
    raise Broken(url=f"http://localhost/reset?token={quote(CANARY)}&page=2")


@planting
def an_argument_in_the_message() -> None:
    raise Broken(f"no such reset: {CANARY}", url=f"http://localhost/reset?token={quote(CANARY)}")


@planting
def a_part_of_the_path() -> None:
    raise Broken(url=f"http://localhost/reset/{quote(CANARY)}", path_args={"token": CANARY})


@planting
def the_host_of_the_url() -> None:
    raise Broken(url=f"http://susan:{quote(CANARY)}@localhost/")


@planting
def the_referer() -> None:
    raise Broken(headers=[("Referer", f"http://localhost/reset?t={CORE}&reset_token={CORE}")])


@planting
def a_part_of_the_path_of_the_referer() -> None:
    headers = [("Referer", f"http://localhost/reset/{quote(CANARY)}")]
    raise Broken(headers=headers, referrer_args={"token": CANARY})


@planting
def a_header_of_another_name() -> None:
    raise Broken(url="http://localhost/", headers=[("X-Internal", CANARY), ("Accept", "*/*")])


@planting
def a_cookie_in_the_message() -> None:
    raise Broken(f"bad signature: {CORE}", headers=[("Cookie", f"theme=dark; session={CORE}")])


@planting
def a_basic_password_in_the_message() -> None:
    credentials = b64encode(f"susan:{CANARY}".encode()).decode()
    raise Broken(f"no such user: {CANARY}", headers=[("Authorization", f"Basic {credentials}")])


@planting
def a_bearer_token_in_the_message() -> None:
    raise Broken(f"no such token: {CORE}", headers=[("Authorization", f"Bearer {CORE}")])


@planting
def a_form_in_the_message() -> None:
    raise Broken(f"cannot hash {CANARY}", form={"username": ["susan"], "password": [CANARY]})


@planting
def json_in_the_message() -> None:
    raise Broken(f"cannot hash {CANARY}", json={"user": {"password": CANARY}})


@planting
def extra_of_the_context() -> None:
    raise Broken(extra={"task": "login", "token": CANARY})


@planting
def the_user() -> None:
    raise Broken(user_id=CANARY, form={"password": CANARY})


@planting
def parameters_of_a_statement() -> None:
    raise IntegrityError("INSERT INTO user VALUES (?)", {"hash": CANARY}, ValueError("not unique"))


@planting
def parameters_in_a_text() -> None:
    raise Broken(
        "(sqlite3.IntegrityError) failed\n[SQL: INSERT]\n[parameters: ('" + CANARY + "', 1)]"
    )


@planting
def an_argument_refused_by_the_driver() -> None:
    raise Broken(f"invalid input for query argument $1: '{CANARY}' (expected int)")


@planting
def the_detail_of_postgresql() -> None:
    raise Broken(f"duplicate key\nDETAIL:  Key (email)=({CANARY}) already exists.\nthe end")


@planting
def the_input_of_a_validator() -> None:
    try:
        Registration(address=CANARY)
    except ValidationError as error:
        # the frames of the validator have the value, under the application's name for it
        error.__traceback__ = None
        raise error from None


@planting
def a_jwt() -> None:
    raise Broken(f"expired: eyJhbGciOiJIUzI1NiJ9.{CORE}.{CORE}")


@planting
def a_bearer() -> None:
    raise Broken(f"refused: Bearer {CORE}")


@planting
def a_pem() -> None:
    raise Broken(
        f"cannot read -----BEGIN RSA PRIVATE KEY-----\nMIIE{CORE}\n-----END RSA PRIVATE KEY-----"
    )


@planting
def an_address_with_a_password() -> None:
    raise Broken(f"cannot connect to postgresql://microblog:{CORE}@db/microblog")


@planting
def a_header_in_a_text() -> None:
    raise Broken(f"sent Cookie: theme=dark; id={CORE}\nand more")


@planting
def an_assignment_in_a_text() -> None:
    raise Broken(f"cannot connect: host=db password={CORE} user=susan")


@planting
def an_assignment_in_json() -> None:
    raise Broken(json.dumps({"user": "susan", "api_key": f"{CORE} with spaces"}))


@planting
def a_setting_of_the_application() -> None:
    raise Broken(f"cannot sign with {known_secrets()[0]}")


@planting
def across_the_cut() -> None:
    password = CANARY + "-" * 100
    text = "x" * (196 - len(CANARY)) + password
    raise Broken(f"{len(text)} characters")


@planting
def a_piece_of_a_long_one() -> None:
    private_key = f"begin-{CORE}-" + "0123456789" * 500
    raise Broken(f"cannot parse {private_key[:300]!r} …")


@planting
def quoted() -> None:
    password = CANARY
    line = quote(password)
    raise Broken(f"{len(line)} characters")


@planting
def in_base64() -> None:
    password = CANARY
    line = b64encode(f"susan:{password}".encode()).decode()
    raise Broken(f"{len(line)} characters")


@planting
def in_hexadecimal() -> None:
    password = CANARY
    line = password.encode().hex()
    raise Broken(f"{len(line)} characters")


@planting
def escaped() -> None:
    password = CANARY
    line = json.dumps([repr({"x": password, "y": '"'}), password])
    raise Broken(f"{len(line)} characters")


@planting
def a_key_of_another_class() -> None:
    headers = [(Name("X-Pin"), CORE)]
    raise Broken(f"{len(headers)} headers")


@planting
def bytes_that_are_no_text() -> None:
    key = b"\xff\x00\xfe" + CORE.encode()
    material, line = bytes(key), key.hex()
    raise Broken(f"{len(material)} bytes, {len(line)} digits")


@planting
def the_id_of_a_session() -> None:
    found = Session(CORE)
    raise Broken(f"{type(found).__name__} is over")


@planting
def an_attribute_of_the_exception() -> None:
    raise RefusedError("".join(CORE))


@planting
def a_member_of_a_group() -> None:
    password = CANARY
    inner = ExceptionGroup("inner", [KeyError(f"no {password}")])
    raise ExceptionGroup("outer", [ValueError(f"no {quote(password)}"), inner])


@planting
def a_number() -> None:
    raise Broken(f"wrong: {NUMBER}", json={"otp": NUMBER})


@planting
def a_statement_with_its_texts() -> None:
    sql = f"INSERT INTO users (name, password) VALUES ('susan', '{CORE}')"
    error = IntegrityError(sql, {}, ValueError("not unique"))
    del sql
    raise error


@planting
def a_statement_about_a_role() -> None:
    raise Broken(f"syntax error: ALTER ROLE susan PASSWORD '{CORE}'")


@planting
def the_repr_of_a_dataclass() -> None:
    raise Broken(f"cannot use Client(host='db', auth='{CORE}')")


@planting
def the_repr_of_bytes() -> None:
    raise Broken(f"cannot use {{b'x-api-key': b'{CORE}'}}")


@planting
def a_session_in_a_text() -> None:
    raise Broken(f"expired: session={CORE}; path=/")


@planting
def the_repr_of_a_header() -> None:
    raise Broken(f"cannot use [(b'cookie', b'id={CORE}')]")


@planting
def a_basic_login_in_a_text() -> None:
    raise Broken(f"sent authorization=Basic {b64encode(f'susan:{CORE}'.encode()).decode()}")


@planting
def an_option_of_a_command() -> None:
    raise Broken(f"Command '['psql', '--password', '{CORE}']' returned 1")


class Issued(NamedTuple):
    token: str
    life: int


class Registered(NamedTuple):
    name: str
    email: str


@planting
def a_named_tuple_by_position() -> None:
    issued = Issued(CANARY, 24)
    raise Broken(f"{issued.life} hours")


@planting
def a_named_tuple_in_the_message() -> None:
    raise ValueError(Issued(CORE, 24))


@planting
def a_key_in_an_address() -> None:
    raise Broken(f"GET https://maps.example/v1?a=1&key={CORE} failed")


@planting
def a_signature_in_an_address() -> None:
    raise Broken(f"GET https://files.example/x.png?sig={CORE}&se=2030 failed")


@planting
def a_token_of_a_vendor() -> None:
    raise Broken(f"cannot push with ghp_{CORE}{CORE}")


@planting
def a_web_hook() -> None:
    raise Broken(f"POST https://hooks.slack.com/services/T0/B0/{CORE}{CORE} failed")


@planting
def a_password_in_a_sentence() -> None:
    raise Broken(f"the password is {CORE}, and it is wrong")


@planting
def a_password_after_an_arrow() -> None:
    raise Broken(f"passphrase -> {CORE}")


@planting
def an_element_of_xml() -> None:
    raise Broken(f"refused: <login><password>{CORE}</password></login>")


@planting
def an_escaped_quote() -> None:
    raise Broken(f"cannot use password='it\\'s {CORE}' here")


@planting
def an_escaped_quote_in_source() -> None:
    line = f"password = 'it\\'s {CORE}'[:0]"
    code = f"def connect():\n    {line}\n    return password.missing\nconnect()\n"
    del line
    path = Path(FOLDER.name) / "escaped.py"
    path.write_text(code)
    exec(compile(code, str(path), "exec"), {"__name__": "escaped"})


@planting
def a_card_number() -> None:
    raise Broken(f"declined: 400000{NUMBER}0003, 12/30")


@planting
def an_account_number() -> None:
    raise Broken(f"no funds: DE43370400000000{NUMBER} EUR")


@planting
def a_mail_address_of_a_person() -> None:
    person = Registered("susan", f"{CORE}@example.com")
    raise Broken(f"no such person: {person.email}")


@planting
def source() -> None:
    # another module, as the source of this one contains the word in other places
    code = f'def connect():\n    password = "{CORE}"[:0]\n    return password.missing\nconnect()\n'
    path = Path(FOLDER.name) / "generated.py"
    path.write_text(code)
    exec(compile(code, str(path), "exec"), {"__name__": "generated"})


NAMES = (
    *("pw", "pw2", "pwhash", "creds", "passcode", "pincode", "psw", "pswd", "userpass", "conn_str"),
    *("seed", "totp", "recovery_codes", "kennwort", "mot_de_passe"),
)


def under_a_name(name: str) -> Callable[[], Planted]:
    """The secret in a dictionary, and after the name in a text."""

    def planted() -> Planted:
        values = {name: [CANARY]}
        try:
            raise Broken(f"{len(values)} values; {name}={CORE}")
        except Broken as error:
            return error, error.context

    return planted


PLANTINGS |= {f"the_name_{name}": under_a_name(name) for name in NAMES}


def known_secrets() -> list[str]:
    """The secrets in the settings, which the scrubber knows."""
    return [f"of the settings {CORE}"]


def record_with_a_password() -> Planted:
    record = logging.LogRecord(
        "app", logging.ERROR, __file__, 1, "mail server: user=%s password=%s", ("susan", CORE), None
    )
    return record, Context()


def record_with_named_arguments() -> Planted:
    arguments = ({"password": CORE},)
    return logging.LogRecord("app", 40, __file__, 1, "no %(password)s", arguments, None), Context()


def record_of_an_exception() -> Planted:
    error, context = PLANTINGS["the_message"]()
    assert isinstance(error, BaseException)
    info = (type(error), error, error.__traceback__)
    return logging.LogRecord("app", 40, __file__, 1, "failed: %s", (error,), info), context


PLANTINGS |= {
    "record_with_a_password": record_with_a_password,
    "record_of_an_exception": record_of_an_exception,
    "record_with_named_arguments": record_with_named_arguments,
}
