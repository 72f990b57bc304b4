"""What stands in the place of programs refuses what these would refuse, and `rec-export` ends as it ends elsewhere."""

from pathlib import Path

import pytest

from tests.docs.reader import Reader

JOB = "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {tempate: {}}}"
IMAGE = "FROM python:3.12-slim\\nRUN rm -r /src\\n"
PROJECT = "[options]\\ninstall_requires =\\n    pytest<1\\n"
UNIT = "[Service]\\nType=oneshot\\nExecStart=/bin/false\\n"
SLIPS = {
    "rec-export status nowhere": "ended with 66:\nError: ",
    "rec-export scor | cat; exit ${PIPESTATUS[0]}": "ended with 2:",
    "echo '61 minutes' | crontab -": "neither a time with a command nor a setting",
    "echo '5 4 * * * if true; then' | crontab -": "yntax error",
    "crontab -l": "no crontab",
    f"echo '{JOB}' > a.yaml; kubectl apply -f a.yaml": "tempate",
    "kubectl create job --from=cronjob/a b": "No such file",
    "docker build -t a .": "Dockerfile",
    "echo 'FROM python:3.14-slim' > Dockerfile; docker build -t a .": "not understood",
    f"printf '{IMAGE}' > Dockerfile; docker build -t a .": "names what is not in the image",
    "systemctl enable --now a.timer": "Unit a.timer could not be found.",
    f"printf '{UNIT}' > $MACHINE/units/a.service; systemctl start a.service": "a.service: ended with 1",
    "journalctl -u a.service": "No such file",
    "sudo rm -r /etc/hosts": "is not for a test to change",
    "sbatch --wrap 'exit 3'": "returned non-zero exit status 3",
    "sbatch --dependency=afterok:7 --wrap true": "Job dependency problem",
    "pip install -c constraints.txt .": "is no project",
    f"printf '{PROJECT}' > setup.cfg; echo pytest==0.9 > a; pip install -c a .": "but here is",
    "duckdb -c 'from nowhere'": "nowhere",
}


@pytest.mark.parametrize("line", SLIPS)
def test_a_slip_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "reader").mkdir()
    reader = Reader(tmp_path / "reader", tmp_path / "machine", {})
    with pytest.raises(AssertionError) as refused:
        reader.bash(line)
    assert SLIPS[line] in str(refused.value).removeprefix(line)
