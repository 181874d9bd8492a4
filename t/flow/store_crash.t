#!/usr/bin/env python3
"""stored is killed at random moments under load: nothing acknowledged is lost, nothing is left
over.  Then the index is destroyed and recovered; then index and log are taken away, and reconstruct makes it again from the files."""
import os, random, shutil, signal, socket, subprocess, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

LOAD = os.path.join(tm.BINDIR, "../t/tools/storeload")
STORED, STORECTL = (os.path.join(tm.BINDIR, p) for p in ("stored", "storectl"))
for program in (LOAD, STORED, STORECTL):
    if not os.access(program, os.X_OK):
        tm.skip_all(program + " is not built")

seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
random.seed(seed)
tm.diag(f"SEED={seed}")
DIR = tm.tempdir()
PARTITION = DIR + "/store/partition/primary"
MESSAGES, RECIPIENTS, KILLS = 3000, 3, 12


def write(name, text):
    with open(os.path.join(DIR, name), "w") as f:
        f.write(text)


write("tiermail.conf", f"prefix = {DIR}\nrundir = {DIR}\nstore = {DIR}/store\nhostname = store.test\n"
      "log_level = info\n")
write("stored.conf", "map_size = 1G\nmin_free = 0\ncleanup_age = 0\n")
ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
ready.bind(DIR + "/notify")
ready.settimeout(tm.LONG)
log = open(DIR + "/log", "a")
tm.watch_log(DIR + "/log")


def start():
    p = subprocess.Popen([STORED, "-c", DIR + "/stored.conf"], stderr=log, stdout=log,
                         env=dict(os.environ, NOTIFY_SOCKET=DIR + "/notify"))
    while b"READY=1" not in ready.recv(65536):
        pass
    return p


def storectl(*args):
    return subprocess.run([STORECTL, "-c", DIR + "/tiermail.conf", *args], capture_output=True, text=True)


def check(what):
    r = storectl("check")
    tm.is_(r.returncode, 0, what) or tm.diag(r.stdout[-2000:] + r.stderr[-2000:])
    return r.stdout


stored = start()
acks = open(DIR + "/acks", "w+")
load = subprocess.Popen([LOAD, "load", DIR + "/stored.sock", str(MESSAGES), "20", "40", "3000",
                         str(RECIPIENTS), str(seed)], stdout=acks, stderr=subprocess.PIPE, text=True)
kills = 0
while load.poll() is None and kills < KILLS:
    time.sleep(random.uniform(0.01, 0.12))
    if load.poll() is not None:
        break
    stored.kill()
    stored.wait()
    kills += 1
    stored = start()
try:
    err = load.communicate(timeout=tm.LONG)[1]
except subprocess.TimeoutExpired:
    load.kill()
    err = "the load did not end"
tm.is_(load.returncode, 0, f"{MESSAGES} messages to {RECIPIENTS} recipients each, {kills} times killed") or \
    tm.diag(err)
tm.ok(kills >= 3, "killed while it worked")
acks.seek(0)
r = subprocess.run([LOAD, "verify", PARTITION], stdin=acks, capture_output=True, text=True)
tm.is_(r.returncode, 0, "every acknowledged message is there: " + r.stdout.strip().splitlines()[-1]) or \
    tm.diag(r.stdout[-2000:] + r.stderr)
acks.seek(0)
tm.is_(sum(1 for line in acks), MESSAGES * RECIPIENTS, "each was acknowledged once")
out = check("storectl check finds nothing")
counted = int(out.split("mailboxes, ")[1].split()[0])
tm.is_(counted, MESSAGES * RECIPIENTS, "no message was delivered twice")
tm.ok(not os.path.exists(PARTITION + "/=aside") or not os.listdir(PARTITION + "/=aside"),
      "nothing had to be set aside")

stored.kill()
stored.wait()
with open(PARTITION + "/index/data.mdb", "r+b") as f:
    f.write(random.randbytes(16384))
r = storectl("recover")
tm.is_(r.returncode, 0, "recover makes the index again: " + (r.stdout.splitlines() or [""])[-2]) or \
    tm.diag(r.stdout + r.stderr)
stored = start()
check("storectl check finds nothing")
acks.seek(0)
r = subprocess.run([LOAD, "verify", PARTITION], stdin=acks, capture_output=True, text=True)
tm.is_(r.returncode, 0, "every acknowledged message is there again") or tm.diag(r.stdout[-2000:] + r.stderr)
acks.seek(0)

stored.terminate()
tm.is_(stored.wait(), 0, "stored drains")
shutil.rmtree(PARTITION + "/index")
shutil.rmtree(PARTITION + "/log")
stored = start()
for n in range(1, 21):
    r = storectl("reconstruct", f"user{n:04d}@example.test")
    if r.returncode:
        break
tm.is_(r.returncode, 0, "every account is reconstructed from its files") or tm.diag(r.stdout + r.stderr)
tm.diag(r.stdout)
out = check("storectl check finds nothing again")
tm.is_(int(out.split("mailboxes, ")[1].split()[0]), MESSAGES * RECIPIENTS, "all messages are back")
acks.seek(0)
known = [line.split() for line in acks]
files = sum(len([f for f in fs if f.endswith(".msg")]) for _, _, fs in os.walk(PARTITION + "/=user"))
tm.is_(files, len(known), "and no file was lost")
stored.terminate()
tm.is_(stored.wait(), 0, "stored drains")
tm.done()
