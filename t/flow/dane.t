#!/usr/bin/env python3
"""DANE: hosts with secure TLSA records are held to them, and to nothing where DNSSEC says that there are
none.  A zone is signed and served for the test, with hosts that are right, wrong, downgraded, bogus, insecure."""
import hashlib, os, re, shutil, socket, ssl, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

NSD = shutil.which("nsd") or "/usr/sbin/nsd"
if not os.path.exists(NSD) or not shutil.which("ldns-signzone"):
    tm.skip_all("nsd or ldnsutils are not installed")
d = tm.tempdir()
os.chmod(d, 0o755)


def run(*args):
    return subprocess.run(args, check=True, cwd=d, capture_output=True).stdout


# ---- certificates: an outdated one of another name, and one by a CA of its own
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
run("openssl", "req", "-new", *EC, "-keyout", "own.key", "-out", "own.csr", "-subj", "/CN=elsewhere.example")
with open(f"{d}/ca.conf", "w") as f:
    f.write("[ca]\ndefault_ca=c\n[c]\ndatabase=db\nnew_certs_dir=.\nserial=serial\npolicy=p\ndefault_md=sha256\n[p]\ncommonName=supplied\n")
open(f"{d}/db", "w").close()
with open(f"{d}/serial", "w") as f:
    f.write("01\n")
run("openssl", "ca", "-config", "ca.conf", "-selfsign", "-batch", "-notext", "-in", "own.csr", "-keyfile", "own.key",
    "-startdate", "20200101000000Z", "-enddate", "20200102000000Z", "-out", "own.pem")
