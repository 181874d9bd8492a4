#!/usr/bin/env python3
"""tiermail-setup for hosts that play one role each, on a directory that is there: what a relay, a store and a proxy
know of each other afterwards; options that cannot be, of every command; secrets that are not there; users who were
there before; and files that cannot be written."""
import glob, os, re, shutil, stat, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("openssl", "ldapadd")
SETUP = os.path.join(tm.TOP, "scripts/setup/tiermail-setup")
sb = tm.Sandbox("--users", "2", "--without", "imapd")
D, BASE, top = sb.domain, sb.env["LDAP_BASE"], tm.tempdir()
SECRET = top + "/service.password"
settings = dict(re.findall(r"(?m)^\s*(bind_dn|password)\s*=\s*(.*)$", open(sb.conf("tiermail.conf")).read()))
WHO = settings["bind_dn"].strip().strip('"')
with open(SECRET, "w") as f:
    value = settings["password"].strip()
    f.write(open(value[5:]).read() if value.startswith("file:") else value.strip('"'))


def run(*argv, text=None, **env):
    return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=2 * tm.LONG, env={**os.environ, **env})


def folder(name):
    """/etc/tiermail as the packages leave it."""
    etc = f"{top}/{name}"
    os.mkdir(etc)
    for conf in glob.glob(tm.TOP + "/conf/*.conf"):
        if os.path.basename(conf) not in ("tiermail.conf", "tmctl-serve.conf"):
            shutil.copy(conf, etc)
    with open(tm.TOP + "/conf/tiermail.conf") as f, open(etc + "/tiermail.conf", "w") as to:
        to.write(f"prefix = {top}/{name}.root\nlibexec = {tm.BINDIR}\n" + f.read())
    return etc


def setup(etc, *args, text=None, **env):
    return run(SETUP, "-c", etc + "/tiermail.conf", *args, text=text, **env)


def common(name):
    return ("--yes", "--domain", D, "--hostname", f"{name}.{D}", "--directory", "existing", "--ldap-url", sb.env["LDAP_URL"], "--base", BASE, "--bind-dn", WHO,
            "--bind-password-file", SECRET, "--self-made", "--no-start")


def effective(etc, daemon):
    """{section: {key: value}} as the daemon takes it."""
    r = run(f"{tm.BINDIR}/{daemon}", "-n", "-c", f"{etc}/{daemon}.conf")
    if not tm.is_(r.returncode, 0, f"{daemon} takes its configuration"):
        tm.diag(r.stderr)
    found, section = {"": {}}, ""
    for line in r.stdout.split("\n"):
        if m := re.match(r"\[(.+)\]$", line):
            section = m[1]
            found[section] = {}
        elif m := re.match(r"(\S+) = (.*?) +# \S.*$", line):
            found[section][m[1]] = m[2].strip('"')
    return found


# ---- the roles
R, S, P = f"relay1.{D},relay2.{D}", f"store1.{D} store2.{D}", f"mmp1.{D}"
ROLES = {"relay": ("--stores", S, "--proxies", P), "store": ("--relays", R, "--proxies", P), "proxy": ("--relays", R), "admin": ("--stores", S)}
etcs = {}
for role, hosts in ROLES.items():
    etc = etcs[role] = folder(role)
    r = setup(etc, *common(role), "--role", role, *hosts)
    tm.is_((r.returncode, r.stderr), (0, ""), f"a {role}") or tm.diag(r.stdout)
    r = setup(etc, *common(role), "--role", role, *hosts)
    tm.ok(r.returncode == 0 and "Everything is as it should be already." in r.stdout, "once more: nothing to do") or tm.diag(r.stdout + r.stderr)
    open_to_all = [p for p in (etc + "/ldap.password", etc + "/tls/key.pem", etc + "/ca/ca.key") if os.stat(p).st_mode & stat.S_IRWXO]
    tm.is_(open_to_all, [], "its secrets are closed")
