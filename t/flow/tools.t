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

# ---- newaliases, and the mail of accounts of the system
aliases = os.path.join(os.path.dirname(sb.conf("channels.conf")), "aliases")
with open(tm.TOP + "/conf/aliases") as f:
    sample = f.read()
with open(aliases, "w") as f:
    f.write("root: user0002\n" + sample)
tm.is_(run(sendmail, "-f", "x@example.org", "www-data", text="Subject: early\n\n", env=conf).returncode, 67, "a name of the system, before")
r = run(links + "/newaliases", env=conf)
tm.is_((r.returncode, r.stdout, r.stderr), (0, "", ""), "newaliases: smtp-relay has read them")
system = [l.split(":")[0] for l in sample.splitlines() if re.search(r":\t+root$", l)]
tm.ok({"daemon", "bin", "www-data", "nobody", "backup"} <= set(system), "the sample has accounts of the system")
for name in ["root", *system]:
    tm.is_(run(sendmail, "-f", "x@example.org", name, text="Subject: for %s\n\n" % name, env=conf).returncode, 0, f"mail for {name} is taken")
tm.ok(tm.wait_for(lambda: sb.count(2) == 1 + len(system)), "and goes where root's goes")
r = run(sendmail, "-bs", text="EHLO x\r\nMAIL FROM:<x@example.org>\r\nRCPT TO:<root>\r\nQUIT\r\n", env=conf)
tm.ok("250 2.1.5" in r.stdout, "also of who speaks SMTP and completes nothing") or tm.diag(r.stdout)
with open(aliases, "a") as f:
    f.write("broken line\n")
r = run(links + "/newaliases", env=conf)
tm.ok(r.returncode == 65 and "aliases:" in r.stderr and "the old configuration stays" in r.stderr, "a mistake in them is told") or tm.diag(r.stderr)
os.unlink(aliases)
tm.is_(run(sendmail, "-bi", env=conf).returncode, 0, "-bi is the same")
sb.kill("smtp-relay")
r = run(links + "/newaliases", env=conf)
tm.is_((r.returncode, r.stdout), (0, "newaliases: smtp-relay does not run\n"), "without smtp-relay it says so") or tm.diag(r.stderr)
tm.ok(sb.restart("smtp-relay"), "it is back")

# ---- /etc/mailname: in a place of our own, where that can be had
etc = sb.dir + "/etcs"
def mailname(text):
    """default_domain with that file, of a configuration that says nothing of it."""
    os.makedirs(etc + "/c", exist_ok=True)
    with open(etc + "/c/tiermail.conf", "w") as f:
        f.write("hostname = web1.example.net\n")
    script = f"rm -rf {etc}/e && cp -a /etc {etc}/e && cat >{etc}/e/mailname && mount --bind {etc}/e /etc && {sb.bin('stored')} -n -c {etc}/c/tiermail.conf"
    r = run("unshare", "-m", "sh", "-c", script, text=text)
    found = re.search(r"(?m)^default_domain = (\S+)", r.stdout)
    return found and found[1]
if os.getuid() == 0 and run("unshare", "-m", "true").returncode == 0:
    tm.is_([mailname(t) for t in ("example.net\n", "mx.example.org", "", "two words.x\n", "-bad-.x\n", "localhost\n")],
           ["example.net", "mx.example.org", '""', '""', '""', '""'], "default_domain is that of /etc/mailname, if it is a domain")
else:
    tm.skip("/etc/mailname", "needs a name space of its own")

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
