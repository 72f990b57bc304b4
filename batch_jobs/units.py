"""The nightly job as cron, systemd, Kubernetes and Airflow want it, as files by name.

No unit needs a lock, as the job has its own; each tries again after the exit codes that say so, and after no other.
"""

import getpass
import os
import shlex
from collections.abc import Callable

import yaml

from batch_jobs.schedule import TRIES, WAIT, Schedule
from rec_export.errors import GIVE_UP, TRY_AGAIN, UsageError

Files = dict[str, str]
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}


def cron(schedule: Schedule) -> Files:
    """One line for a crontab; a comment says whose clock it goes by. Every try makes the date of the first."""
    codes = "|".join(map(str, TRY_AGAIN))
    command = shlex.join(schedule.words)
    loop = (
        f"day=$(date -u +%F); for try in {' '.join(map(str, range(1, TRIES + 1)))};"
        f" do {command} --run-date $day; code=$?;"
        f" case $code in {codes}) [ $try = {TRIES} ] || sleep {WAIT};; *) exit $code;; esac; done; exit $code"
    )
    lines = [
        f"# rec-export, every night at {schedule.at}. Add it with: crontab -e",
        f"# Cron of Red Hat, Fedora and Arch obeys CRON_TZ; Debian's and Ubuntu's goes by the machine's own time zone,"
        f" so set that to {schedule.zone}, or the hour to what it should be there.",
        "# What is written is mailed: nothing when all went well. Codes worth another try are tried again.",
        "SHELL=/bin/sh",
        *(f"{name}={value}" for name, value in QUIET_THREADS.items()),
        *([f"MAILTO={schedule.mail}"] if schedule.mail else []),
        f"CRON_TZ={schedule.zone}",
        f"{schedule.minute} {schedule.hour} * * *  {loop.replace('%', chr(92) + '%')}",
    ]
    return {f"{schedule.name}.crontab": "\n".join(lines) + "\n"}


def systemd(schedule: Schedule) -> Files:
    """A service, its timer and, with an address, what tells of a failure."""
    refuse_midnight(schedule)
    names = {kind: f"{schedule.name}{kind}" for kind in (".service", ".timer", "-failed.service")}
    told = f"OnFailure={names['-failed.service']}\n" if schedule.mail else ""
    environment = "".join(f"Environment={name}={value}\n" for name, value in QUIET_THREADS.items())
    service = f"""[Unit]
Description=Tonight's recommendations
{told}StartLimitIntervalSec=20h
StartLimitBurst={TRIES}

[Service]
Type=oneshot
User={own_name()}
UMask=0027
{environment}ExecStart={" ".join(map(unit_word, schedule.words))}
# Tried again, but for the codes that no second try mends.
Restart=on-failure
RestartSec={WAIT}
RestartPreventExitStatus={" ".join(map(str, GIVE_UP))}
NoNewPrivileges=yes
ProtectSystem=full
"""
    timer = f"""[Unit]
Description=Every night at {schedule.at}

[Timer]
OnCalendar=*-*-* {schedule.at}:00 {schedule.zone}
# A machine that was off then catches up.
Persistent=true

[Install]
WantedBy=timers.target
"""
    files = {names[".service"]: service, names[".timer"]: timer}
    return files | ({names["-failed.service"]: failure(schedule, names[".service"])} if schedule.mail else {})


def own_name() -> str:
    """Who calls this, as whom the job is to run. Raises UsageError for a uid without a name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter since Python 3.13
        raise UsageError(
            f"the uid {os.getuid()} has no name here that systemd could run the job as; set USER to that of the user"
            " whose job it is"
        ) from None


def failure(schedule: Schedule, service: str) -> str:
    """A service that mails how another one ended."""
    letter = f"printf 'To: {schedule.mail}\\\\nSubject: {service} failed\\\\n\\\\n'; systemctl status --full {service}"
    return f"""[Unit]
Description=Tell that {service} failed

