"""Pictures of three series as SVG, each with its title, its description and the rows of the table beside it.

No script and no style attribute, so that `style-src 'self'` holds. Lines and words are in `currentColor`: light and
dark follow the page. Two series differ by pattern and by word, never by colour alone, so that a print in black says the
same. Classes for a style sheet, all optional: `chart` (the picture), `chart-axis`, `chart-grid`, `chart-text`,
`chart-note` (words in an empty picture), `chart-first` and `chart-second` (the two series), `chart-median`,
`chart-today`, `chart-passed`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Literal

import msgspec

from entente.errors import UsageError
from entente.strict import parse_time

WIDTH, LEFT, RIGHT, TOP = 720, 52, 16, 40
SPAN = WIDTH - LEFT - RIGHT
WIDEST = 40  # of one bar
ROWS = 6  # of marks, one above the other
MARK = 6  # half of a mark's width
CHARACTER = 6.6  # about the width of one, for keeping words apart

Kind = Literal["bar", "mark", "shape"]


class Chart(msgspec.Struct, frozen=True):
    """A picture, and the table that stands beside it: the same figures, in the same order."""

    svg: str
    title: str
    description: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Answered(msgspec.Struct, frozen=True):
    """One question and its hours; `answered` is false while it waits, and the hours are those so far."""

    label: str
    hours: float
    answered: bool


class Dated(msgspec.Struct, frozen=True):
    """What is due: when (`YYYY-MM-DDTHH:MMZ`, "": no date), and whose it is: of the `first` party or of the other."""

    label: str
    due: str
    first: bool


# Bars


def bars(
    name: str, title: str, labels: Sequence[str], first: tuple[str, Sequence[int]], second: tuple[str, Sequence[int]]
) -> Chart:
    """Two counts over time, side by side at each label.

    Args:
        name: tells this picture's parts from those of others on the page.
        title: its title.
        labels: such as days, in order.
        first: the name and values of one series, a value for each label; it is solid.
        second: the same of the other; it is hatched.
    """
    if not len(labels) == len(first[1]) == len(second[1]):
        raise UsageError("a chart has one value of each series for each label")
    height, base = 240, 200
    top = _ceiling(max([*first[1], *second[1], 0]))
    described = (
        f"{first[0]}: {sum(first[1])} in all, {second[0]}: {sum(second[1])} in all, "
        f"over {len(labels)} columns{_between(labels)}; at most {max([*first[1], *second[1], 0])} in one."
    )
    parts = [_legend(name, first[0], second[0], "bar")]
    if labels and top:
        step = SPAN / len(labels)
        wide = min(WIDEST, step * 0.4)
        parts += _scale(top, base)
        for place, label in enumerate(labels):
            middle = LEFT + step * (place + 0.5)
            for number, (kind, value) in enumerate((("first", first[1][place]), ("second", second[1][place]))):
                tall = (base - TOP) * value / top
                x = middle - wide + number * wide
                parts.append(_bar(name, kind, (x, base - tall, wide, tall), f"{label}: {value}"))
        parts += _names(labels, base + 18)
    else:
        parts.append(_note(height, "Nothing in this period."))
    parts.append(_line(LEFT, base, WIDTH - RIGHT, base, "chart-axis"))
    rows = tuple((label, str(one), str(two)) for label, one, two in zip(labels, first[1], second[1], strict=True))
    return Chart(_svg(name, title, described, height, parts), title, described, ("", first[0], second[0]), rows)


def _bar(name: str, kind: str, box: tuple[float, float, float, float], said: str) -> str:
    x, y, wide, tall = (f"{value:.1f}" for value in box)
    fill = "currentColor" if kind == "first" else f"url(#{name}-hatch)"
    return (
        f'<rect class="chart-{kind}" x="{x}" y="{y}" width="{wide}" height="{tall}" fill="{fill}" '
        f'stroke="currentColor"><title>{_text(said)}</title></rect>'
        if box[3]
        else ""
    )


def _scale(top: int, base: int) -> list[str]:
    """Lines across at round counts, each with its number."""
    parts, step = [], max(top // 4, 1) if top % 4 == 0 or top < 4 else max(top // 5, 1)
    for value in range(0, top + 1, step):
        y = base - (base - TOP) * value / top
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y, "chart-grid", dashed=True) if value else "")
        parts.append(_words(LEFT - 8, y + 4, str(value), "end"))
    return parts


def _ceiling(value: int) -> int:
    """The next round count: 1, 2, 4, 5 or 10 times a power of ten; 0 for none."""
    if value <= 0:
        return 0
    power = int(10 ** (len(str(value)) - 1))
    return next(factor * power for factor in (1, 2, 4, 5, 10) if factor * power >= value)


def _names(labels: Sequence[str], y: float) -> list[str]:
    """As many labels below the axis as stand apart; the last is always there."""
    step, longest = SPAN / len(labels), max(map(len, labels)) * CHARACTER + 10
    every = max(1, -(-int(longest) // max(int(step), 1)))
    shown = [place for place in range(len(labels)) if (len(labels) - 1 - place) % every == 0]
    at = [LEFT + step * (place + 0.5) for place in shown]
    over = [x + len(labels[place]) * CHARACTER / 2 > WIDTH for place, x in zip(shown, at, strict=True)]
    return [
        _words(WIDTH - 2 if cut else x, y, labels[place], "end" if cut else "middle")
        for place, x, cut in zip(shown, at, over, strict=True)
    ]


def _between(labels: Sequence[str]) -> str:
    return f", {labels[0]} to {labels[-1]}" if len(labels) > 1 else f", {labels[0]}" if labels else ""


# Hours


def hours(name: str, title: str, questions: Sequence[Answered]) -> Chart:
    """Each question as a mark at its hours, with the box of those answered: quarter, median, three quarters.

    A filled circle was answered; an open diamond waits, at the hours so far.
    """
    height, base, row = 200, 150, 110
    done = sorted(one.hours for one in questions if one.answered)
    waiting = len(questions) - len(done)
    median = f"; half were answered within {_figure(_share(done, 0.5))} hours" if done else ""
    described = f"{len(done)} answered, {waiting} waiting{median}."
    parts = [_legend(name, "answered", "waiting", "mark", "box: the middle half of the answers; bar: the median")]
    if questions:
        most = max(max((one.hours for one in questions), default=0), 1)
        top = _ceiling(int(-(-most // 1)))
        at = [LEFT + SPAN * one.hours / top for one in questions]
        parts += [_words(LEFT + SPAN * part / 4, base + 18, _figure(top * part / 4), "middle") for part in range(5)]
        parts.append(_words(WIDTH - RIGHT, base + 36, "hours", "end"))
        parts += _box([LEFT + SPAN * _share(done, part) / top for part in (0.25, 0.5, 0.75)], row) if done else []
        for (x, y), one in zip(_stacked(at, row, 2 * MARK, 2 * MARK), questions, strict=True):
            said = f"{one.label}: {_figure(one.hours)} hours, {'answered' if one.answered else 'waiting'}"
            parts.append(_mark(x, y, "first" if one.answered else "second", said))
    else:
        parts.append(_note(height, "No question was asked."))
    parts.append(_line(LEFT, base, WIDTH - RIGHT, base, "chart-axis"))
    rows = tuple((one.label, _figure(one.hours), "answered" if one.answered else "waiting") for one in questions)
    return Chart(_svg(name, title, described, height, parts), title, described, ("question", "hours", "state"), rows)


def _box(quarters: Sequence[float], row: float) -> list[str]:
    low, middle, high = quarters
    drawn = (
        f'<rect class="chart-grid" x="{low:.1f}" y="{row + 10:.1f}" width="{high - low:.1f}" height="20" fill="none" '
        'stroke="currentColor"><title>half of the answers</title></rect>'
    )
    return [drawn, _line(middle, row + 8, middle, row + 32, "chart-median", wide=3)]


def _share(values: Sequence[float], part: float) -> float:
    """The value below which this part of the sorted values lies, between two of them in proportion."""
    place = (len(values) - 1) * part
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def _figure(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


# Due dates


def dues(name: str, title: str, today: str, whose: tuple[str, str], items: Sequence[Dated]) -> Chart:
    """Due dates on a line with today's mark; each bears the number of its row in the table.

    A circle is owed by `whose[0]`, a square by `whose[1]`; one with a cross is past its date. What has no date stands
    in the table alone.
    """
    height, base = 200, 150
    dated = [(number, one, parse_time(one.due)) for number, one in enumerate(items, 1) if one.due]
    now = parse_time(today)
    late = sum(when <= now for *_, when in dated)
    described = (
        f"{len(items)} undertakings; {late} past their date, {len(dated) - late} to come, "
        f"{len(items) - len(dated)} without a date. Today is {today[:10]}."
    )
    parts = [_legend(name, *whose, "shape", "crossed: past its date")]
    if dated:
        moments = [when for *_, when in dated]
        first, last = _padded(min(*moments, now), max(*moments, now))
        parts += _calendar(first, last, base)
        at = [_along(when, first, last) for when in moments]
        for (x, y), (number, one, when) in zip(_stacked(at, base - 14, 2 * MARK + 4, 4 * MARK + 8), dated, strict=True):
            whom, passed = whose[0] if one.first else whose[1], when <= now
            said = f"{number}. {one.label}: due {one.due}, {whom}{', past' if passed else ''}"
            parts.append(_shape(x, y, said, square=not one.first, passed=passed))
            parts.append(_words(x + MARK + 2, y + 4, str(number), "start"))
        x = _along(now, first, last)
        parts.append(_line(x, TOP, x, base, "chart-today", dashed=True))
        parts.append(_words(x, TOP - 4, "today", "middle"))
    else:
        parts.append(_note(height, "Nothing has a date."))
    parts.append(_line(LEFT, base, WIDTH - RIGHT, base, "chart-axis"))
    rows = tuple(_due_row(number, one, whose, today) for number, one in enumerate(items, 1))
    columns = ("no.", "undertaking", "owed by", "due", "state")
    return Chart(_svg(name, title, described, height, parts), title, described, columns, rows)


def _due_row(number: int, one: Dated, whose: tuple[str, str], today: str) -> tuple[str, ...]:
    state = "no date" if not one.due else "past" if one.due <= today else "to come"
    return str(number), one.label, whose[0] if one.first else whose[1], one.due, state


def _padded(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    """A span in which the first and the last date stand inside, at least two weeks long; within the calendar."""
    room = max((last - first) / 20, timedelta(days=7))
    zone = first.tzinfo
    low = first - room if first - datetime.min.replace(tzinfo=zone) > room else first
    high = last + room if datetime.max.replace(tzinfo=zone) - last > room else last
    return low, high


def _along(when: datetime, first: datetime, last: datetime) -> float:
    return LEFT + SPAN * ((when - first) / (last - first))


def _calendar(first: datetime, last: datetime, base: float) -> list[str]:
    """Five dates below the line."""
    return [
        part
        for number in range(5)
        for x in [LEFT + SPAN * number / 4]
        for part in (
            _line(x, base, x, base + 5, "chart-axis"),
            _words(x, base + 20, (first + (last - first) * (number / 4)).date().isoformat(), _anchor(number)),
        )
    ]


def _anchor(number: int) -> Literal["start", "middle", "end"]:
    return "start" if number == 0 else "end" if number == 4 else "middle"


# Parts


def _stacked(places: Sequence[float], y: float, step: float, apart: float) -> list[tuple[float, float]]:
    """A place for each mark: the lowest of six rows in which it stands apart, or the emptiest one if there is none."""
    rows: list[list[float]] = [[] for _ in range(ROWS)]
    found: list[tuple[float, float]] = []
    for x in places:
        room = [min((abs(x - other) for other in row), default=WIDTH) for row in rows]
        level = next((number for number, free in enumerate(room) if free >= apart), room.index(max(room)))
        rows[level].append(x)
        found.append((x, y - step * level))
    return found


def _mark(x: float, y: float, kind: str, said: str) -> str:
    """A filled circle, or an open diamond."""
    title = f"<title>{_text(said)}</title>"
    if kind == "first":
        return (
            f'<circle class="chart-first" cx="{x:.1f}" cy="{y:.1f}" r="{MARK - 2}" fill="currentColor">{title}</circle>'
        )
    points = f"{x:.1f},{y - MARK:.1f} {x + MARK:.1f},{y:.1f} {x:.1f},{y + MARK:.1f} {x - MARK:.1f},{y:.1f}"
    return f'<polygon class="chart-second" points="{points}" fill="none" stroke="currentColor">{title}</polygon>'


def _shape(x: float, y: float, said: str, *, square: bool, passed: bool) -> str:
    """A circle or square, crossed if its date has passed."""
    kind = f"chart-{'second' if square else 'first'}{' chart-passed' if passed else ''}"
    drawn = (
        f'<rect x="{x - MARK:.1f}" y="{y - MARK:.1f}" width="{2 * MARK}" height="{2 * MARK}"/>'
        if square
        else f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{MARK}"/>'
    )
    cross = (
        f'<path d="M{x - MARK:.1f} {y - MARK:.1f}l{2 * MARK} {2 * MARK}m0 -{2 * MARK}l-{2 * MARK} {2 * MARK}"/>'
        if passed
        else ""
    )
    return f'<g class="{kind}" fill="none" stroke="currentColor"><title>{_text(said)}</title>{drawn}{cross}</g>'


def _legend(name: str, first: str, second: str, kind: Kind, more: str = "") -> str:
    """Both series by sign and word, at the top; `more` explains the rest."""
    gap = LEFT + 40 + CHARACTER * len(first)
    return (
        _sign(name, kind, "first", (LEFT, first))
        + _words(LEFT + 20, 18, first, "start")
        + _sign(name, kind, "second", (gap, second))
        + _words(gap + 20, 18, second, "start")
        + (_words(WIDTH - RIGHT, 18, more, "end") if more else "")
    )


def _sign(name: str, kind: Kind, which: str, said: tuple[float, str]) -> str:
    x, words = said
    if kind == "bar":
        return _bar(name, which, (x, 8, 12, 12), words)
    if kind == "mark":
        return _mark(x + MARK, 14, which, words)
    return _shape(x + MARK, 14, words, square=which == "second", passed=False)


def _note(height: int, words: str) -> str:
    return (
        f'<text class="chart-note" x="{WIDTH / 2:.1f}" y="{height / 2:.1f}" text-anchor="middle" font-size="14" '
        f'fill="currentColor">{_text(words)}</text>'
    )


def _words(x: float, y: float, words: str, anchor: Literal["start", "middle", "end"]) -> str:
    return (
        f'<text class="chart-text" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" '
        f'fill="currentColor">{_text(words)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str, *, dashed: bool = False, wide: int = 1) -> str:
    dash = ' stroke-dasharray="2 4"' if dashed else ""
    return (
        f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" '
        f'stroke-width="{wide}"{dash}/>'
    )


def _svg(name: str, title: str, described: str, height: int, parts: Sequence[str]) -> str:
    """The whole picture; UsageError if its name cannot be part of an id."""
    if not name.isascii() or not name.replace("-", "").isalnum() or not name[0].isalpha():
        raise UsageError(f"{name!r} cannot name a picture", remedy="Use letters, digits and hyphens.")
    hatch = (
        f'<defs><pattern id="{name}-hatch" width="5" height="5" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="5" stroke="currentColor" stroke-width="2"/>'
        "</pattern></defs>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" '
        f'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{_text(title)}</title>'
        f'<desc id="{name}-desc">{_text(described)}</desc>{hatch}{"".join(parts)}</svg>'
    )


def _text(words: str) -> str:
    """Words as they may stand in XML: what has no place there is shown as such."""
    return escape("".join(char if _is_xml(char) else "\ufffd" for char in words))


def _is_xml(char: str) -> bool:
    return char in "\t\n\r" or " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char >= "\U00010000"
