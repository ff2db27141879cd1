"""Alerts by POST to ERRORS_WEBHOOK_URL, besides mails or instead of them.

The modules: `outbox` (which alerts, within the budget of mails), `formats` (what a message says),
`signing` (Standard Webhooks), `addresses` (where no message is sent to), `post` (one exchange over
HTTP). It may import what `mails` may, and `mails`.
"""
