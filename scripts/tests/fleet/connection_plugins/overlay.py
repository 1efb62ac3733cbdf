"""Throwaway copies of this machine as hosts: `ansible_host` is the process number of one that has a root folder of its own."""

import os
import shutil

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: overlay
short_description: run tasks in the root folder of a process of this machine
description:
  - As C(local), in the mount namespace and the root folder of the process that C(ansible_host) names.
author: dpdkproj contributors
options:
  remote_addr:
    description: the process number
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
extends_documentation_fragment: []
"""


class Connection(Local):
    """What Ansible loads."""

    transport = "overlay"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        """Runs a command there."""
        return super().exec_command(f"nsenter --target {self.get_option('remote_addr')} --mount --root --wdns=/ {cmd}", in_data, sudoable)

    def _there(self, path):
        root = f"/proc/{self.get_option('remote_addr')}/root"
        if not os.path.isdir(root):
            raise AnsibleConnectionFailure(f"there is no process {self.get_option('remote_addr')}")
        return root + path

    def put_file(self, in_path, out_path):
        """Copies a file there."""
        shutil.copyfile(in_path, self._there(out_path))

    def fetch_file(self, in_path, out_path):
        """Copies a file from there."""
        shutil.copyfile(self._there(in_path), out_path)
