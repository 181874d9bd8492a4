#!/usr/bin/env python3
"""The packages of `make deb` in a Debian that has nothing, as tiermail-install(7) goes, with a clock: installed,
made a mail host by tiermail-setup, every daemon started as its unit says (user, group, capabilities, command
line), mail sent and read as a stranger and a user would, everything killed and started again, tiermail-setup once
more, installed over mail and changed configuration, removed and purged.

    t/deb/packages.t [DIR]      the packages' folder, default build/deb

Wants root, debootstrap and Debian's archive; the new root is made in TMPDIR (/var/tmp) and a network
namespace of its own is where its ports are.  The bare Debian is kept in DEB_CACHE
(/var/tmp/tiermail-deb-root.tar) for the next time; remove it to have a new one.  systemd does not run there:
what it does with a unit is done by setpriv(1)."""
import glob, hashlib, json, os, shutil, signal, subprocess, sys, tempfile, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../flow")]
import tm
import debian
from debian import run

DEBS = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(tm.TOP, "build/deb"))
CACHE = os.environ.get("DEB_CACHE", "/var/tmp/tiermail-deb-root.tar")
WITH = "slapd,ldap-utils,curl,openssl,python3"
STRANGER = "swaks libnet-ssleay-perl"  # what debootstrap cannot resolve
DOMAIN, HOST, BASE, SECRET = "example.org", "mail.example.org", "dc=example,dc=org", "a secret of this test"
DAEMONS = ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "jobctl", "smtp-relay")

if os.getuid() != 0:
    tm.skip_all("only root can make a root")
if not shutil.which("debootstrap"):
    tm.skip_all("no debootstrap here")
if not glob.glob(DEBS + "/tiermail_*.deb"):
    tm.skip_all(f"no packages in {DEBS}: make deb")
top = tempfile.mkdtemp(prefix="tm-deb-", dir=os.environ.get("TMPDIR", "/var/tmp"))
root, children, space = top + "/root", {}, None
clock = time.monotonic()


def lap(what):
    """The log of the walk: seconds since the last lap."""
    global clock
    tm.diag(f"{time.monotonic() - clock:6.1f} s  {what}")
    clock = time.monotonic()


def inside(*argv, **how):
    """A command in the new root, on its own network"""
    return run(*ENTER, "chroot", root, *argv, **how)


def shell(line, **how):
    return inside("sh", "-c", "export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8; " + line, **how)


def put(path, text, mode=0o644):
    with open(root + path, "w") as f:
        f.write(text)
    os.chmod(root + path, mode)


def text_of(path):
    with open(root + path) as f:
        return f.read()


def ours():
    """Processes of the daemons that live in the new root."""
    found = []
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{p}/comm") as f:
                name = f.read().strip()
            if name in (*DAEMONS, "channel-master") and os.readlink(f"/proc/{p}/root") == root:
                found.append(name)
        except OSError:
            pass
    return found


def settled():
    """What tiermail-setup has made: {path: (mode, owner, digest)}, and the directory."""
    found = {}
    for d, _, names in os.walk(root + "/etc/tiermail"):
        for n in names:
            st = os.stat(os.path.join(d, n))
            with open(os.path.join(d, n), "rb") as f:
                found[os.path.join(d, n)] = st.st_mode, st.st_uid, st.st_gid, hashlib.sha256(f.read()).hexdigest()
    return found, shell(f"slapcat -b {BASE}").stdout


def unit(name):
    """What the unit of a daemon and, behind it, the drop-ins say of [Service]; the last one of a key"""
    said, where = {}, "/lib/systemd/system/"
    drops = [f[len(root):] for d in ("tiermail-.service.d", f"tiermail-{name}.service.d") for f in glob.glob(f"{root}{where}{d}/*.conf")]
    for path in (f"{where}tiermail-{name}.service", *sorted(drops, key=os.path.basename)):
        part = ""
        with open(root + path) as f:
            for line in f:
                line = line.strip()
                part = line if line.startswith("[") else part
                if part == "[Service]" and "=" in line and line[0] != "#":
                    key, value = line.split("=", 1)
                    said.setdefault(key, value) if key == "ExecReload" else said.__setitem__(key, value)
    return said


