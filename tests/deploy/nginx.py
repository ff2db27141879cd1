"""nginx as a process, with the files of deploy/nginx in a temporary folder."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.system.first_mail import free_port

ROOT = Path(__file__).parents[2]
FILES = ROOT / "deploy" / "nginx"
STATIC = ROOT / "quartapp" / "microblog" / "static"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or ""
OPENSSL = shutil.which("openssl") or ""


def install(folder: Path, servers: str | None = None) -> None:
    """What docs/deploy.md puts into /etc/nginx/microblog, with a certificate signed by itself."""
    shutil.copytree(FILES / "errors", folder / "public" / "errors")
    shutil.copytree(STATIC, folder / "public" / "style")
    text = (FILES / "servers.conf").read_text("utf-8") if servers is None else servers
    (folder / "servers.conf").write_text(text, "utf-8")
    make_certificate(folder / "tls")


def make_certificate(folder: Path) -> None:
    command = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
        "-keyout privkey.pem -out fullchain.pem"
    )
    folder.mkdir()
    subprocess.run([OPENSSL, *command.split()], cwd=folder, check=True, capture_output=True)


class Nginx:
    """Serves instances of the application on two free ports, until the `with` block ends."""

    def __init__(self, folder: Path, servers: Sequence[str]) -> None:
        self.folder = folder
        self.http, self.https = int(free_port(0)), int(free_port(0))
        self.url = f"https://localhost:{self.https}"
        install(folder, "".join(f"server {one} max_fails=0;\n" for one in servers))
        text = (FILES / "microblog.conf").read_text("utf-8")
        text = text.replace("/etc/nginx/microblog", str(folder)).replace(
            "/var/log/nginx", str(folder)
        )
        text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)
        text = text.replace("listen 80", f"listen 127.0.0.1:{self.http}")
        text = text.replace("listen 443", f"listen 127.0.0.1:{self.https}")
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        (folder / "nginx.conf").write_text(
            f"pid {folder}/pid; daemon off; worker_processes 1; user root;\n"
            f"events {{ }} http {{ gzip on; {paths}\n{text}\n}}",
            "utf-8",
        )

    def __enter__(self) -> "Nginx":
        command = [
            NGINX,
            "-p",
            str(self.folder),
            "-c",
            "nginx.conf",
            "-e",
            f"{self.folder}/error.log",
        ]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.https)):
                return self
            time.sleep(0.01)
        self._process.kill()
        raise AssertionError((self._process.communicate()[1] or b"").decode())

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=20)

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "tls" / "fullchain.pem"))

    def client(self, **given: Any) -> httpx.Client:
        options: dict[str, Any] = {"timeout": 30, "headers": {"Accept": "text/html"}, **given}
        return httpx.Client(base_url=self.url, verify=self.tls, **options)

    def connect(self) -> ssl.SSLSocket:
        """A connection on which a test sends bytes as slowly as it likes."""
        plain = socket.create_connection(("127.0.0.1", self.https), timeout=20)
        return self.tls.wrap_socket(plain, server_hostname="localhost")


class Upstream:
    """A server that keeps each request it gets, and gives one answer, or none: it hangs up."""

    def __init__(self, answer: bytes | None) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.sent = threading.Event()
        """When it has sent an answer whole."""
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self.connections += 1
                with connection, suppress(OSError):
                    self.requests.append(_request(connection))
                    if self._answer is not None:
                        connection.sendall(self._answer)
                        self.sent.set()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _request(connection: socket.socket) -> bytes:
    """Head and body."""
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    length = re.search(rb"\r\nContent-Length: (\d+)", data, re.IGNORECASE)
    head, _, body = data.partition(b"\r\n\r\n")
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def upstream(answer: bytes | None) -> Iterator[Upstream]:
    """`answer` is the body."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    server = Upstream(None if answer is None else head % len(answer) + answer)
    yield server
    server.close()


def fields_of(request: bytes) -> dict[str, str]:
    """The header fields, by their names in lower case."""
    lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
