# davd without a GPU: docker build -t davd . && docker run --rm -v "$PWD:/data" davd restore call.mp4
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The CPU build of torch, 200 MB; the one on PyPI brings 6 GB of CUDA along.
RUN pip install --no-cache-dir --no-deps -c requirements.lock --only-binary :all: \
        --index-url https://download.pytorch.org/whl/cpu torch \
    && pip install --no-cache-dir -r requirements.lock --only-binary :all: \
    && pip install --no-cache-dir --no-deps --no-build-isolation . \
    && apt-get purge -y gcc libc6-dev && apt-get autoremove -y
WORKDIR /data
ENTRYPOINT ["davd"]
CMD ["--help"]
