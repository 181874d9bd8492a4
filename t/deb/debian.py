"""A bare Debian in a folder, and a host of our packages there, for packages.t, upgrade.t and boot.t.  Not a test."""
import glob, json, os, shutil, signal, subprocess, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../flow"))
import tm

MIRROR = os.environ.get("MIRROR", "http://deb.debian.org/debian")
DEVICES = (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9))


def run(*argv, text=None, check=True, limit=600):
    r = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=limit)
    if check and r.returncode:
        tm.diag(f"{' '.join(argv)}: {r.returncode}\n{r.stdout[-3000:]}{r.stderr[-3000:]}")
    return r


def install(root, what, **how):
    """Packages of the archive, or files of the root, by its own apt."""
    return run("chroot", root, "sh", "-c", "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy "
               "--no-install-recommends " + what, **how)


def bare(root, cache, include, more=""):
    """Nothing of ours: from the archive, or as a former run has left it in `cache`; `more` is what debootstrap
    cannot resolve.  Ends the test as skipped where there is no archive."""
    if not os.path.exists(cache):
        if run("debootstrap", "--variant=minbase", "--include=" + include, "bookworm", root, MIRROR, limit=3000).returncode:
            tm.skip_all("no Debian to be had from " + MIRROR)
        if more:
            install(root, more)
        if run("tar", "-C", root, "--exclude=./dev/*", "--exclude=./proc/*", "-cf", cache + ".new", ".").returncode == 0:
            os.rename(cache + ".new", cache)
        return
    os.mkdir(root)
    run("tar", "-C", root, "-xf", cache)
    for name, minor in DEVICES:
        if not os.path.exists(f"{root}/dev/{name}"):
            os.mknod(f"{root}/dev/{name}", 0o20666, os.makedev(1, minor))
            os.chmod(f"{root}/dev/{name}", 0o666)


CACHE = os.environ.get("DEB_CACHE", "/var/tmp/tiermail-deb-root.tar")
WITH, STRANGER = "slapd,ldap-utils,curl,openssl,python3", "swaks libnet-ssleay-perl"
DOMAIN, HOST, BASE, SECRET = "example.org", "mail.example.org", "dc=example,dc=org", "a secret of this test"
SETUP = (f"tiermail-setup --yes --domain {DOMAIN} --hostname {HOST} --role all --directory fresh --self-made --user anna "
         "--user-password-file /root/secret")


TO_CREDSTORE = """set -e
mkdir -p -m 700 /etc/credstore
cd /etc/tiermail
for n in ldap sieve jmap pab admind; do
    install -m 600 $n.password /etc/credstore/tiermail.$n
    sed -i "s,file:/etc/tiermail/$n.password,credential:tiermail.$n," *.conf
    rm $n.password
done"""


def can(debs, *tools):
    """Ends the test as skipped where there cannot be such a root, or are no packages for it."""
    if os.getuid() != 0:
        tm.skip_all("only root can make a root")
    for tool in ("debootstrap", *tools):
        if not shutil.which(tool):
            tm.skip_all(f"no {tool} here")
    if not glob.glob(debs + "/tiermail_*.deb"):
        tm.skip_all(f"no packages in {debs}: make deb")


