# SPDX-License-Identifier: MIT
"""A line chart as SVG: one line per label, points where it was measured."""
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 50, 60
# A server looks the same in all charts.
KNOWN = {"dewar": "#d1495b", "floor": "#888888", "nginx-lua": "#4c956c",
         "node": "#edae49", "fastify": "#6d597a"}
OTHERS = ("#d1495b", "#0b6e99", "#4c956c", "#edae49", "#6d597a", "#8d6a4f")


class Axis:
    """Maps values to pixels; logarithmic where they span decades."""

    def __init__(self, values, start, end):
        low, high = min(values), max(values)
        self.start, self.end = start, end
        self.log = low > 0 and high / low >= 50
        if self.log:
            self.low, self.high = floor(log10(low)), ceil(log10(high))
            self.ticks = [10 ** n for n in range(self.low, self.high + 1)]
        else:
            step = self.step(high)
            self.low, self.high = 0, step * max(1, ceil(high / step))
            count = round(self.high / step)
            self.ticks = [step * n for n in range(count + 1)]

    @staticmethod
    def step(high):
        """1, 2 or 5 times a power of ten: about six ticks."""
        raw = max(high, 1e-9) / 6
        power = 10 ** floor(log10(raw))
        return power * next(n for n in (1, 2, 5, 10) if n * power >= raw)

    def at(self, value):
        value = log10(value) if self.log else value
        span = (self.high - self.low) or 1
        share = (value - self.low) / span
        return self.start + share * (self.end - self.start)


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:g}"


def text(x, y, words, anchor="middle", extra=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>'
            f'{escape(words)}</text>')


def grid(x, y, x_label, y_label):
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for tick in y.ticks:
        at = y.at(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" '
                     f'x2="{right}" y2="{at:.1f}"/>')
        parts.append(text(LEFT - 8, at + 4, number(tick), "end"))
    for tick in x.ticks:
        at = x.at(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{TOP}" '
                     f'x2="{at:.1f}" y2="{bottom}"/>')
        parts.append(text(at, bottom + 18, number(tick)))
    parts.append(text((LEFT + right) / 2, HEIGHT - 16, x_label))
    middle = (TOP + bottom) / 2
    parts.append(text(18, middle, y_label, "middle",
                      f' transform="rotate(-90 18 {middle})"'))
    return parts


def line(x, y, points, colour):
    path = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points)
    dots = "".join(f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="3" '
                   f'fill="{colour}"/>' for a, b in points)
    return f'<polyline points="{path}" stroke="{colour}"/>{dots}'


def spread(ends):
    """Moves labels apart that would lie on each other."""
    placed, last = {}, -1e9
    for label, at in sorted(ends.items(), key=lambda item: item[1]):
        last = max(at, last + 15)
        placed[label] = last
    return placed


def svg(title, x_label, y_label, lines):
    """lines: a list of (x, y) by label."""
    points = [point for some in lines.values() for point in some]
    x = Axis([p[0] for p in points], LEFT, WIDTH - RIGHT)
    y = Axis([p[1] for p in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} '
        f'{HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
        "<style>text{font:12px sans-serif;fill:#333}.title{font-size:15px}"
        ".grid{stroke:#ddd}polyline{fill:none;stroke-width:2}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text(LEFT, 28, title, "start", ' class="title"')]
    parts += grid(x, y, x_label, y_label)
    labels = spread({label: y.at(some[-1][1])
                     for label, some in lines.items()})
    for (label, some), other in zip(lines.items(), OTHERS * 9):
        colour = KNOWN.get(label, other)
        parts.append(line(x, y, some, colour))
        parts.append(text(x.at(some[-1][0]) + 10, labels[label] + 4, label,
                          "start", f' style="fill:{colour}"'))
    return "\n".join(parts + ["</svg>", ""])
