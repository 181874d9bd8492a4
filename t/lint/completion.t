#!/usr/bin/env python3
"""Completion in bash: for every tool the options that its --help has, its commands, keys, and the values of keys,
from what the tool says itself."""
import os, re, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

FILE = tm.TOP + "/conf/completion/tiermail"
WHERE = {"tiermail-setup": tm.TOP + "/scripts/setup/tiermail-setup", "tiermail-ca": tm.TOP + "/scripts/tier-ca"}
COMMANDS = {
    "tmctl": "who kick cache drain forget status version ping reload metrics config trace", "mailq": "", "tmlog": "", "sievetest": "", "tiermail-load": "smtp submission lmtp imap pop3 size",
    "jobctl-ctl": "channels delete hold jobs list release reroute rescan resume retry return show start status stop suspend tlsrpt top",
    "storectl": "account acl backup check expire export import list move quota readership reconstruct snapshot recover restore rethread stats undelete upgrade", "mtatest": "rewrite mapping expand conf",
    "pabctl": "list export import remove",
    "diradm": "provider org user group package role factor app job host queue delivery audit check init import export settings",
    "tiermail-setup": "check test records schema directory certificates", "tiermail-ca": "init host renew list",
}


def complete(tool, *words):
    path = WHERE.get(tool, os.path.join(tm.BINDIR, tool))
    script = f'. {FILE}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tiermail {path}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    r = subprocess.run(["bash", "-c", script, "bash", tool, *words], capture_output=True, text=True, timeout=tm.LONG)
    return set(r.stdout.split()), r.stderr


with open(FILE) as f:
    registered = set(re.search(r"complete -F _tiermail ((?:.*\\\n)*.*)", f.read())[1].replace("\\", "").split())
with open(tm.TOP + "/scripts/install") as f:
    linked = set(re.search(r"for t in ([^;]*); do\n\tlinks=", f.read())[1].split())
for tool, commands in COMMANDS.items():
    path = WHERE.get(tool, os.path.join(tm.BINDIR, tool))
    help_of = subprocess.run([path, "--help"], capture_output=True, text=True)
    text = help_of.stdout + help_of.stderr
    options = set(re.findall(r"(?m)^ +(-\w)\b", text)) | set(re.findall(r"(?m)^ +(?:-\w, )?(--[a-z][a-z-]+)", text))
    got, err = complete(tool, "")
    tm.is_((sorted(options - got), err), ([], ""), f"{tool}: its options")
    tm.is_(sorted(w for w in got if re.match(r"[a-z][a-z0-9]*(-[a-z]+)*$", w) and w != "all"), sorted(commands.split()), f"{tool}: its commands, and no other words")
    tm.ok(tool in registered and tool in linked, f"{tool} is registered, and its name installed")
tm.is_(complete("jobctl-ctl", "list", "st")[0] & {"state="}, {"state="}, "a key")
tm.is_(complete("jobctl-ctl", "list", "state=")[0], {"state=" + w for w in ("ready", "waiting", "leased", "held")}, "its values")
tm.is_(complete("jobctl-ctl", "list", "state", "=", "h")[0], {"held"}, "also where bash has cut the word")
tm.is_(complete("tmctl", "--j")[0], {"--json"}, "what has been begun")
tm.ok(any(w.endswith("tiermail.conf") for w in complete("mailq", "-c", tm.TOP + "/conf/tiermail.c")[0]), "files behind -c")
tm.done()
