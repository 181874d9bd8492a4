#!/usr/bin/env python3
"""storectl upgrade of a store of format 1 (t/fixtures/v1): refused without it, whole after it, and
stopped anywhere it begins anew or goes on."""
import os, shutil, signal, subprocess, time
import tm

V1 = os.path.join(tm.TOP, "t/fixtures/v1")
POINTS = 50


def unpack(where):
    subprocess.run(["tar", "-xzf", f"{V1}/store.tar.gz", "-C", where, "--no-same-owner"], check=True)


STORE = ("stored", "imapd", "lmtpd", "jobctl", "smtp-relay")
sb = tm.Sandbox("--users", "3", "--set", "stored.cleanup_age=365d", *[x for d in STORE for x in ("--without", d)], prepare=unpack)
part = os.path.join(sb.env["STORE"], "partition/primary")
kept = os.path.join(sb.dir, "kept")
shutil.copytree(f"{part}/index", kept)
listed = sb.tool("storectl", "list").stdout
tm.ok("user0001" in listed, "the old format can be read")


def put_back():
    for n in ("index", "index.new", "index.v1", "index.bad"):
        shutil.rmtree(f"{part}/{n}", ignore_errors=True)
    shutil.copytree(kept, f"{part}/index")
    for n in os.listdir(os.path.join(sb.env["STORE"], "snapshot/primary")):
        if n.endswith(".new"):
            os.unlink(os.path.join(sb.env["STORE"], "snapshot/primary", n))


def stop():
    """stored, and until it is gone."""
    for pid in sb.pids_of("stored"):
        os.kill(pid, signal.SIGTERM)
    tm.wait_for(lambda: not sb.pids_of("stored"))


def state():
    return {n for n in os.listdir(part) if n.startswith("index")}


def last_frame():
    """The number of the last batch in the log."""
    found = 0
    for n in os.listdir(f"{part}/log"):
        with open(f"{part}/log/{n}", "rb") as f:
            log = f.read()
        at = log.find(b"TLOG")
        while at >= 0:
            found = max(found, int.from_bytes(log[at + 8:at + 16], "little"))
            at = log.find(b"TLOG", at + 4)
    return found


def whole(what):
    r = sb.tool("storectl", "check")
    return tm.ok(r.returncode == 0 and sb.tool("storectl", "list").stdout == listed, what) or tm.diag(r.stdout[-1000:] + r.stderr)


sb.call("restart", sb.dir, "stored")
log = ""
for root, _, names in os.walk(sb.dir):
    for n in names:
        if n.startswith("stored") and n.endswith(".log"):
            log += open(os.path.join(root, n), errors="replace").read()
tm.ok("run storectl upgrade" in log, "stored refuses it and says what to do") or tm.diag(log[-1000:])
stop()

began = time.monotonic()
r = sb.tool("storectl", "upgrade")
took = time.monotonic() - began
tm.ok(r.returncode == 0 and "index.v1" in r.stdout, "upgraded") or tm.diag(r.stdout + r.stderr)
tm.is_(state(), {"index", "index.v1"}, "the old index is kept")
snapshots = os.listdir(os.path.join(sb.env["STORE"], "snapshot/primary"))
tm.is_(max(int(n[:-4].split("-")[-1]) for n in snapshots if n.endswith(".mdb")), last_frame() + 2,
       "its batch is neither the last of the old log nor one that was not committed there")
whole("everything is there")
r = sb.tool("storectl", "upgrade")
tm.ok(r.returncode == 0 and "already" in r.stdout, "once more it does nothing") or tm.diag(r.stdout + r.stderr)
os.mkdir(f"{part}/index.new")
sb.tool("storectl", "upgrade")
tm.is_(state(), {"index", "index.v1", "index.new"}, "and leaves alone what it has not made")

