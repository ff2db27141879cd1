"""An inbox of errors for one operator: `quart --app app run`, then /login and /errors/."""

from hmac import compare_digest

from quart import Quart, redirect, request, session
from werkzeug import Response

from quartapp.inbox import Inbox
from quartapp.reporting import Reporting

app = Quart(__name__)
app.config.from_prefixed_env()  # QUART_SECRET_KEY, QUART_OPERATOR_PASSWORD ...
Reporting(app)
Inbox(app, allow=lambda: session.get("operator"))


@app.route("/login", methods=["GET", "POST"])
async def login() -> str | Response:
    given = (await request.form).get("password", "").encode()
    if given and compare_digest(given, str(app.config["OPERATOR_PASSWORD"]).encode()):
        session["operator"] = "the operator"
        return redirect("/errors/")
    return (
        '<form method="post"><input type="password" name="password"><button>Log in</button></form>'
    )


@app.get("/")
async def index() -> str:
    raise RuntimeError("the printer has no paper")
