#!/usr/bin/env python3
"""The packages of `make deb` under systemd itself: a Debian of its own in an emulated machine, booted, made a mail host
by tiermail-setup, its units looked at, reloaded, frozen, killed, handed over, stopped and started, booted again, and
its power cut behind answers that were given.

    t/deb/boot.t [DIR]      the packages' folder, default build/deb

Wants root, debootstrap, qemu-system-x86 and Debian's archive.  The bare Debian is kept in BOOT_CACHE
(/var/tmp/tiermail-boot-root.tar) for the next time; remove it to have a new one.  The processor is emulated, since
where tests run there is often none to lend: set ACCEL=kvm where there is."""
import glob, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../flow")]
import tm
import debian
from debian import run

DEBS = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(tm.TOP, "build/deb"))
CACHE = os.environ.get("BOOT_CACHE", "/var/tmp/tiermail-boot-root.tar")
WITH = "slapd,ldap-utils,curl,openssl,python3,systemd,systemd-sysv,udev,dbus,kmod,iproute2,procps,linux-image-cloud-amd64"
STRANGER = "swaks libnet-ssleay-perl"
DOMAIN, HOST, SECRET = "example.org", "mail.example.org", "a secret of this test"
DAEMONS = {"stored": "tm-store", "lmtpd": "tm-lmtp", "imapd": "tm-imap", "pop3d": "tm-pop3", "jmapd": "tm-jmap", "sieved": "tm-sieve",
           "jobctl": "tm-queue", "smtp-relay": "tm-relay", "piped": "tm-pipe", "memd": "tm-web", "admind": "tm-admin"}
HANDED = ("imapd", "pop3d", "smtp-relay")  # that give their listeners to a new process (SIGUSR2)
AGENT = """import json, os, subprocess
port = os.open("/dev/virtio-ports/trial", os.O_RDWR)
os.write(port, b'"up"\\n')
said = b""
while True:
    got = os.read(port, 65536)
    said += got
    if not got:
        raise SystemExit(1)
    while b"\\n" in said:
        line, said = said.split(b"\\n", 1)
        r = subprocess.run(["sh", "-c", json.loads(line)], stdin=subprocess.DEVNULL, capture_output=True)
        out = json.dumps([r.returncode, r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace")]).encode() + b"\\n"
        while out:
            out = out[os.write(port, out):]
"""
UNIT = """[Unit]
After=dev-virtio\\\\x2dports-trial.device
Wants=dev-virtio\\\\x2dports-trial.device
[Service]
ExecStart=/usr/bin/python3 /root/agent.py
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
"""

if os.getuid() != 0:
    tm.skip_all("only root can make a root")
for tool in ("debootstrap", "qemu-system-x86_64", "mke2fs"):
    if not shutil.which(tool):
        tm.skip_all(f"no {tool} here")
if not glob.glob(DEBS + "/tiermail_*.deb"):
    tm.skip_all(f"no packages in {DEBS}: make deb")
top = tempfile.mkdtemp(prefix="tm-boot-", dir=os.environ.get("TMPDIR", "/var/tmp"))
root, machine, wire, rest = top + "/root", None, None, b""
clock = time.monotonic()


def lap(what):
    """The log of the walk: seconds since the last lap."""
    global clock
    tm.diag(f"{time.monotonic() - clock:6.1f} s  {what}")
    clock = time.monotonic()


def put(path, text, mode=0o644):
    with open(root + path, "w") as f:
        f.write(text)
    os.chmod(root + path, mode)


def answer(limit):
    """The next line of the agent."""
    global rest
    end = time.monotonic() + limit
    while b"\n" not in rest:
        wire.settimeout(max(0.1, end - time.monotonic()))
        got = wire.recv(65536)
        if not got:
            raise EOFError("the machine is off")
        rest += got
    line, rest = rest.split(b"\n", 1)
    return json.loads(line)


def boot():
    """Switches the machine on; back when systemd has started the agent."""
    global machine, wire, rest
    rest, path = b"", top + "/wire"
    if os.path.exists(path):
        os.unlink(path)
    accel = os.environ.get("ACCEL", "tcg,thread=multi")
    machine = subprocess.Popen(
        ["qemu-system-x86_64", "-accel", accel, "-m", "2048", "-smp", "2", "-nodefaults", "-display", "none", "-no-reboot",
         "-serial", f"file:{top}/console", "-kernel", glob.glob(root + "/boot/vmlinuz-*")[0],
         "-initrd", glob.glob(root + "/boot/initrd.img-*")[0], "-append", "root=/dev/vda rw console=ttyS0 panic=1",
         "-drive", f"file={top}/disk,format=raw,if=virtio,cache=writeback", "-device", "virtio-rng-pci", "-device", "virtio-serial",
         "-chardev", f"socket,path={path},server=on,wait=off,id=t", "-device", "virtserialport,chardev=t,name=trial"],
        stderr=open(top + "/qemu", "w"))
    tm.wait_for(lambda: os.path.exists(path), what="the machine")
    wire = socket.socket(socket.AF_UNIX)
    wire.connect(path)
    return answer(900) == "up"


