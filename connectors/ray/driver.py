"""Runs on the cluster: places a gang, all workers or none, and stands between each worker and the site's agent.

The agent sends this file through the gang's channel, so a node needs nothing but Ray. It asks for its orders at
``DURE_CHANNEL`` with the secret ``DURE_CHANNEL_SECRET``, which is this run's alone. Each worker runs in a Ray task on
its own bundle of one placement group; beside its command stands the supervisor, whose lease counts from the moment at which
this program asked the agent for what remains of it.
"""

import contextlib
import glob
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request

BEAT_SECONDS = 0.4
GIVE_UP_SECONDS = 300.0
LOG_BYTES = 256 * 1024
#: A log that grows quickly must not keep the lease from being asked for.
LOG_PARTS_A_BEAT = 4
GONE = 410


class Gone(Exception):
    """The agent says that this worker must not run."""


class Away(OSError):
    """The agent does not answer now, or not so."""


class Channel:
    """The agent, as one run sees it."""

    def __init__(self, url, secret):
        self.url = url
        self.secret = secret

    def ask(self, method, path, data=None, into=None):
        """Send a request; the answer's bytes, or b"" where they went ``into`` a file. ``data`` is bytes or a file. Raises
        Gone, and Away while the agent is.
        """
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", "Bearer " + self.secret)
        if hasattr(data, "fileno"):
            data.seek(0)
            request.add_header("Content-Length", str(os.fstat(data.fileno()).st_size))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as answer:
                if into is None:
                    return answer.read()
                into.seek(0)
                into.truncate()
                shutil.copyfileobj(answer, into)
                if into.tell() != int(answer.headers["Content-Length"]):
                    raise Away("%s: cut short" % path)
                return b""
        except urllib.error.HTTPError as refused:
            if refused.code == GONE:
                raise Gone(path) from refused
            raise Away("%s: %s" % (path, refused.code)) from refused
        except (OSError, http.client.HTTPException) as fault:
            raise Away("%s: %s" % (path, fault)) from fault

    def ask_json(self, method, path, value=None):
        """The same with JSON both ways."""
        return json.loads(self.ask(method, path, None if value is None else json.dumps(value).encode()))

    def ask_until_answered(self, method, path, data=None, into=None):
        """Ask again while the agent is away, for a while."""
        until = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                return self.ask(method, path, data, into)
            except Away:
                if time.monotonic() > until:
                    raise
                time.sleep(BEAT_SECONDS)

    def ask_json_until_answered(self, method, path, value=None):
        """The same with JSON both ways."""
        data = None if value is None else json.dumps(value).encode()
        return json.loads(self.ask_until_answered(method, path, data))


