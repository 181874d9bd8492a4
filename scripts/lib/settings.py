"""The configuration files of a sandbox: sections and keys as each daemon's sample in conf/
explains them, with --set and --route applied."""
import os
import re

ROUTE = re.compile(r"^([^=]+)=(smtp|lmtp):(.+):(\d+)$")


def files(s):
    """{file: {section: {key: value}}}; section "" is the top of the file."""
    p, run, d = s["ports"], s["rundir"], s["dir"]
    tls = d + "/tls"
    local = lambda name: "127.0.0.1:%d" % p.get(name, 0)
    conf = {
        "tiermail": {
            "": {"hostname": s["hostname"], "rundir": run, "queue": d + "/queue",
                 "store": d + "/store", "libexec": s["bindir"], "user": "", "group": "",
                 "log_to": "stderr", "log_level": os.environ.get("SANDBOX_LOG", "info"),
                 "default_domain": s["domain"], "postmaster": "postmaster@" + s["domain"]},
            "ldap": {"url": s["ldapi"], "base": s["base"],
                     "bind_dn": "uid=tiermail,ou=services," + s["base"],
                     "password": s["service_password"]},
            "tls": {"certificate": tls + "/server.pem", "key": tls + "/server.key",
                    "ca": tls + "/ca.pem"},
            "login": {"insecure_loopback": "yes"},
        },
        "smtp-relay": {
            "listen mx": {"address": local("SMTP_PORT"), "role": "mx", "tls": "starttls"},
            "listen submission": {"address": local("SUBMISSION_PORT"), "role": "submission",
                                  "tls": "starttls"},
            "listen submissions": {"address": local("SUBMISSIONS_PORT"), "role": "submission",
                                   "tls": "implicit"},
            "listen local": {"address": "unix:%s/submit.sock" % run, "role": "local",
                             "mode": "0666"},
        },
        "jobctl": {"": {}},
        "channels": {
            "host " + s["hostname"]: {"lmtp": "unix:%s/lmtpd.sock" % run},
        },
        "channel-master": {"": {}},
        "lmtpd": {
            "listen local": {"address": "unix:%s/lmtpd.sock" % run},
            "listen tcp": {"address": local("LMTP_PORT"), "tls": "starttls"},
        },
        "stored": {"": {}},
        "imapd": {
            "listen imap": {"address": local("IMAP_PORT"), "tls": "starttls"},
            "listen imaps": {"address": local("IMAPS_PORT"), "tls": "implicit"},
        },
    }
    for r in s["routes"]:
        domain, proto, host, port = ROUTE.match(r).groups()
        conf["channels"]["route " + domain] = {
            "channel": "tcp_lmtp" if proto == "lmtp" else "tcp_local",
            "relay": "%s:%s" % (host, port)}
        conf["smtp-relay"].setdefault("relay", {"domains": ""})["domains"] += domain + " "
    for item in s["set"]:
        name, rest = item.split(".", 1)
        key, value = rest.split("=", 1)
        section, _, key = key.rpartition(".")
        if name not in conf:
            raise SystemExit("sandbox: --set: no file %s.conf" % name)
        conf[name].setdefault(section.strip(), {})[key.strip()] = value
    return conf


def quote(value):
    value = str(value)
    if value and re.match(r'^[^\s"#\\][^"\\]*$', value) and " #" not in value:
        return value
    return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')


def write(s):
    etc = s["dir"] + "/etc"
    os.makedirs(etc, exist_ok=True)
    for name, sections in files(s).items():
        path = "%s/%s.conf" % (etc, name)
        with open(path + ".new", "w") as f:
            os.chmod(f.name, 0o600)
            f.write("# written by scripts/sandbox\n")
            for section in sorted(sections, key=lambda x: x != ""):
                if section:
                    f.write("\n[%s]\n" % section)
                for key, value in sections[section].items():
                    f.write("%s = %s\n" % (key, quote(value)))
        os.rename(path + ".new", path)


def environment(s):
    """What goes into DIR/env."""
    run = {"HOST": "127.0.0.1", **s["ports"], "LDAP_URL": s["ldapi"],
           "LDAP_BASE": s["base"], "LDAP_ADMIN_DN": "cn=admin," + s["base"],
           "LDAP_ADMIN_PASSWORD": s["admin_password"],
           "LDAP_SERVICE_DN": "uid=tiermail,ou=services," + s["base"],
           "LDAP_SERVICE_PASSWORD": s["service_password"],
           "CAFILE": s["dir"] + "/tls/ca.pem", "DOMAIN": s["domain"], "DOMAIN2": s["domain2"],
           "DOMAIN_ALIAS": s["domain_alias"], "MAILHOST": s["hostname"], "USERS": s["users"],
           "USER_PATTERN": "user%04d", "PASSWORD": s["password"], "RUNDIR": s["rundir"],
           "CONFDIR": s["dir"] + "/etc", "STORE": s["dir"] + "/store",
           "QUEUE": s["dir"] + "/queue", "BINDIR": s["bindir"]}
    return "".join("%s='%s'\n" % (k, str(v).replace("'", "'\\''")) for k, v in run.items())
