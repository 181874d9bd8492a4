"""A private slapd for the sandbox: its configuration, its entries, its certificates.

Templates are those that an administrator uses: conf/ldif/*.  Entries are loaded by slapadd
before slapd starts, which takes about 2 s for 100,000 users.
"""
import base64
import hashlib
import os
import re
import shutil
import subprocess

SPECIAL = {
    # uid: lines in place of those of the template that begin alike, or further ones
    "postmaster": [],
    "full": ["mailQuota: 1"],
    "overquota": ["mailUserStatus: overquota"],
    "disabled": ["mailUserStatus: disabled"],
    "inactive": ["inetUserStatus: inactive"],
    "hold": ["mailUserStatus: hold"],
    "forward": ["mailDeliveryOption: forward", "mailForwardingAddress: @FIRST@@@DOMAIN@"],
    "catchall": [],
}


# --admin: who they are, and the groups that say so.
ADMINS = {
    "admin": "cn=Top-Level Admins,@BASE@",
    "orgadmin": "cn=Organization Admins,o=@DOMAIN@,@BASE@",
}
NUMBER = re.compile(r"(%0?[0-9]*d)(.*)$")


def ssha(password):
    salt = os.urandom(8)
    raw = hashlib.sha1(password.encode() + salt).digest() + salt
    return "{SSHA}" + base64.b64encode(raw).decode()


def tool(name):
    path = os.environ.get(name.upper()) or shutil.which(name) or "/usr/sbin/" + name
    if not os.path.exists(path):
        raise SystemExit("sandbox: no %s; run scripts/deps" % name)
    return path


def run(argv, **kw):
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, check=False, **kw)
    if r.returncode:
        raise SystemExit("sandbox: %s failed:\n%s" % (argv[0], r.stdout))


def template(path, words):
    """The file without its comments, with @WORD@ replaced."""
    with open(path) as f:
        text = "".join(line for line in f if not line.startswith("#"))
    for k, v in words.items():
        text = text.replace("@%s@" % k, v)
    return text.lstrip("\n")


def certificates(d, names, addresses, ca=None):
    """A private CA, or that of the folder `ca`, and one server certificate, both ECDSA P-256."""
    os.makedirs(d, exist_ok=True)
    path = lambda n: os.path.join(d, n)
    if os.path.exists(path("server.pem")):
        return
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"]
    quiet = dict(env=dict(os.environ, OPENSSL_CONF="/dev/null"))
    with open(path("req.cnf"), "w") as f:
        f.write("[req]\ndistinguished_name = dn\n[dn]\n[ca]\nbasicConstraints = critical, CA:TRUE\n"
                "keyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\n"
                "[server]\nbasicConstraints = critical, CA:FALSE\n"
                "keyUsage = critical, digitalSignature\n"
                "extendedKeyUsage = serverAuth, clientAuth\nsubjectAltName = %s\n" % ", ".join(
                    ["DNS:" + n for n in names] + ["IP:" + a for a in addresses]))
    if ca:
        shutil.copy(os.path.join(ca, "ca.pem"), path("ca.pem"))
    else:
        run(["openssl", "req", "-x509", "-config", path("req.cnf"), "-extensions", "ca", *key,
             "-subj", "/CN=tiermail sandbox CA", "-keyout", path("ca.key"), "-out",
             path("ca.pem")], **quiet)
        os.chmod(path("ca.key"), 0o600)
    run(["openssl", "req", "-x509", "-config", path("req.cnf"), "-extensions", "server", *key,
         "-subj", "/CN=" + names[0], "-CA", path("ca.pem"),
         "-CAkey", os.path.join(ca or d, "ca.key"),
         "-keyout", path("server.key"), "-out", path("server.pem")], **quiet)
    os.chmod(path("server.key"), 0o600)