run("openssl", "req", "-x509", *EC, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=A CA")
run("openssl", "req", "-new", *EC, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=mx")
with open(f"{d}/names", "w") as f:
    f.write("subjectAltName=DNS:anchor.signed.test,DNS:hop.signed.test\n")
run("openssl", "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
    "-extfile", "names", "-out", "leaf.pem")
with open(f"{d}/chain.pem", "w") as f:
    f.write(open(f"{d}/leaf.pem").read() + open(f"{d}/ca.pem").read())


def server(cert, key):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(f"{d}/{cert}", f"{d}/{key}")
    return c


def cert(pem):
    return run("openssl", "x509", "-in", pem, "-outform", "DER")


def spki(pem):
    with open(f"{d}/pub", "wb") as f:
        f.write(run("openssl", "x509", "-in", pem, "-noout", "-pubkey"))
    return run("openssl", "pkey", "-pubin", "-in", "pub", "-outform", "DER")


def sha256(b):
    return hashlib.sha256(b).hexdigest()


# ---- hosts: one port, three addresses
STARTTLS = ("PIPELINING", "8BITMIME", "SIZE 0", "STARTTLS")
while True:
    own = Mail(("127.0.0.1", 0), offers=STARTTLS, tls=server("own.pem", "own.key"))
    try:
        by_ca = Mail(("127.0.0.2", own.port), offers=STARTTLS, tls=server("chain.pem", "leaf.key"))
        plain = Mail(("127.0.0.3", own.port))
        break
    except OSError:
        own.close()

# ---- zones
HOSTS = {  # host: (address, TLSA records)
    "key": (1, [f"3 1 1 {sha256(spki('own.pem'))}"]),
    "whole": (1, [f"3 0 1 {sha256(cert('own.pem'))}"]),
    "long": (1, [f"3 1 2 {hashlib.sha512(spki('own.pem')).hexdigest()}"]),
    "full": (1, [f"3 0 0 {cert('own.pem').hex()}"]),
    "rolled": (1, [f"3 1 1 {'ab' * 32}", f"3 1 1 {sha256(spki('own.pem'))}"]),
    "wrong": (1, [f"3 1 1 {'ab' * 32}"]),
    "public": (1, [f"1 1 1 {'ab' * 32}", f"3 1 1 {'ab' * 31}"]),
    "bogus": (1, [f"3 1 1 {sha256(spki('own.pem'))}"]),
    "anchor": (2, [f"2 0 1 {sha256(cert('ca.pem'))}"]),
    "misnamed": (2, [f"2 0 1 {sha256(cert('ca.pem'))}"]),
    "stripped": (3, [f"3 1 1 {sha256(spki('own.pem'))}"]),
    "without": (3, []),
}


def zone(name, extra=""):
    t = f"$ORIGIN {name}.\n$TTL 60\n@ SOA ns.{name}. root.{name}. 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
    for h, (a, records) in HOSTS.items():
        t += f"{h} A 127.0.0.{a}\nto-{h} MX 10 {h}\n" + "".join(f"_{own.port}._tcp.{h} TLSA {r}\n" for r in records)
    with open(f"{d}/{name}.zone", "w") as f:
        f.write(t + extra)


zone("signed.test", "_mta-sts.to-key TXT \"v=STSv1; id=1\"\nsecond MX 10 wrong\nsecond MX 20 key\nalias CNAME key\nto-alias MX 10 alias\nhop MX 10 misnamed\n"
     "away CNAME key.plain.test.\nto-away MX 10 away\n"
     f"_{own.port}._tcp.away TLSA 3 1 1 {'ab' * 32}\nto-plain MX 10 wrong.plain.test.\n")
zone("plain.test", "to-signed MX 10 wrong.signed.test.\n")
key = run("ldns-keygen", "-r", "/dev/urandom", "-a", "ECDSAP256SHA256", "-k", "signed.test").decode().strip()
run("ldns-signzone", "-f", "signed.zone", "signed.test.zone", key)
with open(f"{d}/signed.zone") as f:
    lines = f.read().splitlines()
with open(f"{d}/signed.zone", "w") as f:  # somebody changes one record
    for line in lines:
        w = line.split()
        if w[0] == f"_{own.port}._tcp.bogus.signed.test." and w[3] == "TLSA":
            line = " ".join(w[:7]) + " " + "cd" * 32
        f.write(line + "\n")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
port = s.getsockname()[1]
s.close()
with open(f"{d}/nsd.conf", "w") as f:
    f.write(f"""server:
 ip-address: 127.0.0.1@{port}
 username: ""
 chroot: ""
 zonesdir: "{d}"
 database: ""
 pidfile: "{d}/pid"
 xfrdfile: "{d}/xfrd"
 zonelistfile: "{d}/zl"
 xfrdir: "{d}"
 logfile: "{d}/log"
remote-control:
 control-enable: no
zone:
 name: signed.test
 zonefile: signed.zone
zone:
 name: plain.test
 zonefile: plain.test.zone
""")
nsd = subprocess.Popen([NSD, "-d", "-c", f"{d}/nsd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def answers():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as c:
        c.settimeout(0.2)
        try:
            c.connect(("127.0.0.1", port))
            c.send(b"\x12\x34\0\0\0\1\0\0\0\0\0\0\x06signed\x04test\0\0\x06\0\x01")
            return len(c.recv(4096)) > 12
        except OSError:
            return False


try:
    if not tm.wait_for(answers):
        sys.exit("nsd does not answer: " + open(f"{d}/log").read())
    sb = tm.Sandbox("--users", "1", "--without", "imapd",
                    "--set", f"channel-master.dns.stubs=signed.test=127.0.0.1@{port} plain.test=127.0.0.1@{port}",
                    "--set", f"channel-master.dns.trust_anchor={d}/{key}.key", "--set", "channel-master.dns.timeout=5s",
                    "--set", "channel-master.dns.loopback=yes", "--set", f"channels.channel tcp_local.port={own.port}",
                    "--set", "smtp-relay.relay.networks=127.0.0.0/8", "--set", "channels.channel tcp_local.maxjobs=1")

    def log():
        text = ""
        for n in sorted(os.listdir(sb.env["RUNDIR"])):
            if n.endswith(".log"):
                text += open(f"{sb.env['RUNDIR']}/{n}", errors="replace").read()
        return text.splitlines()

    def connects(domain):
        """The events of channel-master about attempts at this domain."""
        return [line for line in log() if "ev=connect " in line and f'dest="{domain}:' in line]

    def arrived(host, domain, what, policy=None, secured=True):
        to, before = f"a@{domain}", host.secured
        sb.send([to], sender=f"{sb.user(1)}@{sb.domain}")
        tm.ok(tm.wait_for(lambda: any(to in m[1] for m in host.mails)), f"{what}: arrives")
        tm.is_(host.secured - before, 1 if secured else 0, f"{what}: {'with' if secured else 'without'} TLS")
        if policy:
            tm.ok(tm.wait_for(lambda: any(f" policy={policy} tls=TLSv1" in line for line in connects(domain))), f"{what}: by policy {policy}")

    def deferred(domain, what, result):
        to = f"a@{domain}"
        sb.send([to], sender=f"{sb.user(1)}@{sb.domain}")
        tm.ok(tm.wait_for(lambda: any(f" result={result} " in line for line in connects(domain))), f"{what}: {result}")
        tm.ok(tm.wait_for(lambda: any(f"to={to} " in line.replace("<", "").replace(">", "") and "deferred" in line for line in log())), f"{what}: deferred")
        tm.ok(not any(to in m[1] for h in (own, by_ca, plain) for m in h.mails), f"{what}: and nobody has the message")

    arrived(own, "to-key.signed.test", "the digest of its key, with a certificate that is outdated and of another name", "dane")
    arrived(own, "to-whole.signed.test", "the digest of the certificate", "dane")
    arrived(own, "to-long.signed.test", "SHA-512", "dane")
    arrived(own, "to-full.signed.test", "the certificate itself", "dane")
    arrived(own, "to-rolled.signed.test", "one of two records", "dane")
    arrived(own, "key.signed.test", "a domain that is its own host", "dane")
    arrived(own, "to-alias.signed.test", "a host by an alias", "dane")
    arrived(by_ca, "to-anchor.signed.test", "a CA, and the host's name", "dane")
    arrived(by_ca, "hop.signed.test", "a CA, and the domain's name", "dane")
    arrived(own, "to-public.signed.test", "records that nobody can use", "dane-unusable")
    arrived(own, "second.signed.test", "the second host, when the first is not what its record says", "dane")
    tm.ok(any("[127.0.0.1]" in line and "key.signed.test" in line and "policy=dane tls=" in line for line in connects("second.signed.test")), "which is the one whose record is right")
    arrived(plain, "to-without.signed.test", "no records", secured=False)
    arrived(plain, "to-stripped.plain.test", "records in a zone that is not signed", secured=False)
    arrived(own, "to-signed.plain.test", "signed records, to which unsigned MX records lead")
    arrived(own, "to-plain.signed.test", "signed MX records that lead to a host that is not")
    deferred("to-wrong.signed.test", "another key", "validation-failure")
    deferred("to-misnamed.signed.test", "a CA, and another name", "certificate-host-mismatch")
    deferred("to-stripped.signed.test", "a server without STARTTLS", "starttls-not-supported")
    deferred("to-bogus.signed.test", "a record with a wrong signature", "dnssec-invalid")
    deferred("to-away.signed.test", "a signed alias of a host that is not, with records of its own", "validation-failure")
    tm.ok(any(" ev=deliver " in line and "to-key.signed.test" in line and " tls=TLSv1.3 policy=dane " in line for line in log()), "a delivery is logged with its TLS and policy")
    def metric(name):
        m = re.search(rf"^tiermail_delivery_{name}_total (\S+)$", sb.tool("tmctl", "-d", "jobctl", "metrics").stdout, re.M)
        return float(m[1]) if m else -1
    tm.ok(tm.wait_for(lambda: metric("policy_dane") >= 11 and metric("sessions_plain") >= 2), "jobctl's metrics have the sessions, by policy and TLS")
    tm.ok(metric("delivered") >= 15 and metric("deferred") >= 5 and metric("reason_policy") >= 5 and metric("tls_failed") >= 5, "and the recipients, by result and reason")
    tm.ok(metric("dns") > 50 and metric("dns_seconds") > 0, "and the DNS")
    tm.ok(not any(" ev=sts " in line for line in log()), "where DANE has spoken nobody asks for an MTA-STS policy (RFC 8461 2)")
    tm.ok(not any(c.startswith(("MAIL", "RCPT")) and "to-stripped.signed" in c for c in plain.commands), "no address was said in plain text")
finally:
    nsd.terminate()
    nsd.wait()
tm.done()
