"""Runs upstream's server tests with a local model: a pytest plugin, used by `go run ./build test`.

Upstream's tests download their models, which is not possible everywhere. Here each server gets the model in
RETRO_MODEL instead. It does not tell the same stories, so what the tests expect of words is only checked to be text,
and tests that depend on another vocabulary, adapter or kind of model are skipped with the reason.
Every verdict goes to the file in RETRO_REPORT, one JSON object a line.
"""
import json
import os
import re

import pytest
import utils

MODEL = os.environ["RETRO_MODEL"]

# Parts of test ids, and why they cannot run with another model. The first that fits counts.
NEEDS = [
]

SPARSE = re.compile(r"retro attention = (\d+) of (\d+) tokens sparse")


def init(self, original=utils.ServerProcess.__init__):
    original(self)
    self.n_threads = 2


def start(self, timeout_seconds=utils.DEFAULT_HTTP_TIMEOUT, original=utils.ServerProcess.start):
    if self.model_hf_repo or self.model_hf_file:
        self.model_hf_repo = self.model_hf_file = None
        self.model_file = MODEL
    original(self, max(timeout_seconds, 120))


utils.ServerProcess.__init__ = init
utils.ServerProcess.start = start
utils.ServerPreset.load_all = staticmethod(lambda: None)
utils.match_regex = lambda regex, text: isinstance(text, str) and text != ""
utils.download_file = lambda url, output_file_path=None: MODEL


def pytest_collection_modifyitems(items):
    for item in items:
        for part, reason in NEEDS:
            if part in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=reason))
                break


class Verdict:
    def __init__(self):
        self.outcome, self.reason, self.seconds, self.log = "passed", "", 0.0, ""

    def add(self, report):
        self.seconds += report.duration
        self.log = "\n".join(text for _, text in report.sections)
        if report.skipped:
            self.outcome, self.reason = "skipped", report.longrepr[2].removeprefix("Skipped: ")
        elif report.failed:
            self.outcome, self.reason = "failed", report.longreprtext + "\n" + self.log[-3000:]


verdicts = {}


def pytest_runtest_logreport(report):
    verdict = verdicts.setdefault(report.nodeid, Verdict())
    verdict.add(report)
    if report.when != "teardown":
        return
    # The counters are those of a context up to then: the last line of a server has the most.
    sparse = max([int(m[0]) for m in SPARSE.findall(verdict.log)], default=0)
    with open(os.environ["RETRO_REPORT"], "a") as f:
        json.dump({"test": report.nodeid, "outcome": verdict.outcome, "reason": verdict.reason,
                   "seconds": round(verdict.seconds, 1), "sparse": sparse}, f)
        f.write("\n")
