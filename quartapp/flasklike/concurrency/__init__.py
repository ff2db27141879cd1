"""Threads for synchronous functions, awaiting from synchronous code, and cancellation."""
