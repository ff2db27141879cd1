"""The commands of `quart --app quartapp COMMAND`, found through the package's entry points.

Each is a plain function that calls asyncio.run: Quart's CLI never awaits an `async def` command.
They log to stderr; stdout is for results.
"""
