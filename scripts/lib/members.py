"""Sandboxes that are hosts of one deployment: the first has the directory and the CA, the others
have joined it (sandbox up --join).  Which they are stands in the first one's hosts.json."""
import fcntl
import json
import os

ROLES = {
    "store": ["stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "storectl-serve"],
    "relay": ["jobctl", "smtp-relay"],
    "proxy": ["mmpd", "memd"],
}
# What a host's daemons are in the directory (conf/ldif/base.ldif).
SERVICES = {None: "tiermail", "store": "store", "relay": "mta", "proxy": "mmp"}


def first(s):
    return s.get("join") or s["dir"]


def _read(d):
    try:
        with open(d + "/hosts.json") as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


def enrol(s):
    """The name of this host, `store2` the first store that joins: the same at every `up`."""
    with open(first(s) + "/hosts.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        hosts = _read(first(s))
        if s["dir"] not in hosts:
            n = 2 + sum(h.startswith(s["role"]) for h in hosts.values())
            hosts[s["dir"]] = "%s%d.%s" % (s["role"], n, s["domain"])
            with open(first(s) + "/hosts.json.new", "w") as f:
                json.dump(hosts, f, indent=1)
            os.rename(f.name, first(s) + "/hosts.json")
    return hosts[s["dir"]]


def states(s, load):
    """Of all hosts, s itself as it is now."""
    dirs = [first(s), *_read(first(s))]
    found = [s if d == s["dir"] else load(d) for d in dirs]
    return [m for m in found if m]


def hosts(s, load):
    """{host name: its lmtpd's host:port} of all stores, and all names."""
    all_ = states(s, load)
    return ({m["hostname"]: "%s:%d" % (m["host"], m["ports"]["LMTP_PORT"]) for m in all_
             if "LMTP_PORT" in m["ports"] and "lmtpd" not in m["without"]},
            [m["hostname"] for m in all_])


def readers(s, load):
    """{host name: its address and the ports of its IMAP and POP3 with TLS, of ManageSieve, and of JMAP} of all stores."""
    ports = ("IMAPS_PORT", "POP3S_PORT", "SIEVE_PORT", "JMAP_PORT")
    return {m["hostname"]: [m["host"], *(m["ports"].get(p, 0) for p in ports)]
            for m in states(s, load) if set(ports) & set(m["ports"])}
