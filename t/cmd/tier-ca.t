#!/usr/bin/env python3
"""tiermail-ca: an authority, certificates of hosts that verify under their names and no other, renewal, the list."""
import os, re, shutil, stat, subprocess, sys, tempfile

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../flow")]
import tm

tm.need("openssl")
top = tm.tempdir()
ca = top + "/ca"


def tool(*args):
    return subprocess.run([tm.TOP + "/scripts/tier-ca", "-C", ca, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def verify(pem, *args):
    return subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", ca + "/ca.pem", *args, pem], capture_output=True, text=True).returncode


def x509(pem, *what):
    return subprocess.run(["openssl", "x509", "-in", pem, "-noout", *what], capture_output=True, text=True).stdout


one = ca + "/hosts/mmp1.example.test.pem"
tm.is_(tool("host", "a.example.test").returncode, 1, "without an authority there is no certificate")
tm.is_(tool("init", "test authority").returncode, 0, "an authority")
tm.is_(tool("init").returncode, 1, "and never another one in its place")
tm.is_(stat.S_IMODE(os.stat(ca + "/ca.key").st_mode), 0o600, "its key is its own")
r = tool("host", "mmp1.example.test", "mail.example.test", "192.0.2.31", "2001:db8::31")
tm.is_((r.returncode, r.stdout), (0, one + "\n"), "a host with other names and addresses")
tm.is_(stat.S_IMODE(os.stat(one[:-3] + "key").st_mode), 0o600, "its key is nobody else's")
for option, name, want in (("-verify_hostname", "mmp1.example.test", 0), ("-verify_hostname", "mail.example.test", 0),
                           ("-verify_ip", "192.0.2.31", 0), ("-verify_ip", "2001:db8::31", 0),
                           ("-verify_hostname", "mmp2.example.test", 2), ("-verify_ip", "192.0.2.32", 2)):
    tm.is_(verify(one, option, name), want, f"it is {'good' if want == 0 else 'not good'} for {name}")
for purpose, want in (("sslserver", 0), ("sslclient", 0), ("smimesign", 2)):
    tm.is_(verify(one, "-purpose", purpose), want, f"purpose {purpose}")
tm.is_(tool("host", "mmp1.example.test").returncode, 1, "a second one for the same host is refused")
for bad in ("../x", "a/b", "a b", "", "-x", "a\nb", "a,DNS:other", ".", "$(id)", "*/x"):
    before = sorted(os.listdir(ca + "/hosts"))
    tm.ok(tool("host", bad).returncode != 0 and sorted(os.listdir(ca + "/hosts")) == before, f"no host {bad!r}")
    tm.ok(tool("host", "good.example.test", bad).returncode != 0 and sorted(os.listdir(ca + "/hosts")) == before, f"nor as another name")

# ---- roles
def uris(pem):
    return re.findall(r"URI:(\S+?)(?:,|$)", x509(pem, "-ext", "subjectAltName"), re.M)


role = ca + "/hosts/mmp3.example.test.pem"
tm.is_(tool("-r", "proxy,relay", "host", "mmp3.example.test").returncode, 0, "one with roles")
tm.is_(uris(role), ["tiermail:role:proxy", "tiermail:role:relay"], "names them")
tm.is_([verify(role, "-purpose", p) for p in ("sslserver", "sslclient")], [0, 0], "and is a host's")
tm.is_(tool("renew", "mmp3.example.test").returncode, 0, "renewed")
tm.is_(uris(role), ["tiermail:role:proxy", "tiermail:role:relay"], "it has the same")
tm.ok("mmp3.example.test (proxy relay)\n" in tool("list").stdout, "the list has them")
tm.is_((tool("-r", "relay", "renew", "mmp3.example.test").returncode, uris(role)), (0, ["tiermail:role:relay"]), "renewed with others")
tm.is_((tool("-r", "", "renew", "mmp3.example.test").returncode, uris(role)), (0, []), "or none")
tm.is_(tool("-r", "operator,move", "host", "alice.example.test").returncode, 0, "a person's")
tm.is_([verify(ca + "/hosts/alice.example.test.pem", "-purpose", p) for p in ("sslserver", "sslclient")], [2, 0], "is a client's alone")
for bad in ("root", "proxy,root", "proxy:x", "proxy relay;x"):
    tm.ok(tool("-r", bad, "host", "bad.example.test").returncode == 1 and not os.path.exists(ca + "/hosts/bad.example.test.pem"), f"no role {bad!r}")
tm.is_(uris(one), [], "a certificate made without has none")

serial, key = x509(one, "-serial"), x509(one, "-pubkey")
tm.is_(tool("list").returncode, 0, "nothing ends soon")
tm.is_(tool("renew").stdout, "", "so nothing is to be renewed")
tm.is_(tool("-d", "5", "host", "old.example.test").returncode, 0, "one that ends soon")
r = tool("list")
tm.is_(r.returncode, 1, "is told by the list's status")
tm.ok(re.search(r"^ +[45] days SOON  old\.example\.test$", r.stdout, re.M) and re.search(r"^ +39[78] days  mmp1\.example\.test mail\.", r.stdout, re.M),
      "and in words") or tm.diag(r.stdout)
tm.is_(tool("-w", "2", "list").returncode, 0, "soon is what one says it is")
tm.is_(tool("renew").stdout, ca + "/hosts/old.example.test.pem\n", "it is renewed, and nothing else")
tm.is_((x509(one, "-serial"), tool("list").returncode), (serial, 0), "then nothing ends soon")
tm.is_(tool("renew", "mmp1.example.test").returncode, 0, "renewed by name")
tm.ok(x509(one, "-serial") != serial and x509(one, "-pubkey") == key and verify(one, "-verify_hostname", "mail.example.test") == 0,
      "another certificate, the same key, the same names")
tm.is_(tool("-k", "renew", "mmp1.example.test").returncode, 0, "with a new key")
pair = subprocess.run(["openssl", "pkey", "-in", one[:-3] + "key", "-pubout"], capture_output=True, text=True).stdout
tm.ok(pair == x509(one, "-pubkey") != key, "which is the certificate's")
tm.is_(tool("renew", "nobody.example.test").returncode, 1, "a host that has none")
for args in ((), ("what",), ("list", "x"), ("host",), ("-w", "x", "list"), ("-z",)):
    tm.ok(tool(*args).returncode in (1, 64), f"refused: {args}")
tm.is_([n for n in os.listdir(ca) if n.startswith("new.")], [], "nothing is left half made")
tm.done()
