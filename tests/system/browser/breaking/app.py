"""An application whose failures are looked at: plain Quart with the parts."""

from email.message import EmailMessage

from quart import Quart, current_app, request

from quartapp.database import Database
from quartapp.errors import ErrorPages
from quartapp.inbox import Inbox
from quartapp.mail.delivery import MAILBOX, Mail
from quartapp.reporting import Reporting

app = Quart(__name__)
app.config.from_prefixed_env()  # from .env
Database(app)
ErrorPages(app)
Reporting(app)
Inbox(app, allow=lambda: True)

HOSTILE = (
    "<script>document.title = 'hacked'; parent.document.title = 'hacked'</script>"
    "<img src=x onerror=\"document.title = 'hacked'\">"
    "<a id=script href=\"javascript:document.title = 'hacked'\">script</a>"
    "<form action=/><button id=form>form</button></form>"
    "<meta http-equiv=refresh content='0;url=/welcome'><base href=//evil.example>"
)


@app.get("/")
async def index() -> str:
    return "Tea"


@app.get("/welcome")
async def welcome() -> str:
    return "Welcome back"


@app.get("/hostile")
async def send_hostile_mail() -> str:
    message = EmailMessage()
    message["From"] = message["To"] = "eve@example.com"
    message["Subject"] = HOSTILE
    message.set_content(HOSTILE)
    link = f"<a id=good href={request.host_url}welcome>welcome</a>"
    message.add_alternative(HOSTILE + link, subtype="html")
    await current_app.extensions[MAILBOX].deliver([Mail.of(message, ("eve@example.com",))])
    return "sent"
