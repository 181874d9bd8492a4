"""For tests that compare us with Postfix: a next host that keeps what it gets, and a Postfix that hands all to it."""
import os, re, shutil, socket, subprocess, threading

import tm


def here():
    """Can Postfix be run?"""
    return os.getuid() == 0 and shutil.which("postfix") and os.path.exists("/usr/lib/postfix/sbin/smtpd")


class Sink:
    """The next host: got is a list of (envelope, octets of the message)."""

    def __init__(self):
        self.got = []
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            threading.Thread(target=self.take, args=(self.sock.accept()[0],), daemon=True).start()

    def take(self, conn):
        f = conn.makefile("rwb")

        def say(s):
            f.write(s.encode() + b"\r\n")
            f.flush()
        say("220 sink.test")
        env = []
        for line in f:
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"DATA":
                say("354 go on")
                data = b""
                while not data.endswith(b"\r\n.\r\n") and data != b".\r\n":
                    data += f.readline()
                self.got.append((env, data[:-3].replace(b"\r\n..", b"\r\n.")))
                env = []
            elif verb in (b"MAIL", b"RCPT"):
                env.append(re.sub(rb">.*", b">", line.strip()).lower())
            say("221 bye" if verb == b"QUIT" else "250-sink.test\r\n250 8BITMIME" if verb == b"EHLO" else "250 ok")
            if verb == b"QUIT":
                break
        conn.close()

    def last(self):
        """The message that came last: its envelope, header and body, a Received field without what must differ."""
        env, data = self.got[-1]
        head, _, body = data.partition(b"\r\n\r\n")
        return env, re.sub(rb"(?m)^Received:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", b"Received\r\n", head + b"\r\n"), body


class Postfix:
    """Takes mail at .port, asks these filters, hands it to the sink."""

    def __init__(self, hostname, sink, milters, extra=""):
        self.port = tm.free_port()
        self.dir = d = os.path.join(tm.tempdir(), "p")
        os.chmod(os.path.dirname(d), 0o755)
        for sub in ("etc", "spool", "data"):
            os.makedirs(f"{d}/{sub}")
        shutil.chown(f"{d}/data", "postfix")
        with open(f"{d}/etc/main.cf", "w") as f:
            f.write(MAIN.format(d=d, hostname=hostname, milters=milters, sink=sink.port) + extra)
        with open(f"{d}/etc/master.cf", "w") as f:
            f.write(f"127.0.0.1:{self.port} inet n - n - - smtpd\n")
            for name, kind, private, command in (("pickup", "unix", "n", "pickup"), ("cleanup", "unix", "n", "cleanup"), ("qmgr", "unix", "n", "qmgr"),
                                                 ("rewrite", "unix", "-", "trivial-rewrite"), ("bounce", "unix", "-", "bounce"), ("defer", "unix", "-", "bounce"), ("trace", "unix", "-", "bounce"),
                                                 ("smtp", "unix", "-", "smtp"), ("anvil", "unix", "-", "anvil"), ("scache", "unix", "-", "scache"),
                                                 ("tlsmgr", "unix", "-", "tlsmgr"), ("proxymap", "unix", "-", "proxymap"), ("error", "unix", "-", "error")):
                f.write(f"{name} {kind} {private} - n - {'0' if name in ('cleanup', 'bounce', 'defer', 'trace') else '1' if name in ('qmgr', 'anvil', 'scache', 'tlsmgr') else '-'} {command}\n")
            f.write("postlog unix-dgram n - n - 1 postlogd\n")
        self.started = subprocess.run(["postfix", "-c", f"{d}/etc", "start"], capture_output=True, text=True)

    def stop(self):
        subprocess.run(["postfix", "-c", f"{self.dir}/etc", "stop"], capture_output=True)


MAIN = """compatibility_level = 3.6
config_directory = {d}/etc
queue_directory = {d}/spool
data_directory = {d}/data
maillog_file = {d}/log
maillog_file_prefixes = {d}
mail_owner = postfix
setgid_group = postdrop
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
myhostname = {hostname}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_milters = {milters}
smtpd_peername_lookup = no
local_header_rewrite_clients =
smtputf8_enable = no
disable_dns_lookups = yes
default_database_type = hash
alias_maps =
alias_database =
local_recipient_maps =
import_environment = MAIL_CONFIG
relayhost = [127.0.0.1]:{sink}
"""
