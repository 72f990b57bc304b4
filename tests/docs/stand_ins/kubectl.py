#!/usr/bin/env -S python3 -P
"""`kubectl apply`, `create job --from` and `logs`: manifests that the schema of Kubernetes has nothing against.

Jobs are run at once, each index of them, by this machine: the command of their container, which must find its volumes
where they are mounted.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

CLUSTER = Path(os.environ["MACHINE"]) / "cluster"
VERSIONS = "1.31", "1.37"


def take(unit: dict[str, Any]) -> None:
    """Take what the schemas have nothing against, and run it if it is a job."""
    for version in VERSIONS:
        kubernetes_validate.validate(unit, version, strict=True)
    CLUSTER.mkdir(exist_ok=True)
    kind, name = unit["kind"].lower(), unit["metadata"]["name"]
    (CLUSTER / f"{kind}-{name}.yaml").write_text(yaml.safe_dump(unit))
    if kind == "job":
        run(name, unit["spec"])
    sys.stdout.write(f"{kind}.batch/{name} created\n")


def run(name: str, spec: dict[str, Any]) -> None:
    """Run every index of a job; what it writes is its log."""
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    claimed = {volume["name"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume}
    for mount in container["volumeMounts"]:
        if mount["name"] not in claimed or not Path(mount["mountPath"]).is_dir():
            sys.exit(f"no volume for {mount}")
    said = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    with (CLUSTER / f"{name}.log").open("w") as log:
        for index in range(spec.get("completions", 1)):
            environment = {**os.environ, **said, "JOB_COMPLETION_INDEX": str(index)}
            ended = subprocess.run(container["command"], env=environment, stdout=log, stderr=log, check=False)
            if ended.returncode:
                sys.exit(f"job {name}, index {index}, ended with {ended.returncode}: {Path(log.name).read_text()}")


def create(source: str, name: str) -> None:
    """A job as a CronJob would make it."""
    kind, _, cronjob = source.partition("/")
    template = yaml.safe_load((CLUSTER / f"{kind}-{cronjob}.yaml").read_text())["spec"]["jobTemplate"]
    take({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": template["spec"]})


parser = argparse.ArgumentParser()
verbs = parser.add_subparsers(dest="verb", required=True)
verbs.add_parser("apply").add_argument("-f", required=True, type=Path)
jobs = verbs.add_parser("create")
jobs.add_argument("kind", choices=["job"])
jobs.add_argument("--from", dest="source", required=True)
jobs.add_argument("name")
verbs.add_parser("logs").add_argument("name")
options = parser.parse_args()
if options.verb == "apply":
    for unit in yaml.safe_load_all(options.f.read_text()):
        take(unit)
elif options.verb == "create":
    create(options.source, options.name)
else:
    sys.stdout.write((CLUSTER / f"{options.name.removeprefix('job/')}.log").read_text())
