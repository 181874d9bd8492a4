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
import hashlib, os, signal, sys, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../flow")]
import tm
import debian
from debian import BASE, DOMAIN, HOST, SECRET, SETUP, Root

DEBS = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(tm.TOP, "build/deb"))
DAEMONS = ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "jobctl", "smtp-relay", "piped", "memd", "admind", "mmpd")

debian.can(DEBS)
box = Root()
root, shell, inside, put, text_of, unit, start, stop, runs, read_mail, check = (
    box.path, box.shell, box.inside, box.put, box.text_of, box.unit, box.start, box.stop, box.runs, box.read_mail, box.check)
children = box.children
clock = time.monotonic()


def lap(what):
    """The log of the walk: seconds since the last lap."""
    global clock
    tm.diag(f"{time.monotonic() - clock:6.1f} s  {what}")
    clock = time.monotonic()


def ours():
    """Processes of the daemons that live in the new root."""
    return [name for name in box.processes().values() if name in (*DAEMONS, "channel-master")]


def settled():
    """What tiermail-setup has made: {path: (mode, owner, digest)}, and the directory."""
    found = {}
    for d, _, names in os.walk(root + "/etc/tiermail"):
        for n in names:
            st = os.stat(os.path.join(d, n))
            with open(os.path.join(d, n), "rb") as f:
                found[os.path.join(d, n)] = st.st_mode, st.st_uid, st.st_gid, hashlib.sha256(f.read()).hexdigest()
    return found, shell(f"slapcat -b {BASE}").stdout


