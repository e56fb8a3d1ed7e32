"""Schedules against dateutil.rrule: random rules of the patterns that both can say.

Both can say all but *yearly by month and week*, which iCalendar has only where
the weeks of a month are those of its year: the first four of January and the
last four of December.
"""

import random
from datetime import datetime, timedelta

import cbor2
from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

EPOCH = datetime(1970, 1, 1)
DAY = 86_400
YEAR = 365 * DAY
JANUARY, DECEMBER = 1 << 7, 1 << 18


def bits(mask, first, count):
    return [bit for bit in range(count) if mask >> (first + bit) & 1]


def weekdays(mask, ordinal=None):
    return [weekday(day, ordinal) for day in bits(mask, 0, 7)]


def months(mask):
    return [month + 1 for month in bits(mask, 7, 12)]


def random_rule(dice):
    """Mask, pattern and ordinal; then the same for dateutil."""
    pattern = dice.randint(1, 8)
    days = dice.randint(1, 127)
    days_or_none = dice.choice([0, days])
    of_months = dice.randint(1, 4095) << 7

    def ordinal(most):
        return dice.choice([-1, 1]) * dice.randint(1, most)

    if pattern == 1:
        return 0, 1, 0, dict(freq=DAILY)
    if pattern == 2:
        return days, 2, 0, dict(freq=WEEKLY, byweekday=weekdays(days))
    if pattern == 3:
        n = ordinal(5)
        return days, 3, n, dict(freq=MONTHLY, byweekday=weekdays(days, n))
    if pattern == 4 and dice.random() < 0.5:
        dates = dice.randint(1, 2**31 - 1)
        return dates, 4, 0, dict(
            freq=MONTHLY, bymonthday=[date + 1 for date in bits(dates, 0, 31)]
        )
    if pattern == 4:
        n = ordinal(31)
        rule = dict(freq=MONTHLY, bymonthday=n)
        mask = days_or_none
    elif pattern == 5:
        n = ordinal(5)
        mask = days | of_months
        return mask, 5, n, dict(
            freq=YEARLY, bymonth=months(mask), byweekday=weekdays(days, n)
        )
    elif pattern == 6:
        n = ordinal(31)
        mask = days_or_none | of_months
        rule = dict(freq=YEARLY, bymonth=months(mask), bymonthday=n)
    elif pattern == 7:
        n = ordinal(53)
        mask = days_or_none | dice.choice([0, of_months])
        # dateutil is wrong about weeks that reach over New Year: it has 1
        # January 2022 in week 53 of a year of 52 weeks, and knows week 1 of the
        # next year by the name 1 only. There Python's own calendar says.
        if abs(n) < 52:
            rule = dict(freq=YEARLY, byweekno=n)
        else:
            rule = dict(freq=YEARLY, byyearday=range(1, 367))
        if months(mask):
            rule["bymonth"] = months(mask)
    else:
        n = ordinal(4)
        mask = days_or_none | (JANUARY if n > 0 else DECEMBER)
        rule = dict(freq=YEARLY, byweekno=n, bymonth=months(mask))
    if days_or_none:
        rule["byweekday"] = weekdays(days)
    return mask, pattern, n, rule


def in_week(day, ordinal):
    year, week, _ = day.isocalendar()
    weeks = datetime(year, 12, 28).isocalendar().week
    return week == (ordinal if ordinal > 0 else weeks + 1 + ordinal)


def one_case(dice, peer):
    mask, pattern, ordinal, rule = random_rule(dice)
    interval = dice.choice([1, 1, dice.randint(2, 5), dice.randint(1, 255)])
    duration = dice.choice([dice.randint(1, DAY), DAY, dice.randint(1, 3 * DAY)])
    # Up to 2080, so that all fits the 32 bits of a Schedule.
    start = dice.randint(0, 110 * YEAR)
    end = start + dice.randint(0, 4 * YEAR) if dice.random() < 0.5 else None
    schedule = {0: start, 2: [duration, mask, pattern, interval, ordinal], 3: dice.randint(0, 1)}
    if end:
        schedule[1] = end
    element = cbor2.dumps({0: 1, 3: [schedule]})

    horizon = start + dice.randint(1, 6) * YEAR
    occurrences = []
    until = EPOCH + timedelta(seconds=min(horizon, end) if end else horizon)
    for begin in rrule(
        dtstart=EPOCH + timedelta(seconds=start), until=until, interval=interval, wkst=0, **rule
    ):
        if pattern != 7 or in_week(begin, ordinal):
            occurrences.append(int((begin - EPOCH).total_seconds()))

    moments = [start - 1, start, start + duration - 1, start + duration]
    for begin in dice.sample(occurrences, min(6, len(occurrences))) + occurrences[-1:]:
        moments += [begin - 1, begin, begin + duration - 1, begin + duration]
    moments += [dice.randint(start, horizon) for _ in range(8)]
    moments = [moment for moment in moments if moment < horizon]
    expected = [
        [any(begin <= moment < begin + duration for begin in occurrences)] for moment in moments
    ]

    answer = peer.ask("schedules", element=element.hex(), at=moments)
    if answer.get("active") == expected:
        return None
    return f"{schedule} at {moments}: {answer}, dateutil says {expected}"


def run(peer, case):
    """How many agree in this case, and what to say about those that do not."""
    failure = one_case(random.Random(case), peer)
    return (0, [f"schedule {case}: {failure}"]) if failure else (1, [])
