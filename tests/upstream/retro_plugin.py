"""Runs upstream's server tests with a local model: a pytest plugin, used by `go run ./build test`.

Upstream's tests download their models, which is not possible everywhere. Here each server gets the
model in RETRO_SHORT instead, or the one in RETRO_MODEL. They do not tell the same stories, so what
the tests expect of words is only checked to be text, and tests that depend on another vocabulary,
adapter or kind of model are skipped with the reason. Every verdict goes to the file in
RETRO_REPORT, one JSON object a line.
"""
import json
import os
import re

import pytest
import utils

# Tests whose model must find several tokens likely.
WHOLE = ["test_n_probs_post"]

# Parts of test ids, and why they cannot run with another model. The first that fits counts.
VOCABULARY = "counts tokens of another vocabulary"
NEEDS = [
    ("test_ignore_eos", "the model here is never let end a text"),
    ("test_ctx_shift_enabled", VOCABULARY),
    ("short_prompt[-1-248-True]", VOCABULARY),
    ("test_ctx_shift_disabled_long_prompt", VOCABULARY),
    ("test_slot_save.py::test_slot_save_restore_", "needs a model of images"),
    ("test_slot_restore_media", "needs a model of images"),
    ("test_slot_save_restore", VOCABULARY),
    ("test_slot_restore_legacy_token_list", VOCABULARY),
    ("test_slot_erase", VOCABULARY),
    ("test_completion.py::test_completion[", VOCABULARY),
    ("test_completion.py::test_completion_stream[", VOCABULARY),
    ("test_nocache_long_input_prompt", VOCABULARY),
    ("test_completion_unified[256-4-n_predict_vals3", VOCABULARY),
    ("test_completion_response_fields[I believe the meaning of life is-32-response_fields1]", VOCABULARY),
    ("test_completion_prompt_cache", VOCABULARY),
    ("test_chat_completion.py::test_chat_completion[", VOCABULARY),
    ("test_chat_completion_stream[", VOCABULARY),
    ("test_chat_completion_cached_tokens", VOCABULARY),
    ("test_chat_completion.py::test_chat_template", "expects another model's first token"),
    ("test_return_progress", VOCABULARY),
    ("test_no_ui", "the web interface is not built"),
    ("test_load_split_model", "needs a model in parts"),
    ("embedding", "needs an encoder"),
]

if os.environ.get("RETRO_ON"):
    # Of a prompt in the cache only the last token is computed, by itself: it rounds otherwise, and tokens are chosen by that.
    for part in ("test_completion_stream_vs_non_stream", "test_completion_with_tokens_input"):
        NEEDS.append((part, "needs the same attention for a prompt and for its repetition"))
    # Drafts are verified with full attention.
    for part in ("test_with_and_without_draft", "test_different_draft_min_draft_max"):
        NEEDS.append((part, "needs the same attention with and without a draft"))
    NEEDS.append(("test_n_probs_post_backend_sampling", "needs the same attention for sampling in and out of the graph"))

SPARSE = re.compile(r"retro attention = (\d+) of (\d+) tokens sparse")


def init(self, original=utils.ServerProcess.__init__):
    original(self)
    self.n_threads = 2


def start(self, timeout_seconds=utils.DEFAULT_HTTP_TIMEOUT, original=utils.ServerProcess.start):
    if self.model_hf_repo or self.model_hf_file:
        self.model_hf_repo = self.model_hf_file = None
        self.model_file = os.environ["RETRO_TEST_MODEL"]
    if os.environ.get("RETRO_ON") and self.fa == "off":
        self.fa = None  # it contradicts --retro-attn, which llama-server refuses
    original(self, max(timeout_seconds, 120))


utils.ServerProcess.__init__ = init
utils.ServerProcess.start = start
utils.ServerPreset.load_all = staticmethod(lambda: None)
utils.match_regex = lambda regex, text: isinstance(text, str) and text != ""
utils.download_file = lambda url, output_file_path=None: os.environ["RETRO_TEST_MODEL"]


def pytest_collection_modifyitems(items):
    for item in items:
        for part, reason in NEEDS:
            if part in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=reason))
                break


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    # A text that must end is one of a grammar.
    grammar = any(part in item.nodeid for part in ("response_format", "json_schema", "grammar"))
    os.environ["RETRO_END"] = "1" if grammar else ""
    whole = any(part in item.nodeid for part in WHOLE)
    os.environ["RETRO_TEST_MODEL"] = os.environ["RETRO_MODEL" if whole else "RETRO_SHORT"]


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
