"""What a run of `make bench` says: the chart and the tables of the documents, and the aims."""

import re
from collections.abc import Iterator
from html import escape

from benchmarks import results
from benchmarks.results import Row
from benchmarks.scenarios import AIMS, SCENARIOS, Aim
from benchmarks.servers import QUARTAPP, ROOT, TUNED, TUTORIAL

CHART = "latest.svg"
DOCUMENTS = {"performance": ROOT / "docs/performance.md", "readme": ROOT / "README.md"}


def publish(rows: list[Row]) -> None:
    """Write the tracked results, the chart and the generated parts of the documents."""
    results.save(rows, results.LATEST)
    (results.FOLDER / CHART).write_text(chart(rows), "utf-8")
    parts = {"performance": performance(rows), "readme": readme(rows)}
    for name, path in DOCUMENTS.items():
        path.write_text(with_part(path.read_text("utf-8"), parts[name]), "utf-8")


def with_part(text: str, part: str) -> str:
    """A document with its generated part replaced."""
    marks = r"(<!-- by make bench -->\n).*?(<!-- end -->)"
    return re.sub(marks, lambda found: found[1] + part + found[2], text, count=1, flags=re.S)


def performance(rows: list[Row]) -> str:
    return (
        f"\n{origin(rows)}\n\n{summary(rows)}\n"
        f"\n<details>\n<summary>Each aim</summary>\n\n{aims(rows)}\n</details>\n"
        f"\n<details>\n<summary>All rows</summary>\n\n{table(rows)}\n</details>\n\n"
    )


def readme(rows: list[Row]) -> str:
    """A sentence with the figures that a newcomer looks for first."""
    said = []
    for name in ("index", "edit_profile", "ping"):
        ratios = row["ratios"] if (row := find(rows, name)) else {}
        said.append(f"`{name}` {ratios.get(TUTORIAL, '-')} and {ratios.get(TUNED, '-')}")
    wanted = [
        verdict for each in pages(rows).values() for aim in each for _, verdict in judged(aim, rows)
    ]
    return (
        "Requests per second, as multiples of the tutorial's version and of the tuned one: "
        f"{', '.join(said)}. {wanted.count('met')} of {len(wanted)} aims are met.\n"
    )


def origin(rows: list[Row]) -> str:
    first, last = min(rows, key=lambda row: row["date"]), max(rows, key=lambda row: row["date"])
    return (
        f"Measured {first['date']} to {last['date'][11:]} UTC, commit {first['commit']}, "
        f"Python {first['python']}, {first['cpu'] or 'unknown CPU'}."
    )


def find(
    rows: list[Row],
    scenario: str,
    database: str = "sqlite",
    *,
    pinned: bool = True,
    like: Aim | None = None,
    server: str = "",
) -> Row | None:
    """The row with these keys, if it was measured; `like` gives the others."""
    concurrency = like.concurrency if like else 16
    server = server or (like.server if like else QUARTAPP)
    wanted = (scenario, database, pinned, concurrency, server)
    keys = ("scenario", "database", "pinned", "concurrency", "server")
    return next((row for row in rows if tuple(row[key] for key in keys) == wanted), None)


def judged(aim: Aim, rows: list[Row]) -> Iterator[tuple[str, str]]:
    """What was measured and asked for, and "met" or by how much not."""

    def other(scenario: str = aim.scenario, server: str = aim.server) -> Row | None:
        return find(rows, scenario, aim.database, pinned=aim.pinned, like=aim, server=server)

    row = other()
    if row is None:
        yield "not measured", "missed"
        return
    if aim.ratio:
        measured = row["ratios"].get(aim.to) or 0
        yield f"{measured:.2f} times, aim {aim.ratio}", _verdict(1 - measured / aim.ratio)
    if aim.cpu_us:
        measured = row["cpu_us"]
        yield f"{measured} µs, aim {aim.cpu_us}", _verdict(measured / aim.cpu_us - 1)
    if page := other(aim.cheaper_than) if aim.cheaper_than else None:
        measured, most = row["cpu_us"], page["cpu_us"]
        yield f"{measured} µs, {aim.cheaper_than} {most}", _verdict(measured / most - 1)
    if aim.p99_ms is not None:
        twin = other(server=TUNED)
        most = aim.p99_ms or (twin["p99_ms"] if twin else 0)
        said = f"p99 {row['p99_ms']:.0f} ms, {'aim' if aim.p99_ms else 'tuned'} {most:.0f}"
        yield said, _verdict(row["p99_ms"] / most - 1 if most else 0)


def _verdict(missed_by: float) -> str:
    return "met" if missed_by <= 0 else f"missed by {max(1, round(missed_by * 100))} %"


def pages(rows: list[Row]) -> dict[str, list[Aim]]:
    """The aims by page. Of aims that one of several servers shall reach, those of the best."""

    def missed(aims: list[Aim]) -> int:
        return sum(verdict != "met" for aim in aims for _, verdict in judged(aim, rows))

    found = {}
    for page in dict.fromkeys(aim.page for aim in AIMS):
        mine = [aim for aim in AIMS if aim.page == page]
        servers = dict.fromkeys(aim.server for aim in mine)
        found[page] = min(
            ([aim for aim in mine if aim.server == server] for server in servers), key=missed
        )
    return found


