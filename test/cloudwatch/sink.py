# SPDX-License-Identifier: Apache-2.0
"""The agent's sink as a process (driver.cpp), and what its tests have in common."""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback

from cloudwatch_double import Double, Key

DRIVER = os.environ.get("CLOUDWATCH_DRIVER", "build/release/bin/cloudwatch_driver")
PATIENCE = 20  # seconds; how long anything may take on a machine that is busy with other things
GROUP = "/aws/eks/test/cluster"
# Short waits: what they are is tested without a clock.
OPTIONS = {"cluster": "test", "flush_ms": 50, "first_wait_ms": 20, "most_wait_ms": 100, "refused_wait_ms": 100,
           "report_ms": 0, "look_up_ms": 20, "region_ms": 50, "loss_ms": 50}


def now_ms():
    return int(time.time() * 1000)


class Sink:
    def __init__(self, environment, **options):
        self.log = tempfile.TemporaryFile("w+")
        given = dict(OPTIONS, **options)
        self.process = subprocess.Popen(
            [DRIVER, "log"] + ["%s=%s" % pair for pair in given.items()], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={"NO_PROXY": "127.0.0.1", **environment})

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        if kind is not None:
            print("the agent's log:\n" + self.lines())
        elif status != 0:
            raise AssertionError("the sink ended with %d:\n%s" % (status, self.lines()))

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        overdue = threading.Timer(2 * PATIENCE, self.process.kill)
        overdue.start()
        answer = self.process.stdout.readline().strip()
        overdue.cancel()
        assert answer, "no answer to %r:\n%s" % (command, self.lines())
        return answer

    def add(self, message, moment=None):
        assert self.tell("add %d %s" % (now_ms() if moment is None else moment, message)) == "added"

    def many(self, count, moment=None, step=0, size=0):
        moment = now_ms() if moment is None else moment
        assert self.tell("many %d %d %d %d" % (count, moment, step, size)) == "added"

    def finish(self, most_ms):
        begun = time.monotonic()
        assert self.tell("finish %d" % most_ms) == "finished"
        return time.monotonic() - begun

    def counters(self):
        counters = json.loads(self.tell("counters"))
        known = counters["sent"] + counters["lost"] + counters["held"]
        assert counters["added"] == known, "%d added, %d accounted for: %s" % (counters["added"], known, counters)
        return counters

    def until(self, condition, what="what is held is sent"):
        """Polls until the condition holds of the counters, which are returned."""
        end = time.monotonic() + PATIENCE
        while True:
            counters = self.counters()
            if condition(counters):
                return counters
            assert time.monotonic() < end, "after %d s not yet: %s\n%s\n%s" % (PATIENCE, what, counters, self.lines())
            time.sleep(0.01)

    def until_sent(self):
        return self.until(lambda counters: counters["held"] == 0)

    def until_delivering(self):
        return self.until(lambda counters: counters["state"] == 1, "the stream is made")

    def lines(self):
        self.log.seek(0)
        return self.log.read()

    def said(self, text):
        return self.lines().count(text)


def with_key(double, **more):
    double.keys["AKIDTEST"] = Key("secret/of+test")
    return double.environment(AWS_ACCESS_KEY_ID="AKIDTEST", AWS_SECRET_ACCESS_KEY="secret/of+test", **more)


def equal(found, wanted, what):
    assert found == wanted, "%s: found %r, expected %r" % (what, found, wanted)


def numbers(double, group=GROUP):
    return [int(message.rstrip(".")) for message in double.messages(group)]


def clean(double):
    equal(double.violations, [], "what a client should never do")


def run(tests, only):
    """Side by side: each has a service and a sink of its own, and mostly waits."""
    def one(test):
        begun = time.monotonic()
        try:
            test()
            return test, time.monotonic() - begun, None
        except Exception:
            return test, time.monotonic() - begun, traceback.format_exc()

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for test, took, failure in pool.map(one, [test for test in tests if not only or test.__name__ in only]):
            print("%s %5.2f s  %s" % ("FAILED" if failure else "ok    ", took, test.__name__.replace("_", " ")),
                  flush=True)
            if failure:
                failed += 1
                print(failure, flush=True)
    sys.exit(1 if failed else 0)
