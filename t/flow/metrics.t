#!/usr/bin/env python3
"""tmctl serve: the figures of all daemons over HTTP, however a daemon or a client behaves; the pages, the alert
rules and the board that speak of them; a real Prometheus that reads them."""
import glob, http.client, json, os, re, socket, subprocess, sys, tempfile, threading, time, urllib.parse, urllib.request

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

sb = tm.Sandbox("--users", "2", "--metrics", "--admin", "--set", "imapd.workers=2", "--set", "imapd.auth.delay=10ms", "--set", "pop3d.auth.delay=10ms",
                "--set", "mmpd.auth.delay=10ms", "--set", "smtp-relay.auth.delay=10ms", "--set", f"tmctl-serve.timeout.answer={2 * tm.SHORT:.0f}s",
                "--set", "tmctl-serve.limit.clients=20", "--set", "tmctl-serve.listen near.address=unix:near.sock", "--route", "away.test=smtp:127.0.0.1:9")
URL, RUN = sb.env["METRICS_URL"], sb.env["RUNDIR"]
ALL = {"admind", "imapd", "jmapd", "jobctl", "lmtpd", "memd", "mmpd", "pop3d", "sieved", "smtp-relay", "stored", "tmctl-serve"}


def get(url=URL):
    with urllib.request.urlopen(url, timeout=tm.LONG) as r:
        return r.read().decode()


def fresh():
    time.sleep(1.1)  # an answer is good for a second
    return get()


def figures(text):
    """{name: {daemon: value}}, of the last sample."""
    found = {}
    for line in text.splitlines():
        m = re.match(r'(\w+)\{daemon="([^"]*)"[^}]*\} (\S+)$', line)
        if m:
            found.setdefault(m[1], {})[m[2]] = float(m[3])
    return found


def promtool(*args, text=None):
    r = subprocess.run(["promtool", *args], input=text, capture_output=True, text=True, timeout=tm.LONG)
    return r.returncode, (r.stdout + r.stderr).strip()


def raw(text):
    with socket.create_connection((sb.host, sb.port("METRICS")), timeout=tm.LONG) as s:
        s.sendall(text)
        got = b""
        while piece := s.recv(65536):
            got += piece
    return got.decode()


