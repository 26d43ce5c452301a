# SPDX-License-Identifier: Apache-2.0
"""The rules of deploy/prometheus, and a real Prometheus that goes by them. A rule waits for minutes; here they are
seconds: every `for`, window and offset is shortened, and nothing else of a rule is changed.

    with Prometheus(folder, scrape_configs) as it:
        it.vector('postern_pods{interface="known"}')
        it.firing()
"""
import json
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request

import yaml

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../..")
RULES = os.path.join(ROOT, "deploy/prometheus/rules.yaml")
SCRAPE = os.path.join(ROOT, "deploy/prometheus/scrape.yaml")
PORT = 9090
SCRAPE_INTERVAL, EVALUATION_INTERVAL = "500ms", "250ms"
# A metric of the agent and its matchers, in an expression.
TARGET = ("__name__", "instance", "job", "node")
SELECTOR = re.compile(r"\b(?:postern|network_policy|awsnodeagent)_[a-z_]+(?:\{[^}]*\})?")


def rules(path=RULES):
    """[{"alert": ..., "expr": ..., ...}], in the file's order."""
    with open(path, encoding="utf-8") as file:
        return [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]


def shortened(text):
    """The same rules, quick: 1 s for `for`, windows of 4 s, an hour's of 8 s, offsets of 4 s."""
    text = re.sub(r"\n    for: \w+\n", "\n    for: 1s\n", text)
    text = re.sub(r"\[\d+m\]", "[4s]", text)
    text = re.sub(r"\[\d+h\]", "[8s]", text)
    return re.sub(r"offset \w+", "offset 4s", text)


class Prometheus:
    def __init__(self, folder, scrape):
        self.folder = os.path.join(folder, "prometheus")
        os.makedirs(self.folder)
        config = {"global": {"scrape_interval": SCRAPE_INTERVAL, "scrape_timeout": SCRAPE_INTERVAL,
                             "evaluation_interval": EVALUATION_INTERVAL},
                  "rule_files": ["rules.yaml"], "scrape_configs": scrape}
        with open(RULES, encoding="utf-8") as file:
            self.write("rules.yaml", shortened(file.read()))
        self.write("prometheus.yaml", yaml.safe_dump(config))
        self.log = open(os.path.join(self.folder, "log"), "w", encoding="utf-8")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=" + os.path.join(self.folder, "prometheus.yaml"),
             "--storage.tsdb.path=" + os.path.join(self.folder, "data"), "--web.listen-address=127.0.0.1:%d" % PORT,
             "--log.level=warn"], stdout=self.log, stderr=self.log)
        self.wait("/-/ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def wait(self, page, patience=30):
        end = time.monotonic() + patience
        while True:
            try:
                with urllib.request.urlopen("http://127.0.0.1:%d%s" % (PORT, page), timeout=5):
                    return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    with open(self.log.name, encoding="utf-8") as file:
                        raise AssertionError("Prometheus does not answer:\n" + file.read()) from None
            time.sleep(0.05)

    def ask(self, page, **parameters):
        url = "http://127.0.0.1:%d/api/v1/%s?%s" % (PORT, page, urllib.parse.urlencode(parameters, doseq=True))
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def vector(self, expression):
        """[(labels, value)], labels without those of the target and the name."""
        return [({key: value for key, value in one["metric"].items() if key not in TARGET},
                 float(one["value"][1])) for one in self.ask("query", query=expression)["result"]]

    def settle(self):
        """Until a scrape has begun and ended after now."""
        now, end = time.time(), time.monotonic() + 30
        while time.monotonic() < end:
            if any(at > now for _, at in self.vector("timestamp(up) and up == 1")):
                return
            time.sleep(0.05)
        raise AssertionError("no scrape in 30 s")

    def firing(self):
        """{alert: [{"labels": ..., "annotations": ..., "value": ...}]} of those that fire now."""
        found = {}
        for one in self.ask("alerts")["alerts"]:
            if one["state"] == "firing":
                found.setdefault(one["labels"]["alertname"], []).append(one)
        return found
