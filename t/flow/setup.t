#!/usr/bin/env python3
"""tiermail-setup from nothing to mail, on a slapd that has nothing but cn=config: unattended, twice, with an
administrator's changes in between; what `check` says of a host that is well and of one that is not; and a
directory that was there before, changed as the printed LDIF says.

What the page's packages and units add is t/deb/packages.t's."""
import base64, hashlib, json, os, re, shutil, socket, ssl, subprocess, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("slapd", "ldapadd", "openssl", "nsd")
SETUP = os.path.join(tm.TOP, "scripts/setup/tiermail-setup")
DOMAIN, HOST, BASE = "example.org", "mail.example.org", "dc=example,dc=org"
DAEMONS = ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "jobctl", "smtp-relay", "memd", "admind", "piped")
top = tm.tempdir()
etc, ldapi, running = top + "/etc", "ldapi://" + (top + "/ldapi").replace("/", "%2F"), {}
CONF = etc + "/tiermail.conf"


def run(*argv, text=None):
    return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=2 * tm.LONG)


def setup(*args, text=None):
    return run(SETUP, "-c", CONF, *args, text=text)


def said(r):
    return (r.returncode, r.stdout, r.stderr)


def put(path, text):
    with open(path, "w") as f:
        f.write(text)


def text_of(path):
    with open(path) as f:
        return f.read()


def slapd():
    """A server that knows nothing: cn=config for us alone."""
    me = f"gidNumber={os.getgid()}+uidNumber={os.getuid()},cn=peercred,cn=external,cn=auth"
    for d in ("slapd.d", "db"):
        os.mkdir(f"{top}/{d}")
    r = run("slapadd", "-n0", "-F", top + "/slapd.d", text="dn: cn=config\nobjectClass: olcGlobal\n\n"
            "dn: cn=module,cn=config\nobjectClass: olcModuleList\nolcModulePath: /usr/lib/ldap\nolcModuleLoad: back_mdb\n\n"
            "dn: cn=schema,cn=config\nobjectClass: olcSchemaConfig\n\ninclude: file:///etc/ldap/schema/core.ldif\n\n"
            f"dn: olcDatabase=config,cn=config\nobjectClass: olcDatabaseConfig\nolcAccess: to * by dn.exact={me} manage\n\n")
    tm.is_(said(r), (0, "", r.stderr), "a slapd with nothing in it")
    running["slapd"] = subprocess.Popen(["slapd", "-d", "0", "-F", top + "/slapd.d", "-h", ldapi], stderr=subprocess.DEVNULL)
    tm.wait_for(lambda: run("ldapwhoami", "-Q", "-Y", "EXTERNAL", "-H", ldapi).returncode == 0, what="slapd")


def slapcat():
    return run("slapcat", "-F", top + "/slapd.d", "-b", BASE).stdout


def start(name):
    tm.watch_log(f"{top}/{name}.log")
    with open(f"{top}/{name}.log", "a") as log:
        running[name] = subprocess.Popen([f"{tm.BINDIR}/{name}", "-c", f"{etc}/{name}.conf"], stderr=log)
    tm.wait_for(lambda: ping(name), what=name)


def ping(name):
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{top}/run/{name}.ctl")
            s.sendall(b"ping\n")
            return s.recv(10) == b"pong\n"
    except OSError:
        return False


def stop(name):
    p = running.pop(name)
    p.terminate()
    return p.wait(tm.LONG)


def tree():
    """{path: (mode, digest)} of all that setup writes."""
    found = {}
    for d, _, names in os.walk(etc):
        for n in names:
            with open(os.path.join(d, n), "rb") as f:
                found[os.path.join(d, n)] = os.stat(f.name).st_mode, hashlib.sha256(f.read()).hexdigest()
    return found


def findings():
    r = setup("check", "--json")
    return [(f["level"], f["what"], f["words"]) for f in map(json.loads, r.stdout.splitlines())], r.returncode


def worst(what, found=None):
    """The worst level of a question."""
    levels = [level for level, w, _ in (found or findings()[0]) if w == what]
    return next((level for level in ("FAIL", "WARN", "OK") if level in levels), None)


