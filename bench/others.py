# SPDX-License-Identifier: GPL-2.0
"""What processes of namespaces without a guard pay for the layer `socket`, which stands at the root of
the cgroups. It is on in a moment and off in the next, for everybody, so it is switched between rounds:
nothing, empty programs at the same hooks, a guard of another namespace."""

import bed as beds
import stats

KINDS = {
    "udp-connect": ("UDP socket, connect and close", {"count": 256}),
    "connect": ("TCP socket, connect and close", {"count": 30, "warm": 4}),
    "sendto": ("UDP sendto", {"count": 256, "size": 64}),
}
STATES = {"none": "no guard on the machine", "again": "no guard, once more",
          "empty": "empty programs at the same hooks", "guard": "another namespace has a guard"}


def others(build, say, rounds=40):
    say("others: connect and sendto with and without")
    measured = {}
    with beds.Bed(build) as bed:
        bed.add("free")
        bed.add("kept")
        bed.sink(beds.processors()[1], ["free"])
        root = beds.cgroup_root()
        for turn in range(rounds):
            for k in range(len(STATES)):
                state = list(STATES)[(k + turn) % len(STATES)]
                helper = None
                if state == "empty":
                    helper = bed.empty(f"cgroup:{root}")
                elif state == "guard":
                    bed.attach("kept")
                    if bed.layers("kept").get("socket") != "attached":
                        raise beds.BenchError("the layer `socket` is not attached here")
                for kind, (_, options) in KINDS.items():
                    # Several, of which the middle one counts: a round is a few milliseconds.
                    found = bed.pace(kind, ["free"], rounds=21, to=beds.LAN, **options)["free"]
                    if found["failed"]:
                        raise beds.BenchError(f"{kind}: {found['failed']} failed")
                    measured.setdefault(kind, {}).setdefault(state, []).append(
                        stats.spread(found["ns"])["median"])
                if helper:
                    bed.helpers.remove(helper)
                    helper.close()
                elif state == "guard":
                    bed.detach("kept")
    return {"states": STATES, "traffic": {kind: text for kind, (text, _) in KINDS.items()},
            "table": {kind: {state: {"ns": stats.spread(values),
                                     "ratio": stats.spread(stats.ratios(values, states["none"]))}
                             for state, values in states.items()}
                      for kind, states in measured.items()}}
