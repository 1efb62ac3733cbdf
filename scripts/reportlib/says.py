"""What a run found, in sentences, and in tables of (what, number)."""

from typing import Any

from plotlib.words import count, percent, rate, span, time

# Where packets were lost, by the keys of `lost` in the JSON, in the order of the path.
PLACES = {"forward": "on the forward path", "reflector_nic": "in the reflector's port", "reflector": "in the reflector",
          "return": "on the return path", "nic": "in our port", "corrupt": "corrupt", "late": "too late",
          "unknown": "nobody knows where"}
RECEIVED = ("valid", "duplicate", "corrupt", "foreign", "late")
QUANTILES = ("p50", "p90", "p99", "p99.9", "p99.99")


def meaning(run: dict[str, Any]) -> str:
    """What the mode does with packets: older files do not say, and what they count tells."""
    if "meaning" in run:
        return str(run["meaning"])
    return "measures" if "valid" in run["rx"] else "returns" if run["tx"]["sent"] else "counts"


def places(run: dict[str, Any]) -> list[str]:
    lost = run["lost"]
    found = [(lost.get(key) or 0, place) for key, place in PLACES.items()]
    return [f"{packets:,.0f} {place}" for packets, place in sorted(found, reverse=True, key=lambda one: one[0]) if packets]


def share_of(packets: float, of: float, digits: int = 2) -> str:
    return percent(packets / of if of else 0, digits).replace("%", " %")


def of_loss(run: dict[str, Any]) -> str:
    tx, lost = run["tx"], run["lost"]["total"]
    if not tx["sent"]:
        return "Nothing was sent."
    sent_pps = f"{rate(tx['sent_pps'])}" if tx.get("sent_pps") is not None else "An unknown rate"
    sent = f"{sent_pps} for {span(run['duration_s'] * 1000)}: {count(tx['sent'])} sent"
    if not lost:
        return f"{sent}, none lost."
    return f"{sent}, {share_of(lost, tx['sent'])} lost: {', '.join(places(run)) or f'{lost:,} packets'}."


def of_not_sent(run: dict[str, Any]) -> str:
    tx = run["tx"]
    if not tx.get("not_sent") or not tx.get("due"):
        return ""
    reasons = [f"{name} {packets:,}" for name, packets in tx["not_sent_reasons"].items() if packets]
    return f"Of the packets due, {share_of(tx['not_sent'], tx['due'])} were not sent: {', '.join(reasons) or 'no reason given'}."


def of_latency(run: dict[str, Any]) -> str:
    latency = run["latency_ns"]
    if latency.get("p50") is None or latency.get("max") is None:
        return ""
    return (f"Round trips: half took at most {time(latency['p50'])}, 99 % at most {time(latency['p99'])}, "
            f"the longest {time(latency['max'])}.")


def of_bottleneck(run: dict[str, Any]) -> str:
    found = run.get("bottleneck") or {}
    if not found.get("end"):
        return ""
    where = f", queue {found['queue']}" if found.get("queue") else ""
    return f"Bottleneck: {found['end']}{where}: {', '.join(map(str, found.get('reasons', [])))}."


def of_steal(run: dict[str, Any]) -> str:
    return f"The host took the workers' CPUs away for {run['steal_ms']:,} ms." if run.get("steal_ms") else ""


def of_others(run: dict[str, Any]) -> str:
    """Of a mode that does not measure."""
    tx, rx, lost = run["tx"], run["rx"], run["lost"]["total"] or 0
    seconds = span(run["duration_s"] * 1000)
    if meaning(run) == "counts":
        return f"{count(rx['received'])} received in {seconds}, {rx['foreign']:,} of them foreign."
    done = "sent back" if meaning(run) == "returns" else "passed on"
    left = rx["received"] - tx["sent"]
    pace = f" at {rate(tx['sent_pps'])}" if tx.get("sent_pps") is not None else ""
    return (f"{count(rx['received'])} received in {seconds}: {tx['sent']:,} {done}{pace}, {left:,} not "
            f"({lost:,} of them refused by the tx queue).")


