#!/usr/bin/env python3
"""The sample policies of conf/examples/guard: behind the samples of /etc/tiermail each is taken by its daemon, and means
what it says."""
import glob, os, shutil, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

top = tm.tempdir()
SAMPLES = os.path.join(tm.TOP, "conf/examples/guard")
sites = sorted(os.path.basename(d) for d in glob.glob(SAMPLES + "/*") if os.path.isdir(d))
tm.is_(sites, ["company", "small", "university"], "three kinds of site")
WANT = {("company", "smtp-relay"): ("on_failure = tempfail", "excess = hold", "forward.refuse = X-Spam: Yes"), ("company", "lmtpd"): ("spam.folder = Junk", "spam.optin = no"),
        ("university", "smtp-relay"): ("on_failure = accept", "greet_wait = 6s"), ("university", "lmtpd"): ("spam.optin = yes", "spamtest.status_header"),
        ("small", "smtp-relay"): ("block_errors = yes", "[milter opendmarc]", "users = optout"), ("small", "lmtpd"): ("spam.field = X-Virus-Status",)}
for site in sites:
    etc = f"{top}/{site}"
    os.mkdir(etc)
    for name in ("smtp-relay.conf", "lmtpd.conf", "channels.conf"):
        shutil.copy(f"{tm.TOP}/conf/{name}", etc)
    with open(etc + "/tiermail.conf", "w") as f:
        f.write(f"hostname = mail.example.org\ndefault_domain = example.org\nrundir = {etc}/run\nqueue = {etc}/queue\nstore = {etc}/store\n"
                "[ldap]\nbase = dc=example,dc=org\n")
    files = sorted(glob.glob(f"{SAMPLES}/{site}/tiermail/*.conf"))
    tm.is_([os.path.basename(f) for f in files], ["lmtpd.conf", "smtp-relay.conf"], f"{site}: a relay's and a store's")
    for sample in files:
        name = os.path.basename(sample)
        text = open(f"{etc}/{name}").read()
        # TLS is another matter: certificates are a host's own
        text = text.replace("tls = starttls", "tls = off").replace("tls = implicit", "tls = off")
        with open(f"{etc}/{name}", "w") as f:
            f.write(text + f"\ninclude {sample}\n")
        r = subprocess.run([f"{tm.BINDIR}/{name[:-5]}", "-n", "-c", f"{etc}/{name}"], capture_output=True, text=True)
        faults = [l for l in r.stderr.splitlines() if "tls = off: nobody can log in there" not in l]
        tm.is_((r.returncode, faults), (0, []), f"{site}: {name} is taken")
        said = r.stdout
        for line in WANT[site, name[:-5]]:
            tm.ok(any(line in l or line.split(".", 1)[-1] in l for l in said.splitlines()), f"{site}: {line}") or tm.diag(said)
tm.done()