def name_server(zone):
    """nsd with the zone that `records` prints."""
    port = tm.free_port()
    os.makedirs(top + "/nsd", exist_ok=True)
    put(top + "/nsd/zone", f"$TTL 60\n{DOMAIN}. IN SOA ns.{DOMAIN}. x.{DOMAIN}. 1 60 60 60 60\n{DOMAIN}. IN NS ns.{DOMAIN}.\n"
        f"ns.{DOMAIN}. IN A 127.0.0.1\n{HOST}. IN A 127.0.0.1\n{zone}")
    put(top + "/nsd/nsd.conf", f'server:\n ip-address: 127.0.0.1@{port}\n username: ""\n zonesdir: {top}/nsd\n database: ""\n pidfile: ""\n'
        f' logfile: {top}/nsd/log\n xfrdfile: {top}/nsd/xfrd\n zonelistfile: {top}/nsd/list\n xfrdir: {top}/nsd\n'
        f"remote-control:\n control-enable: no\nzone:\n name: {DOMAIN}\n zonefile: zone\n")
    running["nsd"] = subprocess.Popen(["nsd", "-d", "-c", top + "/nsd/nsd.conf"], stderr=subprocess.DEVNULL)
    return port


def existing_directory():
    """A university's: people with mail, no schema object of ours, rules of their own."""
    base = "dc=uni,dc=test"
    os.mkdir(top + "/uni")
    me = run("ldapwhoami", "-Q", "-Y", "EXTERNAL", "-H", ldapi).stdout.strip().partition(":")[2]
    r = run("ldapadd", "-Q", "-Y", "EXTERNAL", "-H", ldapi, text=f"dn: olcDatabase=mdb,cn=config\nobjectClass: olcDatabaseConfig\n"
            f"objectClass: olcMdbConfig\nolcDatabase: mdb\nolcDbDirectory: {top}/uni\nolcSuffix: {base}\nolcRootDN: {me}\n"
            "olcAccess: to attrs=userPassword by anonymous auth by * none\nolcAccess: to * by self read by * none\n\n"
            f"dn: {base}\nobjectClass: dcObject\nobjectClass: organization\ndc: uni\no: uni\n\n"
            f"dn: ou=services,{base}\nobjectClass: organizationalUnit\nou: services\n\ndn: ou=staff,{base}\nobjectClass: organizationalUnit\nou: staff\n\n" +
            "".join(f"dn: uid={u},ou=staff,{base}\nobjectClass: inetOrgPerson\nuid: {u}\ncn: {u}\nsn: {u}\nmail: {u}@uni.test\n"
                    f"userPassword: {u}\n\n" for u in ("jo", "kim")))
    tm.is_(r.returncode, 0, "a directory that was there before " + r.stderr)
    return base


