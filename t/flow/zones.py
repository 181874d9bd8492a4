"""For tests of mail to the Internet: zones, signed or not, that nsd serves; certificates; a host of the web."""
import os, shutil, socket, ssl, subprocess, threading

import tm

NSD = shutil.which("nsd") or "/usr/sbin/nsd"
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def here():
    return os.path.exists(NSD) and shutil.which("ldns-signzone") and shutil.which("openssl")


class Certificates:
    """ca.pem in a folder of its own, and what it has signed; `own` is signed by nobody."""

    def __init__(self):
        self.dir = tm.tempdir()
        os.chmod(self.dir, 0o755)
        self.run("openssl", "req", "-x509", *EC, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=A public CA")
        self.ca = f"{self.dir}/ca.pem"

    def run(self, *args):
        return subprocess.run(args, check=True, cwd=self.dir, capture_output=True).stdout

    def make(self, name, *names):
        """A certificate of the CA's for these names."""
        self.run("openssl", "req", "-new", *EC, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        with open(f"{self.dir}/names", "w") as f:
            f.write("subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n")
        self.run("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
                 "-extfile", "names", "-out", f"{name}.pem")

    def own(self, name):
        self.run("openssl", "req", "-x509", *EC, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "30", "-subj", f"/CN={name}")

    def server(self, name):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(f"{self.dir}/{name}.pem", f"{self.dir}/{name}.key")
        return c

    def spki(self, name):
        """The public key, as TLSA has it."""
        with open(f"{self.dir}/pub", "wb") as f:
            f.write(self.run("openssl", "x509", "-in", f"{name}.pem", "-noout", "-pubkey"))
        return self.run("openssl", "pkey", "-pubin", "-in", "pub", "-outform", "DER")


class Zones:
    """`texts`: records below each zone's name; those of `signed` are.  .stubs and .anchor are for the keys dns.*"""

    def __init__(self, texts, signed=()):
        self.dir = d = tm.tempdir()
        os.chmod(d, 0o755)
        self.anchor = None
        for name, text in texts.items():
            with open(f"{d}/{name}.zone", "w") as f:
                f.write(f"$ORIGIN {name}.\n$TTL 60\n@ SOA ns.{name}. root.{name}. 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n{text}")
            if name in signed:
                key = self.run("ldns-keygen", "-r", "/dev/urandom", "-a", "ECDSAP256SHA256", "-k", name).decode().strip()
                self.run("ldns-signzone", "-f", f"{name}.zone", f"{name}.zone", key)
                self.anchor = f"{d}/{key}.key"
        first = b"".join(bytes([len(p)]) + p.encode() for p in list(texts)[0].split("."))
        for _ in range(10):  # a port that is free for UDP may have been taken by TCP
            port = self.start(texts)
            if tm.wait_for(lambda: self.nsd.poll() is not None or self.answers(port, first)) and self.nsd.poll() is None:
                break
        else:
            raise RuntimeError("nsd does not answer: " + open(f"{d}/log").read())
        self.stubs = " ".join(f"{n}=127.0.0.1@{port}" for n in texts)

    def start(self, zones):
        d, port = self.dir, tm.free_port()
        with open(f"{d}/nsd.conf", "w") as f:
            f.write(f'server:\n ip-address: 127.0.0.1@{port}\n username: ""\n chroot: ""\n zonesdir: "{d}"\n database: ""\n pidfile: "{d}/pid"\n xfrdfile: "{d}/xfrd"\n'
                    f' zonelistfile: "{d}/zl"\n xfrdir: "{d}"\n logfile: "{d}/log"\nremote-control:\n control-enable: no\n')
            f.writelines(f"zone:\n name: {name}\n zonefile: {name}.zone\n" for name in zones)
        self.nsd = subprocess.Popen([NSD, "-d", "-c", f"{d}/nsd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return port

    def run(self, *args):
        return subprocess.run(args, check=True, cwd=self.dir, capture_output=True).stdout

    @staticmethod
    def answers(port, name):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as c:
            c.settimeout(0.2)
            try:
                c.connect(("127.0.0.1", port))
                c.send(b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + name + b"\0\0\x06\0\x01")
                return len(c.recv(4096)) > 12
            except OSError:
                return False

    def stop(self):
        self.nsd.terminate()
        self.nsd.wait()


class Web(threading.Thread):
    """HTTPS on a port of its own: `say` has for a (method, path) what is answered, (status, type, body); a function makes it of
    the body that came.  `asked`: (method, host, path, type, body)."""

    def __init__(self, context):
        super().__init__(daemon=True)
        self.say, self.asked, self.context = {}, [], context
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.start()

    def run(self):
        while True:
            c, _ = self.sock.accept()
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            c = self.context.wrap_socket(c, server_side=True)
            f = c.makefile("rwb")
            method, path, _ = f.readline().decode().split()
            head = {}
            while (h := f.readline().decode().strip()):
                k, _, v = h.partition(":")
                head[k.lower()] = v.strip()
            body = f.read(int(head.get("content-length", 0)))
            host = head.get("host", "").partition(":")[0]
            self.asked.append((method, host, path, head.get("content-type"), body))
            answer = self.say.get((host, path), ("404 Not Found", "text/plain", "no"))
            status, kind, text = answer(body) if callable(answer) else answer
            f.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
            f.flush()
            c.unwrap()
        except (OSError, ValueError):
            pass
        finally:
            c.close()