[Service]
Type=oneshot
ExecStart=/bin/sh -c "{{ {letter}; }} | /usr/sbin/sendmail -t"
"""


def unit_word(word: str) -> str:
    """A word of a command line in a unit, where % and $ mean something."""
    plain = word.replace("%", "%%").replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def k8s(schedule: Schedule) -> Files:
    """A CronJob. The volume holds the configuration and all it names, at the same paths as here."""
    refuse_mail(schedule, "kube_job_status_failed")
    refuse_midnight(schedule)
    folder = str(schedule.common_folder())
    threads = {"resourceFieldRef": {"containerName": "nightly", "resource": "limits.cpu"}}  # not those of the node
    passive = [{"name": name, "value": value} for name, value in QUIET_THREADS.items()]
    container = {
        "name": "nightly",
        "image": schedule.image,
        "command": ["rec-export", "--log-format", "json", "nightly", str(schedule.config)],
        "env": [{"name": "OMP_NUM_THREADS", "valueFrom": threads}, *passive],
        "resources": {"requests": {"cpu": "2", "memory": "8Gi"}, "limits": {"cpu": "2", "memory": "8Gi"}},
        "volumeMounts": [{"name": "files", "mountPath": folder}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "restartPolicy": "Never",  # which podFailurePolicy wants
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000},
        "containers": [container],
        "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": schedule.name}}],
    }
    unmended = {"containerName": "nightly", "operator": "NotIn", "values": list(TRY_AGAIN)}
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": unmended},
    ]
    job = {"backoffLimit": TRIES - 1, "podFailurePolicy": {"rules": rules}, "template": {"spec": pod}}
    spec = {
        "schedule": f"{schedule.minute} {schedule.hour} * * *",
        "timeZone": "Etc/UTC" if schedule.zone == "UTC" else schedule.zone,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 6 * 3600,
        "jobTemplate": {"spec": job},
    }
    unit = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": schedule.name}, "spec": spec}
    head = (
        f"# The image has rec-export and, as uid 1000, may write to {folder},\n"
        f"# which the claim {schedule.name} holds: a disk that can exchange folders, so not NFS.\n"
    )
    return {f"{schedule.name}.yaml": head + yaml.safe_dump(unit, sort_keys=False)}


def airflow(schedule: Schedule) -> Files:
    """A DAG with one task, of Airflow 3, or 2 as far as its names are the same, without a provider or plugin."""
    refuse_mail(schedule, "on_failure_callback")
    return {
        f"{schedule.name}.py": f'''"""Tonight's recommendations, by rec-export. It goes into the folder of DAGs."""

import subprocess
from datetime import datetime, timedelta, timezone

try:
    from airflow.sdk import dag, get_current_context, task
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # before 3.1
    from airflow.decorators import dag, task
    from airflow.exceptions import AirflowFailException
    from airflow.operators.python import get_current_context
from airflow.timetables.trigger import CronTriggerTimetable

COMMAND = {schedule.words!r}
TRY_AGAIN = {TRY_AGAIN!r}  # and what was killed by a signal


@dag(
    dag_id={schedule.name!r},
    schedule=CronTriggerTimetable("{schedule.minute} {schedule.hour} * * *", timezone={schedule.zone!r}),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
)
def nightly():
    @task(retries={TRIES - 1}, retry_delay=timedelta(seconds={WAIT}))
    def publish():
        context = get_current_context()
        moment = context.get("logical_date") or context["dag_run"].run_after
        day = moment.astimezone(timezone.utc).date().isoformat()  # a task that is cleared makes the same day again
        ended = subprocess.run([*COMMAND, "--run-date", day], text=True, capture_output=True)
        print(ended.stdout, ended.stderr, sep="")
        said = f"rec-export ended with {{ended.returncode}}: {{ended.stderr.strip()}}"
        if ended.returncode < 0 or ended.returncode > 128 or ended.returncode in TRY_AGAIN:
            raise RuntimeError(said)
        if ended.returncode != 0:
            raise AirflowFailException(said)

    publish()


nightly()
'''
    }


def refuse_mail(schedule: Schedule, instead: str) -> None:
    """Raise UsageError where the scheduler has ways of its own to tell of a failure."""
    if schedule.mail is not None:
        raise UsageError(f"--mail is for cron and systemd; here failures are told by {instead}")


def refuse_midnight(schedule: Schedule) -> None:
    """Raise UsageError where a later try could publish the next date, as the unit cannot keep that of the first."""
    if schedule.passes_midnight():
        raise UsageError(
            f"--at {schedule.at} {schedule.zone} is so near to midnight UTC that a later try would publish the next"
            f" date; leave more than {(TRIES - 1) * WAIT // 60} minutes before it, summer and winter, or take --cron or"
            " --airflow, which keep the date"
        )


KINDS: dict[str, Callable[[Schedule], Files]] = {"cron": cron, "systemd": systemd, "k8s": k8s, "airflow": airflow}
