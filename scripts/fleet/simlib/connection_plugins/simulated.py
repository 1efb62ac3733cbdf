"""Hosts that only pretend: what the round of a mesh asks of a host is answered after a while, and nothing runs."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: simulated
short_description: pretend to be a host of mesh.yml
description:
  - Answers what C(mesh.yml) asks of a host. A sender takes a set time, a reflector ends when it is told to.
  - A process that sleeps stands in for the ssh client, so that what a process costs the controller is part of it.
author: dpdkproj contributors
options:
  delay:
    description: seconds until the host has answered
    type: float
    default: 0.1
    vars:
      - name: simulated_delay
  seconds:
    description: for how long a sender measures
    type: float
    default: 10
    vars:
      - name: simulated_seconds
  result:
    description: the file that is every sender's result
    default: ""
    vars:
      - name: simulated_result
extends_documentation_fragment: [connection_pipelining]
"""

MODULE = re.compile(rb"ansible\.modules\.(\w+)|ansible/modules/(\w+)\.py")
JOB = re.compile(r"\bj[0-9]+\b")
STATUS_OF = re.compile(rb"j[0-9]+\.(send|reflect)\.([0-9.]+)")
FOLDER = re.compile(r"(ansible-tmp-[\w.-]+)=")


class Connection(ConnectionBase):
    """What Ansible loads."""

    transport = "simulated"
    has_pipelining = True

    def _connect(self):
        self._connected = True
        return self

    def close(self):
        """Nothing is open."""
        self._connected = False

    def _wait(self):
        subprocess.run(["sleep", str(self.get_option("delay"))], check=True)

    def put_file(self, in_path, out_path):
        """Remembers what the module would start."""
        super().put_file(in_path, out_path)
        self._wait()
        with open(in_path, "rb") as file:
            if os.path.basename(out_path).startswith("AnsiballZ_"):
                self._part = "reflect" if b'"reflect"' in file.read() else "send"

    def fetch_file(self, in_path, out_path):
        """The result."""
        super().fetch_file(in_path, out_path)
        self._wait()
        shutil.copyfile(self.get_option("result"), out_path)

    def exec_command(self, cmd, in_data=None, sudoable=True):
        """Answers what a shell, or the module in in_data, would."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        self._wait()
        if in_data:
            answer = json.dumps(self._module(in_data))
        elif (started := JOB.search(cmd)) and "async_wrapper" in cmd:
            job = f"{started[0]}.{self._part}.{time.time()}"
            answer = json.dumps({"started": 1, "finished": 0, "ansible_job_id": job, "results_file": f"/{job}"})
        elif (folder := FOLDER.search(cmd)):
            answer = f"{folder[1]}=/tmp/{folder[1]}"
        else:
            answer = "/root" if "echo ~" in cmd else ""
        return 0, answer.encode() + b"\n", b""

    def _module(self, source):
        found = MODULE.search(source)
        name = (found[1] or found[2]).decode() if found else ""
        done = {"changed": True, "rc": 0, "cmd": [], "stdout": "", "stderr": ""}
        if name == "command":
            return done
        if name == "stat":
            with open(self.get_option("result"), "rb") as file:
                checksum = hashlib.sha1(file.read()).hexdigest()
            return {"changed": False, "stat": {"exists": True, "isdir": False, "checksum": checksum}}
        if name == "async_status":
            part, began = STATUS_OF.search(source).groups()
            if part == b"send" and time.time() < float(began) + self.get_option("seconds"):
                return {"started": 1, "finished": 0}
            return done | {"started": 1, "finished": 1}
        raise AnsibleError(f"a simulated host does not know the module {name}")
