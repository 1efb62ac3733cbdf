"""Network namespaces of this machine as hosts: a host is the namespace named by `ansible_host`."""

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: netns
short_description: run tasks in a network namespace of this machine
description:
  - As C(local), in the namespace that C(ansible_host) names. If it does not exist, the host is unreachable.
author: dpdkproj contributors
options:
  remote_addr:
    description: the name of the namespace
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
extends_documentation_fragment: []
"""


class Connection(Local):
    """What Ansible loads."""

    transport = "netns"

    def exec_command(self, cmd, in_data=None, sudoable=True):
        """Runs a command in the namespace."""
        name = self.get_option("remote_addr")
        code, out, err = super().exec_command(f"ip netns exec {name} {cmd}", in_data, sudoable)
        if code != 0 and b"Cannot open network namespace" in err:
            raise AnsibleConnectionFailure(f"there is no namespace {name}")
        return code, out, err
