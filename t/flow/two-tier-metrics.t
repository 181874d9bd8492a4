#!/usr/bin/env python3
"""The reference deployment as Prometheus and the sample board see it: tmctl serve on each host of ours, one Prometheus
that reads all of them, traffic of all kinds, and then each question of the board has an answer, and no alert fires."""
import imaplib, json, os, re, subprocess, sys, urllib.parse, urllib.request

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from twotier import SCRIPT, Deployment

tm.need("prometheus")
RULES = tm.TOP + "/conf/prometheus/tiermail.rules.yml"
tt = Deployment("--users", "4")
HOSTS = [h for h in tt.env["HOSTS"].split() if re.match(r"(store|in|out|mmp|mem)\d|admin$", h)]
CONF = "[listen metrics]\naddress = *:9465\n"
running, prom = [], tm.tempdir()


def get(url):
    with urllib.request.urlopen(url, timeout=tm.LONG) as r:
        return r.read().decode()


def query(expr):
    try:
        return json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(expr)}"))["data"]["result"]
    except OSError as e:
        return str(e)


def traffic(n):
    tt.submit(1, [tt.address(2), tt.address(3)], f"figures {n}")
    tt.internet([tt.address(1)], f"from outside {n}")
    tt.arrived(2, f"figures {n}")
    tt.imap(2).logout()
    tt.pop(2).quit()
    tt.web("GET", "/.well-known/jmap", None, tt.browser(1))
    try:
        imaplib.IMAP4_SSL(tt.env["MAIL_HOST"], 993, ssl_context=tt.tls, timeout=tm.LONG).login(tt.user(4), "wrong")
    except imaplib.IMAP4.error:
        pass


try:
    for h in HOSTS:
        r = subprocess.run([SCRIPT, "-C", tt.dir, "exec", h, "sh", "-c", "cat >/etc/tiermail/tmctl-serve.conf"], input=CONF, text=True, capture_output=True)
        running.append(subprocess.Popen([SCRIPT, "-C", tt.dir, "exec", h, "tmctl", "serve", "-c", "/etc/tiermail/tmctl-serve.conf"], stderr=open(f"{prom}/{h}.log", "w")))
    port = tm.free_port()
    targets = [f"{h}.{tt.env['DOMAIN']}:9465" for h in HOSTS]
    names = {}
    with open(tm.TOP + "/conf/examples/two-tier/all/hosts") as f:
        for words in (line.split("#")[0].split() for line in f):
            names.update({w: words[0] for w in words[1:]})
    config = f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{RULES}]\nscrape_configs:\n- job_name: tiermail\n  static_configs:\n"
    for h in HOSTS:
        config += f"  - targets: ['{names[h]}:9465']\n    labels: {{instance: '{h}'}}\n"
    with open(prom + "/prometheus.yml", "w") as f:
        f.write(config)
    running.append(subprocess.Popen(["prometheus", f"--config.file={prom}/prometheus.yml", f"--storage.tsdb.path={prom}/data", f"--web.listen-address=127.0.0.1:{port}"],
                                    stdout=subprocess.DEVNULL, stderr=open(prom + "/log", "w")))
    up = lambda: {s["metric"]["instance"] for s in query("up == 1") if isinstance(s, dict)}
    tm.ok(tm.wait_for(lambda: up() == set(HOSTS)), f"a Prometheus reads {len(HOSTS)} hosts") or tm.diag(up())
    with open(tm.TOP + "/conf/grafana/tiermail.json") as b:
        exprs = dict.fromkeys((p["title"], t["expr"]) for p in json.load(b)["panels"] for t in p.get("targets", []))
    tm.ok(len(exprs) > 25, f"the board asks {len(exprs)} questions")
    rounds = 0

    def all_answered():
        global rounds
        rounds += 1
        traffic(rounds)
        for title, expr in list(exprs):
            said = query(expr.replace("$__rate_interval", "60s").replace("$instance", ".*"))
            if said and isinstance(said, list):
                del exprs[title, expr]
        return not exprs
    tm.ok(tm.wait_for(all_answered), "each has an answer") or tm.diag("\n".join(f"{t}: {e}" for t, e in exprs))
    tm.is_({s["metric"]["instance"] for s in query("tiermail_up == 1")}, set(HOSTS), "with daemons on each host")
    tm.is_(query("tiermail_up == 0"), [], "all of which answer")
    tm.is_(query('ALERTS{alertstate="firing"}'), [], "no alert fires")
finally:
    tm.end(running)
tt.done()
tm.done()
