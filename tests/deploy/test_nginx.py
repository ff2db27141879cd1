"""The files of deploy/nginx, in a real nginx with the microblog behind it."""

import json
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from quartapp.microblog.migrate import migrate
from quartapp.microblog.testing import SERVE, environment
from quartapp.testing import ForkServer, LiveServer
from tests.deploy import error_files
from tests.deploy.namespaces import run_in_namespaces
from tests.deploy.nginx import FILES, NGINX, STATIC, Nginx, fields_of, install, upstream
from tests.system.first_mail import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("nginx", "openssl"),
    pytest.mark.lenient("errors"),
]

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def served(data: Path, fork_server: ForkServer) -> Iterator[LiveServer]:
    url = f"sqlite:///{data / 'test.db'}"
    migrate(url)
    settings = environment(data, url) | {
        "COOKIE_SECURE": "true",
        "PROXY_HOPS": "1",
        "TRUSTED_HOSTS": "localhost",
        "MAIL_SERVER": "",
    }
    with LiveServer(settings, SERVE, cwd=data, fork_server=fork_server) as server:
        yield server


@pytest.fixture(scope="module")
def nginx(served: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    address = served.url.removeprefix("http://")
    with Nginx(tmp_path_factory.mktemp("nginx"), [address]) as server:
        yield server


@pytest.fixture(scope="module")
def down(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """In front of an application that does not run."""
    with Nginx(tmp_path_factory.mktemp("down"), [f"127.0.0.1:{free_port(0)}"]) as server:
        yield server


def test_the_files_are_accepted_where_the_document_puts_them(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    shutil.copy(FILES / "microblog.conf", tmp_path / "conf.d")
    (tmp_path / "microblog").mkdir()
    install(tmp_path / "microblog")
    (tmp_path / "nginx.conf").write_text(
        "user root root; events {} http { include /etc/nginx/conf.d/*.conf; }"
    )
    said = run_in_namespaces(
        f"mount --bind {tmp_path} /etc/nginx && mount -t tmpfs none /var/log/nginx && "
        "mount -t tmpfs none /var/lib/nginx && "  # where an earlier start has left folders
        f"exec {NGINX} -t -q -c /etc/nginx/nginx.conf"
    )
    assert (said.stderr, said.returncode) == ("", 0)


def test_the_errors_of_nginx_are_in_the_applications_words() -> None:
    written = {path.name: path.read_text("utf-8") for path in error_files.FOLDER.iterdir()}
    assert written == error_files.files(), "run: python -m tests.deploy.error_files"


def test_http_is_sent_to_https(nginx: Nginx) -> None:
    response = httpx.get(f"http://127.0.0.1:{nginx.http}/user/ada?page=2", headers={"Host": "a.b"})
    assert (response.status_code, response.headers["Location"]) == (
        301,
        "https://a.b/user/ada?page=2",
    )


def test_answers_of_the_application_pass_as_they_are(nginx: Nginx) -> None:
    with nginx.client(http2=True) as client:
        page = client.get("/nothing", headers={"Accept-Encoding": "gzip"})
        assert (page.http_version, page.status_code) == ("HTTP/2", 404)
        assert "There is no such page here" in page.text
        assert "Content-Encoding" not in page.headers
        assert page.headers.get_list("Strict-Transport-Security") == [
            "max-age=31536000; includeSubDomains"
        ]
        problem = client.get("/api/nothing")
        assert problem.headers["Content-Type"] == "application/problem+json"
        assert client.get("/static/app.css").content == (STATIC / "app.css").read_bytes()
        assert "nginx/" not in f"{page.headers} {problem.headers}"


def test_a_host_of_another_site_is_refused(nginx: Nginx) -> None:
    with nginx.client() as client:
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def token_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def test_forms_streams_and_addresses_pass(nginx: Nginx, data: Path) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    transport = httpx.HTTPTransport(verify=nginx.tls, local_address="127.0.0.2")
    with nginx.client(
        transport=transport, follow_redirects=True, headers=BROWSER | forged
    ) as client:
        form = {"username": "susan", "email": "susan@example.com"}
        passwords = {"password": "cat-on-the-mat", "password2": "cat-on-the-mat"}
        token = {"csrf_token": token_of(client.get("/register"))}
        page = client.post("/register", data=form | passwords | token)
        token = {"csrf_token": token_of(client.get("/login"))}
        page = client.post("/login", data={**form, **passwords, **token})
        assert page.url.path == "/", page.text
        assert page.url.port == nginx.https, "links keep the port"
        assert {cookie.name[:7] for cookie in client.cookies.jar} == {"__Host-"}
        with closing(sqlite3.connect(data / "test.db")) as database, database:
            addresses = {row[0] for row in database.execute("SELECT address FROM security_events")}
            database.execute("UPDATE users SET is_admin = true")
        assert addresses == {"127.0.0.2"}
        client.get("/")  # whose next page knows it
        begun = time.monotonic()
        with client.stream("GET", "/errors/events") as stream:
            assert stream.status_code == 200
            assert next(stream.iter_bytes()), "the beginning comes before the end"
        assert time.monotonic() - begun < 30  # the stream ends after 40 s


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/", BROWSER["Accept"], "text/html"),
        ("/", "*/*", "text/html"),
        ("/api/posts", BROWSER["Accept"], "application/problem+json"),
        ("/index", "application/json", "application/problem+json"),
        ("/apis", "*/*", "text/html"),
    ],
)
def test_what_is_too_large_is_refused_in_the_right_form(
    nginx: Nginx, down: Nginx, path: str, accept: str, kind: str
) -> None:
    with nginx.client(headers={"Accept": accept}) as client:
        response = client.post(path, content=b"x" * (1024 * 1024 + 1))
        assert_own(response, 413, kind)
        assert client.post("/api/tokens", content=b"x" * 1024 * 1024).status_code != 413
    with down.client(headers={"Accept": accept}) as client:
        response = client.get(path)
        assert_own(response, 502, kind)
        assert response.headers["Retry-After"] == "10"


def assert_own(response: httpx.Response, status: int, kind: str) -> None:
    """An answer of nginx in the look of the site, with the fields that protect browsers."""
    assert (response.status_code, response.headers["Content-Type"]) == (status, kind)
    name = f"{status}.{'html' if kind == 'text/html' else 'json'}"
    assert response.text == error_files.files()[name]
    assert response.headers["Cache-Control"] == "no-store"
    for field in ("Content-Security-Policy", "X-Content-Type-Options", "X-Request-ID"):
        assert len(response.headers.get_list(field)) == 1
    if kind != "text/html":
        assert json.loads(response.text)["status"] == status


def test_the_look_is_there_while_the_application_is_down(down: Nginx) -> None:
    with down.client() as client:
        response = client.post("/", data={"post": "a text"}, headers=BROWSER)
        assert error_files.AWAY in response.text
        styles = re.findall(r'href="([^"]+\.css)"', response.text)
        assert len(styles) == len(error_files.STYLES)
        for path in styles:
            style = client.get(path)
            assert (style.status_code, style.headers["Content-Type"]) == (200, "text/css")
            assert style.content == (STATIC / Path(path).name).read_bytes()


def test_the_application_gets_what_it_trusts_and_nothing_forged(tmp_path: Path) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with upstream(b"ok") as app, Nginx(tmp_path, [app.address]) as nginx:
        forged = dict.fromkeys(("X-Forwarded-For", "X-Forwarded-Host", "Forwarded"), "forged")
        # A connection that goes over to HTTP/2 behind nginx would pass by all of these.
        upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": ""}
        more = {"X-Forwarded-Proto": "http", "X-Request-ID": "forged", "traceparent": parent}
        more["tracestate"] = "forged=1"
        with nginx.client() as client:
            assert client.get("/", headers=forged | upgrade | more).text == "ok"
        given = fields_of(app.requests[0])
        assert given["host"] == given["x-forwarded-host"] == f"localhost:{nginx.https}"
        assert given["x-forwarded-for"] == "127.0.0.1"
        assert given["x-forwarded-proto"] == "https"
        assert re.fullmatch("[0-9a-f]{32}", given["x-request-id"])
        unknown = {"forwarded", "upgrade", "connection", "traceparent", "tracestate"}
        assert not unknown & set(given)
        with nginx.client() as client:
            client.get("/reset_password/a-secret-of-a-mail?next=secret")
        end = time.monotonic() + 20
        log = tmp_path / "microblog.log"  # which nginx writes after it has sent the response
        while log.read_text().count("\n") < 2 and time.monotonic() < end:
            time.sleep(0.01)
        logged = [json.loads(line) for line in log.read_text().splitlines()]
        assert logged[0]["request_id"] == given["x-request-id"]
        assert logged[1]["path"] == "/reset_password/..."


def test_a_read_goes_to_the_other_instance_and_a_write_is_sent_once(tmp_path: Path) -> None:
    with upstream(None) as dying, upstream(b"ok") as healthy:
        with Nginx(tmp_path, [dying.address, healthy.address]) as nginx, nginx.client() as client:
            assert {client.get("/").status_code for _ in range(4)} == {200}
            written = [client.post("/", content=b"once").status_code for _ in range(4)]
        assert sorted(written) == [200, 200, 502, 502]
        bodies = [one for one in dying.requests + healthy.requests if one.endswith(b"once")]
        assert len(bodies) == len(written)


def test_a_write_goes_to_the_other_instance_while_one_restarts(tmp_path: Path) -> None:
    with upstream(b"ok") as healthy:
        servers = [f"127.0.0.1:{free_port(0)}", healthy.address]
        with Nginx(tmp_path, servers) as nginx, nginx.client() as client:
            assert {client.post("/", content=b"x").status_code for _ in range(4)} == {200}


def test_a_slow_client_does_not_occupy_the_application(tmp_path: Path) -> None:
    page = b"x" * 32_000_000  # more than the kernel keeps for a connection
    with (
        upstream(page) as app,
        Nginx(tmp_path, [app.address]) as nginx,
        nginx.connect() as slow,
    ):
        slow.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
        time.sleep(0.2)
        assert app.connections == 0, "the body has not arrived"
        slow.sendall(b"67890")
        # It does not read the page, which the application has given away all the same.
        assert app.sent.wait(10)
        assert app.requests[0].endswith(b"\r\n\r\n1234567890")
