"""Serve a GGUF model and its vision encoder over HTTP until SIGTERM. Runs in the environment of serve.sh."""

import os
import signal
import sys

import xllamacpp

SLOTS = int(os.environ.get("SLOTS", "32"))

asked = xllamacpp.CommonParams()
asked.model.path, asked.mmproj.path = sys.argv[1:]
asked.hostnames = ["127.0.0.1"]
asked.port = int(os.environ.get("PORT", "8081"))
asked.n_parallel, asked.n_ctx = SLOTS, int(os.environ.get("CONTEXT", "1024")) * SLOTS
asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = int(os.environ.get("THREADS", str(os.cpu_count())))
asked.n_gpu_layers = 0
server = xllamacpp.Server(asked)
print(server.listening_address, flush=True)
signal.sigwait([signal.SIGTERM, signal.SIGINT])
os._exit(0)