def boottime_ns():
    """The clock that the supervisor counts on."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Worker:
    """One worker on its node."""

    def __init__(self, channel, rank):
        self.channel = channel
        self.path = "/worker/%d" % rank
        self.rank = rank
        self.folder = tempfile.mkdtemp(prefix="dure-worker-")
        self.work = os.path.join(self.folder, "work")
        os.mkdir(self.work)
        self.sent = 0
        self.told = None

    def file(self, name):
        """A file of the worker's own."""
        return os.path.join(self.folder, name)

    def run(self):
        """Run the command to its end, and tell the agent everything."""
        try:
            self.run_to_the_end()
        except Gone:
            pass
        finally:
            self.sweep()
            shutil.rmtree(self.folder, ignore_errors=True)

    def run_to_the_end(self):
        """A worker that this node cannot start is told of, so that its peers do not wait for it."""
        try:
            if self.rank == 0:
                self.channel.ask_json_until_answered("POST", "/port", free_port())
            spec = self.wait_for_spec()
            self.prepare(spec)
            self.take_first_lease()
            process = self.start(spec)
        except (Gone, Away):
            raise
        except Exception as fault:
            word = {"phase": "ended", "cause": "start_failed", "message": "the node could not start it: %s" % fault}
            self.channel.ask_json_until_answered("POST", self.path + "/beat", {"report": word})
            return
        while process.poll() is None:
            self.beat()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(BEAT_SECONDS)
        self.sweep()
        self.finish(spec)

    def sweep(self):
        """SIGKILL whatever is left of the command, by its environment: a supervisor that was killed leaves orphans."""
        mark = ("DURE_RUN_DIR=" + self.folder).encode()
        for _ in range(200):
            left = [pid for pid in os.listdir("/proc") if pid.isdigit() and mark in environment_of(pid)]
            if not left:
                return
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.01)

    def wait_for_spec(self):
        """What to run; known once worker 0 has named the gang's port."""
        while True:
            spec = self.channel.ask_json_until_answered("GET", self.path)
            if spec is not None:
                return spec
            time.sleep(BEAT_SECONDS)

    def prepare(self, spec):
        """Fetch the supervisor and the working directory."""
        with open(self.file("supervise.py"), "wb") as file:
            file.write(self.channel.ask_until_answered("GET", "/supervisor"))
        if spec["archive"]:
            with open(self.file("work.tar"), "w+b") as file:
                self.channel.ask_until_answered("GET", "/archive", into=file)
                file.seek(0)
                with tarfile.open(fileobj=file) as archive:
                    archive.extractall(self.work, filter="data")
            os.remove(self.file("work.tar"))
        if spec["checkpoint_directory"]:
            os.makedirs(spec["checkpoint_directory"], mode=0o700, exist_ok=True)

    def take_first_lease(self):
        """Nothing starts without one. An agent that has just started may have none yet."""
        until = time.monotonic() + GIVE_UP_SECONDS
        while not self.beat(first=True):
            if time.monotonic() > until:
                raise Away("no lease came")
            time.sleep(BEAT_SECONDS)

    def start(self, spec):
        """Start the supervisor, which starts the command."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if name in spec["inherited_names"] or name.startswith(tuple(spec["inherited_prefixes"]))
        }
        environment.update(spec["environment"])
        environment["DURE_RUN_DIR"] = self.folder
        environment["PATH"] = os.path.dirname(sys.executable) + ":" + environment.get("PATH", os.defpath)
        command = [sys.executable, "-I", self.file("supervise.py"), "--end-with-parent"]
        command += ["--control", self.file("control.json"), "--report", self.file("report.json")]
        command += ["--log", self.file("log"), *spec["options"], "--", *spec["command"]]
        return subprocess.Popen(command, cwd=self.work, env=environment, stdin=subprocess.DEVNULL, close_fds=True)

    def beat(self, first=False):
        """Tell what there is, take the lease and a stop. Whether there is a lease. ``first`` asks whether the command may
        start at all, and raises Gone where not.
        """
        asked = boottime_ns()
        word = self.report()
        if word is None or word.get("phase") != "ended":  # the end is told after the log and the outputs
            self.told = word
        try:
            answer = self.channel.ask_json("POST", self.path + "/beat", {"report": self.told, "first": first})
        except Away:
            return False
        if answer["remaining_seconds"] is not None:
            control = dict(answer, deadline_boottime_ns=asked + int(answer["remaining_seconds"] * 1e9))
            fresh = self.file("control.new")
            with open(fresh, "w") as file:
                json.dump(control, file)
            os.replace(fresh, self.file("control.json"))
        with contextlib.suppress(Away):
            self.send_log(LOG_PARTS_A_BEAT)
        return answer["remaining_seconds"] is not None

    def report(self):
        """What the supervisor wrote last."""
        try:
            with open(self.file("report.json")) as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def send_log(self, parts_max=None):
        """Send what the log has grown by; of a long one only so many parts."""
        try:
            with open(self.file("log"), "rb") as file:
                while parts_max is None or parts_max > 0:
                    file.seek(self.sent)
                    data = file.read(LOG_BYTES)
                    if not data:
                        return
                    path = "%s/log?offset=%d" % (self.path, self.sent)
                    wanted = json.loads(self.channel.ask("POST", path, data))
                    if wanted == self.sent:  # the agent takes no more
                        return
                    self.sent = wanted
                    parts_max = None if parts_max is None else parts_max - 1
        except FileNotFoundError:
            return

    def finish(self, spec):
        """The last of the log, the outputs, and then the end itself, which the agent must hear."""
        word = self.report()
        if word is None or word.get("phase") != "ended":
            word = {"phase": "gone"}  # the supervisor is over, and did not say so itself
        until = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                self.send_log()
                if spec["outputs"] and "left_out" not in word:
                    word = dict(word, left_out=self.pack(spec["outputs"], spec["outputs_bytes_max"]))
                if os.path.exists(self.file("outputs.tar.gz")):
                    with open(self.file("outputs.tar.gz"), "rb") as file:
                        self.channel.ask("PUT", self.path + "/outputs", file)
                self.channel.ask_json("POST", self.path + "/beat", {"report": word})
                return
            except Away:
                if time.monotonic() > until:
                    return
                time.sleep(BEAT_SECONDS)

    def pack(self, patterns, bytes_max):
        """Archive what matches and the agent wants of it; answer what was left out, for the job's owner."""
        path = self.file("outputs.tar.gz")
        try:
            told = self.left(patterns, bytes_max)
            if told["send"]:
                with tarfile.open(path + ".new", mode="w:gz", compresslevel=3, dereference=True) as archive:
                    for name in told["send"]:
                        archive.add(os.path.join(self.work, name), arcname=name, recursive=False)
                os.replace(path + ".new", path)
        except (Gone, Away):
            raise
        except Exception as fault:
            return "the outputs could not be taken: %s" % fault
        large, many = "above the limit of %d bytes" % bytes_max, "too many files"
        outside = "links that leave the working directory"
        left_out = ((large, told["large"]), (many, told["many"]), (outside, told["outside"]))
        return "; ".join("outputs left out, %s: %s" % (why, some_of(names)) for why, names in left_out if names)

    def left(self, patterns, bytes_max):
        """Names of the files that match, by what is to become of them, as the agent answers."""
        root, left = os.path.realpath(self.work) + os.sep, bytes_max
        told, files = {"send": [], "same": [], "large": [], "many": [], "outside": []}, []
        for name in sorted({os.path.normpath(n) for pattern in patterns for n in self.matches(pattern)}):
            source = os.path.realpath(os.path.join(self.work, name))
            if not os.path.isfile(source):
                continue
            if os.path.isabs(name) or not source.startswith(root):
                told["outside"].append(name)
            elif os.path.getsize(source) > left:
                told["large"].append(name)
            else:
                files.append([name, os.path.getsize(source), digest_of(source)])
                left -= files[-1][1]
        step = max(1, LOG_BYTES // max([1] + [len(json.dumps(file)) for file in files]))
        for part in (files[first : first + step] for first in range(0, len(files), step)):
            answers = self.channel.ask_json_until_answered("POST", self.path + "/left", part)
            for file, answer in zip(part, answers, strict=True):
                told[answer].append(file[0])
        return told

    def matches(self, pattern):
        """Names below the working directory; a folder stands for all in it."""
        for name in glob.glob(pattern, root_dir=self.work, recursive=True):
            yield name
            if os.path.isdir(os.path.join(self.work, name)):
                for below in glob.glob(os.path.join(glob.escape(name), "**"), root_dir=self.work, recursive=True):
                    yield below


def digest_of(path):
    """The SHA-256 of a file, in hexadecimal digits."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            found.update(part)
    return found.hexdigest()


def some_of(names):
    """Some of these names, and how many more there are."""
    shown = ", ".join(name[:80] for name in names[:5])
    return shown if len(names) <= 5 else "%s and %d more" % (shown, len(names) - 5)


def environment_of(pid):
    """What a process was started with; nothing where it is not ours to see."""
    try:
        with open("/proc/%s/environ" % pid, "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def free_port():
    """A port of this node that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def run_worker(url, secret, rank):
    """What each Ray task does."""
    Worker(Channel(url, secret), rank).run()


def main():
    """Place the gang and wait for its end."""
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    url, secret = os.environ.pop("DURE_CHANNEL"), os.environ.pop("DURE_CHANNEL_SECRET")
    channel = Channel(url, secret)
    gang = channel.ask_json_until_answered("GET", "/gang")
    ray.init(address="auto", log_to_driver=False, logging_level="ERROR")
    needs = {"GPU": gang["gpus"], "CPU": gang["cpus"]}
    # A node's own resource pins the bundle to the node that the plan chose.
    bundles = [{**needs, "node:" + node: 0.001} for node in gang["nodes"]]
    group = placement_group(bundles, strategy="PACK")
    try:
        until = time.monotonic() + gang["place_seconds_max"]
        while not group.wait(timeout_seconds=0.5):
            channel.ask_until_answered("GET", "/gang")  # raises Gone when the run was stopped meanwhile
            if time.monotonic() > until:
                words = "the nodes of the plan did not have room for the gang"
                channel.ask_json_until_answered("POST", "/failed", words)
                return
        task = ray.remote(num_gpus=gang["gpus"], num_cpus=gang["cpus"], max_retries=0)(run_worker)
        workers = []
        for rank in range(len(bundles)):
            strategy = PlacementGroupSchedulingStrategy(
                placement_group=group, placement_group_bundle_index=rank, placement_group_capture_child_tasks=True
            )
            workers.append(task.options(scheduling_strategy=strategy).remote(url, secret, rank))
        ray.get(workers)
    except Gone:
        pass
    finally:
        remove_placement_group(group)


if __name__ == "__main__":
    main()
