#!/usr/bin/env python3
"""The reference deployment without one replica of its directory: see two-tier-faults.t."""
import os, sys

os.environ["TM_FAULTS"] = "replica"
os.execv(sys.executable, [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "two-tier-faults.t")])
