#!/usr/bin/env python3
"""A long answer of a control socket, on the host itself and by TLS from another one: slow readers get all of it, and
who gets a part can tell."""
import os, resource, shutil, signal, socket, ssl, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../flow")]
import tm
sys.path.append(os.path.join(tm.TOP, "scripts/lib"))
import directory

tm.need("openssl")
NAME, PLACE = "admind", 10  # a place in the table of daemons that are asked from other hosts; none of them runs here
HUGE = "".join(f"{i:07d}\n" for i in range(2000000)).encode()
HOST = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}.7"
top = tm.tempdir()
RUN = top + "/run/tiermail"
directory.certificates(top + "/tls", ["host.whole.test"], [HOST])
ca = top + "/ca"
os.makedirs(ca + "/hosts")
for file in ("ca.pem", "ca.key"):
    shutil.copy(f"{top}/tls/{file}", ca)
subprocess.run([tm.TOP + "/scripts/tier-ca", "-C", ca, "-r", "admin", "host", "ann.whole.test"], check=True, stdout=subprocess.DEVNULL)
with open(top + "/tiermail.conf", "w") as f:
    f.write(f"prefix = {top}\ncontrol.address = {HOST}\n[tls]\nca = {top}/tls/ca.pem\ncertificate = {top}/tls/server.pem\nkey = {top}/tls/server.key\n")
with open(top + "/testd.conf", "w") as f:
    f.write("workers = 1\n[listen echo]\naddress = unix:echo.sock\n")
children = []


def start():
    with open(top + "/log", "ab") as log:
        children.append(subprocess.Popen([os.path.join(os.path.dirname(tm.BINDIR), "t/tools/testd"), "-d", "-c", top + "/testd.conf"], stderr=log,
                                         env={**os.environ, "TESTD_NAME": NAME}))
    tm.wait_for(lambda: here("ping") == b"pong\n", what="a daemon")
    return children[-1]


def rest(s):
    """What comes until the end, and how it ends."""
    got = bytearray()
    try:
        while piece := s.recv(1 << 20):
            got += piece
    except (ssl.SSLError, OSError) as e:
        return bytes(got), type(e).__name__
    return bytes(got), "end"


def ask(line):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(tm.LONG)
    s.connect(f"{RUN}/{NAME}.ctl")
    s.sendall(line.encode() + b"\n")
    return s


def here(line):
    try:
        with ask(line) as s:
            return rest(s)[0]
    except OSError:
        return b""


def there(line):
    c = ssl.create_default_context(cafile=top + "/tls/ca.pem")
    c.check_hostname = False
    c.load_cert_chain(f"{ca}/hosts/ann.whole.test.pem", f"{ca}/hosts/ann.whole.test.key")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.settimeout(tm.LONG)
    s.connect((HOST, 4890 + PLACE))
    t = c.wrap_socket(s, server_hostname=HOST, suppress_ragged_eofs=False)
    t.sendall(line.encode() + b"\n")
    return t