try:
    # ---- a Debian that has nothing
    box.make()
    box.copy(DEBS, "/root")
    # The archive is reached from outside: what the packages need, and then they.
    lap("a bare Debian, with slapd")
    r = debian.install(root, "/root/*.deb")
    tm.is_(r.returncode, 0, "the packages install")
    lap("apt install ./tiermail*.deb")

    # ---- as tiermail-install(7) says
    box.slapd()
    put("/root/secret", SECRET + "\n", 0o600)
    r = shell(SETUP)
    tm.is_((r.returncode, r.stderr), (0, ""), "tiermail-setup makes a mail host of it")
    tm.ok(all(f"/usr/sbin/{d} -c /etc/tiermail/{d}.conf" in r.stdout for d in DAEMONS if d != "mmpd"), "says what to start where there is no systemd")
    tm.ok(f"{DOMAIN}." in r.stdout and " IN MX " in r.stdout, "and what to publish")
    lap("tiermail-setup")
    # The proxy in front of them, as far as that goes on one host: at other ports.
    text = text_of("/etc/tiermail/mmpd.conf")
    for port in (143, 993, 110, 995):
        text = text.replace(f"address = *:{port}\n", f"address = *:{port + 1000}\n")
    put("/etc/tiermail/mmpd.conf", text + f"\n[host *]\naddress = 127.0.0.1\ncertificate_name = {HOST}\n", 0o640)
    for d in ("imapd", "pop3d"):
        text = text_of(f"/etc/tiermail/{d}.conf").replace("tls = implicit\n", "tls = implicit\npeer_certificate = ask\n")
        put(f"/etc/tiermail/{d}.conf", text + f"\n[auth]\nproxies = {HOST}\n", 0o640)
    for d in DAEMONS:
        r = inside(f"/usr/sbin/{d}", "-n", check=False)
        tm.is_((r.returncode, r.stderr), (0, ""), f"{d} -n finds nothing wrong")
    box.starts(DAEMONS)
    r = shell("tiermail-setup test --user anna --user-password-file /root/secret", check=False)
    tm.is_((r.returncode, r.stdout.count("ok  "), r.stderr), (0, 4, ""), "the first user sends, reads, and gets a report back")
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
    tm.is_(set(read_mail(port=1143)), want, "by the proxy too")
    r = shell(f"curl -sS --cacert /etc/tiermail/tls/ca.pem -u 'anna@{DOMAIN}:{SECRET}' https://{HOST}/.well-known/jmap", check=False)
    tm.ok(f'"anna@{DOMAIN}"' in r.stdout, "and by the web") or tm.diag(r.stdout + r.stderr)
    r = shell(f"curl -sS --cacert /etc/tiermail/tls/ca.pem 'https://{HOST}/mail/config-v1.1.xml?emailaddress=anna@{DOMAIN}'", check=False)
    tm.ok(f"<hostname>{HOST}</hostname>\n<port>993</port>" in r.stdout, "a mail program finds the servers") or tm.diag(r.stdout + r.stderr)
    r = shell(f"curl -sS --cacert /etc/tiermail/tls/ca.pem -u 'anna@{DOMAIN}:{SECRET}' https://{HOST}:8444/api/v1/me", check=False)
    tm.ok(f'"anna@{DOMAIN}"' in r.stdout, "the console's API knows her") or tm.diag(r.stdout + r.stderr)
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
    # ---- passwords that only their own daemon sees
    tm.is_(box.to_credstore().returncode, 0, "the services' passwords go to the credentials of their units")
    tm.is_(shell("grep -rlE '^[a-z_. ]+= *file:.*[.]password' /etc/tiermail; setpriv --reuid tm-imap --regid tiermail --clear-groups cat /etc/credstore/*", check=False).stdout, "",
           "where no daemon reads another's")
    for d in DAEMONS:
        start(d)
    want.add("in the queue")
    tm.ok(tm.wait_for(lambda: set(read_mail()) == want), "queue and store go on") or tm.diag(read_mail())
    tm.is_([w for w, level in check()[0].items() if level == "FAIL"], [], "and check finds nothing that fails")
    levels, said = check()
    tm.is_(shell(f"setpriv --reuid tm-store --regid tiermail --clear-groups storectl list anna@{DOMAIN}", check=False).returncode, 0, "a tool of stored's user runs without them")
    tm.is_(levels["accounts"], "OK", "it tries the accounts by their credentials") or tm.diag(said)
    tm.is_(shell("tiermail-setup test --user anna --user-password-file /root/secret", check=False).returncode, 0, "and all goes as before")
    lap("installed over itself")
    for d in DAEMONS:
        stop(d)

    # ---- without systemd: the samples, by their lines
    shell("""set -e
cd /etc/credstore
for n in ldap sieve jmap pab admind; do
    install -m 640 -g tiermail tiermail.$n /etc/tiermail/$n.password
    sed -i "s,credential:tiermail.$n,file:/etc/tiermail/$n.password," /etc/tiermail/*.conf
done
rm -r /etc/credstore
sed -i 's,^#log_to =.*,log_to = dir:/var/log/tiermail,' /etc/tiermail/tiermail.conf
install -d -m 1770 -g tiermail /var/log/tiermail""")
    for system, script, install in (("sysv", "/etc/init.d/tiermail", ""), ("OpenRC", "/etc/init.d/tiermail.{}", "openrc")):
        if install and debian.install(root, install, check=False).returncode:
            tm.skip(system, "it cannot be installed here")
            continue
        shell(f"install -m 755 /usr/share/tiermail/examples/init/{system.lower()}/tiermail /etc/init.d/tiermail")
        if install:
            shell("mkdir -p /run/openrc && touch /run/openrc/softlevel; for d in %s; do ln -sf tiermail /etc/init.d/tiermail.$d; done" % " ".join(DAEMONS))
        scripts = [script.format(d) for d in DAEMONS] if install else [script]
        # slapd, the network and the rest are there; OpenRC would start its own.
        call = lambda verb, these=scripts: [shell(f"{s} {'--nodeps ' if install else ''}{verb} </dev/null >/tmp/said 2>&1; r=$?; cat /tmp/said; exit $r", check=False) for s in these]
        out = call("start")
        tm.ok(not any(r.returncode for r in out), f"{system}: started") or tm.diag([r.stdout for r in out])
        ids = lambda: {d: shell(f"cat /run/tiermail/{d}.pid", check=False).stdout.strip() for d in DAEMONS}
        tm.ok(tm.wait_for(lambda: all(runs(d) for d in DAEMONS)), f"{system}: all daemons run") or tm.diag(shell("tail -n 3 /var/log/tiermail/*", check=False).stdout)
        was = ids()
        tm.is_({d: shell(f"stat -c %U /proc/{p}").stdout.strip() for d, p in was.items()}, {d: unit(d)["User"] for d in DAEMONS}, f"{system}: each as its user")
        tm.ok(set(read_mail()) == want, f"{system}: and mail is there") or tm.diag(read_mail())
        tm.ok(not any(r.returncode for r in call("start") + call("reload")) and ids() == was, f"{system}: once more changes nothing, nor a reload")
        put("/etc/tiermail/pop3d.conf", text_of("/etc/tiermail/pop3d.conf") + "\nnonsense = 1\n", 0o640)
        r = call("reload", [scripts[DAEMONS.index("pop3d")]] if install else [script])[0]
        tm.ok(r.returncode and "nonsense" in r.stdout and ids() == was, f"{system}: a reload with a mistake fails, in words") or tm.diag(r.stdout)
        put("/etc/tiermail/pop3d.conf", text_of("/etc/tiermail/pop3d.conf").replace("\nnonsense = 1\n", ""), 0o640)
        if install:
            os.kill(int(shell("readlink /proc/self >/dev/null; cat /run/tiermail/pop3d.pid").stdout), signal.SIGKILL)
            tm.ok(tm.wait_for(lambda: runs("pop3d") and ids()["pop3d"] not in ("", was["pop3d"])), f"{system}: what has died is started again")
        out = call("stop", scripts[::-1])
        tm.ok(not any(r.returncode for r in out) and tm.wait_for(lambda: not ours()), f"{system}: stopped") or tm.diag(([r.stdout for r in out], ours()))
        lap(system)

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
    box.end()
tm.done()
