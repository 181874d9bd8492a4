"""Debian's Dovecot for one test.

As a server that imapraw.Raw can be given: dovecot.Peer().
With IMAP, POP3 and ManageSieve, a master user, mailboxes below a folder:

    d = dovecot.Dovecot(certificate, "user0001@example.test")
    d.imap, d.pop3, d.sieve       its ports at 127.0.0.1
    d.log()                       what it has said
"""
import atexit, os, pwd, shutil, signal, subprocess, tempfile
import tm
from imapraw import Raw

DOVECOT, IMAP = "/usr/sbin/dovecot", "/usr/lib/dovecot/imap"
MASTER, WORD = "proxy", "s3cret word"


class Peer:
    """Any name is a user's, with one password and one mailbox for all."""

    host, password, domain = "127.0.0.1", "secret", "x.example"

    def __init__(self):
        if not (os.path.exists(DOVECOT) and os.path.exists(IMAP)):
            tm.skip_all("dovecot-imapd is not installed")
        if os.getuid() != 0:
            tm.skip_all("Dovecot's parts want to be started by root")
        self.dir, self.tcp = tempfile.mkdtemp(prefix="tm-peer-"), tm.free_port()
        os.chmod(self.dir, 0o755)
        os.makedirs(f"{self.dir}/home")
        shutil.chown(f"{self.dir}/home", "nobody", "nogroup")
        with open(f"{self.dir}/conf", "w") as f:
            f.write(self.conf())
        self.child = subprocess.Popen([DOVECOT, "-F", "-c", f"{self.dir}/conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(self.stop)
        tm.wait_for(self.up, what="Dovecot")

    def conf(self):
        values = {"base_dir": f"{self.dir}/run", "state_dir": f"{self.dir}/state", "instance_name": f"tm-peer-{os.getpid()}", "log_path": f"{self.dir}/log",
                  "protocols": "imap", "listen": self.host, "ssl": "no", "disable_plaintext_auth": "no", "first_valid_uid": "1", "mail_location": "mdbox:~/mail",
                  "default_internal_user": "nobody", "default_internal_group": "nogroup", "default_login_user": "nobody"}
        blocks = (f"passdb {{\n driver = static\n args = password={self.password}\n}}", f"userdb {{\n driver = static\n args = uid=nobody gid=nogroup home={self.dir}/home\n}}",
                  f"service imap-login {{\n inet_listener imap {{\n  port = {self.tcp}\n }}\n inet_listener imaps {{\n  port = 0\n }}\n}}")
        return "\n".join([f"{k} = {v}" for k, v in values.items()] + list(blocks)) + "\n"

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def up(self):
        try:
            Raw(self).close()
            return True
        except OSError:
            return False

    def port(self, _):
        return self.tcp

    def user(self, n):
        return f"user{n}"


class Dovecot:
    def __init__(self, cert, *users):
        """`cert`: a folder with server.pem and server.key."""
        if os.getuid() != 0 or not all(os.path.exists(p) for p in (DOVECOT, "/usr/lib/dovecot/imap-login", "/usr/lib/dovecot/pop3-login",
                                                                  "/usr/lib/dovecot/managesieve-login")):
            tm.skip_all("needs root, and dovecot-imapd, dovecot-pop3d and dovecot-managesieved")
        self.dir = tm.tempdir()
        os.chmod(self.dir, 0o755)
        self.imap, self.pop3, self.sieve = (tm.free_port() for _ in range(3))
        nobody = pwd.getpwnam("mail")
        self.home = self.dir + "/home"
        os.makedirs(self.home)
        os.chown(self.home, nobody.pw_uid, nobody.pw_gid)
        with open(self.dir + "/masters", "w") as f:
            f.write(f"{MASTER}:{{PLAIN}}{WORD}\n")
        with open(self.dir + "/users", "w") as f:
            f.write("".join(f"{u}:{{PLAIN}}nobody's:{nobody.pw_uid}:{nobody.pw_gid}::{self.home}/{u}::\n" for u in users))
        for name in ("masters", "users"):
            os.chmod(f"{self.dir}/{name}", 0o644)
        with open(self.dir + "/conf", "w") as f:
            f.write(f"""base_dir = {self.dir}/run
state_dir = {self.dir}/state
instance_name = {os.path.basename(self.dir)}
log_path = {self.dir}/log
protocols = imap pop3 sieve
listen = 127.0.0.1
ssl = yes
ssl_cert = <{cert}/server.pem
ssl_key = <{cert}/server.key
auth_mechanisms = plain
login_trusted_networks = 127.0.0.0/8
passdb {{
  driver = passwd-file
  args = {self.dir}/masters
  master = yes
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {self.dir}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {self.dir}/users
}}
first_valid_uid = 1
mail_location = maildir:~/Maildir
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {self.imap}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {self.pop3}
    ssl = yes
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {self.sieve}
  }}
}}
plugin {{
  sieve = file:~/sieve;active=~/.dovecot.sieve
}}
""")
        atexit.register(self.end)
        tm.watch_log(self.dir + "/log")
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", self.dir + "/conf"], stdin=subprocess.DEVNULL)
        tm.ok(tm.wait_for(lambda: "starting up" in self.log() or self.process.poll() is not None) and self.process.poll() is None,
              "a private Dovecot is up")

    def log(self):
        try:
            with open(self.dir + "/log", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def freeze(self, how=signal.SIGSTOP):
        """Its login processes, and what would start others."""
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{p}/stat") as f:
                    if f.read().rpartition(")")[2].split()[1] == str(self.process.pid) or int(p) == self.process.pid:
                        os.kill(int(p), how)
            except OSError:
                pass

    def end(self):
        if self.process and self.process.poll() is None:
            self.freeze(signal.SIGCONT)
            self.process.terminate()
            self.process.wait()
        self.process = None