def entries(s, conf):
    """Yields the LDIF of the whole directory in pieces."""
    base, pw = s["base"], ssha(s["password"])
    ldif = os.path.join(conf, "ldif")
    yield template(ldif + "/base.ldif", {
        "BASE": base, "DC": base.split(",")[0].split("=")[1],
        "SERVICEPW": ssha(s["service_password"])})
    alias = s["domain_alias"]
    for domain in (s["domain"], s["domain2"]):
        text = template(ldif + "/domain.ldif", {"BASE": base, "DOMAIN": domain, "ALIAS": alias})
        if domain == s["domain2"]:
            text = text.replace("associatedDomain: %s\n" % alias,
                                "mailDomainCatchallAddress: catchall@%s\n" % domain)
        yield text
        one = template(ldif + "/user.ldif", {
            "BASE": base, "DOMAIN": domain, "MAILHOST": s["hostname"], "USERPW": pw})
        count = s["users"] if domain == s["domain"] else min(s["users"], 10)
        before, number, after = s["pattern"].partition("%")[0], *NUMBER.search(s["pattern"]).groups()
        pieces = one.replace("@ALIAS@", "alias@NUMBER@").replace("@UID@", before + "@NUMBER@" + after)
        pieces = pieces.split("@NUMBER@")
        for start in range(1, count + 1, 1000):
            yield "".join((number % n).join(pieces)
                          for n in range(start, min(start + 1000, count + 1)))
        admins = ADMINS if s.get("admin") and domain == s["domain"] else {}
        for uid, lines in [*SPECIAL.items(), *((uid, []) for uid in admins)]:
            text = one.replace("@UID@", uid).replace("@ALIAS@", uid + "-alias")
            for line in lines:
                line = line.replace("@DOMAIN@", domain).replace("@FIRST@", s["pattern"] % 1)
                attr = line.split(":")[0] + ":"
                kept = [x for x in text.rstrip("\n").split("\n") if not x.startswith(attr)]
                text = "\n".join(kept + [line]) + "\n\n"
            yield text
        for uid, group in admins.items():
            text = ("dn: %s\nobjectClass: groupOfNames\ncn: %s\n"
                    "member: uid=%s,ou=People,o=@DOMAIN@,@BASE@\n\n" %
                    (group, group.split(",")[0].split("=")[1], uid))
            yield text.replace("@DOMAIN@", domain).replace("@BASE@", base)


def build(s, conf):
    """Writes slapd.conf and loads the entries; nothing to do when the database is there."""
    state = os.path.join(s["dir"], "ldap")
    db = os.path.join(state, "db")
    if os.path.exists(os.path.join(db, "data.mdb")):
        return
    os.makedirs(db, exist_ok=True)
    os.makedirs(os.path.join(state, "pab"), exist_ok=True)
    os.chmod(state, 0o700)
    tls = os.path.join(s["dir"], "tls")
    with open(os.path.join(state, "slapd.conf"), "w") as f:
        os.chmod(f.name, 0o600)
        words = {
            "SCHEMA": os.environ.get("SLAPD_SCHEMA", "/etc/ldap/schema"), "CONF": conf,
            "MODULES": os.environ.get("SLAPD_MODULES", "/usr/lib/ldap"),
            "STATE": state, "RUN": s["rundir"], "BASE": s["base"], "ROOTPW": ssha(s["admin_password"]),
            "CERT": tls + "/server.pem", "KEY": tls + "/server.key", "CA": tls + "/ca.pem"}
        for part in ("slapd.conf", "pab.conf"):
            f.write(template(os.path.join(conf, "ldif", part), words) + "\n")
    with open(os.path.join(state, "entries.ldif"), "w") as f:
        f.writelines(entries(s, conf))
    run([tool("slapadd"), "-q", "-f", os.path.join(state, "slapd.conf"),
         "-l", os.path.join(state, "entries.ldif")])
    run([tool("slapadd"), "-q", "-f", os.path.join(state, "slapd.conf"), "-b", "o=pab",
         "-l", os.path.join(conf, "ldif", "pab.ldif")])


def argv(s):
    where = "%s ldap://%s:%d ldaps://%s:%d" % (
        ldapi(s), s["host"], s["ports"]["LDAP_PORT"], s["host"], s["ports"]["LDAPS_PORT"])
    return [tool("slapd"), "-d", "0", "-f", os.path.join(s["dir"], "ldap", "slapd.conf"),
            "-h", where]


def ldapi(s):
    return "ldapi://" + (s["rundir"] + "/ldapi").replace("%", "%25").replace("/", "%2F")
