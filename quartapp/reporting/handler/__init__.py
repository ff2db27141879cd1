"""`QueuedSMTPHandler`: error mails for any program that has a logger, without an application.

What it records waits in memory, or in a spool folder (`source`); a thread (`sender`) counts it in
groups, asks the alert policy (`groups`), and mails (`dispatch`). Imports neither Quart nor
SQLAlchemy.
"""
