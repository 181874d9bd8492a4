#!/usr/bin/env python3
"""scripts/sandbox keeps its promises: what is up answers, what is down is gone."""
import concurrent.futures
import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

SCRIPT = os.path.join(tm.TOP, "scripts/sandbox")
top = tempfile.mkdtemp(prefix="tm-")
os.chmod(top, 0o755)
names = ["slapd", "stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd"]


def call(*args, run_as=(), **env):
    return subprocess.run([*run_as, SCRIPT, *args], capture_output=True, text=True,
                          env={**os.environ, **env})


def env_of(d):
    with open(d + "/env") as f:
        return dict(line.strip().replace("'", "").split("=", 1) for line in f)


def marked(d):
    found = []
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{p}/environ", "rb") as f:
                if ("TIERMAIL_SANDBOX_PROCESS=" + d).encode() in f.read().split(b"\0"):
                    found.append(p)
        except OSError:
            pass
    return found


def listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", int(port))) == 0


try:
    # ---- up, status, restart, down
    d = top + "/a"
    start = time.monotonic()
    r = call("up", d, "--users", "7", "--domain", "Sand.Box.Test",
             "--set", "tiermail.log_level=debug", "--set", "smtp-relay.limit.size=1M",
             "--set", "smtp-relay.listen mx.tls=off", "--route", "far.test=smtp:127.0.0.1:9")
    tm.is_((r.returncode, r.stderr), (0, ""), "up")
    tm.diag("up took %d ms" % (1000 * (time.monotonic() - start)))
    env = env_of(d)
    need = """HTTPS_PORT WEBURL WEBJMAPURL HOST SMTP_PORT SUBMISSION_PORT SUBMISSIONS_PORT LMTP_PORT IMAP_PORT IMAPS_PORT LDAP_URL
        LDAP_BASE LDAP_ADMIN_DN LDAP_ADMIN_PASSWORD CAFILE DOMAIN USER_PATTERN PASSWORD RUNDIR STORE
        QUEUE BINDIR""".split()
    tm.is_([k for k in need if k not in env], [], "DIR/env has what it promises")
    tm.is_((env["DOMAIN"], env["USERS"]), ("sand.box.test", "7"), "domain and users")
    tm.ok(all(listening(v) for k, v in env.items() if k.endswith("_PORT")), "every port listens")
    r = call("status", d)
    tm.is_(r.returncode, 0, "status: all answer")
    tm.is_(re.findall(r"^(\S+) +\d+ +up ", r.stdout, re.M), names, "a line for each")
    with open(d + "/etc/smtp-relay.conf") as f:
        text = f.read()
    tm.ok("size = 1M" in text and "[listen mx]\naddress = 127.0.0.1:%s\nrole = mx\ntls = off" %
          env["SMTP_PORT"] in text, "--set reaches plain keys and keys of sections")
    tm.ok("[route far.test]" in open(d + "/etc/channels.conf").read(), "--route is a route")

    def pid_of(name):
        return int(re.search(r"^%s +(\d+)" % name, call("status", d).stdout, re.M).group(1))

    before = pid_of("imapd")
    tm.is_(call("restart", d, "imapd").returncode, 0, "restart of one that runs")
    tm.ok(pid_of("imapd") != before and listening(env["IMAP_PORT"]), "another process, same port")
    os.kill(pid_of("jobctl"), signal.SIGKILL)
    tm.ok(tm.wait_for(lambda: call("status", d).returncode == 1), "status sees a dead daemon")
    tm.is_(call("restart", d, "jobctl").returncode, 0, "restart of a dead one")
    tm.is_(call("status", d).returncode, 0, "all answer again")
    tm.ok(call("up", d).returncode != 0, "up is refused while it is up")
    tm.ok(marked(d), "processes are known by their environment")
    tm.is_(call("down", d).returncode, 0, "down")
    tm.is_(marked(d), [], "leaves no process")
    tm.is_([k for k, v in env.items() if k.endswith("_PORT") and listening(v)], [], "and no port")
    tm.ok(os.path.exists(d + "/run/imapd.log"), "but the files")
    tm.is_(call("status", d).returncode, 1, "status of one that is down")
    tm.is_(call("up", d).returncode, 0, "up again, with its data")
    again = env_of(d)
    tm.is_({k: again[k] for k in ("IMAP_PORT", "PASSWORD")}, {k: env[k] for k in ("IMAP_PORT", "PASSWORD")},
           "with its ports and passwords")
    tm.is_(call("down", d).returncode, 0, "down again")
    kept = {n: open(d + "/" + n).read() for n in ("state.json", "etc/imapd.conf")}
    r = call("up", d, "--set", "imapd.limit.clientz=1")
    tm.ok(r.returncode != 0 and "did you mean limit.clients?" in r.stderr, "a wrong --set is refused")
    tm.is_({n: open(d + "/" + n).read() for n in kept}, kept, "and nothing of it is kept")
    tm.is_(call("up", d).returncode, 0, "so the next up is as good as before")
    tm.is_(call("down", d).returncode, 0, "down")
    tm.is_(call("down", d).returncode, 0, "down twice does no harm")

    # ---- names and addresses
    d = top + "/e"
    r = call("up", d, "--users", "3", "--user-pattern", "s%03d.x", "--host", "127.0.0.7")
    tm.is_((r.returncode, r.stderr), (0, ""), "up with names and an address of its own")
    env = env_of(d)
    tm.is_((env["USER_PATTERN"], env["HOST"]), ("s%03d.x", "127.0.0.7"), "DIR/env tells them")
    with socket.create_connection((env["HOST"], int(env["IMAP_PORT"])), 10) as c:
        f = c.makefile("r")
        f.readline()
        c.sendall(b"a LOGIN s002.x %s\r\n" % env["PASSWORD"].encode())
        tm.ok(f.readline().startswith("a OK"), "a user by that name logs in there")
    call("down", d)
    for bad in (["--users", "4"], ["--user-pattern", "x%d"], ["--host", "127.0.0.8"]):
        tm.ok("is for a new one" in call("up", d, *bad).stderr, "too late: " + bad[0])
    for bad in (["--user-pattern", "nobody"], ["--user-pattern", "%d%d"], ["--host", "192.0.2.1"]):
        tm.ok(call("up", top + "/d", *bad).returncode != 0, "refused: " + " ".join(bad))

    # ---- administrators
    d = top + "/f"
    r = call("up", d, "--users", "2", "--admin", "--without", "stored", "--without", "imapd")
    tm.is_((r.returncode, r.stderr), (0, ""), "up with administrators")
    env = env_of(d)

    def ldap(*args, who=None, text=None):
        who = who or (env["LDAP_ADMIN_DN"], env["LDAP_ADMIN_PASSWORD"])
        r = subprocess.run([args[0], "-x", "-H", env["LDAP_URL"], "-D", who[0], "-w", who[1], *args[1:]], input=text,
                           capture_output=True, text=True)
        return r.stdout if r.returncode == 0 else r.stderr

    people = f"ou=People,o={env['DOMAIN']},{env['LDAP_BASE']}"
    for uid, group in (("admin", f"cn=Top-Level Admins,{env['LDAP_BASE']}"),
                       ("orgadmin", f"cn=Organization Admins,o={env['DOMAIN']},{env['LDAP_BASE']}")):
        out = ldap("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", group, "-s", "base", "member")
        tm.ok(f"member: uid={uid},{people}" in out, f"{uid} is a member of {group.split(',')[0]}")
        out = ldap("ldapwhoami", who=(f"uid={uid},{people}", env["PASSWORD"]))
        tm.ok(f"uid={uid}," in out, "with the users' password")
    call("down", d)
    tm.ok("is for a new one" in call("up", d, "--admin").stderr, "too late: --admin")

    # ---- two stores, two relays and two proxies
    first, store, relay, proxy = (top + "/j/" + n for n in ("one", "store", "relay", "proxy"))
    r = call("up", store, "--join", first, "--role", "store")
    tm.ok(r.returncode != 0 and "no sandbox" in r.stderr, "nothing to join")
    tm.is_(call("up", first, "--users", "3").returncode, 0, "the first host")
    tm.ok("is a sandbox already" in call("up", d, "--join", first, "--role", "store").stderr, "nor one that is there")
    for d, role, want in ((store, "store", names[1:3] + names[5:9]), (relay, "relay", names[3:5]), (proxy, "proxy", names[9:])):
        r = call("up", d, "--join", first, "--role", role)
        tm.is_((r.returncode, r.stderr), (0, ""), f"a {role} joins")
        tm.is_(re.findall(r"^(\S+) +\d+ +up ", call("status", d).stdout, re.M), want, "with its daemons")
    tm.ok("the directory of the first" in call("up", top + "/d", "--join", first, "--role", "store", "--users", "3").stderr,
          "it brings no users")
    one, two, out, mmp = env_of(first), env_of(store), env_of(relay), env_of(proxy)
    same = ("DOMAIN", "PASSWORD", "LDAP_BASE", "USER_PATTERN")
    tm.is_([[e[k] for k in same] for e in (two, out)], [[one[k] for k in same]] * 2, "all have the same users")
    tm.is_((two["MAILHOST"], out["MAILHOST"]), ("store2." + one["DOMAIN"], "relay2." + one["DOMAIN"]), "and names of their own")
    tm.ok(not os.path.exists(store + "/tls/ca.key"), "the key of the CA stays where it is")
    env = one
    ldap("ldapmodify", text=f"dn: uid=user0002,ou=People,o={one['DOMAIN']},{one['LDAP_BASE']}\nchangetype: modify\n"
         f"replace: mailHost\nmailHost: {two['MAILHOST']}\n")

    def inbox(host, user, port="IMAP_PORT"):
        with socket.create_connection((host["HOST"], int(host[port])), 10) as c:
            f = c.makefile("r")
            f.readline()
            c.sendall(b"a LOGIN %s %s\r\nb STATUS INBOX (MESSAGES)\r\n" % (user.encode(), host["PASSWORD"].encode()))
            f.readline()
            m = re.search(r"MESSAGES (\d+)", f.readline())
            return int(m[1]) if m else None

    for sent, (name, host) in enumerate((("first host", one), ("relay that joined", out)), 1):
        with smtplib.SMTP(host["HOST"], int(host["SMTP_PORT"]), "c.test", 30) as s:
            s.sendmail("a@b.test", [f"user{n:04}@{one['DOMAIN']}" for n in (1, 2)], "Subject: x\r\n\r\nx\r\n")
        tm.ok(tm.wait_for(lambda: (inbox(one, "user0001"), inbox(two, "user0002")) == (sent, sent)),
              f"the {name} brings everybody's mail to the right store")
    tm.is_([inbox(mmp, u, "MMP_IMAP_PORT") for u in ("user0001", "user0002")], [2, 2], "and the proxy everybody to it")
    with open(store + "/run/lmtpd.log") as f:
        tm.ok(" error=" not in f.read(), "and each side likes the other's certificate")
    tm.is_(call("down", store).returncode, 0, "down")
    tm.is_(call("up", store).returncode, 0, "and up again, as it was")
    tm.is_((env_of(store)["MAILHOST"], inbox(two, "user0002")), (two["MAILHOST"], 2), "with its name and its mail")
    call("down", first)
    call("down", proxy)
    call("down", store)
    tm.ok("must be up" in call("up", store).stderr, "not without the first one's directory")

    # ---- what goes wrong
    d = top + "/b"
    r = call("up", d, "--set", "imapd.no_such_key=1", "--without", "jobctl")
    tm.ok(r.returncode != 0 and "imapd" in r.stderr and "no_such_key" in r.stderr,
          "a daemon whose files are no good is named")
    tm.is_(marked(d), [], "nothing is started")
    r = call("up", top + "/c", BINDIR=top)
    tm.ok(r.returncode != 0 and "--without" in r.stderr, "a program that is not built is an error")
    r = call("up", top + "/c", BINDIR=top, SANDBOX_SKIP_MISSING="1")
    tm.is_(r.returncode, 0, "unless that is allowed")
    tm.ok("IMAP_PORT" not in env_of(top + "/c"), "its ports are absent")
    call("down", top + "/c")
    for bad in (["--without", "nobody"], ["--set", "imapd"], ["--route", "x=pop:1:2"], ["--what"]):
        tm.ok(call("up", top + "/d", *bad).returncode != 0, "refused: " + " ".join(bad))

    # ---- a port that is taken between the choice and the daemon's start
    d, waits, goes = top + "/p", top + "/waits", top + "/goes"
    wrap = top + "/wrap"
    with open(wrap, "w") as f:
        f.write(f'#!/bin/sh\n: >{waits}\nwhile [ ! -e {goes} ]; do sleep 0.01; done\nexec "$@"\n')
    os.chmod(wrap, 0o755)
    with concurrent.futures.ThreadPoolExecutor(1) as pool, socket.socket() as thief:
        up = pool.submit(call, "up", d, "--users", "1", SANDBOX_WRAP_lmtpd=wrap)
        tm.ok(tm.wait_for(lambda: os.path.exists(waits)), "a daemon waits before it starts")
        taken = env_of(d).get("LMTP_PORT")
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1) # others' old connections are no hindrance
        thief.bind(("127.0.0.1", int(taken)))
        thief.listen()
        open(goes, "w").close()
        r = up.result()
        tm.ok(r.returncode == 0 and "with others" in r.stderr, "up chooses ports again") or tm.diag(r.stderr)
        tm.ok(env_of(d)["LMTP_PORT"] != taken and call("status", d).returncode == 0, "and all answer there")
        call("down", d)

    # ---- deep, and as an ordinary user
    deep = top + "/" + "/".join(["deep" * 10] * 4)
    run_as = []
    os.makedirs(deep)
    if os.getuid() == 0:
        run_as = tm.NOBODY
        os.chown(deep, 65534, 65534)
    d = deep + "/s"
    if run_as and not tm.nobody_can():
        tm.skip("as an ordinary user", "the source is not readable for others")
    else:
        r = call("up", d, "--users", "1", run_as=run_as)
        if tm.ok(r.returncode == 0, "up as an ordinary user, in a deep place"):
            env = env_of(d)
            tm.ok(len(env["RUNDIR"]) < 80 and os.path.samefile(env["RUNDIR"], d + "/run"),
                  "RUNDIR is short")
            tm.is_(call("status", d, run_as=run_as).returncode, 0, "all answer")
            tm.is_(call("down", d, run_as=run_as).returncode, 0, "down")
            tm.is_(marked(d), [], "leaves no process")
            tm.ok(not os.path.exists(env["RUNDIR"]), "nor the short link")
        else:
            tm.diag(r.stderr)
finally:
    for root, dirs, files in os.walk(top):
        if "state.json" in files:
            call("down", root)
    shutil.rmtree(top, ignore_errors=True)
tm.done()
