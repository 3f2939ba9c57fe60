"""Small things that both pump notebooks use."""
import numpy as np

MAD = 1.4826


def robust_z(values, base):
    """Distance from the median of a healthy stretch, in its own spread."""
    centre = base.median()
    return (values - centre) / (MAD * np.median(np.abs(base - centre)))


def smooth(values, width):
    return values.rolling(width, min_periods=1, center=True).mean()


class Report:
    def __init__(self, title):
        self.title = title
        self.lines = []

    def add(self, what, value):
        self.lines.append('%s: %s' % (what, round(value, 3)))

    def __str__(self):
        return '\n'.join([self.title.upper(), *self.lines])