try:
    os.mkdir(etc)
    os.umask(0o027)  # as a careful root has it
    for n in (*DAEMONS, "channels", "channel-master"):
        shutil.copy(f"{tm.TOP}/conf/{n}.conf", etc)
    port = {n: tm.free_port() for n in ("25", "587", "465", "143", "993", "110", "995", "4190", "8443", "443", "8444")}
    for n in ("imapd", "pop3d", "jmapd", "sieved", "smtp-relay", "memd", "admind"):
        conf = text_of(f"{etc}/{n}.conf")
        for p, q in port.items():
            conf = conf.replace(f"address = *:{p}\n", f"address = 127.0.0.1:{q}\n")
        conf = conf.replace("#port = 8443\n", f"port = {port['8443']}\n").replace("#www = /usr/share/tiermail/www\t", f"www = {tm.TOP}/cmd/memd/www\t")
        conf = conf.replace("#www = /usr/share/tiermail/console\t", f"www = {os.path.dirname(tm.BINDIR)}/console\t")
        conf = conf.replace("#file = /var/log/tiermail/admin.audit", f"file = {top}/admin.audit")
        put(f"{etc}/{n}.conf", conf)
    sample = text_of(f"{tm.TOP}/conf/tiermail.conf")
    put(CONF, f"# kept: the administrator's words\nprefix = {top}\nrundir = {top}/run\nqueue = {top}/queue\nstore = {top}/store\n"
        f"libexec = {tm.BINDIR}\n" + "".join(l for l in sample.splitlines(True) if not l.startswith(("#prefix", "#rundir", "#queue", "#store", "#libexec"))))
    slapd()
    OPTIONS = ("--yes", "--domain", DOMAIN, "--hostname", HOST, "--role", "all", "--directory", "fresh", "--ldap-url", ldapi,
               "--directory-path", top + "/db", "--self-made", "--user", "anna", "--no-start")

    # ---- what cannot be is refused before anything is done
    before = tree()
    for wrong in (("--domain", "nodot"), ("--hostname", "a b.example.org"), ("--base", "example.org"), ("--user", "../anna"),
                  ("--role", "king"), ("--certificate", "/no/such")):
        r = setup(*OPTIONS, *wrong)
        tm.ok(r.returncode == 64 and wrong[0] in r.stderr and tree() == before, f"{wrong[0]} {wrong[1]} is refused")

    # ---- everything
    r = setup(*OPTIONS)
    if not tm.is_((r.returncode, r.stderr), (0, ""), "tiermail-setup, unattended"):
        tm.diag(r.stdout)
    tm.ok("# kept: the administrator's words" in text_of(CONF) and f"\n-#hostname =" in r.stdout and f"\n+hostname = {HOST}" in r.stdout,
          "the configuration is edited, and the changes are shown")
    secrets = [p for p in tree() if p.endswith((".password", ".key", "key.pem"))]
    tm.is_((len(secrets), [p for p in secrets if os.stat(p).st_mode & 0o007]), (9, []), "secrets are in files that others cannot read")
    password = text_of(f"{etc}/anna@{DOMAIN}.password")
    tm.ok(password not in r.stdout and text_of(etc + "/ldap.password") not in r.stdout, "and nowhere else")
    tm.ok(text_of(etc + "/sieve.password") not in (r.stdout, text_of(etc + "/ldap.password")), "nor sieved's, which is another one")
    tm.ok(len({text_of(f"{etc}/{n}.password") for n in ("ldap", "sieve", "jmap", "pab", "admind")}) == 5, "and jmapd's and admind's, others again")
    tm.is_(text_of(etc + "/aliases").split("\n")[1], f"root:\t\tanna@{DOMAIN}", "root's mail has a reader")
    for d in DAEMONS:
        start(d)
    r = setup("test", "--user", "anna")
    tm.is_((r.returncode, r.stdout.count("ok "), r.stderr), (0, 4, ""), "sends, reads, bounces, and is there by the web") or tm.diag(r.stdout)
    tm.is_(run(*[f"{tm.BINDIR}/storectl", "-c", CONF, "list", f"anna@{DOMAIN}"]).returncode, 0,
           "in a mailbox of this store")

    with socket.create_connection(("127.0.0.1", port["4190"]), tm.LONG) as s:
        def answer(say=b""):
            s.sendall(say)
            got = s.recv(4096)
            while not re.search(rb"(?m)^(OK|NO|BYE).*\r\n\Z", got):
                got += s.recv(4096)
            return got.decode()
        answer(), answer(b"STARTTLS\r\n")
        s = ssl.create_default_context(cafile=etc + "/tls/ca.pem").wrap_socket(s, server_hostname=HOST)
        answer()
        login = base64.b64encode(b"\0anna\0" + password.strip().encode())
        told = [answer(b) for b in (b'AUTHENTICATE "PLAIN" "' + login + b'"\r\n', b'PUTSCRIPT "x" "keep;"\r\n', b'SETACTIVE "x"\r\n', b"LISTSCRIPTS\r\n")]
    tm.is_(told, ['OK "Logged in"\r\n', 'OK "Stored"\r\n', 'OK "Done"\r\n', '"x" ACTIVE\r\nOK "Scripts"\r\n'], "and by ManageSieve a script is hers")

    account = "u" + base64.urlsafe_b64encode(f"anna@{DOMAIN}".encode()).decode().rstrip("=")
    ask = json.dumps({"using": ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:contacts"], "methodCalls": [
        ["ContactCard/set", {"accountId": account, "create": {"a": {"addressBookIds": {"default": True}, "name": {"full": "Jo"}}}}, "a"]]})
    with socket.create_connection(("127.0.0.1", port["8443"]), tm.LONG) as s:
        s = ssl.create_default_context(cafile=etc + "/tls/ca.pem").wrap_socket(s, server_hostname=HOST)
        s.sendall(f"POST /jmap/api HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {len(ask)}\r\n"
                  f"Authorization: Basic {base64.b64encode(b'anna:' + password.strip().encode()).decode()}\r\n\r\n{ask}".encode())
        got = b"".join(iter(lambda: s.recv(4096), b"")).decode()
    tm.ok('"created":{"a":{"id":"c' in got, "she has an address book, in its own database") or tm.diag(got)

    tm.ok(f"password = file:{etc}/pab.password" in text_of(etc + "/lmtpd.conf"), "which scripts may ask, too")

    # ---- what mail programs are told, and the console
    tm.ok(f"[autoconfig *]\nservices = imaps://{HOST}:{port['993']} imap://{HOST}:{port['143']} pop3s://{HOST}:{port['995']} pop3://{HOST}:{port['110']} "
          f"submissions://{HOST}:{port['465']} submission://{HOST}:{port['587']}" in text_of(etc + "/memd.conf"), "memd tells mail programs of its listeners")
    r = run("curl", "-sS", "--cacert", etc + "/tls/ca.pem", "--resolve", f"{HOST}:{port['443']}:127.0.0.1", f"https://{HOST}:{port['443']}/mail/config-v1.1.xml?emailaddress=anna@{DOMAIN}")
    tm.ok(f"<hostname>{HOST}</hostname>\n<port>{port['993']}</port>" in r.stdout, "as they ask it") or tm.diag(said(r))
    r = run("curl", "-sS", "--cacert", etc + "/tls/ca.pem", "--resolve", f"{HOST}:{port['8444']}:127.0.0.1", "-u", "anna:" + password.strip(), f"https://{HOST}:{port['8444']}/api/v1/me")
    tm.ok(f'"anna@{DOMAIN}"' in r.stdout, "admind knows her") or tm.diag(said(r))

    # ---- again
    before, entries = tree(), slapcat()
    r = setup(*OPTIONS)
    tm.ok(r.returncode == 0 and "Everything is as it should be already." in r.stdout, "once more: nothing to do") or tm.diag(said(r))
    r = setup("--yes", "--no-start", "--ldap-url", ldapi)
    tm.ok(r.returncode == 0 and "Everything is as it should be already." in r.stdout, "nor without being told again") or tm.diag(said(r))
    r = setup("--no-start", text="\n" * 6)
    tm.ok(r.returncode == 0 and r.stdout.count("]: ") == 6 and "Everything is as it should be already." in r.stdout,
          "nor when it asks, and hears nothing new") or tm.diag(said(r))
    r = setup("--no-start", "--hostname", "new.example.org", text="\n" * 5 + "no\n")
    tm.ok(r.returncode == 78 and "+hostname = new.example.org" in r.stdout and "Replace what is set already?" in r.stdout,
          "what is answered with no is not done") or tm.diag(said(r))
    r = setup("--no-start", text="nodot\n")
    tm.ok(r.returncode == 1 and "nodot is no name" in r.stdout and "nobody answers" in r.stderr, "what cannot be is asked again") or tm.diag(said(r))
    tm.ok(tree() == before and slapcat() == entries, "and nothing has changed")

    # ---- a mail filter
    if shutil.which("rspamd") and shutil.which("redis-server"):
        rspamd = top + "/rspamd"
        os.mkdir(rspamd)
        filtered = ("--filter", "rspamd", "--filter-path", rspamd)
        r = setup(*OPTIONS, *filtered)
        tm.is_((r.returncode, r.stderr), (0, ""), "rspamd is set up") or tm.diag(r.stdout)
        key = f"{rspamd}/dkim/{DOMAIN}.tiermail.key"
        tm.is_(os.stat(key).st_mode & 0o777, 0o600, "with a key that nobody else reads")
        tm.ok("milter rspamd" in text_of(etc + "/smtp-relay.conf") and "\nfolder = Junk" in text_of(etc + "/lmtpd.conf"), "the relay asks it, the store files by it")
        tm.is_([run(f"{tm.BINDIR}/{d}", "-n", "-c", f"{etc}/{d}.conf").returncode for d in ("smtp-relay", "lmtpd")], [0, 0], "(both take it)")
        zone = setup("records", "--filter-path", rspamd).stdout
        dkim = re.search(rf'tiermail\._domainkey\.{DOMAIN}\. +IN TXT +(".*")', zone)
        public = run("openssl", "pkey", "-in", key, "-pubout").stdout
        tm.ok(dkim and all(len(s) <= 257 for s in dkim[1].split(" ") if s[:1] == '"' == s[-1:]) and dkim[1].replace('" "', "").strip('"') ==
              "v=DKIM1; k=rsa; p=" + "".join(public.split("\n")[1:-2]), "the record has its key, in strings that DNS takes") or tm.diag(zone)
        r = setup(*OPTIONS, *filtered)
        tm.ok(r.returncode == 0 and "Everything is as it should be already." in r.stdout, "once more: nothing to do") or tm.diag(said(r))
        found = [f for f in map(json.loads, setup("check", "--json", "--filter-path", rspamd).stdout.splitlines()) if f["what"] == "filter"]
        tm.is_([(f["level"], "rspamd does not answer" in f["words"]) for f in found], [("FAIL", True)], "check asks it, and it does not run")
        put(rspamd + "/local.d/arc.conf", "enabled = false;\n")
        r = setup(*OPTIONS, *filtered)
        tm.ok(r.returncode == 78 and "local.d/arc.conf" in r.stderr and text_of(rspamd + "/local.d/arc.conf") == "enabled = false;\n",
              "a file that an administrator has written stays") or tm.diag(said(r))
        r = setup(*OPTIONS, *filtered, "--replace")
        tm.ok(r.returncode == 0 and "tiermail" in text_of(rspamd + "/local.d/arc.conf"), "unless it is to be replaced")
        tm.ok(setup(*OPTIONS, "--filter", "rspamd", "--filter-path", top + "/no").returncode == 64, "no configuration of rspamd, no filter")
        tm.is_(setup(*OPTIONS, "--filter-virus").returncode, 64, "nobody who would ask about viruses, no viruses")
        if shutil.which("clamd") or os.path.exists("/usr/sbin/clamd"):
            tm.ok(not os.path.exists(rspamd + "/local.d/antivirus.conf"), "nobody has asked for clamd")
            tm.is_(setup(*OPTIONS, *filtered, "--filter-virus").returncode, 0, "rspamd is to ask clamd")
            tm.ok("clamd.ctl" in text_of(rspamd + "/local.d/antivirus.conf") and "CLAM_VIRUS_FAIL" in text_of(rspamd + "/local.d/force_actions.conf"), "and is told so")
            tm.is_(setup(*OPTIONS, *filtered).returncode, 0, "without the option")
            tm.ok(os.path.exists(rspamd + "/local.d/antivirus.conf"), "it stays")
            found = [f for f in map(json.loads, setup("check", "--json", "--filter-path", rspamd).stdout.splitlines()) if f["what"] == "virus"]
            tm.is_([(f["level"], "clamd does not answer" in f["words"]) for f in found], [("FAIL", True)], "check asks clamd, and it does not run")
        put(etc + "/smtp-relay.conf", text_of(etc + "/smtp-relay.conf").split("\n[milter rspamd]")[0] + "\n")   # (nothing of it runs here)

    # ---- what an administrator has changed stays
    put(CONF, text_of(CONF).replace(f"hostname = {HOST}", "hostname = other.example.org"))
    mine = text_of(CONF)
    r = setup(*OPTIONS)
    tm.ok(r.returncode == 78 and "hostname is other.example.org, and would be " + HOST in r.stdout and text_of(CONF) == mine,
          "another value is not replaced without a word") or tm.diag(said(r))
    r = setup(*OPTIONS, "--replace")
    tm.ok(r.returncode == 0 and text_of(CONF) == mine.replace("other.example.org", HOST), "but with one")
    put(CONF, text_of(CONF) + "\n[quota]\nbytez = 5\n")
    r = setup(*OPTIONS, "--replace", "--hostname", "new.example.org")
    tm.ok(r.returncode == 78 and "unknown key quota.bytez" in r.stderr and f"hostname = {HOST}" in text_of(CONF),
          "a configuration that no daemon would take is not written") or tm.diag(said(r))
    put(CONF, text_of(CONF).replace("\n[quota]\nbytez = 5\n", ""))

    # ---- the records that it prints are a zone, and what check looks for
    zone = setup("records").stdout
    dns = name_server(zone)
    put(CONF, text_of(CONF).replace("\n[dns]\n", f"\n[dns]\nresolvers = 127.0.0.1@{dns}\n"))
    tm.ok(tm.wait_for(lambda: ("OK", "dns", DOMAIN) in findings()[0], 20, "the zone"), "the printed records are what check wants") \
        or tm.diag(zone + str(findings()))
    found, code = findings()
    tm.is_([f for f in found if f[0] == "FAIL"], [], "check: nothing fails")
    tm.is_({w: worst(w, found) for w in ("configuration", "running", "directory", "domains", "users", "accounts", "certificate", "ports", "modes", "delivery")},
           {w: "OK" for w in ("configuration", "running", "directory", "domains", "users", "accounts", "certificate", "ports", "modes", "delivery")},
           "check: all is well")
    tm.is_(sum(w == "ports" for _, w, _ in found), 14, "each listener was asked")
    tm.is_(sorted(w.split(",")[0] for _, what, w in found if what == "accounts"), ["uid=" + n for n in ("admind", "jmap", "pab", "sieve")], "each account that acts for people was tried")
    tm.ok(f"_jmap._tcp.{DOMAIN}." in zone and f"_autodiscover._tcp.{DOMAIN}." in zone and f"autoconfig.{DOMAIN}." in zone, "the records lead to memd")
    tm.is_(code, 1 if any(f[0] == "WARN" for f in found) else 0, "its exit code")
    tm.is_(setup("check").stdout.count("\nOK ") + 1, sum(f[0] == "OK" for f in found), "in words too")

    # ---- a host that is not well: one fault after the other, each found, each gone again
    def fault(what, level, words):
        found, code = findings()
        hits = [f for f in found if f[0] == level and f[1] == what and words in f[2]]
        tm.ok(hits and code == (2 if "FAIL" in {f[0] for f in found} else 1), f"check finds: {what}, {words}") or tm.diag(found)

    good = text_of(CONF)
    stop("imapd")
    fault("running", "FAIL", "imapd does not answer")
    fault("ports", "FAIL", "imapd 127.0.0.1")
    start("imapd")
    os.chmod(etc + "/ldap.password", 0o644)
    fault("modes", "FAIL", "ldap.password is open to everybody")
    os.chmod(etc + "/ldap.password", 0o640)
    service = text_of(etc + "/ldap.password")
    put(etc + "/ldap.password", "wrong")
    fault("directory", "FAIL", "wrong password or account")
    put(etc + "/ldap.password", service)
    service = text_of(etc + "/sieve.password")
    put(etc + "/sieve.password", "wrong")
    fault("accounts", "FAIL", f"as uid=sieve,ou=services,{BASE}: wrong password or account")
    put(etc + "/sieve.password", service)
    run("ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", ldapi, text=f"dn: uid=jmap,ou=services,{BASE}\nchangetype: modify\nreplace: authzTo\nauthzTo: dn.regex:^uid=x,{BASE}$\n")
    fault("accounts", "FAIL", f"uid=jmap,ou=services,{BASE} may not act for uid=anna,")
    run("ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", ldapi, text=f"dn: uid=jmap,ou=services,{BASE}\nchangetype: modify\nreplace: authzTo\nauthzTo: dn.regex:^uid=[^,]+,ou=People,o=[^,]+,{BASE}$\n")
    put(CONF, good.replace("#provider =", "provider = ldap://127.0.0.1:1"))
    fault("provider", "FAIL", "ldap://127.0.0.1:1: nobody answers")
    put(CONF, good)
    put(CONF, good.replace(f"base = {BASE}", "base = dc=exampel,dc=org"))
    fault("base", "FAIL", "dc=exampel,dc=org: there is no such entry")
    put(CONF, good.replace(f"base = {BASE}", f"base = ou=People,o={DOMAIN},{BASE}"))
    fault("domains", "FAIL", "sees no domain")
    put(CONF, good.replace(f"hostname = {HOST}", "hostname = elsewhere.example.org"))
    fault("certificate", "FAIL", "has not the name elsewhere.example.org")
    fault("dns", "FAIL", "elsewhere.example.org has no address")
    put(CONF, good + "\nnonsense = 1\n")
    fault("configuration", "FAIL", "unknown key")
    put(CONF, good)
    run("ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", ldapi, text="dn: olcDatabase={1}mdb,cn=config\nchangetype: modify\n"
        "delete: olcDbIndex\nolcDbIndex: uid,mail,mailAlternateAddress,mailEquivalentAddress eq,subinitial\n")
    fault("indexes", "WARN", "no index of uid mail")
    stop("slapd")
    fault("directory", "FAIL", "nobody answers")
    running["slapd"] = subprocess.Popen(["slapd", "-d", "0", "-F", top + "/slapd.d", "-h", ldapi], stderr=subprocess.DEVNULL)
    tm.wait_for(lambda: run("ldapwhoami", "-Q", "-Y", "EXTERNAL", "-H", ldapi).returncode == 0, what="slapd")
    stop("nsd")
    fault("dns", "WARN", "nobody answers")

    # ---- renewal: what ends soon is made anew and reloaded, the key's owner and mode stay
    host = f"{etc}/ca/hosts/{HOST}.pem"
    run(tm.TOP + "/scripts/tier-ca", "-C", etc + "/ca", "-d", "10", "renew", HOST)
    shutil.copy(host, etc + "/tls/cert.pem")
    fault("certificate", "WARN", "ends in ")
    was, reloads = text_of(etc + "/tls/cert.pem"), text_of(top + "/imapd.log").count("ev=reload")
    r = setup("certificates")
    tm.ok(r.returncode == 0 and text_of(etc + "/tls/cert.pem") not in (was, "") and worst("certificate") == "OK", "a certificate that ends is renewed") \
        or tm.diag(said(r))
    tm.ok(tm.wait_for(lambda: text_of(top + "/imapd.log").count("ev=reload") > reloads), "and the daemons told")

    r = setup(*(o for o in OPTIONS if o != "--self-made"), "--certificate", host, "--key", host[:-4] + ".key")
    tm.ok(r.returncode == 78 and f"tls.ca is {etc}/tls/ca.pem, and would be " in r.stdout, "with another's certificate the own authority goes, but not unasked") \
        or tm.diag(said(r))

    # ---- a directory that was there before
    base = existing_directory()
    ETC2 = top + "/etc2"
    shutil.copytree(etc, ETC2)
    os.unlink(ETC2 + "/ldap.password")
    os.unlink(ETC2 + "/sieve.password")
    os.unlink(ETC2 + "/jmap.password")
    os.unlink(ETC2 + "/admind.password")
    for name in ("sieved.conf", "jmapd.conf", "lmtpd.conf", "memd.conf", "admind.conf"):
        shutil.copy(f"{tm.TOP}/conf/{name}", ETC2)
    put(ETC2 + "/tiermail.conf", f"prefix = {top}/two\nlibexec = {tm.BINDIR}\n" + sample)
    put(top + "/service.password", "of the service\n")
    CONF = ETC2 + "/tiermail.conf"
    who = f"uid=tiermail,ou=services,{base}"
    uni = ("--domain", "uni.test", "--hostname", HOST, "--ldap-url", ldapi, "--base", base, "--bind-dn", who,
           "--bind-password-file", top + "/service.password")
    more = ("--yes", "--role", "all", "--directory", "existing", "--certificate", etc + "/tls/cert.pem", "--key", etc + "/tls/key.pem",
            "--ca", etc + "/ca/ca.pem", "--no-start")
    r = setup(*uni, *more)
    tm.ok(r.returncode == 1 and "tiermail-setup directory" in r.stderr and "hostname = " + HOST not in text_of(CONF).split("#")[0],
          "is not taken as it is") or tm.diag(said(r))
    ldif = setup(*uni, "--people", f"ou=staff,{base}", "directory")
    r = run("ldapmodify", "-c", "-Q", "-Y", "EXTERNAL", "-H", ldapi, text=ldif.stdout)
    tm.is_((ldif.returncode, r.returncode), (0, 0), "what it lacks is printed, and can be loaded") or tm.diag(ldif.stdout + r.stderr)
    run("ldappasswd", "-Q", "-Y", "EXTERNAL", "-H", ldapi, "-s", "of the service", who)
    sieve = f"uid=sieve,ou=services,{base}"
    run("ldappasswd", "-Q", "-Y", "EXTERNAL", "-H", ldapi, "-s", "of scripts", sieve)
    put(ETC2 + "/sieve.password", "of scripts\n")
    acts = [run("ldapmodify", "-x", "-H", ldapi, "-D", sieve, "-w", "of scripts", "-e", f"!authzid=dn:uid=jo,ou=staff,{base}", text=f"dn: uid=jo,ou=staff,{base}\n"
                f"changetype: modify\nreplace: {a}\n{a}: keep;\n").returncode for a in ("mailSieveRuleSource", "cn", "userPassword")]
    tm.is_([a == 0 for a in acts], [True, False, False], "sieved may change a person's scripts there, and nothing else")
    jmap = f"uid=jmap,ou=services,{base}"
    run("ldappasswd", "-Q", "-Y", "EXTERNAL", "-H", ldapi, "-s", "of vacations", jmap)
    put(ETC2 + "/jmap.password", "of vacations\n")
    acts = [run("ldapmodify", "-x", "-H", ldapi, "-D", jmap, "-w", "of vacations", "-e", f"!authzid=dn:uid=jo,ou=staff,{base}", text=f"dn: uid=jo,ou=staff,{base}\n"
                f"changetype: modify\nadd: {a}\n{a}: {v}\n").returncode
            for a, v in (("mailAutoReplyText", "away"), ("mailDeliveryOption", "autoreply"), ("mailDeliveryOption", "program"), ("mailSieveRuleSource", "keep;"))]
    tm.is_([a == 0 for a in acts], [True, True, False, False], "jmapd may change a person's vacation there, and nothing else")
    run("ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", ldapi, text=f"dn: uid=jo,ou=staff,{base}\nchangetype: modify\ndelete: mailDeliveryOption\nmailDeliveryOption: autoreply\n")
    r = setup(*uni, *more)
    tm.is_((r.returncode, r.stderr), (0, ""), "then it is") or tm.diag(r.stdout)
    tm.ok(f"password = file:{ETC2}/sieve.password" in text_of(ETC2 + "/sieved.conf"), "with the password of scripts, where there is one")
    tm.ok("\nbind_dn" not in text_of(ETC2 + "/admind.conf"), "no console, where the directory has given it no account")
    tm.ok(f"password = file:{ETC2}/jmap.password" in text_of(ETC2 + "/jmapd.conf"), "and of vacations")
    r = run(tm.BINDIR + "/mtatest", "-c", CONF, "-j", "expand", "jo@uni.test")
    tm.ok(r.returncode == 0 and json.loads(r.stdout)["recipients"][0]["host"] == HOST, "and its people get mail") or tm.diag(said(r))
    seen = [run("ldapsearch", "-LLL", "-x", "-H", ldapi, "-D", f"uid=jo,ou=staff,{base}", "-w", "jo", "-b", f"uid={u},ou=staff,{base}",
                "uid").stdout.count("dn: ") for u in ("jo", "kim")]
    tm.is_(seen, [1, 0], "who see no more of each other than before")
finally:
    tm.end(running.values())
tm.done()
