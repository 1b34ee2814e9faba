"""A bar chart as SVG: a page of one picture needs no library."""

from collections.abc import Sequence

LABEL_WIDTH = 240
BAR_WIDTH = 420
ROW_HEIGHT = 26
FONT = 'font-family="sans-serif" font-size="13"'


def bars(lengths: Sequence[tuple[str, float]], *, mark: float) -> str:
    """Draw a bar for each (label, length), with a line through all of them at `mark`."""
    scale = BAR_WIDTH / max(length for _, length in lengths)
    width, height = LABEL_WIDTH + BAR_WIDTH + 60, ROW_HEIGHT * len(lengths) + 10
    at = LABEL_WIDTH + mark * scale
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {FONT}>',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<line x1="{at:.0f}" y1="0" x2="{at:.0f}" y2="{height}" stroke="#888" stroke-dasharray="3 3"/>',
            *(_bar(row, label, length, scale) for row, (label, length) in enumerate(lengths)),
            "</svg>",
            "",
        ]
    )


def _bar(row: int, label: str, length: float, scale: float) -> str:
    top, end = ROW_HEIGHT * row, LABEL_WIDTH + length * scale
    return (
        f'<text x="{LABEL_WIDTH - 8}" y="{top + 20}" text-anchor="end">{label}</text>'
        f'<rect x="{LABEL_WIDTH}" y="{top + 6}" width="{length * scale:.0f}" height="{ROW_HEIGHT - 8}" fill="#4a7fb5"/>'
        f'<text x="{end + 6:.0f}" y="{top + 20}">{length:.2f}</text>'
    )
