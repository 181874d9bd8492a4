#!/usr/bin/env python3
"""Floods in a network of their own: many connections of one, a hundred and thousands of addresses, slow ones, loops of
commands, passwords, recipients and headers.  Meanwhile others are answered, users send, and memory is bounded.
TM_FLOODS=20000 is the size of scripts/soak, in turns with Postfix and its postscreen."""
import os, re, resource, shutil, signal, smtplib, socket, subprocess, sys, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

if os.environ.get("TM_NETWORK") != str(os.getppid()) and os.environ.get("TM_NETWORK") != "own":
    if os.getuid() != 0 or not shutil.which("unshare") or subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode:
        tm.skip_all("needs root and network namespaces")
    os.environ["TM_NETWORK"] = "own"
    os.execvp("unshare", ["unshare", "--net", sys.executable, os.path.abspath(__file__)])
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "route", "add", "local", "198.18.0.0/15", "dev", "lo"], check=True)       # all of it is here (RFC 2544)
HOST, OTHER, KNOWN = "198.18.0.1", "198.19.255.7", "198.19.255.8"
BIG = int(os.environ.get("TM_FLOODS", "0"))
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if hard != resource.RLIM_INFINITY and hard < 4000:
    tm.skip_all("needs more descriptors")
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
PLACES, MANY = 1500, 2500
FLOOD = os.path.join(os.path.dirname(tm.BINDIR), "t/tools/flood")
MX = tm.free_port(HOST)
without = [a for d in ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd", "jobctl") for a in ("--without", d)]
sb = tm.Sandbox("--users", "3", *without, "--set", "smtp-relay.workers=2", "--set", f"smtp-relay.listen guarded.address={HOST}:{MX}",
                "--set", "smtp-relay.listen guarded.role=mx", "--set", "smtp-relay.limit.clients=1500",
                "--set", f"smtp-relay.guard.allow={KNOWN}", "--set", "smtp-relay.guard.waiting=2000", "--set", "smtp-relay.time.stressed=2s")
plain = open(sb.conf("smtp-relay.conf")).read()


def guard(text):
    with open(sb.conf("smtp-relay.conf"), "w") as f:
        f.write(plain + text)
    sb.restart("smtp-relay")


def workers():
    master = sb.pid("smtp-relay")
    return [int(p) for p in open(f"/proc/{master}/task/{master}/children").read().split()]


def memory():
    return sum(int(l.split()[1]) * 1024 for w in workers() for l in open(f"/proc/{w}/status") if l.startswith("RssAnon"))


def flood(kind, addresses, at_once, seconds, n=0, port=None, base="198.18.1.1", host=HOST):
    return subprocess.Popen([FLOOD, kind, host, str(port or MX), base, str(addresses), str(n), str(at_once), str(seconds), sb.domain],
                            stdout=subprocess.PIPE, text=True)


def counts(p):
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", p.communicate()[0])}


def dialogue(source, port=None):
    """The longest of all its answers, from the connection to RCPT; endless when it is refused."""
    longest, began = 0, time.monotonic()
    w = wire.Line((HOST, port or MX), source=(source, 0))
    try:
        for say in (None, "HELO other.test", "MAIL FROM:<a@sender.test>", f"RCPT TO:<{sb.user(2)}@{sb.domain}>", "RSET", "QUIT"):
            began = time.monotonic()
            answer = w.say(say) if say else w.line()
            if answer[:1] != "2":
                return 1e9
            longest = max(longest, time.monotonic() - began)
    finally:
        w.close()
    return longest


def submission():
    began = time.monotonic()
    try:
        with sb.smtp("SUBMISSION") as s:
            s.login(f"{sb.user(3)}@{sb.domain}", sb.password)
            code = s.mail(f"{sb.user(3)}@{sb.domain}")[0]
    except (OSError, smtplib.SMTPException) as e:
        tm.diag(f"submission: {e}")
        code = 0
    return time.monotonic() - began if code == 250 else 1e9


def others(what, source=OTHER):
    tm.ok(tm.least(lambda: dialogue(source), .1) < .1, f"{what}: another is answered within 100 ms")
    tm.ok(tm.least(submission, .5) < .5, f"{what}: our users send")


def during(what, kind, addresses, at_once, most=48, source=OTHER, **keys):
    """Looks while it goes on, and how much memory it takes; gives its numbers."""
    before = memory()
    p = flood(kind, addresses, at_once, keys.pop("seconds", 60), **keys)
    time.sleep(.4 * tm.SLOW)
    others(what, source)
    used = memory() - before
    tm.ok(used < most << 20, f"{what}: in {used >> 10} KiB")
    p.send_signal(signal.SIGINT)
    return counts(p)


others("nobody else is there")

# ---- some addresses, each with what limit.per_client lets it have
for kind, addresses, at_once, least in (("silent", 1, 400, 0), ("helo", 100, 300, 0), ("data", 100, 200, 500), ("tls", 100, 200, 200),
                                        ("rset", 10, 40, 2000), ("noop", 1, 90, 2000), ("rcpt", 10, 40, 500), ("header", 10, 20, 50)):
    n = during(f"{kind} from {addresses}", kind, addresses, at_once)
    tm.ok(n["greeted"] >= min(at_once, 90 * addresses) and n["answers"] >= least, f"{kind}: which was one ({n})")
n = during("auth", "auth", 50, 100, host="127.0.0.1", base="127.9.0.1", port=sb.port("SUBMISSION"))
tm.ok(n["answers"] > 300 and n["ended"] > 50, f"passwords were guessed, and sessions ended ({n})")

# ---- thousands: all places are taken by who says nothing, or very slowly
for kind in ("silent", "helo", "data"):
    n = during(f"{kind} from {MANY}", kind, MANY, PLACES, source=KNOWN)
    tm.ok(n["refused"] > 0, f"{kind}: for some there was no place ({n})")
p = flood("silent", MANY, PLACES, 60)
tm.ok(tm.wait_for(lambda: dialogue(OTHER) > .1), "when all places are taken by who says nothing,")
tm.ok(tm.wait_for(lambda: dialogue(OTHER) < .1, 30 * tm.SLOW), "who keeps us waiting loses his place to who does not")
tm.ok(wire.logged(sb, "smtp-relay", "ev=stress", "state=begins"), "which the log tells")
p.send_signal(signal.SIGINT)
counts(p)
tm.ok(wire.logged(sb, "smtp-relay", "ev=stress", "state=over"), "and when it is over")

# ---- connections, one behind the other: who is refused, who waits, who is let in
N = BIG or 1500
BASES = {"refused": "198.18.128.1", "let in": "198.18.1.1"}


class Ours:
    name, port = "tiermail", MX

    def pids(self):
        return workers()

    def cpu(self):
        return sum(tm.cpu(p) for p in self.pids())

    def start(self):
        pass

    def stop(self):
        pass


class Postfix:
    """postscreen in front of smtpd, with the same tests; what has ended counts when its master has reaped it."""
    name = "Postfix"

    def __init__(self):
        self.port = tm.free_port(HOST)
        self.dir = d = os.path.join(tm.tempdir(), "p")
        os.chmod(os.path.dirname(d), 0o755)
        for sub in ("etc", "spool", "data"):
            os.makedirs(f"{d}/{sub}")
        shutil.chown(f"{d}/data", "postfix")
        with open(f"{d}/etc/access.cidr", "w") as f:
            f.write("198.18.128.0/17 reject\n")
        with open(f"{d}/etc/main.cf", "w") as f:
            f.write(f"""compatibility_level = 3.6
config_directory = {d}/etc
queue_directory = {d}/spool
data_directory = {d}/data
maillog_file = {d}/log
maillog_file_prefixes = {d}
mail_owner = postfix
setgid_group = postdrop
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
myhostname = mail.{sb.domain}
mydestination = {sb.domain}
inet_interfaces = all
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_peername_lookup = no
disable_dns_lookups = yes
default_process_limit = 1000
default_database_type = hash
alias_maps =
alias_database =
local_recipient_maps =
postscreen_access_list = cidr:{d}/etc/access.cidr
postscreen_denylist_action = drop
postscreen_greet_action = enforce
postscreen_greet_wait = 1s
postscreen_cache_map = btree:$data_directory/postscreen
postscreen_pre_queue_limit = 1000
postscreen_post_queue_limit = 1000
postscreen_client_connection_count_limit = 100
smtpd_client_connection_count_limit = 100
import_environment = MAIL_CONFIG
""")
        with open(f"{d}/etc/master.cf", "w") as f:
            f.write(f"{HOST}:{self.port} inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n")
            for name, limit, command in (("cleanup", "0", "cleanup"), ("qmgr", "1", "qmgr"), ("rewrite", "-", "trivial-rewrite"), ("bounce", "0", "bounce"),
                                         ("anvil", "1", "anvil"), ("tlsmgr", "1", "tlsmgr"), ("proxymap", "-", "proxymap"), ("local", "-", "local"),
                                         ("dnsblog", "0", "dnsblog"), ("tlsproxy", "0", "tlsproxy")):
                f.write(f"{name} unix {'n' if name in ('cleanup', 'qmgr') else '-'} - n - {limit} {command}\n")
            f.write("postlog unix-dgram n - n - 1 postlogd\n")

    def start(self):
        subprocess.run(["postfix", "-c", f"{self.dir}/etc", "start"], check=True, capture_output=True)
        with open(f"{self.dir}/spool/pid/master.pid") as f:
            self.master = int(f.read())

    def pids(self):
        return [self.master] + [int(p) for p in open(f"/proc/{self.master}/task/{self.master}/children").read().split()]

    def cpu(self):
        tick, total = os.sysconf("SC_CLK_TCK"), 0
        for p in self.pids():
            f = open(f"/proc/{p}/stat").read().rpartition(")")[2].split()
            total += sum(int(x) for x in f[11:15 if p == self.master else 13]) / tick
        return total

    def stop(self):
        subprocess.run(["postfix", "-c", f"{self.dir}/etc", "stop"], capture_output=True)


def connections(side, kind, addresses):
    """(per second, us of all processes for each)"""
    cpu, began = side.cpu(), time.monotonic()
    n = counts(flood("connect", addresses, 500 if BIG else 100, 300, n=N, port=side.port, base=BASES[kind]))
    took = time.monotonic() - began
    return n, N / took, (side.cpu() - cpu) / N * 1e6


guard("\n[guard]\ndeny = 198.18.128.0/17\ngreet_wait = 1s\nremember = 1m\n")
sides = [Ours()]
if BIG and shutil.which("postfix"):
    sides.append(Postfix())
for kind in BASES:
    for addresses in (1, 100, 5000 if BIG else 500):
        for turn in (sides, sides[::-1]) if BIG else (sides,):
            for side in turn:
                side.start()
                n, rate, us = connections(side, kind, addresses)
                if BIG:
                    tm.diag(f"{kind} from {addresses}: {side.name}: {rate:.0f}/s, {us:.0f} us each; {n}")
                if side is sides[0]:
                    tm.ok(n["greeted"] + n["refused"] == N and (kind != "refused" or n["greeted"] == 0), f"{N} connections from {addresses}, {kind}: each has heard what it is")
                    tm.ok(us < 250 * tm.SLOW if kind == "refused" else us < 1000 * tm.SLOW, f"for {us:.0f} us of our time each")
                others(f"behind {N} from {addresses}", KNOWN)
                side.stop()
tm.done()
