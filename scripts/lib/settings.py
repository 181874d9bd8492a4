"""The configuration files of a sandbox: sections and keys as each daemon's sample in conf/
explains them, with --set and --route applied."""
import grp
import os
import re
import secrets

import members

ROUTE = re.compile(r"^([^=]+)=(smtp|lmtp):(.+):(\d+)$")


def service(s):
    return "uid=%s,ou=services,%s" % (members.SERVICES[s.get("role")], s["base"])


def www(s, face="www"):
    """The web client (the console) as it was built, or, where it was not, a page that says so."""
    built = os.path.join(os.path.dirname(s["bindir"]), face)
    return built if os.path.isdir(built) else s["dir"] + "/www"


def keys(s):
    """All hosts of a deployment know each other's sessions."""
    return members.first(s) + "/web.keys"


def web(s):
    """What memd has besides its configuration."""
    if not os.path.exists(keys(s)):
        with open(keys(s), "w") as f:
            os.chmod(f.name, 0o600)
            f.write(secrets.token_hex(32) + "\n")
    if www(s).startswith(s["dir"]):
        os.makedirs(www(s), exist_ok=True)
        with open(www(s) + "/index.html", "w") as f:
            f.write("<!DOCTYPE html><title>tiermail</title><p>The web client was not built.\n")