def shell(line, limit=600):
    """A command in the machine: status, output, errors"""
    wire.sendall(json.dumps("export LC_ALL=C.UTF-8; " + line).encode() + b"\n")
    return answer(limit)


def prop(unit, name):
    return shell(f"systemctl show -p {name} --value {unit}")[1].strip()


def read_mail():
    """Subjects of the INBOX, by IMAP with STARTTLS"""
    said = shell(f"curl -sS --cacert /etc/tiermail/tls/ca.pem --ssl-reqd -u 'anna@{DOMAIN}:{SECRET}' 'imap://{HOST}/INBOX' "
                 "-X 'FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])' -v 2>&1")[1]
    return sorted(re.findall(r"Subject: (.*?)\r*\n", said))


def active():
    return {d: prop(f"tiermail-{d}", "ActiveState") for d in DAEMONS}


ALL_ACTIVE = {d: "active" for d in DAEMONS}
try:
    # ---- a Debian with our packages, on a disk
    debian.bare(root, CACHE, WITH, STRANGER)
    put("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
    for d in glob.glob(DEBS + "/*.deb"):
        if "dbgsym" not in d:
            shutil.copy(d, root + "/root")
    tm.is_(debian.install(root, "/root/*.deb").returncode, 0, "the packages install")
    os.unlink(root + "/usr/sbin/policy-rc.d")
    put("/root/agent.py", AGENT)
    put("/etc/systemd/system/trial.service", UNIT)
    run("chroot", root, "systemctl", "enable", "trial.service")
    put("/etc/fstab", "/dev/vda / ext4 errors=remount-ro 0 1\n")
    put("/etc/hostname", HOST + "\n")
    put("/etc/hosts", f"127.0.0.1 localhost {HOST}\n")
    put("/root/secret", SECRET + "\n", 0o600)
    run("truncate", "-s", "3G", top + "/disk")
    tm.is_(run("mke2fs", "-q", "-t", "ext4", "-d", root, top + "/disk").returncode, 0, "on a disk")
    lap("a Debian with the packages")

    # ---- booted, and made a mail host
    tm.ok(boot(), "the machine boots")
    lap("booted")
    tm.is_(shell("ps -p 1 -o comm=")[1].strip(), "systemd", "by systemd")
    tm.is_(shell("systemctl --no-legend --plain list-units --failed 'tiermail*' | wc -l")[1].strip(), "0", "no unit of ours has failed before there is a configuration")
    status, out, err = shell(f"tiermail-setup --yes --domain {DOMAIN} --hostname {HOST} --role all --directory fresh --self-made --user anna "
                             "--user-password-file /root/secret", 1800)
    tm.is_((status, err), (0, ""), "tiermail-setup makes a mail host of it") or tm.diag(out[-3000:])
    lap("tiermail-setup")
    tm.is_(active(), ALL_ACTIVE, "its daemons run") or tm.diag(shell("journalctl -n 60 --no-pager -u 'tiermail*'")[1])
    tm.is_({d: shell(f"ps -o user:20= -p $(systemctl show -p MainPID --value tiermail-{d})")[1].strip() for d in DAEMONS}, DAEMONS,
           "each as its own user")
    caps = {d: shell(f"grep -h '^CapEff\\|^NoNewPrivs\\|^Seccomp:' /proc/$(systemctl show -p MainPID --value tiermail-{d})/status")[1].split() for d in DAEMONS}
    tm.is_({d: c[3::2] for d, c in caps.items()}, {d: ["1", "2"] for d in DAEMONS}, "with no new privileges and a filter of system calls")
    tm.ok(all(int(c[1], 16) & ~(1 << 10) == 0 for d, c in caps.items() if d != "piped"), "and no capability but to bind") or tm.diag(caps)
    listening = shell("ss -Hltn | awk '{print $4}' | sed 's/.*://' | sort -un")[1].split()
    tm.ok({"25", "587", "143", "110"} <= set(listening), "on ports below 1024") or tm.diag(listening)
    status, out, err = shell("tiermail-setup test --user anna --user-password-file /root/secret")
    tm.ok(status == 0 and out.count("ok  ") >= 3 and not err, "the first user sends, reads, and gets a report back") or tm.diag(out + err)
    status, out, err = shell("tiermail-setup check --json")
    said = [json.loads(line) for line in out.splitlines()]
    tm.is_([f for f in said if f["level"] == "FAIL" and f["what"] != "dns"], [], "tiermail-setup check: nothing fails")
    tm.is_([f for f in said if f["what"] == "units" and f["level"] != "OK"], [], "nor does it doubt a unit")
    tm.ok(any(f["what"] == "units" for f in said), "which it asks systemd about")
    lap("looked at")

    # ---- passwords that only their own unit is handed, as tiermail-install(7) says, and ports that systemd has bound
    tm.is_(shell(debian.TO_CREDSTORE)[0], 0, "the services' passwords go to /etc/credstore")
    status, out, err = shell("systemctl restart tiermail.target")
    tm.is_((status, active()), (0, ALL_ACTIVE), "all daemons start with what they are handed") or tm.diag(shell("journalctl -n 60 --no-pager -u 'tiermail*'")[1])
    handed = {d: sorted(shell(f"ls /run/credentials/tiermail-{d}.service")[1].split()) for d in ("sieved", "imapd", "stored", "jmapd")}
    tm.is_(handed, {"sieved": ["tiermail.ldap", "tiermail.sieve"], "imapd": ["tiermail.ldap"], "stored": ["tiermail.ldap"],
                    "jmapd": ["tiermail.jmap", "tiermail.ldap", "tiermail.pab"]}, "each its own")
    tm.is_(shell("cat /run/credentials/tiermail-stored.service/tiermail.ldap")[1].strip(), "-", "and who asks no directory, none")
    tm.ok(shell("setpriv --reuid tm-imap --regid tiermail --clear-groups cat /run/credentials/tiermail-sieved.service/tiermail.sieve")[0] != 0, "nobody reads another's")
    for d in ("imapd", "sieved", "jobctl"):
        tm.is_(shell(f"tmctl -d {d} reload")[0], 0, f"{d} reloads with them")  # systemd 252 hides them from ExecReload
    status, out, err = shell("tiermail-setup test --user anna --user-password-file /root/secret")
    tm.ok(status == 0 and not err, "mail goes there and back") or tm.diag(out + err)
    shell("cd /usr/share/tiermail/examples/init/sockets && cp *.socket /etc/systemd/system && mkdir -p /etc/systemd/system/tiermail-imapd.service.d && "
          "cp 30-sockets.conf /etc/systemd/system/tiermail-imapd.service.d && systemctl daemon-reload && systemctl stop tiermail-imapd")
    status, out, err = shell("systemctl enable --now tiermail-imapd-imap.socket tiermail-imapd-imaps.socket && systemctl start tiermail-imapd")
    tm.is_((status, prop("tiermail-imapd", "ActiveState")), (0, "active"), "imapd starts with the sample's sockets") or tm.diag(err)
    tm.is_(shell("grep -h ^CapBnd /proc/$(systemctl show -p MainPID --value tiermail-imapd)/status")[1].split()[1:], ["0" * 16], "and has no capability")
    tm.ok(tm.wait_for(lambda: shell("tiermail-setup test --user anna --user-password-file /root/secret")[0] == 0, 60), "but clients")
    shell("""cd /etc/credstore && for n in ldap sieve jmap pab admind; do
        install -m 640 -g tiermail tiermail.$n /etc/tiermail/$n.password
        sed -i "s,credential:tiermail.$n,file:/etc/tiermail/$n.password," /etc/tiermail/*.conf
    done""")
    shell("systemctl restart tiermail.target")
    tm.is_(active(), ALL_ACTIVE, "and back with files, as before")
    lap("credentials and sockets")

    # ---- the journal
    shell(f"swaks --server {HOST} --from stranger@elsewhere.example --to anna@{DOMAIN} --h-Subject 'from a stranger' 2>&1")
    want = ["from a stranger"]
    tm.ok(tm.wait_for(lambda: set(want) <= set(read_mail()), 60), "a stranger's mail arrives") or tm.diag(read_mail())
    told = lambda: shell(f"journalctl -o cat -u 'tiermail-*' | tmlog -l - from=stranger@elsewhere.example to=anna@{DOMAIN}")[1]
    tm.ok(tm.wait_for(lambda: f"anna@{DOMAIN}: delivered\n" in told(), 60), "tmlog tells its story from the journal") or tm.diag(told())

    # ---- reload
    for d in DAEMONS:
        tm.is_(shell(f"systemctl reload tiermail-{d}")[0], 0, f"{d} reloads")
    pid = prop("tiermail-imapd", "MainPID")
    shell("cp /etc/tiermail/imapd.conf /root/imapd.conf; echo 'nonsense = 1' >> /etc/tiermail/imapd.conf")
    tm.ok(shell("systemctl reload tiermail-imapd")[0] != 0, "a reload with a mistake fails")
    tm.ok("nonsense" in shell("journalctl -o cat -n 20 -u tiermail-imapd")[1], "in words")
    tm.is_((prop("tiermail-imapd", "ActiveState"), prop("tiermail-imapd", "MainPID")), ("active", pid), "and the old one goes on")
    shell("cp /root/imapd.conf /etc/tiermail/imapd.conf")
    tm.is_(shell("systemctl reload tiermail-imapd")[0], 0, "without it reloads")
    lap("reloaded")

    # ---- handed over to a new process
    for d in HANDED:
        pid = prop(f"tiermail-{d}", "MainPID")
        shell(f"systemctl kill -s USR2 --kill-whom=main tiermail-{d}")
        tm.ok(tm.wait_for(lambda: prop(f"tiermail-{d}", "MainPID") not in ("0", pid), 60), f"{d} hands over, and systemd knows the new one")
        tm.is_((prop(f"tiermail-{d}", "ActiveState"), prop(f"tiermail-{d}", "NRestarts")), ("active", "0"), "without a restart")
    tm.ok(set(want) <= set(read_mail()), "and is asked as before")
    lap("handed over")

    # ---- killed, and frozen
    for d in DAEMONS:
        pid = prop(f"tiermail-{d}", "MainPID")
        shell(f"kill -9 {pid}")
        tm.ok(tm.wait_for(lambda: prop(f"tiermail-{d}", "ActiveState") == "active" and prop(f"tiermail-{d}", "MainPID") not in ("0", pid), 60),
              f"{d} is started again when it was killed")
    lap("killed")
    pid = prop("tiermail-stored", "MainPID")
    shell(f"kill -STOP {pid}")
    tm.ok(tm.wait_for(lambda: prop("tiermail-stored", "MainPID") not in ("0", pid) and prop("tiermail-stored", "ActiveState") == "active", 300),
          "one that stands still is ended by the watchdog and started again")
    tm.ok(tm.wait_for(lambda: set(want) <= set(read_mail()), 60), "nobody has lost anything")
    lap("frozen")

    # ---- all of them, and the timers
    tm.is_(shell("systemctl stop tiermail.target")[0], 0, "tiermail.target stops")
    tm.is_({s for s in active().values()}, {"inactive"}, "all with it, in good order") or tm.diag(active())
    tm.is_(shell("systemctl start tiermail.target")[0], 0, "and starts")
    tm.is_(active(), ALL_ACTIVE, "all of them")
    for unit in ("tiermail-expire", "renew-tiermail"):
        tm.is_(shell(f"systemctl start {unit}.service")[0], 0, f"what {unit}.timer starts comes to its end") or tm.diag(shell(f"journalctl -n 20 -u {unit}")[1])
    tm.is_(shell("systemctl --no-legend --plain list-units --failed")[1], "", "no unit of the host has failed")
    lap("stopped and started")

    # ---- booted again
    shell("(sleep 1; systemctl reboot) >/dev/null 2>&1 &")
    machine.wait(300)
    tm.ok(boot(), "the machine boots again")
    tm.ok(tm.wait_for(lambda: active() == ALL_ACTIVE, 300), "and the daemons with it") or tm.diag(active())
    tm.ok(set(want) <= set(read_mail()), "mail is there")
    lap("booted again")

    # ---- its power cut: what was said to be taken is there
    status, out, err = shell("for i in 1 2 3 4 5 6 7 8; do swaks --server %s --from stranger@elsewhere.example --to anna@%s --h-Subject \"before the cut $i\" "
                             ">/dev/null 2>&1 && echo $i; done" % (HOST, DOMAIN))
    machine.kill()
    machine.wait()
    said = out.split()
    tm.is_(said, list("12345678"), "eight messages are taken, and the power is cut")
    want += ["before the cut " + i for i in said]
    tm.ok(boot(), "it boots behind that")
    tm.ok(tm.wait_for(lambda: active() == ALL_ACTIVE, 300), "with its daemons") or tm.diag(active())
    tm.ok(tm.wait_for(lambda: set(want) <= set(read_mail()), 300), "and has all that it took") or tm.diag(read_mail())
    tm.is_(len([s for s in read_mail() if s.startswith("before the cut")]), 8, "none of it twice")
    lap("power cut")
    shell("(sleep 1; systemctl poweroff) >/dev/null 2>&1 &")
    tm.is_(machine.wait(300), 0, "it goes off")
finally:
    if machine and machine.poll() is None:
        machine.kill()
        machine.wait()
    shutil.rmtree(top, ignore_errors=True)
tm.done()
