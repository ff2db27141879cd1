"""The development server: the `dev` command, the reloader, and access to the debugger's pages.

Nothing that serves production imports this package.
"""
