"""Stand beside one process: forward signals, end it and all its descendants when its lease runs out.

One file, standard library only, any Python from 3.8 on: it is copied to wherever processes run.

    python supervise.py --control FILE --report FILE --log FILE [options] -- COMMAND ...

The control file is written by whoever renews the lease::

    {"deadline_boottime_ns": 1, "lease_seconds": 1, "renewal": 1,
     "stop": null | {"cause": "cancelled", "grace_seconds": 10, "checkpoint": true}}

The deadline is on CLOCK_BOOTTIME of this machine. A stop sends the checkpoint signal at once where it asks for one,
SIGTERM at half of the grace (at once without a checkpoint), SIGKILL at its end. The report file is replaced whenever
something is new::

    {"phase": "starting|running|ended", "pid", "started_ms", "ended_ms", "exit_code", "signal", "cause", "message"}

``started_ms`` stays null for a command that never ran. A command that is not there, or that no machine could run, has
``exited`` with a shell's 127 or 126; ``start_failed`` is this machine's fault alone.

Exit codes: the command's own, 128 + signal, 124 walltime over, 69 lease over, 75 another supervisor stands beside this report.
"""

import argparse
import ctypes
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time

EXIT_LEASE, EXIT_DUPLICATE, EXIT_WALLTIME, EXIT_NOT_STARTED = 69, 75, 124, 127
EXIT_UNUSABLE, EXIT_UNKNOWN = 126, 127
UNUSABLE = (
    *(errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.ENOTDIR, errno.EISDIR),
    *(errno.E2BIG, errno.ELOOP, errno.ENAMETOOLONG),
)
LOOK_SECONDS = 0.1
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LOG_BYTES_A_READ = 65536


def boottime_ns():
    """Nanoseconds since the machine started, sleep included; no wall clock can turn it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def prctl(option, value):
    """Call prctl(2); where it is missing, the tree is found by parents alone."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        pass


