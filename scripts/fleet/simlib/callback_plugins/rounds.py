"""Writes down when each task of a playbook began, and what the controller had used until then."""

import json
import os
import resource
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: rounds
type: aggregate
short_description: what each task costs the controller
description:
  - Appends a line of JSON to the file C(DPDKPROJ_ROUNDS) at the start of each task, and at the end.
author: dpdkproj contributors
options: {}
"""


class CallbackModule(CallbackBase):
    """What Ansible loads."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "rounds"
    CALLBACK_NEEDS_ENABLED = True

    def _note(self, task):
        own, forks = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        line = {"task": task, "at": time.monotonic(), "main_s": own.ru_utime + own.ru_stime, "main_kb": own.ru_maxrss,
                "forks_s": forks.ru_utime + forks.ru_stime, "fork_kb": forks.ru_maxrss}
        with open(os.environ["DPDKPROJ_ROUNDS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def v2_playbook_on_task_start(self, task, is_conditional):
        """A task begins, at the first host."""
        self._note(task.get_name().rpartition(" : ")[2])

    def v2_playbook_on_stats(self, stats):
        """The end."""
        self._note("end")
