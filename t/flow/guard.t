#!/usr/bin/env python3
"""Strangers at an mx listener: early talkers, lists in DNS of IPv4 and IPv6 that weigh, answer, lie, are slow or down,
rates of clients and networks, tables of the site; and those who have passed, who wait for nothing."""
import os, shutil, socket, subprocess, sys, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

RBLDNSD = shutil.which("rbldnsd") or "/usr/sbin/rbldnsd"
if not os.path.exists(RBLDNSD):
    tm.skip_all("rbldnsd is not installed")
zones = tm.tempdir()
os.chmod(zones, 0o755)


def zone(name, text):
    with open(f"{zones}/{name}", "w") as f:
        f.write("$SOA 300 bl.guard.test root.bl.guard.test 0 600 300 86400 300\n" + text)


zone("bad", ":127.0.0.2:listed\n192.0.2.66\n192.0.2.67 :127.0.0.10:policy\n192.0.2.68 :127.255.255.254:refused\n127.0.0.2\n")
zone("bad6", ":127.0.0.2:listed\n2001:db8:bad::/48\n")
zone("good", ":127.0.0.2:welcome\n192.0.2.70\n192.0.2.66\n")
zone("all", ":127.0.0.2:everybody\n0/0\n")
port = tm.free_port()
as_user = ["-u", "nobody"] if os.getuid() == 0 else []
daemon = subprocess.Popen([RBLDNSD, "-n", *as_user, "-b", f"127.0.0.1/{port}", "-w", zones, "bl.guard.test:ip4set:bad",
                           "bl.guard.test:ip6trie:bad6", "wl.guard.test:ip4set:good", "all.guard.test:ip4trie:all"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)       # a list that is slow for ever
silent.bind(("127.0.0.1", 0))
stubs = f"guard.test=127.0.0.1@{port} slow.test=127.0.0.1@{silent.getsockname()[1]} down.test=127.0.0.1@{tm.free_port()}"

MX = tm.free_port()
without = [a for d in ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd") for a in ("--without", d)]
sb = tm.Sandbox("--users", "2", *without, "--set", "smtp-relay.workers=2", "--set", "smtp-relay.proxy.networks=127.0.0.1",
                "--set", f"smtp-relay.listen guarded.address=127.0.0.1:{MX}", "--set", "smtp-relay.listen guarded.role=mx",
                "--set", "smtp-relay.listen guarded.proxy=yes", "--set", f"smtp-relay.dns.stubs={stubs}")
path = sb.conf("smtp-relay.conf")
plain = open(path).read()


def guard(text="", **keys):
    with open(path, "w") as f:
        f.write(plain + "\n[guard]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) + text)
    sb.restart("smtp-relay")


def lists(*which):
    every = {"bl": "zone = bl.guard.test\ncodes = 127.0.0.2-4\nweight = 2\n",
             "policy": "zone = bl.guard.test\ncodes = 127.0.0.10\nweight = 1\n", "any": "zone = bl.guard.test\nweight = 2\n",
             "wl": "zone = wl.guard.test\nweight = -3\n", "all": "zone = all.guard.test\nweight = 5\n",
             "slow": "zone = bl.slow.test\nweight = 5\n", "down": "zone = bl.down.test\nweight = 5\n"}
    return "".join(f"\n[dnslist {n}]\n{every[n]}" for n in which)


class Client(wire.Line):
    def __init__(self, address):
        self.began = time.monotonic()
        super().__init__((sb.host, MX), wire.v1(address, to="2001:db8::25" if ":" in address else "198.51.100.1"))

    def greeted(self):
        self.first = self.line()
        self.took = time.monotonic() - self.began
        return self.first[:3]


def first(address):
    c = Client(address)
    c.greeted()
    c.close()
    return c


def metric(name):
    r = subprocess.run([sb.bin("tmctl"), "-c", sb.conf("tiermail.conf"), "-d", "smtp-relay", "metrics"], capture_output=True, text=True)
    return sum(int(float(l.split()[-1])) for l in r.stdout.splitlines() if l.startswith(f"tiermail_{name}"))


try:
    # ---- nothing is configured: nobody waits
    tm.is_(first("192.0.2.66").first[:3], "220", "without tests a stranger is greeted")

    # ---- who speaks first
    guard(greet_wait="2s", block_for="1m", remember="1h")
    early = Client("192.0.2.1")
    early.send("EHLO spam.test\r\nMAIL FROM:<a@b.test>\r\n")
    tm.is_(early.greeted(), "554", "who speaks before the greeting is refused")
    tm.ok("5.5.1" in early.first and early.line() == "", "with the reason, whole, and that is the end")
    tm.ok(early.took < 2 * tm.SLOW, "at once")
    tm.ok(wire.logged(sb, "smtp-relay", "ev=guard", "peer=192.0.2.1", "result=early"), "and the log says so")
    again = first("192.0.2.1")
    tm.ok(again.first.startswith("554 5.5.1") and again.took < 1.9, "from memory, when it comes again, though it is silent now")
    tm.is_(wire.log(sb, "smtp-relay", "ev=connect", "192.0.2.1:"), [], "and there was no session of it")
    patient = Client("192.0.2.2")
    tm.is_(patient.greeted(), "220", "who waits is greeted")
    tm.ok(patient.took >= 1, "after a while")
    tm.ok(patient.say("EHLO a.test").startswith("250"), "and has a session like any other")
    tm.ok(wire.logged(sb, "smtp-relay", "ev=connect", "peer=192.0.2.2:4711"), "of its own address")
    for n in range(6):
        known = first("192.0.2.2")
        if known.first[:3] != "220" or known.took > .9 * tm.SLOW:
            break
    tm.ok(known.first[:3] == "220" and known.took <= .9 * tm.SLOW, "it waits never again, in whichever worker")
    sb.restart("smtp-relay")
    known = Client("192.0.2.2")
    known.send("EHLO early.test\r\n")
    tm.is_(known.greeted(), "220", "nor behind a restart; and what it says is read when it is its turn")
    gone = Client("192.0.2.3")
    gone.close()
    tm.ok(wire.logged(sb, "smtp-relay", "ev=guard", "peer=192.0.2.3", "result=gone"), "who goes while it waits is gone")
    own = sb.smtp()
    tm.is_(own.noop()[0], 250, "this host is no stranger")
    own.close()
    guard(greet_wait="50s")
    waiting = [Client("2001:db8::1") for _ in range(3)]
    tm.ok(tm.wait_for(lambda: metric("guard_waiting") == 3), "those who wait are counted")
    tm.ok(sb.restart("smtp-relay"), "a restart with strangers waiting")
    tm.is_({w.greeted() for w in waiting}, {"421"}, "tells them to come again")

    # ---- lists
    guard(lists("bl", "policy", "wl"), threshold=2, welcome=1, greet_wait="2s", list_wait="10s", block_for="1m")
    bad = first("192.0.2.68")
    tm.is_(bad.first[:3], "220", "an answer that says that we may not ask lists nobody")
    bad = first("192.0.2.67")
    tm.is_(bad.first[:3], "220", "less than the threshold is not enough")
    tm.ok(bad.took >= 1, "and spares nobody the wait")
    good = first("192.0.2.70")
    tm.ok(good.first.startswith("220") and good.took < 1.9, "who is on a list of the welcome does not wait")
    good = first("192.0.2.66")
    tm.ok(good.first.startswith("220"), "weights are added, and this one is on both")
    bad = first("2001:db8:bad::7")
    tm.is_(bad.first[:9], "554 5.7.1", "an address of IPv6 that is listed is refused")
    tm.ok("2001:db8:bad::7 is listed by bl.guard.test" in bad.first, "by the name of the list")
    tm.ok(wire.logged(sb, "smtp-relay", "ev=guard", "result=listed", "list=bl"), "which is in the log")
    daemon.send_signal(19)
    bad = first("2001:db8:bad::8")
    tm.ok(bad.first.startswith("554 5.7.1") and "bl.guard.test" in bad.first, "and its /64 from memory, whatever the list does now")
    daemon.send_signal(18)
    guard(lists("any"), threshold=2)
    tm.is_(first("192.0.2.67").first[:3], "220", "who has passed is let in before the lists are asked")
    tm.ok(tm.wait_for(lambda: first("192.0.2.67").first[:3] == "554"), "but they are, behind it, and count the next time")

    # ---- lists that cannot be relied on
    guard(lists("any", "all"), threshold=2)
    tm.is_([first(f"192.0.2.{n}").first[:3] for n in (80, 81, 82, 83)], ["220"] * 4, "a list that lists everybody lists nobody")
    tm.ok(wire.logged(sb, "smtp-relay", "ev=dnslist", "list=all", "lists_everybody"), "and the log says so")
    guard(lists("any", "slow", "down"), threshold=2, list_wait="1s")
    slow = first("192.0.2.90")
    tm.is_(slow.first[:3], "220", "lists that are slow or down let everybody in")
    tm.ok(slow.took < 4 * tm.SLOW, "in time")
    bad = first("2001:db8:bad:1::1")
    tm.is_(bad.first[:3], "554", "and keep no other list from being heard")
    tm.ok(metric("guard_list_failures") >= 3, "but are counted")

    # ---- who tries out addresses
    guard("\n[limit]\nerrors = 5\n", block_errors="yes")
    c = Client("192.0.2.55")
    c.greeted()
    c.say("HELO x")
    c.send("MAIL FROM:<a@b.test>\r\n" + "".join(f"RCPT TO:<nobody{n}@{sb.domain}>\r\n" for n in range(9)))
    tm.ok(any(l.startswith("421") for l in c.rest()), "too many unknown recipients end the session")
    c.close()
    tm.ok(tm.wait_for(lambda: first("192.0.2.55").first.startswith("421 4.7.0")), "and the next is refused")
    tm.ok(metric("guard_errors") >= 1 and wire.logged(sb, "smtp-relay", "ev=guard", "192.0.2.55", "result=errors"), "which is told")
    tm.is_(first("192.0.2.56").first[:3], "220", "others are not")

    # ---- rates, tables
    guard(rate=3, rate_network=5)
    tm.is_([first("192.0.2.1").first[:3] for _ in range(4)], ["220"] * 3 + ["421"], "a client's rate, over all workers")
    tm.is_([first(f"192.0.2.{n}").first[:3] for n in (2, 3, 4)], ["220", "220", "421"], "its network's")
    tm.is_([first(a).first[:3] for a in ("2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::3", "2001:db8:1::4", "2001:db8:1:1::1",
                                         "2001:db8:2::1")], ["220"] * 3 + ["421"] + ["220"] * 2, "a /64 and a /48 of IPv6")
    guard(lists("bl"), deny="192.0.2.0/24", allow="192.0.2.7, 2001:db8:bad::/64", threshold=2)
    tm.is_([first(a).first[:3] for a in ("192.0.2.9", "192.0.2.7", "2001:db8:bad::1")], ["554", "220", "220"], "networks that are denied, and allowed")
    guard(lists("bl"), threshold=2, tarpit="2s")
    tm.is_(first("2001:db8:bad:2::1").first[:3], "554", "with a tarpit the first refusal is quick")
    slow = first("2001:db8:bad:2::1")
    tm.ok(slow.first.startswith("554") and slow.took >= 1, "the next is late")
    with open(sb.conf("mappings"), "w") as f:
        f.write("PORT_ACCESS\n\n  TCP|*|*|192.0.2.5|*  $NGo$ away|with$ you\n  *  $Y\n\n")
    with open(sb.conf("mta.cnf"), "w") as f:
        f.write(f"{sb.domain} $U%{sb.domain}@tcp_lmtp-daemon\n\ndefaults smtp\n")
    guard()
    tm.ok(first("192.0.2.6").first.startswith("220"), "PORT_ACCESS lets in")
    tm.is_(first("192.0.2.5").first, "554 5.7.1 Go away|with you", "and refuses in its words")
finally:
    tm.end([daemon])
r = subprocess.run([sb.bin("smtp-relay"), "-n", "-c", path], capture_output=True, text=True)
tm.is_(r.returncode, 0, "the configuration is good")
with open(path, "w") as f:
    f.write(plain + "\n[dnslist x]\nzone = bl.test\ncodes = 127.0.0.300\n")
r = subprocess.run([sb.bin("smtp-relay"), "-n", "-c", path], capture_output=True, text=True)
tm.ok(r.returncode != 0 and "codes = 127.0.0.300: not a code of a list" in r.stdout + r.stderr, "a code that is none is told")
tm.done()