def files(s):
    """{file: {section: {key: value}}}; section "" is the top of the file."""
    p, run, d = s["ports"], s["rundir"], s["dir"]
    tls = d + "/tls"
    local = lambda name: "%s:%d" % (s["host"], p.get(name, 0))
    proxies = " ".join(s.get("names", [s["hostname"]]))
    conf = {
        "tiermail": {
            "": {"hostname": s["hostname"], "rundir": run, "queue": d + "/queue",
                 "store": d + "/store", "libexec": s["bindir"], "user": "", "group": "",
                 "log_to": "stderr", "log_level": os.environ.get("SANDBOX_LOG", "info"),
                 "default_domain": s["domain"], "postmaster": "postmaster@" + s["domain"]},
            "ldap": {"url": s["ldapi"], "base": s["base"],
                     "bind_dn": service(s),
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
            **{"host " + name: {"lmtp": at, "tls": "must"} for name, at in s.get("stores", {}).items()
               if name != s["hostname"]},
        },
        "channel-master": {"": {}},
        "lmtpd": {
            "": {"trusted": "127.0.0.0/8 ::1", "trusted_names": " ".join(s.get("names", [s["hostname"]]))},
            "pab": {"password": s["service_password"]},
            "listen local": {"address": "unix:%s/lmtpd.sock" % run},
            "listen tcp": {"address": local("LMTP_PORT"), "tls": "starttls"},
        },
        "piped": {"listen local": {"address": "unix:%s/piped.sock" % run}},
        # All daemons of a sandbox are one user, stored's own, which plays every role: no peer.*.
        "stored": {"": {}},
        "imapd": {
            "auth": {"proxies": proxies},
            "listen imap": {"address": local("IMAP_PORT"), "tls": "starttls"},
            "listen imaps": {"address": local("IMAPS_PORT"), "tls": "implicit", "peer_certificate": "ask"},
        },
        "pop3d": {
            "auth": {"proxies": proxies},
            "listen pop3": {"address": local("POP3_PORT"), "tls": "starttls"},
            "listen pop3s": {"address": local("POP3S_PORT"), "tls": "implicit", "peer_certificate": "ask"},
        },
        "jmapd": {
            "auth": {"proxies": proxies},
            "directory": {"password": s["service_password"]},
            "pab": {"password": s["service_password"]},
            "listen jmap": {"address": local("JMAP_PORT"), "tls": "implicit", "peer_certificate": "ask"},
        },
        "sieved": {
            "auth": {"proxies": proxies},
            "directory": {"password": s["service_password"]},
            "listen sieve": {"address": local("SIEVE_PORT"), "tls": "starttls", "peer_certificate": "ask"},
        },
        "mmpd": {
            "listen imap": {"address": local("MMP_IMAP_PORT"), "role": "imap", "tls": "starttls"},
            "listen imaps": {"address": local("MMP_IMAPS_PORT"), "role": "imap", "tls": "implicit"},
            "listen pop3": {"address": local("MMP_POP3_PORT"), "role": "pop3", "tls": "starttls"},
            "listen pop3s": {"address": local("MMP_POP3S_PORT"), "role": "pop3", "tls": "implicit"},
            "listen sieve": {"address": local("MMP_SIEVE_PORT"), "role": "sieve", "tls": "starttls"},
            **{"host " + name: {"address": at, "imap_port": imap, "pop3_port": pop3, "sieve_port": sieve}
               for name, (at, imap, pop3, sieve, _) in s.get("readers", {}).items()},
        },
        "memd": {
            "": {"www": www(s), "hsts": "0"},
            "session": {"keys": keys(s)},
            "listen https": {"address": local("HTTPS_PORT"), "role": "web", "tls": "implicit"},
            **{"host " + name: {"address": at, "port": jmap}
               for name, (at, _, _, _, jmap) in s.get("readers", {}).items()},
        },
        "admind": {
            "": {"www": www(s, "console")}, "session": {"keys": keys(s)},
            "audit": {"file": d + "/admin.audit"}, "place": {"hosts": s["hostname"]},
            "ldap": {"bind_dn": "uid=admind,ou=services," + s["base"], "password": s["service_password"]},
            "listen admin": {"address": local("ADMIN_PORT"), "tls": "implicit"},
        },
        "pabctl": {"pab": {"password": s["service_password"]}},
        "storectl-serve": {"listen move": {"address": local("MOVE_PORT"), "tls": "implicit"}},
        "tmctl-serve": {"listen metrics": {"address": local("METRICS_PORT")}},
    }
    if s.get("programs"):
        conf["channels"]["channel pipe"] = {"backoff": "1s"}
    if s.get("moves"):
        conf["tiermail"]["roles"] = {"move": " ".join(s.get("names", [s["hostname"]]))}
    if s.get("role") == "relay":  # nothing is stored here
        del conf["channels"]["host " + s["hostname"]]
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


def group_of(s):
    """The group that the daemons of a sandbox share when root starts them, or None."""
    name = files(s)["tiermail"][""]["group"]
    return grp.getgrnam(name).gr_gid if name and os.getuid() == 0 else None


def write(s, etc):
    group = group_of(s)
    os.makedirs(etc, exist_ok=True)
    for name, sections in files(s).items():
        path = "%s/%s.conf" % (etc, name)
        with open(path + ".new", "w") as f:
            os.chmod(f.name, 0o600 if group is None else 0o640)
            if group is not None:
                os.chown(f.name, 0, group)
            f.write("# written by scripts/sandbox\n")
            for section in sorted(sections, key=lambda x: x != ""):
                if section:
                    f.write("\n[%s]\n" % section)
                for key, value in sections[section].items():
                    f.write("%s = %s\n" % (key, quote(value)))
        os.rename(path + ".new", path)


def environment(s):
    """What goes into DIR/env."""
    run = {"HOST": s["host"], **s["ports"], "LDAP_URL": s["ldapi"],
           "LDAP_BASE": s["base"], "LDAP_ADMIN_DN": "cn=admin," + s["base"],
           "LDAP_ADMIN_PASSWORD": s["admin_password"],
           "LDAP_SERVICE_DN": service(s),
           "LDAP_SERVICE_PASSWORD": s["service_password"],
           "CAFILE": s["dir"] + "/tls/ca.pem", "DOMAIN": s["domain"], "DOMAIN2": s["domain2"],
           "DOMAIN_ALIAS": s["domain_alias"], "MAILHOST": s["hostname"], "USERS": s["users"],
           "USER_PATTERN": s["pattern"], "PASSWORD": s["password"], "RUNDIR": s["rundir"],
           "CONFDIR": s["dir"] + "/etc", "STORE": s["dir"] + "/store",
           "QUEUE": s["dir"] + "/queue", "BINDIR": s["bindir"]}
    if "JMAP_PORT" in s["ports"]:
        run["JMAPURL"] = "https://%s:%d/.well-known/jmap" % (s["host"], s["ports"]["JMAP_PORT"])
    if "HTTPS_PORT" in s["ports"]:
        run["WEBURL"] = "https://%s:%d/" % (s["host"], s["ports"]["HTTPS_PORT"])
        run["WEBJMAPURL"] = run["WEBURL"] + ".well-known/jmap"
    if "MOVE_PORT" in s["ports"]:
        run["MOVE_PORT"] = s["ports"]["MOVE_PORT"]
    if "ADMIN_PORT" in s["ports"]:
        run["ADMIN_URL"] = "https://%s:%d/" % (s["host"], s["ports"]["ADMIN_PORT"])
    if s.get("metrics"):
        run["METRICS_URL"] = "http://%s:%d/metrics" % (s["host"], s["ports"]["METRICS_PORT"])
    return "".join("%s='%s'\n" % (k, str(v).replace("'", "'\\''")) for k, v in run.items())
