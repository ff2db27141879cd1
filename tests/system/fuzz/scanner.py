"""wapiti, a scanner of web applications, as somebody who is logged in; if it is installed."""

import json
import shutil
import subprocess
from pathlib import Path

from quartapp.testing import LiveServer
from tests.system.fuzz.run import Stranger

MODULES = (
    "cookieflags,crlf,csp,csrf,exec,file,http_headers,permanentxss,redirect,sql,ssrf,upload,xss,xxe"
)

EXPLAINED = {
    "Secure Flag cookie": "the scan is over http, so COOKIE_SECURE is off",
    "Cross Site Request Forgery": "it takes equal 404s of a post deleted before for an accepted"
    " token; test_a_post_is_not_deleted_without_the_token sends a wrong one",
}


def scan(stranger: Stranger, server: LiveServer, folder: Path, seconds: int) -> list[str] | None:
    """The findings that nothing explains; None if wapiti is not installed."""
    command = shutil.which("wapiti")
    if command is None:
        return None
    cookie = "; ".join(f"{name}={value}" for name, value in stranger.client.cookies.items())
    report = folder / "report.json"
    excluded = [f"--exclude={server.url}/{path}" for path in ("logout", "delete_account")]
    arguments = ["-u", f"{server.url}/", "-m", MODULES, "-H", f"Cookie: {cookie}", *excluded]
    limits = ["--max-scan-time", str(seconds), "--flush-session", "-v", "0"]
    subprocess.run(
        [command, *arguments, *limits, "-f", "json", "-o", str(report)],
        check=True,
        capture_output=True,
    )
    found = json.loads(report.read_text("utf-8"))
    return [
        f"{name}: {one['method']} {one['path']} {one['info']}"
        for kind in ("vulnerabilities", "anomalies")
        for name, ones in found[kind].items()
        for one in ones
        if name not in EXPLAINED
    ]
