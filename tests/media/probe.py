"""A decoder of the tests: runs the code of its job where a hostile file would, confined as all decoders are.

The code finds `job`, `file`, `exchange` and `attempt`, and leaves its answer in `answer`.
"""

# What the code imports must be here before files can no longer be opened.
import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from qwen_demo.media import exchange as exchanges

DAMAGE = ()
MODULES = (ctypes, os, resource, signal, socket, subprocess, sys, threading, time)
memory_of_the_zygote = {"who": "nobody"}


def decode(job: dict, file: int, exchange: exchanges.Exchange) -> dict:
    names = {module.__name__: module for module in MODULES}
    names |= {"job": job, "file": file, "exchange": exchange, "attempt": attempt, "state": memory_of_the_zygote}
    exec(job["code"], names)
    return names.get("answer", {})


def attempt(action) -> str:
    """Name of the error that it raises, or `done` with what it gave."""
    try:
        return f"done: {action()!r}"
    except Exception as error:
        return type(error).__name__
