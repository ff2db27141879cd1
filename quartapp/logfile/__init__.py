"""The log file of an application: scrubbed, written off the loop, rotating.

The record is made safe by `record`, formatted and written by `handler`; `rotation` is the file;
`others` are the loggers of libraries and of the server, and uncaught exceptions.
Imports `redact` and nothing else of quartapp: errors do not depend on the log, they are in the
journal of `quartapp.reporting`.
"""

from quartapp.logfile.setup import LogFile

__all__ = ["LogFile"]
