# SPDX-License-Identifier: GPL-2.0
"""The decision alone, over an empty program: see bench/decide.c."""

import json
import subprocess

import bed as beds
import stats


def ask(build, *options):
    done = subprocess.run([str(build / "bench/decide"), "--cpu", str(beds.processors()[0]),
                           *map(str, options)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          check=False)
    if done.returncode:
        raise beds.BenchError(f"bench/decide failed with status {done.returncode}")
    return json.loads(done.stdout)


def over_empty(path):
    return {"ns": stats.spread(path["ns"]), "empty_ns": stats.spread(path["empty_ns"]),
            "over_empty_ns": stats.spread([one - empty for one, empty in
                                           zip(path["ns"], path["empty_ns"])])}


def decide(build, _say, rounds=200):
    measured = ask(build, "--rounds", rounds, "--programs")
    return {"repeat": measured["repeat"], "clang": measured["clang"], "programs": measured["programs"],
            "paths": {path["name"]: {"reason": path["reason"], "verdict": path["verdict"],
                                     **over_empty(path)} for path in measured["paths"]}}