# Killed anywhere.
bad, seen = [], set()
for i in range(POINTS):
    put_back()
    p = subprocess.Popen([os.path.join(tm.BINDIR, "storectl"), "-c", sb.conf("tiermail.conf"), "upgrade"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(took * 1.1 * i / POINTS)
    p.send_signal(signal.SIGKILL)
    p.wait()
    seen.add(" ".join(sorted(state())))
    r = sb.tool("storectl", "upgrade")
    if r.returncode != 0 or state() - {"index.v1"} != {"index"} or sb.tool("storectl", "check").returncode != 0 or sb.tool("storectl", "list").stdout != listed:
        bad.append((i, r.stdout + r.stderr, state()))
tm.is_(bad, [], f"killed at {POINTS} points it goes on or begins anew")
tm.diag(f"{took * 1000:.0f} ms; left: {sorted(seen)}")

# Between the two renames.
put_back()
sb.tool("storectl", "upgrade")
os.rename(f"{part}/index", f"{part}/index.new")
r = sb.tool("storectl", "upgrade")
tm.ok(r.returncode == 0 and "goes on" in r.stdout, "stopped between the renames it makes the second") or tm.diag(r.stdout + r.stderr)
whole("and everything is there")
# A new index that is half made is not taken for one.
put_back()
os.mkdir(f"{part}/index.new")
shutil.copy(f"{part}/index/data.mdb", f"{part}/index.new/data.mdb")
os.truncate(f"{part}/index.new/data.mdb", 8192)
tm.is_(sb.tool("storectl", "upgrade").returncode, 0, "over a half made one")
whole("it is made again")

# The way back, and forth again with stored at work.
shutil.rmtree(f"{part}/index")
os.rename(f"{part}/index.v1", f"{part}/index")
whole("the old index is as it was")
tm.is_(sb.tool("storectl", "upgrade").returncode, 0, "upgraded again")
tm.ok(sb.restart("stored"), "stored starts over it")
r = sb.tool("storectl", "upgrade")
tm.ok(r.returncode == 75 and "stored is at work" in r.stderr, "no upgrade beside stored") or tm.diag(r.stdout + r.stderr)
whole("the store is whole")
# Recovered from what the upgrade left.
stop()
os.unlink(f"{part}/index/data.mdb")
r = sb.tool("storectl", "recover")
tm.ok(r.returncode == 0, "the new index is recovered from its snapshot") or tm.diag(r.stdout + r.stderr)
whole("and is whole")
# Only snapshots of the old format are left: the log tells that it goes on in another one.
sb.restart("stored")
a = sb.tool("storectl", "quota", "-r", f"{sb.user(1)}@{sb.domain}")
stop()
for n in os.listdir(os.path.join(sb.env["STORE"], "snapshot/primary")):
    if int(n.split("-")[-1].split(".")[0] if "-" in n else 0) > 0:
        with open(os.path.join(sb.env["STORE"], "snapshot/primary", n), "rb") as f:
            new = b"this store has format 2" in f.read()
        if new:
            os.unlink(os.path.join(sb.env["STORE"], "snapshot/primary", n))
r = sb.tool("storectl", "recover")
tm.ok(r.returncode != 0 and "nothing was changed: the log goes on in format 2" in r.stdout and "recover --force" in r.stdout and "storectl upgrade" in r.stdout,
      "an old snapshot does not lead into a log of the new format, and what helps is said") or tm.diag(a.stdout + a.stderr + r.stdout + r.stderr)
whole("and nothing is changed")
shutil.rmtree(f"{part}/index.v1")
r = sb.tool("storectl", "recover", "--force")
tm.ok(r.returncode == 0 and "run storectl upgrade" in r.stdout, "forced it makes the old index") or tm.diag(r.stdout + r.stderr)
tm.ok([n for n in os.listdir(part) if n.startswith("log-")] and not os.path.exists(f"{part}/log"), "and sets the log aside")
tm.is_(sb.tool("storectl", "upgrade").returncode, 0, "which is upgraded once more")
tm.ok(sb.restart("stored"), "stored takes it")
whole("and everything is there")
sb.close()
tm.done()
