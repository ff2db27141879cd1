from quart import Quart
from sqlalchemy import text

from quartapp.database import Database
from quartapp.errors import ErrorPages
from quartapp.reporting import Reporting

app = Quart(__name__)
app.config.from_prefixed_env()
db = Database(app)
ErrorPages(app)
Reporting(app)


@app.get("/")
async def index() -> str:
    return str(await db.session.scalar(text("SELECT count(*) FROM visits")))
