"""The long run under load, short (`make load` runs it for minutes)."""

from pathlib import Path

from tests.system.load.run import run


async def test_a_short_load_with_a_restart_holds(tmp_path: Path) -> None:
    said: list[str] = []
    outcome = await run(tmp_path, f"sqlite:///{tmp_path / 'load.db'}", 3, 24, say=said.append)
    assert outcome.faults == [], said
    assert outcome.traffic.posts
    assert outcome.traffic.errors
