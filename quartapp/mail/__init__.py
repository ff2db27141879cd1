"""Mails that are queued in a table, retried, and never lost; for alerts and for any application.

A table with the columns of `outbox.OutboxRow` is an outbox. `mailer.Mailer` takes from it what is
due, and `smtp.deliver` hands it to the mail server; in development a `mailbox.Mailbox` keeps it
instead. `sender.Sender` is the same for any messages, such as those to a webhook. What a mail says
is the caller's: this part knows neither errors nor any application. `message` has what all share.
"""
