#!/usr/bin/env python3
"""No hostile session makes another user wait: t/tools/fair, kind by kind."""
import os, re, subprocess
import tm

# Kinds that still hold others up.  Who mends one takes its line out.
TODO = {
}

# In memory: the pauses of a disk are not what is looked for.
if os.access("/dev/shm", os.W_OK) and os.statvfs("/dev/shm").f_bavail * os.statvfs("/dev/shm").f_frsize > 2 << 30:
    os.environ["TMPDIR"] = "/dev/shm"
tool = os.path.join(tm.TOP, "t/tools/fair")
kinds = [line.split()[0] for line in subprocess.run([tool, "--list"], capture_output=True, text=True).stdout.splitlines()]
tm.is_(sorted(set(TODO) - set(kinds)), [], "what is to be done is a kind of attack")
limit = 500 if tm.SANITIZED else 100
sb = tm.Sandbox("--users", "17", "--set", "imapd.workers=1", "--set", "tiermail.log_level=warn", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
p = subprocess.Popen([tool, "--limit", str(limit), sb.dir, *[k + ":1" if k in TODO else k for k in kinds]], stdout=subprocess.PIPE, text=True)
for line in p.stdout:
    word, name, rest = line.split(maxsplit=2)
    good, why = word == "ok", TODO.get(name)
    what = f"{name}: nobody waits {limit} ms ({rest.strip()})".replace("#", "")
    if why:
        tm.todo(good, what, why)
    else:
        tm.ok(good, what)
    kinds.remove(name)
p.wait()
tm.is_(kinds, [], "every kind was tried")
tm.done()
