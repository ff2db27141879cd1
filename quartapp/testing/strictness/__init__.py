"""What a test leaves behind, or blocks, or what its application reports, fails the test.

`watch` decides and writes the messages, `leaks` finds what is left, `blocks` what holds up the
event loop, `errors` which errors nobody looked at, `places` where it was. Nothing of this is loaded
before a test is strict.
"""
