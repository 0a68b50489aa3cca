# syntax=docker/dockerfile:1
# The demo on one NVIDIA GPU; without one the same image answers with the embedded model.
FROM nvidia/cuda:13.0.1-runtime-ubuntu24.04

RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 demo \
    && install -d -o demo -g demo /srv/demo /srv/venv /models

USER 10001
WORKDIR /srv/demo
ENV PATH=/srv/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/models \
    QWEN_DEMO_HOST=0.0.0.0 \
    QWEN_DEMO_OPEN=true

# Requirements first: this layer is built again only when they change.
COPY --chown=demo:demo requirements.txt .
RUN --mount=type=cache,target=/home/demo/.cache/pip,uid=10001 \
    python3 -m venv /srv/venv && pip install -r requirements.txt

COPY --chown=demo:demo app.py README.md ./
COPY --chown=demo:demo examples examples
COPY --chown=demo:demo qwen_demo qwen_demo

VOLUME /models
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:7860/health"]
CMD ["python", "app.py"]
