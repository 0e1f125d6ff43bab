# SPDX-License-Identifier: GPL-2.0
"""Events: that what is delivered and what is lost is what was blocked, exactly; how many a second go
without loss; what one costs the viewer, and what viewers cost a blocked packet."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import bed as beds
import stats
from bed import BenchError, run

BATCH = 16
OUTPUTS = {"text": [], "json": ["--json"], "text to a pipe": []}
TICK = os.sysconf("SC_CLK_TCK")


def viewers(row):
    """How many beat."""
    shown = run("bpftool", "-j", "map", "dump", "pinned", pathlib.Path(beds.PIN_DIR, row, "viewer_beats"))
    return sum(beat > 0 for beat in json.loads(shown.stdout)[0]["formatted"]["value"]["beat_ns"])


class Viewer:
    """`egressguard events`, until it is told to end."""

    def __init__(self, bed, row, options=(), cpu=None, to_pipe=False):
        command = [bed.command, "events", row, "--pin-dir", beds.PIN_DIR, *options]
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        before = viewers(row)
        self.reader = None
        output = subprocess.DEVNULL
        if to_pipe:
            self.reader = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            output = self.reader.stdin
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                        stderr=subprocess.PIPE, text=True)
        beds.wait_until(10, lambda: viewers(row) > before, "events")

    def cpu_seconds(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def settle(self):
        """Until it has nothing left to do."""
        end = time.monotonic() + 20
        before, now = -1.0, self.cpu_seconds()
        while now - before > 2 / TICK and time.monotonic() < end:
            time.sleep(0.3)
            before, now = now, self.cpu_seconds()

    def close(self):
        """How many it has shown, how many it says were lost, and the seconds of processor it took."""
        self.settle()
        self.process.send_signal(signal.SIGINT)
        told = self.process.stderr.read()
        _, _, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = 0
        self.process.stderr.close()
        if self.reader:
            self.reader.stdin.close()
            self.reader.wait()
        found = re.search(r"(\d+) events? shown, (\d+) lost", told)
        if not found:
            raise BenchError(f"events ended with: {told.strip()}")
        return int(found[1]), int(found[2]), usage.ru_utime + usage.ru_stime


def dropped(bed, row):
    return bed.counted(row)["dropped"]["public"]["packets"]


def flood(bed, row, rate, seconds, cpus):
    """From each of these processors at once."""
    senders = [subprocess.Popen(
        [str(word) for word in (bed.build / "bench/pace", "flood", "--cpu", cpu, "--to", beds.PUBLIC,
                                "--port", beds.PORT, "--rate", rate, "--seconds", seconds, "--batch",
                                BATCH, f"{row}={bed.guarded(row)}")],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) for cpu in cpus]
    told = [sender.communicate()[0] for sender in senders]
    if any(sender.returncode for sender in senders):
        raise BenchError("bench/pace flood failed")
    found = [json.loads(text) for text in told]
    return {"sent": sum(one["sent"] for one in found), "seconds": max(one["seconds"] for one in found)}


def watch(bed, row, output, cpus, rate, seconds):
    """One flood with one viewer. `cpus`: that of the viewer last, those of senders before."""
    *senders, viewer_cpu = cpus
    viewer = Viewer(bed, row, OUTPUTS[output], viewer_cpu, "pipe" in output)
    before = dropped(bed, row)
    sent = flood(bed, row, rate, seconds, senders)
    shown, lost, cpu = viewer.close()
    blocked = dropped(bed, row) - before
    return {"rate": sent["sent"] / sent["seconds"], "sent": sent["sent"], "blocked": blocked,
            "shown": shown, "lost": lost, "exact": shown + lost == blocked == sent["sent"],
            "viewer_ns_per_event": cpu * 1e9 / shown if shown else None}


def highest_without_loss(bed, row, output, cpus, top, seconds, steps):
    """By halving: between what lost nothing and what lost something. Also all that was seen."""
    low, high, seen = 0.0, top, []
    for _ in range(steps):
        rate = (low + high) / 2
        one = watch(bed, row, output, cpus, int(rate), seconds)
        seen.append(one)
        if one["lost"] == 0:
            low = rate
        else:
            high = rate
    return low, seen


def cost_of_viewers(bed, rounds):
    """A blocked packet with 0, 1 and 4 viewers, interleaved."""
    counts, open_viewers = {"viewers-0": 0, "viewers-1": 1, "viewers-4": 4}, []
    for row, count in counts.items():
        open_viewers += [Viewer(bed, row, cpu=beds.processors()[1]) for _ in range(count)]
    paced = bed.pace("sendto", list(counts), rounds=rounds, count=256, to=beds.PUBLIC)
    lost = sum(viewer.close()[1] for viewer in open_viewers)
    base = paced["viewers-0"]["ns"]
    return {"lost": lost, "table": {str(counts[row]): {
        "ns": stats.spread(one["ns"]), "ratio": stats.spread(stats.ratios(one["ns"], base))}
        for row, one in paced.items()}}


def events(build, say, seconds=0.5, steps=5, rounds=150):
    sender, other = beds.processors()
    places = {"same processor": (sender, sender)}
    if sender != other:
        places["different processors"] = (sender, other)
    results, inexact = {}, 0
    with beds.Bed(build) as bed:
        for row in ("events", "viewers-0", "viewers-1", "viewers-4"):
            bed.add(row)
            bed.attach(row)
        for place, cpus in places.items():
            for output in OUTPUTS:
                say(f"events: {output}, {place}")
                full = watch(bed, "events", output, cpus, 0, seconds)
                best, seen = (full["rate"], []) if full["lost"] == 0 else highest_without_loss(
                    bed, "events", output, cpus, full["rate"], seconds, steps)
                inexact += sum(not one["exact"] for one in [full, *seen])
                results[f"{output}, {place}"] = {"flood": full, "without_loss": best,
                                                 "tries": seen}
        # As many as can be made here: what is accounted for, whatever it is.
        everywhere = sorted(os.sched_getaffinity(0))
        place = f"{len(everywhere)} processors send"
        for output in list(OUTPUTS)[:2]:
            say(f"events: {output}, {place}")
            full = watch(bed, "events", output, (*everywhere, other), 0, seconds)
            inexact += not full["exact"]
            results[f"{output}, {place}"] = {"flood": full, "without_loss": None, "tries": []}
        say("events: with 0, 1 and 4 viewers")
        cost = cost_of_viewers(bed, rounds)
    return {"table": results, "inexact": inexact, "viewers": cost}
