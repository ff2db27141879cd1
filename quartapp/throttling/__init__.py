"""Limits on how often something may be done: a request beyond one is answered with 429.

The counters are those of the library `limits`, in the memory of each process, or in Redis for
several processes and machines. An application says what is counted, and for whom; nothing is
limited by itself. Imports `settings` and nothing else of quartapp.
"""

from quartapp.throttling.clients import network_of
from quartapp.throttling.throttle import Throttle, ThrottledError, init_app

__all__ = ["Throttle", "ThrottledError", "init_app", "network_of"]
