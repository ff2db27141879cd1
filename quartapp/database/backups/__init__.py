"""Backups: `quart db backup` and `quart db restore`, on the database of an application.

`commands` are the two commands, `files` has what both databases need: names, and files that are
complete or not there. `sqlite` copies a database while it is used, and replaces one that is not;
`postgresql` calls PostgreSQL's own programs. This part is for commands, not for a process that
serves: see `sqlite`.
"""
