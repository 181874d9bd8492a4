#!/usr/bin/env python3
"""The command lines: what every program understands, where tools find their configuration, and
that they say what they mean when something is wrong."""
import os, re, subprocess, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm


def run(*argv, env=None, text=""):
    return subprocess.run(argv, capture_output=True, text=True, input=text, timeout=tm.LONG,
                          env={**os.environ, **(env or {})})


for name in sorted(os.listdir(tm.BINDIR)):
    r = run(tm.BINDIR + "/" + name, "--help")
    tm.ok(r.returncode == 0 and r.stdout.startswith("usage: %s " % name) and "--version" in r.stdout,
          name + " --help")
    r = run(tm.BINDIR + "/" + name, "--version")
    tm.ok(r.returncode == 0 and re.match(r"%s \(tiermail\) \d" % name, r.stdout), name + " --version")
    r = run(tm.BINDIR + "/" + name, "--nonsense")
    tm.ok(r.returncode == 64 and "unknown option --nonsense" in r.stderr and "usage: " in r.stderr,
          name + " --nonsense")
    r = run(tm.BINDIR + "/" + name, env={"TIERMAIL_CONF": "/nonexistent/x.conf"})
    tm.ok(r.returncode == 78 and "/nonexistent/x.conf" in r.stderr,
          name + " and a configuration that is missing")

sb = tm.Sandbox("--users", "3")
conf = {"TIERMAIL_CONF": sb.conf("tiermail.conf")}
mailq, ctl, sendmail = (sb.bin(n) for n in ("mailq", "jobctl-ctl", "sendmail"))

# ---- where the configuration is
r = run(mailq, env=conf)
tm.is_((r.returncode, r.stdout, r.stderr), (0, "the queue is empty\n", ""), "TIERMAIL_CONF")
r = run(mailq, "-c", "/nonexistent", env=conf)
tm.is_(r.returncode, 78, "-c goes before it")
r = run(sendmail, "-bp", env={**conf, "PATH": "/nonexistent"})
tm.is_((r.returncode, r.stdout), (0, "the queue is empty\n"), "sendmail -bp is our mailq, not PATH's")
links = sb.dir + "/links"
os.mkdir(links)
for name in ("mailq", "newaliases"):
    os.symlink(sendmail, links + "/" + name)
tm.is_(run(links + "/mailq", env=conf).stdout, "the queue is empty\n", "so is a link called mailq")
tm.is_(run(links + "/newaliases", env=conf).returncode, 0, "newaliases has nothing to do")

# ---- an ordinary user: no secrets, but the same settings
secret, public = sb.dir + "/password", sb.dir + "/public.conf"
with open(secret, "w") as f:
    f.write("only root reads this\n")
os.chmod(secret, 0)
with open(sb.conf("tiermail.conf")) as f:
    text = re.sub(r"^password = .*$", "password = file:" + secret, f.read(), flags=re.M)
with open(public, "w") as f:
    f.write(text)
os.chmod(public, 0o644)
who = tm.NOBODY if tm.nobody_can() else []
r = run(*who, sendmail, "-C", public, "-f", "x@example.org", "user0001", text="Subject: hello\n\nhi\n")
tm.is_((r.returncode, r.stderr), (0, ""), "sendmail does without the files of secrets")
tm.ok(sb.queue_empty() and sb.count(1) == 1, "and completes the address as the configuration says")
if who:
    os.chmod(public, 0)
    r = run(*who, sendmail, "-C", public, "user0001", text="\n")
    tm.is_((r.returncode, "Permission denied" in r.stderr), (78, True),
           "a configuration that may not be read is no reason to send somewhere else")
else:
    tm.skip("a configuration that may not be read", "not root")

# ---- what there is not
run(ctl, "stop", "tcp_lmtp", env=conf)
sb.send(1)
tm.wait_for(lambda: "1 message" in run(mailq, "-q", env=conf).stdout, what="the message")
tm.is_(run(mailq, "-C", "nochannel", env=conf).stdout, "no message fits\n",
       "mailq: a filter that fits nothing")
tm.is_(run(mailq, "zzz", env=conf).stdout, "no message fits\n", "mailq: an id that fits nothing")
for args, code, words in ((["list", "state=foo"], 64, "state=foo"), (["list", "sendr=x"], 64, "sendr=x"),
                          (["frobnicate"], 64, "frobnicate"),
                          (["delete", "1nosuchid0000"], 66, "no such message"),
                          (["retry", "1nosuchid0000"], 66, "no such message")):
    r = run(ctl, *args, env=conf)
    if not tm.ok(r.returncode == code and words in r.stderr, "jobctl-ctl " + " ".join(args)):
        tm.diag("%d %s" % (r.returncode, r.stderr))
tm.is_(run(ctl, "hold", "all", env=conf).stdout, "1 message\n", "hold")
tm.ok("held: " in run(mailq, env=conf).stdout, "mailq says why it is held")
tm.is_(run(ctl, "release", "all", env=conf).stdout, "1 message\n", "release")
tm.ok("held: " not in run(mailq, env=conf).stdout, "and no longer when it is not")
run(ctl, "start", "tcp_lmtp", env=conf)
tm.ok(sb.queue_empty(), "the mail goes on")

# ---- a tool that reads a daemon's file understands all of it
with open(sb.conf("stored.conf")) as f:
    text = f.read()
with open(sb.conf("stored.conf"), "w") as f:
    f.write("drain_timeout = 10s\n" + text)
r = run(sb.bin("storectl"), "-q", "check", env=conf)
tm.is_((r.returncode, r.stderr), (0, ""), "storectl reads a stored.conf with keys of every daemon")

# ---- storectl acl
one, two = (f"{sb.user(n)}@{sb.domain}" for n in (1, 2))


def acl(*args):
    r = run(sb.bin("storectl"), "acl", *args, env=conf)
    return r.returncode, [tuple(l.split()) for l in r.stdout.splitlines()] or r.stderr


ALL = (one, "lrswipkxteacd")
sb.imap(1).logout()
tm.is_(acl(one, "INBOX"), (0, [ALL]), "a folder's owner has all rights")
tm.is_(acl(one, "inbox", two, "lrs")[0], 0, "others are given some")
tm.is_(acl(one, "INBOX", "-anyone", "s")[0], 0, "or have some taken")
tm.is_(acl(one, "INBOX", two, "+c")[0], 0, "or more")
tm.is_(acl(one, "INBOX"), (0, [ALL, ("-anyone", "s"), (two, "lrskxc")]), "as is shown")
tm.is_(acl(one, "INBOX", two, "")[0], 0, "or none")
tm.is_(acl(one, "INBOX"), (0, [ALL, ("-anyone", "s")]), "then nothing is said of them")
tm.is_(acl(one, "INBOX", two, "lz")[0], 64, "what is no right")
tm.is_(acl(one, "INBOX", "joe", "l"), (70, "storectl: INBOX: not an identifier\n"), "what is no identifier")
tm.is_(acl(one, "INBOX", one, "l"), (70, "storectl: INBOX: the owner has all rights\n"), "what cannot be")
tm.is_(acl(one, "nothing"), (65, "storectl: nothing: no such folder\n"), "no such folder")
tm.is_(acl("nobody@" + sb.domain, "INBOX")[0], 67, "no such account")
tm.done()
