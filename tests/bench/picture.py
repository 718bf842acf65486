"""The results as a picture: a panel for each workload, a bar for each contender."""

from html import escape
from typing import Final

from bench.results import Key, Results
from bench.workloads import NAMES

_COLOURS: Final = {"ours": "#2563eb", "bare": "#94a3b8"}
_OTHER: Final = "#d97706"
_TITLE: Final = "Requests per second: one worker, client and server on the same two cores"
_WIDTH, _LABEL, _BAR, _GAP, _HEAD = 920, 210, 16, 5, 34


def draw(results: Results) -> str:
    """SVG text."""
    cells = sorted({(key.count, key.contender) for key in results.saturated})
    height_of_panel = _HEAD + len(cells) * (_BAR + _GAP) + 8
    columns = 2
    rows = (len(NAMES) + columns - 1) // columns
    wide, high = _WIDTH * columns // 2 + 40, rows * height_of_panel + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}">',
        '<g font-family="sans-serif" font-size="12" fill="#1e293b">',
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
        f'<text x="20" y="24" font-size="15" font-weight="bold">{_TITLE}</text>',
    ]
    for number, name in enumerate(NAMES):
        left = 20 + number % columns * (_WIDTH // 2)
        top = 40 + number // columns * height_of_panel
        parts += _panel(results, name, cells, left, top)
    return "\n".join([*parts, "</g></svg>", ""])


def _panel(results: Results, name: str, cells: list[tuple[int, str]], left: int, top: int) -> list[str]:
    parts = [f'<text x="{left}" y="{top + 20}" font-weight="bold">{escape(name)}</text>']
    rates = {
        (count, who): results.rate(Key(who, count, name))
        for count, who in cells
        if Key(who, count, name) in results.saturated
    }
    most = max(rates.values(), default=1.0)
    room = _WIDTH // 2 - _LABEL - 70
    unable = [cell for cell in cells if Key(cell[1], cell[0], name) in results.cannot]
    for line, (count, who) in enumerate((*rates, *unable)):
        y = top + _HEAD + line * (_BAR + _GAP)
        parts.append(
            f'<text x="{left + _LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(who)} ({count:,})</text>'
        )
        if (count, who) in unable:
            parts.append(f'<text x="{left + _LABEL}" y="{y + 12}" fill="#64748b">cannot</text>')
            continue
        rate = rates[count, who]
        colour = _COLOURS.get(who.partition(",")[0], _OTHER)
        length = max(1.0, rate / most * room)
        parts += [
            f'<rect x="{left + _LABEL}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>',
            f'<text x="{left + _LABEL + length + 5:.1f}" y="{y + 12}">{rate:,.0f}</text>',
        ]
    return parts
