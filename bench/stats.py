# SPDX-License-Identifier: GPL-2.0
"""What is said of a row of measurements, and who owns what root has written."""

import os
import statistics


def quantile(values, share):
    """The value below which that share of them is; between two of them as far as it lies."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def spread(values):
    """Median and quartiles."""
    return {"median": statistics.median(values), "q1": quantile(values, 0.25),
            "q3": quantile(values, 0.75), "rounds": len(values)}


def ratios(values, base):
    """Of the same round each: what drifts from round to round falls out."""
    return [one / other for one, other in zip(values, base)]


def give_to_owner(directory, *paths):
    """Root measures in another user's tree: what is left there is that user's."""
    if os.geteuid() != 0:
        return
    owner = directory.stat()
    for path in paths:
        if path.exists():
            os.chown(path, owner.st_uid, owner.st_gid)
