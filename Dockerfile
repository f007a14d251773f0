# docker build -t simplecell .
# docker run --rm -v "$PWD:/data" simplecell demo            (what it writes lies in the folder you are in)
# docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" simplecell train classify photos/
FROM python:3.11-slim

WORKDIR /opt/simplecell
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
COPY simplecell simplecell
RUN pip install --no-cache-dir -c constraints.txt .

# Any user may run it: what it caches goes where that user may write.
ENV SIMPLECELL_CACHE=/tmp/simplecell MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /data
ENTRYPOINT ["simplecell"]
