"""The OpenID provider of oidcd.py, for a test.

    op = oidc.Provider()
    op.issuer, op.ca               what to configure
    op.token(email="...")          an access token; key="ec", header={...}, absent=("aud",), id=True as they are
    op.set(mode="500")             how it behaves; gives the counts of what was asked since the last set
    op.asked("/jwks")
"""
import atexit, json, os, subprocess, sys, time, urllib.request
import ssl
import tm

sys.path.append(os.path.join(tm.TOP, "scripts/lib"))
import directory

PYTHON = "/usr/bin/python3"     # Debian's modules are there


def need():
    if subprocess.run([PYTHON, "-c", "import oauthlib.openid, jwt, cryptography"], capture_output=True).returncode:
        tm.skip_all("python3-oauthlib, python3-jwt and python3-cryptography are needed")


class Provider:
    def __init__(self, audience="mail"):
        need()
        self.port, self.dir, self.audience = tm.free_port(), tm.tempdir(), audience
        directory.certificates(self.dir, ["localhost"], ["127.0.0.1"])
        os.chmod(self.dir, 0o755)
        self.ca, self.issuer = self.dir + "/ca.pem", f"https://127.0.0.1:{self.port}"
        self.context = ssl.create_default_context(cafile=self.ca)
        self.process = None
        atexit.register(self.stop)
        self.start()

    def start(self):
        self.process = subprocess.Popen([PYTHON, os.path.dirname(os.path.abspath(__file__)) + "/oidcd.py", str(self.port), self.dir],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        self.process.kill()
        self.process.wait()

    def test(self, what):
        r = urllib.request.Request(self.issuer + "/test", json.dumps(what).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(r, context=self.context, timeout=tm.LONG))

    def set(self, **what):
        return self.test({"set": what})

    def publish(self, *keys):
        return self.test({"publish": keys})

    def asked(self, path):
        return self.test({}).get(path, 0)

    def token(self, key="rsa", header=None, absent=(), **claims):
        now = int(time.time())
        all_ = {"iss": self.issuer, "aud": self.audience, "sub": "u", "iat": now, "exp": now + 300, "email_verified": True, "scope": "openid mail", **claims}
        return self.test({"mint": {k: v for k, v in all_.items() if k not in absent}, "key": key, "header": {"typ": "at+jwt"} if header is None else header})
