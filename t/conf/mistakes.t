#!/usr/bin/env python3
"""Mistakes that an administrator makes, a line each, and what -n says of them: refused or warned
about, with file and line.  None of them may pass in silence."""
import os, socket, subprocess, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

# What a file must hold so that the mistake is the only one.
BASE = {
    "tiermail.conf": "prefix = @DIR@\nhostname = base.example\n[ldap]\nbase = dc=example,dc=org\n",
    "smtp-relay.conf": "[listen mx]\naddress = 127.0.0.1:2525\n",
    "pop3d.conf": "[listen pop3]\naddress = 127.0.0.1:1110\n",
    "sieved.conf": "[listen sieve]\naddress = 127.0.0.1:4190\n",
    "imapd.conf": "[listen imap]\naddress = 127.0.0.1:1143\n",
    "lmtpd.conf": "[listen local]\naddress = unix:lmtpd.sock\n",
    "piped.conf": "[listen local]\naddress = unix:piped.sock\n",
    "channels.conf": "", "channel-master.conf": "", "stored.conf": "", "jobctl.conf": "",
}
DOMAIN = "not the name of a host or domain"
# (program, file, text that goes before the rest, what is said; "warning: " means exit 0)
TABLE = [
    ("jobctl", "tiermail.conf", 'hostname = "two words"', "tiermail.conf:1: hostname = two words: " + DOMAIN),
    ("jobctl", "tiermail.conf", 'hostname = "mail" example', "tiermail.conf:1: hostname = mail example: " + DOMAIN),
    ("jobctl", "tiermail.conf", "hostname = m\xe4il.example", "tiermail.conf:1: hostname = m"),
    ("jobctl", "tiermail.conf", "default_domain = a b", "tiermail.conf:1: default_domain = a b: " + DOMAIN),
    ("jobctl", "tiermail.conf", 'postmaster = "a b"', "tiermail.conf:1: postmaster = a b: not an address"),
    ("jobctl", "tiermail.conf", "user = no_such_user", "tiermail.conf:1: user = no_such_user: there is no such user"),
    ("jobctl", "tiermail.conf", "group = no_such_group", "tiermail.conf:1: group = no_such_group: there is no such"),
    ("jobctl", "tiermail.conf", "rundir = /tmp/" + 120 * "x", "tiermail.conf:1: rundir: longer than"),
    ("jobctl", "tiermail.conf", "include tiermail.conf", "tiermail.conf:1: include: this file is being read"),
    ("jobctl", "tiermail.conf", "\ufeffhostname = good.example", ""),
    ("jobctl", "tiermail.conf", "hostname = good.example\r\npostmaster = a@b.example\r", ""),
    ("jobctl", "tiermail.conf", "log_trace = smtp sieve", ""),
    ("jobctl", "tiermail.conf", "log_trace = smtp impa", "warning: @DIR@/tiermail.conf:1: log_trace: impa is none of"),
    ("imapd", "imapd.conf", "public_account = public", "imapd.conf:1: public_account = public: not an address"),
    ("imapd", "tiermail.conf", "drain = 5", "tiermail.conf:1: unknown key drain"),
    ("imapd", "imapd.conf", "drain_timeout = 5", "imapd.conf:1: drain_timeout = 5: not a time (like"),
    ("imapd", "imapd.conf", "limit.append = 10MB", "imapd.conf:1: limit.append = 10MB: not a size (like"),
    ("imapd", "imapd.conf", "timeout.idle = 1s", "warning: @DIR@/imapd.conf:1: timeout.idle"),
    ("pop3d", "pop3d.conf", "timeout.idle = 9m", "warning: @DIR@/pop3d.conf:1: timeout.idle"),
    ("pop3d", "pop3d.conf", "pop3.uidl = %v", "pop3d.conf:1: pop3.uidl = %v: has no %u"),
    ("pop3d", "pop3d.conf", "pop3.uidl = %u %v", "pop3d.conf:1: pop3.uidl = %u %v: only printable ASCII"),
    ("piped", "piped.conf", "[program a]\ncommand = bin/a", "piped.conf:2: command = bin/a: must begin with /"),
    ("piped", "piped.conf", "[program a]\ncommand = /bin/a ${sendr}", "piped.conf:2: command: ${sendr} is no variable"),
    ("piped", "piped.conf", "[program a]\ncommand = /bin/a\nrun_as = root", "piped.conf:3: run_as = root: nothing is run as root"),
    ("piped", "piped.conf", "[program native]\ncommand = /bin/a", "[program native]: a name is"),
    ("piped", "piped.conf", "[program ../a]\ncommand = /bin/a", "[program ../a]: a name is"),
    ("piped", "piped.conf", "[program a]", "command"),
    ("piped", "piped.conf", "[listen b]\naddress = 127.0.0.1:24", "piped.conf:2: address = 127.0.0.1:24: must be unix:PATH"),
    ("jobctl", "channels.conf", "[channel pipe]\n[route x.test]\nchannel = pipe", "channels.conf:3: [route x.test] channel: the directory and the alias file alone"),
    ("sieved", "sieved.conf", "timeout.idle = 29m", "warning: @DIR@/sieved.conf:1: timeout.idle"),
    ("sieved", "sieved.conf", "sieve.size = 257K", "sieved.conf:1: sieve.size = 257K"),
    ("sieved", "sieved.conf", "sieve.total = 32K", "warning: @DIR@/sieved.conf:1: sieve.total is less than sieve.size"),
    ("imapd", "imapd.conf", None, "imapd.conf: there is no [listen NAME] section"),
    ("imapd", "imapd.conf", "[listen a]\naddress = 127.0.0.1", "imapd.conf:2: address = 127.0.0.1: not ADDRESS:PORT"),
    ("imapd", "imapd.conf", "[listen a]\naddress = *:0", "imapd.conf:2: address = *:0: not ADDRESS:PORT"),
    ("imapd", "imapd.conf", "[listen a]\naddress = mail.example:143", "imapd.conf:2: address = mail.example:143"),
    ("imapd", "imapd.conf", "[listen a]\naddress = 127.0.0.1:1143", "[listen a] has it already"),
    ("imapd", "imapd.conf", "[listen a]\naddress = *:993\ntls = implicit", "imapd.conf:3: [listen a] tls: needs"),
    ("imapd", "tiermail.conf", "[ldap]\nbase = example.org\n#", "ldap.base = example.org: not a distinguished"),
    ("imapd", "tiermail.conf", "ldap.bind_dn = admin", "tiermail.conf:1: ldap.bind_dn = admin: not a dist"),
    ("imapd", "tiermail.conf", "ldap.bind_dn = cn=a,dc=b", "warning: @DIR@/tiermail.conf:1: ldap.bind_dn has no"),
    ("imapd", "tiermail.conf", "ldap.url = http://x", "tiermail.conf:1: ldap.url"),
    ("smtp-relay", "smtp-relay.conf", "relay.networks = 0.0.0.0/0", "relay.networks = 0.0.0.0/0: everybody could"),
    ("smtp-relay", "smtp-relay.conf", "relay.networks = 10.0.0.0/33", "smtp-relay.conf:1: relay.networks = 10.0.0.0/33"),
    ("smtp-relay", "smtp-relay.conf", "relay.domains = foo@bar", "foo@bar is " + DOMAIN),
    ("smtp-relay", "smtp-relay.conf", "submission.any_sender = user1", "user1 is not user@domain"),
    ("smtp-relay", "smtp-relay.conf", "[listen s]\naddress = *:587\nrole = submission",
     "warning: default: [listen s] tls = off: nobody can log in there"),
    ("smtp-relay", "channels.conf", "[channel tcp_local]\nbackoff = 5 apples", "channels.conf:2: backoff: 5 is no time"),
    ("lmtpd", "lmtpd.conf", "trusted = 0.0.0.0/0", "warning: @DIR@/lmtpd.conf:1: trusted = 0.0.0.0/0"),
    ("lmtpd", "lmtpd.conf", "trusted_names = in1.example, a@b", "lmtpd.conf:1: trusted_names = in1.example, a@b: a@b is " + DOMAIN),
    ("lmtpd", "lmtpd.conf", "trusted = everybody", "lmtpd.conf:1: trusted = everybody: everybody is not a network"),
    ("jobctl", "channels.conf", "[channel tcp_local]\nrelay = :smtp", "channels.conf:2: relay = :smtp: not HOST"),
    ("jobctl", "channels.conf", "[channel tcp_local]\nrelay = a.example:99999", "channels.conf:2: relay = a.example:99999"),
    ("jobctl", "channels.conf", "[channel tcp_local]\nsource = eth0", "channels.conf:2: source = eth0: not a numeric"),
    ("jobctl", "channels.conf", "[channel tcp_local]\nhelo = a b", "channels.conf:2: helo = a b: " + DOMAIN),
    ("jobctl", "channels.conf", "[channel tcp_local]\nconcurrency = 2\nconcurrency_start = 5",
     "channels.conf:3: concurrency_start = 5: more than concurrency"),
    ("jobctl", "channels.conf", "[channel tcp_local]\nnotices = 3d 2d", "channels.conf:2: notices: each must be later"),
    ("jobctl", "channels.conf", "[host store1.example]\nlmtp = foo", "channels.conf:2: lmtp = foo: not unix:/PATH"),
    ("jobctl", "channels.conf", "[route exa mple]\nchannel = tcp_local", "[route exa mple]: not a domain"),
    ("jobctl", "channels.conf", "[route a.example]\nchannel = nope", "channels.conf:2: [route a.example] channel: there is no"),
    ("channel-master", "channel-master.conf", "dns.resolvers = 127.0.0.1:53", "resolvers = 127.0.0.1:53: not addresses"),
    ("channel-master", "channel-master.conf", "dns.stubs = example.org", "dns.stubs = example.org: not zones"),
    ("channel-master", "channel-master.conf", "dns.hosts = /no/such", "dns.hosts = /no/such: /no/such: No such file"),
    ("channel-master", "channel-master.conf", "dns.trust_anchor = /no/such", "dns.trust_anchor = /no/such: /no/such: No"),
    ("channel-master", "channel-master.conf", 'bounce.double = "foo bar"', "bounce.double = foo bar: not an address"),
    ("stored", "stored.conf", "[partition a/b]\npath = /x", "[partition a/b]: a name is made of"),
    ("stored", "stored.conf", "[partition a]\npath = /x\n[partition b]\npath = /x",
     "stored.conf: [partition b] path = /x: [partition a] has it already"),
    ("stored", "stored.conf", "quota_full = temp", "quota_full = temp: not one of temporary|permanent"),
]


