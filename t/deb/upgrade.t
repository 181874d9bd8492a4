#!/usr/bin/env python3
"""An upgrade over packages of another day, as tiermail-install(7) has it: a host is made by what its own tiermail-setup
was then, gets mail into folders and into the queue, is stopped in the middle of it and has today's packages
installed over it.  Whatever was in the store is there with its UIDs and flags, what was in the queue arrives, the
configuration is the administrator's, and today's tiermail-setup adds what is new.

    t/deb/upgrade.t [DIR]       the packages' folder, default build/deb

Wants what packages.t wants, and the older packages in DEB_OLDER (/var/tmp/tiermail-older), where they stay for the next
time; when there are none they are built there from the first commit that had packages (DEB_OLDER_COMMIT), which takes
some minutes and a clone with its history."""
import glob, os, re, shutil, subprocess, sys, tempfile, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../flow")]
import tm
import debian
from debian import BASE, DOMAIN, HOST, SECRET, SETUP, Root

DEBS = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(tm.TOP, "build/deb"))
OLDER = os.environ.get("DEB_OLDER", "/var/tmp/tiermail-older")
COMMIT = os.environ.get("DEB_OLDER_COMMIT", "67b9d1c91cae")
THEN = ("stored", "lmtpd", "imapd", "pop3d", "jobctl", "smtp-relay")
NOW = (*THEN, "jmapd", "sieved", "memd", "admind", "piped")


def build_older():
    """Its own scripts/deb, with a version that is less than any of today's"""
    if subprocess.run(["git", "-C", tm.TOP, "cat-file", "-e", COMMIT + "^{commit}"], capture_output=True).returncode:
        tm.skip_all(f"no older packages in {OLDER}, and no commit {COMMIT} to make them of")
    with tempfile.TemporaryDirectory(prefix="tm-older-", dir=os.environ.get("TMPDIR", "/var/tmp")) as src:
        archive = subprocess.run(["git", "-C", tm.TOP, "archive", COMMIT], capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", src, "-f", "-"], input=archive, check=True)
        for name, old, new in (("Makefile", r"(?m)^VERSION := (.*)$", r"VERSION := \1~first"), ("scripts/debian/changelog", r"\A(\S+) \((.*?)\)", r"\1 (\2~first)")):
            with open(f"{src}/{name}") as f:
                text = f.read()
            with open(f"{src}/{name}", "w") as f:
                f.write(re.sub(old, new, text, count=1))
        if debian.run(f"{src}/scripts/deb", OLDER, limit=3000).returncode:
            tm.skip_all(f"{COMMIT} does not build here")


debian.can(DEBS)
if not glob.glob(OLDER + "/tiermail_*.deb"):
    build_older()
box = Root()
shell, clock = box.shell, time.monotonic()


def lap(what):
    global clock
    tm.diag(f"{time.monotonic() - clock:6.1f} s  {what}")
    clock = time.monotonic()


def imap(folder, *commands):
    """What curl shows of a dialogue"""
    how = " --next ".join(f"-sSv --cacert /etc/tiermail/tls/ca.pem --ssl-reqd -u 'anna@{DOMAIN}:{SECRET}' 'imap://{HOST}/{folder}' -X '{c}'" for c in commands)
    return shell(f"curl {how} 2>&1", check=False).stdout.replace("\r", "")


def contents():
    """{folder: (UIDVALIDITY, UIDNEXT, {UID: (flags, subject)})}"""
    found = {}
    for folder in ("INBOX", "kept"):
        status = re.search(r"\* STATUS \S+ \((.*?)\)", imap("", f"STATUS {folder} (UIDVALIDITY UIDNEXT)"))
        said = imap(folder, "UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        found[folder] = status and status[1], {int(u): (sorted(set(fl.split()) - {"\\Recent"}), s) for u, fl, s in re.findall(
            r"UID (\d+) FLAGS \((.*?)\)[^\n]*\n(?:< )?Subject: ([^\n]*)", said)}
    return found


