# kandji-uploader with what it calls on Linux: 7-Zip reads disk images, zsh tries the audit script before it is published.
# Casks need no Homebrew. Runs the schedule, or whatever command of kandji-uploader it is given:
#
#   docker build -t kandji-uploader .
#   docker run --rm --env-file .env -v "$PWD:/pkgs:ro" kandji-uploader -p /pkgs/App.pkg

FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md CHANGELOG.md LICENSE NOTICE ./
COPY audit audit
COPY examples/demo examples/demo
COPY shared shared
RUN pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.13-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends 7zip tini zsh \
    && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels kandji-uploader
COPY --chmod=755 docker/entrypoint.sh /usr/local/bin/entrypoint.sh
RUN useradd --uid 10001 --create-home uploader \
    && install --directory --owner uploader --group uploader --mode 0700 /data
USER uploader
ENV KANDJI_UPLOADER_DIR=/data \
    PYTHONUNBUFFERED=1
VOLUME /data
# tini hands SIGTERM on, so that `docker stop` ends a cycle cleanly.
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/entrypoint.sh"]
CMD ["schedule", "run", "--loop"]
