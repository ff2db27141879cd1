"""Serving an application under Hypercorn: workers, exit codes, the order of a shutdown.

`server.run` is what a program calls; the application is handed in. Of quartapp only `settings` and
`sockets` are imported.
"""