def check(program, d):
    return subprocess.run([os.path.join(tm.BINDIR, program), "-n", "-c", "%s/%s.conf" % (d, program)],
                          capture_output=True, text=True, errors="replace", timeout=tm.LONG)


def write(d, name, text):
    with open(os.path.join(d, name), "wb") as f:
        f.write(text.replace("@DIR@", d).encode("latin-1" if "\xe4" in text else "utf-8"))


def certificates(d):
    """A good pair, one that has expired, and a key of nobody's."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=d)
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x"]
    openssl("req", "-x509", *ec, "-days", "30", "-keyout", "key.pem", "-out", "cert.pem")
    openssl("req", "-x509", *ec, "-days", "30", "-keyout", "other.pem", "-out", "cert2.pem")
    openssl("req", *ec, "-keyout", "old.key", "-out", "old.csr")
    openssl("x509", "-req", "-in", "old.csr", "-signkey", "old.key", "-days", "-1", "-out", "old.pem")
    write(d, "junk.pem", "this is no certificate\n")


def tls(d, cert, key, ca=""):
    for name, text in BASE.items():
        write(d, name, text)
    write(d, "imapd.conf", "[listen a]\naddress = *:993\ntls = implicit\n")
    write(d, "tiermail.conf", BASE["tiermail.conf"] +
          "[tls]\ncertificate = @DIR@/%s\nkey = @DIR@/%s\n" % (cert, key) + ("ca = %s\n" % ca if ca else ""))
    return check("imapd", d)


with tempfile.TemporaryDirectory() as d:
    certificates(d)  # the one of no day is over when its turn comes
    for name, text in BASE.items():
        write(d, name, text)
    for program in ("smtp-relay", "jobctl", "channel-master", "lmtpd", "stored", "imapd", "pop3d", "sieved"):
        r = check(program, d)
        if not tm.is_((r.returncode, r.stderr), (0, ""), program + ": nothing is wrong to begin with"):
            tm.diag(r.stderr)
    for program, name, text, want in TABLE:
        base = BASE[name].replace("hostname = base.example\n", "") if "hostname" in (text or "") else BASE[name]
        write(d, name, text + "\n" + base if text is not None else "")
        r = check(program, d)
        want = want.replace("@DIR@", d)
        code = 0 if not want or want.startswith("warning: ") else 78
        what = "%s: %s" % (name, "; ".join((text or "(empty)").split("\n"))[:60].encode("ascii", "replace").decode())
        if not tm.ok(r.returncode == code and want in r.stderr and (want or not r.stderr), what):
            tm.diag("%d\n%s" % (r.returncode, r.stderr))
        if "backoff" in (text or ""):
            tm.is_(r.stderr.count("5 is no time"), 1, "once is enough")
        write(d, name, BASE[name])
    for args, code, want in (
            (("cert.pem", "key.pem"), 0, ""),
            (("old.pem", "old.key"), 0, "warning: %s/tiermail.conf:6: %s/old.pem: the certificate has expired" % (d, d)),
            (("cert.pem", "other.pem"), 78, "other.pem does not belong to the certificate %s/cert.pem" % d),
            (("junk.pem", "key.pem"), 78, "tiermail.conf:6: %s/junk.pem: no certificate in PEM form\n" % d),
            (("cert.pem", "junk.pem"), 78, "junk.pem: no private key in PEM form\n"),
            (("cert.pem", "key.pem", "/no/such"), 78, "tiermail.conf:8: CA file /no/such")):
        r = tls(d, *args)
        if not tm.ok(r.returncode == code and want in r.stderr and (want or not r.stderr), "tls: " + " ".join(args)):
            tm.diag("%d %s" % (r.returncode, r.stderr))
        tm.ok(not r.stderr or r.stderr.endswith("\n"), "whole lines")

    # ---- nobody could connect, to any of them
    write(d, "tiermail.conf", BASE["tiermail.conf"])
    for program in ("smtp-relay", "lmtpd", "pop3d", "sieved", "mmpd", "jmapd", "memd", "admind", "piped"):
        write(d, program + ".conf", "# no listener\n")
        r = check(program, d)
        tm.ok(r.returncode == 78 and f"{program}.conf: there is no [listen NAME] section" in r.stderr, f"{program} without a listener") or tm.diag(r.stderr)

    # ---- a host that has no name but the one that the system has
    write(d, "jobctl.conf", "")
    write(d, "tiermail.conf", BASE["tiermail.conf"].replace("hostname = base.example\n", ""))
    r = check("jobctl", d)
    short = "." not in os.uname().nodename
    tm.is_((r.returncode, r.stderr.startswith(f"warning: default: hostname = {os.uname().nodename}: ")), (0, short), "a warning if that has no domain") or tm.diag(r.stderr)

    # ---- a certificate that is over, at a reload; and an address that somebody has
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = "127.0.0.1:%d" % taken.getsockname()[1]
        for name, text in BASE.items():
            write(d, name, text)
        write(d, "tiermail.conf", BASE["tiermail.conf"] + "[tls]\ncertificate = @DIR@/cert.pem\nkey = @DIR@/key.pem\n")
        write(d, "imapd.conf", f"[listen a]\naddress = {where}\ntls = starttls\n")
        r = subprocess.run([os.path.join(tm.BINDIR, "imapd"), "-c", d + "/imapd.conf"], capture_output=True, text=True, timeout=tm.LONG)
        tm.ok(r.returncode == 71 and f"what=listen name={where}" in r.stderr and "already in use" in r.stderr, "an address that somebody has: said, and exit 71") or tm.diag(r.stderr)
    with open(d + "/log", "w") as log:
        p = subprocess.Popen([os.path.join(tm.BINDIR, "imapd"), "-c", d + "/imapd.conf"], stderr=log)
    tmctl = [os.path.join(tm.BINDIR, "tmctl"), "-c", d + "/tiermail.conf", "-d", "imapd"]
    try:
        tm.ok(tm.wait_for(lambda: subprocess.run([*tmctl, "ping"], capture_output=True).returncode == 0), "when it is free it starts")
        write(d, "tiermail.conf", BASE["tiermail.conf"] + "[tls]\ncertificate = @DIR@/old.pem\nkey = @DIR@/old.key\n")
        r = subprocess.run([*tmctl, "reload"], capture_output=True, text=True)
        tm.ok(r.returncode == 0 and "the certificate has expired" in r.stdout, "a reload with a certificate that has expired says so") or tm.diag(r.stdout + r.stderr)
        tm.ok(tm.wait_for(lambda: "the certificate has expired" in open(d + "/log").read()), "in the log, too")
    finally:
        p.terminate()
        p.wait()
    for name, text in BASE.items():
        write(d, name, text)

    # ---- as the user that the daemon becomes
    if os.getuid() == 0:
        for name, text in BASE.items():
            write(d, name, text)
        write(d, "tiermail.conf", "user = nobody\n" + BASE["tiermail.conf"])
        os.chmod(d, 0o755)
        r = check("jobctl", d)
        tm.ok(r.returncode == 78 and "nobody must be able to write there" in r.stderr, "a queue that the user cannot write")
        for sub in ("queue", "store"):
            os.mkdir(os.path.join(d, sub))
            os.chown(os.path.join(d, sub), 65534, 65534)
        write(d, "tiermail.conf", "user = nobody\nqueue = queue\nstore = store\n" + BASE["tiermail.conf"])
        os.chmod(d + "/channels.conf", 0o600)
        r = check("jobctl", d)
        tm.ok(r.returncode == 78 and "channels.conf: Permission denied" in r.stderr, "a channels.conf that it cannot read")
        os.chmod(d + "/channels.conf", 0o644)
        r = check("jobctl", d)
        if not tm.is_((r.returncode, r.stderr), (0, ""), "and all is well when it can"):
            tm.diag(r.stderr)
    else:
        tm.skip("checks as another user", "not root")
tm.done()