# ---- what is served
text = get()
f = figures(text)
tm.is_(f["tiermail_up"], dict.fromkeys(ALL, 1.0), "all daemons are up")
tm.is_(promtool("check", "metrics", text=text), (0, ""), "promtool has nothing to say of it")
c = http.client.HTTPConnection(sb.host, sb.port("METRICS"), timeout=tm.LONG)
for method, path, status in (("GET", "/metrics", 200), ("HEAD", "/metrics", 200), ("GET", "/", 200), ("GET", "/x", 404), ("POST", "/metrics", 405)):
    c.request(method, path)
    r = c.getresponse()
    tm.is_((r.status, (r.read() == b"") == (method == "HEAD")), (status, True), f"{method} {path}")
    if path == "/metrics" and status == 200:
        tm.is_(r.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8", "as Prometheus' text")
c.close()
tm.ok(raw(b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").startswith("HTTP/1.1 400 "), "two hosts: 400")
end = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in", sb.dir + "/tls/server.pem"], capture_output=True, text=True).stdout
want = time.mktime(time.strptime(end.strip(), "notAfter=%Y-%m-%d %H:%M:%SZ")) - time.timezone
tm.is_(f["tiermail_certificate_expires_timestamp_seconds"]["imapd"], want, "the end of the certificate")
tm.ok("stored" not in f["tiermail_certificate_expires_timestamp_seconds"], "who has none tells of none")
disk = os.statvfs(sb.env["STORE"])
tm.is_(f["tiermail_stored_disk_size_bytes"]["stored"], float(disk.f_blocks * disk.f_frsize), "the store's disk")
tm.ok(0 < f["tiermail_stored_disk_free_bytes"]["stored"] <= f["tiermail_stored_disk_size_bytes"]["stored"], "and what is free of it")
sb.imap(1).logout()
sb.send(to=["x@away.test"])
tm.ok(tm.wait_for(lambda: figures(fresh())["tiermail_queue_oldest_seconds"]["jobctl"] > 0), "mail that waits has an age")
f = figures(get())
tm.ok(f["tiermail_directory_answers_total"]["imapd"] > 0 and f["tiermail_directory_seconds_total"]["imapd"] > 0, "the directory's time is counted")
tm.is_(f["tiermail_directory_answers_total"]["stored"], 0.0, "by those who ask it")

# ---- the pages
common = {n for n, d in f.items() if len(d) > 3}
served = {d: {n for n, who in f.items() if d in who and n not in common} for d in ALL}
served["tmctl-serve"] |= common
for d in sorted(ALL):
    with open(f"{tm.TOP}/man/{d}.8") as page:
        within = re.search(r"^\.Sh METRICS\n(.*?)^\.Sh ", page.read(), re.M | re.S)
    tm.is_(sorted(re.findall(r"^\.It Sy (\S+)$", within[1], re.M)) if within else None, sorted(served[d]), f"{d}(8) has its metrics, and no other")

# ---- the socket of a daemon takes no question
with socket.socket(socket.AF_UNIX) as s:
    s.connect(f"{RUN}/pop3d.metrics")
    try:
        s.sendall(b"drain\n")
    except BrokenPipeError:
        pass  # it has answered already, and gone
    got = b""
    while piece := s.recv(65536):
        got += piece
tm.ok(got.endswith(b"# EOF\n") and b"tiermail_pop3_sessions" in got, "NAME.metrics gives figures, whatever is said")
tm.ok(figures(fresh())["tiermail_up"]["pop3d"] == 1, "and does nothing")

# ---- daemons that hang, die, go
for worker in (sb.pid("stored"), sb.pid("imapd")):
    tm.freeze(worker)
time.sleep(1.1)
began = tm.Stopwatch()
text = get()
up = figures(text)["tiermail_up"]
took = began.took()
tm.is_({d for d in up if not up[d]}, {"imapd", "stored"}, "two that hang are not up")
tm.is_(figures(text)["tiermail_queue_messages"], {"jobctl": 1.0}, "the figures of the others are there")
tm.ok(took < 2 * tm.SHORT + 5, f"after timeout.answer: {took:.1f} s")
tm.ok(tm.wait_for(lambda: "ev=metrics_away daemon=imapd" in open(f"{RUN}/tmctl-serve.log").read()), "the log says so")
for worker in (sb.pid("stored"), sb.pid("imapd")):
    os.kill(worker, 18)
tm.ok(tm.wait_for(lambda: set(figures(fresh())["tiermail_up"].values()) == {1.0}), "they go on")
sb.kill("pop3d")
tm.is_(figures(fresh())["tiermail_up"]["pop3d"], 0.0, "one that was killed is told of")
sb.restart("pop3d")
tm.ok(tm.wait_for(lambda: figures(fresh())["tiermail_up"]["pop3d"] == 1), "until it is back")

# ---- daemons that say something else
ODD = {
    "half": b"# TYPE tiermail_x gauge\ntiermail_x 1\n",
    "junk": b"\xff\x00\n<html>\n# TYPE tiermail_up counter\ntiermail_up_total 7\ntiermail_imap_sessions{a=\"b} 1\n# TYPE tiermail_y gauge\n"
            b"tiermail_y{l=\"a\\\"b\"} 1\ntiermail_y one\ntiermail_y 1 2 3\ntiermail_y{daemon=b} 1\nno_family 1\n# EOF\n",
    "other": b"# TYPE tiermail_imap_connections gauge\ntiermail_imap_connections 5\n# EOF\n",
    "flood": None,
}


def odd(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind(f"{RUN}/{name}.metrics")
    s.listen(8)

    def run():
        while True:
            try:
                c, _ = s.accept()
            except OSError:
                return
            try:
                for piece in [ODD[name]] if ODD[name] is not None else (b"# TYPE tiermail_z gauge\n" * 4096 for _ in range(1000)):
                    c.sendall(piece)
            except OSError:
                pass
            c.close()
    threading.Thread(target=run, daemon=True).start()
    return s


listening = [odd(name) for name in ODD]
text = fresh()
f = figures(text)
tm.is_(promtool("check", "metrics", text=text)[0], 0, "whatever a daemon says, the page is one")
tm.is_({d: v for d, v in f["tiermail_up"].items() if d not in ALL}, {"half": 0.0, "junk": 1.0, "other": 1.0, "flood": 0.0}, "who has not said all, or too much, is not up")
tm.is_((f.get("tiermail_y"), "tiermail_up_total" in f, "junk" in f["tiermail_imap_sessions"]), ({"junk": 1.0}, False, False), "of junk what is a figure is taken")
tm.ok('tiermail_y{daemon="junk",l="a\\"b"} 1' in text, "with its labels")
tm.ok(figures(fresh())["tiermail_serve_lines_left_out_total"]["tmctl-serve"] > 5, "what is left out is counted")
for s, name in zip(listening, ODD):
    s.close()
    os.unlink(f"{RUN}/{name}.metrics")

# ---- clients
looks = figures(fresh())["tiermail_serve_looks_total"]["tmctl-serve"]
began = tm.Stopwatch()
threads = [threading.Thread(target=lambda: [get() for _ in range(20)]) for _ in range(10)]
[t.start() for t in threads], [t.join() for t in threads]
took = began.took()
more = figures(fresh())["tiermail_serve_looks_total"]["tmctl-serve"] - looks
tm.ok(more <= took * tm.SLOW + 4, f"200 requests in {took:.1f} s are {more:.0f} looks")
silent = [socket.create_connection((sb.host, sb.port("METRICS")), timeout=tm.LONG) for _ in range(60)]
for s in silent[::2]:
    s.sendall(b"GET /metrics HTTP/1.1\r\n")
f = figures(get())
tm.ok(f["tiermail_serve_sessions"]["tmctl-serve"] <= 20, "60 slow clients are no more than limit.clients, and keep nobody out")
[s.close() for s in silent]
# More than a Unix socket holds, less than makes the server wait: its last words are on their way, and stay there.
answer = len(get()) + 200
ask = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * (300_000 // answer) + b"GET /metrics HTTP/1.0\r\n\r\n"
leaving = []
for _ in range(60):
    leaving.append(socket.socket(socket.AF_UNIX))
    leaving[-1].settimeout(tm.LONG)
    leaving[-1].connect(RUN + "/near.sock")
    leaving[-1].sendall(ask)
for s in leaving:  # each has been served, or sent away
    try:
        s.recv(1, socket.MSG_PEEK)
    except ConnectionError:
        pass
with open(RUN + "/tmctl-serve.pid") as f:
    pid = int(f.read())
# and, at times, a connection to each daemon
held = sum(os.readlink(fd).startswith("socket:") for fd in glob.glob(f"/proc/{pid}/fd/*") if os.path.lexists(fd))
tm.ok(held <= 20 + 20, f"60 who do not read their answers are no more than limit.clients either: {held} sockets")
tm.ok(figures(get())["tiermail_serve_sessions"]["tmctl-serve"] <= 20, "and keep nobody out")
[s.close() for s in leaving]

# ---- reload
with open(sb.conf("tmctl-serve.conf")) as conf:
    good = conf.read()
for words, code in (("clinets = 20", 65), ("clients = 30", 0)):
    with open(sb.conf("tmctl-serve.conf"), "w") as conf:
        conf.write(good.replace("clients = 20", words))
    tm.is_(sb.tool("tmctl", "-d", "tmctl-serve", "reload").returncode, code, f"a reload with {words}: {code}")

# ---- rules
RULES = f"{tm.TOP}/conf/prometheus/tiermail.rules.yml"
tm.is_(promtool("check", "rules", RULES)[0], 0, "promtool takes the rules")
with open(RULES) as r:
    rules = r.read()
names = set(re.findall(r"\btiermail_\w+", re.sub(r"\{__name__[^}]*\}", "", rules)))
tm.is_(sorted(names - set(figures(text)) - {"tiermail_"}), [], "they speak of figures that there are")
D = 'job="tiermail",instance="h:1",daemon="d"'
FIRES = {  # alert: its series when all is well, when it is not, minutes until it fires
    "HostAway": ('up{job="tiermail",instance="h:1"}', "1", "0", 3), "DaemonAway": ("tiermail_up", "1", "0", 3),
    "WorkersDie": ("tiermail_worker_restarts_total", "0", "0+1x30", 15), "CertificateEnds": ("tiermail_certificate_expires_timestamp_seconds", "9000000", "86400", 70),
    "QueueOld": ("tiermail_queue_oldest_seconds", "60", "20000", 12), "QueueLong": ("tiermail_queue_messages", "10", "20000", 12),
    "MastersFail": ("tiermail_queue_masters_failed_total", "0", "0+1x30", 15), "StoreFull": ("tiermail_stored_full_partitions", "0", "1", 1),
    "StoreDiskLow": ("tiermail_stored_disk_free_bytes", "50", "5", 12, "tiermail_stored_disk_size_bytes", "100"),
    "StoreIndexFull": ("tiermail_stored_index_used_bytes", "50", "95", 12, "tiermail_stored_index_size_bytes", "100"),
    "StoreFails": ("tiermail_stored_failed_batches_total", "0", "0+1x30", 12), "StoreDamaged": ("tiermail_stored_damaged_records", "0", "3", 1),
    "LogLost": ("tiermail_log_lines_lost_total", "0", "0+1x30", 12), "DirectoryBlind": ("tiermail_imap_directory_blind", "0", "1", 3),
    "DirectorySlow": ("tiermail_directory_seconds_total", "0+1x30", "0+100x30", 16, "tiermail_directory_answers_total", "0+100x30"),
    "ProxyStoresDown": ("tiermail_mmp_stores_down", "0", "1", 6), "Guesses": ("tiermail_imap_logins_failed_total", "0+1x30", "0+600x30", 22),
}
tm.is_(sorted("Tiermail" + n for n in FIRES), sorted(re.findall(r"alert: (\w+)", rules)), "each rule is tried")
tests = []
for alert, (series, well, ill, minutes, *other) in FIRES.items():
    for values, fires in ((well, False), (ill, True)):
        given = [(series, values)] + ([tuple(other)] if other else [])
        labels = re.search(r"alert: Tiermail%s\n.*?labels: \{severity: (\w+)\}" % alert, rules, re.S)[1]
        tests.append({"interval": "1m", "name": alert,
                      "input_series": [{"series": s if "{" in s else f"{s}{{{D}}}", "values": v if "x" in v else f"{v}x100"} for s, v in given],
                      "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="Tiermail{alert}",alertstate="firing",severity="{labels}"}}) or vector(0)',
                                            "eval_time": f"{minutes}m", "exp_samples": [{"labels": "{}", "value": int(fires)}]}]})
with tempfile.TemporaryDirectory(prefix="tm-") as d:
    with open(d + "/test.yml", "w") as t:
        json.dump({"rule_files": [RULES], "evaluation_interval": "1m", "tests": tests}, t)  # JSON is YAML
    rc, said = promtool("test", "rules", d + "/test.yml")
tm.ok(rc == 0, "each fires when it should, and not before") or tm.diag(said)
tm.is_(subprocess.run(["promtool", "check", "config", "prometheus.yml"], cwd=tm.TOP + "/conf/prometheus", capture_output=True).returncode, 0, "the sample for Prometheus is good")

# ---- a Prometheus, and the board
port = tm.free_port()
prom = tm.tempdir()
with open(prom + "/prometheus.yml", "w") as conf:
    conf.write(f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{RULES}]\nscrape_configs:\n- job_name: tiermail\n"
               f"  static_configs: [{{targets: ['{sb.host}:{sb.port('METRICS')}']}}]\n")
server = subprocess.Popen(["prometheus", f"--config.file={prom}/prometheus.yml", f"--storage.tsdb.path={prom}/data", f"--web.listen-address=127.0.0.1:{port}"],
                          stdout=subprocess.DEVNULL, stderr=open(prom + "/log", "w"))


def query(expr):
    try:
        answer = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(expr)}"))
    except OSError as e:
        return str(e)
    return answer["data"]["result"]


try:
    tm.ok(tm.wait_for(lambda: query("up == 1") and isinstance(query("up == 1"), list)), "a Prometheus reads the figures")

    def traffic():
        sb.send(to=1)
        for login in (sb.password, "wrong"):
            try:
                sb.imap(1, login).logout()
            except Exception:
                pass
    with open(tm.TOP + "/conf/grafana/tiermail.json") as b:
        board = json.load(b)
    exprs = [(p["title"], t["expr"]) for p in board["panels"] for t in p.get("targets", [])]
    tm.ok(len(exprs) > 25, f"the board asks {len(exprs)} questions")
    empty = dict.fromkeys(exprs)

    def all_answered():
        traffic()
        for title, expr in list(empty):
            said = query(expr.replace("$__rate_interval", "60s").replace("$instance", ".*"))
            if said and isinstance(said, list):
                del empty[title, expr]
        return not empty
    tm.ok(tm.wait_for(all_answered), "each has an answer") or tm.diag("\n".join(f"{t}: {e}" for t, e in empty))
    tm.is_(query('ALERTS{alertstate="firing"}'), [], "no alert fires")
finally:
    server.terminate()
    server.wait()
tm.is_([sb.call("status", sb.dir).returncode], [0], "all daemons answer at the end")
tm.done()
