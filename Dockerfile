# The study in a container, as a user who is not root:
#   docker build --tag repro .
#   docker run --name report repro make book && docker cp report:/home/reader/repro/book/_build/html out
#   docker run --publish 8888:8888 repro .venv/bin/jupyter lab --ip=0.0.0.0 notebooks
# With a GPU add --gpus all --shm-size=2g, and a volume for the clips.
FROM python:3.13-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 reader
USER reader
WORKDIR /home/reader/repro
COPY --chown=reader . .
RUN make setup
CMD ["make", "book"]
