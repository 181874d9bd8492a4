"""A client of lines by hand, for what stands in front of a protocol or around it: PROXY headers, TLS with
a certificate of one's own, bytes in steps.

    w = wire.Line(address, header=b"PROXY ...", tls=sb, cert=folder)
    w.line()                   a line without its end; "" when the connection is over
    w.say("NOOP")              sends it, gives the next line
    w.tagged("NOOP")           IMAP: (untagged lines, the tagged one without its tag)
"""
import contextlib, os, resource, shutil, socket, ssl, struct, subprocess, sys, time
import tm

sys.path.append(os.path.join(tm.TOP, "scripts/lib"))
import directory

SIGN = b"\r\n\r\n\0\r\nQUIT\n"


def v1(host, port=4711, to="198.51.100.1", at=143):
    return f"PROXY TCP{6 if ':' in host else 4} {host} {to} {port} {at}\r\n".encode()


def v2(host, port=4711, to="198.51.100.1", at=143, tlvs=b""):
    body = socket.inet_aton(host) + socket.inet_aton(to) + struct.pack("!HH", port, at) + tlvs
    return SIGN + b"\x21\x11" + struct.pack("!H", len(body)) + body


LOCAL = SIGN + b"\x20\0\0\0"


def certificate(sb, name, roles=None):
    """A folder with server.pem and server.key for `name`, of the sandbox's authority; with `roles` ("" or words
    with commas) made by tiermail-ca."""
    folder = os.path.join(sb.dir, "cert-" + name)
    if roles is None:
        directory.certificates(folder, [name], ["127.0.0.9"], sb.dir + "/tls")
        return folder
    ca = sb.dir + "/tiermail-ca"
    os.makedirs(ca + "/hosts", exist_ok=True)
    os.makedirs(folder)
    for file in ("ca.pem", "ca.key"):
        shutil.copy(f"{sb.dir}/tls/{file}", ca)
    subprocess.run([tm.TOP + "/scripts/tier-ca", "-C", ca, "-r", roles, "host", name], check=True, stdout=subprocess.DEVNULL)
    for kind in ("pem", "key"):
        shutil.copy(f"{ca}/hosts/{name}.{kind}", f"{folder}/server.{kind}")
    return folder


def context(sb, cert=None):
    c = ssl.create_default_context(cafile=sb.env["CAFILE"])
    c.check_hostname = False
    if cert:
        c.load_cert_chain(cert + "/server.pem", cert + "/server.key")
    return c


class Line:
    def __init__(self, at, header=b"", tls=None, cert=None, step=0, source=None):
        self.buf, self.n = b"", 0
        self.sock = socket.create_connection(at, timeout=tm.LONG, source_address=source)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(header), step or len(header) or 1):
            self.sock.sendall(header[i:i + (step or len(header))])
        if tls:
            self.tls(tls, cert)

    def tls(self, sb, cert=None):
        self.sock = context(sb, cert).wrap_socket(self.sock, server_hostname="localhost")

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        try:
            while b"\n" not in self.buf:
                more = self.sock.recv(65536)
                if not more:
                    return ""
                self.buf += more
        except (ConnectionError, ssl.SSLError):
            return ""
        line, _, self.buf = self.buf.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")

    def rest(self):
        """All until the end."""
        lines = []
        while True:
            line = self.line()
            if not line and not self.buf:
                return lines
            lines.append(line)

    def say(self, text):
        self.send(text + "\r\n")
        return self.line()

    def tagged(self, text):
        self.n += 1
        tag, untagged = f"t{self.n} ", []
        self.send(tag + text + "\r\n")
        while True:
            line = self.line()
            if line.startswith(tag) or not line:
                return untagged, line[len(tag):]
            untagged.append(line)

    def close(self):
        self.sock.close()


def log(sb, name, *words):
    """Lines of a daemon's log that hold all the words."""
    with open(f"{sb.env['RUNDIR']}/{name}.log", errors="replace") as f:
        return [l for l in f if all(w in l for w in words)]


def logged(sb, name, *words):
    """The same, waited for: a line may come after the answer."""
    return tm.wait_for(lambda: log(sb, name, *words), what=f"{name}'s log to say {' '.join(words)}")


def modify(sb, user, text):
    """Changes an entry of the directory: LDIF behind `changetype: modify`."""
    name = sb.user(user) if isinstance(user, int) else user
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w",
                        sb.env["LDAP_ADMIN_PASSWORD"]], capture_output=True, text=True,
                       input=f"dn: uid={name},ou=people,o={sb.domain},{sb.env['LDAP_BASE']}\n"
                             f"changetype: modify\n{text}\n")
    if r.returncode:
        tm.diag(r.stderr)
    return r.returncode == 0


@contextlib.contextmanager
def no_descriptors(sb, daemon):
    """In it the workers of a daemon have those that they have, and get no more."""
    master = open(f"{sb.env['RUNDIR']}/{daemon}.pid").read().strip()
    pids = [int(p) for p in open(f"/proc/{master}/task/{master}/children").read().split()]
    taken = lambda: [{int(fd) for fd in os.listdir(f"/proc/{p}/fd")} for p in pids]
    tm.wait_for(lambda: (was := taken()) and (time.sleep(.3) or was == taken()))     # none is on its way
    old = [resource.prlimit(p, resource.RLIMIT_NOFILE) for p in pids]
    for p, (_, most), there in zip(pids, old, taken()):
        resource.prlimit(p, resource.RLIMIT_NOFILE, (next(n for n in range(most) if n not in there), most))
    try:
        yield
    finally:
        for p, was in zip(pids, old):
            resource.prlimit(p, resource.RLIMIT_NOFILE, was)