try:
    daemon = start()
    tm.is_(here("+ping"), b"+5\npong\n", "who asks with a plus is told how long the answer is")
    tm.is_(here("ping"), b"pong\n", "who does not is not")
    tm.is_(here("+nonsense").partition(b"\n")[2][:22], b"error: unknown command", "an error is an answer")
    with there("ping") as s:
        tm.is_(rest(s), (b"pong\n", "end"), "by TLS the answer alone, and its end")

    # ---- nobody reads for longer than last words are waited for
    slow = [ask("huge"), ask("+huge"), there("huge")]
    first = [s.recv(1) for s in slow]
    time.sleep(6)
    got = [(c + more, how) for c, (more, how) in zip(first, map(rest, slow))]
    tm.ok(got[0] == (HUGE, "end"), f"a slow reader has all of it: {len(got[0][0])} of {len(HUGE)} octets")
    tm.ok(got[1] == (b"+%d\n" % len(HUGE) + HUGE, "end"), "with its length, too")
    tm.ok(got[2] == (HUGE, "end"), f"and by TLS: {len(got[2][0])} octets, {got[2][1]}")

    # ---- the daemon dies in the middle
    s = there("huge")
    first = s.recv(1)
    daemon.kill()
    daemon.wait(tm.LONG)
    more, how = rest(s)
    tm.ok(len(more) + 1 < len(HUGE) and how != "end", f"an answer that is cut off has no end: {len(more)} octets, {how}")

    # ---- a worker dies before it has answered
    daemon = start()
    worker = int(here("status").decode().split("worker=0 pid=")[1].split()[0])
    os.kill(worker, signal.SIGSTOP)
    s = ask("big")
    tm.wait_for(lambda: "line=big" in open(top + "/log").read(), what="the question")
    os.kill(worker, signal.SIGKILL)
    tm.is_(rest(s), (b"error: worker 0 has died\n", "end"), "an answer without one of the workers is an error")
    tm.ok(tm.wait_for(lambda: here("ping") == b"pong\n"), "another one is there soon")

    # ---- the control socket takes in nobody: who asks from another host is told, and nobody else waits
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with open("/proc/sys/net/core/somaxconn") as f:
        queue = int(f.read())
    if hard != resource.RLIM_INFINITY and hard < queue + 200 or queue > 20000:
        tm.skip("a full queue of connections", "too few descriptors")
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (queue + 200, hard))
        os.kill(daemon.pid, signal.SIGSTOP)
        waiting = []
        try:
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(f"{RUN}/{NAME}.ctl")
        except BlockingIOError:
            pass
        with there("ping") as s:
            tm.is_(rest(s), (b"error: Resource temporarily unavailable\n", "end"), f"behind {len(waiting) - 1} others a question from afar is refused")
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(tm.LONG)
            s.connect(RUN + "/echo.sock")
            tm.is_(s.recv(100), b"hello\n", "and clients are served")
        for s in waiting:
            s.close()
        os.kill(daemon.pid, signal.SIGCONT)
        tm.ok(tm.wait_for(lambda: here("ping") == b"pong\n"), "then it answers as before")

    # ---- tmctl, of daemons that say less than they have promised
    for said, code, what in ((b"+5\npong\n", 0, "a whole answer"), (b"+6\npong\n", 69, "a part of one"), (b"+5\n", 69, "its length alone"), (b"", 69, "nothing"),
                             (b"pong\n", 69, "no length"), (b"error: unknown command\n", 65, "a daemon of an older version")):
        path = f"{RUN}/fake.ctl"
        with socket.socket(socket.AF_UNIX) as l:
            l.bind(path)
            l.listen()
            p = subprocess.Popen([tm.BINDIR + "/tmctl", "-c", top + "/tiermail.conf", "-d", "fake", "ping"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            c, _ = l.accept()
            with c:
                c.recv(100)
                c.sendall(said)
            out, err = p.communicate(timeout=tm.LONG)
        os.unlink(path)
        tm.ok(p.returncode == code and (out == b"pong\n") == (code == 0), f"tmctl: {what}: {code}") or tm.diag((p.returncode, out, err))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(top + "/tls/server.pem", top + "/tls/server.key")
    with socket.create_server((HOST, 4890 + PLACE - 1)) as l:
        for bye, code in ((True, 0), (False, 69)):
            p = subprocess.Popen([tm.BINDIR + "/tmctl", "-c", top + "/tiermail.conf", "-H", HOST, "-d", "memd", "ping"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
            c, _ = l.accept()
            with server.wrap_socket(c, server_side=True) as t:
                t.recv(100)
                t.sendall(b"pong\n")
                if bye:
                    t.unwrap().close()
            out, err = p.communicate(timeout=tm.LONG)
            tm.ok(p.returncode == code and (out == b"pong\n") == (code == 0), f"tmctl -H: {'with' if bye else 'without'} the end of TLS: {code}") \
                or tm.diag((p.returncode, out, err))
finally:
    tm.end(children)
tm.done()
