"""`python -m tests.system.faults.table`: faults injected into a served microblog, one row for each.

A `Fault` is injected into a `Site` (a server with two workers, its database, its mail server) while
clients post, fail and ping. The `Ledger` has what they sent and what was answered; at the end it is
compared with the database, and what the server holds with what it held before.

| module | its faults |
|---|---|
| `causes` | the seven causes that Flask's page on errors names |
| `endings` | workers, servers and views that end, or are killed |
| `places` | the journal's folder, taken away or full of odd files |
| `loads` | many slow requests, queries and bodies |
| `broken` | losses and leaks on purpose, which the table must report |
"""