relay = effective(etcs["relay"], "smtp-relay")
tm.is_((relay[""]["auth.proxies"].split(), relay["listen submission"]["peer_certificate"]), ([P], "ask"), "a relay lets the proxy speak for users")
with open(etcs["relay"] + "/channels.conf") as f:
    text = f.read()
tm.is_(re.findall(r"\[host (\S+)\]\nlmtp = (\S+)\ntls = (\S+)", text), [(s, s + ":24", "must") for s in S.split()], "it delivers to the stores, by TLS and their names")
tm.is_({k: relay["listen stores"][k] for k in ("role", "address", "tls", "peer_certificate")},
       {"role": "mx", "address": "*:26", "tls": "starttls", "peer_certificate": "demand"}, "and has a listener for them and nobody else")
with open(etcs["relay"] + "/tiermail.conf") as f:
    tm.ok(re.search(r"(?m)^(\[roles\]\n)?(roles\.)?store = " + re.escape(S), f.read()), "which knows them by their names")
store = effective(etcs["store"], "lmtpd")
tm.is_((store[""]["submit.relay"], store[""]["submit.tls"]), (f"relay1.{D}:26", "must"), "there a store sends what scripts send")
tm.is_((store[""]["trusted_names"].split(), store["listen network"]["address"].split(":")[-1]), (R.split(","), "24"), "a store believes the relays")
tm.is_([effective(etcs["store"], d)[""]["auth.proxies"].split() for d in ("imapd", "pop3d")], [[P]] * 2, "and the proxy")
proxy = effective(etcs["proxy"], "mmpd")
tm.is_((proxy[""]["submission.relays"].replace(",", " ").split(), proxy["listen submission"]["role"]), (R.split(","), "submission"), "a proxy knows the relays")
tm.is_((effective(etcs["store"], "jmapd")[""]["auth.proxies"].split(), effective(etcs["store"], "jmapd")["listen jmap"]["peer_certificate"]), ([P], "ask"), "by JMAP too")
admin = effective(etcs["admin"], "admind")
tm.ok(admin[""]["place.hosts"].split() == S.split() and admin[""]["ldap.bind_dn"] == WHO and os.path.exists(admin[""]["session.keys"]),
      "a console knows the stores on which mailboxes can be, and asks as the account that it was given")
KEYS = etcs["proxy"] + "/web.keys"
tm.ok(effective(etcs["proxy"], "memd")[""]["session.keys"] == KEYS and re.fullmatch(r"[0-9a-f]{64}\n", open(KEYS).read()) and stat.S_IMODE(os.stat(KEYS).st_mode) == 0o640,
      "a proxy has a key that seals sessions of the web client, for the daemons alone")
r = setup(folder("lame"), *common("lame"), "--role", "store", BINDIR=top, PATH="/usr/bin:/bin")
if shutil.which("stored", path="/usr/sbin:/usr/bin"):
    tm.skip("a role without its daemons is refused", "they are installed here")
else:
    tm.ok(r.returncode == 1 and "stored and lmtpd is not installed: apt install tiermail-store" in r.stderr, "a role without its daemons is refused") or tm.diag(r.stderr)

# ---- options that cannot be, whatever the command
etc = folder("wrong")
before = sorted(os.listdir(etc))
INJECT = "dc=a\nolcAccess: to * by * write"
for args in (("directory", "--base", INJECT, "--domain", D), ("directory", "--base", BASE, "--domain", "a\nb"), ("directory", "--base", BASE, "--domain", D, "--people", INJECT),
             ("directory", "--bind-dn", "anna"), ("records", "--domain", "x y"), ("records", "--relays", "a;b"), ("certificates", "--hostname", "../../x"),
             ("test", "--user", "../x"), ("check", "--jsn"), ("check", "--js"), ("nonsense",), ("--certificat", "x"), ("--user-password-file",)):
    r = setup(etc, *args)
    tm.ok(r.returncode == 64 and "Traceback" not in r.stderr and r.stdout == "", f"{' '.join(args)!r}: exit 64") or tm.diag((r.returncode, r.stdout, r.stderr))
