"""Requests that nobody means well with, for every route, on a real server."""
