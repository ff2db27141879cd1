"""The places where errors arrive: signals, log, responses, event loop, threads and the process.

This package knows Quart and the current request, and passes both to the recorder. The content of a
report is in `capture`, its storage in `journal`.
"""