def summary(rows: list[Row]) -> str:
    """A line for each page: its ratios to the tuned version, and the aims that it misses."""
    lines = [
        "| | SQLite | unpinned | PostgreSQL | CPU µs (tuned) | p99 ms (tuned) | aims |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for page, mine in pages(rows).items():
        first = mine[0]
        seen = [
            find(rows, first.scenario, database, pinned=pinned, like=first)
            for database, pinned in (
                ("sqlite", True),
                (first.database, False),
                ("postgresql", True),
            )
        ]
        row = find(rows, first.scenario, first.database, like=first)
        twin = find(rows, first.scenario, first.database, like=first, server=TUNED)
        missed = [
            f"{aim.where + ': ' if aim.where else ''}{verdict} ({said})"
            for aim in mine
            for said, verdict in judged(aim, rows)
            if verdict != "met"
        ]
        cells = [str(each["ratios"].get(first.to, "")) if each else "" for each in seen]
        for key in ("cpu_us", "p99_ms"):
            one, other = (f"{each[key]:.0f}" if each and each[key] else "" for each in (row, twin))
            cells.append(f"{one} ({other})" if one else "")
        lines.append(f"| {page} | {' | '.join(cells)} | {'; '.join(missed) or 'met'} |")
    return "\n".join(lines) + "\n"


def aims(rows: list[Row]) -> str:
    lines = ["| page | where | measured | |", "|---|---|---|---|"]
    lines += [
        f"| {page} | {aim.where} | {said} | {verdict} |"
        for page, mine in pages(rows).items()
        for aim in mine
        for said, verdict in judged(aim, rows)
    ]
    return "\n".join(lines) + "\n"


def table(rows: list[Row]) -> str:
    """Markdown, a line for each row."""
    lines = [
        "| scenario | database | pinned | c | server | requests/s | spread | p50 ms | p99 ms "
        "| p99.9 ms | CPU µs | MB | errors | to Flask | to tuned | to alone |",
        "|---|---|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        threads = f" ({row['threads']} threads)" if row["threads"] else ""
        ratios = [row["ratios"].get(each) for each in (TUTORIAL, TUNED, "alone")]
        cells = [
            row["scenario"].replace("_", "\\_"),
            row["database"],
            "yes" if row["pinned"] else "no",
            row["concurrency"],
            row["server"] + threads,
            f"{row['rps']:.5g}",
            f"{row['spread']:.0%}",
            *(_figure(row[key]) for key in ("p50_ms", "p99_ms", "p999_ms", "cpu_us", "memory_mb")),
            row["errors"],
            *("" if ratio is None else ratio for ratio in ratios),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def chart(rows: list[Row]) -> str:
    """An SVG in the reader's colours: how many times the tuned version's requests, SQLite, c=16."""
    shown = [
        (scenario.name, both)
        for scenario in SCENARIOS
        if any(both := [find(rows, scenario.name, pinned=pinned) for pinned in (True, False)])
    ]
    wanted = {
        aim.scenario: aim.ratio
        for aim in AIMS
        if aim.pinned and aim.server == QUARTAPP and aim.database == "sqlite" and aim.ratio
    }
    ratios = [row["ratios"].get(TUNED, 0) for _, both in shown for row in both if row]
    scale = 300 / max([2.0, *ratios, *wanted.values()])
    height = 72 + 42 * len(shown)
    parts = [_HEAD.format(height=height)]
    for place, (name, both) in enumerate(shown):
        y = 62 + 42 * place
        parts.append(f'<text x="104" y="{y + 20}" text-anchor="end">{escape(name)}</text>')
        for number, row in enumerate(both):
            if ratio := row["ratios"].get(TUNED) if row else None:
                top, width = y + 16 * number, ratio * scale
                parts.append(
                    f'<rect class="{"pinned" if number == 0 else "unpinned"}" x="112" y="{top}"'
                    f' width="{width:.0f}" height="14"/>'
                    f'<text class="figure" x="472" y="{top + 12}">{ratio:.2f}</text>'
                )
        if aim := wanted.get(name):
            x = 112 + aim * scale
            line = f'd="M{x:.0f} {y - 3}v20"/>'
            parts.append(f'<path class="halo" {line}<path class="aim" {line}')
    x = 112 + scale
    parts.append(f'<path class="one" d="M{x:.0f} 54V{height - 8}"/></svg>')
    return "\n".join(parts) + "\n"


_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 {height}" width="480"
 height="{height}" font-size="14" font-family="system-ui, sans-serif" role="img">
<title>Requests per second, as a multiple of the same application on Flask, tuned</title>
<style>
.ground {{ fill: #fff }} text {{ fill: #1f2328 }} .figure {{ font-size: 12px; text-anchor: end }}
.pinned {{ fill: #1d4f91 }} .unpinned {{ fill: #7fa8dc }}
.one {{ stroke: #b42318; stroke-dasharray: 4 3; fill: none }}
.aim {{ stroke: #1f2328; stroke-width: 2 }} .halo {{ stroke: #fff; stroke-width: 6 }}
@media (prefers-color-scheme: dark) {{
  .ground {{ fill: #0d1117 }} text {{ fill: #e6edf3 }}
  .pinned {{ fill: #79b0f5 }} .unpinned {{ fill: #35639e }}
  .one {{ stroke: #ff7b72 }} .aim {{ stroke: #e6edf3 }} .halo {{ stroke: #0d1117 }}
}}
</style>
<rect class="ground" width="480" height="{height}"/>
<text x="8" y="20" font-weight="600">Requests per second; Flask, tuned, is 1</text>
<rect class="pinned" x="8" y="33" width="14" height="14"/><text x="28" y="45">one core</text>
<rect class="unpinned" x="108" y="33" width="14" height="14"/><text x="128" y="45">unpinned</text>
<path class="aim" d="M216 31v18"/><text x="224" y="45">aim</text>"""