def start(name):
    u = unit(name)
    caps = ["--ambient-caps", "+net_bind_service", "--inh-caps", "+net_bind_service"] \
        if "CAP_NET_BIND_SERVICE" in u["AmbientCapabilities"] else []
    log = open(f"{root}/var/log/{name}.log", "a")
    children[name] = subprocess.Popen(
        [*ENTER, "chroot", root, "setpriv", "--reuid", u["User"],
         "--regid", u["Group"], "--clear-groups", "--no-new-privs", *caps, *u["ExecStart"].split()],
        stdout=log, stderr=log, stdin=subprocess.DEVNULL, umask=int(u["UMask"], 8))


def stop(name):
    p = children.pop(name)
    p.terminate()
    return p.wait(60)


def runs(name):
    r = shell(f"test -S /run/tiermail/{name}.ctl && cat /run/tiermail/{name}.pid", check=False)
    return r.returncode == 0 and r.stdout.strip().isdigit()


def read_mail(user="anna"):
    """Subjects of the INBOX, by IMAP with STARTTLS, as curl and a stranger's client see them"""
    return shell(f"curl -sS --cacert /etc/tiermail/tls/ca.pem --ssl-reqd -u '{user}@{DOMAIN}:{SECRET}' 'imap://{HOST}/INBOX' "
                 "-X 'FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])' -v 2>&1 "
                 "| sed -n 's/^.*Subject: \\(.*\\)\\r*$/\\1/p'", check=False).stdout.replace("\r", "").split("\n")[:-1]


def check():
    """{question: worst level} of tiermail-setup check"""
    r = shell("tiermail-setup check --json", check=False)
    found = {}
    for f in map(json.loads, r.stdout.splitlines()):
        found[f["what"]] = max(found.get(f["what"], ""), f["level"], key=["", "OK", "WARN", "FAIL"].index)
    return found, r.stdout


