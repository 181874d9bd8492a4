#!/usr/bin/env python3
"""`make install PREFIX=...`: programs that find their configuration, modes that let every user send
mail and look at the queue, an uninstall that leaves what is not the program's."""
import os, shutil, stat, subprocess, sys, tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

if tm.BINDIR != os.path.join(tm.TOP, "build/bin"):
    tm.skip_all("for the plain build")
top = tempfile.mkdtemp(prefix="tm-", dir="/tmp")
os.chmod(top, 0o755)
prefix, tree = top + "/p", top + "/build"
started = []


def run(*argv, text="", **env):
    return subprocess.run(argv, capture_output=True, text=True, input=text, cwd=tm.TOP, timeout=2 * tm.LONG,
                          env={**os.environ, **env})


def mode(path):
    return "%03o" % stat.S_IMODE(os.stat(path).st_mode)


def make(*args):
    return run("make", "-s", "B=" + tree, "PREFIX=" + prefix, *args)


def answers(name):
    import socket
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(prefix + "/run/tiermail/%s.ctl" % name)
            s.sendall(b"ping\n")
            return s.makefile().read() == "pong\n"
    except OSError:
        return False


try:
    # What is built is good for another PREFIX but for the one file that knows it.
    os.mkdir(tree)
    for part in ("lib", "cmd", "bin"):
        shutil.copytree(tm.TOP + "/build/" + part, tree + "/" + part, copy_function=shutil.copy2)
    r = make("install")
    if not tm.is_(r.returncode, 0, "make install"):
        tm.diag(r.stdout + r.stderr)
    etc = prefix + "/etc/tiermail"
    tm.is_([mode(etc + "/" + f) for f in ("", "tiermail.conf", "channels.conf", "imapd.conf")],
           ["755", "644", "644", "640"], "everybody reads what all need, and no more")
    tm.is_([mode(prefix + d) for d in ("/var/spool/tiermail", "/var/lib/tiermail")], ["750"] * 2,
           "queue and store are there")
    r = run(prefix + "/sbin/stored", "-n")
    tm.ok("rundir = %s/run/tiermail " % prefix in r.stdout and "libexec = %s/lib" % prefix in r.stdout,
          "paths below PREFIX are the defaults")
    tm.ok(os.access(prefix + "/lib/tiermail/channel-master", os.X_OK), "programs for programs")
    with open(prefix + "/share/man/man5/tiermail.conf.5") as f:
        tm.ok(etc in f.read(), "the manual says where")
    with open(etc + "/tiermail.conf", "w") as f:
        f.write("hostname = mail.install.test\nlog_level = debug\n")
    for name in ("jobctl", "stored"):
        with open(top + "/log", "a") as log:
            started.append(subprocess.Popen([prefix + "/sbin/" + name], stderr=log))
        tm.ok(tm.wait_for(lambda: answers(name)), name + " runs from there")
    with open(top + "/log") as f:
        log = f.read()
    tm.ok("hostname" not in log, "and complains of nothing")
    tm.is_(log.count("ev=as_root"), 2 if os.getuid() == 0 else 0, "but of root, when nobody says whom to become")
    r = run("make", "-s", "-n", "B=" + tree, "PREFIX=/opt/x", "SYSCONFDIR=/conf", "DESTDIR=" + top, tree + "/lib/conf/paths.o", "install")
    tm.ok('TIERMAIL_CONFDIR=\'"/conf/tiermail"\'' in r.stdout and "CONFDIR='/conf/tiermail'" in r.stdout, "SYSCONFDIR is compiled in, and where samples go")
    tm.is_(run(prefix + "/sbin/jobctl", "-n").stdout.count(etc + "/tiermail.conf:1"), 1,
           "with its own configuration")

    # ---- an ordinary user
    who = tm.NOBODY if os.getuid() == 0 else []
    r = run(*who, prefix + "/bin/mailq")
    tm.is_((r.returncode, r.stdout, r.stderr), (0, "the queue is empty\n", ""), "mailq of every user")
    r = run(*who, prefix + "/sbin/sendmail", "-bp")
    tm.is_((r.returncode, r.stdout), (0, "the queue is empty\n"), "sendmail -bp too")
    r = run(*who, prefix + "/lib/sendmail", "x@y.test", text="\n")
    tm.ok(r.returncode == 75 and prefix + "/run/tiermail/submit.sock" in r.stderr,
          "sendmail knows where smtp-relay would be")

    # ---- and away again
    for p in started:
        p.terminate()
        tm.is_(p.wait(10), 0, "stopped")
    before = mode(etc + "/imapd.conf")
    tm.is_(make("install").returncode, 0, "make install once more")
    with open(etc + "/tiermail.conf") as f:
        tm.ok("mail.install.test" in f.read(), "leaves the configuration")
    r = make("uninstall")
    left = [os.path.relpath(os.path.join(d, n), prefix) for d, _, names in os.walk(prefix) for n in names]
    tm.is_((r.returncode, sorted({n.split("/")[0] for n in left})), (0, ["etc", "run", "var"]),
           "make uninstall leaves configuration, sockets and mail")
finally:
    for p in started:
        if p.poll() is None:
            p.kill()
    shutil.rmtree(top, ignore_errors=True)
tm.done()
