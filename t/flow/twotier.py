"""scripts/two-tier for a test: up while it runs, and its process is in the network of the host `client`.

    tt = twotier.Deployment("--users", "6")
    tt.submit(1, [tt.address(2)], "subject")       user 1 sends, by the balancer
    tt.arrived(2, "subject")                       the message's octets in user 2's INBOX, waited for
    tt.done()
"""
import atexit, ctypes, glob, http.client, imaplib, json, os, poplib, re, smtplib, socket, ssl, subprocess, sys
import tm

SCRIPT = os.path.join(tm.TOP, "scripts/two-tier")
CLONE_NEWNET = 0x40000000


class Deployment:
    def __init__(self, *args):
        self.dir = tm.tempdir()
        atexit.register(self.call, "down")
        r = self.call("up", self.dir, *args)
        if r.returncode == 77:
            tm.skip_all(r.stderr.strip())
        if not tm.ok(r.returncode == 0, "the deployment comes up"):
            tm.diag(r.stdout + r.stderr)
            sys.exit(1)
        self.env = {}
        with open(self.dir + "/env") as f:
            for line in f:
                key, _, value = line.strip().partition("=")
                self.env[key] = value.strip("'")
        for host in self.env["HOSTS"].split():
            for log in glob.glob(f"{self.dir}/{host}/log/*.log"):
                tm.watch_log(log)
        self.tls = ssl.create_default_context(cafile=self.env["CAFILE"])
        self.go_to("client")
        # The name is in the certificate; the balancer's address is no business of this machine's resolver.
        real, name, lb = socket.getaddrinfo, self.env["MAIL_HOST"], self.env["LB"]
        socket.getaddrinfo = lambda host, *a, **kw: real(lb if host == name else host, *a, **kw)

    def call(self, *args):
        where = [] if args[0] == "up" else ["-C", self.dir]
        return subprocess.run([SCRIPT, *where, *args], capture_output=True, text=True, errors="replace")

    def go_to(self, host):
        """Every socket from here on is one of that host's."""
        net = self.call("exec", host, "readlink", "/proc/self/ns/net").stdout.strip()
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{p}/ns/net") == net:
                    fd = os.open(f"/proc/{p}/ns/net", os.O_RDONLY)
                    break
            except OSError:
                continue
        if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        os.close(fd)

    def done(self):
        r = self.call("down")
        tm.is_(r.stderr, "", "everything has ended in its time")
        left = [p for p in filter(str.isdigit, os.listdir("/proc")) if self.holds(p)]
        tm.is_(left, [], "and nothing is left running")
        for log in glob.glob(self.dir + "/*/log/*.log"):
            with open(log, errors="replace") as f:
                tm.Sandbox.bugs += [f"{log}: {l.strip()}" for l in f if tm.Sandbox.REPORT.search(l)]
        tm.done()

    def holds(self, pid, folder=None):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                return f"\0_host\0{folder or self.dir}\0".encode() in f.read()
        except OSError:
            return False

    # ---- people
    def user(self, n):
        return self.env["USER_PATTERN"] % n

    def address(self, n):
        return f"{self.user(n)}@{self.env['DOMAIN']}"

    def imap(self, n, secure=True):
        host = self.env["MAIL_HOST"]
        if secure:
            c = imaplib.IMAP4_SSL(host, 993, ssl_context=self.tls, timeout=tm.LONG)
        else:
            c = imaplib.IMAP4(host, 143, timeout=tm.LONG)
            c.starttls(self.tls)
        c.login(self.user(n), self.env["PASSWORD"])
        return c

    def pop(self, n):
        p = poplib.POP3_SSL(self.env["MAIL_HOST"], 995, context=self.tls, timeout=tm.LONG)
        p.user(self.user(n))
        p.pass_(self.env["PASSWORD"])
        return p

    def web(self, method, path, body=None, cookie=None):
        """A request of a browser, by the balancer: (the answer, its octets)."""
        c = http.client.HTTPSConnection(self.env["MAIL_HOST"], 443, context=self.tls, timeout=tm.LONG)
        c.request(method, path, body and json.dumps(body), {"Content-Type": "application/json", "Origin": "https://" + self.env["MAIL_HOST"], **({"Cookie": cookie} if cookie else {})})
        r = c.getresponse()
        return r, r.read()

    def browser(self, n, password=None):
        """The cookie of a session of the web, or None."""
        said = self.web("POST", "/login", {"user": self.user(n), "password": password or self.env["PASSWORD"]})[0].getheader("Set-Cookie")
        return said and said.split(";")[0]

    def submit(self, n, to, subject):
        with smtplib.SMTP(self.env["MAIL_HOST"], 587, local_hostname="client.test", timeout=tm.LONG) as s:
            s.starttls(context=self.tls)
            s.login(self.user(n), self.env["PASSWORD"])
            s.sendmail(self.address(n), to, f"From: <{self.address(n)}>\r\nSubject: {subject}\r\n\r\nhello\r\n")

    def internet(self, to, subject):
        """Somebody out there sends, by a Postfix of his own."""
        with smtplib.SMTP(self.env["INET"], 25, local_hostname="client.test", timeout=tm.LONG) as s:
            s.sendmail(f"friend@{self.env['OUTSIDE']}", to, f"Subject: {subject}\r\nTo: {', '.join(to)}\r\n\r\nhello\r\n")

    def outside(self, subject):
        """What has arrived out there under that subject."""
        found = []
        for path in glob.glob(self.dir + "/inet/var/mail/all/new/*"):
            with open(path, "rb") as f:
                text = f.read()
            if f"\nSubject: {subject}\n".encode() in text:
                found.append(text)
        return found

    def files(self, n):
        """The message files of a user, wherever he is."""
        return glob.glob(f"{self.dir}/store?/var/lib/tiermail/partition/*/=user/*/*/={self.address(n)}/=INBOX/*/*.msg")

    def find(self, n, subject):
        for path in self.files(n):
            with open(path, "rb") as f:
                text = f.read()
            if f"\r\nSubject: {subject}\r\n".encode() in text:
                return text
        return None

    def subjects(self, n):
        """Of all messages in the INBOX of a user."""
        for path in self.files(n):
            with open(path, "rb") as f:
                yield from re.findall(r"(?m)^Subject: (.*?)\r?$", f.read().decode().partition("\r\n\r\n")[0])

    def arrived(self, n, subject):
        return tm.wait_for(lambda: self.find(n, subject), what=f"{subject!r} for user {n}")

    # ---- operators
    def log(self, host, program, *words):
        """Lines of a daemon's log with all the words (channel-master's are in jobctl's)."""
        try:
            with open(f"{self.dir}/{host}/log/{program}.log", errors="replace") as f:
                return [l for l in f if all(w in l for w in words)]
        except FileNotFoundError:
            return []

    def only(self, service, server=None):
        """The balancer sends new sessions of a service to that server; None: to all."""
        pair = ("out1", "out2") if service.startswith("sub") else ("mem1", "mem2") if service.startswith("http") else ("mmp1", "mmp2")
        other = dict(zip(pair, pair[::-1]))
        lines = [f"enable server {service}/{s}" for s in pair]
        lines += [f"disable server {service}/{other[server]}"] if server else []
        for line in lines:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(f"{self.dir}/lb/run/haproxy.sock")
                s.sendall(line.encode() + b"\n")
                s.recv(1000)

    def modify(self, n, text):
        """Changes a user's entry at the master: LDIF behind `changetype: modify`."""
        r = subprocess.run([SCRIPT, "-C", self.dir, "exec", "ldap-master", "ldapmodify", "-x", "-H", "ldapi://%2Frun%2Fslapd%2Fldapi",
                            "-D", self.env["LDAP_ADMIN_DN"], "-w", self.env["LDAP_ADMIN_PASSWORD"]], capture_output=True, text=True,
                           input=f"dn: uid={self.user(n)},ou=People,o={self.env['DOMAIN']},{self.env['LDAP_BASE']}\nchangetype: modify\n{text}\n")
        return r.returncode == 0 or tm.diag(r.stderr)

    def ldap(self, host, n, attribute):
        """An attribute of a user as that replica has it."""
        return self.call("exec", host, "ldapsearch", "-x", "-LLL", "-H", "ldapi://%2Frun%2Fslapd%2Fldapi", "-D", self.env["LDAP_ADMIN_DN"],
                         "-w", self.env["LDAP_ADMIN_PASSWORD"], "-b", self.env["LDAP_BASE"], f"(uid={self.user(n)})", attribute).stdout
