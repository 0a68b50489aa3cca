# The demo on one NVIDIA GPU; without one the same image answers with the embedded model.
# Any base of Debian or Ubuntu with Python 3.11 or newer will do: --build-arg BASE=debian:bookworm-slim. PyTorch brings
# what it needs of CUDA; the driver is the host's.
ARG BASE=nvidia/cuda:13.0.1-base-ubuntu24.04
FROM ${BASE}

# gcc and Python's headers: Triton builds the starters of the GPU kernels with them.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates curl gcc libc6-dev python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 demo \
    && install -d -o demo -g demo /srv/demo /srv/venv /models /data

USER 10001
WORKDIR /srv/demo
# It listens for all, as loopback reaches nobody from inside a container, and refuses to start until it is told
# who may use it: files of keys and users, or QWEN_DEMO_OPEN=true.
ENV PATH=/srv/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/models \
    QWEN_DEMO_WEIGHTS_CACHE_DIR=/models/quantised \
    QWEN_DEMO_HOST=0.0.0.0 \
    QWEN_DEMO_KNOWLEDGE_DIR=/data/knowledge \
    QWEN_DEMO_STATE_DIR=/data/state

# Requirements first: this layer is built again only when they change.
COPY --chown=10001:10001 requirements.txt .
RUN --mount=type=cache,target=/home/demo/.cache/pip,uid=10001 \
    python3 -m venv /srv/venv && pip install -r requirements.txt

COPY --chown=10001:10001 app.py ./
COPY --chown=10001:10001 examples examples
COPY --chown=10001:10001 qwen_demo qwen_demo

# Weights, which can be fetched again; what people keep, which cannot.
VOLUME ["/models", "/data"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:7860/health"]
CMD ["python", "app.py"]
