#!/usr/bin/env python3
"""rules.py SCRIPT FOLDER [MESSAGES]: a script of 200 rules and a maildir of mixed messages, for measuring.

The rules are those that people have: lists by List-Id, senders by address and domain, subjects by words and
patterns, some by size, and a last one that no rule in front of it decides.  The same every time."""
import os, random, sys

script, folder = sys.argv[1:3]
count = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
random.seed(1)
WORDS = "project invoice meeting report offer order ticket build release weekly summary question answer travel budget holiday".split()
kinds = [lambda i: f'header :contains "list-id" "<list{i}.example.org>"',
         lambda i: f'address :is "from" "person{i}@partner{i % 17}.example"',
         lambda i: f'address :domain :is ["from", "sender"] ["dept{i}.example.com", "dept{i}.example.net"]',
         lambda i: f'header :contains "subject" ["{random.choice(WORDS)} {i}", "[{random.choice(WORDS)}-{i}]"]',
         lambda i: f'header :matches "subject" "*{random.choice(WORDS)}*number {i}*"',
         lambda i: f'allof(header :is "x-priority" "{i % 5}", header :contains "to" "team{i}@", not size :over {i}K)',
         lambda i: f'anyof(exists "x-filter-{i}", header :contains ["cc", "to"] "group{i}@example.org")']
with open(script, "w") as f:
    f.write('require ["fileinto", "copy", "imap4flags"];\n')
    for i in range(200):
        word = "if" if i == 0 else "elsif"
        f.write(f'{word} {kinds[i % len(kinds)](i)} {{ fileinto "Folder{i}"; }}\n')
    f.write("else { keep; }\n")
os.makedirs(folder, exist_ok=True)
for sub in ("cur", "new", "tmp"):
    os.makedirs(os.path.join(folder, sub), exist_ok=True)
for n in range(count):
    i = random.randrange(400)
    lines = [f"Return-Path: <bounce{n}@sender.example>"]
    lines += [f"Received: from host{k}.example ([192.0.2.{k}])\n\tby mx{k}.example.org with ESMTPS id {n:06d}{k};\n\tMon, 30 Nov 2026 0{k}:12:13 +0000" for k in range(random.randrange(1, 7))]
    lines += [f"From: Person {i} <person{i}@partner{i % 17}.example>" if i % 3 else f"From: =?utf-8?q?J=C3=B6rg_{i}?= <x@dept{i}.example.com>",
              f"To: team{i}@example.org, Some One <one{n}@example.org>", f"Cc: group{random.randrange(400)}@example.org",
              f"Subject: Re: {random.choice(WORDS)} {random.choice(WORDS)} number {random.randrange(400)}",
              "Date: Mon, 30 Nov 2026 09:30:05 +0100", f"Message-ID: <{n}.{i}@sender.example>", "MIME-Version: 1.0",
              "Content-Type: text/plain; charset=utf-8", "X-Priority: 3"]
    if i % 4 == 0:
        lines.append(f"List-Id: List {i} <list{i}.example.org>")
    body = "\n".join(" ".join(random.choices(WORDS, k=10)) for _ in range(random.choice((5, 20, 60, 400))))
    with open(os.path.join(folder, "cur", f"{1700000000 + n}.M{n}.host:2,S"), "w") as f:
        f.write("\n".join(lines) + "\n\n" + body + "\n")
