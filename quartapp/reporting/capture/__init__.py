"""From an error to its report: which group it belongs to, what is known, and where it came from.

Pure, except for `origin`, which asks the machine once. Not here: how exceptions are read and
secrets hidden (`quartapp.redact`).
"""