class Control:
    """What the control file says, read again when it was replaced."""

    def __init__(self, path):
        self.path = path
        self.seen = None
        self.value = {"deadline_boottime_ns": 0, "stop": None}

    def read(self):
        """The newest value; the one before while the file cannot be read, or holds something else."""
        try:
            status = os.stat(self.path)
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp != self.seen:
                with open(self.path, encoding="utf-8") as file:
                    self.value = understood(json.load(file))
                self.seen = stamp
        except (OSError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
            pass
        return self.value


def understood(value):
    """The deadline and the stop of a control file; raises where they are of no kind that it may hold."""
    stop = value.get("stop")
    if stop is not None:
        grace = int(float(stop.get("grace_seconds") or 0) * 1e9) / 1e9
        stop = {"cause": str(stop["cause"]), "grace_seconds": grace, "checkpoint": bool(stop.get("checkpoint"))}
    return {"deadline_boottime_ns": int(value.get("deadline_boottime_ns") or 0), "stop": stop}


class Report:
    """What became of the command, replaced as a whole and on the disk before anybody relies on it."""

    def __init__(self, path):
        self.path = path
        self.lock = None
        self.value = {
            "phase": "starting",
            "pid": None,
            "started_ms": None,
            "ended_ms": None,
            "exit_code": None,
            "signal": None,
            "cause": None,
            "message": "",
        }

    def claim(self):
        """Whether this is the only supervisor beside the report; the lock goes with the process."""
        self.lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def write(self, **values):
        """Replace the report."""
        self.value.update(values)
        fresh = "%s.%d" % (self.path, os.getpid())
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(self.value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.path)


def parents():
    """Every process's parent, from /proc."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry, "rb") as file:
                found[int(entry)] = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return found


def descendants():
    """Every process below this one. As their subreaper it is the parent of those whose own parent has gone."""
    below = {}
    for pid, parent in parents().items():
        below.setdefault(parent, []).append(pid)
    found, waiting = [], [os.getpid()]
    while waiting:
        for pid in below.get(waiting.pop(), ()):
            found.append(pid)
            waiting.append(pid)
    return found


def send(pids, number):
    """Send a signal to each process that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def catches(pid, number):
    """Whether a process has a handler for a signal: one that has none would die of it."""
    try:
        with open("/proc/%s/status" % pid, encoding="ascii", errors="replace") as file:
            masks = [line.split()[1] for line in file if line.startswith("SigCgt:")]
        return bool(int(masks[0], 16) >> (number - 1) & 1)
    except (OSError, ValueError, IndexError):
        return False


def kill_tree(process):
    """SIGKILL everything below, again and again until nothing is left: a fork may be quicker than one walk.

    The command's own end is taken in by ``process`` alone, so that its exit status is never lost.
    """
    for _ in range(200):
        ended = process.poll() is not None
        pids = [pid for pid in descendants() if pid != process.pid]
        if ended and not pids:
            return
        send(pids if ended else [*pids, process.pid], signal.SIGKILL)
        reap(pids)
        time.sleep(0.01)


def reap(pids):
    """Take in those of other processes' children that were given to us and have ended."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass


class LogWriter(threading.Thread):
    """Copies the command's output to the log, at most so many bytes; what is beyond is read and dropped."""

    def __init__(self, source, path, bytes_max):
        super().__init__(daemon=True)
        self.source = source
        self.target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.left = bytes_max

    def run(self):
        """Copy until everybody who could write has closed."""
        while True:
            try:
                data = os.read(self.source, LOG_BYTES_A_READ)
            except OSError:
                data = b""
            if not data:
                os.close(self.target)
                return
            if self.left <= 0:
                continue
            kept = data[: self.left]
            self.left -= len(kept)
            if self.left <= 0:
                kept += b"\n[the log is cut here: it has reached its limit]\n"
            write_all(self.target, kept)


def write_all(target, data):
    """Write every byte, or as much as the disk takes."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(target, view) :]
        except OSError:
            return


class Supervisor:
    """One command from its start to the end of its last descendant."""

    def __init__(self, options):
        self.options = options
        self.control = Control(options.control)
        self.report = Report(options.report)
        self.told_to_stop = None
        self.ending = None
        self.signalled = 0
        self.parent = os.getppid()
        self.process = None
        self.started_ns = 0

    def run(self):
        """Supervise; answer the exit code."""
        if not self.report.claim():
            return EXIT_DUPLICATE
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        signal.signal(signal.SIGTERM, self.on_term)
        signal.signal(signal.SIGINT, self.on_term)
        stop = self.control.read()["stop"]
        if stop:
            return self.never_ran(stop["cause"], 128 + signal.SIGTERM)
        if self.control.read()["deadline_boottime_ns"] <= boottime_ns():
            return self.never_ran("lease_expired", EXIT_LEASE)
        self.report.write()
        try:
            log = self.start()
        except OSError as fault:
            code = EXIT_UNKNOWN if fault.errno == errno.ENOENT else EXIT_UNUSABLE if fault.errno in UNUSABLE else None
            if code is None:
                return self.never_ran("start_failed", EXIT_NOT_STARTED, str(fault))
            return self.never_ran("exited", code, str(fault), exit_code=code)
        status = self.watch()
        kill_tree(self.process)
        log.join(5)
        return self.tell_end(status)

    def never_ran(self, cause, code, message="", exit_code=None):
        """Report an end without a beginning."""
        self.report.write(phase="ended", ended_ms=now_ms(), exit_code=exit_code, cause=cause, message=message)
        return code

    def on_term(self, *_):
        """Whoever ends the supervisor politely ends the command so, too."""
        if self.told_to_stop is None:
            self.told_to_stop = {
                "cause": "cancelled",
                "grace_seconds": self.options.grace_seconds,
                "checkpoint": bool(self.options.checkpoint_signal),
            }

    def start(self):
        """Start the command, dying with us, holding none of our files."""
        reading, writing = os.pipe()
        try:
            self.process = subprocess.Popen(
                self.options.command,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                close_fds=True,
                preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
            )
        finally:
            os.close(writing)
        self.started_ns = boottime_ns()
        log = LogWriter(reading, self.options.log, self.options.log_bytes_max)
        log.start()
        self.report.write(phase="running", pid=self.process.pid, started_ms=now_ms())
        return log

    def watch(self):
        """Wait for the command's end, and bring it about when it is time."""
        process = self.process
        assert process is not None
        while True:
            try:
                return process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            now = boottime_ns()
            if self.control.read()["deadline_boottime_ns"] <= now:
                self.ending = {"cause": "lease_expired"}
                kill_tree(self.process)
            elif self.options.end_with_parent and os.getppid() != self.parent:
                self.ending = {"cause": "driver_lost"}
                kill_tree(self.process)
            else:
                self.stop_in_steps(now)

    def stop_in_steps(self, now):
        """The checkpoint signal, SIGTERM, SIGKILL: each in its time, counted from the first word of a stop."""
        wanted = self.control.read()["stop"] or self.told_to_stop
        over_ns = self.started_ns + int((self.options.walltime_seconds or 0) * 1e9)
        if wanted is None and self.options.walltime_seconds and now >= over_ns:
            wanted = {
                "cause": "walltime",
                "grace_seconds": self.options.grace_seconds,
                "checkpoint": bool(self.options.checkpoint_signal),
            }
        if wanted is None and self.ending is None:
            return
        if self.ending is None:
            self.ending = dict(wanted, since=now)
        elif wanted is not None:  # a later word may only shorten the grace
            grace = min(float(self.ending["grace_seconds"]), float(wanted.get("grace_seconds") or 0))
            self.ending["grace_seconds"] = grace
        grace_ns = int(float(self.ending.get("grace_seconds") or 0) * 1e9)
        gone_ns = now - self.ending["since"]
        checkpoint = self.ending.get("checkpoint") and self.options.checkpoint_signal
        if self.signalled < 1 and checkpoint:
            # A shell or a launcher above the trainer does not know the signal: it is for whoever has asked for it.
            number = getattr(signal, self.options.checkpoint_signal)
            send([pid for pid in descendants() if catches(pid, number)], number)
        self.signalled = max(self.signalled, 1)
        if self.signalled < 2 and (not checkpoint or gone_ns >= grace_ns // 2):
            send(descendants(), signal.SIGTERM)
            self.signalled = 2
        if gone_ns >= grace_ns:
            kill_tree(self.process)

    def tell_end(self, status):
        """Report how it ended; answer the exit code."""
        cause = "exited" if self.ending is None else str(self.ending.get("cause") or "cancelled")
        if status == 0 and self.signalled == 0 and cause not in ("lease_expired", "driver_lost"):
            cause = "exited"
        number = -status if status < 0 else None
        code = 128 + number if number else status
        # How long it ran is charged: a wall clock that is set anew meanwhile is no part of that.
        ended_ms = self.report.value["started_ms"] + (boottime_ns() - self.started_ns) // 1_000_000
        self.report.write(phase="ended", ended_ms=ended_ms, exit_code=code, signal=number, cause=cause)
        if cause == "lease_expired":
            return EXIT_LEASE
        return EXIT_WALLTIME if cause == "walltime" else code


def now_ms():
    """Wall-clock milliseconds, for the record."""
    return time.time_ns() // 1_000_000


def parse(arguments):
    """Read the command line; what follows ``--`` is the command."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description="Stand beside one process and end it when its lease runs out.")
    parser.add_argument("--control", required=True)
    parser.add_argument("--report", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--log-bytes-max", type=int, default=64 << 20)
    parser.add_argument("--grace-seconds", type=float, default=10.0)
    parser.add_argument("--checkpoint-signal")
    parser.add_argument("--walltime-seconds", type=float)
    parser.add_argument("--end-with-parent", action="store_true")
    options = parser.parse_args(arguments[:at])
    options.command = arguments[at + 1 :]
    if not options.command:
        parser.error("the command follows --")
    return options


if __name__ == "__main__":
    sys.exit(Supervisor(parse(sys.argv[1:])).run())
