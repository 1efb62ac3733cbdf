"""Which hosts measure with each other, and when.

A pair is {"sender": HOST, "reflector": HOST}. Its result is the file SENDER--REFLECTOR.json.
"""


def name(pair):
    """The name of the result of a pair, without extension."""
    return f"{pair['sender']}--{pair['reflector']}"


def _is_done(pair, done):
    """Whether there is a result for the pair: a round trip is the same in both directions."""
    back = {"sender": pair["reflector"], "reflector": pair["sender"]}
    return name(pair) in done or name(back) in done


def rounds(hosts, done=()):
    """Rounds of disjoint pairs, in which each pair of hosts that is not done meets once: the circle method.

    With an odd number of hosts, one of them pauses in each round. In each pair, the first one in the order of `hosts` is the
    sender. Rounds without pairs are left out.
    """
    seats = list(range(len(hosts) + len(hosts) % 2))
    turning = len(seats) - 1
    all_rounds = []
    for turn in range(turning):
        met = []
        for seat in seats[:-1]:
            other = (turn - seat) % turning
            if other == seat:
                other = turning
            # The seat behind the last host is a pause.
            if seat < other < len(hosts):
                met.append({"sender": hosts[seat], "reflector": hosts[other]})
        todo = not_done(met, done)
        if todo:
            all_rounds.append(todo)
    return all_rounds


def incast(hosts, reflector, done=()):
    """A single round, in which all other hosts send to `reflector`, unless all are done. It is the load that is measured: so
    if a result is missing, all hosts send again."""
    pairs = [{"sender": host, "reflector": reflector} for host in hosts if host != reflector]
    return [pairs] if any(name(pair) not in done for pair in pairs) else []


def part(pairs, host):
    """What `host` does in a round: {"role": "sender", "peer": HOST, "name": NAME}, {"role": "reflector", "peers": [HOST]} or
    {"role": "pause"}."""
    for pair in pairs:
        if pair["sender"] == host:
            return {"role": "sender", "peer": pair["reflector"], "name": name(pair)}
    peers = [pair["sender"] for pair in pairs if pair["reflector"] == host]
    return {"role": "reflector", "peers": peers} if peers else {"role": "pause"}


def not_done(pairs, done):
    """The pairs without a result."""
    return [pair for pair in pairs if not _is_done(pair, done)]


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
        return {"dpdkproj_name": name, "dpdkproj_rounds": rounds, "dpdkproj_incast": incast, "dpdkproj_part": part,
                "dpdkproj_not_done": not_done, "dpdkproj_why": why}
