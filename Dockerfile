# docker build -t nbsp . && docker run --rm -v "$PWD/results:/nbsp/results" nbsp
# Tables and figures lie in results/ then. pip takes torch from its default index, which on Linux brings CUDA packages too;
# --build-arg TORCH_INDEX=<PyTorch's own index of CPU builds> leaves them out. Not built automatically.
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /nbsp
ARG TORCH_INDEX=
COPY requirements.lock ./
RUN python3.11 -m venv .venv && .venv/bin/python -m pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
    "$(grep '^torch==' requirements.lock)"
COPY . .
RUN make setup
CMD ["make", "reproduce"]
