"""Requests and responses."""

from quartapp.flasklike.wrappers.request import Request as Request
from quartapp.flasklike.wrappers.response import Response as Response
