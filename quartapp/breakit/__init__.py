"""Failures to look at: `/break/` under the development server.

Here is what fails, as routes of the application, so that its own hooks, error handlers, session and
reports see it. The pages that describe the failures are the development server's, which is the only
one that installs this; it knows no application, and nothing that serves production imports it.
"""
