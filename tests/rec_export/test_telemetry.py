"""onnxruntime sends nothing, whoever imports what."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["rec_export", "trainers", "exporters", "batch_jobs"])
def test_telemetry_is_off_before_onnxruntime_is_imported(package: str) -> None:
    program = f"import os, sys, {package}; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    bare = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=bare)
    assert done.stdout == "1 False\n"