try:
    # ---- then
    box.make()
    box.copy(OLDER, "/root/older")
    box.copy(DEBS, "/root/newer")
    tm.is_(debian.install(box.path, "/root/older/*.deb").returncode, 0, "the older packages install")
    older = shell("dpkg-query -W -f '${Version}' tiermail-store").stdout
    box.slapd()
    box.put("/root/secret", SECRET + "\n", 0o600)
    r = shell(SETUP)
    tm.is_(r.returncode, 0, "a host is made by what was tiermail-setup then") or tm.diag(r.stdout + r.stderr)
    box.caps = "CAP_NET_BIND_SERVICE"  # which a drop-in took away again, then
    box.starts(THEN)
    box.caps = None
    shell("id joe >/dev/null 2>&1 || useradd -m joe; echo '\n# ours\n[quota]\nbytes = 1G' >>/etc/tiermail/tiermail.conf")
    send = lambda what: shell(f"printf 'Subject: {what}\\n\\n{what * 50}\\n' | sendmail -f joe@{DOMAIN} anna@{DOMAIN}")
    for n in range(20):
        send(f"then {n}")
    tm.ok(tm.wait_for(lambda: len(box.read_mail()) == 20), "mail arrives") or tm.diag(shell("mailq; tail -n 5 /var/log/*.log", check=False).stdout)
    imap("", "CREATE kept", "SUBSCRIBE kept")
    imap("INBOX", "STORE 1:10 +FLAGS (\\Seen $Label)", "COPY 3:12 kept", "STORE 18:20 +FLAGS (\\Deleted)", "EXPUNGE", "STORE 5 +FLAGS (\\Flagged \\Answered)")
    before = contents()
    tm.is_([len(m) for _, m in before.values()], [17, 10], "in folders, with flags") or tm.diag(before)
    tm.is_(box.stop("lmtpd"), 0, "lmtpd stops")
    for n in range(5):
        send(f"on its way {n}")
    shell(f"printf 'Subject: far\\n\\nx\\n' | sendmail -f joe@{DOMAIN} someone@away.invalid")
    tm.ok(tm.wait_for(lambda: shell("mailq").stdout.count("on its way") + shell("find /var/spool/tiermail -type f | wc -l").stdout.count("\n") > 0), "mail waits in the queue")
    waits = int(shell("find /var/spool/tiermail -type f ! -name '.*' | wc -l").stdout)
    tm.ok(waits >= 5, f"({waits} files)")
    box.children["stored"].kill()   # not in good order: what it had said is in its log
    box.children.pop("stored").wait()
    for d in [d for d in THEN if d in box.children]:
        tm.is_(box.stop(d), 0, f"{d} stops")
    lap(f"a host of {older}")

    # ---- now
    r = debian.install(box.path, "-o Dpkg::Options::=--force-confold /root/newer/*.deb")
    tm.is_(r.returncode, 0, "today's packages install over them") or tm.diag(r.stdout[-3000:])
    newer = shell("dpkg-query -W -f '${Version}' tiermail-store").stdout
    tm.is_(shell(f"dpkg --compare-versions {older} lt {newer}", check=False).returncode, 0, f"{older} is older than {newer}")
    tm.ok("bytes = 1G" in box.text_of("/etc/tiermail/tiermail.conf"), "the configuration is kept")
    lap("the packages, over it")
    for d in THEN:
        r = box.inside(f"/usr/sbin/{d}", "-n", check=False)
        tm.is_(r.returncode, 0, f"{d} takes the configuration of then") or tm.diag(r.stderr)
    box.starts(THEN)
    after = contents()
    for folder in before:
        kept = {u: m for u, m in after[folder][1].items() if u in before[folder][1]}
        tm.is_((after[folder][0].split()[:2], kept), (before[folder][0].split()[:2], before[folder][1]), f"{folder} is as it was: UIDs, flags, subjects") or tm.diag(after)
    tm.ok(tm.wait_for(lambda: sum(s.startswith("on its way") for s in box.read_mail()) == 5), "what was in the queue arrives, each once") or tm.diag(
        shell("mailq; tail -n 5 /var/log/*.log", check=False).stdout)
    send("now")
    tm.ok(tm.wait_for(lambda: "now" in box.read_mail()), "and new mail")
    tm.is_(shell("storectl check", check=False).returncode, 0, "the store has no fault")
    lap("started, and mail as before")

    # ---- what is new
    r = shell(SETUP, check=False)
    tm.is_(r.returncode, 0, "today's tiermail-setup adds what is new") or tm.diag(r.stdout[-3000:] + r.stderr)
    tm.ok("bytes = 1G" in box.text_of("/etc/tiermail/tiermail.conf"), "and leaves what is the administrator's")
    for d in THEN:
        tm.is_(box.stop(d), 0, f"{d} stops")
    box.starts(NOW)
    r = shell("tiermail-setup test --user anna --user-password-file /root/secret", check=False)
    tm.is_((r.returncode, r.stderr), (0, ""), "mail goes there and back") or tm.diag(r.stdout)
    levels, said = box.check()
    tm.is_(sorted(w for w, level in levels.items() if level == "FAIL"), [], "tiermail-setup check: nothing fails") or tm.diag(said)
    r = shell(SETUP, check=False)
    tm.ok(r.returncode == 0 and "Everything is as it should be already." in r.stdout, "once more: nothing to do") or tm.diag(r.stdout)
    lap("what is new")
finally:
    box.end()
tm.done()