for wrong in (("--stores", f"store1.{D}]\n[host evil"), ("--relays", "'; rm"), ("--ldap-url", "http://x")):
    r = setup(etc, *common("wrong"), "--role", "relay", *wrong)
    tm.ok(r.returncode == 64 and wrong[0] in r.stderr, f"{wrong[0]} {wrong[1]!r}: exit 64") or tm.diag((r.returncode, r.stderr))
r = run(SETUP, "-c", etc + "/lmtpd.conf", *common("wrong"), "--role", "relay")
tm.ok(r.returncode == 64 and "tiermail.conf" in r.stderr, "-c of another file: exit 64") or tm.diag(r.stderr)
with open(top + "/empty", "w") as f:
    f.write("\nsecond line\n")
for option in ("--bind-password-file", "--user-password-file"):
    for path, why in ((top + "/none", "there is no file"), (top + "/empty", "is empty")):
        r = setup(etc, *common("wrong"), "--role", "all", "--user", sb.user(1), option, path)
        tm.ok(r.returncode == 64 and option in r.stderr and why in r.stderr, f"{option}: {why}") or tm.diag((r.returncode, r.stdout, r.stderr))
tm.ok(not [n for n in os.listdir(etc) if "@" in n], "no password is made up or emptied by that")

# ---- users who were there before: their passwords are theirs
etc = folder("users")
r = setup(etc, *common("users"), "--role", "all", "--user", sb.user(1))
tm.ok(r.returncode == 0 and not glob.glob(f"{etc}/{sb.user(1)}*"), "of a user who was there no password is made up") or tm.diag(r.stdout + r.stderr)
tm.is_(setup(etc, "test", "--user", sb.user(1)).returncode, 64, "nor a test made with one")

# ---- relative paths, other people's letters, a reader who goes, a folder that cannot be written
etc = folder("relative")
r = subprocess.run([SETUP, "-c", "tiermail.conf", *common("relative"), "--role", "relay"], cwd=etc, capture_output=True, text=True, timeout=2 * tm.LONG)
with open(etc + "/tiermail.conf") as f:
    text = f.read()
tm.ok(r.returncode == 0 and f"= file:{etc}/ldap.password" in text, "with a relative -c paths in the configuration are absolute") or tm.diag(r.stderr)
etc = folder("latin")
with open(etc + "/tiermail.conf", "ab") as f:
    f.write(b"# gr\xfc\xdfe\n")
r = subprocess.run([SETUP, "-c", etc + "/tiermail.conf", *common("latin"), "--role", "relay"], capture_output=True, timeout=2 * tm.LONG, env={**os.environ, "LC_ALL": "C"})
with open(etc + "/tiermail.conf", "rb") as f:
    text = f.read()
tm.ok(r.returncode == 0 and b"# gr\xfc\xdfe\n" in text, "a comment that is no UTF-8 stays") or tm.diag(r.stderr)
p = subprocess.Popen([SETUP, "-c", etc + "/tiermail.conf", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
p.stdout.close()
tm.ok(b"Traceback" not in p.stderr.read() and p.wait(tm.LONG) == 74, "a reader who goes")
etc = folder("closed")
os.mkdir(etc + "/tls")
os.mkdir(etc + "/tls/key.pem.new")
r = setup(etc, *common("closed"), "--role", "relay")
tm.ok(r.returncode == 71 and "key.pem.new" in r.stderr and "Traceback" not in r.stderr, "a file that cannot be written is told of: exit 71") or tm.diag((r.returncode, r.stderr))
os.rmdir(etc + "/tls/key.pem.new")
r = setup(etc, *common("closed"), "--role", "relay")
tm.is_((r.returncode, os.path.exists(etc + "/tls/cert.pem")), (0, True), "and what was half done is done by the next run") or tm.diag(r.stderr)
tm.done()
