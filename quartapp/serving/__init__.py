"""Serving an application: workers, exit codes, the order of a shutdown.

`hypercorn_server`, `uvicorn_server` and `granian_server` each run one worker, with the same
function `serve`; everything else is shared, and equal under all three. A program calls
`server.run` and passes the application. Imports only `settings` and `sockets` of
quartapp.
"""
