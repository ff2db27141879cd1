"""Serving an application under Hypercorn: workers, exit codes, the order of a shutdown.

A program calls `server.run` and passes the application. Imports only `settings` and `sockets` of
quartapp.
"""