def sentences(run: dict[str, Any]) -> list[str]:
    """The first one says what was found; the others add to it."""
    if meaning(run) != "measures":
        found = [of_others(run), of_bottleneck(run), of_steal(run)]
    else:
        found = [of_loss(run), of_not_sent(run), of_latency(run), of_bottleneck(run), of_steal(run)]
    return [one for one in found if one]


def alarms(run: dict[str, Any]) -> list[str]:
    """What makes the figures doubtful, or exceeds what was asked for."""
    found = []
    if not run["ledger_balanced"]:
        found.append(f"The ledger does not balance: {'; '.join(map(str, run.get('ledger_broken', []))) or 'no equation given'}.")
    found += [f"Limit exceeded: {one}." for one in run.get("limits_broken", [])]
    if run.get("port_removed_s") is not None:
        found.append(f"A device was removed after {run['port_removed_s']:g} s; the counters of its port are missing.")
    return found


def latency_table(run: dict[str, Any]) -> list[list[str]]:
    """Rows of quantile and times; the first row is the head."""
    latency = run["latency_ns"]
    columns = {"round trip": latency, "since due": latency.get("since_due"), "without the reflector": latency.get("network"),
               "variation (RFC 5481)": latency.get("delay_variation")}
    known = {name: one for name, one in columns.items() if one and one.get("p50") is not None}
    if not known:
        return []
    rows = [["", *known]]
    for name in ("min", "mean", *QUANTILES, "max"):
        cells = [time(one[name]) if one.get(name) is not None else "" for one in known.values()]
        if any(cells):
            rows.append([name, *cells])
    return rows


def received_table(run: dict[str, Any]) -> list[list[str]]:
    """Everything that arrived, by what it was, with reasons."""
    rx = run["rx"]
    rows = [["received", f"{rx['received']:,}"]]
    for name in RECEIVED:
        if name in rx:
            rows.append([name, f"{rx[name]:,}"])
            rows += [[f"{name}: {reason}", f"{packets:,}"] for reason, packets in rx.get(f"{name}_reasons", {}).items() if packets]
    if rx.get("dropped"):
        rows.append(["dropped", f"{rx['dropped']:,}"])
    return rows


def queue_table(run: dict[str, Any]) -> list[list[str]]:
    head = ["queue", "packets", "share", "busy polls", "full bursts in a row", "backlog"]
    queues = run["queues"]
    totals = {key: sum(one.get(key, 0) for one in queues) for key in ("sent", "received")}
    rows = [head]
    for one in queues:
        key = "sent" if "tx" in one["name"] else "received"
        packets, backlog, busy = one.get(key, 0), one.get("backlog_max"), one.get("busy_share")
        rows.append([one["name"], f"{packets:,}", share_of(packets, totals[key], 3), "" if busy is None else share_of(busy, 1, 3),
                     str(one.get("full_bursts_in_a_row", "")), "" if backlog is None else f"{backlog:,}"])
    kept = [number for number in range(len(head)) if any(row[number] for row in rows[1:])]
    return [[row[number] for number in kept] for row in rows]


def counter_table(run: dict[str, Any]) -> list[list[str]]:
    return [[name, f"{packets:,}"] for name, packets in {**run.get("port", {}), **run.get("counters", {})}.items()]


def host_table(run: dict[str, Any]) -> list[list[str]]:
    names = {"name": "host", "kernel": "kernel", "cpu": "CPU", "dpdk": "DPDK", "driver": "driver"}
    rows = [[title, str(run["host"][key])] for key, title in names.items() if run["host"].get(key)]
    if run.get("started_utc"):
        rows.insert(0, ["started", str(run["started_utc"])])
    for number, port in enumerate(run.get("ports", [])):
        rows.append([f"port {number}", " ".join(str(port[key]) for key in ("name", "driver", "mac") if port.get(key))])
    return rows
