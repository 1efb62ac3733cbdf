"""Which hosts measure with each other, and when.

A pair is {"sender": HOST, "reflector": HOST}. Its result is the file SENDER--REFLECTOR.json.
"""

import itertools
import os


def name(pair):
    """The name of the result of a pair, without extension."""
    return f"{pair['sender']}--{pair['reflector']}"


def _names(pair):
    """The names of results of the pair: a round trip is the same in both directions."""
    return name(pair), name({"sender": pair["reflector"], "reflector": pair["sender"]})


def _is_done(pair, names):
    return any(one in names for one in _names(pair))


def _turning(hosts):
    """Number of seats that turn, which is that of the rounds. One seat stays; with an odd number of hosts, it is a pause."""
    return max(len(hosts) + len(hosts) % 2 - 1, 0)


def _opposite(turning, turn, seat):
    """Which seat meets this one in a round."""
    if seat == turning:
        # The one that would meet itself: twice its number is that of the round.
        return turn * (turning + 1) // 2 % turning
    other = (turn - seat) % turning
    return turning if other == seat else other


def _met(hosts, turn):
    """The pairs of a round."""
    turning = _turning(hosts)
    opposites = ((seat, _opposite(turning, turn, seat)) for seat in range(turning))
    return [{"sender": hosts[seat], "reflector": hosts[other]} for seat, other in opposites if seat < other < len(hosts)]


def pairs(hosts):
    """Each pair of hosts once, round by round."""
    return [pair for turn in range(_turning(hosts)) for pair in _met(hosts, turn)]


def incast(hosts, reflector):
    """The pairs of a round in which all other hosts send to `reflector`."""
    return [{"sender": host, "reflector": reflector} for host in hosts if host != reflector]


def turns(hosts, names=(), reflector="", most=None):
    """The numbers of the rounds in which there is something to do, the first `most` of them. `names`: of the results that
    there are.

    A round has disjoint pairs, and in all rounds each pair of hosts meets once: the circle method. With an odd number of
    hosts, one of them pauses in each round. In each pair, the first one in the order of `hosts` is the sender.

    With a `reflector` there is one round, in which all others send to it, unless all are done. It is the load that is
    measured: so if a result is missing, all hosts send again.
    """
    names = frozenset(names)
    if reflector:
        return [0] if any(name(pair) not in names for pair in incast(hosts, reflector)) else []
    left = (turn for turn in range(_turning(hosts)) if not all(_is_done(pair, names) for pair in _met(hosts, turn)))
    return list(itertools.islice(left, most))


def part(hosts, host, turn, reflector="", results=""):
    """What `host` does in a round: {"role": "sender", "peer": HOST, "name": NAME}, {"role": "reflector"} or {"role": "pause"}.

    `reflector`: the only one, of an incast. A pair of which there is a file in the folder `results` pauses. Each host asks in
    each round: so the answer does not need the other pairs.
    """
    if reflector:
        return {"role": "reflector"} if host == reflector else _as_sender({"sender": host, "reflector": reflector})
    seat = hosts.index(host)
    other = _opposite(_turning(hosts), turn, seat)
    if other >= len(hosts):
        return {"role": "pause"}
    pair = {"sender": hosts[min(seat, other)], "reflector": hosts[max(seat, other)]}
    if any(os.path.exists(os.path.join(results, f"{one}.json")) for one in _names(pair)):
        return {"role": "pause"}
    return _as_sender(pair) if seat < other else {"role": "reflector"}


def _as_sender(pair):
    return {"role": "sender", "peer": pair["reflector"], "name": name(pair)}


def done(folder):
    """The names of the results in a folder."""
    if not os.path.isdir(folder):
        return []
    return [file[:-len(".json")] for file in os.listdir(folder) if "--" in file and file.endswith(".json")]


def not_done(all_pairs, names):
    """The pairs without a result."""
    names = frozenset(names)
    return [pair for pair in all_pairs if not _is_done(pair, names)]


def why(result):
    """Why a program failed, in one line: the last one that it has printed about itself, or at all, or what Ansible says."""
    lines = list(filter(None, result.get("stderr", "").splitlines()))
    own = [line for line in lines if line.startswith(("dpdkproj: ", "find-rate: "))]
    code = [f"exit code {result['rc']}"] if "rc" in result else []
    return ", ".join(code + ((own or lines)[-1:] or [result.get("msg", "unknown")]))


class FilterModule:
    """What Ansible loads."""

    def filters(self):
        """The filters, by name."""
        return {"dpdkproj_name": name, "dpdkproj_pairs": pairs, "dpdkproj_turns": turns, "dpdkproj_incast": incast,
                "dpdkproj_part": part, "dpdkproj_done": done, "dpdkproj_not_done": not_done, "dpdkproj_why": why}