try:
    # ---- a Debian that has nothing
    debian.bare(root, CACHE, WITH, STRANGER)
    put("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    put("/etc/hosts", f"127.0.0.1 localhost {HOST}\n")
    # Ports and mounts that end with this test, however it ends.
    space = subprocess.Popen(["unshare", "--net", "--mount", "setpriv", "--pdeathsig", "KILL", "sh", "-c",
                              f"ip link set lo up && mount -t proc proc {root}/proc && echo ready && exec sleep infinity"],
                             stdout=subprocess.PIPE, text=True)
    if space.stdout.readline() != "ready\n":
        tm.skip_all("no namespaces here")
    ENTER = ["nsenter", f"--net=/proc/{space.pid}/ns/net", f"--mount=/proc/{space.pid}/ns/mnt", "--"]
    for d in glob.glob(DEBS + "/*.deb"):
        if "dbgsym" not in d:
            shutil.copy(d, root + "/root")
    # The archive is reached from outside: what the packages need, and then they.
    lap("a bare Debian, with slapd")
    r = debian.install(root, "/root/*.deb")
    tm.is_(r.returncode, 0, "the packages install")
    lap("apt install ./tiermail*.deb")

    # ---- as tiermail-install(7) says
    # As its init script does, which would take another root's slapd for its own.
    children["slapd"] = subprocess.Popen([*ENTER, "chroot", root, "slapd", "-d", "0", "-h", "ldap:/// ldapi:///", "-u", "openldap",
                                          "-g", "openldap", "-F", "/etc/ldap/slapd.d"], stderr=subprocess.DEVNULL)
    tm.wait_for(lambda: shell("ldapwhoami -Q -Y EXTERNAL -H ldapi:///", check=False).returncode == 0, what="slapd")
    put("/root/secret", SECRET + "\n", 0o600)
    SETUP = (f"tiermail-setup --yes --domain {DOMAIN} --hostname {HOST} --role all --directory fresh --self-made --user anna "
             "--user-password-file /root/secret")
    r = shell(SETUP)
    tm.is_((r.returncode, r.stderr), (0, ""), "tiermail-setup makes a mail host of it")
    tm.ok(all(f"/usr/sbin/{d} -c /etc/tiermail/{d}.conf" in r.stdout for d in DAEMONS), "says what to start where there is no systemd")
    tm.ok(f"{DOMAIN}." in r.stdout and " IN MX " in r.stdout, "and what to publish")
    lap("tiermail-setup")
    for d in DAEMONS:
        r = inside(f"/usr/sbin/{d}", "-n", check=False)
        tm.is_((r.returncode, r.stderr), (0, ""), f"{d} -n finds nothing wrong")
    for d in DAEMONS:
        start(d)
    for d in DAEMONS:
        if not tm.ok(tm.wait_for(lambda: runs(d)), f"{d} runs as its unit says"):
            with open(f"{root}/var/log/{d}.log") as f:
                tm.diag(f.read()[-2000:])
    r = shell("tiermail-setup test --user anna --user-password-file /root/secret", check=False)
    tm.is_((r.returncode, r.stdout.count("ok  "), r.stderr), (0, 3, ""), "the first user sends, reads, and gets a report back")
    lap("started, and a message there and back")
    levels, said = check()
    tm.is_(sorted(w for w, level in levels.items() if level == "FAIL"), [], "tiermail-setup check: nothing fails") or tm.diag(said)
    tm.ok({w for w, level in levels.items() if level == "WARN"} <= {"dns", "clock", "disk"}, "and only what this root has not is dubious") or tm.diag(said)
    lap("tiermail-setup check")

    # ---- as a stranger would
    r = shell(f"swaks --server {HOST} --from stranger@elsewhere.example --to anna@{DOMAIN} --tls --h-Subject 'from a stranger' 2>&1", check=False)
    tm.is_(r.returncode, 0, "somebody of the Internet sends") or tm.diag(r.stdout)
    r = shell(f"swaks --server {HOST} --from stranger@elsewhere.example --to other@elsewhere.example 2>&1", check=False)
    tm.ok(r.returncode != 0 and " 550 5.7.1" in r.stdout, "but not to others by us")
    said = lambda: shell(f"tmlog -l /var/log from=stranger@elsewhere.example to=anna@{DOMAIN}", check=False).stdout
    tm.ok(tm.wait_for(lambda: f"anna@{DOMAIN}: delivered\n" in said()), "tmlog finds it in the logs, delivered") or tm.diag(said())
    r = shell(f"tiermail-load -u anna@{DOMAIN} -w /root/secret -T starttls -n 5 -p 2 imap {HOST}", check=False)
    tm.ok(r.returncode == 0 and "good 5, refused 0, broken 0" in r.stdout, "tiermail-load logs in, by the host's own certificate") or tm.diag(r.stdout + r.stderr)
    shell(f"""ldapadd -Q -Y EXTERNAL -H ldapi:/// <<END
$(sed -e '/^#/d;/@ALIAS@/d;s/@BASE@/{BASE}/g;s/@DOMAIN@/{DOMAIN}/g;s/@MAILHOST@/{HOST}/g;s/@UID@/ben/g' \
    -e "s,@USERPW@,$(slappasswd -T /root/secret)," /usr/share/tiermail/ldif/user.ldif)
END
ldappasswd -Q -Y EXTERNAL -H ldapi:/// -s '{SECRET}' uid=ben,ou=People,o={DOMAIN},{BASE}""")
    shell("id joe >/dev/null 2>&1 || useradd -m joe")
    r = inside("su", "joe", "-c", f"printf 'Subject: from a program\\n\\nx\\n' | sendmail -f joe@{DOMAIN} anna@{DOMAIN}", check=False)
    tm.is_((r.returncode, r.stderr), (0, ""), "sendmail of an ordinary user")
    r = shell(f"printf 'From: ben@{DOMAIN}\\r\\nTo: anna@{DOMAIN}\\r\\nSubject: by submission\\r\\n\\r\\nx\\r\\n' | curl -sS --cacert "
              f"/etc/tiermail/tls/ca.pem --ssl-reqd -u 'ben@{DOMAIN}:{SECRET}' smtp://{HOST}:587 --mail-from ben@{DOMAIN} "
              f"--mail-rcpt anna@{DOMAIN} -T -", check=False)
    tm.is_((r.returncode, r.stderr), (0, ""), "a user submits")
    want = {"from a stranger", "from a program", "by submission"}
    if not tm.ok(tm.wait_for(lambda: set(read_mail()) == want), "and all are read"):
        tm.diag(read_mail())
        tm.diag(shell("mailq; tail -n 5 /var/log/*.log", check=False).stdout)
    tm.is_(inside("su", "joe", "-c", "mailq").stdout, "the queue is empty\n", "mailq of an ordinary user")
    tm.is_(sorted({shell(f"stat -c %U /proc/{children[d].pid}").stdout.strip() for d in DAEMONS} & {"root"}), [],
           "nothing of it is root's")
    lap("mail of a stranger, a program and a user")

    # ---- once more, and what an administrator has added stays
    with open(root + "/etc/tiermail/tiermail.conf", "a") as f:
        f.write("\n# ours\n[quota]\nbytes = 1G\n")
    before = settled()
    r = shell(SETUP)
    tm.ok(r.returncode == 0 and "Everything is as it should be already." in r.stdout and settled() == before, "tiermail-setup again changes nothing") \
        or tm.diag(r.stdout)
    r = shell("tiermail-setup certificates", check=False)
    tm.is_((r.returncode, r.stdout, r.stderr), (0, "", ""), "the certificate is good for a year yet")
    for d in DAEMONS:
        inside("sh", "-c", unit(d)["ExecReload"] + " >/dev/null")
        os.kill(children[d].pid, signal.SIGHUP)
    tm.ok(all(runs(d) for d in DAEMONS), "they reload")

    # ---- killed, all at once, with a message on its way
    shell(f"printf 'Subject: before the fall\\n\\nx\\n' | sendmail -f joe@{DOMAIN} anna@{DOMAIN}")
    for d in DAEMONS:
        children[d].kill()
    for d in DAEMONS:
        children.pop(d).wait(60)
    tm.ok(tm.wait_for(lambda: not ours()), "killed")
    for d in DAEMONS:
        start(d)
    want.add("before the fall")
    tm.ok(tm.wait_for(lambda: set(read_mail()) == want), "they go on where they were") or tm.diag(read_mail())
    lap("killed and started again")

    # ---- again, with mail in the queue and the store, and configuration that is the administrator's
    tm.is_(stop("lmtpd"), 0, "lmtpd stops")
    shell(f"printf 'Subject: in the queue\\n\\nx\\n' | sendmail anna@{DOMAIN}")
    for d in [d for d in DAEMONS if d in children]:
        tm.is_(stop(d), 0, f"{d} stops")
    r = shell("dpkg --force-confold -i /root/*.deb", check=False)
    tm.is_(r.returncode, 0, "the packages install over themselves")
    tm.ok(f"hostname = {HOST}" in text_of("/etc/tiermail/tiermail.conf") and "bytes = 1G" in text_of("/etc/tiermail/tiermail.conf"), "the configuration is kept")
    for d in DAEMONS:
        start(d)
    want.add("in the queue")
    tm.ok(tm.wait_for(lambda: set(read_mail()) == want), "queue and store go on") or tm.diag(read_mail())
    tm.is_([w for w, level in check()[0].items() if level == "FAIL"], [], "and check finds nothing that fails")
    lap("installed over itself")
    for d in DAEMONS:
        stop(d)

    # ---- and away
    tm.is_(shell("apt-get remove -qy tiermail-common", check=False).returncode, 0, "they are removed")
    tm.ok(os.path.exists(root + "/etc/tiermail/tiermail.conf") and not os.path.exists(root + "/usr/sbin/stored"),
          "which leaves configuration")
    tm.is_(shell("dpkg --purge $(dpkg-query -W -f '${Package} ' 'tiermail*')", check=False).returncode, 0, "they are purged")
    left = [n for n in ("tiermail.conf", "imapd.conf", "stored.conf") if os.path.exists(root + "/etc/tiermail/" + n)]
    tm.ok(not left and os.path.isdir(root + "/var/lib/tiermail/partition"), "which leaves mail alone")
    tm.is_(shell("ls /lib/systemd/system | grep tiermail; ls /usr/share/tiermail 2>/dev/null", check=False).stdout, "", "and nothing else")
    lap("removed and purged")
finally:
    tm.end(children.values())
    if space:
        space.kill()
        space.wait()
    shutil.rmtree(top, ignore_errors=True)
tm.done()