class Root:
    """A Debian in a folder with ports and mounts of its own, which end with the test, however it ends.  systemd does not
    run there: what it does with a unit is done by setpriv(1)."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="tm-deb-", dir=os.environ.get("TMPDIR", "/var/tmp"))
        self.path, self.children, self.space = self.top + "/root", {}, None
        self.caps = None  # instead of what units say

    def make(self):
        bare(self.path, CACHE, WITH, STRANGER)
        self.put("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)
        self.put("/etc/hosts", f"127.0.0.1 localhost {HOST}\n")
        self.space = subprocess.Popen(["unshare", "--net", "--mount", "setpriv", "--pdeathsig", "KILL", "sh", "-c",
                                       f"ip link set lo up && mount -t proc proc {self.path}/proc && echo ready && exec sleep infinity"],
                                      stdout=subprocess.PIPE, text=True)
        if self.space.stdout.readline() != "ready\n":
            tm.skip_all("no namespaces here")
        self.enter = ["nsenter", f"--net=/proc/{self.space.pid}/ns/net", f"--mount=/proc/{self.space.pid}/ns/mnt", "--"]

    def processes(self):
        """{pid: name} of those that live in the root."""
        found = {}
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{p}/comm") as f:
                    name = f.read().strip()
                if os.readlink(f"/proc/{p}/root") == self.path:
                    found[int(p)] = name
            except OSError:
                pass
        return found

    def end(self):
        tm.end(self.children.values())
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.space:
            self.space.kill()
            self.space.wait()
        shutil.rmtree(self.top, ignore_errors=True)

    def copy(self, debs, to):
        """The packages of a folder into one of the root."""
        os.makedirs(self.path + to, exist_ok=True)
        for d in glob.glob(debs + "/*.deb"):
            if "dbgsym" not in d:
                shutil.copy(d, self.path + to)

    def inside(self, *argv, **how):
        """A command in the root, on its own network"""
        return run(*self.enter, "chroot", self.path, *argv, **how)

    def shell(self, line, **how):
        return self.inside("sh", "-c", "export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8; " + line, **how)

    def put(self, path, text, mode=0o644):
        with open(self.path + path, "w") as f:
            f.write(text)
        os.chmod(self.path + path, mode)

    def text_of(self, path):
        with open(self.path + path) as f:
            return f.read()

    def slapd(self):
        """As its init script does, which would take another root's slapd for its own."""
        self.children["slapd"] = subprocess.Popen(
            [*self.enter, "chroot", self.path, "slapd", "-d", "0", "-h", "ldap:/// ldapi:///", "-u", "openldap", "-g", "openldap",
             "-F", "/etc/ldap/slapd.d"], stderr=subprocess.DEVNULL)
        tm.wait_for(lambda: self.shell("ldapwhoami -Q -Y EXTERNAL -H ldapi:///", check=False).returncode == 0, what="slapd")

    def unit(self, name):
        """What the unit of a daemon and, behind it, the drop-ins say of [Service]; the last one of a key"""
        said, where = {}, "/lib/systemd/system/"
        drops = [f[len(self.path):] for d in ("tiermail-.service.d", f"tiermail-{name}.service.d") for f in glob.glob(f"{self.path}{where}{d}/*.conf")]
        for path in (f"{where}tiermail-{name}.service", *sorted(drops, key=os.path.basename)):
            part = ""
            with open(self.path + path) as f:
                for line in f:
                    line = line.strip()
                    part = line if line.startswith("[") else part
                    if part == "[Service]" and "=" in line and line[0] != "#":
                        key, value = line.split("=", 1)
                        if key == "LoadCredential":
                            value = said.get(key, "") + " " + value
                        said.setdefault(key, value) if key == "ExecReload" else said.__setitem__(key, value)
        return said

    def start(self, name):
        u = self.unit(name)
        caps = ",".join("+" + c.removeprefix("CAP_").lower() for c in (self.caps or u["AmbientCapabilities"]).split())
        log = open(f"{self.path}/var/log/{name}.log", "a")
        found = [c for c in u.get("LoadCredential", "").split() if os.path.exists(f"{self.path}/etc/credstore/{c}")]
        folder, handed, dummy = f"/run/credentials/tiermail-{name}.service", [], u.get("SetCredential", "").partition(":")
        if found or dummy[0]:
            self.shell(f"rm -rf {folder}; mkdir -p {folder}; cd {folder}; " + "".join(f"cp /etc/credstore/{c} .; " for c in found) +
                       (f"echo {dummy[2]} >{dummy[0]}; " if dummy[0] else "") + f"chown -R {u['User']} {folder}; chmod -R go= {folder}")
            handed = ["env", "CREDENTIALS_DIRECTORY=" + folder]
        self.children[name] = subprocess.Popen(
            [*self.enter, "chroot", self.path, "setpriv", "--reuid", u["User"], "--regid", u["Group"], "--clear-groups", "--no-new-privs",
             *(["--ambient-caps", caps, "--inh-caps", caps] if caps else []), *handed, *u["ExecStart"].split()],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, umask=int(u["UMask"], 8))

    def stop(self, name):
        p = self.children.pop(name)
        p.terminate()
        return p.wait(120)

    def runs(self, name):
        r = self.shell(f"test -S /run/tiermail/{name}.ctl && cat /run/tiermail/{name}.pid", check=False)
        return r.returncode == 0 and r.stdout.strip().isdigit()

    def log_of(self, name):
        return self.text_of(f"/var/log/{name}.log")[-2000:]

    def to_credstore(self):
        """The services' passwords to where their own units alone read them: tiermail-install(7)"""
        return self.shell(TO_CREDSTORE)

    def starts(self, daemons):
        for d in daemons:
            self.start(d)
        for d in daemons:
            tm.ok(tm.wait_for(lambda: self.runs(d)), f"{d} runs as its unit says") or tm.diag(self.log_of(d))

    def read_mail(self, user="anna", port=143):
        """Subjects of the INBOX, by IMAP with STARTTLS, as curl and a stranger's client see them"""
        return self.shell(f"curl -sS --cacert /etc/tiermail/tls/ca.pem --ssl-reqd -u '{user}@{DOMAIN}:{SECRET}' 'imap://{HOST}:{port}/INBOX' "
                          "-X 'FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])' -v 2>&1 "
                          "| sed -n 's/^.*Subject: \\(.*\\)\\r*$/\\1/p'", check=False).stdout.replace("\r", "").split("\n")[:-1]

    def check(self):
        """{question: worst level} of tiermail-setup check, and its words"""
        r = self.shell("tiermail-setup check --json", check=False)
        found = {}
        for f in map(json.loads, r.stdout.splitlines()):
            found[f["what"]] = max(found.get(f["what"], ""), f["level"], key=["", "OK", "WARN", "FAIL"].index)
        return found, r.stdout
