"""The tutorial's error mails, with the name of one class changed: `quart --app app run`."""

import logging

from quart import Quart

from quartapp.reporting import QueuedSMTPHandler

app = Quart(__name__)
app.config.update(MAIL_SERVER=None, MAIL_PORT=25, MAIL_USE_TLS=False, MAIL_USERNAME=None)
app.config.update(MAIL_PASSWORD=None, ADMINS=["your-email@example.com"])
app.config.from_prefixed_env()

if not app.debug:  # noqa: SIM102 - as in the tutorial
    if app.config["MAIL_SERVER"]:
        auth = None
        if app.config["MAIL_USERNAME"] or app.config["MAIL_PASSWORD"]:
            auth = (app.config["MAIL_USERNAME"], app.config["MAIL_PASSWORD"])
        secure = None
        if app.config["MAIL_USE_TLS"]:
            secure = ()
        mail_handler = QueuedSMTPHandler(
            mailhost=(app.config["MAIL_SERVER"], app.config["MAIL_PORT"]),
            fromaddr="no-reply@" + app.config["MAIL_SERVER"],
            toaddrs=app.config["ADMINS"],
            subject="Microblog Failure",
            credentials=auth,
            secure=secure,
        )
        mail_handler.setLevel(logging.ERROR)
        app.logger.addHandler(mail_handler)


@app.get("/boom/<int:number>")
async def boom(number: int) -> str:
    password = "hunter2-lantern"
    raise RuntimeError(f"order {number} was refused with {password}")
